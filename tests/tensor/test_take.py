"""Rows by number, as an embedding takes them: values, gradients in the parameter's own buffer, and which rows were touched."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import fastnn
import fastnn.nn as nn
from fastnn.backends import current

rng = np.random.default_rng(0)
V, C = 7, 5
W = rng.standard_normal((V, C)).astype(np.float32)
IDS = np.array([[1, 6, 1], [0, 3, 6]])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("ids", [IDS, IDS.astype(np.int32), IDS.tolist(), np.int64(3), np.zeros((2, 0), np.int64)])
def test_as_torchs_embedding(dtype: str, ids: Any) -> None:
    torch = pytest.importorskip("torch")
    w = nn.Parameter(W.astype(dtype))
    t = torch.tensor(W.astype(dtype), requires_grad=True)
    for _ in range(2):  # the second adds to the gradient of the first
        y = fastnn.take(w, ids)
        z = torch.nn.functional.embedding(torch.tensor(np.asarray(ids, np.int64)), t)
        np.testing.assert_array_equal(y.numpy(), z.detach().numpy())
        weight = rng.standard_normal(y.shape).astype(dtype)
        (y * fastnn.tensor(weight)).sum().backward()
        (z * torch.tensor(weight)).sum().backward()
    np.testing.assert_allclose(w.grad.numpy(), t.grad.numpy(), rtol=1e-6)


def test_gradient_checks() -> None:
    assert fastnn.gradcheck(lambda w: fastnn.take(w, IDS), W)
    assert fastnn.gradcheck(lambda w: fastnn.take(w, IDS - V), W)  # from the end
    assert fastnn.gradcheck(lambda w: fastnn.take(w.T, IDS, axis=1) * 2, W)
    assert fastnn.gradcheck(lambda w: fastnn.take(w, [1, 1])[0] @ w.T, W)
    assert fastnn.gradcheck(lambda w: w[IDS, -IDS % C - C] + w[[0, -1]].sum() + w.gather(1, [[-1]] * V).sum(), W)


def test_the_gradient_is_added_in_its_own_buffer(monkeypatch: pytest.MonkeyPatch) -> None:
    w, k = nn.Parameter(W), current()
    fastnn.take(w, IDS).sum().backward()
    buffer, made = w.grad_buffer(), []
    empty = k.empty
    monkeypatch.setattr(k, "empty", lambda shape, dtype: made.append(shape) or empty(shape, dtype))
    fastnn.take(w, IDS).sum().backward()
    assert (V, C) not in made and w.grad_buffer() is buffer
    counts = np.bincount(IDS.ravel(), minlength=V)
    np.testing.assert_array_equal(w.grad.numpy(), 2 * np.repeat(counts[:, None], C, 1))


def test_the_same_bits_for_any_number_of_workers() -> None:
    ids, big = rng.integers(0, 500, 20000), rng.standard_normal((500, 64)).astype(np.float32)
    dy = rng.standard_normal((20000, 64)).astype(np.float32)
    before, grads = fastnn.get_num_threads(), []
    try:
        for n in (1, 2, 3):
            fastnn.set_num_threads(n)
            w = nn.Parameter(big.copy())
            fastnn.take(w, ids).backward(dy)
            fastnn.take(w, ids).backward(dy)
            grads.append(w.grad.numpy().copy())
    finally:
        fastnn.set_num_threads(before)
    assert all(np.array_equal(g, grads[0]) for g in grads)


@pytest.mark.parametrize(
    ("ids", "message"),
    [
        ([[0, 7]], r"take: index 7 is out of range for 7, at \[0, 1\]"),
        (np.array([0, -8], np.int32), r"take: index -8 is out of range for 7, at \[1\]"),
        (7, "take: index 7 is out of range for 7"),
    ],
)
def test_out_of_range(ids: Any, message: str) -> None:
    with pytest.raises(IndexError, match=message):
        fastnn.take(fastnn.tensor(W), ids)
    with pytest.raises(TypeError, match="take: an index of dtype float32 came"):
        fastnn.take(fastnn.tensor(W), [0.5])


class Tagger(nn.Module):
    """An embedding, whose matrix is that of the output, too."""

    input_spec = fastnn.InputSpec(dtype="int", ndim=2)

    def __init__(self, tied: bool = True) -> None:
        super().__init__()
        self.table = nn.Parameter(W.copy())
        self.inner = nn.Linear(C, C)
        self.tied = tied

    def forward(self, ids: Any) -> Any:
        h = self.inner(fastnn.take(self.table, ids)).tanh().mean(1)
        return h @ self.table.T if self.tied else h[:, :1]


def test_tied_weights_as_in_torch() -> None:
    torch = pytest.importorskip("torch")
    fastnn.seed(0)
    m, labels = Tagger(), np.array([2, 5])
    t = torch.tensor(W, requires_grad=True)
    weight, bias = torch.tensor(m.inner.weight.numpy().copy()), torch.tensor(m.inner.bias.numpy().copy())
    for _ in range(2):
        nn.CrossEntropyLoss()(m(IDS), fastnn.tensor(labels)).backward()
        h = torch.tanh(torch.nn.functional.embedding(torch.tensor(IDS), t) @ weight.T + bias).mean(1)
        torch.nn.functional.cross_entropy(h @ t.T, torch.tensor(labels)).backward()
    np.testing.assert_allclose(m.table.grad.numpy(), t.grad.numpy(), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("tied", [True, False])
def test_captured_steps_are_eager_ones(tied: bool) -> None:
    def train(capture: bool) -> tuple[list[float], Any, Any]:
        fastnn.seed(0)
        m = Tagger(tied)
        touched = m.table.track_rows()
        optimizer = fastnn.optim.SGD(m.parameters(), lr=0.1)

        def step(ids: Any, y: Any) -> Any:
            optimizer.zero_grad()
            for part in (ids[:, :2], ids[:, 1:]):  # two backwards add up
                out = m(part)
                loss = out.square().mean() if not tied else nn.CrossEntropyLoss()(out, y)
                loss.backward()
            optimizer.step()
            return loss

        run = fastnn.capture(step) if capture else step
        draw, losses, marks = np.random.default_rng(1), [], []
        for _ in range(6):
            ids = fastnn.tensor(draw.integers(-V, V, (2, 3)))
            losses.append(run(ids, fastnn.tensor([1, 4])).item())
            wanted = np.ones(V, bool) if tied else np.isin(np.arange(V), ids.numpy() % V)
            assert np.array_equal(touched.numpy(), wanted)
            marks.append(touched.numpy().copy())
        if capture:
            assert not run.captured.eager
        return losses, m.table.numpy().copy(), marks

    for a, b in zip(train(True), train(False), strict=True):
        np.testing.assert_array_equal(a, b)


def test_rows_that_are_asked_for_after_a_step_was_recorded() -> None:
    m = Tagger(tied=False)
    m.compile("sgd", "mse")
    for _ in range(4):
        m.train_on_batch(IDS, np.zeros((2, 1), np.float32))
    touched = m.table.track_rows()
    m.table.zero_grad()
    m.train_on_batch(IDS[:, ::-1].copy(), np.zeros((2, 1), np.float32))
    assert touched.numpy().nonzero()[0].tolist() == [0, 1, 3, 6]
    with pytest.raises(ValueError, match="a view of one that is stored in another order"):
        m.inner.weight.track_rows()


def test_a_replay_touches_no_memory_outside() -> None:
    w = nn.Parameter(W)
    touched = w.track_rows()

    def step(ids: Any) -> Any:
        w.zero_grad()
        y = fastnn.take(w, ids)
        y.sum().backward()
        return y.detach()

    step = fastnn.capture(step)
    for _ in range(3):
        step(fastnn.tensor([0, 1]))
    y = step(fastnn.tensor([2, 10**12])).numpy()
    np.testing.assert_array_equal(y[0], W[2])
    assert np.isnan(y[1]).all()
    assert w.grad.numpy().sum() == C and touched.tolist() == [i == 2 for i in range(V)]


def test_fit_predict_and_freeze() -> None:
    fastnn.seed(0)
    m, ids = Tagger(), rng.integers(0, V, (32, 3))
    labels = ids[:, 0]
    m.compile(fastnn.optim.Adam(lr=0.05), fastnn.losses.SparseCategoricalCrossentropy(from_logits=True))
    history = m.fit(ids, labels, epochs=30, batch_size=8, verbose=0).history["loss"]
    assert history[-1] < 0.7 * history[0]
    wanted = m(ids).numpy()
    for _ in range(4):
        np.testing.assert_allclose(m.predict(ids), wanted, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(m.freeze(batch_size=32, input_shape=(3,))(ids), wanted, rtol=1e-5, atol=1e-6)


def test_an_index_array_takes_rows_too() -> None:
    w = nn.Parameter(W)
    touched = w.track_rows()
    (w[IDS].sum() + w.index_select(0, [4]).sum()).backward()
    assert touched.numpy().nonzero()[0].tolist() == [0, 1, 3, 4, 6]


def test_rows_that_others_touch() -> None:
    w = nn.Parameter(W)
    touched = w.track_rows()
    assert w.track_rows().data is touched.data and not touched.numpy().any()
    fastnn.take(w, [1, -1]).sum().backward()
    assert touched.numpy().nonzero()[0].tolist() == [1, V - 1]
    fastnn.take(w, [0]).sum().backward()
    assert touched.numpy().nonzero()[0].tolist() == [0, 1, V - 1]
    fastnn.grad(fastnn.take(w, [3]).sum(), w)  # leaves w.grad as it is
    assert touched.numpy().nonzero()[0].tolist() == [0, 1, V - 1]
    (w * 2).sum().backward()
    assert touched.numpy().all()
    w.zero_grad()
    fastnn.take(w, [2]).sum().backward()
    assert touched.numpy().nonzero()[0].tolist() == [2]
    (w @ fastnn.tensor(W.T)).sum().backward()
    assert touched.numpy().all()
    w.zero_grad()
    fastnn.take(w, [2]).sum().backward()
    w.grad = W
    assert touched.numpy().all()
    with pytest.raises(ValueError, match="track_rows: the parameter has no rows"):
        nn.Parameter(np.float32(1.0)).track_rows()
