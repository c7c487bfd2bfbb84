"""Training: the one loop, the steps it makes, batches, rates, unfreezing, checkpoints, interrupts."""
