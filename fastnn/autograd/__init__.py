"""Gradients with respect to any Tensors, and the graph of the operations that made a Tensor."""

import sys as _sys
from typing import Any as _Any

from ..core.lazy import Package as _LazyPackage
from ..core.lazy import lazily as _lazily

_NAMES = {
    ".": "functional",
    ".check": "gradcheck",
    ".check_second": "gradgradcheck",
    ".function": "Function",
    ".gradients": "Graph Operation Value grad graph",
}


class _Package(_LazyPackage):
    """Module class that loads the operations together with `tensor`, for example when unpickling. Tensor methods need them."""

    def __setattr__(self, name: str, value: _Any) -> None:
        super().__setattr__(name, value)
        if name == "tensor":
            from .. import ops  # noqa: F401


_sys.modules[__name__].__class__ = _Package

__all__, __getattr__, __dir__ = _lazily(__name__, _NAMES)
