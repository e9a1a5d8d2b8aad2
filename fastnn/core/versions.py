"""Counts the changes of settings that lie in no array, for recorded steps to compare."""

settings = 0
"""Grows whenever a setting changes of what is no module: of a loss, a rule, a metric, an optimizer's groups."""


def settings_changed() -> None:
    """Make all recorded steps void; modules have versions of their own, and where parameters lie is looked at."""
    global settings
    settings += 1
