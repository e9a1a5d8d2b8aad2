"""Files that went wrong: valid ones, changed by chance."""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

import fastnn
import fastnn.nn as nn
from fastnn.files import tensors

X = np.random.default_rng(0).standard_normal((8, 4)).astype(np.float32)
VALUES: list[Any] = [None, True, False, 0, -1, 3, 10**6, 10**9, 2**63, 10**30, 0.5, -1e308, float("nan"), float("inf")]
VALUES += ["", "x", "false", "9" * 5000, [], [[]], {}, [4], [10**7], ["a"] * 9, {"tensor": ".optimizer"}, {"tuple": [0, 1]}]


@fastnn.register(package="fuzz")
def bent(x: Any) -> Any:
    return x * fastnn.sigmoid(x)


@fastnn.register(package="fuzz")
def bent_error(y_true: Any, y_pred: Any) -> Any:
    return (bent(y_true - y_pred) ** 2).mean(-1)


@fastnn.register(package="fuzz")
class Own(nn.Module):
    """A class of a user's, whose constructor takes whatever comes."""

    def __init__(self, units: int, other: Any, last: Any, kind: Any) -> None:
        super().__init__()
        self.units, self.other, self.last, self.kind = units, other, last, kind
        self.layers = nn.ModuleList([fastnn.Dense(units), kind(), fastnn.Sequential([fastnn.Dense(4)])])

    def build(self, input_shape: Any) -> None:
        self.gain = self.add_weight((input_shape[-1],), "ones")

    def forward(self, x: Any) -> Any:
        x = x * self.gain
        for layer in self.layers:
            x = layer(x)
        return self.last(x)


def valid(folder: Path) -> list[bytes]:
    """The contents of files of several kinds."""
    fastnn.seed(0)
    every = [fastnn.Dense(4, "elu", input_shape=(4,), kernel_regularizer="l2", bias_constraint="non_neg"), fastnn.Dropout(0.5)]
    every += [nn.Linear(4, 4), nn.PReLU(4), nn.Softmax(), fastnn.Residual(fastnn.Dense(4)), fastnn.Dense(2, "softmax")]
    plain = fastnn.Sequential(every)
    plain.compile(fastnn.optim.Adam(lr=fastnn.schedules.CosineDecay(0.1, 9)), "sparse_categorical_crossentropy", ["accuracy"])
    plain.fit(X, np.arange(8) % 2, verbose=0)
    a, b = fastnn.Input((4,), name="a"), fastnn.Input((4,), name="b")
    shared = fastnn.Dense(3)
    merged = fastnn.Concatenate()([shared(a), shared(b), (a + b)[:, :2], 2 * a])
    graph = fastnn.Model([a, b], {"p": fastnn.Dense(1, name="p")(merged), "q": shared(b)})
    graph.compile("muon", {"p": "mse"}, {"p": ["mae"]}, loss_weights={"p": 0.5})
    tied = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3))
    tied[1].weight = tied[0].weight
    tied[1].requires_grad_(False)
    groups = [{"params": [tied[0].weight], "lr": fastnn.schedules.Constant(0.1)}, {"params": [tied[0].bias], "momentum": 0.9}]
    tied.compile(fastnn.optim.SGD(groups), "mse")
    tied.fit(X[:, :3], X[:, :3], verbose=0)
    double = fastnn.Sequential([fastnn.Dense(2, input_shape=(4,))], dtype="float64")
    double.compile(fastnn.optim.LBFGS(), "mse")
    double.fit(X, X[:, :2], epochs=2, verbose=0)
    own = fastnn.Sequential([fastnn.Dense(4, bent, input_shape=(4,)), Own(3, {"a": (1, 2.0)}, fastnn.Dense(2), nn.ReLU)])
    own.compile("sgd", bent_error, [bent_error], capture=False)
    own.fit(X, X[:, :2], verbose=0)
    contents = []
    for model in (plain, graph, tied, double, own):
        model.save(folder / "seed")
        contents.append((folder / "seed").read_bytes())
    return contents


