"""Models of other libraries. Each module imports its library only where a user passes objects of it."""
