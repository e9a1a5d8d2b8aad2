"""Forward pass of many nets with the same layers: each operation is one kernel call for all of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from ..autograd.tensor import Tensor
from ..backends.spec import LINEAR, Activation
from ..nn.graph.sequential import Sequential
from ..nn.layers.dense import Dense
from ..nn.layers.random import Dropout
from ..nn.layers.shape import Flatten
from ..nn.parameter import Parameter
from ..ops.activation import applied
from ..ops.dense import dense_nets
from ..ops.shape import concatenate

Array = np.ndarray[Any, Any]


class Group(NamedTuple):
    """Nets that share the settings of the optimizer: their numbers, and these settings."""

    members: list[int]
    settings: dict[str, float]


class StackedDense:
    """Dense layer of many nets.

    A group has a parameter for its kernels, (nets of the group, inputs, outputs), and one for its biases, (nets, outputs).
    """

    def __init__(self, layers: Sequence[Dense], groups: Sequence[Group]) -> None:
        self.first, self._layers = layers[0], layers
        self.activation = self.first.activation
        parts = [[layers[i].kernel.numpy() for i in g.members] for g in groups]
        self.kernels = [Parameter(np.stack(part)) for part in parts]
        biases = [[layers[i].bias.numpy() for i in g.members] for g in groups] if layers[0].bias is not None else []
        self.biases = [Parameter(np.stack(part)) for part in biases]

    def __call__(self, x: Tensor) -> Tensor:
        """Return the outputs of all nets, (nets, n, outputs), for x (n, inputs) or (nets, n, inputs)."""
        kernel, bias = _joined(self.kernels), _joined(self.biases) if self.biases else None
        if isinstance(self.activation, Activation):
            return dense_nets(x, kernel, bias, self.activation)
        return applied(self.activation, dense_nets(x, kernel, bias), type(self.first).__name__)

    def takes(self, function: Any) -> bool:
        """Apply an element-wise function to the outputs, if the layer has none yet; return whether it does."""
        if not isinstance(function, Activation) or self.activation != LINEAR:
            return False
        self.activation = function
        return True

    def penalty(self) -> list[Tensor]:
        """Return the penalties of regularizers, each the sum over the nets of a group."""
        of = ((self.first.kernel_regularizer, self.kernels), (self.first.bias_regularizer, self.biases))
        return [regularizer(p) for regularizer, parameters in of if regularizer is not None for p in parameters]

    def write(self, group: int, place: int, number: int) -> None:
        """Copy the weights at a place of a group into the layer of the net with this number."""
        layer = self._layers[number]
        layer.kernel.copy_(self.kernels[group].numpy()[place])
        if self.biases:
            layer.bias.copy_(self.biases[group].numpy()[place])


def _same(x: Tensor) -> Tensor:
    return x


def _joined(parts: Sequence[Tensor]) -> Tensor:
    return parts[0] if len(parts) == 1 else concatenate(list(parts), 0)


class Stack:
    """Forward pass of many nets that have the same layers.

    Args:
        models: the nets.
        groups: nets with the same settings; the outputs are in the order of their members.
        op: name of the operation in messages.

    Raises:
        TypeError: a net is no `Sequential`, or has a layer that cannot be computed for all nets at once.
        ValueError: the nets differ in their layers.
    """

    def __init__(self, models: Sequence[Any], groups: Sequence[Group], op: str) -> None:
        layers = [_layers(model, f"{op}: models[{i}]") for i, model in enumerate(models)]
        if len({len(own) for own in layers}) > 1:
            raise ValueError(
                f"{op}: the models have {sorted({len(own) for own in layers})} layers; wanted the same layers in all"
            )
        self.dense: list[StackedDense] = []
        self._steps: list[Callable[[Tensor], Tensor]] = []
        for n, same in enumerate(zip(*layers, strict=True)):
            _check_equal(op, n, same)
            self._steps.append(self._step(op, n, same, groups))
        if not self.dense:
            raise ValueError(f"{op}: the models have no dense layer")

    def _step(self, op: str, n: int, layers: Sequence[Any], groups: Sequence[Group]) -> Callable[[Tensor], Tensor]:
        first = layers[0]
        if isinstance(first, Dense):
            for name in ("kernel_constraint", "bias_constraint", "activity_regularizer"):
                if getattr(first, name) is not None:
                    raise TypeError(f"{op}: layer {n}, a {type(first).__name__}, has a {name}; such nets are trained one by one")
            self.dense.append(StackedDense(layers, groups))
            return self.dense[-1]
        function = getattr(first, "as_function", lambda: None)()
        last = self._steps[-1] if self._steps else None
        if function is not None and isinstance(last, StackedDense) and last.takes(function):
            return _same
        if function is not None:
            return lambda x: applied(function, x, type(first).__name__)
        if type(first) is Dropout or (type(first) is Flatten and not self.dense):
            call: Callable[[Tensor], Tensor] = first
            return call
        where = " after a dense layer" if type(first) is Flatten else ""
        raise TypeError(
            f"{op}: layer {n} is a {type(first).__name__}{where}; wanted dense layers, activations along the last axis, Dropout, "
            "and Flatten before them; other nets are trained one by one"
        )

    def parameters(self, group: int) -> list[Parameter]:
        """Return the parameters of a group of nets."""
        return [p for layer in self.dense for parts in (layer.kernels, layer.biases) for p in parts[group : group + 1]]

    def __call__(self, x: Tensor) -> Tensor:
        """Return the outputs of all nets, (nets, n, outputs), for x (n, ...)."""
        for step in self._steps:
            x = step(x)
        return x


def _layers(model: Any, where: str) -> list[Any]:
    """Return the layers of a net, with those of nested ones."""
    if not isinstance(model, Sequential):
        raise TypeError(f"{where} is a {type(model).__name__}; wanted a Sequential of dense layers")
    return [layer for part in model.layers for layer in (_layers(part, where) if isinstance(part, Sequential) else [part])]


def _check_equal(op: str, n: int, layers: Sequence[Any]) -> None:
    configs = [_config(layer) for layer in layers]
    other = next((i for i, config in enumerate(configs) if config != configs[0]), None)
    if other is not None:
        raise ValueError(
            f"{op}: models[0] and models[{other}] differ in layer {n}: {layers[0]!r} and {layers[other]!r}; only first weights "
            "and what fit_many takes as lists may differ"
        )


def _config(layer: Any) -> tuple[type, str]:
    """Return the class and the arguments of a layer, without its name and those of its first weights."""
    config = layer.get_config() if hasattr(layer, "get_config") else {}
    return type(layer), repr({key: value for key, value in config.items() if key != "name" and "initializer" not in key})
