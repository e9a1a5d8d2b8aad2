"""Functions of `fastnn.keras` return what Keras's do."""

import os
from importlib.util import find_spec
from typing import Any

import numpy as np
import pytest

from fastnn import keras as ours

if not find_spec("torch"):
    pytest.skip("PyTorch, a backend of Keras, is not installed", allow_module_level=True)
os.environ.setdefault("KERAS_BACKEND", "torch")
keras: Any = pytest.importorskip("keras")

rng = np.random.default_rng(0)
A = rng.standard_normal((4, 3)).astype("float32")
B = rng.uniform(0.1, 0.9, (4, 3)).astype("float32")
ONE_HOT = np.eye(3, dtype="float32")[[0, 2, 1, 1]]
LABELS = np.array([0, 2, 1, 1])

OPS: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = [
    *(
        (name, (A,), {})
        for name in ("abs", "exp", "negative", "relu", "sigmoid", "tanh", "gelu", "leaky_relu", "softplus", "silu")
    ),
    *(
        (name, (A,), {})
        for name in ("square", "softmax", "log_softmax", "sign", "ravel", "transpose", "std", "var", "mean", "norm")
    ),
    *((name, (A,), {"axis": 1}) for name in ("sum", "max", "min", "argmax", "std", "var", "mean", "sort", "logsumexp", "prod")),
    *((name, (A,), {"axis": 0, "keepdims": True}) for name in ("sum", "mean", "std", "var", "norm", "max")),
    *((name, (A, B), {}) for name in ("add", "subtract", "multiply", "divide", "maximum", "minimum", "greater", "less_equal")),
    *((name, (B,), {}) for name in ("log", "sqrt", "rsqrt", "reciprocal")),
    *((name, (A,), {}) for name in ("cosh", "sinh", "exp2", "trunc", "diagonal")),
    *((name, (B,), {}) for name in ("log2", "log10")),
    *((name, (A,), {"axis": 1}) for name in ("amax", "amin")),
    *((name, ([A, B],), {}) for name in ("hstack", "vstack")),
    ("broadcast_to", (A[:1], (4, 3)), {}),
    ("logaddexp", (A, B), {}),
    ("moveaxis", (A, 0, 1), {}),
    ("cast", (A, "int64"), {}),
    ("clip", (A, -0.5, 0.5), {}),
    ("concatenate", ([A, B],), {"axis": -1}),
    ("cumsum", (A,), {"axis": 1}),
    ("einsum", ("ij,kj->ik", A, B), {}),
    ("equal", (LABELS, [0, 0, 1, 2]), {}),
    ("expand_dims", (A, 1), {}),
    ("matmul", (A, B.T), {}),
    ("mod", (A, 0.7), {}),
    ("one_hot", (LABELS, 3), {}),
    ("power", (B, 2.0), {}),
    ("repeat", (A, 2), {"axis": 1}),
    ("reshape", (A, (2, -1)), {}),
    ("split", (A, 2), {}),
    ("split", (A, [1, 3]), {}),
    ("stack", ([A, B],), {"axis": 1}),
    ("swapaxes", (A, 0, 1), {}),
    ("take", (A, [5, 0]), {}),
    ("take", (A, [2, 0]), {"axis": 1}),
    ("tile", (A, (2, 1)), {}),
    ("tril", (A,), {}),
    ("triu", (A, 1), {}),
    ("where", (A > 0, A, B), {}),
    ("zeros", ((2, 3),), {}),
    ("arange", (2, 8, 2), {}),
    ("binary_crossentropy", (ONE_HOT, B), {}),
    ("categorical_crossentropy", (ONE_HOT, B), {}),
    ("sparse_categorical_crossentropy", (LABELS, A), {"from_logits": True}),
    ("hard_swish", (A,), {}),
    ("top_k", (A, 2), {}),
]


def values(found: Any) -> list[np.ndarray]:
    parts = found if isinstance(found, list | tuple) else [found]
    return [np.asarray(p.detach().cpu().numpy() if hasattr(p, "detach") else p) for p in parts]


