"""Bags of indices, and rows whose norms are limited, against PyTorch."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import fastnn
import fastnn.nn as nn

rng = np.random.default_rng(0)
V, C = 7, 5
W = rng.standard_normal((V, C))
IDS = np.array([[1, 6, 1], [0, 3, 6], [3, 3, 3]])
OFFSETS = np.array([0, 0, 3, 3, 7, 9])


def both(**settings: Any) -> tuple[Any, Any]:
    torch = pytest.importorskip("torch")
    theirs = torch.nn.EmbeddingBag(V, C, **settings, _weight=torch.tensor(W.copy()))
    return nn.EmbeddingBag(V, C, **settings, _weight=W, dtype="float64"), theirs


@pytest.mark.parametrize("mode", ["sum", "mean", "max"])
@pytest.mark.parametrize("padding_idx", [None, 3])
@pytest.mark.parametrize("form", ["rows", "offsets", "last"])
def test_as_in_pytorch(mode: str, padding_idx: int | None, form: str) -> None:
    torch = pytest.importorskip("torch")
    own, theirs = both(mode=mode, padding_idx=padding_idx, include_last_offset=form == "last")
    args = [IDS] if form == "rows" else [IDS.reshape(-1), OFFSETS]
    y, z = own(*args), theirs(*map(torch.tensor, args))
    np.testing.assert_allclose(y.numpy(), z.detach().numpy(), rtol=1e-12)
    weight = rng.standard_normal(y.shape)
    (y * fastnn.tensor(weight)).sum().backward()
    (z * torch.tensor(weight)).sum().backward()
    np.testing.assert_allclose(own.weight.grad.numpy(), theirs.weight.grad.numpy(), rtol=1e-10, atol=1e-12)


def test_weights_of_items() -> None:
    torch = pytest.importorskip("torch")
    own, theirs = both(mode="sum")
    for args in ((IDS, None), (IDS.reshape(-1), OFFSETS)):
        w = rng.standard_normal(args[0].shape)
        a, b = fastnn.tensor(w, requires_grad=True), torch.tensor(w, requires_grad=True)
        own(*args, a).square().sum().backward()
        theirs(torch.tensor(args[0]), None if args[1] is None else torch.tensor(args[1]), b).square().sum().backward()
        np.testing.assert_allclose(a.grad.numpy(), b.grad.numpy(), rtol=1e-10)
    np.testing.assert_allclose(own.weight.grad.numpy(), theirs.weight.grad.numpy(), rtol=1e-10)


@pytest.mark.parametrize("norm_type", [2.0, 1.0, 3.0, float("inf")])
def test_max_norm(norm_type: float) -> None:
    torch = pytest.importorskip("torch")
    own = nn.Embedding(V, C, max_norm=0.7, norm_type=norm_type, _weight=W, dtype="float64")
    theirs = torch.nn.Embedding(V, C, max_norm=0.7, norm_type=norm_type, _weight=torch.tensor(W.copy()))
    np.testing.assert_allclose(own(IDS).numpy(), theirs(torch.tensor(IDS)).detach().numpy(), rtol=1e-10)
    np.testing.assert_allclose(own.weight.numpy(), theirs.weight.detach().numpy(), rtol=1e-10)
    np.testing.assert_array_equal(own.weight.numpy()[[2, 4, 5]], W[[2, 4, 5]])  # rows that were not looked up
    run = fastnn.capture(lambda ids: own(ids).detach())
    for ids in (IDS, IDS, IDS, IDS + 1 - (IDS > 5)):
        run(fastnn.tensor(ids))
    assert not run.captured.eager
    np.testing.assert_array_less((abs(own.weight.numpy()[[2, 4]]) ** 2).sum(1), (W[[2, 4]] ** 2).sum(1))


@pytest.mark.parametrize("mode", ["sum", "mean"])
def test_recorded_steps_read_new_offsets(mode: str) -> None:
    layer = nn.EmbeddingBag(V, C, mode=mode, _weight=W, dtype="float64")
    run = fastnn.capture(lambda ids, offsets: layer(ids, offsets).detach())
    for offsets in (OFFSETS, OFFSETS, OFFSETS, np.array([0, 1, 2, 2, 4, 5])):
        got = run(fastnn.tensor(IDS.reshape(-1)), fastnn.tensor(offsets)).numpy()
        np.testing.assert_allclose(got, layer(IDS.reshape(-1), offsets).numpy(), rtol=1e-12)
    assert not run.captured.eager


def test_fit() -> None:
    fastnn.seed(0)
    x = rng.integers(0, V, (64, 4))
    model = nn.Sequential(nn.EmbeddingBag(V, 8), nn.Linear(8, V))
    model.compile(fastnn.optim.Adam(lr=0.1), fastnn.losses.SparseCategoricalCrossentropy(from_logits=True))
    y = np.array([np.bincount(row, minlength=V).argmax() for row in x])
    history = model.fit(x, y, epochs=20, batch_size=32, verbose=0).history["loss"]
    assert history[-1] < 0.4 * history[0]
    np.testing.assert_allclose(model.freeze(batch_size=64, input_shape=(4,))(x), model(x).numpy(), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda bag: bag([1, 2]), ValueError, r"EmbeddingBag: input of shape \(2,\) without offsets"),
        (lambda bag: bag(IDS, OFFSETS), ValueError, r"EmbeddingBag: input of shape \(3, 3\) with offsets"),
        (lambda bag: bag([1, 2], [1]), ValueError, r"offsets are \[1\], wanted positions from 0 to 2 in ascending order"),
        (lambda bag: bag([1, 2], [0, 3]), ValueError, r"offsets are \[0, 3\]"),
        (lambda bag: bag(IDS, None, W), ValueError, "per_sample_weights came for mode 'mean'"),
        (lambda bag: bag([[1, 7]]), IndexError, r"EmbeddingBag: index 7 is out of range for 7, at \[0, 1\]; wanted 0 to 6"),
        (lambda bag: nn.EmbeddingBag(V, C, mode="median"), ValueError, "EmbeddingBag: mode is 'median', wanted 'sum', 'mean' or"),
    ],
)
def test_what_is_refused_says_why(call: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call(nn.EmbeddingBag(V, C))
