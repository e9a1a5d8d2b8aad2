"""States the version of fastnn."""

__version__ = "0.1.0"
