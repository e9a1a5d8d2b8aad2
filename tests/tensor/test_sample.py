"""Tokens drawn from logits: filters, their order, and random numbers that depend on seed and position alone."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import fastnn
from fastnn.ops.generation import SEED_STEP, row_seeds, sample, sampling_settings

rng = np.random.default_rng(0)
N = 4000


def drawn(logits: Any, **settings: Any) -> np.ndarray:
    """The share of each token in many draws of one row, at different positions."""
    rows = np.tile(np.asarray(logits, np.float32), (N, 1))
    tokens = sample(rows, position=np.arange(N), seed=np.zeros(N, np.uint64), **settings).numpy()
    return np.bincount(tokens, minlength=rows.shape[1]) / N


def close(shares: np.ndarray, wanted: Any) -> bool:
    """Whether shares are within five standard deviations, and exactly 0 where they should be."""
    wanted = np.asarray(wanted) / np.sum(wanted)
    return bool((abs(shares - wanted) <= 5 * np.sqrt(wanted * (1 - wanted) / N)).all())


P = np.array([0.1, 0.4, 0.05, 0.25, 0.2])


@pytest.mark.parametrize(
    ("settings", "wanted"),
    [
        ({}, P),
        ({"temperature": 0.5}, P**2),
        ({"top_k": 2}, [0, 0.4, 0, 0.25, 0]),
        ({"top_k": None}, P),
        ({"top_p": 0.6}, [0, 0.4, 0, 0.25, 0]),  # 0.4 is less than 0.6, and 0.65 is not
        ({"top_p": 0.7}, [0, 0.4, 0, 0.25, 0.2]),
        ({"top_p": 0.0}, [0, 1, 0, 0, 0]),
        ({"min_p": 0.3}, [0, 0.4, 0, 0.25, 0.2]),
        ({"min_p": 1.0}, [0, 1, 0, 0, 0]),
        ({"top_k": 3, "top_p": 0.75}, [0, 0.4, 0, 0.25, 0]),  # of the 0.85 that remain: 0.47, 0.76
        ({"top_p": 0.9, "min_p": 0.45}, [0, 0.4, 0, 0.25, 0.2]),
        ({"temperature": 0.5, "top_p": 0.6}, [0, 0.16, 0, 0.0625, 0]),  # after the temperature: 0.59, 0.82
        ({"temperature": 0.0}, [0, 1, 0, 0, 0]),
    ],
)
def test_filters(settings: dict[str, Any], wanted: Any) -> None:
    assert close(drawn(np.log(P), **settings), wanted)


def test_penalty() -> None:
    logits, previous = np.array([2.0, -1.0, 1.0]), np.tile([[0, 0, 1, -1, 7]], (N, 1))
    assert close(drawn(logits, repetition_penalty=2.0, previous=previous), np.exp([1.0, -2.0, 1.0]))
    assert close(drawn(logits, repetition_penalty=2.0, previous=previous, count=1), np.exp([1.0, -1.0, 1.0]))
    assert close(drawn(logits, repetition_penalty=2.0, previous=previous, count=np.zeros(N, np.int64)), np.exp(logits))
    assert close(drawn(logits, repetition_penalty=2.0, previous=np.zeros((N, 0), np.int64)), np.exp(logits))
    greedy = sample([[3.0, 2.0]], temperature=0.0, repetition_penalty=2.0, previous=[[0]])
    assert greedy.tolist() == [1]


def test_equal_logits() -> None:
    assert close(drawn([1.0] * 6, top_k=2), [1, 1, 0, 0, 0, 0])
    assert close(drawn([1.0] * 6, top_p=0.5), [1, 1, 1, 0, 0, 0])
    assert sample([[0.0, 5.0, 5.0]], temperature=0.0).tolist() == [1]
    assert close(drawn([-np.inf, 0.0, -np.inf, 0.0]), [0, 1, 0, 1])
    assert close(drawn([-np.inf, 0.0, -np.inf, 0.0], top_k=3, top_p=0.99), [0, 1, 0, 1])


def test_a_token_does_not_depend_on_the_batch() -> None:
    logits = rng.standard_normal((6, 100)).astype(np.float32)
    settings: dict[str, Any] = {"temperature": 0.9, "top_k": 30, "top_p": 0.95}
    together = sample(logits, **settings, seed=5, position=9).tolist()
    seeds = row_seeds(5, 6)
    for i in range(6):
        assert sample(logits[i : i + 1], **settings, seed=seeds[i : i + 1], position=9).tolist() == together[i : i + 1]
    assert sample(logits[:1], **settings, seed=5, position=9).tolist() == together[:1]
    assert sample(logits, **settings, seed=5, position=9).tolist() == together
    others = [sample(logits, **settings, seed=5, position=p).tolist() for p in range(8)]
    assert len({tuple(t) for t in others}) == 8
    assert int(row_seeds(2**64 - 1, 2)[1]) == SEED_STEP - 1


def test_recorded_steps_read_new_settings_and_positions() -> None:
    logits = fastnn.tensor(np.tile(rng.standard_normal(20).astype(np.float32), (50, 1)))
    settings, position = fastnn.tensor(sampling_settings(top_k=3)), fastnn.tensor(np.zeros(50, np.int64))
    run = fastnn.capture(lambda x: sample(x, settings=settings, position=position, seed=4))
    seen = []
    for p in range(5):
        position.fill_(p)
        seen.append(run(logits).tolist())
        assert seen[-1] == sample(logits, top_k=3, position=p, seed=4).tolist()
    settings.copy_(sampling_settings(temperature=0.0))
    assert set(run(logits).tolist()) == {int(logits.numpy()[0].argmax())}
    assert not run.captured.eager and len({tuple(s) for s in seen}) == 5


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: sample([[0.0, 1.0], [0.0, np.nan]]), ValueError, r"sample: logits\[1\] have NaN, or all are -infinity"),
        (lambda: sample([[-np.inf, -np.inf]]), ValueError, r"sample: logits\[0\] have NaN, or all are -infinity"),
        (lambda: sample([0.0, 1.0]), ValueError, r"sample: logits of shape \(2,\), wanted \(rows, tokens\)"),
        (lambda: sample(np.zeros((2, 0))), ValueError, r"sample: logits of shape \(2, 0\)"),
        (lambda: sample(np.zeros((2, 3), np.int64)), TypeError, "sample: a Tensor of dtype int64 came"),
        (lambda: sample(np.zeros((1, 3)), temperature=-1.0), ValueError, "sample: temperature is -1.0"),
        (lambda: sample(np.zeros((1, 3)), top_k=-1), ValueError, "sample: top_k is -1"),
        (lambda: sample(np.zeros((1, 3)), top_p=1.5), ValueError, "sample: top_p is 1.5"),
        (lambda: sample(np.zeros((1, 3)), repetition_penalty=0), ValueError, "sample: repetition_penalty is 0"),
        (lambda: sample(np.zeros((1, 3)), seed=[1]), ValueError, r"sample: seed is \[1\], wanted"),
        (lambda: sample(np.zeros((2, 3)), position=[1]), ValueError, r"sample: position of shape \(1,\)"),
        (lambda: sample(np.zeros((2, 3)), previous=[[1]]), ValueError, r"sample: previous of shape \(1, 1\)"),
        (lambda: sample(np.zeros((2, 3)), count=1), ValueError, "sample: count came without previous"),
        (lambda: sample(np.zeros((2, 3)), settings=[1.0]), ValueError, r"sample: settings of shape \(1,\)"),
    ],
)
def test_what_is_refused_says_why(call: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call()


def test_no_rows() -> None:
    assert sample(np.zeros((0, 3))).shape == (0,)
