"""Callbacks; `fastnn.callbacks` exports them."""
