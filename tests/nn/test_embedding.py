"""Embeddings: rows of a table by index, with Keras's and PyTorch's names."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import fastnn
import fastnn.nn as nn

rng = np.random.default_rng(0)
V, C = 7, 5
W = rng.standard_normal((V, C)).astype(np.float32)
IDS = np.array([[1, 6, 1], [0, 3, 6]])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("settings", [{}, {"padding_idx": 6}, {"padding_idx": -1, "scale_grad_by_freq": True}])
@pytest.mark.parametrize("ids", [IDS, IDS.tolist(), np.int64(3), np.zeros((2, 0), np.int64), np.array([6, 6], np.int32)])
def test_as_in_pytorch(dtype: str, settings: dict[str, Any], ids: Any) -> None:
    torch = pytest.importorskip("torch")
    own = nn.Embedding(V, C, **settings, _weight=W.astype(dtype), dtype=dtype)
    theirs = torch.nn.Embedding(V, C, **settings, _weight=torch.tensor(W.astype(dtype)))
    assert own.padding_idx == theirs.padding_idx
    for _ in range(2):  # the second adds to the gradient of the first
        y, z = own(ids), theirs(torch.tensor(np.asarray(ids, np.int64)))
        np.testing.assert_array_equal(y.numpy(), z.detach().numpy())
        weight = rng.standard_normal(y.shape).astype(dtype)
        (y * fastnn.tensor(weight)).sum().backward()
        (z * torch.tensor(weight)).sum().backward()
    np.testing.assert_allclose(own.weight.grad.numpy(), theirs.weight.grad.numpy(), rtol=1e-5, atol=1e-7)
    loaded = nn.Embedding(V, C, dtype=dtype)
    loaded.load_state_dict({name: value.numpy() for name, value in theirs.state_dict().items()})
    np.testing.assert_array_equal(loaded.weight.numpy(), W.astype(dtype))


def test_initial_values() -> None:
    fastnn.seed(0)
    table = nn.Embedding(2000, 50, padding_idx=3).weight.numpy()
    assert not table[3].any() and abs(np.delete(table, 3, 0).std() - 1) < 0.02 and abs(table.mean()) < 0.02
    table = fastnn.Embedding(2000, 50).embeddings.numpy()
    assert -0.05 <= table.min() < -0.0499 and 0.0499 < table.max() <= 0.05


def test_gradients_in_float64() -> None:
    def looked_up(padding: int | None, scaled: bool) -> Any:
        return lambda w: fastnn.ops.embedding.embedding(w, IDS, padding, scaled)

    assert fastnn.gradcheck(looked_up(None, False), W)
    w = fastnn.tensor(W, requires_grad=True)
    looked_up(6, True)(w).sum().backward()
    counts = np.array([1, 1, 0, 1, 0, 0, 0])[:, None]  # index 1 occurs twice, and its gradient is divided by 2
    np.testing.assert_array_equal(w.grad.numpy(), np.repeat(counts, C, 1))


def test_from_pretrained() -> None:
    torch = pytest.importorskip("torch")
    own, theirs = nn.Embedding.from_pretrained(W, padding_idx=1), torch.nn.Embedding.from_pretrained(torch.tensor(W), True, 1)
    assert not own.weight.requires_grad and own.padding_idx == 1
    np.testing.assert_array_equal(own(IDS).numpy(), theirs(torch.tensor(IDS)).numpy())
    assert nn.Embedding.from_pretrained(W.astype(np.float64), freeze=False).weight.requires_grad
    assert nn.Embedding.from_pretrained(fastnn.tensor(W)).weight.shape == (V, C)
    with pytest.raises(ValueError, match=r"from_pretrained: embeddings of shape \(7,\).*wanted a matrix"):
        nn.Embedding.from_pretrained(W[:, 0])


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (
            lambda: nn.Embedding(V, C)([[0, 7]]),
            IndexError,
            r"Embedding: index 7 is out of range for 7, at \[0, 1\]; wanted 0 to 6",
        ),
        (
            lambda: fastnn.Embedding(V, C)([0, 1, -1]),
            IndexError,
            r"Embedding: index -1 is out of range for 7, at \[2\]; wanted 0 to 6",
        ),
        (lambda: fastnn.Embedding(V, C)([0.5]), ValueError, r"Embedding: x\[0\] is 0.5; wanted whole numbers"),
        (lambda: nn.Embedding(V, C)(fastnn.tensor([0.5])), TypeError, "Embedding: an index of dtype float32 came"),
        (lambda: nn.Embedding(V, 0), ValueError, "Embedding: embedding_dim is 0"),
        (lambda: nn.Embedding(V, C, 7), ValueError, "Embedding: padding_idx is 7, wanted a row from -7 to 6"),
        (lambda: fastnn.Embedding(V, C, weights=W.T), ValueError, r"Embedding: the table.*\(7, 5\)"),
    ],
)
def test_what_is_refused_says_why(make: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        make()


def test_as_in_keras(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KERAS_BACKEND", "torch")
    pytest.importorskip("torch")
    keras = pytest.importorskip("keras")
    own, theirs = fastnn.Embedding(V, C, weights=[W]), keras.layers.Embedding(V, C)
    theirs.build(None)
    theirs.set_weights([W])
    np.testing.assert_array_equal(own(IDS).numpy(), theirs(IDS).detach().cpu().numpy())
    own.set_weights(theirs.get_weights())


@pytest.mark.parametrize("make", [lambda: fastnn.Embedding(V, 8), lambda: nn.Embedding(V, 8, 0, sparse=True)])
def test_fit_predict_freeze_and_files(make: Any, tmp_path: Any) -> None:
    fastnn.seed(0)
    x = rng.integers(0, V, (64, 3))
    y = x[:, 1]
    model = fastnn.Sequential([make(), fastnn.Flatten(), fastnn.Dense(V)])
    model.compile(fastnn.optim.Adam(lr=0.05), fastnn.losses.SparseCategoricalCrossentropy(from_logits=True))
    history = model.fit(x, y, epochs=20, batch_size=16, verbose=0).history["loss"]
    assert history[-1] < 0.2 * history[0]
    wanted = model(x).numpy()
    np.testing.assert_allclose(model.predict(x), wanted, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(model.freeze(batch_size=64, input_shape=(3,))(x), wanted, rtol=1e-5, atol=1e-6)
    model.save(tmp_path / "model.fastnn")
    np.testing.assert_array_equal(fastnn.load(tmp_path / "model.fastnn")(x).numpy(), wanted)


def test_rules_apply_to_the_table() -> None:
    layer = fastnn.Embedding(V, C, "ones", embeddings_regularizer="l2", embeddings_constraint="unit_norm")
    assert abs(layer.losses[0].item() - 0.01 * V * C) < 1e-6
    layer.apply_constraints()
    np.testing.assert_allclose(layer.embeddings.numpy(), np.full((V, C), V**-0.5), rtol=1e-6)
    copy = fastnn.Embedding.from_config(layer.get_config())
    assert copy.get_config() == layer.get_config() and copy.mask_zero is False


def test_indices_out_of_range_in_recorded_steps() -> None:
    """Steps that are replayed do not check indices: negative ones count from the end, and there is no row beyond the table."""
    layer = nn.Embedding(V, C, _weight=W)
    look_up = fastnn.capture(lambda ids: layer(ids).detach())
    for ids in ([0, 1], [1, 2], [3, 4]):
        np.testing.assert_array_equal(look_up(fastnn.tensor(ids)).numpy(), W[ids])
    got = look_up(fastnn.tensor([-1, V])).numpy()
    np.testing.assert_array_equal(got, np.stack([W[-1], np.full(C, np.nan, np.float32)]))
    with pytest.raises(IndexError, match=f"index -1 is out of range for {V}"):
        layer([-1, 0])
