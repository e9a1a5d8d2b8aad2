"""PyTorch's devices: the CPU, or the GPU of the CuPy backend. The backend in use decides where Tensors are."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..backends import current


class device:  # noqa: N801 (PyTorch's name)
    """Name of a device, as in PyTorch: "cpu" or "cuda", with an index if there is one.

    Tensors and modules are where the backend in use computes. A device can be compared and passed to ``to`` and to arguments
    ``device=``, which raise an error if it is not that of the backend. `fastnn.use_backend` changes the backend.

    Args:
        type: "cpu" or "cuda", also with an index ("cuda:0"), or another device.
        index: number of the device; only 0.

    Raises:
        ValueError: the name is unknown, or the index is not 0.

    >>> import fastnn
    >>> fastnn.device("cuda:0").type, fastnn.device("cpu") == fastnn.zeros(2).device
    ('cuda', True)
    """

    __slots__ = ("index", "type")

    def __init__(self, type: Any, index: int | None = None) -> None:
        name, _, number = str(type).partition(":")
        if name not in ("cpu", "cuda"):
            raise ValueError(f"device: {str(type)!r} came, wanted 'cpu' or 'cuda'")
        if number and index is not None:
            raise ValueError(f"device: {str(type)!r} and the index {index} came; give the index once")
        if number not in ("", "0") or index not in (None, 0):
            raise ValueError(f"device: the index is {number or index}, wanted 0")
        self.type = name
        self.index = 0 if number or index == 0 else None

    def __eq__(self, other: object) -> bool:
        return isinstance(other, device) and (self.type, self.index or 0) == (other.type, other.index or 0)

    def __hash__(self) -> int:
        return hash(self.type)

    def __str__(self) -> str:
        return self.type if self.index is None else f"{self.type}:{self.index}"

    def __repr__(self) -> str:
        return f"device(type={self.type!r})" if self.index is None else f"device(type={self.type!r}, index={self.index})"


def current_device() -> device:
    """Return the device on which the backend in use computes."""
    return device("cpu") if current().xp is np else device("cuda", 0)


def check_device(wanted: Any, op: str) -> None:
    """Raise ValueError unless the device is None or that of the backend: "cpu", or "cuda" for CuPy."""
    if wanted is None:
        return
    own = current_device()
    if type(wanted) is int:
        wanted = device("cuda", wanted)
    if (wanted if isinstance(wanted, device) else str(wanted)) not in (own, own.type, str(own)):
        raise ValueError(
            f"{op}: device is {str(wanted)!r}, but the backend {current().name!r} computes on {own.type!r}; "
            "use fastnn.use_backend"
        )
