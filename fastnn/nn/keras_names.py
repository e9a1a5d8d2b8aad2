"""Keras's names of what modules have: weights by kind, layers by name, losses of a call, symbols of a layer."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Generic, TypeVar, overload

from ..autograd.tensor import Tensor

if TYPE_CHECKING:
    from .module import Module
    from .parameter import Parameter

T = TypeVar("T")


class Computed(Generic[T]):
    """Attribute that is computed, unless an instance has one of the same name, such as `self.output = Linear(3, 2)`."""

    def __init__(self, compute: Callable[[Any], T]) -> None:
        self.compute, self.__doc__ = compute, compute.__doc__

    @overload
    def __get__(self, instance: None, owner: type) -> Computed[T]: ...

    @overload
    def __get__(self, instance: Any, owner: type) -> T: ...

    def __get__(self, instance: Any, owner: type) -> Any:
        return self if instance is None else self.compute(instance)


class KerasNames:
    """Methods of `fastnn.nn.Module` with Keras's names."""

    if TYPE_CHECKING:

        @property
        def weights(self) -> list[Parameter]: ...

        _modules: dict[str, Module]
        _holders: Any

        def parameters(self) -> Iterator[Parameter]: ...

    def count_params(self) -> int:
        """Return the number of values in the weights: parameters and buffers.

        >>> import fastnn
        >>> fastnn.Dense(2, input_shape=(3,)).count_params()
        8
        """
        return sum(w.size for w in self.weights)

    @Computed
    def trainable_weights(self) -> list[Parameter]:
        """Return the parameters that training changes, in the order of `weights`."""
        return [w for w in self.weights if w.requires_grad]

    @Computed
    def non_trainable_weights(self) -> list[Parameter]:
        """Return the frozen parameters, and the buffers."""
        return [w for w in self.weights if not w.requires_grad]

    variables = Computed(lambda self: self.weights)
    trainable_variables = Computed(lambda self: self.trainable_weights)
    non_trainable_variables = Computed(lambda self: self.non_trainable_weights)

    def get_layer(self, name: str | None = None, index: int | None = None) -> Module:
        """Return the layer with this name or index.

        >>> import fastnn
        >>> model = fastnn.Sequential([fastnn.Dense(4, input_shape=(3,)), fastnn.Dense(2)])
        >>> model.get_layer("dense_1") is model.get_layer(index=1)
        True
        """
        layers = list(self._modules.values())
        if name is not None:
            found = next((m for m in layers if getattr(m, "name", None) == name), self._modules.get(name))
            if found is not None:
                return found
            known = ", ".join(str(getattr(m, "name", key)) for key, m in self._modules.items())
            raise ValueError(f"get_layer: there is no layer {name!r}; there are: {known or 'none'}")
        if index is None:
            raise ValueError("get_layer: wanted a name or an index")
        if not -len(layers) <= index < len(layers):
            raise ValueError(f"get_layer: index is {index}; there are {len(layers)} layers")
        return layers[index]

    def add_loss(self, loss: Any) -> None:
        """Add a loss to those of the current call; for the ``call`` or ``forward`` of a custom layer.

        fit adds `losses` to the loss. They are those of the layer's last call.

        >>> import fastnn
        >>> class Small(fastnn.Layer):
        ...     def call(self, inputs):
        ...         self.add_loss(0.5 * (inputs**2).mean())
        ...         return inputs
        >>> layer = Small()
        >>> y = layer([[2.0, 2.0]])
        >>> layer.losses
        [tensor(2.)]
        """
        if not isinstance(loss, Tensor) or loss.ndim:
            what = f"a Tensor of shape {loss.shape}" if isinstance(loss, Tensor) else f"a {type(loss).__name__}"
            raise TypeError(f"add_loss: {what} came; wanted a Tensor without dimensions, made by operations")
        vars(self).setdefault("_added", []).append(loss)

    def to_json(self, **kwargs: Any) -> str:
        """Return the layers and their arguments as JSON, for `fastnn.keras.models.model_from_json`; kwargs are json.dumps's."""
        from ..files.layers import layer_config, number

        return json.dumps(layer_config(self), default=number, **kwargs)

    @Computed
    def input(self) -> Any:
        """Return the symbol on which the layer was called in a graph or in a Sequential whose shape is known."""
        from .graph.nodes import node_of

        return node_of(self)[0]

    @Computed
    def output(self) -> Any:
        """Return the symbol that the layer returned in a graph or in a Sequential whose shape is known.

        >>> import fastnn
        >>> model = fastnn.Sequential([fastnn.Input((3,)), fastnn.Dense(4), fastnn.Dense(2)])
        >>> fastnn.Model(model.inputs, model.layers[0].output).predict([[1.0, 2.0, 3.0]]).shape
        (1, 4)
        """
        from .graph.nodes import node_of

        return node_of(self)[1]


def with_losses(forward: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap a forward that calls add_loss, so that each call begins without the losses of the call before."""

    @functools.wraps(forward)
    def wrapped(self: Any, *args: Any, **kwargs: Any) -> Any:
        vars(self).pop("_added", None)
        return forward(self, *args, **kwargs)

    return wrapped


def adds_losses(method: Any) -> bool:
    """Return whether the code of a method has the name add_loss in it."""
    return "add_loss" in getattr(getattr(method, "__code__", None), "co_names", ())
