"""Models in files. The module `models` combines the parts: layers, tensors, training settings, and replacing files safely."""

from __future__ import annotations

from collections.abc import Mapping
from contextvars import copy_context
from typing import Any

import numpy as np

from ..backends.spec import TENSOR_DTYPES
from ..core.device import check_device
from ..core.registered import checked
from ..core.registered import custom_objects as custom_objects_of_file
from ..core.tree import replace


def load(
    path: Any,
    compile: bool = True,
    custom_objects: Mapping[str, Any] | None = None,
    *,
    map_location: Any = None,
    weights_only: bool | None = None,
) -> Any:  # the file alone says whether it holds a model or, as for torch.load, a dict, a list or a Tensor
    """Read the model in a file that `Module.save` wrote, or in a file of Keras (.keras, .h5); or the Tensors in one of PyTorch.

    A model that fastnn saved is compiled as before, with the state of its optimizer. Another fit continues as if there had been
    no break. A model of Keras has the layers of the same names, and is not compiled; h5py, which the extra `h5` installs, reads
    its weights.

    A file that `fastnn.save` or `torch.save` wrote (.pt, .pth) gives what was saved: Tensors, and dicts and lists of them.
    Nothing in it is run: `load_state` describes what is read. Arrays of dtypes that Tensors do not have stay arrays.

    Args:
        path: the file.
        compile: False leaves out the training settings and the state of the optimizer.
        custom_objects: custom classes and functions by their names in the file, in addition to those of `fastnn.register`.
        map_location: accepted for compatibility with PyTorch; the device of the backend, or None.
        weights_only: accepted for compatibility with PyTorch; no file is ever allowed to run code.

    Raises:
        FileNotFoundError, IsADirectoryError, PermissionError: the file does not exist or cannot be read.
        ImportError: the file is one of Keras, and h5py is not installed.
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
    from ..interop.keras_files import model_of
    from ..keras import function, operation  # noqa: F401
    from ..nn.graph import traced  # noqa: F401
    from ..nn.layers import keras_activation  # noqa: F401
    from .keras_file import KerasFile
    from .models import load as made
    from .states import OF_TORCH, contents

    for name in nn.__all__:  # files may name these layers; importing a layer registers it
        getattr(nn, name)
    for name in models.__all__:
        getattr(models, name)
    check_device(map_location, "load")
    given, context = checked(custom_objects), copy_context()

    def read() -> Any:
        custom_objects_of_file.set(given)
        held, metadata = contents(path, "load")
        if metadata is OF_TORCH:
            return replace(held, _tensor)
        if not isinstance(held, KerasFile):
            return made(path, held, metadata, compile)
        try:
            return model_of(held)
        except ValueError as error:
            raise ValueError(f"load: {path}: {error}") from None

    # In a separate context: if loading is interrupted, context variables that were set meanwhile are discarded.
    return context.run(read)


def _tensor(value: Any) -> Any:
    """Return an array as a Tensor, if Tensors have its dtype."""
    from ..ops.checks import as_tensor

    if not isinstance(value, np.ndarray) or value.dtype.name not in TENSOR_DTYPES:
        return value
    return as_tensor(np.ascontiguousarray(value).reshape(value.shape), "load")
