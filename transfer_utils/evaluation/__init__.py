"""Measuring: predictions, metrics, intervals, cost, calibration, forgetting."""
