"""Positions of time steps, tied embeddings, and masks of padding."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import fastnn
import fastnn.nn as nn

rng = np.random.default_rng(0)
V, C = 7, 6
IDS = np.array([[1, 6, 1, 0], [0, 3, 6, 2]])
X = rng.standard_normal((2, 4, C)).astype(np.float32)


@pytest.mark.parametrize("make", [lambda: fastnn.PositionEmbedding(5), lambda: fastnn.SinusoidalPositions(1000.0)])
def test_a_vector_for_each_position(make: Any) -> None:
    layer = make()
    y = layer(X).numpy() - X
    np.testing.assert_allclose(y[0], y[1], atol=1e-6)
    np.testing.assert_allclose(layer(X[:, :3]).numpy() - X[:, :3], y[:, :3], atol=1e-6)
    assert len(np.unique(y[0].round(4), axis=0)) == 4
    assert layer(X[:, :0]).shape == (2, 0, C) and layer(X[:0]).shape == (0, 4, C) and layer(X[0]).shape == (4, C)


def test_values_of_positions() -> None:
    y = fastnn.SinusoidalPositions()(np.zeros((1, 3, 5))).numpy()[0]
    angles = 2 / 10000 ** (np.array([0, 2, 4]) / 5)
    np.testing.assert_allclose(y[2], [f(a) for a in angles for f in (np.sin, np.cos)][:5], atol=1e-6)
    layer = fastnn.PositionEmbedding(5, dtype="float64")
    (layer(X[:, :2].astype(np.float64)) * 2).sum().backward()
    np.testing.assert_array_equal(layer.position_embeddings.grad.numpy(), np.repeat([[4.0], [4.0], [0.0], [0.0], [0.0]], C, 1))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: fastnn.PositionEmbedding(3)(X),
            "PositionEmbedding: 4 time steps came, wanted at most 3, the length of the table",
        ),
        (
            lambda: fastnn.PositionEmbedding(5, input_shape=(None, 3))(X),
            r"PositionEmbedding: x has shape \(2, 4, 6\), wanted.*3\)",
        ),
        (lambda: fastnn.PositionEmbedding(5, input_shape=(3,)), r"samples of shape \(3,\), wanted \(steps, features\)"),
        (lambda: fastnn.SinusoidalPositions()(fastnn.tensor([1.0])), r"SinusoidalPositions: x has shape \(1,\)"),
        (lambda: fastnn.ReversibleEmbedding(V, C)(X[..., :2], reverse=True), r"h has shape \(2, 4, 2\), wanted \(..., 6\)"),
    ],
)
def test_what_is_refused_says_why(call: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()


class Tied(fastnn.Module):
    """A language model whose logits come from the table of its embedding."""

    input_spec = fastnn.InputSpec("int", ndim=2)

    def __init__(self, **settings: Any) -> None:
        super().__init__()
        self.table = fastnn.ReversibleEmbedding(V, C, **settings)
        self.places = fastnn.PositionEmbedding(8, input_shape=(None, C))
        self.inner = fastnn.Dense(C, "tanh", input_shape=(C,))

    def forward(self, ids: Any) -> Any:
        return self.table(self.inner(self.places(self.table(ids))), reverse=True)


@pytest.mark.parametrize("settings", [{}, {"tie_weights": False}, {"logit_soft_cap": 3.0}, {"reverse_dtype": "float64"}])
def test_reverse_as_in_keras(settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KERAS_BACKEND", "torch")
    torch = pytest.importorskip("torch")
    theirs = pytest.importorskip("keras").layers.ReversibleEmbedding(V, C, **settings)
    own = fastnn.ReversibleEmbedding(V, C, **settings)
    theirs.build(None)
    own.set_weights([np.asarray(w) for w in theirs.get_weights()])
    h = fastnn.tensor(X, requires_grad=True)
    t = torch.tensor(X, requires_grad=True)
    y, z = own(h, reverse=True), theirs(t, reverse=True)
    assert y.shape == (2, 4, V) and y.dtype == np.dtype(settings.get("reverse_dtype", "float32"))
    np.testing.assert_allclose(y.numpy(), z.detach().cpu().numpy(), rtol=1e-5, atol=1e-6)
    y.square().sum().backward()
    z.square().sum().backward()
    np.testing.assert_allclose(h.grad.numpy(), t.grad.numpy(), rtol=1e-4, atol=1e-6)
    np.testing.assert_array_equal(own(IDS).numpy(), theirs(IDS).detach().cpu().numpy())


def test_gradients_of_a_tied_table_add_up() -> None:
    fastnn.seed(0)
    model = Tied()
    assert [name for name in model.state_dict() if "table" in name] == ["table.embeddings"]
    model(IDS).square().sum().backward()
    together = model.table.embeddings.grad.numpy()

    def loss(looked_up: Any, head: Any) -> Any:
        h = model.inner(model.places(fastnn.take(looked_up, IDS)))
        return (h @ head.T).square().sum()

    parts = []
    for trained in (0, 1):
        tables = [fastnn.tensor(model.table.embeddings.numpy(), requires_grad=i == trained) for i in (0, 1)]
        loss(*tables).backward()
        parts.append(tables[trained].grad.numpy())
    np.testing.assert_allclose(together, parts[0] + parts[1], rtol=1e-5, atol=1e-6)


def test_torchs_way_to_tie() -> None:
    table, head = nn.Embedding(V, C), nn.Linear(C, V, bias=False)
    head.weight = table.weight
    model = nn.Sequential(table, head)
    np.testing.assert_allclose(model(IDS).numpy(), table.weight.numpy()[IDS] @ table.weight.numpy().T, rtol=1e-5, atol=1e-6)
    assert len(list(model.parameters())) == 1
    model(IDS).sum().backward()
    assert table.weight.grad is not None


def test_a_tied_model_learns_and_is_frozen() -> None:
    fastnn.seed(0)
    x = rng.integers(0, V, (64, 4))
    model = Tied()
    model.compile(fastnn.optim.Adam(lr=0.03), fastnn.losses.SparseCategoricalCrossentropy(from_logits=True))
    history = model.fit(x, x, epochs=15, batch_size=16, verbose=0).history["loss"]
    assert history[-1] < 0.3 * history[0]
    wanted = model(x).numpy()
    np.testing.assert_allclose(model.freeze(batch_size=64, input_shape=(4,))(x), wanted, rtol=1e-4, atol=1e-5)


def test_masks_of_padding() -> None:
    y = fastnn.Embedding(V, C, mask_zero=True)(IDS)
    assert y.keras_mask.tolist() == [[True, True, True, False], [False, True, True, True]]
    assert fastnn.PositionEmbedding(5)(y).keras_mask.tolist() == y.keras_mask.tolist()
    assert fastnn.SinusoidalPositions()(y).keras_mask.tolist() == y.keras_mask.tolist()
    assert fastnn.Embedding(V, C)(IDS).keras_mask is None
    mean = fastnn.GlobalAveragePooling1D()(y).numpy()
    np.testing.assert_allclose(mean[0], y.numpy()[0, :3].mean(0), rtol=1e-6)
    model = fastnn.Sequential([fastnn.Embedding(V, C, mask_zero=True), fastnn.GlobalAveragePooling1D(), fastnn.Dense(1)])
    model.compile("adam", "mse")
    model.fit(IDS, np.zeros(2), epochs=3, verbose=0)
    longer = np.pad(IDS, ((0, 0), (0, 3)))
    np.testing.assert_allclose(model.predict(longer), model.predict(IDS), rtol=1e-5, atol=1e-6)
    tied = fastnn.ReversibleEmbedding(V, C, mask_zero=True)
    assert tied(tied(IDS), reverse=True).keras_mask.tolist() == y.keras_mask.tolist()
