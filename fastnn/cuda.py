"""PyTorch's questions about GPUs. The backend in use decides where everything is: a GPU counts as available if it is CuPy.

>>> import fastnn
>>> fastnn.device("cuda" if fastnn.cuda.is_available() else "cpu") == fastnn.zeros(1).device
True
"""

from __future__ import annotations

from .backends import current
from .core.device import current_device
from .core.seeding import seed

__all__ = ["device_count", "empty_cache", "is_available", "manual_seed", "manual_seed_all", "synchronize"]


def __dir__() -> list[str]:
    return sorted(__all__)


def is_available() -> bool:
    """Return whether the backend in use computes on a GPU; `fastnn.use_backend("cupy")` and FASTNN_BACKEND=cupy select it."""
    return current_device().type == "cuda"


def device_count() -> int:
    """Return the number of GPUs on which the backend in use computes: 1 or 0."""
    return int(is_available())


def manual_seed(number: int) -> None:
    """Set the seed of all random numbers, as `fastnn.seed` does."""
    seed(number)


manual_seed_all = manual_seed


def synchronize() -> None:
    """Wait until the GPU has done its work, if the backend in use computes on one."""
    if is_available():
        current().xp.cuda.Stream.null.synchronize()


def empty_cache() -> None:
    """Do nothing: the memory of freed Tensors is kept for new ones."""
