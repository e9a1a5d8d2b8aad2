"""Layers of the quantiles of columns: their bins and ranks, gradients, files, recorded steps and frozen models."""

import copy
from pathlib import Path
from statistics import NormalDist
from typing import Any

import numpy as np
import pytest

import fastnn
from fastnn import PiecewiseLinearEmbedding, QuantileNormalization

rng = np.random.default_rng(0)
X = np.stack([rng.standard_normal(300), np.exp(2 * rng.standard_normal(300)), rng.integers(0, 3, 300)], 1).astype(np.float32)


def adapted(layer: Any, data: Any = X) -> Any:
    layer.adapt(data)
    return layer


def bins_of(x: float, edges: np.ndarray) -> list[float]:
    """The values of the bins of one number, by the definition of the paper."""
    edges = np.unique(edges)
    values = []
    for t in range(len(edges) - 1):
        part = (x - edges[t]) / (edges[t + 1] - edges[t])
        if t:
            part = max(part, 0.0)
        if t < len(edges) - 2:
            part = min(part, 1.0)
        values.append(part)
    return values


def test_values_of_bins_are_those_of_the_paper() -> None:
    layer = adapted(PiecewiseLinearEmbedding(bins=5, dtype="float64"))
    far = np.array([[-9.0, -9.0, -9.0], [99.0, 1e4, 99.0]])
    x = np.concatenate([X[:40].astype(np.float64), far])
    y = layer(x).numpy()
    assert y.shape == (42, 3, 5) and layer.output_shape((3,)) == (3, 5)
    for f in range(3):
        edges = np.quantile(X[:, f].astype(np.float64), np.linspace(0, 1, 6))
        for row in range(42):
            wanted = bins_of(x[row, f], edges)
            np.testing.assert_allclose(y[row, f, : len(wanted)], wanted, rtol=1e-9, atol=1e-12)
            assert not y[row, f, len(wanted) :].any()
    assert (layer.inverse_width.numpy()[2] > 0).sum() == 2, "a column of three values has two bins"


def test_each_column_has_its_own_dense_layer() -> None:
    layer = adapted(PiecewiseLinearEmbedding(4, bins=6, activation="tanh"))
    plain = adapted(PiecewiseLinearEmbedding(bins=6))
    wanted = np.einsum("bft,fte->bfe", plain(X).numpy(), layer.kernel.numpy()) + layer.bias.numpy()[:, 0]
    np.testing.assert_allclose(layer(X).numpy(), np.tanh(wanted), atol=1e-5)
    assert layer.output_shape((3,)) == (3, 4)


def test_ranks_have_the_chosen_distribution() -> None:
    uniform = adapted(QuantileNormalization(output="uniform", dtype="float64"))
    x = X[:, :2].astype(np.float64)
    y = adapted(QuantileNormalization(output="uniform", dtype="float64"), x)(x).numpy()
    np.testing.assert_allclose(np.sort(y, 0), np.linspace(0, 1, 300)[:, None].repeat(2, 1), atol=1e-9)
    assert (np.argsort(y, 0) == np.argsort(x, 0)).all()
    z = adapted(QuantileNormalization(dtype="float64"), x)(x).numpy()
    inner = (y > 0.01) & (y < 0.99)
    np.testing.assert_allclose(z[inner], [NormalDist().inv_cdf(p) for p in y[inner]], atol=1e-9)
    assert z.max() < 3.3 and abs(z.mean()) < 0.01 and 0.97 < z.std() < 1.03
    ends = uniform([[-9.0, -9.0, -9.0], [99.0, 1e9, 99.0], [np.inf] * 3, [-np.inf] * 3]).numpy()
    np.testing.assert_array_equal(ends[:, :2], [[0, 0], [1, 1], [1, 1], [0, 0]])
    assert np.isnan(uniform([[np.nan] * 3]).numpy()).all()


def test_a_number_that_occurs_often_gets_the_mean_of_its_ranks() -> None:
    x = np.array([0.0] * 3 + [1.0] * 6 + [5.0] * 2)[:, None]
    y = adapted(QuantileNormalization(output="uniform", dtype="float64"), x)([[0.0], [1.0], [5.0], [3.0]]).numpy()[:, 0]
    np.testing.assert_allclose(y, [0.1, 0.55, 0.95, 0.75])


def test_ranks_are_those_of_scikit_learn() -> None:
    peer = pytest.importorskip("sklearn.preprocessing").QuantileTransformer(n_quantiles=50, subsample=None)
    x = X[:, :2].astype(np.float64)
    ours = adapted(QuantileNormalization(50, "uniform", dtype="float64"), x)
    more = np.concatenate([x, rng.standard_normal((50, 2)) * 5])
    np.testing.assert_allclose(ours(more).numpy(), peer.fit(x).transform(more), atol=1e-9)


