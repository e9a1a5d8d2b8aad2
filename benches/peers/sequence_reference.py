"""Compute the nets of sequences.py in float64 with NumPy: logits, gradients, Adam, tokens that are generated.

Each function returns its output and a function that takes the gradient of the output and returns that of the input.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from . import nets, sequences
from .sequences import EPSILON, Gpt, Lstm

Back = Callable[[np.ndarray], Any]

KINDS = "text_train", "text_predict", "stream", "generate", "attention_gradients", "embedding", "sparse_embedding"
MARGIN = 1e-4
"""Smallest difference between the largest logit and the next one, where a token is generated; rounding does not change it."""


class Net:
    """Net of sequences.py that is trained with Adam and the mean cross-entropy."""

    def __init__(self, net: str) -> None:
        self.net = sequences.NETS[net]
        self.weights = {name: w.astype(np.float64) for name, w in sequences.weights(net).items()}
        self.gradients, self.m, self.v = ({name: np.zeros_like(w) for name, w in self.weights.items()} for _ in range(3))
        self.lr, self.t = sequences.LR[net], 0

    def after(self, batches: Sequence[tuple[np.ndarray, np.ndarray]]) -> list[np.ndarray]:
        """Return the losses after a step on each batch."""
        for x, y in batches:
            self._step(x, y)
        return [np.array([self._loss(x, y)[0] for x, y in batches])]

    def logits(self, ids: np.ndarray) -> tuple[np.ndarray, Back]:
        """Return the logits (batch, length, tokens)."""
        return self._lstm(self.net, ids) if isinstance(self.net, Lstm) else self._gpt(self.net, ids)

    def generated(self, prompt: np.ndarray, tokens: int) -> np.ndarray:
        """Return the most likely tokens after a prompt.

        Raises:
            ValueError: two tokens are almost as likely.
        """
        found = list(prompt)
        for _ in range(tokens):
            last = self.logits(np.array([found]))[0][0, -1]
            second, first = np.sort(last)[-2:]
            if first - second < MARGIN:
                raise ValueError(f"the logits of two tokens differ by {first - second:.1e}, wanted at least {MARGIN:.0e}")
            found.append(int(last.argmax()))
        return np.array(found[len(prompt) :])

    def _loss(self, x: np.ndarray, y: np.ndarray) -> tuple[float, np.ndarray, Back]:
        """Return the loss, the gradient of the logits, and the function that computes all others."""
        logits, back = self.logits(x)
        p = np.exp(logits - logits.max(-1, keepdims=True))
        p /= p.sum(-1, keepdims=True)
        chosen = np.take_along_axis(p, y[..., None], -1)
        np.put_along_axis(p, y[..., None], chosen - 1, -1)
        return float(-np.log(chosen).mean()), p / y.size, back

    def _step(self, x: np.ndarray, y: np.ndarray) -> None:
        _, dz, back = self._loss(x, y)
        back(dz)
        self.t += 1
        for name, w in self.weights.items():
            nets.adam(w, self.m[name], self.v[name], self.gradients[name], self.t, self.lr)

    def _lstm(self, net: Lstm, ids: np.ndarray) -> tuple[np.ndarray, Back]:
        x, embedded = self._embedding("embedding", ids)
        z, inputs = self._linear("lstm.{}_ih_l0", x)
        w, units, length = self.weights["lstm.weight_hh_l0"], net.units, ids.shape[1]
        z += self.weights["lstm.bias_hh_l0"]
        h, c = np.zeros((2, length + 1, len(ids), units))
        gates = np.empty((length, 4, len(ids), units))
        for t in range(length):
            i, f, g, o = np.split(z[:, t] + h[t - 1] @ w.T, 4, -1)
            gates[t] = [1 / (1 + np.exp(-i)), 1 / (1 + np.exp(-f)), np.tanh(g), 1 / (1 + np.exp(-o))]
            i, f, g, o = gates[t]
            c[t] = f * c[t - 1] + i * g
            h[t] = o * np.tanh(c[t])
        y, head = self._linear("head.{}", h[:length].swapaxes(0, 1))

        def back(d: np.ndarray) -> np.ndarray:
            dy, dz = head(d), np.empty_like(z)
            dh, dc = np.zeros((2, len(ids), units))
            for t in reversed(range(length)):
                i, f, g, o = gates[t]
                dh += dy[:, t]
                after = np.tanh(c[t])
                dc += dh * o * (1 - after**2)
                slopes = dc * g * i * (1 - i), dc * c[t - 1] * f * (1 - f), dc * i * (1 - g**2), dh * after * o * (1 - o)
                dz[:, t] = np.concatenate(slopes, -1)
                dh, dc = dz[:, t] @ w, dc * f
            before = np.concatenate([h[-1:], h[: length - 1]]).swapaxes(0, 1)
            self.gradients["lstm.weight_hh_l0"] = dz.reshape(-1, 4 * units).T @ before.reshape(-1, units)
            self.gradients["lstm.bias_hh_l0"] = dz.sum((0, 1))
            return np.asarray(embedded(inputs(dz)))

        return y, back

    def _gpt(self, net: Gpt, ids: np.ndarray) -> tuple[np.ndarray, Back]:
        tokens, embedded = self._embedding("tokens", ids)
        positions, placed = self._embedding("positions", np.arange(ids.shape[1]))
        x, backs = tokens + positions, list[Back]()
        for i in range(net.blocks):
            for part in (self._attention, self._feed_forward):
                dx, back = part(net, f"blocks.{i}", x)
                x = x + dx
                backs.append(back)
        x, norm = self._norm("norm", x)
        y, head = self._linear("head.{}", x)

        def chain(d: np.ndarray) -> None:
            d = norm(head(d))
            for back in reversed(backs):
                d = d + back(d)
            embedded(d)
            placed(d.sum(0))

        return y, chain

    def _attention(self, net: Gpt, name: str, x: np.ndarray) -> tuple[np.ndarray, Back]:
        n, length, width = x.shape
        normed, norm = self._norm(f"{name}.norm1", x)
        z, inputs = self._linear(f"{name}.qkv.{{}}", normed)
        heads = z.reshape(n, length, 3, net.heads, -1).transpose(2, 0, 3, 1, 4)
        y, attended = attention(*heads)
        out, outputs = self._linear(f"{name}.out.{{}}", y.swapaxes(1, 2).reshape(x.shape))

        def back(d: np.ndarray) -> np.ndarray:
            dy = outputs(d).reshape(n, length, net.heads, -1).swapaxes(1, 2)
            return np.asarray(norm(inputs(np.stack(attended(dy)).transpose(1, 3, 0, 2, 4).reshape(n, length, 3 * width))))

        return out, back

    def _feed_forward(self, net: Gpt, name: str, x: np.ndarray) -> tuple[np.ndarray, Back]:
        normed, norm = self._norm(f"{name}.norm2", x)
        z, up = self._linear(f"{name}.up.{{}}", normed)
        half = 0.5 + 0.5 * np.fromiter(map(math.erf, (z / math.sqrt(2)).ravel().tolist()), float, z.size).reshape(z.shape)
        y, down = self._linear(f"{name}.down.{{}}", z * half)
        return y, lambda d: norm(up(down(d) * (half + z * np.exp(-z * z / 2) / math.sqrt(2 * math.pi))))

    def _embedding(self, name: str, ids: np.ndarray) -> tuple[np.ndarray, Back]:
        w = self.weights[f"{name}.weight"]

        def back(d: np.ndarray) -> None:
            self.gradients[f"{name}.weight"] = np.zeros_like(w)
            np.add.at(self.gradients[f"{name}.weight"], ids, d)

        return w[ids], back

    def _linear(self, name: str, x: np.ndarray) -> tuple[np.ndarray, Back]:
        w, b = self.weights[name.format("weight")], name.format("bias")

        def back(d: np.ndarray) -> np.ndarray:
            rows = d.reshape(-1, len(w))
            self.gradients[name.format("weight")] = rows.T @ x.reshape(len(rows), -1)
            if b in self.weights:
                self.gradients[b] = rows.sum(0)
            return np.asarray(d @ w)

        return x @ w.T + self.weights.get(b, 0.0), back

    def _norm(self, name: str, x: np.ndarray) -> tuple[np.ndarray, Back]:
        scale = self.weights[f"{name}.weight"]
        inverse = 1 / np.sqrt(x.var(-1, keepdims=True) + EPSILON)
        z = (x - x.mean(-1, keepdims=True)) * inverse

        def back(d: np.ndarray) -> np.ndarray:
            rows = tuple(range(d.ndim - 1))
            self.gradients[f"{name}.weight"], self.gradients[f"{name}.bias"] = (d * z).sum(rows), d.sum(rows)
            d = d * scale
            return np.asarray(inverse * (d - d.mean(-1, keepdims=True) - z * (d * z).mean(-1, keepdims=True)))

        return z * scale + self.weights[f"{name}.bias"], back


def attention(q: np.ndarray, k: np.ndarray, v: np.ndarray) -> tuple[np.ndarray, Callable[[np.ndarray], list[np.ndarray]]]:
    """Return causal attention; the way back returns the gradients of q, k and v. All are (batch, heads, length, features)."""
    scale, length = q.shape[-1] ** -0.5, q.shape[-2]
    scores = np.where(np.tri(length, dtype=bool), q @ k.swapaxes(-1, -2) * scale, -np.inf)
    p = np.exp(scores - scores.max(-1, keepdims=True))
    p /= p.sum(-1, keepdims=True)

    def back(d: np.ndarray) -> list[np.ndarray]:
        dp = d @ v.swapaxes(-1, -2)
        ds = scale * p * (dp - (dp * p).sum(-1, keepdims=True))
        return [ds @ k, ds.swapaxes(-1, -2) @ q, p.swapaxes(-1, -2) @ d]

    return p @ v, back


def expected(kind: str, args: tuple[Any, ...]) -> list[np.ndarray]:
    """Return the result of a kind of work in float64, as a list of arrays."""
    if kind == "text_train":
        return Net(args[0]).after(sequences.data(*args)[: sequences.CHECKED])
    if kind == "text_predict":
        return [Net(args[0]).logits(sequences.data(*args)[0][0])[0]]
    if kind == "stream":
        return [Net(args[0]).logits(sequences.prompt(args[0], sequences.STREAMED)[None])[0][0]]
    if kind == "generate":
        net, length, tokens = args
        return [Net(net).generated(sequences.prompt(net, length), tokens)]
    if kind == "attention_gradients":
        q, k, v, dy = (a.astype(np.float64) for a in sequences.attention(*args))
        y, back = attention(q, k, v)
        return [y, *back(dy)]
    return [_embedding(*args, sparse=kind.startswith("sparse"))]


def _embedding(tokens: int, width: int, batch: int, length: int, sparse: bool) -> np.ndarray:
    """Return rows of an embedding after steps of Adam on the sum of the squares of the embedded tokens."""
    rows, w = sequences.rows_of(tokens, batch, length), sequences.table(tokens, width)
    w = w[rows].astype(np.float64)
    m, v = np.zeros((2, *w.shape))
    for t, ids in enumerate(sequences.ids(tokens, batch, length)[: sequences.CHECKED], 1):
        counts = np.bincount(ids.ravel(), minlength=tokens)[rows]
        at = counts > 0 if sparse else slice(None)
        part = [w[at], m[at], v[at]]
        # PyTorch's SparseAdam adds eps before it divides by the correction of the second moment
        nets.adam(*part, 2 * counts[at, None] * w[at], t, nets.LR, 1e-8 / (1 - 0.999**t) ** 0.5 if sparse else 1e-8)
        w[at], m[at], v[at] = part
    return w
