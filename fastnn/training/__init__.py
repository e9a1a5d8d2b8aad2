"""The training loop, its data, metrics and callbacks."""
