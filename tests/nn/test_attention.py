"""Attention layers with Keras's names, beside Keras; masks, files, training."""

import copy
import os
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fastnn
import fastnn.nn as nn

rng = np.random.default_rng(0)
N, T, S = 3, 4, 5
QUERY, VALUE, KEY = (rng.standard_normal(shape).astype(np.float32) for shape in ((N, T, 8), (N, S, 6), (N, S, 7)))
ROWS = np.ones((N, T), bool)
ROWS[2, 3:] = False
COLUMNS = np.ones((N, S), bool)
COLUMNS[1, 3:] = False
ALLOWED = rng.random((N, T, S)) < np.array([1.0] + [0.6] * (S - 1))
MASKS: dict[str, dict[str, Any]] = {
    "none": {},
    "attention": {"attention_mask": ALLOWED},
    "of all samples": {"attention_mask": ALLOWED[0]},
    "padding": {"value_mask": COLUMNS, "query_mask": ROWS},
    "keys": {"key_mask": COLUMNS},
    "causal": {"use_causal_mask": True},
    "all": {"use_causal_mask": True, "attention_mask": ALLOWED, "value_mask": COLUMNS},
}
LAYERS: dict[str, tuple[str, dict[str, Any]]] = {
    "heads": ("MultiHeadAttention", {"num_heads": 2, "key_dim": 3}),
    "sizes": ("MultiHeadAttention", {"num_heads": 2, "key_dim": 3, "value_dim": 5, "output_shape": (9,), "use_bias": False}),
    "gate": ("MultiHeadAttention", {"num_heads": 1, "key_dim": 3, "use_gate": True, "sliding_window": 2}),
    "groups": ("GroupQueryAttention", {"head_dim": 3, "num_query_heads": 4, "num_key_value_heads": 2}),
    "one group": ("GroupQueryAttention", {"head_dim": 3, "num_query_heads": 4, "num_key_value_heads": 1, "use_gate": True}),
}


def keras() -> Any:
    os.environ.setdefault("KERAS_BACKEND", "torch" if find_spec("torch") else "jax")
    return pytest.importorskip("keras")


def pair(kind: str) -> tuple[Any, Any]:
    """Return the layer and Keras's, with the same weights."""
    name, how = LAYERS[kind]
    theirs = getattr(keras().layers, name, None)
    if theirs is None:
        pytest.skip(f"this Keras has no {name}")
    try:
        theirs = theirs(**how)
    except (TypeError, ValueError):
        pytest.skip(f"this Keras does not know all of {', '.join(how)}")
    own = getattr(fastnn, name)(**how)
    theirs(QUERY, VALUE, KEY)
    own(QUERY, VALUE, KEY)
    weights = [rng.standard_normal(w.shape).astype(np.float32) for w in theirs.get_weights()]
    theirs.set_weights(weights)
    own.set_weights(weights)
    return own, theirs


@pytest.mark.parametrize("masks", MASKS)
@pytest.mark.parametrize("kind", LAYERS)
def test_beside_keras(kind: str, masks: str) -> None:
    own, theirs = pair(kind)
    how = MASKS[masks]
    wanted, weights = (np.asarray(a.detach().cpu() if hasattr(a, "detach") else a) for a in theirs(
        QUERY, VALUE, KEY, return_attention_scores=True, **how))  # fmt: skip
    got, scores = own(QUERY, VALUE, KEY, return_attention_scores=True, **how)
    rows = scores.numpy().sum((1, 3)) > 0.5 * scores.shape[1]  # Keras gives the mean of all values where nothing is allowed
    assert rows[ROWS].all() or masks == "all" or kind == "gate"
    np.testing.assert_allclose(got.numpy()[rows], wanted[rows], rtol=1e-4, atol=1e-4)
    by_row = np.moveaxis(scores.numpy(), 1, 2), np.moveaxis(weights, 1, 2)
    np.testing.assert_allclose(by_row[0][rows], by_row[1][rows], atol=1e-5)
    np.testing.assert_array_equal(own(QUERY, VALUE, KEY, **how).numpy(), got.numpy())
    assert own.output_shape([(T, 8), (S, 6), (S, 7)]) == got.shape[1:]


