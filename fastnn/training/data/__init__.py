"""Data for training: checks, casts, batches, and where they come from."""
