"""Makes models from files of Keras."""

from __future__ import annotations

from ..files.keras_file import KerasFile
from ..files.keras_weights import fill
from ..files.tensors import short
from ..nn.module import Module
from ..nn.parameter import LoadLimit, filling
from .keras_models import Made


def model_of(file: KerasFile) -> Module:
    """Make the model in a file.

    Raises:
        ValueError: the file has only weights, is damaged, or has a layer that fastnn does not have.
    """
    if file.config is None:
        raise ValueError("it is a Keras file with weights, but no layers; make the model, then model.load_weights(path)")
    numbers = sum(a.size for a in file.flat().values())
    made = Made()
    filling.set(LoadLimit(numbers, 2 * numbers))
    try:
        model = made.model(file.config)
    except (KeyError, TypeError, IndexError, AttributeError, RuntimeError, RecursionError) as error:
        raise ValueError(f"it is damaged: {type(error).__name__} {short(str(error))}") from None
    finally:
        filling.set(None)
    fill(model, file, made.layers)
    return model.eval()
