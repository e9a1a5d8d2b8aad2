"""PyTorch: eager, fused Adam, `torch.inference_mode`, tensors made beforehand; one and two threads by `torch.set_num_threads`."""

from __future__ import annotations

from itertools import cycle
from typing import Any

from . import nets
from .job import Digits, Job
from .numpy import CHECKED

_threads = 1


def start(threads: int) -> None:
    global _threads
    import torch

    _threads = threads
    torch.set_num_threads(threads)


def matmul(*shape: int) -> Job:
    import torch

    a, b = map(torch.from_numpy, nets.matrices(*shape))
    c = torch.empty(shape[0], shape[2])

    def run() -> None:
        torch.mm(a, b, out=c)

    return Job(run, result=lambda: (run(), c.numpy())[1])


class Net:
    """The model, its optimizer and its loss."""

    def __init__(self, sizes: tuple[int, ...], lr: float, bfloat16: bool = False) -> None:
        import torch
        from torch import nn

        layers: list[Any] = []
        for w, b in nets.weights(sizes):
            linear = nn.Linear(*w.shape)
            with torch.no_grad():
                linear.weight.copy_(torch.from_numpy(w.T.copy()))
                linear.bias.copy_(torch.from_numpy(b))
            layers += [linear, nn.ReLU()]
        self.model = nn.Sequential(*layers[:-1])
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=lr, fused=True)
        self.loss_of = nn.CrossEntropyLoss()
        self.forward = torch.autocast("cpu", torch.bfloat16)(self.loss) if bfloat16 else self.loss

    def loss(self, x: Any, y: Any) -> Any:
        return self.loss_of(self.model(x), y)

    def step(self, x: Any, y: Any) -> Any:
        self.optimizer.zero_grad()
        loss = self.forward(x, y)
        loss.backward()
        self.optimizer.step()
        return loss

    def after(self, data: list[Any]) -> list[float]:
        """The losses of some batches after one step on each."""
        import torch

        for x, y in data:
            self.step(x, y)
        with torch.inference_mode():
            return [self.loss(x, y).item() for x, y in data]


def _tensors(sizes: tuple[int, ...], batch: int) -> list[Any]:
    import torch

    return [(torch.from_numpy(x), torch.from_numpy(y)) for x, y in nets.training_data(sizes, batch)]


def fit(sizes: tuple[int, ...], batch: int, lr: float, bfloat16: bool = False) -> Job:
    """Steps on batches that are tensors already; the loss is not read."""
    net, data = Net(sizes, lr, bfloat16), _tensors(sizes, batch)
    following = cycle(data)
    return Job(lambda: net.step(*next(following)), result=lambda: net.after(data[:CHECKED]))


loop = fit


def fit_bfloat16(sizes: tuple[int, ...], batch: int, lr: float) -> Job:
    """The same under autocast: forward pass and loss within it, backward and the optimizer outside."""
    return fit(sizes, batch, lr, bfloat16=True)


def on_batch(sizes: tuple[int, ...], batch: int, lr: float) -> Job:
    """NumPy arrays in (without a copy), the loss out."""
    from torch import from_numpy

    net, data = Net(sizes, lr), nets.training_data(sizes, batch)
    following = cycle(data)

    def step() -> float:
        x, y = next(following)
        return float(net.step(from_numpy(x), from_numpy(y)).item())

    return Job(step, result=lambda: net.after(_tensors(sizes, batch)[:CHECKED]))


def predict(sizes: tuple[int, ...], batch: int) -> Job:
    import torch

    model = Net(sizes, nets.LR).model.eval()
    x = torch.from_numpy(nets.samples(sizes, batch)[0])

    def run() -> Any:
        with torch.inference_mode():
            return model(x)

    return Job(run, result=lambda: run().numpy())


def _head(loss_of: Any, features: int, classes: int, rows: int) -> Job:
    """The weight lies as torch.nn.Linear has it, (classes, features)."""
    import torch

    from .numpy import head_result

    x, w, labels = nets.head(features, classes, rows)
    x, w, labels = torch.from_numpy(x).requires_grad_(), torch.from_numpy(w.T.copy()).requires_grad_(), torch.from_numpy(labels)

    def run() -> Any:
        x.grad = w.grad = None
        loss = loss_of(x, w, labels)
        loss.backward()
        return loss

    return Job(run, result=lambda: head_result(run().item(), x.grad.numpy(), w.grad.numpy().T))


def head(features: int, classes: int, rows: int) -> Job:
    """F.linear, then F.cross_entropy."""
    from torch.nn.functional import cross_entropy, linear

    return _head(lambda x, w, labels: cross_entropy(linear(x, w), labels), features, classes, rows)


def chunked_head(features: int, classes: int, rows: int) -> Job:
    """F.linear_cross_entropy in chunks of 64 rows: those that it chooses itself are of two rows, and ten times as slow."""
    from torch.nn import LinearCrossEntropyOptions
    from torch.nn.functional import linear_cross_entropy

    options = LinearCrossEntropyOptions(batch_chunk_size=64, chunking_method=None)
    return _head(lambda x, w, labels: linear_cross_entropy(x, w, labels, options=options), features, classes, rows)


def digits() -> Job:
    from .fastnn import bench_training

    module = bench_training()
    return Digits(lambda seed: module.run_torch(seed, _threads))