LARGE = 20_000
"""Places in a description above which it is not made larger."""


def mutated(content: bytes, rng: random.Random, path: Path) -> bytes:
    """The content with one or a few changes."""
    kind = rng.choice([_flipped, _cut, _edited_header, _edited, _edited, _edited, _edited])
    try:
        return kind(content, rng, path)
    except (RecursionError, ValueError):  # several changes may nest deeper than Python copies, or give a header that no file has
        return _cut(content, rng, path)


def _flipped(content: bytes, rng: random.Random, path: Path) -> bytes:
    changed = bytearray(content)
    for _ in range(rng.choice([1, 1, 2, 20])):
        changed[rng.randrange(rng.choice([16, len(changed)]))] = rng.randrange(256)
    return bytes(changed)


def _cut(content: bytes, rng: random.Random, path: Path) -> bytes:
    where = rng.randrange(len(content))
    return rng.choice([content[:where], content + content[where:], content[:where] + content[where + rng.randrange(1, 64) :]])


def _edited_header(content: bytes, rng: random.Random, path: Path) -> bytes:
    """The header of the tensors changed; without a checksum, which would stop it."""
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])
    header["__metadata__"].pop(tensors.CHECKSUM, None)
    for _ in range(rng.randint(1, 3)):
        change(header, rng)
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + content[8 + length :]


def _edited(content: bytes, rng: random.Random, path: Path) -> bytes:
    """The architecture, the training settings or the arrays changed, in a file that is sound otherwise."""
    path.write_bytes(content)
    arrays, metadata = tensors.load(path, "fuzz")
    header = json.loads(metadata["architecture"])
    part = rng.choice([header, header["model"], header.get("compile", header), None])
    for _ in range(rng.choice([1, 1, 2, 5])):
        if part is not None:
            change(part, rng)
        elif arrays:
            name = rng.choice(list(arrays))
            a = arrays.pop(name)
            with np.errstate(all="ignore"):
                others = [a.astype(rng.choice(["f8", "f2", "i8", "?"])), a.T.copy(), a.reshape(-1)[1:], a * np.float32(np.nan)]
                arrays[rng.choice([name, name, "other", ".optimizer.x"])] = rng.choice([*others, np.zeros((1 << 12, 16), "f4")])
    tensors.save(path, arrays, {**metadata, "architecture": json.dumps(header)}, "fuzz")
    return path.read_bytes()


def change(root: Any, rng: random.Random) -> None:
    """Changes something somewhere in nested lists and dicts."""
    places = list(_places(root))
    if not places:
        return
    inside, key = rng.choice(places)
    kind = rng.randrange(7)
    if kind in (1, 2) and len(places) > LARGE:  # else a few changes in a row would fill the memory
        kind = 0
    if kind == 0:
        del inside[key]
    elif kind == 1:
        inside[key] = copy.deepcopy(rng.choice(places)[0])
    elif kind == 2 and isinstance(inside, list):
        small = sum(1 for _ in _places(inside[key])) < 200
        inside[key:key] = copy.deepcopy(inside[key : key + 1]) * (rng.choice([1, 3, 200]) if small else 1)
    elif kind == 3 and isinstance(inside, dict):
        inside[rng.choice([*map(str, inside), "other", "name", "dtype", "units"])] = inside.pop(key)
    elif kind == 4 and isinstance(inside[key], dict | list):
        for _ in range(rng.choice([1, 5, 150])):
            inside[key] = rng.choice([[inside[key]], {"class_name": "Sequential", "config": {"layers": [inside[key]]}}])
    elif kind == 5 and isinstance(inside[key], int | float):
        inside[key] = rng.choice([inside[key] * 2, -inside[key], inside[key] + 1, inside[key] * 10**6])
    else:
        inside[key] = copy.deepcopy(rng.choice(VALUES))


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield value, key
        yield from _places(item)
