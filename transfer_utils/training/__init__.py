"""Training: the one loop, its steps, state and processes; batches, rates, unfreezing, checkpoints, interrupts."""
