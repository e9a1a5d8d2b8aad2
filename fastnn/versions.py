"""What recorded steps compare to see whether anything that lies in no array has changed."""

settings = 0
"""Grows whenever a setting changes of what is no module: of a loss, a rule, a metric, an optimizer's groups."""


def settings_changed() -> None:
    """Makes all recorded steps void; modules have versions of their own, and where parameters lie is looked at."""
    global settings
    settings += 1