@pytest.mark.parametrize("axes", [None, (2,), (1, 2)])
def test_axes(axes: Any) -> None:
    x = rng.standard_normal((2, 3, 4, 6)).astype(np.float32)
    theirs, own = (
        keras().layers.MultiHeadAttention(2, 3, attention_axes=axes),
        fastnn.MultiHeadAttention(2, 3, attention_axes=axes),
    )
    theirs(x, x)
    own(x, x)
    own.set_weights(theirs.get_weights())
    wanted = theirs(x, x)
    np.testing.assert_allclose(own(x, x).numpy(), wanted.detach().cpu() if hasattr(wanted, "detach") else wanted, atol=1e-5)


def test_initial_weights_are_distributed_as_in_keras() -> None:
    x = np.zeros((1, 2, 64), np.float32)
    theirs, own = keras().layers.MultiHeadAttention(8, 16), fastnn.MultiHeadAttention(8, 16)
    theirs(x, x)
    own(x, x)
    for a, b in zip(own.get_weights(), theirs.get_weights(), strict=True):
        assert a.shape == b.shape
        assert abs(np.abs(a).max() - np.abs(b).max()) <= 0.02 * np.abs(b).max()


def test_gradients() -> None:
    layer = fastnn.GroupedQueryAttention(3, 4, 2, use_gate=True, dtype="float64", input_shape=[(T, 8), (S, 6), (S, 7)])
    inputs = [fastnn.tensor(a.astype(np.float64), requires_grad=True) for a in (QUERY, VALUE, KEY)]
    fastnn.gradcheck(lambda q, v, k: layer(q, v, k, attention_mask=ALLOWED, use_causal_mask=True), inputs)


def test_masks_that_inputs_carry() -> None:
    fastnn.seed(0)
    embedding, layer = fastnn.Embedding(9, 8, mask_zero=True), fastnn.MultiHeadAttention(2, 4)
    ids = np.array([[1, 2, 3, 0], [4, 0, 0, 0]])
    x = embedding(ids)
    y = layer(x, x)
    assert y.keras_mask.tolist() == (ids != 0).tolist()
    explicit = layer(x.detach(), x.detach(), query_mask=ids != 0, value_mask=ids != 0)
    np.testing.assert_array_equal(y.numpy(), explicit.numpy())
    short = embedding(ids[:1, :3])
    np.testing.assert_allclose(layer(short, short).numpy()[0], y.numpy()[0, :3], atol=1e-6)


def test_a_sample_of_padding_has_finite_results_and_gradients() -> None:
    layer, x = fastnn.MultiHeadAttention(2, 4), fastnn.tensor(QUERY, requires_grad=True)
    y, scores = layer(x, x, value_mask=np.zeros((N, T), bool), return_attention_scores=True)
    y.sum().backward()
    assert not scores.numpy().any()
    np.testing.assert_array_equal(y.numpy(), np.zeros((N, T, 8)))  # the biases begin as 0
    assert np.isfinite(x.grad.numpy()).all()


def test_dropout_of_weights() -> None:
    layer = fastnn.MultiHeadAttention(2, 4, dropout=0.5, seed=3)
    a, b = layer(QUERY, QUERY), layer(QUERY, QUERY)
    assert (a.numpy() != b.numpy()).any()
    layer.eval()
    np.testing.assert_array_equal(layer(QUERY, QUERY).numpy(), layer(QUERY, QUERY).numpy())
    layer.train().dropout = 0.0
    np.testing.assert_array_equal(layer(QUERY, QUERY).numpy(), layer(QUERY, QUERY).numpy())


