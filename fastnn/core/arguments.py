"""Arguments that one class or function hands on to another, whose errors then begin with the name that the user called."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


def arguments(own: dict[str, Any]) -> dict[str, Any]:
    """Return the arguments of a constructor by name, from its ``locals()`` before it sets any other name."""
    return {name: value for name, value in own.items() if name not in ("self", "__class__")}


@contextmanager
def errors_of(called: str, inner: str) -> Iterator[None]:
    """Return a block whose errors about arguments begin with the name that was called, not with that of what it uses."""
    try:
        yield
    except (TypeError, ValueError, AttributeError) as error:
        error.args = (str(error).replace(f"{inner}:", f"{called}:", 1),)
        raise
