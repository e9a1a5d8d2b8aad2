"""What importing costs in modules, what packages show, and that type checkers see it."""

import importlib
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import fastnn
from fastnn.nn.of_training import TRAINING
from fastnn.training.loop import Trainer

PACKAGES = ["fastnn", *(f"fastnn.{name}" for name in fastnn.__all__ if isinstance(getattr(fastnn, name), type(sys)))]
PACKAGES += ["fastnn.nn.init", "fastnn.nn.utils", "fastnn.optim.lr_scheduler"]


def ran(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_import_loads_nothing_that_was_not_asked_for() -> None:
    code = "import sys, fastnn; print(*sorted(m for m in sys.modules if m.split('.')[0] in ('fastnn', 'numpy')))"
    assert ran(code).split() == ["fastnn", "fastnn._version", "fastnn.core", "fastnn.core.lazy"]
    code = "import sys, fastnn; fastnn.Sequential([fastnn.Dense(2, input_shape=(3,))]); print(*sys.modules)"
    loaded = ran(code).split()
    above = ("fastnn.training", "fastnn.optim", "fastnn.losses", "fastnn.nn.layers.random")
    assert not [m for m in loaded if m.startswith(above)]


@pytest.mark.parametrize(
    "code",
    [
        "import fastnn; print(fastnn.tensor([1.0, 2.0]).relu().tolist())",
        "from fastnn.autograd.tensor import Tensor; import numpy; print((Tensor(numpy.ones(2)) + 1).sigmoid().shape)",
        "import fastnn.nn as nn; print(nn.Parameter([1.0]).exp().tolist())",
        "from fastnn.nn.parameter import Parameter; print((Parameter([1.0]) * 2.0).tolist())",
        "import fastnn.autograd.tensor, fastnn.autograd.check; print(fastnn.tensor([1.0]), fastnn.gradcheck)",
        "from fastnn import *; print(Dense(2), tensor([1.0]), cat, nn.init, losses.get('mse'), optim.SGD)",
        "from fastnn.nn import *; print(Layer, Linear(2, 3), init)",
        "import fastnn; print(fastnn.nn.Module.fit, fastnn.Layer.metrics, hasattr(fastnn.Dense(2), 'predict'))",
        "import fastnn.losses; print(fastnn.losses.deserialize({'class_name': 'nn.MSELoss', 'config': {}}))",
        "import fastnn\nclass A(fastnn.Layer):\n def fit(self): return super().fit\nprint(A().fit())",
    ],
)
def test_every_way_in(code: str) -> None:
    """Whatever is loaded first, all of it is there."""
    assert ran(code)


THREADS = """
import threading, fastnn
barrier, failed = threading.Barrier(6), []
def run():
    barrier.wait()
    try:
        fastnn.tensor([1.0]).relu().sum().item()
        model = fastnn.Sequential([fastnn.Dense(2, input_shape=(3,))])
        model.compile("sgd", "mse")
        model.fit([[1.0, 2.0, 3.0]], [[1.0, 2.0]], verbose=0)
    except BaseException as error:
        failed.append(error)
threads = [threading.Thread(target=run) for _ in range(6)]
for t in threads: t.start()
for t in threads: t.join()
assert not failed, failed
"""


def test_threads_that_load_at_once() -> None:
    ran(THREADS)


def test_modules_have_the_names_of_training() -> None:
    given = {name for c in Trainer.__mro__[:-1] for name in vars(c) if not name.startswith("_")}
    assert given == set(TRAINING)


@pytest.mark.parametrize("name", PACKAGES)
def test_dir_shows_public_names_alone(name: str) -> None:
    package = importlib.import_module(name)
    shown = dir(package)
    assert shown == sorted(package.__all__) and not [n for n in shown if n.startswith("_")]
    if name == "fastnn.sklearn":
        pytest.importorskip("sklearn")
    assert all(hasattr(package, n) for n in shown)


def test_names_that_are_not_there() -> None:
    with pytest.raises(AttributeError, match="module 'fastnn' has no attribute 'dense'"):
        fastnn.dense  # type: ignore[attr-defined]  # noqa: B018
    with pytest.raises(ImportError, match="cannot import name 'Conv'"):
        exec("from fastnn.nn import Conv")


def test_the_stubs_are_those_of_the_names() -> None:
    root = Path(__file__).parents[2]
    script = root / "scripts" / "stubs"
    done = subprocess.run([sys.executable, str(script), "--check"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


PROGRAM = """
from __future__ import annotations

from typing import Any

import numpy as np

import fastnn
import fastnn.nn as nn
from fastnn import callbacks, constraints, initializers, losses, metrics, optim, regularizers, schedules


@fastnn.register(package="program")
class Scale(fastnn.Layer):
    def __init__(self, factor: float = 1.0) -> None:
        super().__init__()
        self.factor = factor

    def build(self, input_shape: tuple[int, ...]) -> None:
        self.gain = self.add_weight((input_shape[-1],), "ones")

    def forward(self, x: fastnn.Tensor) -> fastnn.Tensor:
        return x * self.gain * self.factor


@fastnn.register
def fourth(y_true: fastnn.Tensor, y_pred: fastnn.Tensor) -> fastnn.Tensor:
    return ((y_true - y_pred) ** 4).mean(-1)


class Own(losses.Loss):
    def call(self, y_true: fastnn.Tensor, y_pred: fastnn.Tensor) -> fastnn.Tensor:
        return fastnn.abs(y_true - y_pred)


class Stop(callbacks.Callback):
    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        print(epoch)


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first: nn.Linear = nn.Linear(4, 8)
        self.blocks = nn.ModuleList([nn.Linear(8, 8), nn.ReLU()])
        self.last = nn.Linear(8, 1)

    def forward(self, x: fastnn.Tensor) -> Any:
        x = fastnn.relu(self.first(x))
        for block in self.blocks:
            x = block(x)
        return self.last(x)


x, y = np.zeros((8, 4), np.float32), np.zeros((8, 1), np.float32)
fastnn.seed(0)
model = fastnn.Sequential([
    fastnn.Dense(8, "relu", input_shape=(4,), kernel_initializer=initializers.HeNormal()),
    fastnn.Dense(8, fastnn.tanh, kernel_regularizer=regularizers.L2(0.1)),
    Scale(0.5),
    fastnn.Dropout(0.5),
    fastnn.Dense(1, kernel_constraint=constraints.MaxNorm(2.0)),
])
model.compile(optim.Adam(lr=schedules.CosineDecay(0.1, 10)), losses.MeanSquaredError(), metrics=[metrics.MeanAbsoluteError()])
history = model.fit(x, y, epochs=2, verbose=0, callbacks=[callbacks.EarlyStopping(), Stop()])
first: float = history.history["loss"][0]
print(first, model.evaluate(x, y), model.predict(x).shape)
frozen = model.freeze()
print(frozen(x[:1]))
model.save("m.fastnn")
again = fastnn.load("m.fastnn", custom_objects={"Scale": Scale})
a, b = fastnn.Input((4,), name="a"), fastnn.Input((4,), name="b")
graph = fastnn.Model([a, b], fastnn.Concatenate()([fastnn.Dense(2)(a), b]))
graph.compile("sgd", fourth)
net = Net()
optimizer = optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
criterion = nn.MSELoss()
for _ in range(2):
    optimizer.zero_grad()
    loss = criterion(net(fastnn.tensor(x)), fastnn.tensor(y))
    loss.backward()
    optimizer.step()
    print(loss.item())
nn.init.xavier_uniform_(net.first.weight)
nn.utils.clip_grad_norm_(net.parameters(), 1.0)
scheduler = optim.lr_scheduler.StepLR(optimizer, 10)
scheduler.step()


@fastnn.capture
def step(x: Any) -> fastnn.Tensor:
    with fastnn.no_grad():
        return fastnn.cat([fastnn.tensor(x), fastnn.zeros_like(fastnn.tensor(x))]).sum()


print(step(x), fastnn.backends(), fastnn.get_backend(), fastnn.info(), fastnn.gradcheck, fastnn.ops.dense, fastnn.__version__)
"""


def test_users_code_is_typed(tmp_path: Path) -> None:
    """mypy --strict passes on a program that uses every kind of public name, and knows all of them."""
    pytest.importorskip("mypy")
    every = [f"import {name}\n{name}.{own}" for name in PACKAGES for own in importlib.import_module(name).__all__]
    (tmp_path / "program.py").write_text(PROGRAM)
    (tmp_path / "every.py").write_text("\n".join(every))
    cache = Path(__file__).parents[2] / ".mypy_cache"
    command: list[Any] = [sys.executable, "-m", "mypy", "--strict", "--cache-dir", cache, "program.py", "every.py"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_users_code_runs(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(PROGRAM)
    done = subprocess.run([sys.executable, "program.py"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