def test_rules_of_all_projections() -> None:
    layer = fastnn.MultiHeadAttention(
        2,
        4,
        kernel_regularizer="l2",
        bias_regularizer="l1",
        activity_regularizer="l2",
        kernel_constraint="non_neg",
        use_gate=True,
    )
    layer(QUERY, QUERY)
    assert len(layer.losses) == 15  # of kernel, bias and output of five projections
    layer.apply_constraints()
    kernels = [p for name, p in layer.named_parameters() if name.endswith("kernel")]
    assert len(kernels) == 5 and all((p.numpy() >= 0).all() for p in kernels)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: fastnn.GroupedQueryAttention(4, 3, 2), "3 heads of queries and 2 of keys"),
        (lambda: fastnn.MultiHeadAttention(2, 3)(QUERY, VALUE[:2]), r"of shapes \(3, 4, 8\), \(2, 5, 6\)"),
        (lambda: fastnn.MultiHeadAttention(2, 3)(QUERY, VALUE, KEY[:, :2]), "do not fit"),
        (lambda: fastnn.MultiHeadAttention(2, 3, attention_axes=(1,))(QUERY[None], QUERY[None]), "wanted its last axes"),
        (
            lambda: fastnn.MultiHeadAttention(2, 3)(QUERY, VALUE, value_mask=ROWS),
            r"value_mask has shape \(3, 4\), wanted \(3, 5\)",
        ),
        (
            lambda: fastnn.GroupedQueryAttention(4, 2, 1)(QUERY[0], QUERY[0]),
            r"query has shape \(4, 8\), wanted \(n, T, features\)",
        ),
        (lambda: fastnn.MultiHeadAttention(2, 0), "key_dim is 0"),
        (lambda: fastnn.MultiHeadAttention(2, 3, sliding_window=0), "sliding_window is 0"),
    ],
)
def test_what_is_refused(make: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        make()


def graph(kind: str) -> Any:
    name, how = LAYERS[kind]
    a, b = fastnn.Input((T, 8)), fastnn.Input((S, 6))
    return fastnn.Model([a, b], getattr(fastnn, name)(**how)(a, b))


@pytest.mark.parametrize("kind", LAYERS)
def test_saved_and_copied(kind: str, tmp_path: Path) -> None:
    model = graph(kind)
    wanted = model.predict([QUERY, VALUE])
    model.save(tmp_path / "model.fastnn")
    for other in (fastnn.load(tmp_path / "model.fastnn"), copy.deepcopy(model)):
        np.testing.assert_array_equal(other.predict([QUERY, VALUE]), wanted)
    layer = next(m for m in model.modules() if hasattr(m, "query_dense"))
    layer.save(tmp_path / "layer.fastnn")
    np.testing.assert_array_equal(fastnn.load(tmp_path / "layer.fastnn").eval()(QUERY, VALUE).numpy(), wanted)


def test_trained_by_fit_and_frozen() -> None:
    fastnn.seed(0)
    model = graph("groups")
    model.compile(fastnn.optim.Adam(lr=0.02), "mse")
    losses = model.fit([QUERY, VALUE], QUERY[:, ::-1], epochs=40, batch_size=3, verbose=0).history["loss"]
    assert losses[-1] < 0.5 * losses[0]
    frozen = model.freeze(batch_size=3)
    np.testing.assert_allclose(frozen(QUERY, VALUE), model.predict([QUERY, VALUE]), atol=1e-6)


def test_same_layer_as_pytorch_s() -> None:
    theirs, own = nn.MultiheadAttention(8, 2, batch_first=True), fastnn.MultiHeadAttention(2, 4)
    own(QUERY, QUERY)
    kernels = [w.T.reshape(8, 2, 4) for w in np.split(theirs.in_proj_weight.numpy(), 3)]
    out = theirs.out_proj.weight.numpy().T.reshape(2, 4, 8)
    zeros = np.zeros((2, 4), np.float32)
    own.set_weights([kernels[0], zeros, kernels[1], zeros, kernels[2], zeros, out, np.zeros(8, np.float32)])
    np.testing.assert_allclose(own(QUERY, QUERY).numpy(), theirs(QUERY, QUERY, QUERY)[0].numpy(), atol=1e-6)
