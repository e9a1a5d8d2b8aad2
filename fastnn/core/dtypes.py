"""Dtypes by PyTorch's names. Tensors are of float32, float64, int64 or bool; operations refuse the others with an error."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np

dtype = np.dtype
float32 = float = np.dtype("float32")
float64 = double = np.dtype("float64")
int64 = long = np.dtype("int64")
bool = np.dtype("bool")

float16 = half = np.dtype("float16")
int32 = int = np.dtype("int32")
int16 = short = np.dtype("int16")
int8 = np.dtype("int8")
uint8 = np.dtype("uint8")

finfo, iinfo = np.finfo, np.iinfo
Size: TypeAlias = tuple  # type: ignore[type-arg]  # a class, for isinstance
"""Type of shapes."""
