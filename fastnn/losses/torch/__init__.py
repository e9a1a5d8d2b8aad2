"""Losses by PyTorch's names; `fastnn.nn` exports them."""