@pytest.mark.parametrize("layer", [PiecewiseLinearEmbedding(4, bins=6), QuantileNormalization(20)])
def test_batches_adapt_like_one_array_and_a_second_time_anew(layer: Any) -> None:
    first = adapted(copy.deepcopy(layer), X * 3)
    first.adapt((X[i : i + 70], None) for i in range(0, 300, 70))
    fastnn.seed(0)
    again = adapted(copy.deepcopy(layer))
    for a, b in zip(first.buffers(), again.buffers(), strict=True):
        np.testing.assert_array_equal(a.numpy(), b.numpy())


def test_before_adapt_the_data_are_taken_to_be_normal() -> None:
    x = np.linspace(-2, 2, 9, dtype=np.float32)[:, None]
    np.testing.assert_allclose(QuantileNormalization()(x).numpy(), x, atol=0.01)
    np.testing.assert_allclose(PiecewiseLinearEmbedding(bins=4)(x).numpy()[4, 0], [1, 1, 0, 0], atol=1e-6)


@pytest.mark.parametrize(
    "make", [lambda: PiecewiseLinearEmbedding(2, bins=4, activation="tanh"), lambda: QuantileNormalization(20)]
)
def test_gradients(make: Any) -> None:
    layer = make()
    layer.set_dtype("float64")
    layer.adapt(X)
    x = rng.uniform(0.3, 0.7, (6, 3))
    assert fastnn.gradcheck(layer, x)


def net(dtype: str = "float32") -> Any:
    fastnn.seed(0)
    layers = [adapted(QuantileNormalization(64, dtype=dtype)), PiecewiseLinearEmbedding(4, bins=8), fastnn.Flatten()]
    return fastnn.Sequential([*layers, fastnn.models.TabM(12, 1, k=3, width=8, depth=1, dtype=dtype)], dtype=dtype)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_in_a_model_they_are_recorded_saved_frozen_and_the_same_on_the_reference(dtype: str, tmp_path: Path) -> None:
    y = (X[:, :1] > 0).astype(dtype)
    found = []
    for backend in ("cpp", "numpy"):
        with fastnn.use_backend(backend):
            model = net(dtype)
            steps: list[Any] = []
            model.compile(fastnn.optim.SGD(lr=0.05), "mse")
            make = model._train_step
            object.__setattr__(model, "_train_step", lambda *args, make=make, steps=steps: steps.append(make(*args)) or steps[-1])
            history = model.fit(X, y, epochs=4, batch_size=50, shuffle=False, verbose=0).history["loss"]
            assert all(step.recorded is not None and not step.why_eager for step in steps) and history[-1] < history[0]
            found.append(model.predict(X))
            assert found[-1].dtype == dtype
    np.testing.assert_allclose(*found, atol=1e-5)
    model = net(dtype)
    wanted = model.predict(X)
    model.save(tmp_path / "m")
    np.testing.assert_array_equal(fastnn.load(tmp_path / "m").predict(X), wanted)
    np.testing.assert_array_equal(copy.deepcopy(model).predict(X), wanted)
    frozen = model.freeze(batch_size=16)
    for begin in (0, 16):
        np.testing.assert_allclose(frozen(X[begin : begin + 16].astype(dtype)), wanted[begin : begin + 16], atol=1e-5)
    for layer in list(model.children())[:2]:
        layer.save(tmp_path / "layer")
        np.testing.assert_array_equal(fastnn.load(tmp_path / "layer")(X).numpy(), layer(X).numpy())
        twin = type(layer)(**layer.get_config())
        assert twin.get_config() == layer.get_config()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: PiecewiseLinearEmbedding(0), "PiecewiseLinearEmbedding: units"),
        (lambda: PiecewiseLinearEmbedding(bins=0), "PiecewiseLinearEmbedding: bins"),
        (lambda: QuantileNormalization(1), "QuantileNormalization: quantiles"),
        (lambda: QuantileNormalization(output="gauss"), "output is 'gauss', wanted 'normal' or 'uniform'"),
        (lambda: QuantileNormalization().adapt([[1.0, np.nan]]), "column 1 has numbers that are NaN"),
        (lambda: QuantileNormalization().adapt([[1e39]]), "too large for float32"),
        (lambda: QuantileNormalization().adapt(np.zeros((0, 2))), "no samples came"),
        (lambda: QuantileNormalization().adapt(np.zeros((3, 2, 2))), r"wanted rows of a known number of columns"),
        (lambda: QuantileNormalization(input_shape=(2,)).adapt([[1.0]]), r"samples of shape \(1,\), wanted \(2,\)"),
        (lambda: QuantileNormalization(input_shape=(2,))([[1.0]]), r"shape \(1, 1\)"),
        (lambda: QuantileNormalization().adapt(np.float64(3.0)), "a number came, wanted samples"),
    ],
)
def test_bad_arguments(make: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()
