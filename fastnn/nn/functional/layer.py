"""Dense layers, dropout, normalization and embeddings with PyTorch's arguments."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ...autograd.tensor import Array, Tensor, torch_names
from ...backends import current
from ...core.seeding import stream
from ...ops import embedding as tables
from ...ops import normalization, random
from ...ops.checks import as_tensor, check_number, floating
from ...ops.data import one_hot as hot
from ...ops.dense import matmul_transposed
from ...ops.elementwise import add, div, maximum, sub
from ...ops.layout import channels_first, channels_last
from ...ops.reduce import norm
from ..layers.sample_normalization import groups_of


def linear(input: Any, weight: Any, bias: Any = None) -> Tensor:
    """Input @ weight^T + bias: input (..., in), weight (out, in), bias (out,).

    >>> import fastnn
    >>> import fastnn.nn.functional as F
    >>> F.linear(fastnn.tensor([[1.0, 2.0]]), fastnn.tensor([[3.0, 4.0]]), fastnn.tensor([1.0])).tolist()
    [[12.0]]
    """
    y = matmul_transposed(as_tensor(input, "linear"), as_tensor(weight, "linear"))
    return y if bias is None else add(y, bias)


def _drawing(op: str, p: float) -> tuple[Array, Array]:
    """Return the state of the stream and the rate."""
    k = current()
    return stream(k), k.constant(np.array([check_number(p, f"{op}: p", 0, 1)]))


def dropout(input: Any, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """Set a fraction p of the elements to 0 and scale the others up, if training is True; inplace has no effect."""
    x = as_tensor(input, "dropout")
    return random.dropout(x, *_drawing("dropout", p)) if training and p else x


def alpha_dropout(input: Any, p: float = 0.5, training: bool = False, inplace: bool = False) -> Tensor:
    """Drop elements to SELU's minimum, and keep mean and variance, if training is True; inplace has no effect."""
    x = as_tensor(input, "alpha_dropout")
    return random.alpha_dropout(x, *_drawing("alpha_dropout", p)) if training and p else x


def _channels(op: str, axes: int, input: Any, p: float, training: bool) -> Tensor:
    x = as_tensor(input, op)
    if x.ndim not in (axes + 1, axes + 2):
        raise ValueError(f"{op}: x has shape {x.shape}, wanted (N, C, ...) or (C, ...) with {axes} axes of an image")
    if not training or not p:
        return x
    batch = x.ndim == axes + 2
    return random.channel_dropout(x, *_drawing(op, p), 1 if batch else 0, batch)


