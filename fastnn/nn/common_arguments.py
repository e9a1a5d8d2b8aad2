"""Arguments that Keras's layers have in common, for layers whose constructor does not list them."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ..core.keywords import arguments_of, makes, naming

if TYPE_CHECKING:
    from .module import Module

_COMMON = frozenset(("batch_input_shape", "input_dim", "input_length", "input_shape", "trainable"))


def with_common_arguments(init: Callable[..., None]) -> Callable[..., None]:
    """Return a layer's constructor that also takes Keras's common arguments, and names misspelt ones.

    A Sequential that begins with the layer takes the shape as that of its `Input`.
    """
    checked = naming(init)

    @functools.wraps(init)
    def made(self: Module, *args: Any, **kwargs: Any) -> None:
        cls: Any = type(self)
        if _COMMON.isdisjoint(kwargs) or not makes(init, cls):
            checked(self, *args, **kwargs)
            return
        names = arguments_of(cls)
        given = {} if names is None else {name: kwargs.pop(name) for name in _COMMON & kwargs.keys() - names}
        trainable = given.pop("trainable", True)
        shape = _shape(cls.__name__, given)
        if shape is not None and "input_shape" in (names or ()):
            kwargs["input_shape"] = shape
        checked(self, *args, **kwargs)
        if shape is not None and "input_shape" not in (names or ()):
            vars(self)["_first_shape"] = shape
        if not trainable:
            self.trainable = False

    return made


def _shape(op: str, given: dict[str, Any]) -> tuple[int | None, ...] | None:
    """Return the shape of a sample from input_shape, batch_input_shape, or input_length and input_dim; None without them."""
    if not given:
        return None
    sizes = [given.pop(name) for name in ("input_length", "input_dim") if name in given]
    if len(given) + bool(sizes) > 1:
        raise TypeError(f"{op}: the shape of the input came twice; give input_shape alone")
    if "batch_input_shape" in given:
        return tuple(given["batch_input_shape"])[1:]
    if "input_shape" in given:
        shape = given["input_shape"]
        return (shape,) if isinstance(shape, int) else tuple(shape)
    return tuple(sizes)