@pytest.mark.parametrize(("name", "args", "settings"), OPS, ids=[f"{name}-{i}" for i, (name, *_) in enumerate(OPS)])
def test_operations(name: str, args: tuple[Any, ...], settings: dict[str, Any]) -> None:
    mine, theirs = (values(getattr(lib.ops, name)(*args, **settings)) for lib in (ours, keras))
    assert len(mine) == len(theirs)
    for a, b in zip(mine, theirs, strict=True):
        assert a.shape == b.shape
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


LOSSES = [
    *((name, ONE_HOT, B) for name in ("binary_crossentropy", "categorical_crossentropy", "kl_divergence", "poisson")),
    *(
        (name, A, B)
        for name in ("mean_squared_error", "mean_absolute_error", "mean_absolute_percentage_error", "log_cosh", "huber")
    ),
    *((name, ONE_HOT * 2 - 1, A) for name in ("hinge", "squared_hinge")),
    ("categorical_hinge", ONE_HOT, A),
    ("sparse_categorical_crossentropy", LABELS, B / B.sum(1, keepdims=True)),
    ("mean_squared_logarithmic_error", B, B[::-1].copy()),
    ("cosine_similarity", A, B),
]


@pytest.mark.parametrize(("name", "y_true", "y_pred"), LOSSES, ids=[name for name, *_ in LOSSES])
def test_losses(name: str, y_true: np.ndarray, y_pred: np.ndarray) -> None:
    function = getattr(ours.losses, name)
    assert function.__name__ == name
    mine, theirs = (values(getattr(lib.losses, name)(y_true, y_pred))[0] for lib in (ours, keras))
    assert mine.shape == theirs.shape
    np.testing.assert_allclose(mine, theirs, rtol=1e-4, atol=1e-5)


OTHERS = {"get", "serialize", "deserialize", "sparsemax"}
"""Names that are no activations; and sparsemax, whose rows do not sum to 1 in Keras 3.15."""


@pytest.mark.parametrize("name", sorted(set(ours.activations.__all__) - OTHERS))
def test_activations(name: str) -> None:
    x, args = (A[:2, :2], ()) if name == "glu" else (A, (0.1, 0.5) if name == "threshold" else ())
    mine = getattr(ours.activations, name)(x, *args)
    theirs = getattr(keras.activations, name)(keras.ops.convert_to_tensor(x), *args)
    a, b = values(mine)[0], values(theirs)[0]
    np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


UTILS: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = [
    ("to_categorical", (LABELS,), {}),
    ("to_categorical", (LABELS[:, None], 5), {}),
    ("normalize", (A,), {}),
    ("normalize", (np.zeros((2, 3)),), {}),
    ("pad_sequences", ([[1, 2, 3], [4], []],), {}),
    ("pad_sequences", ([[1, 2, 3], [4]], 2), {"padding": "post", "truncating": "post", "value": 9}),
    ("pad_sequences", ([A, A[:2]], 3), {"dtype": "float32"}),
]


@pytest.mark.parametrize(("name", "args", "settings"), UTILS, ids=[f"{name}-{i}" for i, (name, *_) in enumerate(UTILS)])
def test_utils(name: str, args: tuple[Any, ...], settings: dict[str, Any]) -> None:
    mine, theirs = (getattr(lib.utils, name)(*args, **settings) for lib in (ours, keras))
    np.testing.assert_allclose(mine, theirs, rtol=1e-6)


def test_draws() -> None:
    assert ours.random.normal((3000,), mean=2.0, seed=1).numpy().mean() == pytest.approx(2.0, abs=0.1)
    u = ours.random.uniform((1000,), -1, 3).numpy()
    assert -1 <= u.min() < -0.9 and 2.9 < u.max() <= 3
    n = ours.random.randint((1000,), 2, 5).numpy()
    assert set(n.tolist()) == {2, 3, 4} and n.dtype == np.int64
    np.testing.assert_array_equal(ours.random.normal((4,), seed=3), ours.random.normal((4,), seed=3))
    dropped = ours.random.dropout(np.ones(1000, np.float32), 0.25).numpy()
    np.testing.assert_allclose(np.unique(dropped), [0, 1 / 0.75], rtol=1e-6)
    assert 0.15 < (dropped == 0).mean() < 0.35
    drawn = ours.random.categorical(np.log([[0.8, 0.2]]).astype("float32"), 2000).numpy()
    assert drawn.shape == (1, 2000) and drawn.mean() == pytest.approx(0.2, abs=0.05)
