"""Make the jobs of fastnn's nets of sequences: its GPT, nn.LSTM, attention, and embeddings."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from itertools import cycle
from typing import Any

import numpy as np

import fastnn
from fastnn import nn

from . import job, nets, sequences
from .fastnn_images import fit, later
from .job import Job, Rate
from .sequences import Gpt, Lstm


class Sequences(job.Contender):
    """Maker of the jobs of fastnn in the rows of sequences."""

    def text_train(self, net: str, batch: int, precision: str, mode: str) -> Job:
        """Return a job of `fit`."""
        return later(fit(compiled(net), sequences.data(net, batch), sequences.CHECKED))

    def text_predict(self, net: str, batch: int, precision: str, mode: str) -> Job:
        """Return a job of a frozen model, from tokens to logits."""
        x = sequences.data(net, batch)[0][0]
        call = _net(net).freeze(input_shape=x.shape[1:], batch_size=batch)
        return Job(call, (x,), lambda: [call(x)])

    def stream(self, net: str, precision: str, mode: str) -> Job:
        """Return a job of one token after another by a frozen model, which keeps the state."""
        of, tokens = sequences.NETS[net], sequences.prompt(net, sequences.STREAMED)
        table, kernel, recurrent, bias, more, head, offset = sequences.weights(net).values()
        layers = [
            fastnn.Embedding(of.tokens, of.features),
            fastnn.LSTM(of.units, stateful=True, input_shape=(1, of.features)),
            fastnn.Dense(of.tokens, input_shape=(of.units,)),
        ]
        model = fastnn.Sequential(layers)
        model.set_weights([table, kernel.T, recurrent.T, bias + more, head.T, offset])
        call, following = model.freeze(input_shape=(1,), batch_size=1), cycle(tokens.reshape(-1, 1, 1))
        return Job(lambda: call(next(following)), result=lambda: [np.concatenate([call(next(following)) for _ in tokens])])

    def generate(self, net: str, length: int, tokens: int, precision: str, mode: str) -> Job:
        """Return a job of the most likely tokens after a prompt."""
        model, prompt = _net(net), sequences.prompt(net, length)

        def call() -> Any:
            return model.generate(prompt, tokens, temperature=0)[length:]

        return Job(call, result=lambda: [call()], steps=tokens)

    def attention_gradients(self, *shape: Any) -> Job:
        """Return a job of causal attention, and of the gradients of queries, keys and values."""
        *arrays, dy = sequences.attention(*shape[:4])
        inputs, dy = [nn.Parameter(a) for a in arrays], fastnn.tensor(dy)

        def call() -> Any:
            for x in inputs:
                x.zero_grad()
            y = fastnn.scaled_dot_product_attention(*inputs, is_causal=True)
            y.backward(dy)
            return y

        def result() -> list[np.ndarray]:
            y = call()
            return [a.numpy() for a in (y, *(x.grad for x in inputs))]

        return Job(call, result=result)

    def embedding(self, tokens: int, width: int, batch: int, length: int, precision: str, mode: str) -> Job:
        """Return a job of a captured step of Adam on the sum of the squares of embedded tokens."""
        return _embedding(tokens, width, batch, length, fastnn.optim.Adam)

    def sparse_embedding(self, tokens: int, width: int, batch: int, length: int, precision: str, mode: str) -> Job:
        """Return a job of the same steps with sparse Adam."""
        return _embedding(tokens, width, batch, length, fastnn.optim.SparseAdam, sparse=True)

    def weights_reading(self, net: str) -> Job:
        """Return a job that measures the bandwidth of all threads together, in GB/s. Each reads as many bytes as the weights of a
        net have, from an array of its own: what one thread has read is not in a cache for another."""
        from fastnn import _core

        arrays = [np.ones(sequences.nbytes(net), np.uint8) for _ in range(self.threads)]
        pool = ThreadPoolExecutor(self.threads)
        return Rate(lambda: sum(pool.map(_core.read_gbytes, arrays)))


def _embedding(tokens: int, width: int, batch: int, length: int, make: Any, **how: Any) -> Job:
    layer = nn.Embedding(tokens, width, **how)
    layer.set_weights([sequences.table(tokens, width)])
    optimizer = make(layer.parameters(), lr=nets.LR)
    batches = [fastnn.tensor(ids) for ids in sequences.ids(tokens, batch, length)]
    following = cycle(batches)

    @fastnn.capture
    def step(ids: Any) -> Any:
        optimizer.zero_grad()
        loss = (layer(ids) ** 2).sum()
        loss.backward()
        optimizer.step()
        return loss

    def result() -> list[np.ndarray]:
        for ids in batches[: sequences.CHECKED]:
            step(ids)
        return [layer.weights[0].numpy()[sequences.rows_of(tokens, batch, length)]]

    def settle() -> None:
        optimizer.lr = nets.STILL
        for ids in batches:
            step(ids)
        if why := step.captured.eager:
            raise RuntimeError(f"the step was not captured: {why}")

    return Job(lambda: step(next(following)), result=result, settle=settle)


class Characters(nn.Module):
    """Embedding, LSTM and head."""

    input_spec = nn.InputSpec("int")

    def __init__(self, net: Lstm) -> None:
        super().__init__()
        self.embedding = nn.Embedding(net.tokens, net.features)
        self.lstm = nn.LSTM(net.features, net.units, batch_first=True)
        self.head = nn.Linear(net.units, net.tokens)

    def forward(self, ids: Any) -> Any:
        return self.head(self.lstm(self.embedding(ids))[0])


def compiled(name: str) -> Any:
    """Return a net with Adam and cross-entropy."""
    model = _net(name)
    model.compile(fastnn.optim.Adam(lr=sequences.LR[name]), fastnn.losses.SparseCategoricalCrossentropy(from_logits=True))
    return model


def _net(name: str) -> Any:
    """Return a net with the weights of all contenders; its output are logits (batch, length, tokens)."""
    model = made(sequences.NETS[name])
    fill(model, list(sequences.weights(name).values()))
    return model


def made(net: Lstm | Gpt) -> Any:
    """Return a new net."""
    if isinstance(net, Lstm):
        return Characters(net)
    return fastnn.models.GPT(net.tokens, net.length, net.width, net.blocks, net.heads, tied=False)


def fill(model: Any, values: list[np.ndarray]) -> None:
    """Set the weights of a net in the order and the shapes of `sequences.shapes`."""
    state = model.state_dict()
    model.load_state_dict({name: _turned(name, value) for name, value in zip(state, values, strict=True)})


def values(model: Any) -> list[np.ndarray]:
    """Return the weights of a net in the order and the shapes of `sequences.shapes`."""
    return [_turned(name, np.asarray(value)) for name, value in model.state_dict().items()]


def _turned(name: str, value: np.ndarray) -> np.ndarray:
    """Return a copy of a weight. The kernels of fastnn's GPT are (in, out)."""
    return (value.T if name.endswith("kernel") else value).copy()
