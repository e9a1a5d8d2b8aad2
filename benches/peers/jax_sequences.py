"""Make the jobs of JAX's nets of sequences: a scan over the steps of an LSTM, and jax.nn.dot_product_attention."""

from __future__ import annotations

from itertools import cycle
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from . import nets, sequences
from .jax_steps import Jobs, adam
from .job import Job
from .sequences import EPSILON, Gpt, Lstm


class Sequences(Jobs):
    """Maker of the jobs of JAX in the rows of sequences."""

    def text_train(self, net: str, batch: int, precision: str, mode: str) -> Job:
        """Return a job of jitted steps with donated buffers."""
        data = [(x.astype(np.int32), y.ravel()) for x, y in sequences.data(net, batch)]

        def forward(weights: Any, running: Any, x: Any, training: bool) -> tuple[Any, Any]:
            logits = _forward(net, weights, x)
            return logits.reshape(-1, logits.shape[-1]), running

        return self._training(forward, _values(net), data, sequences.CHECKED, sequences.LR[net])

    def text_predict(self, net: str, batch: int, precision: str, mode: str) -> Job:
        """Return a job of the logits of whole sequences."""
        weights, x = _weights(net), jax.device_put(sequences.data(net, batch)[0][0].astype(np.int32))
        forward = jax.jit(lambda x: _forward(net, weights, x))
        return self._job(forward, (x,), lambda: [np.asarray(forward(x))])

    def stream(self, net: str, precision: str, mode: str) -> Job:
        """Return a job of one token after another; the state is donated to the next call."""
        w, of = dict(zip(sequences.weights(net), _weights(net), strict=True)), sequences.NETS[net]
        tokens = [jax.device_put(np.int32([token])) for token in sequences.prompt(net, sequences.STREAMED)]
        following = cycle(tokens)

        def step(h: Any, c: Any, token: Any) -> Any:
            z = w["embedding.weight"][token] @ w["lstm.weight_ih_l0"] + w["lstm.bias_ih_l0"]
            h, c = _cell(z, h, c, w)
            return h @ w["head.weight"] + w["head.bias"], h, c

        jitted = jax.jit(step, donate_argnums=(0, 1))
        state = [jnp.zeros((1, of.units)) for _ in range(2)]

        def call() -> Any:
            logits, *state[:] = jitted(*state, next(following))
            return logits.block_until_ready()

        return Job(call, result=lambda: [np.concatenate([np.asarray(call()) for _ in tokens])])

    def generate(self, net: str, length: int, tokens: int, precision: str, mode: str) -> Job:
        """Return a job of the most likely tokens after a prompt: one call, with a scan over the tokens and a cache of keys and
        values."""
        of, weights = sequences.NETS[net], _weights(net)
        prompt = jax.device_put(sequences.prompt(net, length)[None].astype(np.int32))

        @jax.jit
        def run(prompt: Any) -> Any:
            cache = [jnp.zeros((2, 1, of.length, of.heads, of.width // of.heads))] * of.blocks
            logits, cache = _gpt(of, weights, prompt, cache, 0)

            def one(carry: Any, _: Any) -> Any:
                token, cache, at = carry
                logits, cache = _gpt(of, weights, token[:, None], cache, at)
                return (logits[:, -1].argmax(-1), cache, at + 1), token

            return jax.lax.scan(one, (logits[:, -1].argmax(-1), cache, length), length=tokens)[1][:, 0]

        return Job(lambda: run(prompt).block_until_ready(), result=lambda: [np.asarray(run(prompt))], steps=tokens)

    def attention_gradients(self, *shape: Any) -> Job:
        """Return a job of causal attention, and of the gradients of queries, keys and values."""
        *inputs, dy = (jax.device_put(a.swapaxes(1, 2)) for a in sequences.attention(*shape[:4]))

        @jax.jit
        def run(q: Any, k: Any, v: Any, dy: Any) -> Any:
            y, back = jax.vjp(lambda q, k, v: jax.nn.dot_product_attention(q, k, v, is_causal=True), q, k, v)
            return y, *back(dy)

        def result() -> list[np.ndarray]:
            return [np.asarray(a).swapaxes(1, 2) for a in run(*inputs, dy)]

        return Job(lambda: jax.block_until_ready(run(*inputs, dy)), result=result)

    def embedding(self, tokens: int, width: int, batch: int, length: int, precision: str, mode: str) -> Job:
        """Return a job of steps of Adam on the sum of the squares of embedded tokens."""
        table = jax.device_put(sequences.table(tokens, width))
        state, rate = [table, jnp.zeros_like(table), jnp.zeros_like(table), jnp.zeros(())], [nets.LR]
        batches = [jax.device_put(ids.astype(np.int32)) for ids in sequences.ids(tokens, batch, length)]
        following = cycle(batches)

        def update(w: Any, m: Any, v: Any, t: Any, lr: Any, ids: Any) -> Any:
            gradient = jax.grad(lambda w: jnp.sum(w[ids] ** 2))(w)
            return *adam(w, m, v, gradient, t + 1, lr), t + 1

        step = jax.jit(update, donate_argnums=(0, 1, 2, 3))

        def run(ids: Any) -> None:
            state[:] = self.last = step(*state, rate[0], ids)
            jax.block_until_ready(state)

        def result() -> list[np.ndarray]:
            for ids in batches[: sequences.CHECKED]:
                run(ids)
            return [np.asarray(state[0][sequences.rows_of(tokens, batch, length)])]

        def settle() -> None:
            rate[0] = nets.STILL
            for ids in batches:
                run(ids)

        return Job(lambda: run(next(following)), result=result, settle=settle)


def _values(net: str) -> list[np.ndarray]:
    """Return the weights of a net; matrices are (in, out)."""
    embeddings = "embedding", "tokens", "positions"
    return [w if name.startswith(embeddings) else np.ascontiguousarray(w.T) for name, w in sequences.weights(net).items()]


def _weights(net: str) -> list[Any]:
    return [jnp.asarray(w) for w in _values(net)]


def _forward(name: str, weights: list[Any], ids: Any) -> Any:
    """Return the logits (batch, length, tokens)."""
    net = sequences.NETS[name]
    return (
        _lstm(dict(zip(sequences.weights(name), weights, strict=True)), ids)
        if isinstance(net, Lstm)
        else _gpt(net, weights, ids)[0]
    )


def _lstm(w: dict[str, Any], ids: Any) -> Any:
    """Return the logits of the LSTM; the products of the inputs of all steps are one product before the scan."""
    z = w["embedding.weight"][ids.T] @ w["lstm.weight_ih_l0"] + w["lstm.bias_ih_l0"]

    def step(state: Any, z: Any) -> Any:
        state = _cell(z, *state, w)
        return state, state[0]

    h = jax.lax.scan(step, (jnp.zeros((len(ids), len(w["lstm.weight_hh_l0"]))),) * 2, z)[1]
    return h.swapaxes(0, 1) @ w["head.weight"] + w["head.bias"]


def _cell(z: Any, h: Any, c: Any, w: dict[str, Any]) -> tuple[Any, Any]:
    """Return the next state; z is the product of the input."""
    i, f, g, o = jnp.split(z + h @ w["lstm.weight_hh_l0"] + w["lstm.bias_hh_l0"], 4, -1)
    c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
    return jax.nn.sigmoid(o) * jnp.tanh(c), c


def _gpt(net: Gpt, weights: list[Any], ids: Any, caches: Any = None, at: Any = 0) -> tuple[Any, Any]:
    """Return the logits, and each block's cache (keys and values, batch, length, heads, features). With caches, `ids` begin at
    position `at`, and read the keys and values before; the logits are those of the last position alone."""
    tokens, positions, *rest = weights
    n, length = ids.shape
    x, kept = tokens[ids] + jax.lax.dynamic_slice_in_dim(positions, at, length), []
    for i in range(net.blocks):
        norm1, norm1b, qkv, qkvb, out, outb, norm2, norm2b, up, upb, down, downb = rest[12 * i : 12 * i + 12]
        z = _norm(x, norm1, norm1b) @ qkv + qkvb
        q, *pair = jnp.moveaxis(z.reshape(n, length, 3, net.heads, -1), 2, 0)
        if caches is None:
            y = jax.nn.dot_product_attention(q, *pair, is_causal=True)
        else:
            kept.append(jax.lax.dynamic_update_slice_in_dim(caches[i], jnp.stack(pair), at, 2))
            seen = jnp.arange(net.length) <= at + jnp.arange(length)[:, None]
            y = jax.nn.dot_product_attention(q, *kept[-1], mask=seen)
        x = x + y.reshape(x.shape) @ out + outb
        x = x + jax.nn.gelu(_norm(x, norm2, norm2b) @ up + upb, approximate=False) @ down + downb
    norm, normb, head = rest[-3:]
    x = x if caches is None else x[:, -1:]
    return _norm(x, norm, normb) @ head, kept


def _norm(x: Any, scale: Any, offset: Any) -> Any:
    mean, variance = x.mean(-1, keepdims=True), x.var(-1, keepdims=True)
    return (x - mean) * (scale / jnp.sqrt(variance + EPSILON)) + offset
