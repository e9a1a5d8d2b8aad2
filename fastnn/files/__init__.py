"""What files hold, and how they come to their place; `fastnn.serialization` puts the parts together."""

from __future__ import annotations

from contextvars import copy_context
from typing import Any


def load(path: Any, compile: bool = True) -> Any:
    """Read the model in a file that `Module.save` wrote.

    It is compiled as it was, and its optimizer goes on where it was: another fit continues as if there had been no break.

    Args:
        path: the file.
        compile: False leaves out the training settings and the state of the optimizer.

    Raises:
        FileNotFoundError, IsADirectoryError, PermissionError: there is no such file, or it cannot be read.
        ValueError: the file is truncated, damaged, no model of fastnn, or another library's: the message says whose.

    >>> import fastnn, tempfile, os
    >>> model = fastnn.Sequential([fastnn.Dense(2, input_shape=(3,))])
    >>> path = os.path.join(tempfile.mkdtemp(), "model.fastnn")
    >>> model.save(path)
    >>> bool((fastnn.load(path).predict([[1, 2, 3]]) == model.predict([[1, 2, 3]])).all())
    True
    """
    from ..serialization import load as read_model

    # In a context of its own: whatever is set there while layers are made, an interrupt leaves nothing of it.
    return copy_context().run(read_model, path, compile)
