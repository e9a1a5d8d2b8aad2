"""Base of the modules that are made from other modules, which files contain."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .module import Module


class Containing(Module):
    """Base of the modules that are made from other modules. A subclass also has a ``from_config(config, make)``."""

    _saved_as = ""

    def get_config(self) -> dict[str, Any]:
        from ..files.layers import Writer

        return self.config_by(Writer().layer)

    def config_by(self, write: Callable[[Module], dict[str, Any]]) -> dict[str, Any]:
        """Return the config, with those of the modules as write gives them."""
        raise NotImplementedError
