"""PyTorch in three modes, with fused Adam and all data on the device.

- eager: plain PyTorch.
- compiled: `torch.compile(mode="reduce-overhead")` of model and loss, then a capturable Adam.
- graph: the whole step, including Adam, as one `torch.cuda.graph`. Each batch is copied into its inputs.

tf32 uses `torch.backends.cuda.matmul.allow_tf32`. bfloat16 uses `torch.autocast` around model and loss, or products of bfloat16
arrays.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable
from itertools import cycle
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn.functional import cross_entropy, linear

from . import nets
from .job import Clock, Job, Training, event_clock, host_clock
from .reference import ADAM_STEPS, ends, head_result, rows_of
from .torch_images import Images
from .torch_sequences import Sequences

TOGETHER = 20
"""Number of products in one graph."""
WARM = 3
"""Number of calls before a graph is captured; PyTorch requires that they run in a separate stream."""


class Contender(Images, Sequences):
    """PyTorch.

    Raises:
        RuntimeError: PyTorch has no such device.
    """

    def __init__(self, device: str, threads: int) -> None:
        super().__init__(device, threads)
        torch.set_num_threads(threads)
        if device == "cuda" and not torch.cuda.is_available():
            raise RuntimeError("this PyTorch finds no GPU")

    def clock(self) -> Clock:
        if self.device != "cuda":
            return host_clock()

        def record() -> Any:
            event = torch.cuda.Event(enable_timing=True)
            event.record()
            return event

        return event_clock(record, torch.cuda.synchronize, lambda first, last: first.elapsed_time(last))

    def free(self) -> None:
        """Free device memory that is not in use, and forget compiled functions."""
        if self.device == "cuda":
            torch.compiler.reset()
            torch.cuda.empty_cache()

    def _precision(self, name: str) -> None:
        torch.backends.cuda.matmul.allow_tf32 = name == "tf32"

    def _graph(self, work: Callable[[], Any], restore: Callable[[], Any] = lambda: None) -> tuple[Callable[[], Any], Any]:
        """Return a function that replays the work, and the work's output. `restore` undoes the effects of the first calls."""
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(WARM):
                work()
        torch.cuda.current_stream().wait_stream(side)
        restore()
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, capture_error_mode="thread_local"):  # other threads may use the device
            output = work()
        return graph.replay, output

    def matmul(self, shape: tuple[int, int, int], layout: str, start: int, precision: str, mode: str) -> Job:
        """Return a job of torch.mm with arrays of this precision; a transposed factor is a view."""
        self._precision(precision)
        dtype = torch.bfloat16 if precision == "bfloat16" else torch.float32
        a, b = (torch.from_numpy(m).to(self.device, dtype) for m in nets.factors(*shape, layout, start))
        c = torch.from_numpy(nets.placed(np.zeros((shape[0], shape[2])), start)).to(self.device, dtype)
        call: Callable[[], Any] = functools.partial(torch.mm, a, b, out=c)
        if mode == "graph":
            call, _ = self._graph(lambda: [torch.mm(a, b, out=c) for _ in range(TOGETHER)])

        def result() -> list[np.ndarray]:
            c.zero_()
            call()
            return [c[rows_of(shape)].float().cpu().numpy()]

        return Job(call, result=result, steps=TOGETHER if mode == "graph" else 1)

    def train(self, sizes: tuple[int, ...], batch: int, precision: str, mode: str) -> Job:
        """Return a job of training steps. The batches are tensors, and the loss is not read. In the mode on_batch, they are NumPy
        arrays, which are not copied, and the loss is read."""
        self._precision(precision)
        net = Net(sizes, self.device, precision, mode)
        data = [(torch.from_numpy(x).to(self.device), torch.from_numpy(y).to(self.device)) for x, y in nets.data(sizes, batch)]
        step = net.step
        if mode == "graph":
            step = self._replayed(net, *data[0])
        following = cycle(data)

        def result() -> list[np.ndarray]:
            few = data[: nets.checked(sizes)]
            for x, y in few:
                step(x, y)
            with torch.no_grad():
                return [np.array([net.plain(x, y).item() for x, y in few])]

        def on_batch() -> float:
            x, y = next(arrays)
            return float(step(torch.from_numpy(x), torch.from_numpy(y)).item())

        arrays = cycle(nets.data(sizes, batch))
        call = on_batch if mode == "on_batch" else lambda: step(*next(following))
        return Job(call, result=result, settle=lambda: net.set_lr(nets.STILL))

    def _replayed(self, net: Net, x: Any, y: Any) -> Callable[[Any, Any], Any]:
        """Return the net's step as a graph: a function that copies a batch into the inputs of the graph and replays it."""
        xs, ys, start = x.clone(), y.clone(), net.state()
        replay, _ = self._graph(lambda: net.step(xs, ys), lambda: net.restore(start))

        def step(x: Any, y: Any) -> None:
            xs.copy_(x)
            ys.copy_(y)
            replay()

        return step

    def predict(self, sizes: tuple[int, ...], batch: int, precision: str, mode: str) -> Job:
        self._precision(precision)
        model = Net(sizes, self.device, precision, "eager").model.eval()
        x = torch.from_numpy(nets.samples(sizes, batch)[0]).to(self.device)
        forward: Callable[[Any], Any] = model
        if mode == "compiled":
            forward = compiled(model)
        if mode == "graph":
            xs = x.clone()
            with torch.no_grad():
                replay, y = self._graph(lambda: model(xs))

            def forward(x: Any) -> Any:
                xs.copy_(x)
                replay()
                return y

        def call() -> Any:
            with torch.inference_mode():
                return forward(x)

        def result() -> list[np.ndarray]:
            for _ in range(WARM):
                call()
            return [call().cpu().numpy()]

        return Job(call, result=result)

    def head(self, features: int, classes: int, rows: int, precision: str, mode: str) -> Job:
        """Return a job of F.linear and F.cross_entropy, or of both in chunks of rows. The weight is (classes, features)."""
        self._precision(precision)
        x, w, labels = (torch.from_numpy(a).to(self.device) for a in nets.head(features, classes, rows))
        model = Head(x, w.T.contiguous(), _chunked() if mode == "chunked" else _whole)
        forward = compiled(model) if mode == "compiled" else model

        def run() -> Any:
            model.zero_grad()
            loss = forward(labels)
            loss.backward()
            return loss.detach()

        call, output = self._graph(run) if mode == "graph" else (run, None)

        def result() -> list[np.ndarray]:
            for _ in range(WARM):
                loss = call()
            loss = output if mode == "graph" else loss
            return head_result(loss.item(), model.x.grad.cpu().numpy(), model.weight.grad.cpu().numpy().T)

        return Job(call, result=result)

    def adam(self, n: int, precision: str, mode: str) -> Job:
        """Return a job of torch.optim.Adam(fused=True) with one parameter."""
        w, dw = (torch.from_numpy(a).to(self.device) for a in nets.flat(n))
        w.requires_grad_()
        w.grad = dw
        optimizer = torch.optim.Adam([w], lr=nets.LR, fused=True)

        def result() -> list[np.ndarray]:
            for _ in range(ADAM_STEPS):
                optimizer.step()
            state = optimizer.state[w]
            return ends(lambda a: a.detach().cpu().numpy(), w, state["exp_avg"], state["exp_avg_sq"])

        return Job(optimizer.step, result=result)

    def digits(self, precision: str, mode: str) -> Job:
        """Return a job that trains on the digits. The data are on the device beforehand; the time includes capturing a graph."""
        self._precision(precision)
        return Training(lambda seed: self.train_digits(seed, mode))

    def train_digits(self, seed: int, mode: str) -> tuple[float, float]:
        """Train one model; return the seconds and the test accuracy.

        An epoch gathers all rows once and slices them, which is faster than a DataLoader. All batches are full.
        """
        import bench_training as training

        x, y, x_test, y_test = (
            torch.from_numpy(a).to(self.device) for a in (training.X, training.Y, training.X_TEST, training.Y_TEST)
        )
        batch = training.BATCH
        if len(x) % batch:
            raise ValueError(f"{len(x)} samples are not a whole number of batches of {batch}")
        torch.manual_seed(seed)
        net = Net(nets.SEED, self.device, "float32", mode, seeded=True)
        net.set_lr(training.LR)
        start = time.perf_counter()
        step = self._replayed(net, x[:batch], y[:batch]) if mode == "graph" else net.step
        for _ in range(training.EPOCHS):
            order = torch.randperm(len(x), device=self.device)
            xs, ys = x[order], y[order]
            for i in range(0, len(xs), batch):
                step(xs[i : i + batch], ys[i : i + batch])
        if self.device == "cuda":
            torch.cuda.synchronize()
        seconds = time.perf_counter() - start
        with torch.inference_mode():
            return seconds, float((net.model(x_test).argmax(1) == y_test).float().mean())


