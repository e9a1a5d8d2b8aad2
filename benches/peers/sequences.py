"""Define nets of sequences, attention alone, and an embedding: their sizes, weights and tokens, the same in every process.

Weights have the names and shapes of the modules in torch_sequences.py: matrices are (out, in), the gates of an LSTM are i, f, g
and o.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from . import nets

BATCHES = 16
"""Number of batches in the training data of a net."""
CHECKED = 2
"""Number of training steps after which losses are compared."""
STREAMED = 8
"""Number of tokens of a stream that are checked."""
EPSILON = 1e-5
"""Number that layer norm adds to the variance."""


@dataclass(frozen=True)
class Lstm:
    """Embedding, an LSTM, and a dense layer with the logits of the next token."""

    tokens: int
    features: int
    units: int
    length: int


@dataclass(frozen=True)
class Gpt:
    """Embeddings of tokens and positions, blocks with the norms first and the exact GELU, a norm, and a head without bias."""

    tokens: int
    width: int
    heads: int
    blocks: int
    length: int


CHARACTERS, BABY, SMALL = "char-LSTM 65-128-256, T 64", "GPT d128 h4 L4 T64", "GPT d384 h6 L6 T256"
NETS: dict[str, Lstm | Gpt] = {
    CHARACTERS: Lstm(65, 128, 256, 64),
    BABY: Gpt(65, 128, 4, 4, 64),
    SMALL: Gpt(65, 384, 6, 6, 256),
}
"""Nets by their names in the tables."""
LR = {CHARACTERS: 1e-3, BABY: 1e-4, SMALL: 3e-5}
"""Learning rates of the steps that are checked. They change a loss by many times the largest error, but are small: the first
steps of Adam move a weight by the sign of its gradient, which rounding can change. `nets.lr` says the same of dense nets."""


def shapes(net: Lstm | Gpt) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Yield the names and shapes of the weights, in the order of `parameters()`."""
    if isinstance(net, Lstm):
        yield "embedding.weight", (net.tokens, net.features)
        for name, inputs in (("weight_ih_l0", net.features), ("weight_hh_l0", net.units)):
            yield f"lstm.{name}", (4 * net.units, inputs)
        yield from ((f"lstm.{name}", (4 * net.units,)) for name in ("bias_ih_l0", "bias_hh_l0"))
        yield "head.weight", (net.tokens, net.units)
        yield "head.bias", (net.tokens,)
        return
    d = net.width
    yield "tokens.weight", (net.tokens, d)
    yield "positions.weight", (net.length, d)
    for i in range(net.blocks):
        for name, outputs, inputs in (
            ("norm1", d, 0),
            ("qkv", 3 * d, d),
            ("out", d, d),
            ("norm2", d, 0),
            ("up", 4 * d, d),
            ("down", d, 4 * d),
        ):
            yield f"blocks.{i}.{name}.weight", (outputs, inputs) if inputs else (outputs,)
            yield f"blocks.{i}.{name}.bias", (outputs,)
    yield "norm.weight", (d,)
    yield "norm.bias", (d,)
    yield "head.weight", (net.tokens, d)


@functools.lru_cache(maxsize=2)
def weights(net: str) -> dict[str, np.ndarray]:
    """Return the weights by name. They are larger than those of a new net, so that every part of it changes the logits."""
    rng, made = np.random.default_rng(21), dict[str, np.ndarray]()
    for name, shape in shapes(NETS[net]):
        values = rng.standard_normal(shape)
        if "norm" in name or "bias" in name:
            values = ("norm" in name and "weight" in name) + 0.1 * values
        elif not name.startswith(("embedding", "tokens", "positions")):
            values *= shape[-1] ** -0.5
        made[name] = values.astype(np.float32)
    return made


@functools.lru_cache(maxsize=2)
def data(net: str, batch: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return the batches of the training data: tokens and labels, each (batch, length)."""
    of = NETS[net]
    x, y = np.random.default_rng(22).integers(0, of.tokens, (2, BATCHES, batch, of.length))
    return list(zip(x, y, strict=True))


def prompt(net: str, length: int) -> np.ndarray:
    """Return the tokens of a stream or of a prompt."""
    return np.random.default_rng(23).integers(0, NETS[net].tokens, length)


def nbytes(net: str) -> int:
    """Return the bytes of the weights that a generated token reads: all but the embeddings."""
    return sum(4 * int(np.prod(shape)) for name, shape in shapes(NETS[net]) if not name.startswith(("tokens", "positions")))


def attention(*shape: int) -> tuple[np.ndarray, ...]:
    """Return queries, keys, values and the gradient of the output, each (batch, heads, length, features)."""
    rng = np.random.default_rng(24)
    return tuple(rng.standard_normal(shape, np.float32) for _ in range(4))


def table(tokens: int, width: int) -> np.ndarray:
    """Return the weight of an embedding; the values repeat after 2^20 elements."""
    return np.resize(nets.flat(1 << 20)[0], (tokens, width))


def ids(tokens: int, batch: int, length: int) -> list[np.ndarray]:
    """Return batches of tokens (batch, length) in which each token comes about twice, in random order. They take turns, so that
    all rows of an embedding have moments, and none of these become denormal numbers."""
    count = -(-2 * tokens // (batch * length))
    every = np.resize(np.arange(tokens), count * batch * length)
    return list(np.random.default_rng(25).permutation(every).reshape(count, batch, length))


def rows_of(tokens: int, batch: int, length: int) -> np.ndarray:
    """Return the rows of an embedding that are compared: some of each batch that is checked, and some that none of these has."""
    seen = [np.unique(one) for one in ids(tokens, batch, length)[:CHECKED]]
    return np.concatenate([*(one[:256] for one in seen), np.setdiff1d(np.arange(tokens), np.concatenate(seen))[:64]])
