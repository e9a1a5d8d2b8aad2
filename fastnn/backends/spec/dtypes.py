"""The dtypes of kernels' arrays: their names, their numbers, and the letters that stand for some of them."""

from __future__ import annotations

DTYPES = ("float32", "float64", "int64", "bool", "uint8", "int32", "bfloat16", "uint64")
"""All dtypes, by number: the ``to`` of `cast`, the columns of the compiled table. Append, never reorder: plans hold numbers."""

TENSOR_DTYPES = DTYPES[:4]
"""The dtypes of Tensors."""

STORED = DTYPES[:7]
"""The dtypes of data at rest, which kernels move and cast: those of Tensors, bytes, short whole numbers and half-size floats."""

LETTERS = {"T": ("float32", "float64"), "N": ("float32", "float64", "int64"), "A": TENSOR_DTYPES, "S": STORED}
"""What a letter stands for: one dtype of these throughout a call."""

SHORT = {"f64": "float64", "i64": "int64", "u64": "uint64", "u8": "uint8", "bool": "bool"}
"""The dtypes that lines name."""


def array_dtype(name: str) -> str:
    """Return the name of the dtype that arrays have: NumPy has no bfloat16, whose bits are in uint16."""
    return "uint16" if name == "bfloat16" else name
