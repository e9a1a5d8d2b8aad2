"""Counter of changes of settings that are not stored in arrays. Recorded steps compare it."""

settings = 0
"""Counter that grows when a setting of an object that is not a module changes: a loss, a rule, a metric, an optimizer's group."""


def settings_changed() -> None:
    """Make all recorded steps invalid.

    Changes of modules and of the memory of parameters need no call: recorded steps compare their versions and arrays directly.
    """
    global settings
    settings += 1
