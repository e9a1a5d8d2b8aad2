"""cuBLASLt on the emulated device: the functions of nvmath's bindings that products are made by, on addresses, in NumPy."""

from __future__ import annotations

import copy
import ctypes
import math
from collections.abc import Callable
from enum import IntEnum
from types import SimpleNamespace
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
Start = Callable[[Callable[[], None]], None]


class CublasLt:
    """Stands for the module `nvmath.bindings.cublasLt`.

    Args:
        start: gives the device work.
        epilogues: those that it has algorithms for.
    """

    class Epilogue(IntEnum):
        DEFAULT = 1
        RELU = 2
        BIAS = 4
        RELU_BIAS = 6
        GELU = 32
        GELU_BIAS = 36
        GELU_AUX = 160
        GELU_AUX_BIAS = 164

    class MatmulDescAttribute(IntEnum):
        TRANSA = 3
        TRANSB = 4
        EPILOGUE = 7
        BIAS_POINTER = 8
        EPILOGUE_AUX_POINTER = 11
        EPILOGUE_AUX_LD = 12
        BIAS_DATA_TYPE = 26

    class MatmulPreferenceAttribute(IntEnum):
        MAX_WORKSPACE_BYTES = 1
        MIN_ALIGNMENT_A_BYTES = 5
        MIN_ALIGNMENT_B_BYTES = 6
        MIN_ALIGNMENT_C_BYTES = 7
        MIN_ALIGNMENT_D_BYTES = 8

    class cuBLASLtError(Exception):  # noqa: N801 (its name)
        def __init__(self, status: int) -> None:
            super().__init__(f"status {status}")
            self.status = status

    matmul_heuristic_result_dtype = np.dtype(
        [
            ("algo", [("data_", "<u8", (8,))]),
            ("workspace_size", "<u8"),
            ("state", "<i4"),
            ("waves_count", "<f4"),
            ("reserved", "<i4", (4,)),
        ]
    )

    def __init__(self, start: Start, epilogues: tuple[str, ...] = tuple(Epilogue.__members__)) -> None:
        self._start = start
        self.epilogues = {self.Epilogue[name] for name in epilogues}
        self.asked: list[Any] = []
        """The descriptions that an algorithm was asked for."""
        self.done: list[str] = []
        """The epilogues of the products."""
        self._objects: dict[int, SimpleNamespace] = {}

    def _new(self, **fields: Any) -> int:
        self._objects[key := 1000 + len(self._objects)] = SimpleNamespace(**fields)
        return key

    def create(self) -> int:
        return self._new(handle=True)

    def matmul_desc_create(self, compute: int, scale: int) -> int:
        return self._new(compute=compute, scale=scale, TRANSA=0, TRANSB=0, EPILOGUE=1)

    def matrix_layout_create(self, kind: int, rows: int, columns: int, leading: int) -> int:
        assert leading >= rows
        return self._new(kind=kind, rows=rows, columns=columns, leading=leading)

    def matmul_preference_create(self) -> int:
        return self._new()

    def matmul_desc_destroy(self, key: int) -> None:
        self._objects[key] = SimpleNamespace()

    matrix_layout_destroy = matmul_preference_destroy = matmul_desc_destroy

    def get_matmul_desc_attribute_dtype(self, attribute: IntEnum) -> Any:
        return np.uint32 if attribute.name == "EPILOGUE" else np.int64 if attribute.name.endswith(("POINTER", "LD")) else np.int32

    def get_matmul_preference_attribute_dtype(self, attribute: IntEnum) -> Any:
        return np.uint64 if attribute.name.endswith("WORKSPACE_BYTES") else np.uint32

    def matmul_desc_set_attribute(self, key: int, attribute: IntEnum, buffer: int, size: int) -> None:
        setattr(self._objects[key], attribute.name, int.from_bytes(ctypes.string_at(buffer, size), "little"))

    matmul_preference_set_attribute = matmul_desc_set_attribute

    def matmul_algo_get_heuristic(
        self, handle: int, desc: int, a: int, b: int, c: int, d: int, preference: int, most: int, found: int, count: int
    ) -> None:
        assert self._objects[handle].handle and c == d and most == 1
        self.asked.append(description := self._objects[desc])
        if description.EPILOGUE not in self.epilogues:
            raise self.cuBLASLtError(15)
        wanted = self._objects[preference]
        answer = np.zeros(1, self.matmul_heuristic_result_dtype)
        answer["algo"]["data_"][0, :2] = desc, wanted.MIN_ALIGNMENT_A_BYTES
        answer["workspace_size"] = wanted.MAX_WORKSPACE_BYTES // 2
        ctypes.memmove(found, answer.ctypes.data, answer.nbytes)
        ctypes.memmove(count, np.ones(1, np.int32).ctypes.data, 4)

    def matmul(
        self,
        handle: int,
        desc: int,
        alpha: int,
        a: int,
        a_layout: int,
        b: int,
        b_layout: int,
        beta: int,
        c: int,
        c_layout: int,
        d: int,
        d_layout: int,
        algorithm: int,
        workspace: int,
        workspace_size: int,
        stream: int,
    ) -> None:
        of, out = copy.copy(self._objects[desc]), self._objects[d_layout]
        plan, alignment = np.frombuffer(ctypes.string_at(algorithm, 16), np.uint64)
        assert plan == desc and self._objects[handle].handle and c == d and c_layout == d_layout
        assert not any(pointer % int(alignment) for pointer in (a, b, d)), "less aligned than was said"
        assert _bytes(workspace, workspace_size).size == workspace_size
        numbers = "<f8" if of.scale == 1 else "<f4"
        scale, keep = (np.frombuffer(_bytes(p, 4 + 4 * (of.scale == 1)), numbers)[0] for p in (alpha, beta))
        self.done.append(self.Epilogue(of.EPILOGUE).name)
        factors = (a, self._objects[a_layout]), (b, self._objects[b_layout])
        self._start(lambda: self._compute(of, factors, d, out, scale, keep, numbers))

    def _compute(self, of: Any, factors: Any, d: int, out: Any, scale: Any, keep: Any, numbers: str) -> None:
        """What the device does, when its turn comes."""
        first, second = (_factor(*factor, of.compute) for factor in factors)
        z = scale * ((first.T if of.TRANSA else first) @ (second.T if of.TRANSB else second))
        result = _matrix(d, out.rows, out.columns, out.leading, numbers)
        if keep:
            z += keep * result
        name = self.Epilogue(of.EPILOGUE).name
        if "BIAS" in name:
            assert of.scale == of.BIAS_DATA_TYPE
            z += _matrix(of.BIAS_POINTER, out.rows, 1, out.rows, numbers)
        if "AUX" in name:
            assert not of.EPILOGUE_AUX_LD % 8 and not of.EPILOGUE_AUX_POINTER % 16
            _matrix(of.EPILOGUE_AUX_POINTER, out.rows, out.columns, of.EPILOGUE_AUX_LD, numbers)[...] = z
        if "RELU" in name:
            z = np.maximum(z, 0)
        if "GELU" in name:
            z = z / 2 * (1 + np.tanh(math.sqrt(2 / math.pi) * (z + 0.044715 * z**3)))
        result[...] = z


def _factor(pointer: int, layout: Any, compute: int) -> Array:
    """A factor's values, in float64."""
    size = layout.rows, layout.columns, layout.leading
    if layout.kind == 14:
        return (_matrix(pointer, *size, "<u2").astype(np.uint32) << 16).view(np.float32).astype(np.float64)
    values = _matrix(pointer, *size, "<f8" if layout.kind == 1 else "<f4")
    if compute == 77:  # tf32, by tensor cores that cut off what they have no bits for
        values = (np.ascontiguousarray(values).view(np.uint32) & np.uint32(0xFFFFE000)).view(np.float32)
    return values.astype(np.float64)


def _bytes(pointer: int, size: int) -> Array:
    return np.frombuffer((ctypes.c_char * size).from_address(pointer), np.uint8)


def _matrix(pointer: int, rows: int, columns: int, leading: int, kind: str) -> Array:
    """The column-major matrix at an address."""
    memory = (ctypes.c_char * (np.dtype(kind).itemsize * (leading * (columns - 1) + rows))).from_address(pointer)
    item = np.dtype(kind).itemsize
    return np.ndarray((rows, columns), kind, memory, strides=(item, leading * item))
