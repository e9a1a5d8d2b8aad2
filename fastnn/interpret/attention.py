"""Return the weights of attention, which show where the tokens of a sequence look."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..autograd.tensor import no_grad
from ..nn.mode import mode, unsampled
from ..nn.module import Module
from .model import key_of_call, layer_name

Array = np.ndarray[Any, Any]


def attention(model: Any, *inputs: Any, layers: Sequence[Any] | None = None) -> dict[str, Array]:
    """Return the weights of the attention layers of a model for one sequence.

    Args:
        model: a model with layers of attention: of `fastnn.models`, or with Keras's or PyTorch's names.
        inputs: the inputs of the model, without the batch axis, such as the ids of the tokens.
        layers: names of attention layers, or the layers themselves; by default all.

    Returns:
        Arrays (heads, T, S) by the names of the layers as in `named_modules`, in the order of their calls. Element [h, i, j] is
        the weight of token j in what token i gets from head h; each row adds up to 1. Further calls of a shared layer have a
        number after the name.

    Raises:
        ValueError: the model has no layers of attention, or not these.

    >>> import fastnn
    >>> model = fastnn.models.GPT(vocabulary=10, context=8, width=8, layers=2, heads=2)
    >>> {name: a.shape for name, a in fastnn.interpret.attention(model, [1, 2, 3]).items()}
    {'blocks.0.attention': (2, 3, 3), 'blocks.1.attention': (2, 3, 3)}
    """
    op = "interpret.attention"
    if not isinstance(model, Module):
        raise TypeError(f"{op}: model is a {type(model).__name__}; wanted a model of fastnn")
    known = [name for name, m in model.named_modules() if hasattr(m, "attention_weights")]
    wanted = known if layers is None else [layer_name(model, layer, op) for layer in layers]
    if not known or (others := [name for name in wanted if name not in known]):
        what = f"{others[0]} is none" if known else "it has none"
        raise ValueError(f"{op}: the model's layers of attention are: {', '.join(known) or 'none'}; {what}")
    twin = copy.deepcopy(model).eval()
    found: dict[str, Array] = {}
    for name, layer in twin.named_modules():
        if name in wanted:
            object.__setattr__(layer, "forward", _recording(name, layer, found))
    with no_grad(), mode(False), unsampled():
        twin(*(np.asarray(x.numpy() if hasattr(x, "numpy") else x)[None] for x in inputs))
    return found


def _recording(name: str, layer: Any, found: dict[str, Array]) -> Callable[..., Any]:
    """Return the forward of a layer that also keeps its weights."""
    forward, weights = type(layer).forward, type(layer).attention_weights

    def run(*args: Any, **kwargs: Any) -> Any:
        found[key_of_call(found, name, layer)] = weights(layer, *args, **kwargs).numpy()[0].copy()
        return forward(layer, *args, **kwargs)

    return run
