"""Attention: values and gradients beside PyTorch's, masks of every kind, heads that share keys, packed arrays, and positions."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import fastnn
import fastnn.nn as nn
from fastnn import Tensor
from fastnn.backends import unavailable

rng = np.random.default_rng(0)
B, H, M, N, D, E = 2, 4, 7, 9, 6, 5
Array = np.ndarray[Any, Any]


@pytest.fixture
def torch() -> Any:
    return pytest.importorskip("torch")


def numbers(*shape: int) -> Array:
    return rng.standard_normal(shape)


def both(torch: Any, own: Callable[..., Tensor], other: Callable[..., Any], *given: Array) -> None:
    """Compare the values and all gradients of two functions of the same arrays."""
    mine = [fastnn.tensor(a, requires_grad=True) for a in given]
    theirs = [torch.tensor(a, requires_grad=True) for a in given]
    y, z = own(*mine), other(*theirs)
    np.testing.assert_allclose(y.numpy(), z.detach().numpy(), rtol=1e-10, atol=1e-12)
    weights = rng.standard_normal(y.shape)
    (y * fastnn.tensor(weights)).sum().backward()
    (z * torch.tensor(weights)).sum().backward()
    for a, b in zip(mine, theirs, strict=True):
        np.testing.assert_allclose(a.grad.numpy(), b.grad.numpy(), rtol=1e-9, atol=1e-12)


HEADS = (numbers(B, H, M, D), numbers(B, H, N, D), numbers(B, H, N, E))
SHARED = (HEADS[0], HEADS[1][:, :2].copy(), HEADS[2][:, :2].copy())
MASK = rng.random((B, 1, M, N)) < 0.6
MASK[..., 0] = True  # PyTorch gives NaN to a query without keys
CALLS: dict[str, tuple[tuple[Array, ...], dict[str, Any]]] = {
    "plain": (HEADS, {}),
    "causal": (HEADS, {"is_causal": True}),
    "causal, square": ((HEADS[1], *HEADS[1:]), {"is_causal": True}),
    "mask": (HEADS, {"attn_mask": MASK}),
    "mask of all samples": (HEADS, {"attn_mask": MASK[0, 0]}),
    "added": (HEADS, {"attn_mask": numbers(H, M, N)}),
    "added, some -inf": (HEADS, {"attn_mask": np.where(MASK, 0.5, -np.inf)}),
    "scale": (HEADS, {"scale": 0.3}),
    "groups": (SHARED, {"enable_gqa": True, "is_causal": True}),
    "three axes": (tuple(a[0] for a in HEADS), {"attn_mask": MASK[0]}),
    "two axes": (tuple(a[0, 0] for a in HEADS), {"is_causal": True}),
    "five axes": (tuple(a.reshape(1, 2, 4, *a.shape[2:]) for a in HEADS), {"attn_mask": MASK[None]}),
}


@pytest.mark.parametrize("name", CALLS)
def test_as_torchs(torch: Any, name: str) -> None:
    given, rules = CALLS[name]
    theirs = rules | ({"attn_mask": torch.tensor(rules["attn_mask"])} if "attn_mask" in rules else {})
    both(
        torch,
        lambda q, k, v: fastnn.scaled_dot_product_attention(q, k, v, **rules),
        lambda q, k, v: torch.nn.functional.scaled_dot_product_attention(q, k, v, **theirs),
        *given,
    )


def test_the_gradient_of_a_mask(torch: Any) -> None:
    both(
        torch,
        fastnn.scaled_dot_product_attention,
        torch.nn.functional.scaled_dot_product_attention,
        *HEADS,
        numbers(H, M, N),
    )
    qkv, bias = numbers(2, 5, 8, 3), numbers(4, 5, 5)
    assert fastnn.gradcheck(lambda x, m: fastnn.attention_packed(x, 4, 2, causal=True, mask=m), [qkv, bias])


RULES: dict[str, dict[str, Any]] = {
    "nothing": {},
    "causal": {"causal": True},
    "lengths": {"lengths": [0, 5]},
    "starts": {"causal": True, "starts": [2, -3]},
    "top left": {"causal": True, "starts": 0},
    "window": {"window": 3},
    "window, causal": {"window": 3, "causal": True},
    "slopes": {"slopes": 0.5 ** np.arange(1, H + 1), "causal": True},
    "mask": {"mask": MASK},
    "mask of heads": {"mask": rng.random((H, 1, N)) < 0.5},
    "added": {"mask": numbers(1, H, M, N)},
    "nobody": {"mask": np.zeros((M, 1), bool)},
    "all": {"mask": MASK, "causal": True, "window": 6, "lengths": [8, 9], "slopes": np.ones(H), "scale": 0.2},
}
BY_LENGTH = tuple(a.swapaxes(1, 2).copy() for a in SHARED)


@pytest.mark.parametrize("rules", RULES.values(), ids=RULES)
def test_rules(rules: dict[str, Any]) -> None:
    """The kernel agrees with the weights, which are composed of other operations; its gradient is that of its values."""
    q, k, v = (fastnn.tensor(a, requires_grad=True) for a in BY_LENGTH)
    weights = fastnn.attention_weights(q, k, **rules)
    assert weights.shape == (B, H, M, N)
    want = (weights @ fastnn.repeat_interleave(v.transpose(0, 2, 1, 3), 2, 1)).transpose(0, 2, 1, 3)
    y = fastnn.attention(q, k, v, **rules)
    np.testing.assert_allclose(y.numpy(), want.numpy(), rtol=1e-12, atol=1e-14)
    first = fastnn.attention(*(t.transpose(0, 2, 1, 3) for t in (q, k, v)), heads_first=True, **rules)
    np.testing.assert_allclose(first.numpy().swapaxes(1, 2), y.numpy(), rtol=1e-12, atol=1e-14)
    factor = fastnn.tensor(numbers(*y.shape))
    grads = [fastnn.grad((out * factor).sum(), [q, k, v]) for out in (y, want)]
    for a, b in zip(*grads, strict=True):
        np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=1e-10, atol=1e-13)
    assert fastnn.gradcheck(lambda q, k, v: fastnn.attention(q, k, v, **rules), list(BY_LENGTH))


def test_a_query_without_keys_gets_0() -> None:
    q, k, v = (fastnn.tensor(a, requires_grad=True) for a in BY_LENGTH)
    y = fastnn.attention(q, k, v, lengths=[0, N], causal=True, starts=[0, -3])
    assert not y.numpy()[0].any() and not y.numpy()[1, :3].any() and y.numpy()[1, 3:].all()
    y.sum().backward()
    assert not any(t.grad.numpy()[0].any() for t in (q, k, v)) and not q.grad.numpy()[1, :3].any()
    empty = fastnn.attention(q, k[:, :0], v[:, :0])
    assert empty.shape == (B, M, H, E) and not empty.numpy().any()
    assert fastnn.attention(q[:, :0], k, v).shape == (B, 0, H, E)
    assert fastnn.attention(q[:0], k[:0], v[:0]).shape == (0, M, H, E)


def test_keys_beyond_the_length_are_not_used() -> None:
    q, k, v = (a.copy() for a in BY_LENGTH)
    want = fastnn.attention(q[:1], k[:1, :4].copy(), v[:1, :4].copy())
    k[:, 4:] = v[:, 4:] = np.nan
    tensors = [fastnn.tensor(a[:1], requires_grad=True) for a in (q, k, v)]
    y = fastnn.attention(*tensors, lengths=np.array([4], np.int32))
    np.testing.assert_allclose(y.numpy(), want.numpy(), rtol=1e-12)
    y.sum().backward()
    assert all(np.isfinite(t.grad.numpy()).all() for t in tensors)


@pytest.mark.parametrize("groups", [1, 2, 4])
def test_packed_is_the_same_as_apart(groups: int) -> None:
    x = numbers(2, 9, H + 2 * groups, D)
    packed, whole = (fastnn.tensor(x, requires_grad=True) for _ in range(2))
    y = fastnn.attention_packed(packed, H, groups, causal=True, window=5)
    parts = whole[:, :, :H], whole[:, :, H : H + groups], whole[:, :, H + groups :]
    z = fastnn.attention(*parts, causal=True, window=5)
    np.testing.assert_array_equal(y.numpy(), z.numpy())
    factor = fastnn.tensor(numbers(*y.shape))
    (y * factor).sum().backward()
    (z * factor).sum().backward()
    np.testing.assert_array_equal(packed.grad.numpy(), whole.grad.numpy())


def test_a_cache_gives_the_same_as_the_whole() -> None:
    """One query at a time, with keys in an array that is longer than what is filled: its position is in an array."""
    q, k, v = numbers(1, N, H, D), numbers(1, N, 2, D), numbers(1, N, 2, E)
    whole = fastnn.attention(q, k, v, causal=True).numpy()
    held = [np.full((1, 12, 2, n), np.nan) for n in (D, E)]
    for i in range(N):
        held[0][:, i], held[1][:, i] = k[:, i], v[:, i]
        at = np.array([i])
        y = fastnn.attention(q[:, i : i + 1].copy(), *held, causal=True, starts=at, lengths=at + 1)
        np.testing.assert_allclose(y.numpy()[:, 0], whole[:, i], rtol=1e-12)


@pytest.mark.parametrize("rate", [0.0, 0.4, 1.0])
def test_dropout(rate: float) -> None:
    """A weight is kept or dropped alike forward and backward; what is kept grows, so that the mean stays."""
    q, k = np.zeros((1, 64, 2, D)), np.zeros((1, 100, 2, D))
    v = np.broadcast_to(np.eye(100)[:, None], (100, 2, 100))[None].copy()
    share, state = np.array([rate]), np.array([5, 0], np.uint64)
    tensor = fastnn.tensor(v, requires_grad=True)
    y = fastnn.attention(q, k, tensor, rate=share, state=state)
    weights = y.numpy()  # as the values are the unit vectors
    kept = weights != 0
    np.testing.assert_allclose(weights[kept], 0.01 / (1 - rate) if rate < 1 else 0, rtol=1e-12)
    assert abs(kept.mean() - (1 - rate)) < 0.02 and int(state[1]) > 0
    dy = numbers(*y.shape)
    (y * fastnn.tensor(dy)).sum().backward()
    np.testing.assert_allclose(tensor.grad.numpy(), np.einsum("bihj,bihe->bjhe", weights, dy), atol=1e-12)
    again = fastnn.attention(q, k, v, rate=share, state=np.array([5, 0], np.uint64))
    np.testing.assert_array_equal(again.numpy(), weights)


def test_dropout_has_the_gradient_of_its_values() -> None:
    share = np.array([0.3])

    def f(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        return fastnn.attention(q, k, v, causal=True, rate=share, state=np.array([7, 0], np.uint64))

    assert fastnn.gradcheck(f, list(BY_LENGTH))
    fastnn.seed(3)
    first = fastnn.scaled_dot_product_attention(*HEADS, dropout_p=0.5).numpy()
    assert (first != fastnn.scaled_dot_product_attention(*HEADS, dropout_p=0.5).numpy()).any()
    fastnn.seed(3)
    np.testing.assert_array_equal(first, fastnn.scaled_dot_product_attention(*HEADS, dropout_p=0.5).numpy())


def turned(x: Array, angles: Array, halves: bool) -> Array:
    """Rotary positions as products of complex numbers."""
    c = angles.shape[-1]
    y = x.copy()
    first, second = (slice(0, c), slice(c, 2 * c)) if halves else (slice(0, 2 * c, 2), slice(1, 2 * c, 2))
    z = (x[..., first] + 1j * x[..., second]) * np.exp(1j * angles)[:, :, None]
    y[..., first], y[..., second] = z.real, z.imag
    return y


@pytest.mark.parametrize("halves", [True, False])
@pytest.mark.parametrize("columns", [0, 4, 6])
def test_rotary(halves: bool, columns: int) -> None:
    x, table = numbers(B, M, H, D), fastnn.rotary_table(20, columns, dtype=np.float64)
    speed = 10000.0 ** (-2 * np.arange(columns // 2) / max(columns, 1))
    for positions in (None, np.arange(M) + 3, rng.integers(0, 20, (B, M))):
        at = np.broadcast_to(np.arange(M) if positions is None else positions, (B, M))
        y = fastnn.rotary(x, table, positions, halves=halves)
        np.testing.assert_allclose(y.numpy(), turned(x, at[..., None] * speed, halves), atol=1e-12)
    assert fastnn.gradcheck(lambda x: fastnn.rotary(x, table, halves=halves, heads=2), x)
    part = fastnn.rotary(x, table, halves=halves, heads=2).numpy()
    np.testing.assert_array_equal(part[:, :, 2:], x[:, :, 2:])


def test_rotary_makes_scores_depend_on_distances_only() -> None:
    q, k = np.repeat(numbers(1, 1, 1, D), 8, 1), np.repeat(numbers(1, 1, 1, D), 8, 1)
    table = fastnn.rotary_table(8, D, dtype=np.float64)
    scores = (fastnn.rotary(q, table)[0, :, 0] @ fastnn.rotary(k, table)[0, :, 0].T).numpy()
    for d in range(-7, 8):
        np.testing.assert_allclose(np.diag(scores, d), np.diag(scores, d)[0], rtol=1e-10)


@pytest.mark.parametrize("threads", [2, 3, 4])
def test_the_same_bits_for_any_number_of_threads(threads: int) -> None:
    """Also where threads share a sample and its heads, and where one query has a long cache."""
    before, results = fastnn.get_num_threads(), []
    try:
        for count in (1, threads):
            fastnn.set_num_threads(count)
            r = np.random.default_rng(1)
            for b, m, n, heads, groups in ((1, 300, 300, 2, 1), (3, 130, 260, 2, 2), (1, 1, 3000, 4, 2)):
                shapes = (b, m, heads, 32), (b, n, groups, 32), (b, n, groups, 24)
                q, k, v = (fastnn.tensor(r.standard_normal(shape, np.float32), requires_grad=True) for shape in shapes)
                state = np.array([1, 0], np.uint64)
                y = fastnn.attention(q, k, v, causal=True, rate=np.array([0.1]), state=state)
                (y * y).sum().backward()
                results.append([t.numpy().tobytes() for t in (y, q.grad, k.grad, v.grad)])
    finally:
        fastnn.set_num_threads(before)
    assert results[:3] == results[3:]


LONG = """
import resource
import numpy as np
import fastnn

