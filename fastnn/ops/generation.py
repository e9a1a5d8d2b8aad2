"""Choice of the next tokens of sequences, by the logits of a model."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..autograd.tensor import Tensor
from ..backends import current
from .checks import as_tensor, check_number, floating, whole_number

SEED_STEP = 0x9E3779B97F4A7C15
"""Difference of the seeds of neighbouring rows: 2^64 by the golden ratio, so batches with similar seeds have no row in common."""


def sampling_settings(
    temperature: float = 1.0, top_k: int | None = 0, top_p: float = 1.0, min_p: float = 0.0, repetition_penalty: float = 1.0
) -> np.ndarray[Any, Any]:
    """Return the settings of `sample` as the array that kernels read.

    Args:
        temperature: divisor of the logits; with 0, the token with the largest logit is taken.
        top_k: number of tokens with the largest logits that remain; with 0 or None, all of them.
        top_p: share of the probability that remains, in the tokens with the largest logits.
        min_p: least probability of a token, as a share of that of the most likely one.
        repetition_penalty: divisor of the positive logits of tokens that were there before, and factor of the others.

    Raises:
        ValueError: a setting is out of its range.

    >>> sampling_settings(0.8, top_k=50)
    array([ 0.8, 50. ,  1. ,  0. ,  1. ])
    """
    return np.array(
        [
            check_number(temperature, "sample: temperature", 0.0),
            whole_number(top_k or 0, "sample: top_k", 0),
            check_number(top_p, "sample: top_p", 0.0, 1.0),
            check_number(min_p, "sample: min_p", 0.0, 1.0),
            check_number(repetition_penalty, "sample: repetition_penalty", float(np.finfo(np.float32).tiny)),
        ],
        np.float64,
    )


def row_seeds(seed: int, rows: int) -> np.ndarray[Any, Any]:
    """Return a seed for each row of a batch. Row 0 has the given seed, so that it draws what a batch of one row would draw.

    >>> [int(s) for s in row_seeds(7, 2)] == [7, 7 + SEED_STEP]
    True
    """
    first = np.uint64(whole_number(seed, "sample: seed") % 2**64)
    return first + np.arange(rows, dtype=np.uint64) * np.uint64(SEED_STEP)


def sample(
    logits: Any,
    temperature: float = 1.0,
    top_k: int | None = 0,
    top_p: float = 1.0,
    min_p: float = 0.0,
    repetition_penalty: float = 1.0,
    *,
    previous: Any = None,
    count: Any = None,
    seed: Any = 0,
    position: Any = 0,
    settings: Any = None,
) -> Tensor:
    """Return a token for each row of logits, drawn at random. The arguments are those of `generate` in the package transformers.

    The filters work in the order of the arguments that follow: repetition penalty, temperature, top_k, top_p, min_p. Of equal
    logits, the lowest token comes first. A token with the logit -infinity is never chosen.

    The random number of a row depends only on its seed and its position, so a row gets the same token in any batch.

    Args:
        logits: floats (N, V).
        temperature, top_k, top_p, min_p, repetition_penalty: as in `sampling_settings`.
        previous: integers (N, L), tokens that were there before, for the penalty. Numbers outside of 0..V-1 are skipped.
        count: integers (N,), how many of the previous tokens count, from the first on; all of them by default.
        seed: a whole number, or one for each row as an array of uint64. A number gives each row its own seed (`row_seeds`).
        position: a whole number, or one for each row (N,): the number of the token in its sequence.
        settings: an array as of `sampling_settings`, instead of the five arguments. Recorded steps read its current values.

    Returns:
        integers (N,).

    Raises:
        ValueError: logits are NaN, or all logits of a row are -infinity; the message names the row. Recorded steps do not check
            this, and return -1.

    Source: Holtzman et al., arXiv 1904.09751 (top_p); Nguyen et al., arXiv 2407.01082 (min_p); Keskar et al., arXiv 1909.05858
    (penalty).

    >>> import fastnn
    >>> logits = fastnn.tensor([[0.0, 2.0, 1.0], [3.0, 0.0, 0.0]])
    >>> fastnn.sample(logits, temperature=0.0).tolist()
    [1, 0]
    >>> fastnn.sample(logits, top_k=1, seed=3).tolist()
    [1, 0]
    """
    x = floating("sample", as_tensor(logits, "sample"))
    if x.ndim != 2 or not x.shape[1]:
        raise ValueError(f"sample: logits of shape {x.shape}, wanted (rows, tokens)")
    k, n = current(), x.shape[0]
    if settings is None:
        settings = sampling_settings(temperature, top_k, top_p, min_p, repetition_penalty)
    own = as_tensor(settings, "sample")
    if own.shape != (5,) or own.dtype != np.float64:
        raise ValueError(f"sample: settings of shape {own.shape} and dtype {own.dtype}, wanted those of sampling_settings")
    seeds = row_seeds(int(seed), n) if isinstance(seed, int | np.integer) else seed
    if getattr(seeds, "shape", None) != (n,) or seeds.dtype != np.uint64:
        raise ValueError(f"sample: seed is {seed!r}, wanted a whole number, or an array of uint64 of shape ({n},)")
    used, counts = _previous(previous, count, n)
    places = _of_rows(position, "position", n)
    token, w = k.empty((n,), np.int64), k.empty(x.shape, np.float64)
    seeds = k.asarray(seeds)
    k.host_wrote(seeds)
    k.sample_tokens(token, w, x.data, own.data, seeds, places.data, used, counts)
    if n and token.min() < 0:
        row = int(k.to_numpy(token).argmin())
        raise ValueError(f"sample: logits[{row}] have NaN, or all are -infinity, so that no token can be chosen")
    return Tensor(token)


def _of_rows(value: Any, name: str, rows: int) -> Tensor:
    """Return whole numbers, one for each row, from such an array or from a number for all of them."""
    if isinstance(value, int | np.integer):
        value = np.full(rows, value, np.int64)
    t = as_tensor(value, "sample")
    if t.shape != (rows,) or t.dtype != np.int64:
        raise ValueError(f"sample: {name} of shape {t.shape} and dtype {t.dtype}, wanted whole numbers of shape ({rows},)")
    return t


def _previous(previous: Any, count: Any, rows: int) -> tuple[Any, Any]:
    """Return the previous tokens and their counts as arrays; absent arrays if there are none."""
    k = current()
    if previous is None:
        if count is not None:
            raise ValueError("sample: count came without previous")
        return k.absent, k.absent
    used = as_tensor(previous, "sample")
    if used.ndim != 2 or used.shape[0] != rows or used.dtype != np.int64:
        raise ValueError(
            f"sample: previous of shape {used.shape} and dtype {used.dtype}, wanted whole numbers of shape ({rows}, any)"
        )
    if not used.size:
        return k.absent, k.absent
    return used.data, _of_rows(used.shape[1] if count is None else count, "count", rows).data
