"""A copy of a model that shows the outputs of its layers, and the scores before its softmax."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from ..autograd.gradients import grad
from ..autograd.tensor import Tensor, enable_grad, no_grad
from ..backends import current
from ..core.structure import own_code
from ..nn.mode import mode, trying, unsampled
from ..nn.module import Module
from ..ops.checks import whole_number

Array = np.ndarray[Any, Any]

_LAST = ("softmax", "log_softmax", "sigmoid")
"""Functions at the end of a classifier that are left out of its scores."""


class Output(NamedTuple):
    """Output of one call of a layer."""

    name: str
    layer: Module
    value: Tensor


def layer_name(model: Module, layer: Any, op: str) -> str:
    """Return the dotted name of a layer, which is given by this name, by its number in the model, or itself.

    Raises:
        ValueError, TypeError: the model has no such layer.
    """
    modules = dict(model.named_modules())
    if isinstance(layer, Module):
        for name, m in modules.items():
            if m is layer:
                return name
        raise ValueError(f"{op}: the layer {type(layer).__name__} is not part of the model")
    if isinstance(layer, str):
        if layer in modules and layer:
            return layer
        raise ValueError(f"{op}: there is no layer {layer!r}; there are: {', '.join(name for name in modules if name)}")
    if isinstance(layer, bool) or not isinstance(layer, int | np.integer):
        raise TypeError(f"{op}: layer is a {type(layer).__name__}; wanted a name, a number or a layer of the model")
    names = [name for name, _ in model.named_children()]
    if not -len(names) <= layer < len(names):
        raise ValueError(f"{op}: layer is {layer}; the model has {len(names)} layers, numbered from 0")
    return names[layer]


class Copy:
    """Copy of a model in evaluation mode, whose parameters need no gradients.

    Args:
        model: a model with one input.
        op: name of the operation, for errors.
    """

    def __init__(self, model: Any, op: str) -> None:
        if not isinstance(model, Module):
            raise TypeError(f"{op}: model is a {type(model).__name__}; wanted a model of fastnn")
        if not model.built:
            raise ValueError(f"{op}: the model has no weights yet, because the input shape is unknown; call it or fit it first")
        self.op = op
        self.model: Module = copy.deepcopy(model)
        self.model.eval()
        for p in self.model.parameters():
            p.requires_grad = False
        self._seen: list[Output] = []
        for name, layer in self.model.named_modules():
            # The instance's attribute is called in place of the method of the class.
            object.__setattr__(layer, "forward", self._shown(name, layer, layer.forward))

    def _shown(self, name: str, layer: Module, forward: Callable[..., Any]) -> Callable[..., Any]:
        def run(*args: Any, **kwargs: Any) -> Any:
            y = forward(*args, **kwargs)
            if isinstance(y, Tensor):
                self._seen.append(Output(name, layer, y))
            return y

        return run

    def run(self, x: Tensor) -> tuple[Tensor, list[Output]]:
        """Return the output for a batch, and the outputs of all calls of layers in order."""
        self._seen.clear()
        with mode(False), unsampled(), trying():
            y = self.model(x)
        if not isinstance(y, Tensor):
            raise TypeError(f"{self.op}: the model returns a {type(y).__name__}; wanted a model with one output")
        seen = self._seen.copy()
        self._seen.clear()
        return y, seen

    def tensor(self, samples: Array, requires_grad: bool = False) -> Tensor:
        """Return samples as a Tensor of the model's dtype."""
        k = current()
        data = k.asarray(np.ascontiguousarray(samples, self.model.dtype))
        k.host_wrote(data)
        return Tensor(data, requires_grad)

    def without_softmax(self, samples: Array) -> None:
        """Leave out the softmax or sigmoid at the end; samples are a batch, on which the model is tried."""
        with no_grad():
            y, seen = self.run(self.tensor(samples))
        last = [o.layer for o in seen if o.value is y and (not o.layer._modules or o.layer._whole)]
        if not last or sum(o.layer is last[-1] for o in seen) > 1:  # a shared layer has a softmax elsewhere, too
            return
        layer, activation = last[-1], getattr(last[-1], "activation", None)
        if activation in _LAST or getattr(activation, "name", None) in _LAST:
            layer.activation = "linear"
        elif own_code(type(layer).__module__) and type(layer).__name__ in ("Softmax", "LogSoftmax", "Sigmoid"):
            object.__setattr__(layer, "forward", lambda x: x)

    def linear(self, name: str) -> None:
        """Leave out the activation of a layer, so that its output has a gradient everywhere."""
        layer = dict(self.model.named_modules())[name]
        if getattr(layer, "activation", None) is not None and layer._parameters:
            layer.activation = "linear"

    def scores(self, samples: Array) -> Array:
        """Return the outputs (n, classes) for samples."""
        with no_grad():
            y, _ = self.run(self.tensor(samples))
        return class_scores(y, self.op).numpy()

    def gradient(self, samples: Array, objective: Callable[[Tensor, list[Output]], Tensor]) -> tuple[Array, Array]:
        """Return the objective (n,) of samples, and the gradient of each by its sample.

        objective: computes a number for each sample from the output and the outputs of the layers.
        """
        x = self.tensor(samples, requires_grad=True)
        with enable_grad():
            values = objective(*self.run(x))
            (dx,) = grad(values.sum(), x)
        assert dx is not None
        return values.numpy(), dx.numpy()


def key_of_call(found: dict[str, Array], name: str, layer: Module) -> str:
    """Return the key for the output of a call of a layer: its name, and a number after it from the second call on."""
    name = name or type(layer).__name__
    count = sum(key == name or key.startswith(f"{name} (") for key in found)
    return f"{name} ({count + 1})" if count else name


def class_scores(y: Tensor, op: str) -> Tensor:
    """Return the scores (n, classes) of a classifier; one with a single output z has the scores 0 and z."""
    if y.ndim != 2:
        raise ValueError(f"{op}: the model's output has shape {y.shape}; wanted (n, classes)")
    if y.shape[1] > 1:
        return y
    from ..ops.shape import concatenate

    return concatenate([y * 0.0, y], axis=1)


def class_number(class_: Any, scores: Array, op: str) -> int:
    """Return a class; by default the one with the largest of these scores (classes,)."""
    if class_ is None:
        return int(scores.argmax())
    if whole_number(class_, f"{op}: class_") >= len(scores):
        raise ValueError(f"{op}: class_ is {class_}; the model has {len(scores)} classes, numbered from 0")
    return int(class_)
