"""Code of the user's own in fit: recorded by itself where that is safe, run by Python with one line that says why elsewhere."""

import contextlib
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fastnn
import fastnn.nn as nn
import fastnn.training.step
from fastnn.training.step import TrainStep, own_parts

rng = np.random.default_rng(0)
X = rng.standard_normal((46, 3)).astype(np.float32)
Y = (X[:, :1] * 2 - X[:, 1:2]).astype(np.float32)
RAN = [0]
FACTOR = 1.0
STEPS = 9  # of 5 rows each, and one of 1 row


@pytest.fixture(autouse=True)
def _short_epochs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lets epochs of a few steps be recorded."""
    monkeypatch.setattr(fastnn.training.step, "FEW", 4)


def _layers() -> list[nn.Module]:
    """One of each of fastnn's layers that can be made without arguments, most of which are activations."""
    found = []
    for name in nn.__all__:
        kind = getattr(nn, name)
        if isinstance(kind, type) and issubclass(kind, nn.Module):
            with contextlib.suppress(TypeError, ValueError):
                found.append(kind())
    return found


@pytest.mark.parametrize("loss", fastnn.losses.LOSSES)
def test_fastnns_own_layers_losses_and_optimizers_are_recorded_in_train_on_batch(loss: str) -> None:
    """None of them counts as code of the user's own, which train_on_batch leaves to Python."""
    model = nn.Sequential(nn.Linear(3, 3))
    for optimizer in ("sgd", "adamw", "muon", "schedulefreeadamw"):
        model.compile(optimizer, loss)
        assert not own_parts(nn.ModuleList([model, *_layers()]), model._compiled)


def test_a_model_of_pytorchs_layers_is_recorded_in_train_on_batch() -> None:
    model = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 4), nn.Tanh(), nn.GELU(), nn.Linear(4, 1))
    model.compile("sgd", "mse")
    for _ in range(3):
        model.train_on_batch(X, Y)
    (step,) = model._compiled.batch_steps.values()
    assert step.recorded is not None


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Linear(3, 8)
        self.b = nn.Linear(8, 1)

    def forward(self, x: Any) -> Any:
        return self.b(self.a(x).relu())


class Affine(fastnn.Layer):
    def __init__(self, units: int) -> None:
        super().__init__()
        self.units = units

    def build(self, input_shape: Any) -> None:
        self.w = self.add_weight((input_shape[-1], self.units))

    def call(self, x: Any) -> Any:
        return x @ self.w


def loss_function(y_true: Any, y_pred: Any) -> Any:
    return ((y_true - y_pred) ** 2).mean(-1)


class OwnLoss(fastnn.losses.Loss):
    def call(self, y_true: Any, y_pred: Any) -> Any:
        return abs(y_true - y_pred)


class OwnTorchLoss(nn.MSELoss):
    def forward(self, y_pred: Any, y_true: Any, weight: Any = None) -> Any:
        return ((y_true - y_pred) ** 4).mean()


class OwnSGD(fastnn.optim.SGD):
    def step(self, closure: Any = None) -> Any:
        with fastnn.no_grad():
            for p in self.params:
                p.mul_(0.999)
        return super().step(closure)


def dense(**kwargs: Any) -> Any:
    return fastnn.Sequential([fastnn.Dense(4, input_shape=(3,), **kwargs), fastnn.Dense(1)])


SAFE: dict[str, Callable[[], tuple[Any, Any, Any]]] = {
    "module": lambda: (Net(), "mse", "adam"),
    "layer": lambda: (fastnn.Sequential([Affine(4), fastnn.Dense(1)]), "mse", "adam"),
    "dropout": lambda: (nn.Sequential(Net(), nn.Dropout(0.5)), "mse", "adam"),
    "loss function": lambda: (dense(), loss_function, "adam"),
    "loss class": lambda: (dense(), OwnLoss(), "adam"),
    "torch's loss class": lambda: (dense(), OwnTorchLoss(), "adam"),
    "activation": lambda: (dense(activation=lambda x: x * fastnn.sigmoid(x)), "mse", "adam"),
    "regularizer": lambda: (dense(kernel_regularizer=lambda w: 0.01 * (w**2).sum()), "mse", "adam"),
    "constraint": lambda: (dense(kernel_constraint=lambda w: w.clip(-0.5, 0.5)), "mse", "adam"),
    "initializer": lambda: (dense(kernel_initializer=lambda shape, dtype=None: np.full(shape, 0.1)), loss_function, "adam"),
    "optimizer": lambda: (dense(), "mse", OwnSGD(lr=0.01)),
    "schedule": lambda: (Net(), "mse", fastnn.optim.SGD(lr=lambda step: 0.1 / (1 + step))),
}


