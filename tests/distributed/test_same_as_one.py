"""fit on 2 and 3 ranks computes what one process computes with the whole batch.

81 rows in batches of 20: each epoch of 5 steps ends with a batch of one row, of which most ranks have none.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import ranks

import fastnn
from fastnn import Dense, Sequential, optim
from fastnn.models import GPT

pytestmark = ranks.needed

_ROWS, _BATCH, _EPOCHS = 81, 20, 40
_SMALL_STEPS = {"lr": 1e-3}

Setup = tuple[Any, dict[str, Any], dict[str, Any]]
"""A model, the arguments of compile, and those of fit."""


def _mlp(optimizer: Any, **more: Any) -> Setup:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((_ROWS, 12)).astype("float32")
    y = np.argmax(x[:, :3] + 0.3 * rng.standard_normal((_ROWS, 3)), 1)
    model = Sequential([Dense(16, activation="tanh", input_shape=(12,), kernel_regularizer=more.pop("l2", None)), Dense(3)])
    loss = fastnn.losses.SparseCategoricalCrossentropy(from_logits=True)
    return model, {"optimizer": optimizer, "loss": loss, "metrics": ["accuracy"]}, {"x": x, "y": y, **more}


def _cnn() -> Setup:
    rng = np.random.default_rng(1)
    x = rng.standard_normal((80, 8, 8, 1)).astype("float32")
    layers = [
        fastnn.Conv2D(4, 3, padding="same", input_shape=(8, 8, 1)),
        fastnn.BatchNormalization(),
        fastnn.Activation("relu"),
        fastnn.MaxPooling2D(2),
        fastnn.Flatten(),
        Dense(2),
    ]
    return Sequential(layers), {"optimizer": optim.SGD(lr=1e-2, momentum=0.9), "loss": "mse"}, {"x": x, "y": x[:, 0, :2, 0]}


def _texts(rng: np.random.Generator) -> Any:
    """Token ids, with 0 as padding at the end of lines of different lengths."""
    ids = rng.integers(1, 11, (_ROWS, 7))
    return np.where(np.arange(7) < rng.integers(1, 8, (_ROWS, 1)), ids, 0)


def _lstm() -> Setup:
    rng = np.random.default_rng(2)
    x = _texts(rng)
    layers = [fastnn.Embedding(11, 6, mask_zero=True), fastnn.LSTM(8), Dense(1)]
    model = Sequential(layers)
    model.build((7,))
    return model, {"optimizer": optim.Adam(**_SMALL_STEPS), "loss": "mse"}, {"x": x, "y": x.mean(1, keepdims=True) / 5}


def _lstm_of_each_word() -> Setup:
    """The divisor of the loss is the number of words, which differs between the ranks."""
    x = _texts(np.random.default_rng(3))
    model = Sequential([fastnn.Embedding(11, 6, mask_zero=True), fastnn.LSTM(8, return_sequences=True), Dense(1)])
    model.build((7,))
    return model, {"optimizer": optim.Adam(**_SMALL_STEPS), "loss": "mse"}, {"x": x, "y": (x / 5)[..., None]}


def _gpt() -> Setup:
    rng = np.random.default_rng(4)
    x = rng.integers(0, 11, (_ROWS, 9))
    loss = fastnn.losses.SparseCategoricalCrossentropy(from_logits=True)
    return GPT(11, 8, 8, 2, 2), {"optimizer": optim.AdamW(lr=1e-3), "loss": loss}, {"x": x[:, :-1], "y": x[:, 1:]}


def _weighted() -> Setup:
    weights = np.random.default_rng(5).random(_ROWS) + 0.1
    return _mlp(optim.Adam(**_SMALL_STEPS), sample_weight=weights, class_weight={0: 1.0, 1: 2.0, 2: 0.5})


def _two_outputs() -> Setup:
    rng = np.random.default_rng(6)
    x = rng.standard_normal((_ROWS, 5)).astype("float32")
    given = fastnn.Input((5,))
    h = Dense(8, activation="tanh")(given)
    model = fastnn.Model(given, [Dense(1, name="a")(h), Dense(2, name="b")(h)])
    settings = {"optimizer": optim.Adam(**_SMALL_STEPS), "loss": {"a": "mse", "b": "mae"}, "loss_weights": {"a": 1.0, "b": 0.3}}
    return model, settings, {"x": x, "y": {"a": x[:, :1], "b": x[:, 1:3] ** 2}}


CASES: dict[str, Callable[[], Setup]] = {
    "sgd": lambda: _mlp(optim.SGD(lr=0.05)),
    "momentum": lambda: _mlp(optim.SGD(lr=0.02, momentum=0.9, nesterov=True)),
    "adam": lambda: _mlp(optim.Adam(**_SMALL_STEPS)),
    "amsgrad": lambda: _mlp(optim.Adam(amsgrad=True, **_SMALL_STEPS)),
    "adamw": lambda: _mlp(optim.AdamW(**_SMALL_STEPS)),
    "rmsprop": lambda: _mlp(optim.RMSprop(**_SMALL_STEPS)),
    "adagrad": lambda: _mlp(optim.Adagrad(lr=0.01)),
    "adadelta": lambda: _mlp(optim.Adadelta(lr=0.5)),
    "adamax": lambda: _mlp(optim.Adamax(**_SMALL_STEPS)),
    "nadam": lambda: _mlp(optim.NAdam(**_SMALL_STEPS)),
    "radam": lambda: _mlp(optim.RAdam(**_SMALL_STEPS)),
    "muon": lambda: _mlp(optim.Muon(**_SMALL_STEPS)),
    "schedule free": lambda: _mlp(optim.AdamWScheduleFree(**_SMALL_STEPS)),
    "clip norm": lambda: _mlp(optim.Adam(global_clipnorm=0.1, **_SMALL_STEPS)),
    "clip value": lambda: _mlp(optim.SGD(lr=0.05, clipvalue=0.01)),
    "accumulation": lambda: _mlp(optim.Adam(gradient_accumulation_steps=3, global_clipnorm=0.1, **_SMALL_STEPS)),
    "average": lambda: _mlp(optim.SGD(lr=0.05, use_ema=True, ema_momentum=0.9)),
    "penalty": lambda: _mlp(optim.Adam(**_SMALL_STEPS), l2="l2"),
    "in order": lambda: _mlp(optim.Adam(**_SMALL_STEPS), shuffle=False),
    "validation": lambda: _mlp(optim.Adam(**_SMALL_STEPS), validation_split=0.2),
    "weights": _weighted,
    "two outputs": _two_outputs,
    "cnn": _cnn,
    "lstm": _lstm,
    "words": _lstm_of_each_word,
    "gpt": _gpt,
}


def _fits(names: list[str]) -> dict[str, tuple[dict[str, Any], bytes]]:
    """Return the history and the bytes of the weights of each case."""
    found = {}
    for name in names:
        comm = fastnn.distributed.init(sync_batch_norm=name == "cnn")
        fastnn.seed(7 if comm.rank == 0 else 7 + comm.rank)  # rank 0's weights and order go to all ranks
        model, settings, data = CASES[name]()
        model.compile(**settings, distribute=comm)
        try:
            history = model.fit(**data, batch_size=_BATCH, epochs=_EPOCHS, verbose=0)
        except Exception as error:
            raise RuntimeError(f"{name}, rank {comm.rank} of {comm.size}") from error
        found[name] = history.history, b"".join(np.ascontiguousarray(w).tobytes() for w in model.get_weights())
    return found


@pytest.mark.parametrize("n", [2, 3])
def test_fit_is_that_of_one_process(n: int) -> None:
    one, many = (ranks.run(size, __file__, "_fits", list(CASES), seconds=150) for size in (1, n))
    differing = {}
    for name, (history, _) in one[0].items():
        logs, weights = many[0][name]
        assert history["loss"][-1] < history["loss"][0] and len(history["loss"]) == _EPOCHS
        assert history.keys() == logs.keys()
        apart = max(float(np.max(np.abs(np.subtract(logs[key], history[key])))) for key in history)
        if apart > 1e-6:
            differing[name] = apart
        for other in many[1:]:
            assert other[name] == (logs, weights), f"the ranks differ in {name}"
    assert differing == {}


def test_repeated_runs_have_the_same_bits() -> None:
    names = ["adam", "lstm", "gpt"]
    first, again = (ranks.run(2, __file__, "_fits", names) for _ in range(2))
    assert first == again
