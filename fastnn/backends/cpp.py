"""Backend with the compiled kernels of `_core`; other kernels run on the NumPy reference."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from .base import LARGE, Backend, Call, Plan, aligned_on_host
from .reference import table
from .spec import ACTIVATIONS, KERNELS, POINTWISE_LOSSES

if TYPE_CHECKING:
    from ..autograd.tensor import Tensor
    from ..replay.frozen import Snapshot
    from ..replay.ports import Ports

try:
    from .. import _core
except ImportError as error:  # a pure wheel, or an extension that cannot be loaded: unavailable() describes it
    _missing = str(error)
else:
    _missing = ""


class CppBackend(Backend):
    """Kernels in C++, run by the thread team of `_core`."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.empty = self._empty

    def _empty(self, shape: int | tuple[int, ...], dtype: Any) -> Any:
        array = np.empty(shape, dtype)
        return array if array.nbytes < LARGE else aligned_on_host(shape, dtype)

    def _plan(self, calls: Sequence[Call], flags: Mapping[int, Any], overlapping: Collection[int]) -> Plan:
        return _core.Plan(calls, flags)

    def run_in_turn(self, parts: tuple[tuple[Plan, int], ...], n: int) -> None:
        if all(isinstance(plan, _core.Plan) for plan, _ in parts):
            _core.Plan.run_in_turn(parts, n)
        else:  # host calls
            super().run_in_turn(parts, n)

    def address(self, array: Any) -> int:
        return _core.address(array)

    def peaks(self, dtype: np.dtype[Any], size: int) -> tuple[float, float]:
        memory = np.ones(max(size, 1 << 14) // 8)
        return _core.peak_gflops(int(dtype == np.float64)), _core.read_gbytes(memory)

    def why_unavailable(self, precision: str) -> str:
        return _core.bf16()[2] if precision == "bfloat16" else super().why_unavailable(precision)

    def engine(self, precision: str) -> str:
        if precision != "bfloat16":
            return super().engine(precision)
        name, rate, _ = _core.bf16()
        measured = f"measured {rate:.1f}x the multiply-adds of float32"
        if name == "float32":
            return f"float32 on rounded factors; {f'AVX512_BF16 {measured}' if rate else 'no faster than float32'}"
        return f"{name.upper()}{f', {measured}' if rate else ''}"

    def freeze(
        self, calls: Sequence[Call], xs: list[Any], outs: list[Any], owned: Sequence[Any], ports: Ports, owner: Snapshot | None
    ) -> Any:
        used = [a for _, args in calls for a in args if hasattr(a, "shape") and a.size]
        begins = sorted(_core.address(a) for a in used)
        between = [
            a for a in owned if _any_within(begins, _core.address(a), a.nbytes) and not any(np.shares_memory(a, o) for o in outs)
        ]
        weights = [t.data for t in owner.constants] if owner else []
        carried = len(ports.states)
        pack = owner is not None
        return _core.freeze(calls, xs, outs, between, weights, carried, ports.alone, ports, owner, ports.batch_size, pack)

    def set_weights(self, models: Sequence[Any], weights: Sequence[Tensor], values: Sequence[np.ndarray[Any, Any]]) -> None:
        fresh = [np.array(a, order="C") for a in values]  # running calls still read the old arrays, which do not change
        _core.set_weights(models, fresh)
        for t, a in zip(weights, fresh, strict=True):
            t.data = a


def _any_within(addresses: Sequence[int], begin: int, size: int) -> bool:
    """Return whether one of the sorted addresses lies in so many bytes from `begin` on."""
    i = bisect_left(addresses, begin)
    return i < len(addresses) and addresses[i] < begin + size


def load() -> Backend:
    _check_functions()
    native = {name: _core.bind(KERNELS[name]) for name, _ in _core.kernels()}
    return CppBackend("cpp", np, table(np), native)


def _check_functions() -> None:
    """Raise RuntimeError unless the numbered functions of kernels are those of the specification."""
    compiled, wanted = _core.activations(), [kind.saves_z for kind in ACTIVATIONS]
    if len(compiled) != len(wanted):
        what = f"csrc/families/functions.h has {len(compiled)} activations, spec.ACTIVATIONS {len(wanted)}"
    elif compiled != wanted:
        i = next(i for i, pair in enumerate(zip(compiled, wanted, strict=True)) if pair[0] != pair[1])
        what = f"saves_z of {ACTIVATIONS[i].name} is {compiled[i]} in csrc/families/functions.h, {wanted[i]} in spec.ACTIVATIONS"
    elif _core.losses() != len(POINTWISE_LOSSES):
        what = f"csrc/families/loss_functions.h has {_core.losses()} losses, spec.POINTWISE_LOSSES {len(POINTWISE_LOSSES)}"
    else:
        return
    raise RuntimeError(f"cpp: {what}: they must agree; after a change of csrc, build it again")


def unavailable() -> str:
    """Return why the compiled kernels cannot be used; empty if they can be used."""
    if not _missing:
        return ""
    from pathlib import Path

    root = Path(__file__).parents[2]
    if "cannot import name" in _missing and (root / "CMakeLists.txt").exists():
        return (
            f"Python imports fastnn's source folder, {root}, not an installation: start Python from another folder "
            "(or pytest instead of python -m pytest), or install fastnn with pip install -e"
        )
    if "cannot import name" in _missing:
        return (
            "this installation has no compiled kernels (no C++ compiler was found when it was installed); "
            "install g++ or clang, then reinstall fastnn with pip install --force-reinstall --no-cache-dir"
        )
    return f"the compiled kernels do not load: {_missing}"
