"""Layers in Keras's style: a `call` that gets the mode, and a `build` that is called once."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ..core.block import Finally

if TYPE_CHECKING:
    from .module import Module


def with_mode(call: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap a custom call(x, training=...) so that it gets the mode, as in Keras."""

    @functools.wraps(call)
    def forward(self: Module, *args: Any, **kwargs: Any) -> Any:
        return call(self, *args, **{"training": self.training, **kwargs})

    return forward


def marking(build: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap a custom build. It then stores that it ran, and if it fails, undoes its changes so that it can be called again."""

    @functools.wraps(build)
    def marked(self: Module, input_shape: Any) -> None:
        held: list[dict[str, Any]] = [vars(self), self._parameters, self._modules, self._buffers]
        before = [dict(own) for own in held]
        before[0]["_auto_names"] = list(vars(self).get("_auto_names", ()))

        done: list[bool] = []

        def undo() -> None:
            for own, kept in zip(held, before, strict=True):
                if not done:
                    own.update(kept)
                    for name in own.keys() - kept.keys():
                        del own[name]

        with Finally(undo):
            build(self, input_shape)
            vars(self)["_built"] = True
            vars(self)["_built_for"] = input_shape
            done.append(True)

    return marked
