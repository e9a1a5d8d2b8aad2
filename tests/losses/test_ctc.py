"""CTC: against PyTorch and Keras, against the sum over all paths, lengths of 0, labels that cannot be reached."""

from __future__ import annotations

from itertools import groupby, product
from typing import Any

import numpy as np
import pytest

import fastnn
import fastnn.nn as nn
from fastnn.ops.ctc import ctc_loss

rng = np.random.default_rng(0)
T, N, C, S = 9, 5, 4, 3
LOGITS = rng.standard_normal((T, N, C))
TARGETS = np.array([[1, 2, 3], [2, 2, 0], [1, 1, 1], [3, 0, 0], [0, 0, 0]])
STEPS, LENGTHS = np.array([9, 7, 5, 1, 4]), np.array([3, 2, 3, 1, 0])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("together", [False, True])
def test_as_in_pytorch(dtype: str, reduction: str, together: bool) -> None:
    torch = pytest.importorskip("torch")
    targets = np.concatenate([row[:n] for row, n in zip(TARGETS, LENGTHS, strict=True)]) if together else TARGETS
    own = fastnn.tensor(LOGITS.astype(dtype), requires_grad=True)
    theirs = torch.tensor(LOGITS.astype(dtype), requires_grad=True)
    loss = nn.CTCLoss(reduction=reduction)(fastnn.log_softmax(own), targets, STEPS, LENGTHS)
    wanted = torch.nn.CTCLoss(reduction=reduction)(
        torch.log_softmax(theirs, -1), torch.tensor(targets), torch.tensor(STEPS), torch.tensor(LENGTHS)
    )
    np.testing.assert_allclose(loss.numpy(), wanted.detach().numpy(), rtol=1e-5)
    loss.sum().backward()
    wanted.sum().backward()
    np.testing.assert_allclose(own.grad.numpy(), theirs.grad.numpy(), rtol=1e-4, atol=1e-6)


def test_the_sum_over_all_paths() -> None:
    p = np.exp(LOGITS[:5, :1] - np.log(np.exp(LOGITS[:5, :1]).sum(-1, keepdims=True)))
    for target in ([1, 2], [2, 2], [3], []):
        total = 0.0
        for path in product(range(C), repeat=5):
            if [c for c, _ in groupby(path) if c != 0] == target:
                total += np.prod([p[t, 0, c] for t, c in enumerate(path)])
        labels = np.zeros((1, 3), np.int64)
        labels[0, : len(target)] = target
        loss = nn.CTCLoss(reduction="sum")(np.log(p), labels, [5], [len(target)])
        np.testing.assert_allclose(loss.item(), -np.log(total), rtol=1e-10)


def test_gradients_in_float64() -> None:
    log_probs = LOGITS - np.log(np.exp(LOGITS).sum(-1, keepdims=True))
    assert fastnn.gradcheck(lambda x: ctc_loss(x, TARGETS, STEPS, LENGTHS)[0], log_probs)
    assert fastnn.gradcheck(lambda x: ctc_loss(x, 3 - TARGETS, STEPS, LENGTHS, 3)[0], log_probs)


@pytest.mark.parametrize("zero_infinity", [False, True])
def test_labels_that_cannot_be_reached(zero_infinity: bool) -> None:
    torch = pytest.importorskip("torch")
    targets, steps, lengths = [[1, 1], [1, 2], [1, 2], [0, 0]], [2, 2, 0, 0], [2, 2, 2, 0]
    x = fastnn.tensor(LOGITS[:2, :4], requires_grad=True)
    loss = nn.CTCLoss(reduction="none", zero_infinity=zero_infinity)(fastnn.log_softmax(x), targets, steps, lengths)
    theirs = torch.nn.CTCLoss(reduction="none", zero_infinity=zero_infinity)
    wanted = theirs(
        torch.log_softmax(torch.tensor(LOGITS[:2, :4]), -1), torch.tensor(targets), *map(torch.tensor, (steps, lengths))
    )
    np.testing.assert_allclose(loss.numpy(), wanted.numpy(), rtol=1e-6)
    assert np.isinf(loss.numpy()).tolist() == [not zero_infinity, False, not zero_infinity, False]
    loss.backward(np.ones(4))
    grad = x.grad.numpy()
    assert not grad[:, [0, 2, 3]].any() and grad[:, 1].any()


