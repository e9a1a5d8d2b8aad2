"""Models in files. The module `models` combines the parts: layers, tensors, training settings, and replacing files safely."""

from __future__ import annotations

from collections.abc import Mapping
from contextvars import copy_context
from typing import Any

from ..core.registered import checked
from ..core.registered import custom_objects as custom_objects_of_file


def load(path: Any, compile: bool = True, custom_objects: Mapping[str, Any] | None = None) -> Any:
    """Read the model in a file that `Module.save` wrote.

    The model is compiled as before, with the state of its optimizer. Another fit continues as if there had been no break.

    Args:
        path: the file.
        compile: False leaves out the training settings and the state of the optimizer.
        custom_objects: custom classes and functions by their names in the file, in addition to those of `fastnn.register`.

    Raises:
        FileNotFoundError, IsADirectoryError, PermissionError: the file does not exist or cannot be read.
        TypeError: custom_objects is not a dict of classes and functions by name.
        ValueError: the file is truncated, damaged, not a model of fastnn, or written by another library, which the message names.
            Or the file names a class or function that is not registered.

    >>> import fastnn, tempfile, os
    >>> model = fastnn.Sequential([fastnn.Dense(2, input_shape=(3,))])
    >>> path = os.path.join(tempfile.mkdtemp(), "model.fastnn")
    >>> model.save(path)
    >>> bool((fastnn.load(path).predict([[1, 2, 3]]) == model.predict([[1, 2, 3]])).all())
    True
    """
    from .. import models, nn
    from ..nn.layers import keras_activation  # noqa: F401
    from .models import load as read_model

    for name in nn.__all__:  # files may name these layers; importing a layer registers it
        getattr(nn, name)
    for name in models.__all__:
        getattr(models, name)
    given, context = checked(custom_objects), copy_context()

    def read() -> Any:
        custom_objects_of_file.set(given)
        return read_model(path, compile)

    # In a separate context: if loading is interrupted, context variables that were set meanwhile are discarded.
    return context.run(read)
