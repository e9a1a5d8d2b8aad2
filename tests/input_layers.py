"""Layers that say what they take, or nothing, and models of one layer behind an Input: shared by the tests of inputs."""

from __future__ import annotations

from typing import Any

import numpy as np

import fastnn
import fastnn.nn as nn

BACKENDS = [b.name for b in fastnn.backends().values() if b.available and b.name != "cupy"]
IDS = np.array([[1, 2, 3], [4, 0, 1]])


class Embed(nn.Module):
    """Rows by number; says nothing of what it takes."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(np.linspace(-1, 1, 10, dtype=np.float32).reshape(5, 2))

    def forward(self, ids: Any) -> Any:
        assert ids.dtype == np.int64
        return fastnn.take(self.weight, ids)


class SaysInt(Embed):
    input_spec = fastnn.InputSpec(dtype="int", ndim=2)


class Sees(nn.Module):
    """Keeps the dtype and the shape that came."""

    def __init__(self, spec: Any = None) -> None:
        super().__init__()
        self.scale = nn.Parameter(np.ones(1, np.float32))
        self._saw: list[Any] = []
        if spec is not None:
            self.input_spec = spec

    def forward(self, *xs: Any) -> Any:
        self._saw = [(x.dtype.name, x.shape) for x in xs]
        return xs[0].reshape(len(xs[0]), -1).astype("float32").sum(1, keepdims=True) * self.scale


class Both(nn.Module):
    input_spec = {"ids": fastnn.InputSpec("int")}  # noqa: RUF012

    def forward(self, x: Any, ids: Any) -> Any:
        return x * 1.0


class Mean(nn.Module):
    def __init__(self, axis: int = 1) -> None:
        super().__init__()
        self.axis = axis

    def forward(self, x: Any) -> Any:
        return x.mean(self.axis)


class Lazy(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.dense = fastnn.Dense(2)

    def forward(self, x: Any) -> Any:
        return self.dense(x)


class Weight(fastnn.Layer):
    def build(self, input_shape: Any) -> None:
        self.w = self.add_weight((input_shape[-1], 2))

    def call(self, x: Any) -> Any:
        return x @ self.w


def ones(shape: tuple[int, ...]) -> np.ndarray[Any, Any]:
    return np.ones(shape, np.float32)


def of_graph(layer: Any, *shape: Any) -> Any:
    x = fastnn.Input(shape)
    return fastnn.Model(x, layer(x))


def of_sequence(layer: Any, *shape: Any) -> Any:
    return fastnn.Sequential([fastnn.Input(shape), layer])
