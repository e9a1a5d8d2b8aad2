"""Losses by Keras's names; `fastnn.losses` exports them."""
