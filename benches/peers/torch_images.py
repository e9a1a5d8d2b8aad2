"""PyTorch's convolutional nets, in its own memory format or with channels last."""

from __future__ import annotations

from itertools import cycle
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from . import cnn, images, job, nets
from .job import Job


class Images(job.Contender):
    """Maker of the jobs of PyTorch in the convolutional rows."""

    def cnn_train(self, batch: int, precision: str, mode: str) -> Job:
        """Return a job of training steps, in PyTorch's own memory format or with channels last."""
        data = [(_placed(x.transpose(0, 3, 1, 2), mode), torch.from_numpy(y)) for x, y in cnn.data(batch)]
        return training(_cnn(mode), data, cnn.CHECKED, nets.LR)

    def cnn_predict(self, batch: int, precision: str, mode: str) -> Job:
        model, x = nn.Sequential(_cnn(mode), nn.Softmax(1)).eval(), _placed(cnn.data(batch)[0][0].transpose(0, 3, 1, 2), mode)

        def call() -> Any:
            with torch.inference_mode():
                return model(x)

        return Job(call, result=lambda: [call().numpy()])

    def net_train(self, net: str, batch: int, precision: str, mode: str) -> Job:
        """Return a job of training steps of a net of images.py; the losses are those by the running averages."""
        model = _formatted(filled(images.modules(nn, images.NETS[net][1]), images.weights(net)), mode)
        data = [(_placed(x, mode), torch.from_numpy(y)) for x, y in images.data(net, batch)]
        return training(model, data, images.CHECKED, images.LR[net])

    def convolution(self, batch: int, size: int, channels: int, groups: int, precision: str, mode: str) -> Job:
        """Return a job of a layer's output."""
        layer, x, _ = _layer(batch, size, channels, groups, mode)

        def call() -> Any:
            with torch.inference_mode():
                return layer(x)

        return Job(call, result=lambda: [call().contiguous().numpy()])

    def convolution_gradients(self, batch: int, size: int, channels: int, groups: int, precision: str, mode: str) -> Job:
        """Return a job of a layer's output, and of the gradients of its input, kernel and bias."""
        layer, x, dy = _layer(batch, size, channels, groups, mode)
        x.requires_grad_()

        def call() -> Any:
            layer.zero_grad()
            x.grad = None
            y = layer(x)
            y.backward(dy)
            return y

        def result() -> list[np.ndarray]:
            y = call().detach()
            return [a.contiguous().numpy() for a in (y, x.grad, layer.weight.grad, layer.bias.grad)]

        return Job(call, result=result)


def training(model: Any, data: list[tuple[Any, Any]], checked: int, lr: float) -> Job:
    """Return a job of training steps, and of the losses after the first ones."""
    optimizer = torch.optim.Adam(model.parameters(), lr=lr, fused=True)
    following = cycle(data)

    def step(x: Any, y: Any) -> None:
        optimizer.zero_grad()
        cross_entropy(model(x), y).backward()
        optimizer.step()

    def result() -> list[np.ndarray]:
        few = data[:checked]
        for x, y in few:
            step(x, y)
        model.eval()
        with torch.no_grad():
            losses = np.array([cross_entropy(model(x), y).item() for x, y in few])
        model.train()
        return [losses]

    def settle() -> None:
        for group in optimizer.param_groups:
            group["lr"] = nets.STILL

    return Job(lambda: step(*next(following)), result=result, settle=settle)


def _placed(x: np.ndarray, mode: str) -> Any:
    """Return images (channels first) in PyTorch's own memory format or with channels last."""
    return _formatted(torch.from_numpy(np.ascontiguousarray(x)).clone(), mode)


def _formatted(what: Any, mode: str) -> Any:
    """Return a tensor or a module in PyTorch's own memory format or with channels last."""
    return what.to(memory_format=torch.channels_last) if mode == "channels_last" else what


def filled(model: Any, values: list[np.ndarray]) -> Any:
    """Set the weights of a model, in the order of its parameters."""
    with torch.no_grad():
        for p, value in zip(model.parameters(), values, strict=True):
            p.copy_(torch.from_numpy(value))
    return model


def _cnn(mode: str) -> Any:
    """Return the convolutional net with the weights of all contenders; its output are logits."""
    model = nn.Sequential(
        *(
            nn.Conv2d(1, 32, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(32, 64, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
        ),
        *(nn.Flatten(), nn.Linear(64 * 49, 128), nn.ReLU(), nn.Linear(128, 10)),
    )
    return _formatted(filled(model, cnn.channels_first()), mode)


def _layer(batch: int, size: int, channels: int, groups: int, mode: str) -> tuple[Any, Any, Any]:
    """Return a convolution, its input, and the gradient of its output."""
    x, w, b, dy = images.convolution(batch, size, channels, groups)
    layer = filled(nn.Conv2d(channels, channels, 3, padding=1, groups=groups), [w, b])
    return _formatted(layer, mode), _placed(x, mode), _placed(dy, mode)
