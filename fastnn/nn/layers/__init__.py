"""Layers, one module for each family; `fastnn` and `fastnn.nn` export them."""
