"""Losses with PyTorch's arguments; each calls the loss of `fastnn.nn` with these settings."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from ...autograd.tensor import Tensor
from ...losses.torch import classes, pairs, pointwise
from ...ops import logic
from ...ops.activation import relu
from ...ops.checks import as_tensor, floating
from ...ops.composed import cumprod
from ...ops.data import as_index, gather
from ...ops.elementwise import clip
from ...ops.reduce import any as some
from ...ops.shape import unsqueeze


@lru_cache(maxsize=256)
def _made(cls: Any, **settings: Any) -> Any:
    return cls(**settings)


def _call(cls: Any, inputs: tuple[Any, ...], **settings: Any) -> Tensor:
    plain = all(value is None or isinstance(value, str | int | float) for value in settings.values())
    loss = _made(cls, **settings) if plain else cls(**settings)
    first = floating(cls.__name__, as_tensor(inputs[0], cls.__name__))
    result: Tensor = loss.forward(first, *inputs[1:])
    return result


def cross_entropy(
    input: Any,
    target: Any,
    weight: Any = None,
    size_average: Any = None,
    ignore_index: int = -100,
    reduce: Any = None,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> Tensor:
    """See `fastnn.nn.CrossEntropyLoss`.

    >>> import fastnn
    >>> import fastnn.nn.functional as F
    >>> round(F.cross_entropy(fastnn.tensor([[0.0, 0.0]]), fastnn.tensor([1])).item(), 4)
    0.6931
    """
    settings = {"ignore_index": ignore_index, "reduction": reduction, "label_smoothing": label_smoothing}
    legacy = {"size_average": size_average, "reduce": reduce}
    return _call(classes.CrossEntropyLoss, (input, target), weight=weight, **settings, **legacy)


def nll_loss(
    input: Any,
    target: Any,
    weight: Any = None,
    size_average: Any = None,
    ignore_index: int = -100,
    reduce: Any = None,
    reduction: str = "mean",
) -> Tensor:
    """See `fastnn.nn.NLLLoss`."""
    legacy = {"size_average": size_average, "reduce": reduce}
    return _call(classes.NLLLoss, (input, target), weight=weight, ignore_index=ignore_index, reduction=reduction, **legacy)


def mse_loss(input: Any, target: Any, size_average: Any = None, reduce: Any = None, reduction: str = "mean") -> Tensor:
    """See `fastnn.nn.MSELoss`."""
    return _call(pointwise.MSELoss, (input, target), size_average=size_average, reduce=reduce, reduction=reduction)


def l1_loss(input: Any, target: Any, size_average: Any = None, reduce: Any = None, reduction: str = "mean") -> Tensor:
    """See `fastnn.nn.L1Loss`."""
    return _call(pointwise.L1Loss, (input, target), size_average=size_average, reduce=reduce, reduction=reduction)


def smooth_l1_loss(
    input: Any, target: Any, size_average: Any = None, reduce: Any = None, reduction: str = "mean", beta: float = 1.0
) -> Tensor:
    """See `fastnn.nn.SmoothL1Loss`."""
    legacy = {"size_average": size_average, "reduce": reduce}
    return _call(pointwise.SmoothL1Loss, (input, target), reduction=reduction, beta=beta, **legacy)


def huber_loss(input: Any, target: Any, reduction: str = "mean", delta: float = 1.0) -> Tensor:
    """See `fastnn.nn.HuberLoss`."""
    return _call(pointwise.HuberLoss, (input, target), reduction=reduction, delta=delta)


def binary_cross_entropy(
    input: Any, target: Any, weight: Any = None, size_average: Any = None, reduce: Any = None, reduction: str = "mean"
) -> Tensor:
    """See `fastnn.nn.BCELoss`."""
    legacy = {"size_average": size_average, "reduce": reduce}
    return _call(pointwise.BCELoss, (input, target), weight=weight, reduction=reduction, **legacy)


def binary_cross_entropy_with_logits(
    input: Any,
    target: Any,
    weight: Any = None,
    size_average: Any = None,
    reduce: Any = None,
    reduction: str = "mean",
    pos_weight: Any = None,
) -> Tensor:
    """See `fastnn.nn.BCEWithLogitsLoss`."""
    settings = {"weight": weight, "pos_weight": pos_weight, "size_average": size_average, "reduce": reduce}
    return _call(pointwise.BCEWithLogitsLoss, (input, target), reduction=reduction, **settings)


def kl_div(
    input: Any,
    target: Any,
    size_average: Any = None,
    reduce: Any = None,
    reduction: str = "mean",
    log_target: bool = False,
) -> Tensor:
    """See `fastnn.nn.KLDivLoss`."""
    legacy = {"size_average": size_average, "reduce": reduce}
    return _call(pointwise.KLDivLoss, (input, target), reduction=reduction, log_target=log_target, **legacy)


def hinge_embedding_loss(input: Any, target: Any, margin: float = 1.0, *, reduction: str = "mean") -> Tensor:
    """See `fastnn.nn.HingeEmbeddingLoss`."""
    return _call(pointwise.HingeEmbeddingLoss, (input, target), margin=margin, reduction=reduction)


def soft_margin_loss(input: Any, target: Any, *, reduction: str = "mean") -> Tensor:
    """See `fastnn.nn.SoftMarginLoss`."""
    return _call(pointwise.SoftMarginLoss, (input, target), reduction=reduction)


def multi_margin_loss(
    input: Any, target: Any, p: int = 1, margin: float = 1.0, weight: Any = None, *, reduction: str = "mean"
) -> Tensor:
    """See `fastnn.nn.MultiMarginLoss`."""
    return _call(classes.MultiMarginLoss, (input, target), p=p, margin=margin, weight=weight, reduction=reduction)


def multilabel_margin_loss(input: Any, target: Any, *, reduction: str = "mean") -> Tensor:
    """Return the mean over the classes of the sum of max(1 - x[label] + x[other], 0) over labels and other classes.

    Args:
        input: scores (N, C) or (C,).
        target: whole numbers of the same shape: the labels, and -1 after the last one.
        reduction: "mean", "sum" or "none".

    >>> import fastnn
    >>> import fastnn.nn.functional as F
    >>> F.multilabel_margin_loss(fastnn.tensor([0.5, 1.0]), fastnn.tensor([1, -1])).item()
    0.25
    """
    name = "multilabel_margin_loss"
    x = floating(name, as_tensor(input, name))
    if x.ndim not in (1, 2) or reduction not in ("mean", "sum", "none"):
        raise ValueError(f"{name}: input of shape {x.shape}, wanted (N, C) or (C,); reduction is {reduction!r}")
    labels = as_index(target, name, x.shape[-1], -1)
    if labels.shape != x.shape:
        raise ValueError(
            f"{name}: target has shape {labels.shape}, wanted that of the input, {x.shape}, with -1 after the labels"
        )
    given = cumprod((labels >= 0).astype(x.dtype), -1) > 0  # up to the first -1
    classes = as_tensor(np.arange(x.shape[-1]), name)
    chosen = some(logic.logical_and(unsqueeze(labels, -1) == classes, unsqueeze(given, -1)), -2)
    counted = logic.logical_and(unsqueeze(given, -1), logic.logical_not(unsqueeze(chosen, -2)))
    beyond = relu(1 - unsqueeze(gather(x, -1, clip(labels, 0)), -1) + unsqueeze(x, -2))
    losses = logic.where(counted, beyond, 0.0).sum((-2, -1)) / x.shape[-1]
    return losses if reduction == "none" else losses.sum() if reduction == "sum" else losses.mean()


def poisson_nll_loss(
    input: Any, target: Any, log_input: bool = True, full: bool = False, *, eps: float = 1e-8, reduction: str = "mean"
) -> Tensor:
    """See `fastnn.nn.PoissonNLLLoss`."""
    return _call(pointwise.PoissonNLLLoss, (input, target), log_input=log_input, full=full, eps=eps, reduction=reduction)


def gaussian_nll_loss(
    input: Any, target: Any, var: Any, full: bool = False, eps: float = 1e-6, reduction: str = "mean"
) -> Tensor:
    """See `fastnn.nn.GaussianNLLLoss`."""
    return pairs.GaussianNLLLoss(full=full, eps=eps, reduction=reduction)(input, target, var)


def cosine_embedding_loss(x1: Any, x2: Any, target: Any, margin: float = 0.0, *, reduction: str = "mean") -> Tensor:
    """See `fastnn.nn.CosineEmbeddingLoss`."""
    return pairs.CosineEmbeddingLoss(margin=margin, reduction=reduction)(x1, x2, target)


def margin_ranking_loss(x1: Any, x2: Any, target: Any, margin: float = 0.0, *, reduction: str = "mean") -> Tensor:
    """See `fastnn.nn.MarginRankingLoss`."""
    return pairs.MarginRankingLoss(margin=margin, reduction=reduction)(x1, x2, target)


def triplet_margin_loss(
    anchor: Any,
    positive: Any,
    negative: Any,
    margin: float = 1.0,
    p: float = 2,
    eps: float = 1e-6,
    swap: bool = False,
    *,
    reduction: str = "mean",
) -> Tensor:
    """See `fastnn.nn.TripletMarginLoss`."""
    loss = pairs.TripletMarginLoss(margin=margin, p=p, eps=eps, swap=swap, reduction=reduction)
    return loss(anchor, positive, negative)
