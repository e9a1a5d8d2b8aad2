"""Second derivatives (create_graph=True): by finite differences of gradients, and of the rules' limits."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import fastnn
from fastnn.backends.spec import ACTIVATIONS, POINTWISE_LOSSES, activation, pointwise_loss
from fastnn.ops.activation import activate
from fastnn.ops.dense import dense, matmul_transposed
from fastnn.ops.loss import cross_entropy, linear_cross_entropy, reduce_loss, sparse_cross_entropy
from fastnn.ops.pointwise_loss import gaussian_nll
from fastnn.ops.pointwise_loss import pointwise_loss as each

rng = np.random.default_rng(0)
X, Y = rng.standard_normal((2, 3, 4))
P = rng.uniform(0.5, 2.0, (3, 4))
B = rng.standard_normal(4)
CUBE, OTHER = rng.standard_normal((2, 2, 3, 4))
INDEX = np.array([[0, 1], [2, 2], [3, 3]])
IMAGES = rng.standard_normal((2, 5, 6, 2))
W = np.array([0.5, 0.0, 2.0])
LABELS = np.array([0, 3, 1])
POSITIVE = ("log", "sqrt", "log1p")


def own(a: np.ndarray) -> Any:
    """Return an array of the backend."""
    return fastnn.tensor(a).data


def check(fn: Callable[..., Any], *inputs: Any) -> None:
    assert fastnn.gradgradcheck(fn, list(inputs), atol=1e-6)


@pytest.mark.parametrize("kind", ACTIVATIONS, ids=lambda kind: kind.name)
def test_functions_of_one_tensor(kind: Any) -> None:
    act = activation(kind.name, *((3.0,) if kind.name == "power" else ()))
    positive = kind.name in POSITIVE
    check(lambda x: activate(x, act), P if positive else 1.3 * X + 0.01)
    w, b = rng.uniform(0.1, 1.0, (4, 2)), rng.uniform(0.1, 1.0, 2)
    check(lambda x, w, b: dense(x, w, b, act), P if positive else X, w, b)


@pytest.mark.parametrize("p", [0, 0.5, 1, 2, -1, -2.5])
def test_powers(p: float) -> None:
    check(lambda x: x**p, P)
    x = fastnn.tensor([0.0, 1.0], requires_grad=True)
    (dx,) = fastnn.grad((x**2).sum(), x, create_graph=True)
    assert fastnn.grad(dx.sum(), x)[0].tolist() == [2.0, 2.0]


OPERATIONS: dict[str, tuple[Callable[..., Any], tuple[np.ndarray, ...]]] = {
    **{name: (getattr(fastnn, name), (X, B)) for name in ("add", "sub", "mul", "div", "maximum", "minimum")},
    "pow": (fastnn.pow, (P, B)),
    "where": (lambda x, y: fastnn.where(x > 0, x, y) * x, (X, Y)),
    "reshape": (lambda x: (x * x).reshape(2, 6), (X,)),
    "transpose": (lambda x: (x * x).T, (X,)),
    "broadcast_to": (lambda x: fastnn.broadcast_to(x * x, 2, 3, 4), (X,)),
    "concatenate": (lambda x, y: fastnn.concatenate([x * x, y * x], 1), (X, Y)),
    "stack": (lambda x, y: fastnn.stack([x * x, y * x], 1), (X, Y)),
    "slice": (lambda x: (x * x)[1:, ::-2], (X,)),
    "index arrays": (lambda x: (x * x)[[0, 2, 2], [1, 1, 3]], (X,)),
    "split": (lambda x: (x * x).split(3, 1)[0], (X,)),
    "unbind": (lambda x: (x * x).unbind(1)[2], (X,)),
    "roll": (lambda x: fastnn.roll(x * x, 1), (X,)),
    "gather": (lambda x: (x * x).gather(1, INDEX), (X,)),
    "scatter_add": (lambda x, y: fastnn.scatter_add(x * x, 1, INDEX, y * y), (X, Y[:, :2])),
    "take": (lambda x: fastnn.take(x * x, INDEX % 3), (X,)),
    "sort": (lambda x: fastnn.sort(x * x, axis=1), (X,)),
    "max with indices": (lambda x: fastnn.max(x * x, dim=1)[0], (X,)),
    "median": (lambda x: fastnn.median(x * x), (X,)),
    "clone": (lambda x: (x * x).clone(), (X,)),
    "sum": (lambda x: (x * x).sum(1), (X,)),
    "mean": (lambda x: (x * x).mean((0, 2), keepdims=True), (CUBE,)),
    "amax": (lambda x: fastnn.amax(x * x, 1), (X,)),
    "prod": (lambda x: fastnn.prod(x, (0, 2)), (CUBE,)),
    "prod of zeros": (lambda x: fastnn.prod(x, 1), (np.where(np.abs(X) < 0.5, 0.0, X),)),
    "cumsum": (lambda x: fastnn.cumsum(x * x, 1), (X,)),
    "var": (fastnn.var, (X,)),
    "std": (lambda x: fastnn.std(x, axis=1), (X,)),
    "norm": (lambda x: fastnn.norm(x, axis=1), (X,)),
    "logsumexp": (lambda x: fastnn.logsumexp(x, 1), (X,)),
    "softmax": (lambda x: fastnn.softmax(x, 0), (X,)),
    "log_softmax": (fastnn.log_softmax, (X,)),
    "sparsemax": (fastnn.sparsemax, (X,)),
    "glu": (fastnn.swiglu, (X,)),
    "prelu": (fastnn.prelu, (X, B)),
    "prelu of itself": (lambda x: fastnn.prelu(x, x), (X,)),
    "clip": (lambda x: fastnn.clip(x * x, 0.1, 1.0), (X,)),
    "matmul": (fastnn.matmul, (X, Y.T.copy())),
    "matmul vector": (fastnn.matmul, (X, B)),
    "matmul batches": (fastnn.matmul, (CUBE, OTHER.transpose(0, 2, 1).copy())),
    "matmul broadcast": (fastnn.matmul, (X, OTHER.transpose(0, 2, 1).copy())),
    "matmul_transposed": (matmul_transposed, (CUBE, Y)),
    "outer": (fastnn.outer, (B, Y[0])),
    "affine_transform": (
        lambda x: fastnn.ops.augmentation.affine_transform(
            x * x, fastnn.tensor([[0.9, 0.1, 0.3, 0.2, 1.1, -0.4]] * 2, dtype="float64"), fill_value=1.0
        ),
        (IMAGES,),
    ),
    "rotary": (lambda x: fastnn.rotary(x * x, fastnn.rotary_table(3, 4, dtype="float64")), (CUBE[:, :, None],)),
    "attention": (
        lambda q, k, v: fastnn.attention(q, k, v, causal=True, lengths=[3, 2]),
        (CUBE[:, :, None].copy(), OTHER[:, :, None].copy(), CUBE[:, ::-1, None].copy()),
    ),
    "attention_packed": (lambda x: fastnn.attention_packed(x, 2, 1), (rng.standard_normal((2, 3, 4, 2)),)),
    "penalty": (lambda x: fastnn.ops.regularization.penalty(x, np.array([0.5, 0.3])), (X,)),
}


@pytest.mark.parametrize("name", OPERATIONS)
def test_operations(name: str) -> None:
    fn, inputs = OPERATIONS[name]
    check(fn, *inputs)


LAYERS: dict[str, tuple[Callable[[], Any], np.ndarray]] = {
    "Dense": (lambda: fastnn.Dense(3, activation="gelu"), X),
    "Linear": (lambda: fastnn.nn.Sequential(fastnn.nn.Linear(4, 5), fastnn.nn.SiLU(), fastnn.nn.Linear(5, 2)), X),
    "LayerNormalization": (fastnn.LayerNormalization, X),
    "BatchNormalization": (fastnn.BatchNormalization, X),
    "RMSNorm": (lambda: fastnn.nn.RMSNorm(4), X),
    "GroupNormalization": (lambda: fastnn.GroupNormalization(2), IMAGES),
    "Conv2D": (lambda: fastnn.Conv2D(4, 3, strides=2, padding="same", groups=2, activation="silu"), IMAGES),
    "Conv1D": (lambda: fastnn.Conv1D(2, 2, dilation_rate=2, activation="tanh"), CUBE),
    "Conv2d": (lambda: fastnn.nn.Conv2d(2, 3, 2), IMAGES.transpose(0, 3, 1, 2).copy()),
    "AveragePooling2D": (lambda: fastnn.AveragePooling2D(2), IMAGES),
    "GlobalAveragePooling2D": (fastnn.GlobalAveragePooling2D, IMAGES),
    "MaxPooling2D": (lambda: fastnn.MaxPooling2D(2), IMAGES),
    "MaxPool2d": (lambda: fastnn.nn.MaxPool2d(3, 2, 1, ceil_mode=True), IMAGES.transpose(0, 3, 1, 2).copy()),
    "MaxPool1d": (lambda: fastnn.nn.MaxPool1d(2, 2, dilation=2), CUBE),
    "ZeroPadding2D": (lambda: fastnn.ZeroPadding2D(1), IMAGES),
    "Conv2DTranspose": (lambda: fastnn.Conv2DTranspose(3, 3, strides=2, padding="same"), IMAGES),
    "Upsample": (lambda: fastnn.nn.Upsample(scale_factor=2, mode="bilinear"), IMAGES.transpose(0, 3, 1, 2).copy()),
    "Embedding": (lambda: fastnn.nn.Embedding(5, 3, padding_idx=1, scale_grad_by_freq=True), INDEX),
    "EmbeddingBag": (lambda: fastnn.nn.EmbeddingBag(5, 3), INDEX),
}


@pytest.mark.parametrize("name", LAYERS)
def test_layers(name: str) -> None:
    make, x = LAYERS[name]
    fastnn.seed(0)
    check(make(), x)


@pytest.mark.parametrize("kind", POINTWISE_LOSSES, ids=lambda kind: kind.name)
def test_pointwise_losses(kind: Any) -> None:
    x, t = rng.uniform(0.1, 0.9, (2, 3, 4))
    if "hinge" in kind.name or kind.name == "soft_margin":
        t = np.sign(Y)
    if kind.name in ("sigmoid_cross_entropy", "binary_focal", "poisson_log", "log_cosh", "huber"):
        x = 1.5 * X
    q = own(P[0]) if kind.column else None
    parameters = {"tweedie": [(0,), (1,), (2,), (1.5, 1)], "binary_focal": [(2, -1), (2, 0.3)]}.get(kind.name, [()])
    for given in parameters:
        fn = pointwise_loss(kind.name, *given)
        if kind.difference:
            check(lambda x, t, fn=fn: each(x, t, fn, own(W), q), x, t)
        else:
            check(lambda x, fn=fn: each(x, fastnn.tensor(t), fn, own(W), q), x)


LOSSES: dict[str, tuple[Callable[..., Any], tuple[np.ndarray, ...]]] = {
    "sparse_cross_entropy": (lambda x: sparse_cross_entropy(x, LABELS, own(W), own(P[0]), 0.1)[0], (X,)),
    "ignored label": (lambda x: sparse_cross_entropy(x, LABELS, ignore_index=3)[0], (X,)),
    "cross_entropy": (lambda x: cross_entropy(x, own(P), own(W), own(P[1]), 0.1), (X,)),
    "linear_cross_entropy": (lambda x, w, b: linear_cross_entropy(x, w, b, LABELS, own(W))[0], (X, Y.T @ Y, B)),
    "its table transposed": (lambda x, w: linear_cross_entropy(x, w, None, LABELS, transposed=True)[0], (X, Y.T @ Y)),
    "gaussian_nll": (lambda x: gaussian_nll(x, fastnn.tensor(OTHER[:, 0]), own(W[1:])), (np.abs(CUBE[:, :2]) + 0.2,)),
    "log variance": (lambda x: gaussian_nll(x, fastnn.tensor(OTHER[:, 0]), log_variance=True), (CUBE[:, :2].copy(),)),
    "reduce_loss": (lambda x: reduce_loss((x * x).sum(1)), (X,)),
    "MSELoss": (lambda x, y: fastnn.nn.MSELoss()(x, y), (X, Y)),
    "CosineSimilarity": (lambda x: fastnn.losses.CosineSimilarity()(fastnn.tensor(Y), x), (X,)),
}


@pytest.mark.parametrize("name", LOSSES)
def test_losses(name: str) -> None:
    fn, inputs = LOSSES[name]
    check(fn, *inputs)
