"""NumPy functions on Tensors: they use the values, and raise an error if a gradient would be lost."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from .tape import is_grad_enabled
from .tensor import Tensor

_NAMES = {
    "absolute": "abs",
    "column_stack": "cat",
    "concatenate": "cat",
    "dstack": "cat",
    "expand_dims": "unsqueeze",
    "hstack": "cat",
    "max": "max",
    "min": "min",
    "moveaxis": "permute",
    "negative": "neg",
    "power": "pow",
    "ravel": "flatten",
    "repeat": "repeat_interleave",
    "rint": "round",
    "split": "chunk",
    "swapaxes": "permute",
    "take_along_axis": "gather",
    "true_divide": "div",
    "vstack": "cat",
}
"""Name of a NumPy function -> name of fastnn's function, where they differ."""

_WITHOUT_GRADIENT = frozenset(
    {
        *(np.isnan, np.isinf, np.isfinite, np.signbit),
        *(np.shape, np.ndim, np.size, np.result_type, np.can_cast, np.shares_memory, np.may_share_memory),
        *(np.allclose, np.isclose, np.array_equal, np.array_equiv, np.any, np.all, np.count_nonzero, np.nonzero),
        *(np.argmax, np.argmin, np.argsort, np.searchsorted, np.iscomplexobj, np.isrealobj),
        *(np.array2string, np.array_repr, np.array_str, np.save, np.savez, np.savez_compressed, np.savetxt),
        *(np.zeros_like, np.ones_like, np.empty_like, np.full_like),
    }
)
"""Functions whose results never have a gradient: booleans, indices, shapes, text and files."""


def call(function: Any, of_values: Callable[..., Any], args: Any, kwargs: dict[str, Any]) -> Any:
    """Call a NumPy function with the values of Tensors.

    of_values: the function itself or a method of it.

    Raises:
        TypeError: a Tensor requires a gradient, which would be lost, or `out` is a Tensor.
    """
    method = "" if of_values is function else of_values.__name__.replace("__call__", "")
    name = f"{_full_name(function)}.{method}" if method else _full_name(function)
    called = of_values if method else function
    if any(isinstance(a, Tensor) for a in _leaves(kwargs.get("out"))):
        raise TypeError(f"{name}: out is a Tensor, wanted an array")
    if is_grad_enabled() and function not in _WITHOUT_GRADIENT:
        for t in _leaves((args, kwargs)):
            if isinstance(t, Tensor) and t.requires_grad:
                raise TypeError(f"{name} of a Tensor that requires a gradient, which would be lost; use {_instead(called)}")
    return of_values(*_values(args), **_values(kwargs))


def _full_name(function: Any) -> str:
    module = getattr(function, "__module__", None) or "numpy"
    return f"{module.replace('numpy', 'np', 1)}.{function.__name__}" if module.startswith("numpy") else function.__name__


def _instead(function: Any) -> str:
    fastnn = sys.modules[__name__.partition(".")[0]]  # the public package
    name = _NAMES.get(function.__name__, function.__name__)
    same = name in fastnn.__all__ and callable(getattr(fastnn, name))
    return f"fastnn.{name}, or t.detach() to use only the values" if same else "t.detach() to use only the values"


def _leaves(value: Any) -> Iterator[Any]:
    if isinstance(value, list | tuple):
        for item in value:
            yield from _leaves(item)
    elif isinstance(value, dict):
        yield from _leaves(list(value.values()))
    else:
        yield value


def _values(value: Any) -> Any:
    """Replace Tensors by their arrays, in lists, tuples and dicts too."""
    if isinstance(value, Tensor):
        return value.numpy()
    if type(value) in (list, tuple):
        return type(value)(map(_values, value))
    return {key: _values(item) for key, item in value.items()} if type(value) is dict else value
