"""The linear layer and cross-entropy in one: equal to the two of them, however many chunks it takes, and in a replay."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import fastnn
import fastnn.nn as nn
from fastnn.backends import backends, get_isa, isas, load, recording, unavailable, use_isa
from fastnn.ops import loss as ops
from fastnn.ops.dense import dense
from fastnn.replay.recorder import Recorder

rng = np.random.default_rng(0)
BACKENDS = [b.name for b in backends().values() if b.available]
IGNORE = -100


@pytest.fixture(params=BACKENDS)
def backend(request: pytest.FixtureRequest) -> Iterator[str]:
    with fastnn.use_backend(request.param):
        yield request.param


@pytest.fixture(params=[1, 3], ids=["one chunk", "chunks"])
def chunks(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    """Into how many chunks 7 to 9 rows go."""
    if request.param > 1:
        limit(monkeypatch, 3)
    return int(request.param)


def limit(monkeypatch: pytest.MonkeyPatch, rows: int) -> None:
    """At most so many rows in a chunk."""
    for name, value in {"CHUNK_BYTES": 0, "CHUNK_ROWS": rows}.items():
        monkeypatch.setattr(ops, name, value)


def leaf(*shape: int, dtype: str = "float64") -> fastnn.Tensor:
    return fastnn.tensor(rng.standard_normal(shape).astype(dtype), requires_grad=True)


def run(f: Callable[[], tuple[Any, Any]], leaves: list[Any], dlosses: np.ndarray) -> list[np.ndarray]:
    """Losses, weights and gradients."""
    for t in leaves:
        t.zero_grad()
    losses, weights = f()
    losses.backward(dlosses)
    return [losses.numpy(), fastnn.Tensor(weights).numpy(), *(t.grad.numpy().copy() for t in leaves if t.requires_grad)]


OPTIONS: dict[str, dict[str, Any]] = {
    "plain": {},
    "weights": {"sample_weight": 7, "class_weight": 5},
    "ignored": {"ignore_index": IGNORE},
    "smoothed": {"smoothing": 0.2},
    "all": {"sample_weight": 7, "class_weight": 5, "ignore_index": IGNORE, "smoothing": 0.1},
}


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("bias", [False, True])
def test_fused_equals_the_two_operations(backend: str, chunks: int, bias: bool, transposed: bool, options: str) -> None:
    x, w = leaf(7, 4), leaf(5, 4) if transposed else leaf(4, 5)
    b = leaf(5) if bias else None
    labels = rng.integers(0, 5, 7)
    kwargs = {k: rng.uniform(0.5, 2, v) if k.endswith("weight") else v for k, v in OPTIONS[options].items()}
    if "ignore_index" in kwargs:
        labels[[0, 6]] = IGNORE
    leaves, dlosses = [t for t in (x, w, b) if t is not None], rng.standard_normal(7)
    two = run(lambda: ops.sparse_cross_entropy(dense(x, w.T if transposed else w, b), labels, **kwargs), leaves, dlosses)
    fused = run(lambda: ops.linear_cross_entropy(x, w, b, labels, transposed=transposed, **kwargs), leaves, dlosses)
    for got, want in zip(fused, two, strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("sizes", [(0, 3, 4), (2, 0, 3), (2, 3, 0), (1, 1, 1), (1, 3, 1), (2, 1, 7), (9, 17, 33)], ids=str)
@pytest.mark.parametrize("transposed", [False, True])
def test_fused_of_all_sizes(backend: str, chunks: int, transposed: bool, sizes: tuple[int, int, int], dtype: str) -> None:
    m, k, n = sizes
    leaves = [leaf(m, k, dtype=dtype), leaf(*((n, k) if transposed else (k, n)), dtype=dtype), leaf(n, dtype=dtype)]
    x, w, b = leaves
    labels, dlosses = rng.integers(0, max(n, 1), m), rng.standard_normal(m).astype(dtype)
    two = run(lambda: ops.sparse_cross_entropy(dense(x, w.T if transposed else w, b), labels), leaves, dlosses)
    fused = run(lambda: ops.linear_cross_entropy(x, w, b, labels, transposed=transposed), leaves, dlosses)
    for got, want in zip(fused, two, strict=True):
        assert got.dtype == want.dtype
        np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-5 if dtype == "float32" else 1e-12)


def test_gradients_of_the_fused_loss(backend: str, chunks: int) -> None:
    labels = rng.integers(0, 6, (3, 3))
    for transposed, shape in ((False, (4, 6)), (True, (6, 4))):
        given = [rng.standard_normal((3, 3, 4)), rng.standard_normal(shape), rng.standard_normal(6)]

        def losses(x: Any, w: Any, b: Any, transposed: bool = transposed) -> Any:
            return ops.linear_cross_entropy(x, w, b, labels.reshape(-1), smoothing=0.1, transposed=transposed)[0]

        assert fastnn.gradcheck(losses, given)
        assert fastnn.gradcheck(lambda w, f=losses, g=given: f(fastnn.tensor(g[0]), w, None), given[1:2])
        assert fastnn.gradcheck(lambda x, f=losses, g=given: f(x, fastnn.tensor(g[1]), None), given[:1])


def test_fused_gradients_accumulate(backend: str, chunks: int) -> None:
    leaves = [leaf(8, 4), leaf(4, 6), leaf(6)]
    labels = rng.integers(0, 6, 8)
    for n in (1, 2, 3):
        ops.linear_cross_entropy(*leaves, labels)[0].sum().backward()
        if n == 1:
            once = [t.grad.numpy().copy() for t in leaves]
        for t, g in zip(leaves, once, strict=True):
            np.testing.assert_allclose(t.grad.numpy(), n * g, rtol=1e-12)


def test_one_tensor_as_input_and_weight_gets_both_gradients(backend: str, chunks: int) -> None:
    a, labels = leaf(8, 8), rng.integers(0, 8, 8)
    ops.linear_cross_entropy(a, a, None, labels)[0].sum().backward()
    x, w = (fastnn.tensor(a.numpy(), requires_grad=True) for _ in range(2))
    ops.linear_cross_entropy(x, w, None, labels)[0].sum().backward()
    np.testing.assert_allclose(a.grad.numpy(), x.grad.numpy() + w.grad.numpy(), rtol=1e-12)


def test_a_kept_graph_gives_the_same_gradients_again(backend: str, chunks: int) -> None:
    leaves = [leaf(8, 4), leaf(4, 6)]
    total = ops.linear_cross_entropy(*leaves, None, rng.integers(0, 6, 8))[0].sum()
    total.backward(retain_graph=True)
    first = [t.grad.numpy().copy() for t in leaves]
    for t in leaves:
        t.zero_grad()
    total.backward()
    for t, g in zip(leaves, first, strict=True):
        np.testing.assert_array_equal(t.grad.numpy(), g)
    with pytest.raises(RuntimeError, match="freed"):
        total.backward()


def test_nan_stays_in_its_row(backend: str, chunks: int) -> None:
    leaves = [leaf(9, 4), leaf(4, 6)]
    with fastnn.no_grad():
        leaves[0].copy_(np.where(np.arange(36).reshape(9, 4) == 5, np.nan, leaves[0].numpy()))
    losses, _ = ops.linear_cross_entropy(*leaves, None, rng.integers(0, 6, 9))
    assert np.isnan(losses.numpy()).tolist() == [i == 1 for i in range(9)]
    losses.sum().backward()
    assert np.isnan(leaves[0].grad.numpy()).all(1).tolist() == [i == 1 for i in range(9)]
    assert np.isnan(leaves[1].grad.numpy()).all()


def test_a_label_that_no_check_has_seen_gives_nan(backend: str, chunks: int) -> None:
    """In a replay labels are not looked at."""
    x, w = leaf(8, 4), leaf(4, 6)
    losses, _ = ops.linear_cross_entropy(x, w, None, np.array([0, 1, 2, 6, 3, -1, 4, 5]))
    assert np.isnan(losses.numpy()).tolist() == [i in (3, 5) for i in range(8)]


class Spy(Recorder):
    """A recorder that knows the largest array that was made."""

    largest = 0

    def empty(self, shape: Any, dtype: Any) -> Any:
        array = super().empty(shape, dtype)
        self.largest = max(self.largest, array.nbytes)
        return array


def test_no_more_logits_than_a_chunk_and_none_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ops, "CHUNK_BYTES", 64 * 1000 * 4)
    w = leaf(3, 1000, dtype="float32")
    for rows, chunks in ((1, 1), (63, 1), (64, 1), (65, 2), (200, 4)):
        x, spy = leaf(rows, 3, dtype="float32"), Spy(load(fastnn.get_backend()))
        with recording(spy):
            ops.linear_cross_entropy(x, w, None, rng.integers(0, 1000, rows))[0].sum().backward()
        names = [name for name, _ in spy.calls]
        assert spy.largest <= 64 * 1000 * 4
        assert names.count("dense_forward") == 2 * chunks - 1  # the last chunk's are kept
        assert names.count("dense_backward") == chunks


def step_of(loss: Any, x: Any, optimizer: Any) -> Callable[..., Any]:
    def step(labels: Any) -> Any:
        optimizer.zero_grad()
        value = loss(x, labels)
        value.backward()
        optimizer.step()
        return value

    return step


@pytest.mark.parametrize("tied", [False, True])
def test_a_captured_loop_equals_eager_to_the_bit(backend: str, chunks: int, tied: bool) -> None:
    data, results = rng.standard_normal((9, 4)), []
    targets = rng.integers(0, 6, (6, 9))
    targets[:, 3] = IGNORE
    for wrap in (lambda f: f, fastnn.capture):
        fastnn.seed(1)
        loss = nn.LinearCrossEntropyLoss(4, 6, bias=True, dtype="float64", label_smoothing=0.1, weight=np.arange(1.0, 7.0))
        if tied:
            loss.linear.weight = nn.Parameter(loss.linear.weight.numpy().copy())
        x = nn.Parameter(data)
        step = wrap(step_of(loss, x, fastnn.optim.Adam([x, *loss.parameters()], lr=0.1)))
        results.append([*(step(y).item() for y in targets), x.tolist(), *(w.tolist() for w in loss.get_weights())])
    assert step.captured.eager == "" and step.captured._steps
    assert results[0] == results[1]


def test_a_frozen_head_is_noticed_by_a_captured_step() -> None:
    loss, x = nn.LinearCrossEntropyLoss(4, 6), nn.Parameter(rng.standard_normal((5, 4)).astype(np.float32))
    step = fastnn.capture(step_of(loss, x, fastnn.optim.SGD([x, *loss.parameters()], lr=0.1)))
    for _ in range(4):
        step(rng.integers(0, 6, 5))
    loss.linear.weight.requires_grad = False
    before = loss.linear.weight.tolist()
    step(rng.integers(0, 6, 5))
    assert loss.linear.weight.tolist() == before


def test_a_graph_kept_inside_a_captured_step(backend: str, chunks: int) -> None:
    x, w = leaf(8, 4), leaf(4, 6)

    def twice(labels: Any) -> Any:
        x.zero_grad()
        w.zero_grad()
        total = ops.linear_cross_entropy(x, w, None, fastnn.losses.base.as_labels(labels, (8,), 6, "twice"))[0].sum()
        total.backward(retain_graph=True)
        total.backward()
        return total

    step, labels = fastnn.capture(twice), [rng.integers(0, 6, 8) for _ in range(5)]
    for y in labels:
        got = step(y).item(), x.grad.tolist(), w.grad.tolist()
        assert got == (twice(y).item(), x.grad.tolist(), w.grad.tolist())
    assert step.captured._steps


@pytest.mark.skipif(bool(unavailable("cpp")), reason="no compiled kernels")
@pytest.mark.parametrize("isa", [name for name, lacking in isas().items() if not lacking])
def test_fused_gives_the_same_bits_for_any_number_of_threads(isa: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from fastnn import _core

    limit(monkeypatch, 40)
    threads, share, before = fastnn.get_num_threads(), _core.share(), get_isa()
    leaves, labels = [leaf(100, 33, dtype="float32"), leaf(33, 501, dtype="float32")], rng.integers(0, 501, 100)
    ones, results = np.ones(100, np.float32), []
    try:
        use_isa(isa)
        _core.set_share(1e-6)
        for n in (1, 2, 3):
            fastnn.set_num_threads(n)
            results.append(run(lambda: ops.linear_cross_entropy(*leaves, None, labels), leaves, ones))
    finally:
        _core.set_share(share)
        fastnn.set_num_threads(threads)
        use_isa(before)
    for result in results[1:]:
        assert all(a.tobytes() == b.tobytes() for a, b in zip(results[0], result, strict=True))


def test_the_module_s_parameters_are_the_layer_s() -> None:
    loss = nn.LinearCrossEntropyLoss(4, 6, bias=True)
    assert {name: p.shape for name, p in loss.named_parameters()} == {"linear.weight": (6, 4), "linear.bias": (6,)}
    assert [name for name, _ in nn.LinearCrossEntropyLoss(4, 6).named_parameters()] == ["linear.weight"]
    assert nn.LinearCrossEntropyLoss(4, 6, dtype="float64")([[1, 2, 3, 4]], [0]).dtype == np.float64


def test_a_tied_weight_gets_the_gradients_of_both_uses() -> None:
    """The matrix of an embedding as the head: its rows are taken, and the logits are products with all of them."""
    table, index, labels = rng.standard_normal((6, 4)), rng.integers(0, 6, 9), rng.integers(0, 6, 9)
    loss = nn.LinearCrossEntropyLoss(4, 6, dtype="float64")
    tied = loss.linear.weight = nn.Parameter(table)
    assert [p is tied for p in loss.parameters()] == [True]
    loss(fastnn.take(tied, index, 0), labels).backward()
    other = fastnn.tensor(table, requires_grad=True)
    nn.CrossEntropyLoss()(fastnn.take(other, index, 0) @ other.T, labels).backward()
    np.testing.assert_allclose(tied.grad.numpy(), other.grad.numpy(), rtol=1e-12, atol=1e-14)


def test_inputs_of_any_rank() -> None:
    loss = nn.LinearCrossEntropyLoss(4, 6, reduction="none", dtype="float64")
    x, y, weight = rng.standard_normal((2, 3, 4)), rng.integers(0, 6, (2, 3)), rng.uniform(0.5, 2, (2, 3))
    flat = loss(x.reshape(6, 4), y.reshape(6)).numpy()
    np.testing.assert_array_equal(loss(x, y).numpy(), flat.reshape(2, 3))
    np.testing.assert_allclose(loss(x[0, 0], y[0, 0]).numpy(), flat[0], rtol=1e-12)  # one row is another product
    np.testing.assert_allclose(loss(x, y, sample_weight=weight).numpy(), flat.reshape(2, 3) * weight, rtol=1e-12)
    assert loss(x[:0], y[:0]).shape == (0, 3)
    nothing = nn.LinearCrossEntropyLoss(4, 6, reduction="sum")
    total = nothing(np.zeros((0, 4)), np.zeros(0, int))
    total.backward()
    assert total.item() == 0 and not nothing.linear.weight.grad.numpy().any()
