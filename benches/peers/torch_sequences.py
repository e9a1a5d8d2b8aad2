"""Make the jobs of PyTorch's nets of sequences, with its LSTM and its scaled_dot_product_attention, which are its fastest."""

from __future__ import annotations

from itertools import cycle
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn.functional import gelu, linear, scaled_dot_product_attention

from . import job, nets, sequences
from .job import Job
from .sequences import EPSILON, Gpt, Lstm
from .torch_images import filled, training


class Sequences(job.Contender):
    """Maker of the jobs of PyTorch in the rows of sequences."""

    def text_train(self, net: str, batch: int, precision: str, mode: str) -> Job:
        """Return a job of training steps."""
        data = [(torch.from_numpy(x), torch.from_numpy(y.ravel())) for x, y in sequences.data(net, batch)]
        return training(nn.Sequential(_net(net), nn.Flatten(0, 1)), data, sequences.CHECKED, sequences.LR[net])

    def text_predict(self, net: str, batch: int, precision: str, mode: str) -> Job:
        """Return a job of the logits of whole sequences."""
        model, x = _net(net).eval(), torch.from_numpy(sequences.data(net, batch)[0][0])

        def call() -> Any:
            with torch.inference_mode():
                return model(x)

        return Job(call, result=lambda: [call().numpy()])

    def stream(self, net: str, precision: str, mode: str) -> Job:
        """Return a job of one token after another, with the state in between; nn.LSTMCell is faster than nn.LSTM here."""
        model, tokens = _net(net).eval(), torch.from_numpy(sequences.prompt(net, sequences.STREAMED))
        cell, following = nn.LSTMCell(model.lstm.input_size, model.lstm.hidden_size), cycle(tokens.split(1))
        filled(cell, [p.detach().numpy() for p in model.lstm.parameters()])
        state = [torch.zeros(1, cell.hidden_size)] * 2

        def call() -> Any:
            with torch.inference_mode():
                state[:] = cell(model.embedding(next(following)), tuple(state))
                return model.head(state[0])

        return Job(call, result=lambda: [np.concatenate([call().numpy() for _ in tokens])])

    def generate(self, net: str, length: int, tokens: int, precision: str, mode: str) -> Job:
        """Return a job of the most likely tokens after a prompt, with a cache of keys and values."""
        model, prompt = _net(net).eval(), torch.from_numpy(sequences.prompt(net, length))[None]

        def call() -> Any:
            with torch.inference_mode():
                found, cache = [prompt], model.cache()
                for at in range(length - 1, length - 1 + tokens):
                    logits = model(found[-1], cache, at + 1 - found[-1].shape[1])
                    found.append(logits[:, -1:].argmax(-1))
                return torch.cat(found[1:], 1)

        return Job(call, result=lambda: [call()[0].numpy()], steps=tokens)

    def attention_gradients(self, *shape: Any) -> Job:
        """Return a job of causal attention, and of the gradients of queries, keys and values."""
        *inputs, dy = map(torch.from_numpy, sequences.attention(*shape[:4]))
        for x in inputs:
            x.requires_grad_()

        def call() -> Any:
            for x in inputs:
                x.grad = None
            y = scaled_dot_product_attention(*inputs, is_causal=True)
            y.backward(dy)
            return y

        def result() -> list[np.ndarray]:
            y = call().detach()
            return [a.contiguous().numpy() for a in (y, *(x.grad for x in inputs))]

        return Job(call, result=result)

    def embedding(self, tokens: int, width: int, batch: int, length: int, precision: str, mode: str) -> Job:
        """Return a job of steps of fused Adam on the sum of the squares of embedded tokens."""
        return _embedding(tokens, width, batch, length, sparse=False)

    def sparse_embedding(self, tokens: int, width: int, batch: int, length: int, precision: str, mode: str) -> Job:
        """Return a job of the same steps with a sparse gradient and SparseAdam."""
        return _embedding(tokens, width, batch, length, sparse=True)