def dropout1d(input: Any, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """Set whole channels of sequences to 0 and scale the others up, if training is True; inplace has no effect."""
    return _channels("dropout1d", 1, input, p, training)


def dropout2d(input: Any, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """Set whole channels of images to 0 and scale the others up, if training is True; inplace has no effect."""
    return _channels("dropout2d", 2, input, p, training)


def dropout3d(input: Any, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """Set whole channels of volumes to 0 and scale the others up, if training is True; inplace has no effect."""
    return _channels("dropout3d", 3, input, p, training)


def embedding(
    input: Any,
    weight: Any,
    padding_idx: int | None = None,
    max_norm: float | None = None,
    norm_type: float = 2.0,
    scale_grad_by_freq: bool = False,
    sparse: bool = False,
) -> Tensor:
    """Return rows of a table (V, C) by index; see `fastnn.nn.Embedding`. sparse has no effect."""
    if max_norm is not None:
        raise ValueError("embedding: max_norm came; fastnn.nn.Embedding has it")
    weight = as_tensor(weight, "embedding")
    padding = padding_idx + weight.shape[0] if padding_idx is not None and padding_idx < 0 else padding_idx
    return tables.embedding(weight, input, padding, scale_grad_by_freq)


def one_hot(tensor: Any, num_classes: int = -1) -> Tensor:
    """Return rows with 1 at the label and 0 elsewhere, as int64.

    num_classes: length of a row; by default one more than the greatest label, which makes steps unfit for recording.

    Raises:
        ValueError: a label is negative or not below num_classes.
    """
    labels = as_tensor(tensor, "one_hot")
    if labels.size and (labels.data.min() < 0 or (num_classes >= 0 and labels.data.max() >= num_classes)):
        raise ValueError(f"one_hot: labels from {labels.data.min()} to {labels.data.max()}, wanted from 0 to num_classes - 1")
    if num_classes == -1:
        current().host_reads("one_hot without num_classes")
        num_classes = int(labels.data.max()) + 1
    return hot(labels, num_classes, np.int64)


@torch_names
def normalize(input: Any, ord: float = 2.0, axis: int | Sequence[int] = 1, eps: float = 1e-12) -> Tensor:
    """Divide by the norm along an axis, which counts as eps if it is smaller.

    >>> import fastnn
    >>> import fastnn.nn.functional as F
    >>> [round(v, 4) for v in F.normalize(fastnn.tensor([3.0, 4.0]), dim=0).tolist()]
    [0.6, 0.8]
    """
    x = floating("normalize", as_tensor(input, "normalize"))
    return div(x, maximum(norm(x, ord, axis, True), eps))


def pairwise_distance(x1: Any, x2: Any, p: float = 2.0, eps: float = 1e-6, keepdim: bool = False) -> Tensor:
    """Return the norm of x1 - x2 + eps along the last axis."""
    return norm(add(sub(as_tensor(x1, "pairwise_distance"), x2), eps), p, -1, keepdim)


def layer_norm(input: Any, normalized_shape: Sequence[int], weight: Any = None, bias: Any = None, eps: float = 1e-5) -> Tensor:
    """Give the last axes mean 0 and variance 1, then scale and shift; see `fastnn.nn.LayerNorm`."""
    x, n = _last("layer_norm", input, normalized_shape)
    scale, shift = (None if v is None else as_tensor(v, "layer_norm") for v in (weight, bias))
    return normalization.normalize(x, (x.size // max(n, 1), 1, 1, n), scale, shift, eps, op="layer_norm")


def rms_norm(input: Any, normalized_shape: Sequence[int], weight: Any = None, eps: float | None = None) -> Tensor:
    """Divide the last axes by the root of their mean square, then scale; see `fastnn.nn.RMSNorm`."""
    x, n = _last("rms_norm", input, normalized_shape)
    scale = None if weight is None else as_tensor(weight, "rms_norm")
    epsilon = float(np.finfo(x.dtype).eps) if eps is None else eps
    return normalization.normalize(x, (x.size // max(n, 1), 1, 1, n), scale, None, epsilon, center=False, op="rms_norm")


def _last(op: str, input: Any, shape: Sequence[int]) -> tuple[Tensor, int]:
    x, sizes = floating(op, as_tensor(input, op)), tuple(shape)
    if x.shape[x.ndim - len(sizes) :] != sizes:
        raise ValueError(f"{op}: x has shape {x.shape}, wanted {sizes} as its last sizes")
    return x, math.prod(sizes)


def group_norm(input: Any, num_groups: int, weight: Any = None, bias: Any = None, eps: float = 1e-5) -> Tensor:
    """Give each group of channels mean 0 and variance 1, then scale and shift the channels; see `fastnn.nn.GroupNorm`."""
    x = floating("group_norm", as_tensor(input, "group_norm"))
    if x.ndim < 2 or x.shape[1] % num_groups:
        raise ValueError(f"group_norm: x has shape {x.shape}, wanted (N, C, ...) with C a multiple of {num_groups}")
    first = x.ndim > 2
    x = channels_last(x) if first else x
    scale, shift = (None if v is None else as_tensor(v, "group_norm") for v in (weight, bias))
    y = normalization.normalize(x, groups_of(x, num_groups), scale, shift, eps, op="group_norm")
    return channels_first(y) if first else y


def batch_norm(
    input: Any,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Any = None,
    bias: Any = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """Give each channel mean 0 and variance 1, then scale and shift it; see `fastnn.nn.BatchNorm2d`.

    In training, mean and variance are those of the batch, and the running ones, if there are any, move towards them in place.
    """
    x = floating("batch_norm", as_tensor(input, "batch_norm"))
    first = x.ndim > 2
    x = channels_last(x) if first else x
    scale, shift = (None if v is None else as_tensor(v, "batch_norm") for v in (weight, bias))
    if not training:
        if running_mean is None or running_var is None:
            raise ValueError("batch_norm: no running_mean and running_var came; they are needed if training is False")
        y = normalization.normalize_by(x, running_mean, running_var, scale, shift, eps, "batch_norm")
    else:
        rows = math.prod(x.shape[:-1])
        if rows < 2:
            raise ValueError(f"batch_norm: x has {rows} numbers for each channel, wanted more than one in training")
        running = None if running_mean is None or running_var is None else (running_mean, running_var)
        how: dict[str, Any] = {"running": running, "momentum": momentum, "op": "batch_norm"}
        y = normalization.normalize(x, (1, rows, x.shape[-1], 1), scale, shift, eps, **how)
    return channels_first(y) if first else y
