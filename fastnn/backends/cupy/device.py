"""The GPU as the kernels see it: memory, programs and launches, by CuPy."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np


class Device(Protocol):
    """What the backend asks of a device; the tests have one that runs the same programs on the CPU."""

    xp: Any
    """The module of its arrays."""

    def pointer(self, array: Any, kernel: str, name: str) -> int:
        """Where an argument's elements lie on the device; TypeError for what is not the device's."""

    def compile(self, source: str, entry: str) -> Any:
        """The entry point of a program."""

    def launch(self, entry: Any, blocks: int, threads: int, arguments: np.ndarray[Any, Any]) -> None:
        """Starts an entry point with the bytes of its argument struct."""
