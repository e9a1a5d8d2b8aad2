"""The training loop and what belongs to it: data at the door, metrics, callbacks, history, progress."""