def _whole(x: torch.Tensor, weight: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    return cross_entropy(linear(x, weight), labels)


def _chunked() -> Callable[..., torch.Tensor]:
    """Return F.linear_cross_entropy with chunks of 64 rows. By default it uses two rows, which is ten times as slow."""
    from torch.nn import LinearCrossEntropyOptions
    from torch.nn.functional import linear_cross_entropy

    options = LinearCrossEntropyOptions(batch_chunk_size=64, chunking_method=None)
    return functools.partial(linear_cross_entropy, options=options)


class Head(nn.Module):
    """Last layer of a language model and its loss. The input is a parameter, too, because its gradient is needed."""

    def __init__(self, x: torch.Tensor, weight: torch.Tensor, loss_of: Callable[..., torch.Tensor]) -> None:
        super().__init__()
        self.x, self.weight, self.loss_of = nn.Parameter(x), nn.Parameter(weight), loss_of

    def forward(self, labels: torch.Tensor) -> torch.Tensor:
        return self.loss_of(self.x, self.weight, labels)


class WithLoss(nn.Module):
    """Model with cross-entropy, under autocast for bfloat16 products.

    The autocast cache of rounded weights is disabled: graphs must not use it, and it saves nothing if each weight is used once.
    """

    def __init__(self, model: nn.Module, device: str, bfloat16: bool) -> None:
        super().__init__()
        self.model, self.device, self.bfloat16 = model, device, bfloat16

    def forward(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        if not self.bfloat16:
            return cross_entropy(self.model(x), y)
        with torch.autocast(self.device, torch.bfloat16, cache_enabled=False):
            return cross_entropy(self.model(x), y)


def compiled(function: Any) -> Any:
    """Compile a function for graphs; each call is a separate step."""
    fast = torch.compile(function, mode="reduce-overhead", dynamic=False)

    def call(*args: Any) -> Any:
        torch.compiler.cudagraph_mark_step_begin()
        return fast(*args)

    return call


class Net:
    """Model with optimizer and loss.

    Args:
        sizes: sizes of the layers.
        device: device of the arrays.
        precision: precision of the products.
        mode: "eager", "compiled" or "graph".
        seeded: initialize the weights by PyTorch's random numbers instead of `nets.weights`.
    """

    def __init__(self, sizes: tuple[int, ...], device: str, precision: str, mode: str, seeded: bool = False) -> None:
        layers: list[Any] = []
        for w, b in nets.weights(sizes):
            linear = nn.Linear(*w.shape)
            if not seeded:
                with torch.no_grad():
                    linear.weight.copy_(torch.from_numpy(w.T.copy()))
                    linear.bias.copy_(torch.from_numpy(b))
            layers += [linear, nn.ReLU()]
        self.model = nn.Sequential(*layers[:-1]).to(device)
        self.parameters = list(self.model.parameters())
        self.plain = WithLoss(self.model, device, precision == "bfloat16")
        self.loss = compiled(self.plain) if mode == "compiled" else self.plain
        self.capturable = device == "cuda" and mode != "eager"
        lr = torch.tensor(nets.lr(sizes), device=device) if self.capturable else nets.lr(sizes)
        self.optimizer = torch.optim.Adam(self.parameters, lr=lr, fused=True, capturable=self.capturable)

    def step(self, x: Any, y: Any) -> Any:
        self.optimizer.zero_grad()
        loss = self.loss(x, y)
        loss.backward()
        self.optimizer.step()
        return loss.detach()

    def set_lr(self, lr: float) -> None:
        group = self.optimizer.param_groups[0]
        if self.capturable:
            group["lr"].fill_(lr)
        else:
            group["lr"] = lr

    def state(self) -> list[Any]:
        """Return copies of the weights."""
        return [p.detach().clone() for p in self.parameters]

    def restore(self, weights: list[Any]) -> None:
        """Set these weights, clear the gradients, and reset the optimizer's state to zeros, all in place."""
        with torch.no_grad():
            for p, w in zip(self.parameters, weights, strict=True):
                p.copy_(w)
            for state in self.optimizer.state.values():
                for value in state.values():
                    value.zero_()
        self.optimizer.zero_grad()
