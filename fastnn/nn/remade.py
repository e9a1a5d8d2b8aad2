"""Layers that are made again when one of their arguments changes."""

from __future__ import annotations

from typing import Any

from ..core.registry import Remade
from .module import Module


class RemadeModule(Remade, Module):
    """Layer whose constructor's arguments can be changed; its derived attributes are then computed again (see `Remade`)."""

    _saved_as = ""

    def _remade(self, name: str, value: Any) -> Any:
        self._refuse_fixed(name)
        return super()._remade(name, value)

    def _kept(self) -> frozenset[str]:
        return super()._kept() | vars(Module()).keys()
