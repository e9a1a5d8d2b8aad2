"""Kernels in CUDA, compiled at first use by NVRTC through CuPy; matrix products by cuBLASLt; plans are CUDA graphs."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import numpy as np

from ..base import Backend, Call, Plan, seconds
from ..reference import table as reference
from ..spec import FAMILIES, LINEAR
from .device import Device
from .shared import SharedArray

INSTALL = 'pip install "fastnn[cuda]"'


MOST_CONSTANTS = 4096
SURELY_FITS = 1 << 26
"""Size in bytes below which an array is copied to the device without checking the free memory."""


class CupyBackend(Backend):
    """Backend with kernels on a GPU.

    Args:
        device: the GPU.
        native: its kernels.
    """

    def __init__(self, device: Device, native: Mapping[str, Any]) -> None:
        from .dense import dense_forward_aux, dense_nets_forward_aux

        own: dict[str, Any] = {"dense_forward": dense_forward_aux, "dense_nets_forward": dense_nets_forward_aux}
        super().__init__("cupy", device.xp, reference(device.xp), native, own)
        self.device = device
        self.empty = device.empty
        self._constants: dict[Any, Any] = {}

    def why_unavailable(self, precision: str) -> str:
        have, need = self.device.capability, 80
        if precision == "float32" or have >= need:
            return ""
        return f"products of {precision} need a GPU of compute capability {need / 10}, this one has {have / 10}"

    compiles = True
    processor = "the GPU"

    def peaks(self, dtype: np.dtype[Any], size: int) -> tuple[float, float]:
        a, b, c = (self.asarray(np.ones((2048, 2048), dtype)) for _ in range(3))
        x, y = (self.empty(max(size, 1 << 20) // 8, np.float64) for _ in range(2))
        self.fill(x, 1.0)
        product = seconds(lambda: self.matmul_nn(c, a, b, 1.0, 0.0, 0), self.wait)
        copy = seconds(lambda: self.activation_forward(y, x, LINEAR), self.wait)
        return 2e-9 * 2048**3 / product, 2e-9 * x.nbytes / copy

    def wait(self) -> None:
        self.device.wait()

    def shared_array(self, values: Any, dtype: Any = np.float64) -> Any:
        given = np.asarray(values, dtype)
        own = self.device.page_locked(given.nbytes)[: given.nbytes].view(given.dtype).reshape(given.shape).view(SharedArray)
        own[...] = given
        return own

    def asarray(self, a: Any, dtype: Any = None) -> Any:
        if not isinstance(a, np.ndarray):
            with self.device.stream:
                return self.xp.asarray(a, dtype, order="C")
        array = self.empty(a.shape, a.dtype if dtype is None else dtype)
        self.write(array, a)
        return array

    def constant(self, a: np.ndarray[Any, Any]) -> Any:
        key = a.shape, a.dtype, a.tobytes()
        if key not in self._constants:
            if len(self._constants) >= MOST_CONSTANTS:
                self._constants.clear()  # recordings keep the constants that they use
            self._constants[key] = self.asarray(a)
        return self._constants[key]

    def write(self, array: Any, values: Any) -> None:
        with self.device.stream:
            if isinstance(values, np.ndarray) and not isinstance(array, SharedArray):
                # The copy from page-locked memory is asynchronous, so Python could change the values before they are read.
                values = values.copy() if isinstance(values, SharedArray) else values
                array.set(np.ascontiguousarray(values, array.dtype).reshape(array.shape))
            else:
                array[...] = values

    def to_numpy(self, a: Any) -> np.ndarray[Any, Any]:
        if isinstance(a, np.ndarray):
            self.device.wait()
            return np.asarray(a).view(np.ndarray)
        with self.device.stream:
            host: np.ndarray[Any, Any] = a.get()
        return host

    def dataset(self, a: np.ndarray[Any, Any]) -> Any:
        if a.nbytes > SURELY_FITS and a.nbytes > self.device.free() // 2:
            return self.shared_array(a, a.dtype)
        return self.asarray(a)

    def is_streamed(self, a: Any) -> bool:
        return isinstance(a, np.ndarray)

    def _plan(self, calls: Sequence[Call], flags: Mapping[int, Any], overlapping: Collection[int]) -> Plan:
        from .graph import GraphPlan

        return GraphPlan(self, self.device, calls, flags, overlapping)


def load() -> Backend:
    from .device import CudaDevice

    return CupyBackend(device := CudaDevice(), kernels(device))


def kernels(device: Device) -> dict[str, Any]:
    """Return all kernels of the contract on a device."""
    from .launch import table

    found: dict[str, Any] = {}
    for family in (import_module(f".{name}", __name__) for name in FAMILIES):
        found |= family.table(device) if hasattr(family, "table") else table(device, family.BLOCKS)
    return found


def unavailable() -> str:
    """Return why kernels on a GPU are not available here; empty if they are available."""
    if find_spec("cupy") is None:
        return f"CuPy is not installed; {INSTALL} installs it (for a driver of CUDA 13; for CUDA 12: cupy-cuda12x)"
    try:
        import cupy
    except Exception as error:
        return f"CuPy does not load: {error}"
    runtime = cupy.cuda.runtime
    driver = runtime.driverGetVersion()
    wanted = runtime.runtimeGetVersion()
    if not driver:
        return "there is no NVIDIA driver; install the one for your GPU"
    if driver // 1000 < wanted // 1000:
        have, need = driver // 1000, wanted // 1000
        return f"the NVIDIA driver is of CUDA {have} and CuPy of CUDA {need}; update the driver, or pip install cupy-cuda{have}x"
    try:
        if not runtime.getDeviceCount():
            return "there is no NVIDIA GPU"
    except runtime.CUDARuntimeError as error:
        return f"there is no NVIDIA GPU that can be used: {error}"
    if find_spec("nvmath") is None:
        return f"nvmath-python, which calls cuBLASLt, is not installed; {INSTALL} installs it"
    return ""