def step(n):
    q, k, v = (fastnn.tensor(np.ones((1, n, 1, 8), np.float32), requires_grad=True) for _ in range(3))
    fastnn.attention(q, k, v, causal=True).sum().backward()
    assert abs(v.grad.numpy().sum() - 8 * n) < 1e-2 * n
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024

before = step(64)
print(step(16384) - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="ru_maxrss has other units elsewhere")
@pytest.mark.skipif(bool(unavailable("cpp")), reason="no compiled kernels")
def test_memory_grows_with_the_length_only() -> None:
    """The scores of 16,384 positions alone would take 1 GiB."""
    env = {**os.environ, "FASTNN_BACKEND": "cpp"}
    done = subprocess.run([sys.executable, "-c", LONG], env=env, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < 64


class Block(nn.Module):
    """Attention with rotary positions, on one projection."""

    def __init__(self) -> None:
        super().__init__()
        self.project = fastnn.Dense(6 * 4, input_shape=(12,))
        self.table = fastnn.rotary_table(16, 4)

    def forward(self, x: Tensor) -> Tensor:
        qkv = fastnn.rotary(self.project(x).reshape(*x.shape[:2], 6, 4), self.table, heads=4)
        return fastnn.attention_packed(qkv, 2, causal=True).reshape(*x.shape[:2], 8)


def test_frozen_and_fitted() -> None:
    model, x = Block(), rng.standard_normal((5, 7, 12)).astype(np.float32)
    frozen = model.freeze(5, input_shape=(7, 12))
    np.testing.assert_allclose(frozen(x), model(x).numpy(), rtol=1e-5, atol=1e-6)
    y = np.tanh(x[..., :8]).astype(np.float32)
    model.compile(optimizer=fastnn.optim.Adam(lr=0.01), loss="mse")
    losses = model.fit(x, y, epochs=30, batch_size=5, verbose=0, shuffle=False).history["loss"]
    assert losses[-1] < 0.7 * losses[0]


def test_recorded_steps_use_new_values() -> None:
    """Positions and lengths are in arrays, dropout draws new numbers: replays do as eager calls."""
    q, k, v = (fastnn.tensor(a, requires_grad=True) for a in BY_LENGTH)
    drop = fastnn.Dropout(0.3, seed=9)
    state = drop._state

    def step(starts: Any, lengths: Any) -> Tensor:
        for t in (q, k, v):
            t.zero_grad()
        y = fastnn.attention(q, k, v, causal=True, starts=starts, lengths=lengths, rate=drop._value, state=drop._state)
        loss = (y * y).sum()
        loss.backward()
        return loss

    captured = fastnn.capture(step)
    for i in range(6):
        given = np.array([i, 2]), np.array([9 - i, 8])
        before = state.copy()
        want, grad = step(*given).item(), k.grad.numpy().copy()
        after = state.copy()
        state[...] = before
        assert captured(*given).item() == want
        np.testing.assert_array_equal(k.grad.numpy(), grad)
        np.testing.assert_array_equal(state, after)
    assert not captured.captured.eager


X = np.zeros((2, 3, 4, 6))


@pytest.mark.parametrize("causal", (False, True))
@pytest.mark.parametrize(("place", "seen"), ((2**63, True), (-(2**63) - 1, False)))
def test_positions_and_windows_without_end(causal: bool, place: int, seen: bool) -> None:
    """Numbers near the ends of int64 and beyond them are like any position or window that is far enough."""
    x = numbers(1, 3, 1, 4)
    whole = fastnn.attention(x, x, x).numpy()
    assert np.array_equal(fastnn.attention(x, x, x, starts=place, causal=causal).numpy(), whole * (seen or not causal))
    for window in (2**62, 2**63 - 1, 2**64):
        got = fastnn.attention(x, x, x, window=window, causal=causal).numpy()
        assert np.array_equal(got, fastnn.attention(x, x, x, causal=causal).numpy())


WRONG: list[tuple[Callable[[], Any], type[Exception], str]] = [
    (lambda: fastnn.attention(X[0], X, X), ValueError, r"attention: queries, keys and values of shapes \(3, 4, 6\)"),
    (lambda: fastnn.attention(X, X[:1], X), ValueError, r"attention: .* do not fit: wanted \(batch, length, heads, columns\)"),
    (lambda: fastnn.attention(X, X[..., :5], X), ValueError, "as many columns as queries"),
    (lambda: fastnn.attention(X, X[:, :, :3], X[:, :, :3]), ValueError, "attention: 4 heads of queries and 3 of keys"),
    (lambda: fastnn.attention(X.astype(int), X, X), TypeError, "attention: a Tensor of dtype int64 came"),
    (lambda: fastnn.attention(X, fastnn.tensor(X.astype(np.float32)), X), TypeError, "attention: Tensors of dtype float64 and"),
    (lambda: fastnn.attention(X, X, X, mask=np.ones((2, 3))), ValueError, r"attention: a mask of shape \(2, 3\) came"),
    (
        lambda: fastnn.attention(X, X, X, mask=np.ones((3, 3), int)),
        TypeError,
        "attention: a mask of dtype int64 came, wanted bool",
    ),
    (lambda: fastnn.attention(X, X, X, lengths=[1, 2, 3]), ValueError, r"attention: lengths of shape \(3,\) came, wanted \(2,\)"),
    (lambda: fastnn.attention(X, X, X, starts=[1.0, 2.0]), TypeError, "attention: starts of dtype float32"),
    (lambda: fastnn.attention(X, X, X, window=0), ValueError, "attention: window is 0"),
    (lambda: fastnn.attention(X, X, X, slopes=np.ones(3)), ValueError, r"attention: slopes of shape \(3,\)"),
    (lambda: fastnn.attention(X, X, X, scale=np.nan), ValueError, "attention: scale is nan"),
    (lambda: fastnn.attention(X, X, X, rate=np.ones(1)), TypeError, "attention: dropout needs both"),
    (lambda: fastnn.attention_packed(X, 2), ValueError, r"attention_packed: qkv of shape \(2, 3, 4, 6\) came, wanted .*, 6,"),
    (lambda: fastnn.attention_packed(X, 3, 2), ValueError, "attention_packed: qkv of shape"),
    (lambda: fastnn.scaled_dot_product_attention(X, X[:, :2], X[:, :2]), ValueError, "enable_gqa lets heads share keys"),
    (
        lambda: fastnn.scaled_dot_product_attention(X, X, X, np.ones(6, bool), 0.0, True),
        ValueError,
        "attn_mask and is_causal came",
    ),
    (lambda: fastnn.scaled_dot_product_attention(X, X, X, dropout_p=2.0), ValueError, "dropout_p is 2.0"),
    (lambda: fastnn.rotary(X, np.ones((4, 2, 4))), ValueError, r"rotary: a table of shape \(4, 2, 4\) came, wanted .* at most 3"),
    (lambda: fastnn.rotary(X, np.ones((2, 2, 3))), ValueError, "rotary: 3 positions came, but the table has 2"),
    (lambda: fastnn.rotary(X, np.ones((4, 2, 3)), [0, 1]), ValueError, r"rotary: positions of shape \(2,\) came, wanted \(3,\)"),
    (lambda: fastnn.rotary(X, np.ones((4, 2, 3)), heads=5), ValueError, "rotary: heads is 5, but x has 4"),
    (lambda: fastnn.rotary_table(4, 3), ValueError, "rotary_table: 3 columns came, wanted an even number"),
]


@pytest.mark.parametrize(("call", "error", "message"), WRONG)
def test_bad_arguments(call: Callable[[], Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call()
