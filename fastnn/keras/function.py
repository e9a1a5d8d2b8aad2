"""Lambda, the layer of a Python function."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ..autograd.tensor import Tensor
from ..core.registered import named, registered_name
from ..nn.module import Module
from ..nn.spec import ANY


class Lambda(Module):
    """Layer that calls a function of its input. The function has no weights of its own.

    A model with it can be saved if the function was registered, by `keras.saving.register_keras_serializable` or
    `fastnn.register`.

    Args:
        function: takes a Tensor, or a list of them, and returns a Tensor or several.
        output_shape, mask: Keras's arguments; only None is supported, since a trial call shows the shape.
        arguments: further arguments of the function, by name.

    >>> import fastnn.keras as keras
    >>> keras.layers.Lambda(lambda x: x[:, :1] * 2)([[1.0, 2.0]]).tolist()
    [[2.0]]
    """

    _saved_as = "keras.Lambda"
    _any_dtype = True
    input_spec = ANY

    def __init__(
        self,
        function: Callable[..., Any] | str,
        output_shape: None = None,
        mask: None = None,
        arguments: Mapping[str, Any] | None = None,
        name: str | None = None,
    ) -> None:
        super().__init__()
        if output_shape is not None or mask is not None:
            raise ValueError("Lambda: output_shape or mask came; wanted None, since a trial call shows the shape")
        found = named(function) if isinstance(function, str) else function
        if not callable(found):
            raise TypeError(f"Lambda: function is a {type(found).__name__}; wanted a function of a Tensor")
        self.function: Callable[..., Any] = found
        self.arguments = dict(arguments or {})
        self.name = name or "lambda"

    def _input(self, x: Any) -> Any:
        if not isinstance(x, list | tuple) or not any(isinstance(item, Tensor) for item in x):
            return super()._input(x)
        return [item if isinstance(item, Tensor) else super(Lambda, self)._input(item) for item in x]

    def forward(self, x: Any) -> Any:
        return self.function(x, **self.arguments)

    def get_config(self) -> dict[str, Any]:
        if (known := registered_name(self.function)) is None:
            raise TypeError(
                "save: the function of a Lambda is not registered; put @fastnn.register before its definition, or use "
                "save_weights()"
            )
        return {"function": known, "arguments": self.arguments}

    def output_shape(self, input_shape: tuple[int, ...]) -> tuple[int, ...]:
        y = self.compute_output_shape((None, *input_shape))
        return tuple(y[1:])

    def extra_repr(self) -> str:
        return getattr(self.function, "__name__", type(self.function).__name__)