def fitted(make: Callable[[], Any], capture: bool | None, steps: list[TrainStep], **kwargs: Any) -> Any:
    fastnn.seed(3)
    model, loss, optimizer = make()
    model.compile(optimizer, loss, capture=capture)
    own = model._train_step
    object.__setattr__(model, "_train_step", lambda *args: steps.append(own(*args)) or steps[-1])
    kwargs = {"epochs": 4, "batch_size": 5, "verbose": 0, "validation_data": (X[:7], Y[:7]), **kwargs}
    return model.fit(X, Y, **kwargs).history, model.get_weights()


@pytest.mark.parametrize("what", SAFE)
def test_what_is_safe_is_recorded_and_the_same_to_the_bit(what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    ran = [0]
    by_python = TrainStep._watch
    monkeypatch.setattr(TrainStep, "_watch", lambda self: (ran.__setitem__(0, ran[0] + 1), by_python(self))[1])
    results = []
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        for capture in (False, None, True):
            steps: list[TrainStep] = []
            ran[0] = 0
            results.append(fitted(SAFE[what], capture, steps))
            assert (steps[0].recorded is not None) is (capture is not False)
            assert ran[0] == 40 if capture is False else ran[0] <= (5 + 3 + 4 if capture is None else 8)
    for history, weights in results[1:]:
        assert history == results[0][0]
        for a, b in zip(weights, results[0][1], strict=True):
            np.testing.assert_array_equal(a, b)


QUIET = [fastnn.callbacks.EarlyStopping("loss", patience=9), fastnn.callbacks.ReduceLROnPlateau("loss")]


class Stopping(fastnn.callbacks.EarlyStopping):
    """May do anything."""


@pytest.mark.parametrize(
    ("kwargs", "watched"),
    [
        ({"validation_data": None}, 2 + 2),
        ({"validation_data": None, "callbacks": QUIET}, 2 + 2),
        ({"validation_data": None, "callbacks": [Stopping("loss", patience=9)]}, 2 + 3),
        ({}, 2 + 3),
    ],
    ids=["nothing", "fastnn's callbacks", "a callback", "validation"],
)
def test_a_step_is_watched_anew_where_own_code_runs_between_epochs(
    kwargs: dict[str, Any], watched: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows: list[int] = []
    by_python = TrainStep._look_for_host_code
    monkeypatch.setattr(TrainStep, "_look_for_host_code", lambda s, r: (rows.append(len(s.buffers[0])), by_python(s, r))[1])
    results = [fitted(SAFE["module"], capture, [], **kwargs) for capture in (False, None)]
    assert len(rows) == watched
    assert results[0][0] == results[1][0]


class Unsafe(nn.Module):
    """What runs in forward beside its layer, in training."""

    def __init__(self, act: Callable[[Any, Any], Any]) -> None:
        super().__init__()
        self.layer = nn.Linear(3, 1)
        self.act, self.count = act, 0

    def forward(self, x: Any) -> Any:
        if self.training:
            RAN[0] = RAN[0] if self.act is not _index else RAN[0] + 1
            return self.layer(x) * self.act(self, x)
        return self.layer(x)


def _print(self: Any, x: Any) -> Any:
    print("step")
    return 1.0


def _count(self: Any, x: Any) -> Any:
    self.count += 1
    return 1.0 + self.count / 100


def _index(self: Any, x: Any) -> Any:
    return 1.0


def _draw(self: Any, x: Any) -> Any:
    return float(np.random.rand())  # noqa: NPY002


def _clock(self: Any, x: Any) -> Any:
    return 1.0 + 0 * time.time()


def _value(self: Any, x: Any) -> Any:
    return 0.5 if x.sum().item() > 0 else 1.0


UNSAFE = {f.__name__: f for f in (_print, _count, _index, _draw, _clock, _value)}


@pytest.mark.parametrize("what", UNSAFE)
def test_what_is_not_safe_is_run_by_python_and_one_line_says_why(what: str) -> None:
    results = []
    for capture in (False, None):
        steps: list[TrainStep] = []
        RAN[0] = 0
        np.random.seed(0)  # noqa: NPY002
        with warnings.catch_warnings(record=True) as found:
            warnings.simplefilter("always", RuntimeWarning)
            results.append((fitted(lambda: (Unsafe(UNSAFE[what]), "mse", "sgd"), capture, steps)[0], RAN[0]))
        assert [w.filename for w in found] == ([] if capture is False else [__file__])
        assert all("fit: steps are not recorded" in str(w.message) for w in found)
        assert steps[0].recorded is None and steps[0].why_eager
    assert results[0] == results[1]


class Schedule(fastnn.callbacks.Callback):
    """Changes what a forward or loss depends on, behind the back of recordings."""

    def __init__(self, holder: dict[str, float]) -> None:
        super().__init__()
        self.holder = holder

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        global FACTOR
        FACTOR = 0.5**epoch
        self.holder["factor"] = 1.0 + epoch


@pytest.mark.parametrize("what", ["global", "closure", "attribute"])
def test_what_changes_between_epochs_is_followed(what: str) -> None:
    def make(holder: dict[str, float]) -> Any:
        class Changing(Net):
            def forward(self, x: Any) -> Any:
                return super().forward(x) * (FACTOR if what == "global" else holder["factor"])

        model = Net() if what == "attribute" else Changing()
        return model, loss_function, "sgd"

    class Rates(Schedule):
        def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
            super().on_epoch_begin(epoch, logs)
            self.model.optimizer.lr = 0.1 / (1 + epoch)
            self.model.a.requires_grad_(epoch % 2 == 0)

    results = []
    for capture in (False, None):
        holder = {"factor": 1.0}
        steps: list[TrainStep] = []
        callback = Rates(holder) if what == "attribute" else Schedule(holder)
        results.append(fitted(lambda holder=holder: make(holder), capture, steps, callbacks=[callback], epochs=5))
        assert (steps[0].recorded is not None) is (capture is None)
    assert results[0][0] == results[1][0]
    for a, b in zip(results[0][1], results[1][1], strict=True):
        np.testing.assert_array_equal(a, b)


def test_host_code_that_comes_in_a_later_epoch_is_found() -> None:
    lines: list[str] = []

    class Late(Schedule):
        def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
            self.holder["epoch"] = epoch

    holder = {"epoch": 0.0}

    def loss(y_true: Any, y_pred: Any) -> Any:
        if holder["epoch"] >= 2:
            lines.append("late")
        return loss_function(y_true, y_pred)

    with pytest.warns(RuntimeWarning, match="lines is changed"):
        fitted(lambda: (dense(), loss, "sgd"), None, [], callbacks=[Late(holder)], epochs=4, validation_data=None)
    assert len(lines) == 2 * (STEPS + 1)


def test_callbacks_that_run_between_batches() -> None:
    class Batch(fastnn.callbacks.Callback):
        def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
            global FACTOR
            FACTOR = 1.0 + batch

    class Changing(Net):
        def forward(self, x: Any) -> Any:
            return super().forward(x) * FACTOR

    results = []
    for capture in (False, None):
        with warnings.catch_warnings(record=True) as found:
            warnings.simplefilter("always", RuntimeWarning)
            results.append(fitted(lambda: (Changing(), "mse", "sgd"), capture, [], callbacks=[Batch()]))
        assert [("the callback Batch runs between batches" in str(w.message)) for w in found] == [True] * (capture is None)
    assert results[0][0] == results[1][0]
    steps: list[TrainStep] = []
    fitted(lambda: (dense(), "mse", "sgd"), None, steps, callbacks=[Batch()])  # fastnn's layers depend on nothing of that
    assert steps[0].recorded is not None


def test_one_line_for_each_compile() -> None:
    model = Unsafe(_count)
    for capture, lines in ((None, 1), (False, 0), (True, 1)):
        model.compile("sgd", "mse", capture=capture)
        with warnings.catch_warnings(record=True) as found:
            warnings.simplefilter("always", RuntimeWarning)
            for _ in range(2):
                model.fit(X, Y, batch_size=5, epochs=2, verbose=0)
        assert len(found) == lines


def test_single_batches_and_short_epochs_are_run_by_python() -> None:
    """Python may change anything between calls of train_on_batch; and watching costs more than few replays save."""
    model = Unsafe(_count)
    model.compile("sgd", "mse")
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        for _ in range(5):
            model.train_on_batch(X, Y)
        model.fit(X, Y, batch_size=16, epochs=1, verbose=0)
    assert model.count == 5 + 3
    net = Net()
    net.compile("sgd", "mse", capture=True)
    for _ in range(3):
        net.train_on_batch(X, Y)
    assert next(iter(net._compiled.batch_steps.values())).recorded is not None


def test_capture_is_none_or_a_flag_and_is_saved(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="compile: capture is 'yes', wanted None, True or False"):
        Net().compile("sgd", "mse", capture="yes")  # type: ignore[arg-type]
    for capture in (None, True, False):
        model = dense()
        model.compile("sgd", "mse", capture=capture)
        model.save(tmp_path / "m")
        assert fastnn.load(tmp_path / "m")._compiled.capture is capture
