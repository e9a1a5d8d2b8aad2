"""Patches of images, and products of two inputs, with PyTorch's names."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ...autograd.tensor import Tensor
from ...ops.checks import as_tensor, check_number, floating
from ...ops.create import rand_like, zeros
from ...ops.data import scatter_add
from ...ops.einsum import einsum
from ...ops.elementwise import add, mul
from ...ops.index import getitem, index_select
from ...ops.logic import where
from ...ops.padding import pad_constant
from ...ops.shape import broadcast_to, reshape
from ..layers.convolution import per_axis

Index = np.ndarray[Any, np.dtype[np.int64]]


class _Patches:
    """The pixels of the patches of an image: numbers of the pixels of the image with its border, row after row."""

    def __init__(self, op: str, image: tuple[int, ...], kernel_size: Any, dilation: Any, padding: Any, stride: Any) -> None:
        pair, border = per_axis(2), per_axis(2, 0)
        self.kernel = pair(kernel_size, f"{op}: kernel_size")
        self.padding = border(padding, f"{op}: padding")
        steps, holes = pair(stride, f"{op}: stride"), pair(dilation, f"{op}: dilation")
        self.image = tuple(n + 2 * p for n, p in zip(image, self.padding, strict=True))
        places: list[Index] = []
        for n, k, d, s in zip(self.image, self.kernel, holes, steps, strict=True):
            if n < d * (k - 1) + 1:
                raise ValueError(f"{op}: an image of {self.image} pixels with its border is smaller than a patch {self.kernel}")
            places.append(d * np.arange(k)[:, None] + s * np.arange((n - d * (k - 1) - 1) // s + 1))
        rows, columns = places
        self.count = rows.shape[1] * columns.shape[1]
        self.index = (rows[:, None, :, None] * self.image[1] + columns[None, :, None, :]).reshape(-1)


def unfold(input: Any, kernel_size: Any, dilation: Any = 1, padding: Any = 0, stride: Any = 1) -> Tensor:
    """Return the patches of images: x (N, C, height, width) or (C, height, width), y (N, C kernel pixels, patches).

    >>> import fastnn
    >>> import fastnn.nn.functional as F
    >>> F.unfold(fastnn.arange(9.0).reshape(1, 1, 3, 3), 2)[0, :, 0].tolist()
    [0.0, 1.0, 3.0, 4.0]
    """
    x = floating("unfold", as_tensor(input, "unfold"))
    if x.ndim not in (3, 4):
        raise ValueError(f"unfold: x has shape {x.shape}, wanted (N, C, height, width) or (C, height, width)")
    of = _Patches("unfold", x.shape[-2:], kernel_size, dilation, padding, stride)
    lead, channels = math.prod(x.shape[:-2]), x.shape[-3]
    flat = reshape(x, (lead, *x.shape[-2:], 1))
    flat = reshape(pad_constant(flat, tuple((p, p) for p in of.padding)), (lead, -1))
    rows = channels * math.prod(of.kernel)
    return reshape(index_select(flat, 1, of.index), (*x.shape[:-3], rows, of.count))


def fold(input: Any, output_size: Any, kernel_size: Any, dilation: Any = 1, padding: Any = 0, stride: Any = 1) -> Tensor:
    """Add up patches to images, which is the gradient of `unfold`: x (N, C kernel pixels, patches) or without N.

    >>> import fastnn
    >>> import fastnn.nn.functional as F
    >>> F.fold(fastnn.ones(1, 4, 4), (3, 3), 2)[0, 0].tolist()
    [[1.0, 2.0, 1.0], [2.0, 4.0, 2.0], [1.0, 2.0, 1.0]]
    """
    x = floating("fold", as_tensor(input, "fold"))
    size = per_axis(2)(output_size, "fold: output_size")
    of = _Patches("fold", size, kernel_size, dilation, padding, stride)
    pixels = math.prod(of.kernel)
    if x.ndim not in (2, 3) or x.shape[-2] % pixels or x.shape[-1] != of.count:
        raise ValueError(f"fold: x has shape {x.shape}, wanted (N, C * {pixels}, {of.count}) or (C * {pixels}, {of.count})")
    channels = x.shape[-2] // pixels
    lead = math.prod(x.shape[:-2]) * channels
    index = broadcast_to(as_tensor(of.index, "fold"), (lead, of.index.size))
    whole = scatter_add(zeros(lead, math.prod(of.image), dtype=x.dtype), 1, index, reshape(x, (lead, -1)))
    (top, left), (height, width) = of.padding, size
    inner = getitem(reshape(whole, (lead, *of.image)), (slice(None), slice(top, top + height), slice(left, left + width)))
    return reshape(inner, (*x.shape[:-2], channels, *size))


def bilinear(input1: Any, input2: Any, weight: Any, bias: Any = None) -> Tensor:
    """Return x1^T W x2 + b for each output: x1 (..., A), x2 (..., B), weight (out, A, B), bias (out,).

    >>> import fastnn
    >>> import fastnn.nn.functional as F
    >>> F.bilinear(fastnn.tensor([[1.0, 2.0]]), fastnn.tensor([[3.0]]), fastnn.tensor([[[1.0], [1.0]]])).tolist()
    [[9.0]]
    """
    x1, x2, w = (floating("bilinear", as_tensor(t, "bilinear")) for t in (input1, input2, weight))
    if (
        w.ndim != 3
        or not x1.ndim
        or (x1.shape[-1:], x2.shape[-1:]) != (w.shape[1:2], w.shape[2:])
        or x1.shape[:-1] != x2.shape[:-1]
    ):
        raise ValueError(f"bilinear: shapes {x1.shape}, {x2.shape} and {w.shape} came, wanted (..., A), (..., B) and (out, A, B)")
    rows = einsum("na,oab,nb->no", reshape(x1, (-1, x1.shape[-1])), w, reshape(x2, (-1, x2.shape[-1])))
    y = reshape(rows, (*x1.shape[:-1], w.shape[0]))
    return y if bias is None else add(y, bias)


def rrelu(input: Any, lower: float = 1 / 8, upper: float = 1 / 3, training: bool = False, inplace: bool = False) -> Tensor:
    """Return x where x > 0, else a x: a is random between lower and upper in training, else their mean; inplace has no effect.

    >>> import fastnn
    >>> import fastnn.nn.functional as F
    >>> F.rrelu(fastnn.tensor([-8.0, 2.0]), 0.25, 0.75).tolist()
    [-4.0, 2.0]
    """
    x = floating("rrelu", as_tensor(input, "rrelu"))
    low = check_number(lower, "rrelu: lower", -math.inf)
    high = check_number(upper, "rrelu: upper", low)
    slope = add(mul(rand_like(x), high - low), low) if training else (low + high) / 2
    return where(x > 0, x, mul(x, slope))
