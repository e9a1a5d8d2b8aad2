"""Models in files; `models` puts the parts together: layers, tensors, training settings, writing in place."""

from __future__ import annotations

from collections.abc import Mapping
from contextvars import copy_context
from typing import Any

from ..core.registered import checked
from ..core.registered import custom_objects as custom_objects_of_file


def load(path: Any, compile: bool = True, custom_objects: Mapping[str, Any] | None = None) -> Any:
    """Read the model in a file that `Module.save` wrote.

    It is compiled as it was, and its optimizer goes on where it was: another fit continues as if there had been no break.

    Args:
        path: the file.
        compile: False leaves out the training settings and the state of the optimizer.
        custom_objects: classes and functions of your own by their names in the file, beside those that `fastnn.register` knows.

    Raises:
        FileNotFoundError, IsADirectoryError, PermissionError: there is no such file, or it cannot be read.
        TypeError: custom_objects are no classes or functions by name.
        ValueError: the file is truncated, damaged, no model of fastnn, or another library's: the message says whose. Or it names
            a class or function that is not registered.

    >>> import fastnn, tempfile, os
    >>> model = fastnn.Sequential([fastnn.Dense(2, input_shape=(3,))])
    >>> path = os.path.join(tempfile.mkdtemp(), "model.fastnn")
    >>> model.save(path)
    >>> bool((fastnn.load(path).predict([[1, 2, 3]]) == model.predict([[1, 2, 3]])).all())
    True
    """
    from .. import nn
    from ..nn.layers import keras_activation  # noqa: F401
    from .models import load as read_model

    for name in nn.__all__:  # which files may name: each puts itself among the layers that are known
        getattr(nn, name)
    given, context = checked(custom_objects), copy_context()

    def read() -> Any:
        custom_objects_of_file.set(given)
        return read_model(path, compile)

    # In a context of its own: whatever is set there while layers are made, an interrupt leaves nothing of it.
    return context.run(read)
