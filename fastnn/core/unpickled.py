"""Objects that are read from a pickle."""

from __future__ import annotations

from typing import Any

import numpy as np


def own(a: Any) -> Any:
    """Return an array, or a copy if it is read-only."""
    return np.array(a) if isinstance(a, np.ndarray) and not a.flags.writeable else a


def writable(state: dict[str, Any]) -> dict[str, Any]:
    """Return the attributes of an unpickled object, with copies of read-only arrays, which joblib makes of memory maps.

    >>> a = np.zeros(2)
    >>> a.flags.writeable = False
    >>> writable({"a": a})["a"].flags.writeable
    True
    """
    return {key: own(v) for key, v in state.items()}


class Unpickled:
    """Base of classes whose arrays are written in place, also after joblib has read them as memory maps."""

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(writable(state))