def _embedding(tokens: int, width: int, batch: int, length: int, sparse: bool) -> Job:
    layer = nn.Embedding(tokens, width, _weight=torch.from_numpy(sequences.table(tokens, width)), sparse=sparse)
    make: Any = torch.optim.SparseAdam if sparse else torch.optim.Adam
    optimizer = make(layer.parameters(), lr=nets.LR, **({} if sparse else {"fused": True}))
    batches = [torch.from_numpy(ids) for ids in sequences.ids(tokens, batch, length)]
    following = cycle(batches)

    def step(ids: Any) -> None:
        optimizer.zero_grad()
        layer(ids).square().sum().backward()
        optimizer.step()

    def result() -> list[np.ndarray]:
        for ids in batches[: sequences.CHECKED]:
            step(ids)
        return [layer.weight.detach().numpy()[sequences.rows_of(tokens, batch, length)]]

    def settle() -> None:
        for group in optimizer.param_groups:
            group["lr"] = nets.STILL
        for ids in batches:
            step(ids)

    return Job(lambda: step(next(following)), result=result, settle=settle)


class Characters(nn.Module):
    """Embedding, LSTM and head."""

    def __init__(self, net: Lstm) -> None:
        super().__init__()
        self.embedding = nn.Embedding(net.tokens, net.features)
        self.lstm = nn.LSTM(net.features, net.units, batch_first=True)
        self.head = nn.Linear(net.units, net.tokens)

    def forward(self, ids: torch.Tensor) -> Any:
        return self.head(self.lstm(self.embedding(ids))[0])


class Block(nn.Module):
    """Attention and two dense layers, each after a norm and added to its input."""

    def __init__(self, net: Gpt) -> None:
        super().__init__()
        d, self.heads = net.width, net.heads
        self.norm1, self.qkv, self.out = nn.LayerNorm(d, EPSILON), nn.Linear(d, 3 * d), nn.Linear(d, d)
        self.norm2, self.up, self.down = nn.LayerNorm(d, EPSILON), nn.Linear(d, 4 * d), nn.Linear(4 * d, d)

    def forward(self, x: torch.Tensor, cache: Any = None, at: int = 0) -> torch.Tensor:
        """Return the block's output. With a cache, `x` begins at position `at`, and reads the keys and values before."""
        n, length, width = x.shape
        q, k, v = self.qkv(self.norm1(x)).view(n, length, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        if cache is not None:
            end = at + length
            cache[:, :, :, at:end] = torch.stack((k, v))
            k, v = cache[:, :, :, :end]
        y = scaled_dot_product_attention(q, k, v, is_causal=length > 1)
        x = x + self.out(y.transpose(1, 2).reshape(n, length, width))
        return x + self.down(gelu(self.up(self.norm2(x))))


class Gpts(nn.Module):
    """GPT: embeddings, blocks, norm and head."""

    def __init__(self, net: Gpt) -> None:
        super().__init__()
        self.net = net
        self.tokens, self.positions = nn.Embedding(net.tokens, net.width), nn.Embedding(net.length, net.width)
        self.blocks = nn.ModuleList(Block(net) for _ in range(net.blocks))
        self.norm, self.head = nn.LayerNorm(net.width, EPSILON), nn.Linear(net.width, net.tokens, bias=False)

    def cache(self) -> list[torch.Tensor]:
        """Return room for the keys and values of each block."""
        return [torch.empty(2, 1, b.heads, self.net.length, self.net.width // b.heads) for b in self.blocks]

    def forward(self, ids: torch.Tensor, caches: Any = None, at: int = 0) -> torch.Tensor:
        """Return the logits; with caches, those of the last position alone."""
        x = self.tokens(ids) + self.positions.weight[at : at + ids.shape[1]]
        for i, block in enumerate(self.blocks):
            x = block(x, caches and caches[i], at)
        x = x if caches is None else x[:, -1:]
        return linear(self.norm(x), self.head.weight)


def _net(name: str) -> Any:
    """Return a net with the weights of all contenders; its output are logits (batch, length, tokens)."""
    return filled(made(sequences.NETS[name]), list(sequences.weights(name).values()))


def made(net: Lstm | Gpt) -> Any:
    """Return a new net."""
    return Characters(net) if isinstance(net, Lstm) else Gpts(net)
