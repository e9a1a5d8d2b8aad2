"""fastnn's convolutional nets: Keras's layers with channels last, or PyTorch's with channels first."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import numpy as np

import fastnn
from fastnn import nn

from . import cnn, images, job, nets
from .job import Epochs, Job, LaterEpochs


class Images(job.Contender):
    """Maker of the jobs of fastnn in the convolutional rows."""

    def cnn_train(self, batch: int, precision: str, mode: str) -> Job:
        """Return a job of `fit`, with Keras's layers and channels last, or with PyTorch's and channels first."""
        data = cnn.data(batch)
        data = [(x.reshape(batch, 1, 28, 28), y) for x, y in data] if mode == "channels_first" else data
        return fit(_cnn(mode), data, cnn.CHECKED)

    def cnn_predict(self, batch: int, precision: str, mode: str) -> Job:
        """Return a job of a frozen model, from NumPy array to NumPy array."""
        x = cnn.data(batch)[0][0]
        x = x.reshape(batch, 1, 28, 28) if mode == "channels_first" else x
        call = _cnn(mode).freeze(input_shape=x.shape[1:], batch_size=batch)
        return Job(call, (x,), lambda: [call(x)])

    def net_train(self, net: str, batch: int, precision: str, mode: str) -> Job:
        """Return a job of `fit` of a net of images.py; the losses are those by the running averages."""
        model = images.modules(nn, images.NETS[net][1])
        _fill(model, images.weights(net))
        model.compile(fastnn.optim.Adam(lr=images.LR[net]), nn.CrossEntropyLoss())
        return later(fit(model, images.data(net, batch), images.CHECKED))

    def convolution(self, batch: int, size: int, channels: int, groups: int, precision: str, mode: str) -> Job:
        """Return a job of a layer's output."""
        layer, x, _ = _layer(batch, size, channels, groups, mode)

        def call() -> Any:
            with fastnn.no_grad():
                return layer(x)

        return Job(call, result=lambda: [_first(call(), mode)])

    def convolution_gradients(self, batch: int, size: int, channels: int, groups: int, precision: str, mode: str) -> Job:
        """Return a job of a layer's output, and of the gradients of its input, kernel and bias."""
        layer, x, dy = _layer(batch, size, channels, groups, mode)

        def call() -> Any:
            layer.zero_grad()
            x.zero_grad()
            y = layer(x)
            y.backward(dy)
            return y

        def result() -> list[np.ndarray]:
            y = call()
            kernel, bias = (w.grad for w in layer.parameters())
            dw = kernel.numpy() if mode == "channels_first" else kernel.numpy().transpose(3, 2, 0, 1)
            return [_first(y, mode), _first(x.grad, mode), dw, bias.numpy()]

        return Job(call, result=result)


def fit(model: Any, data: list[tuple[np.ndarray, np.ndarray]], checked: int) -> Job:
    """Return a job of `fit`, and of the losses after the first steps."""
    x, y = (np.concatenate(arrays) for arrays in zip(*data, strict=True))
    batch = len(data[0][0])

    def result() -> list[np.ndarray]:
        few = checked * batch
        model.fit(x[:few], y[:few], batch_size=batch, shuffle=False, verbose=0)
        return [np.array([model.test_on_batch(*one) for one in data[:checked]])]

    def train(epochs: int, callbacks: Sequence[Any] = ()) -> None:
        model.fit(x, y, batch_size=batch, epochs=epochs, verbose=0, callbacks=list(callbacks))

    return Epochs(train, result=result, settle=lambda: setattr(model.optimizer, "lr", nets.STILL), steps=len(data))


def later(fit: Job) -> Job:
    """Return a job of the epochs of `fit` after the first."""

    def train(epochs: int) -> float:
        ends: list[float] = []
        note = fastnn.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: ends.append(time.perf_counter()))
        fit.call(epochs + 1, [note])
        return ends[-1] - ends[0]

    return LaterEpochs(train, result=fit.result, settle=fit.settle, steps=fit.steps)


def _cnn(mode: str) -> Any:
    """Return the compiled convolutional net with the weights of all contenders; its output are probabilities."""
    if mode == "channels_first":
        convolutions = [
            *(nn.Conv2d(1, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)),
            *(nn.Conv2d(32, 64, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)),
        ]
        shape: tuple[int, ...] = (1, 28, 28)
    else:
        convolutions = [
            *(fastnn.Conv2D(32, 3, padding="same", activation="relu", input_shape=(28, 28, 1)), fastnn.MaxPooling2D(2)),
            *(fastnn.Conv2D(64, 3, padding="same", activation="relu"), fastnn.MaxPooling2D(2)),
        ]
        shape = (28, 28, 1)
    layers = [fastnn.Flatten(), fastnn.Dense(128, activation="relu"), fastnn.Dense(10, activation="softmax")]
    model = fastnn.Sequential([*convolutions, *layers])
    model.eval()(fastnn.zeros(1, *shape))
    values = list(cnn.weights())
    if mode == "channels_first":  # Flatten has the channels first
        values[4] = np.ascontiguousarray(values[4].reshape(7, 7, 64, 128).transpose(2, 0, 1, 3)).reshape(-1, 128)
    model.set_weights(values)
    model.compile(fastnn.optim.Adam(lr=nets.LR), "sparse_categorical_crossentropy")
    return model


def _fill(model: Any, values: list[np.ndarray]) -> None:
    """Set the weights of a model with PyTorch's names, in the order of its parameters."""
    names = list(model.state_dict())[: len(values)]
    model.load_state_dict(dict(zip(names, values, strict=True)), strict=False)


def _layer(batch: int, size: int, channels: int, groups: int, mode: str) -> tuple[Any, Any, Any]:
    """Return a convolution, its input, and the gradient of its output."""
    x, w, b, dy = images.convolution(batch, size, channels, groups)
    if mode == "channels_first":
        layer: Any = nn.Conv2d(channels, channels, 3, padding=1, groups=groups)
        _fill(layer, [w, b])
    else:
        x, dy = map(images.channels_last, (x, dy))
        layer = fastnn.Conv2D(channels, 3, padding="same", groups=groups, input_shape=x.shape[1:])
        layer.set_weights([np.ascontiguousarray(w.transpose(2, 3, 1, 0)), b])
    return layer, nn.Parameter(x), fastnn.tensor(dy)


def _first(images: Any, mode: str) -> np.ndarray:
    """Return images with their channels first."""
    found: np.ndarray = images.numpy()
    return found if mode == "channels_first" else found.transpose(0, 3, 1, 2)