def test_one_sample_and_no_samples() -> None:
    torch = pytest.importorskip("torch")
    log_probs = np.log(np.full((4, 3), 1 / 3))
    own = nn.CTCLoss()(log_probs, [1, 2], 4, 2)
    wanted = torch.nn.CTCLoss()(torch.tensor(log_probs), torch.tensor([1, 2]), torch.tensor(4), torch.tensor(2))
    np.testing.assert_allclose(own.item(), wanted.item(), rtol=1e-10)
    assert nn.CTCLoss(reduction="none")(np.zeros((4, 0, 3)), np.zeros((0, 2), int), [], []).shape == (0,)
    assert nn.CTCLoss(reduction="none")(np.zeros((0, 1, 3)), [[1]], [0], [1]).tolist() == [float("inf")]


def test_as_in_keras(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KERAS_BACKEND", "torch")
    pytest.importorskip("torch")
    keras = pytest.importorskip("keras")
    y, logits = TARGETS[[0, 1, 3]], LOGITS[:, :3].transpose(1, 0, 2).astype(np.float32)
    for reduction in ("sum_over_batch_size", "sum", None):
        own = fastnn.losses.CTC(reduction)(y, fastnn.tensor(logits)).numpy()
        theirs = keras.losses.CTC(reduction)(y, logits)
        np.testing.assert_allclose(own, theirs.detach().cpu().numpy(), rtol=1e-5)
    weighted = fastnn.losses.CTC("none")(y, fastnn.tensor(logits), sample_weight=[2.0, 0.0, 1.0]).numpy()
    np.testing.assert_allclose(weighted, own * [2, 0, 1], rtol=1e-6)


def test_fit() -> None:
    """Train a net that reads which labels are in a row of features, without their places."""
    fastnn.seed(0)
    draw = np.random.default_rng(1)
    labels = draw.integers(1, 4, (96, 2))
    x = np.zeros((96, 10, 3), np.float32)
    for sample, (a, b) in zip(x, labels, strict=True):
        at, then = draw.integers(0, 4), draw.integers(5, 10)
        sample[at, a - 1] = sample[then, b - 1] = 1
    model = fastnn.Sequential([fastnn.Dense(16, "relu", input_shape=(10, 3)), fastnn.Dense(4)])
    model.compile(fastnn.optim.Adam(lr=0.05), "ctc")
    history = model.fit(x, labels, epochs=50, batch_size=32, verbose=0).history["loss"]
    assert history[-1] < 0.1 * history[0]
    best = model.predict(x).argmax(-1)
    read = [[c for c, _ in groupby(row) if c] for row in best.tolist()]
    assert np.mean([r == list(t) for r, t in zip(read, labels.tolist(), strict=True)]) > 0.95


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda: nn.CTCLoss()(LOGITS, TARGETS, STEPS, LENGTHS + 1),
            ValueError,
            r"CTCLoss: target_lengths\[0\] is 4, wanted.*0 to 3",
        ),
        (
            lambda: nn.CTCLoss()(LOGITS, TARGETS, STEPS + 1, LENGTHS),
            ValueError,
            r"CTCLoss: input_lengths\[0\] is 10, wanted.*0 to 9",
        ),
        (
            lambda: nn.CTCLoss()(LOGITS, TARGETS, STEPS[:2], LENGTHS),
            ValueError,
            r"input_lengths of shape \(2,\), wanted.*5 samples",
        ),
        (
            lambda: nn.CTCLoss()(LOGITS, TARGETS + 1, STEPS, LENGTHS),
            IndexError,
            "target 4 of sample 0, at position 2, wanted a class",
        ),
        (
            lambda: nn.CTCLoss()(LOGITS, TARGETS[:2], STEPS, LENGTHS),
            ValueError,
            r"targets of shape \(2, 3\), wanted \(5, labels\)",
        ),
        (lambda: nn.CTCLoss()(LOGITS, [1, 2], STEPS, LENGTHS), ValueError, "target_lengths"),
        (lambda: nn.CTCLoss(4)(LOGITS, TARGETS, STEPS, LENGTHS), ValueError, "CTCLoss: blank is 4, wanted a class from 0 to 3"),
        (lambda: nn.CTCLoss()(LOGITS[0, 0], TARGETS, STEPS, LENGTHS), ValueError, r"log_probs of shape \(4,\)"),
        (lambda: fastnn.losses.CTC()(TARGETS, fastnn.tensor(LOGITS[0])), ValueError, r"ctc: predictions of shape \(5, 4\)"),
    ],
)
def test_what_is_refused_says_why(call: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call()
