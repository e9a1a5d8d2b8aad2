"""InputLayer, Keras's other name of an Input."""

from __future__ import annotations

from typing import Any

from ..nn import Input
from ..nn.graph.symbolic import Symbol


def InputLayer(  # noqa: N802 (Keras's name)
    shape: Any = None,
    batch_size: int | None = None,
    dtype: Any = None,
    name: str | None = None,
    *,
    batch_shape: Any = None,
    input_shape: Any = None,
    batch_input_shape: Any = None,
) -> Symbol:
    """Return an `Input`; the last two arguments are those of Keras 2.

    >>> import fastnn.keras as keras
    >>> keras.Sequential([keras.layers.InputLayer(input_shape=(4,)), keras.layers.Dense(3)]).output.shape
    (None, 3)
    """
    given = [s for s in (shape, input_shape) if s is not None], [s for s in (batch_shape, batch_input_shape) if s is not None]
    if len(given[0]) + len(given[1]) != 1:
        raise ValueError(f"InputLayer: {len(given[0]) + len(given[1])} shapes came; wanted one, such as shape=(4,)")
    sizes, whole = (one[0] if one else None for one in given)
    return Input(sizes, batch_size, dtype, name, batch_shape=whole)
