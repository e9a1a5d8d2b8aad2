"""The dtypes of kernels' arrays: their names, their numbers, and the letters that stand for some of them."""

from __future__ import annotations

DTYPES = ("float32", "float64", "int64", "bool", "uint64")
"""All dtypes, by number: the ``to`` of `cast`, the columns of the compiled table. Append, never reorder: plans hold numbers."""

TENSOR_DTYPES = DTYPES[:4]
"""The dtypes of Tensors."""

LETTERS = {"T": ("float32", "float64"), "N": ("float32", "float64", "int64"), "A": TENSOR_DTYPES}
"""What a letter stands for: one dtype of these throughout a call."""

SHORT = {"f64": "float64", "i64": "int64", "u64": "uint64", "bool": "bool"}
"""The dtypes that lines name."""
