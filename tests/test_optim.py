"""Optimizers: their rules against PyTorch, optax and Keras, groups, schedules, averages, accumulation, and state in and out."""

import copy
import pickle
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import fastnn
import fastnn.nn as nn
from fastnn import optim
from fastnn.backends import current, get_backend, get_isa, isas, recording, use_isa
from fastnn.optim import group as group_py
from fastnn.plan import Recorder

rng = np.random.default_rng(0)
SHAPES = {"matrix": (5, 7), "vector": (19,), "one": (1,)}
START = {name: rng.standard_normal(shape) for name, shape in SHAPES.items()}
NOISE = [{name: rng.standard_normal(shape) for name, shape in SHAPES.items()} for _ in range(50)]

# Settings that both libraries understand, by the class that both of them have.
LIKE_TORCH: dict[str, tuple[str, dict[str, Any]]] = {
    "sgd": ("SGD", {"lr": 0.1}),
    "sgd l2": ("SGD", {"lr": 0.1, "weight_decay": 0.1}),
    "momentum": ("SGD", {"lr": 0.05, "momentum": 0.9, "dampening": 0.3, "weight_decay": 0.1}),
    "nesterov": ("SGD", {"lr": 0.05, "momentum": 0.9, "nesterov": True}),
    "adam": ("Adam", {"lr": 0.02}),
    "adam l2": ("Adam", {"lr": 0.02, "betas": (0.8, 0.95), "weight_decay": 0.1}),
    "amsgrad": ("Adam", {"lr": 0.02, "betas": (0.8, 0.9), "amsgrad": True, "weight_decay": 0.1}),
    "adamw": ("AdamW", {"lr": 0.02, "weight_decay": 0.3}),
    "adamw amsgrad": ("AdamW", {"lr": 0.02, "amsgrad": True, "betas": (0.8, 0.9)}),
    "rmsprop": ("RMSprop", {}),
    "rmsprop all": ("RMSprop", {"centered": True, "momentum": 0.7, "weight_decay": 0.1, "alpha": 0.9}),
    "adagrad": ("Adagrad", {"lr": 0.1}),
    "adagrad all": ("Adagrad", {"lr": 0.1, "lr_decay": 0.1, "weight_decay": 0.1, "initial_accumulator_value": 0.2}),
    "adadelta": ("Adadelta", {}),
    "adadelta l2": ("Adadelta", {"lr": 0.5, "rho": 0.8, "weight_decay": 0.1}),
    "adamax": ("Adamax", {"lr": 0.02}),
    "adamax l2": ("Adamax", {"lr": 0.02, "betas": (0.8, 0.9), "weight_decay": 0.1}),
    "nadam": ("NAdam", {"lr": 0.02}),
    "nadam l2": ("NAdam", {"lr": 0.02, "momentum_decay": 0.1, "weight_decay": 0.1}),
    "nadam decoupled": ("NAdam", {"lr": 0.02, "weight_decay": 0.1, "decoupled_weight_decay": True}),
    "radam": ("RAdam", {"lr": 0.02, "betas": (0.9, 0.99)}),
    "radam l2": ("RAdam", {"lr": 0.02, "weight_decay": 0.1}),
    "radam decoupled": ("RAdam", {"lr": 0.02, "weight_decay": 0.1, "decoupled_weight_decay": True}),
}

# One of each, with all that it has of its own.
EACH: dict[str, Callable[..., optim.Optimizer]] = {
    "SGD": lambda p, **a: optim.SGD(p, lr=0.05, momentum=0.9, nesterov=True, **a),
    "Adam": lambda p, **a: optim.Adam(p, lr=0.01, weight_decay=0.01, **a),
    "AMSGrad": lambda p, **a: optim.Adam(p, lr=0.01, amsgrad=True, **a),
    "AdamW": lambda p, **a: optim.AdamW(p, lr=0.01, **a),
    "RMSprop": lambda p, **a: optim.RMSprop(p, lr=0.01, centered=True, momentum=0.5, **a),
    "Adagrad": lambda p, **a: optim.Adagrad(p, lr=0.05, **a),
    "Adadelta": lambda p, **a: optim.Adadelta(p, **a),
    "Adamax": lambda p, **a: optim.Adamax(p, lr=0.01, **a),
    "NAdam": lambda p, **a: optim.NAdam(p, lr=0.01, **a),
    "RAdam": lambda p, **a: optim.RAdam(p, lr=0.01, betas=(0.9, 0.9), **a),
    "Lion": lambda p, **a: optim.Lion(p, lr=1e-3, weight_decay=0.1, **a),
    "Muon": lambda p, **a: optim.Muon(p, lr=0.02, **a),
    "AdamWScheduleFree": lambda p, **a: optim.AdamWScheduleFree(p, lr=0.02, weight_decay=0.01, warmup_steps=3, **a),
}


@pytest.fixture(params=["float32", "float64"])
def dtype(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture(params=[name for name, lacking in isas().items() if not lacking] or ["none"])
def isa(request: pytest.FixtureRequest) -> Iterator[str]:
    before = get_isa()
    if get_backend() == "cpp":
        use_isa(request.param)
    yield request.param
    if get_backend() == "cpp":
        use_isa(before)


def parameters(dtype: str = "float64", names: Any = SHAPES) -> list[nn.Parameter]:
    return [nn.Parameter(START[name].astype(dtype)) for name in names]


def gradient(w: Any, noise: np.ndarray) -> np.ndarray:
    """That of a quadratic bowl, and noise."""
    return 0.5 * np.asarray(w) + noise.astype(w.dtype)


def descend(optimizer: Any, params: list[nn.Parameter], steps: int = 50, first: int = 0, names: Any = SHAPES) -> list[np.ndarray]:
    for noise in NOISE[first : first + steps]:
        for p, name in zip(params, names, strict=True):
            p.grad = gradient(p.numpy(), noise[name])
        optimizer.step()
    return [p.numpy().copy() for p in params]


def descend_torch(make: Callable[[Any], Any], dtype: str, names: Any = SHAPES) -> list[np.ndarray]:
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    params = [torch.nn.Parameter(torch.tensor(START[name].astype(dtype))) for name in names]
    optimizer = make(params)
    for noise in NOISE:
        for p, name in zip(params, names, strict=True):
            p.grad = torch.tensor(gradient(p.detach().numpy(), noise[name]))
        optimizer.step()
    return [p.detach().numpy() for p in params]


def close(ours: list[np.ndarray], theirs: list[np.ndarray], dtype: str = "float64") -> None:
    tolerance = 1e-5 if dtype == "float32" else 1e-10
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance)


# ---- the rules ----


@pytest.mark.parametrize("name", LIKE_TORCH)
def test_fifty_steps_as_in_torch(name: str, dtype: str, isa: str) -> None:
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    cls, settings = LIKE_TORCH[name]
    params = parameters(dtype)
    ours = descend(getattr(optim, cls)(params, **settings), params)
    theirs = descend_torch(lambda p: getattr(torch.optim, cls)(p, **settings), dtype)
    if cls == "NAdam" and dtype == "float64":  # PyTorch keeps the product of its momenta in float32
        np.testing.assert_allclose(ours[0], theirs[0], rtol=1e-6)
    else:
        close(ours, theirs, dtype)


def test_defaults_are_those_of_torch() -> None:
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    for cls in ("SGD", "Adam", "AdamW", "RMSprop", "Adagrad", "Adadelta", "Adamax", "NAdam", "RAdam", "Muon", "LBFGS"):
        theirs = getattr(torch.optim, cls)([torch.nn.Parameter(torch.zeros(2, 2))]).defaults
        ours = getattr(optim, cls)().defaults
        shared = {name: theirs[name] for name in ours if name in theirs}
        assert {name: ours[name] for name in shared} == shared and {"lr"} <= shared.keys(), cls


def test_groups_as_in_torch(dtype: str) -> None:
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")

    def groups(p: list[Any]) -> list[dict[str, Any]]:
        return [{"params": p[:1], "lr": 0.1, "betas": (0.5, 0.9)}, {"params": p[1:], "weight_decay": 0.2, "amsgrad": True}]

    params = parameters(dtype)
    optimizer = optim.Adam(groups(params), lr=0.02)
    theirs = descend_torch(lambda p: torch.optim.Adam(groups(p), lr=0.02), dtype)
    close(descend(optimizer, params), theirs, dtype)
    assert [len(g["params"]) for g in optimizer.param_groups] == [1, 2] and len(optimizer.segments) == 2


@pytest.mark.parametrize("adjust", [None, "match_rms_adamw"])
@pytest.mark.parametrize("nesterov", [True, False])
def test_muon_as_in_torch(adjust: str | None, nesterov: bool, monkeypatch: pytest.MonkeyPatch, isa: str) -> None:
    torch = pytest.importorskip("torch", minversion="2.9", reason="PyTorch is not installed")
    monkeypatch.setattr(torch.Tensor, "bfloat16", torch.Tensor.clone)  # its iteration in the dtype that it was given
    settings: dict[str, Any] = {"lr": 0.05, "weight_decay": 0.1, "nesterov": nesterov, "adjust_lr_fn": adjust}

    class Transposed(torch.optim.Muon):  # weights are (out, in) there
        def step(self) -> None:
            for g in self.param_groups:
                for p in g["params"]:
                    p.data, p.grad.data = p.data.T.contiguous(), p.grad.data.T.contiguous()
            super().step()
            for g in self.param_groups:
                for p in g["params"]:
                    p.data, p.grad.data = p.data.T.contiguous(), p.grad.data.T.contiguous()

    params = parameters()
    ours = descend(optim.Muon(params, adamw_lr=0.02, adamw_weight_decay=0.2, **settings), params)
    close(ours[:1], descend_torch(lambda p: Transposed(p, **settings), "float64", ["matrix"]))
    rest = ["vector", "one"]
    close(ours[1:], descend_torch(lambda p: torch.optim.AdamW(p, lr=0.02, weight_decay=0.2), "float64", rest))


def test_muon_takes_tall_and_wide_matrices_alike() -> None:
    a = START["matrix"]
    steps = []
    for w in (a, a.T.copy()):
        p = nn.Parameter(w.copy())
        optimizer = optim.Muon([p], lr=0.1, adjust_lr_fn="match_rms_adamw")
        p.grad = w * 2
        optimizer.step()
        steps.append(p.numpy())
    np.testing.assert_allclose(steps[0], steps[1].T, rtol=1e-12)
    assert np.linalg.svd(a * (1 - 0.01) - steps[0])[1].max() < 0.1 * 0.2 * 7**0.5 * 1.3


def test_lion_and_schedule_free_as_in_optax(isa: str) -> None:
    optax = pytest.importorskip("optax", reason="optax is not installed")
    jax = pytest.importorskip("jax", reason="JAX is not installed")
    jax.config.update("jax_enable_x64", True)
    free = optax.contrib.schedule_free_adamw(0.02, weight_decay=0.1, b1=0.8, b2=0.9)
    for make, theirs in (
        (lambda p: optim.Lion(p, lr=0.01, betas=(0.8, 0.9), weight_decay=0.1), optax.lion(0.01, b1=0.8, b2=0.9, weight_decay=0.1)),
        (lambda p: optim.AdamWScheduleFree(p, lr=0.02, weight_decay=0.1, betas=(0.8, 0.9)), free),
    ):
        params = parameters()
        optimizer = make(params)
        ours = descend(optimizer, params)
        values = dict(START)
        state = theirs.init(values)
        update = jax.jit(theirs.update)
        for noise in NOISE:
            updates, state = update({n: gradient(values[n], noise[n]) for n in SHAPES}, state, values)
            values = {n: np.asarray(v) for n, v in optax.apply_updates(values, updates).items()}
        close(ours, [values[n] for n in SHAPES])
        if theirs is free:
            optimizer.eval()
            averages = optax.contrib.schedule_free_eval_params(state, values)
            close([p.numpy() for p in params], [np.asarray(averages[n]) for n in SHAPES])


def test_schedule_free_by_hand() -> None:
    """The sequences x, y and z of the paper, with a warm-up and weights that follow it."""
    beta1, beta2, warmup, r = 0.9, 0.99, 4, 0.5
    params = parameters(names=["vector"])
    optimizer = optim.AdamWScheduleFree(params, lr=0.1, betas=(beta1, beta2), warmup_steps=warmup, r=r, weight_decay=0.1)
    descend(optimizer, params, names=["vector"])
    x = z = START["vector"]
    v, total, top = np.zeros_like(x), 0.0, 0.0
    for t, noise in enumerate(NOISE, 1):
        y = (1 - beta1) * z + beta1 * x
        g = gradient(y, noise["vector"])
        v = beta2 * v + (1 - beta2) * g * g
        rate = 0.1 * min(1, t / warmup)
        z = z - rate * (g / (np.sqrt(v / (1 - beta2**t)) + 1e-8) + 0.1 * y)
        top = max(top, rate)
        total += t**r * top**2
        x = x + t**r * top**2 / total * (z - x)
    with optimizer.averaged():
        close([params[0].numpy()], [x])
    close([params[0].numpy()], [(1 - beta1) * z + beta1 * x])


KERAS = {
    "sgd": ("SGD", {"momentum": 0.9, "nesterov": True}),
    "adam": ("Adam", {"amsgrad": True}),
    "rmsprop": ("RMSprop", {"rho": 0.8}),
    "rmsprop centered": ("RMSprop", {"centered": True, "momentum": 0.5}),
    "adagrad": ("Adagrad", {"learning_rate": 0.05}),
    "adadelta": ("Adadelta", {"learning_rate": 1.0}),
    "adamax": ("Adamax", {}),
    "nadam": ("Nadam", {"beta_1": 0.8}),
    "lion": ("Lion", {}),
    "adamw": ("AdamW", {"epsilon": 1e-6}),
}


def keras_training(settings: dict[str, Any], name: str, epochs: int = 4) -> tuple[list[np.ndarray], list[np.ndarray]]:
    import os
    from importlib.util import find_spec

    if not find_spec("keras") or not (find_spec("torch") or find_spec("jax")):
        pytest.skip("Keras with PyTorch or JAX is not installed")
    os.environ.setdefault("KERAS_BACKEND", "torch" if find_spec("torch") else "jax")
    import keras

    x, y = rng.standard_normal((12, 5)).astype(np.float32), rng.standard_normal((12, 1)).astype(np.float32)
    ours = fastnn.Sequential([fastnn.Dense(4, activation="tanh", input_shape=(5,)), fastnn.Dense(1)])
    layers = [keras.layers.Input((5,)), keras.layers.Dense(4, activation="tanh"), keras.layers.Dense(1)]
    theirs = keras.Sequential(layers)
    theirs.set_weights(ours.get_weights())
    cls = KERAS[name][0]
    ours.compile(optim.get(cls, **settings), "mse")
    theirs.compile(getattr(keras.optimizers, cls)(**settings), "mse")
    for model in (ours, theirs):
        model.fit(x, y, batch_size=4, epochs=epochs, shuffle=False, verbose=0)
    return ours.get_weights(), theirs.get_weights()


@pytest.mark.parametrize("weight_decay", [None, 0.1])
@pytest.mark.parametrize("name", KERAS)
def test_names_and_defaults_of_keras(name: str, weight_decay: float | None) -> None:
    decay = {} if weight_decay is None else {"weight_decay": weight_decay}
    ours, theirs = keras_training({**KERAS[name][1], **decay}, name)
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(a, b, rtol=2e-4, atol=2e-5)


@pytest.mark.parametrize(
    "settings",
    [
        {"use_ema": True, "ema_momentum": 0.7},
        {"use_ema": True, "ema_momentum": 0.7, "ema_overwrite_frequency": 5},
        {"gradient_accumulation_steps": 3},
        {"gradient_accumulation_steps": 2, "global_clipnorm": 0.1},
        {"clipnorm": 0.05},
        {"clipvalue": 0.01},
    ],
    ids=str,
)
def test_averages_accumulation_and_clipping_as_in_keras(settings: dict[str, Any]) -> None:
    ours, theirs = keras_training({"learning_rate": 0.05, **settings}, "sgd")
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(a, b, rtol=2e-4, atol=2e-5)


# ---- recorded steps ----

X = rng.standard_normal((14, 8, 5)).astype(np.float32)
Y = rng.integers(0, 3, (14, 8))
FEATURES: dict[str, dict[str, Any]] = {
    "plain": {},
    "schedule": {"schedule": True},
    "accumulation": {"gradient_accumulation_steps": 3},
    "average": {"use_ema": True, "ema_momentum": 0.5, "ema_overwrite_frequency": 4},
    "all": {
        **{"schedule": True, "gradient_accumulation_steps": 2, "global_clipnorm": 0.3},
        **{"use_ema": True, "ema_momentum": 0.5, "ema_overwrite_frequency": 3},
    },
}


def trained(name: str, feature: str, wrap: Callable[..., Any]) -> tuple[list[np.ndarray], Any]:
    fastnn.seed(1)
    model = fastnn.Sequential([nn.Linear(5, 7), nn.Tanh(), nn.Linear(7, 3)])
    settings = dict(FEATURES[feature])
    scheduled = settings.pop("schedule", False)
    if name == "AdamWScheduleFree":
        settings = {key: value for key, value in settings.items() if "ema" not in key}
    optimizer = EACH[name](model.parameters(), **settings)
    if scheduled:
        optimizer.lr = lambda step: 0.02 / (1 + step)

    def train_step(x: Any, y: Any) -> Any:
        optimizer.zero_grad()
        loss = nn.CrossEntropyLoss()(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    step = wrap(train_step)
    for x, y in zip(X, Y, strict=True):
        step(x, y)
    return model.get_weights(), step


@pytest.mark.parametrize("name", EACH)
@pytest.mark.parametrize("feature", FEATURES)
def test_replay_equals_eager_to_the_bit(name: str, feature: str) -> None:
    eager, _ = trained(name, feature, lambda f: f)
    replayed, step = trained(name, feature, fastnn.capture)
    assert step.captured.eager == "" and step.captured._steps
    for a, b in zip(eager, replayed, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.skipif(get_isa() == "none", reason="no compiled kernels")
@pytest.mark.parametrize("name", ["Adam", "Muon", "NAdam"])
def test_the_same_bits_for_any_number_of_threads(name: str) -> None:
    from fastnn import _core

    threads, share, patience = fastnn.get_num_threads(), _core.share(), _core.patience()
    try:
        _core.set_share(1)  # small calls on all workers too
        _core.set_patience(1e8)
        results = []
        for n in (1, 2, 3, 4):
            fastnn.set_num_threads(n)
            results.append(trained(name, "all", fastnn.capture)[0])
    finally:
        fastnn.set_num_threads(threads)
        _core.set_share(share)
        _core.set_patience(patience)
    for other in results[1:]:
        for a, b in zip(results[0], other, strict=True):
            np.testing.assert_array_equal(a, b)


def test_plain_steps_are_two_calls() -> None:
    for make, kernel in ((optim.SGD, "sgd_step"), (optim.Adam, "adam_step"), (optim.AdamW, "adam_step")):
        params = parameters()
        optimizer = make(params, lr=0.1)
        for p in params:
            p.grad = p.numpy()
        recorder = Recorder(current())
        with recording(recorder):
            optimizer.step()
        assert [name for name, _ in recorder.calls] == ["advance", kernel] and not recorder.flags and not recorder.prepare


# ---- schedules ----


def test_any_hyper_parameter_follows_a_schedule(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(group_py, "RING", 8)
    seen = []

    def rate(step: int) -> float:
        seen.append(step)
        return 0.1 / (1 + step)

    schedules: dict[str, Any] = {"lr": rate, "weight_decay": lambda step: 0.01 * step, "momentum": lambda step: 0.9}
    x, y = X.reshape(-1, 5), Y.reshape(-1)
    weights = []
    for fit in (True, False):
        fastnn.seed(0)
        model = fastnn.Sequential([nn.Linear(5, 4), nn.Linear(4, 3)])
        given = schedules if fit else {"lr": 0.0, "momentum": 0.9}
        model.compile(optim.SGD(**given), nn.CrossEntropyLoss())
        if fit:
            model.fit(x, y, batch_size=4, epochs=3, shuffle=False, verbose=0)
            assert model.optimizer.lr == pytest.approx(rate(83)) and sorted(set(seen)) == list(range(84))
        else:
            for step in range(84):
                for name in ("lr", "weight_decay"):
                    model.optimizer.param_groups[0][name] = schedules[name](step)
                i = step % 28 * 4
                model.train_on_batch(x[i : i + 4], y[i : i + 4])
        weights.append(model.get_weights())
    for a, b in zip(*weights, strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_schedule_may_come_and_go() -> None:
    [p] = params = parameters(names=["one"])
    optimizer = optim.SGD(params, lr=1.0)
    for lr in (lambda step: 0.5 + step, 0.25, lambda step: 2.0):
        optimizer.lr = lr
        before = p.item()
        p.grad = [1.0]
        optimizer.step()
        wanted = lr(0) if callable(lr) else lr
        assert before - p.item() == pytest.approx(wanted) and optimizer.lr == wanted


def test_a_schedule_that_gives_nonsense_is_an_error() -> None:
    params = parameters(names=["one"])
    optimizer = optim.SGD(params, lr=lambda step: 1.0 - step)
    with pytest.raises(ValueError, match="lr at step 2 is -1.0"):
        descend(optimizer, params, 3, names=["one"])
    with pytest.raises(ValueError, match="lr at step 0 is nan"):
        optim.SGD(lr=lambda step: float("nan"))


# ---- groups ----


def test_settings_of_groups_reach_recorded_steps() -> None:
    params = parameters()
    optimizer = optim.SGD([{"params": params[:1], "lr": 0.1}, {"params": params[1:], "lr": 0.01, "name": "rest"}])
    step = fastnn.capture(lambda: (optimizer.step(), None)[1])
    for lr in (0.1, 0.1, 0.1, 0.5, 0.0):
        optimizer.param_groups[1]["lr"] = lr
        before = [p.numpy().copy() for p in params]
        for p in params:
            p.grad = np.ones(p.shape)
        step()
        for p, old, rate in zip(params, before, (0.1, lr, lr), strict=True):
            np.testing.assert_allclose(old - p.numpy(), rate, atol=1e-12)
    optimizer.lr = 0.2  # twice the first group's: the second follows
    optimizer.param_groups[1]["lr"] = 0.3
    optimizer.lr = 0.4
    assert [g["lr"] for g in optimizer.param_groups] == pytest.approx([0.4, 0.6])
    assert optimizer.param_groups[1]["name"] == "rest" and dict(optimizer.param_groups[0])["momentum"] == 0


def test_groups_in_compile_and_groups_that_come_later() -> None:
    model = fastnn.Sequential([nn.Linear(5, 4), nn.Linear(4, 3)])
    slow, fast = ([p for p in layer.parameters()] for layer in model.layers)
    optimizer = optim.SGD([{"params": slow, "lr": 0.0}], lr=0.1)
    model.compile(optimizer, "sparse_categorical_crossentropy")
    before = model.get_weights()
    model.fit(X[0], Y[0], epochs=3, verbose=0)
    np.testing.assert_array_equal(before[2], model.get_weights()[2])
    optimizer.add_param_group({"params": fast})
    model.fit(X[0], Y[0], epochs=3, verbose=0)
    np.testing.assert_array_equal(before[0], model.get_weights()[0])
    assert (before[2] != model.get_weights()[2]).any()


# ---- averages and accumulation ----


def test_averages_in_fit_and_by_hand() -> None:
    model = fastnn.Sequential([nn.Linear(5, 3)])
    model.compile(optim.SGD(lr=0.1, use_ema=True, ema_momentum=0.5), "mse")
    y = np.ones((8, 3), np.float32)
    during = []

    class Look(fastnn.callbacks.Callback):
        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            with self.model.optimizer.averaged():
                average = self.model.get_weights()[0]
            during.append((self.model.get_weights()[0], average))

    model.fit(X[0], y, epochs=4, batch_size=8, verbose=0, callbacks=[Look()])
    average = during[0][0]
    for weights, told in during:
        average = 0.5 * average + 0.5 * weights
        np.testing.assert_allclose(told, average, rtol=1e-5)
    np.testing.assert_array_equal(model.get_weights()[0], during[-1][1])


def test_schedule_free_weights_are_averages_outside_of_steps() -> None:
    for batches in (False, True):
        model = fastnn.Sequential([nn.Linear(5, 3)])
        optimizer = optim.AdamWScheduleFree(lr=0.1)
        model.compile(optimizer, nn.CrossEntropyLoss())
        seen = []

        class Look(fastnn.callbacks.Callback):
            def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
                seen.append(optimizer._training)

        class EachBatch(Look):
            def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
                seen.append(optimizer._training)

        model.fit(X[0], Y[0], epochs=3, batch_size=4, verbose=0, callbacks=[EachBatch() if batches else Look()])
        model.train_on_batch(X[0], Y[0])
        assert not any(seen) and not optimizer._training
        x = model.get_weights()[0]
        with pytest.raises(RuntimeError, match="call train"):
            optimizer.step()
        optimizer.train()
        y = model.get_weights()[0]
        optimizer.eval()
        assert (x != y).any()
        np.testing.assert_allclose(x, model.get_weights()[0], atol=1e-6)


def test_accumulation_takes_the_mean() -> None:
    [p] = params = parameters(names=["vector"])
    optimizer = optim.SGD(params, lr=1.0, gradient_accumulation_steps=3)
    expected = p.numpy().copy()
    for i in range(7):
        p.grad = NOISE[i]["vector"]
        optimizer.step()
        if i % 3 == 2:
            expected = expected - sum(NOISE[j]["vector"] for j in range(i - 2, i + 1)) / 3
        np.testing.assert_allclose(p.numpy(), expected, rtol=1e-12)
    assert optimizer.iterations == 2


# ---- state ----


@pytest.mark.parametrize("way", ["state_dict", "pickle", "deepcopy"])
@pytest.mark.parametrize("name", EACH)
def test_training_goes_on_exactly(name: str, way: str) -> None:
    feature = {} if name == "AdamWScheduleFree" else {"use_ema": True, "ema_overwrite_frequency": 2}
    params = parameters("float32")
    optimizer = EACH[name](params, gradient_accumulation_steps=2, **feature)
    optimizer.lr = 0.03
    descend(optimizer, params, 7)
    if way == "state_dict":
        other = [nn.Parameter(p.numpy().copy()) for p in params]
        twin = EACH[name](other, gradient_accumulation_steps=2, **feature)
        twin.load_state_dict(pickle.loads(pickle.dumps(optimizer.state_dict())))
    elif way == "pickle":
        twin, other = pickle.loads(pickle.dumps((optimizer, params)))
    else:
        twin, other = copy.deepcopy((optimizer, params))
    a, b = (descend(o, p, 12, 7) for o, p in ((optimizer, params), (twin, other)))
    for v, w in zip(a, b, strict=True):
        np.testing.assert_array_equal(v, w)
    assert twin.iterations == optimizer.iterations and twin.lr == optimizer.lr


def test_copies_keep_groups_and_schedules() -> None:
    params = parameters()
    optimizer = optim.Adam([{"params": params[:1], "lr": _halved, "note": 1}, {"params": params[1:], "betas": (0.5, _halved)}])
    descend(optimizer, params, 3)
    twin, other = pickle.loads(pickle.dumps((optimizer, params)))
    assert twin.param_groups[0]["note"] == 1 and twin.param_groups[1].scheduled("beta2") is _halved
    for v, w in zip(descend(optimizer, params, 5, 3), descend(twin, other, 5, 3), strict=True):
        np.testing.assert_array_equal(v, w)
    state = optimizer.state_dict()
    assert state["param_groups"][1]["params"] == [1, 2] and state["counters"]["updates"] == 8


def _halved(step: int) -> float:
    return 0.5 ** (step + 1)


def test_a_recorded_step_follows_a_loaded_state() -> None:
    model = fastnn.Sequential([nn.Linear(5, 3)])
    model.compile(optim.Adam(lr=0.1), nn.CrossEntropyLoss())
    for i in range(4):
        model.train_on_batch(X[i], Y[i])
    state, weights = model.optimizer.state_dict(), model.get_weights()
    ends = []
    for _ in range(2):
        model.set_weights(weights)
        model.optimizer.load_state_dict(state)
        for i in range(4, 8):
            model.train_on_batch(X[i], Y[i])
        ends.append(model.get_weights()[0])
    np.testing.assert_array_equal(*ends)


@pytest.mark.parametrize("name", [*EACH, "LBFGS"])
def test_saved_models_keep_the_optimizer(name: str, tmp_path: Any) -> None:
    model = fastnn.Sequential([fastnn.Dense(3, input_shape=(5,))])
    made = optim.LBFGS(max_iter=3) if name == "LBFGS" else EACH[name](None, clipnorm=1.0, gradient_accumulation_steps=2)
    model.compile(made, "mse", ["mae"])
    model.fit(X[0], np.ones((8, 3), np.float32), verbose=0)
    model.save(tmp_path / "m")
    twin = fastnn.load(tmp_path / "m")
    assert type(twin.optimizer) is type(made) and twin.optimizer.get_config() == made.get_config()


# ---- L-BFGS ----


def test_lbfgs_as_in_torch() -> None:
    """Without a line search the iterations are the same; with one, the minimum is."""
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    a = rng.standard_normal((30, 6))
    b = np.tanh(a @ rng.standard_normal(6)) + 0.1

    def run(library: Any, parameter: Any, tensor: Any, make: Any, steps: int) -> tuple[np.ndarray, float]:
        w = parameter(np.zeros((6, 1)))
        x, y = tensor(a), tensor(b[:, None])
        optimizer = make([w])

        def closure() -> Any:
            optimizer.zero_grad()
            loss = ((library.tanh(x @ w) - y) ** 2).mean()
            loss.backward()
            return loss

        for _ in range(steps):
            first = optimizer.step(closure)
        return np.asarray(w.detach().numpy()), float(first)

    ours = (fastnn, nn.Parameter, fastnn.tensor)
    theirs = (torch, lambda v: torch.nn.Parameter(torch.tensor(v)), torch.tensor)
    for settings, steps in (
        ({"lr": 0.5, "max_iter": 5, "history_size": 4}, 10),
        ({"line_search_fn": "strong_wolfe", "max_iter": 40, "tolerance_change": 1e-12}, 3),
    ):
        mine, loss = run(*ours, lambda p, s=settings: optim.LBFGS(p, **s), steps)
        other, wanted = run(*theirs, lambda p, s=settings: torch.optim.LBFGS(p, **s), steps)
        np.testing.assert_allclose(mine, other, rtol=1e-5, atol=1e-6)
        assert loss == pytest.approx(wanted, rel=1e-6)


def test_lbfgs_on_rosenbrocks_valley_and_its_state() -> None:
    def start() -> tuple[Any, Any, Any]:
        p = nn.Parameter(np.array([-1.2, 1.0]))
        optimizer = optim.LBFGS([p], max_iter=10, tolerance_change=1e-14, line_search_fn="strong_wolfe")

        def closure() -> Any:
            optimizer.zero_grad()
            loss = (100 * (p[1:] - p[:1] ** 2) ** 2 + (1 - p[:1]) ** 2).sum()
            loss.backward()
            return loss

        return p, optimizer, closure

    p, optimizer, closure = start()
    optimizer.step(closure)
    q, twin, other = start()
    with fastnn.no_grad():
        q.copy_(p.numpy())
    twin.load_state_dict(optimizer.state_dict())
    for o, c in ((optimizer, closure), (twin, other)):
        for _ in range(5):
            o.step(c)
    np.testing.assert_allclose(p.numpy(), 1.0, atol=1e-6)
    np.testing.assert_array_equal(p.numpy(), q.numpy())
    assert optimizer.iterations == 6


def test_lbfgs_in_fit_takes_all_data_at_once() -> None:
    model = fastnn.Sequential([fastnn.Dense(6, activation="tanh", input_shape=(5,)), fastnn.Dense(1)])
    model.compile("lbfgs", "mse", ["mae"])
    x = X.reshape(-1, 5)
    y = (x[:, :1] * x[:, 1:2]) + x[:, 2:3]
    history = model.fit(x, y, epochs=15, verbose=0).history
    assert model.optimizer.iterations == 15 and history["loss"][-1] < 0.05 * history["loss"][0]
    assert model.evaluate(x, y)[0] <= history["loss"][-1]


# ---- training ----


@pytest.mark.parametrize("name", [*EACH, "LBFGS"])
def test_digits(name: str) -> None:
    (x, y), _ = fastnn.datasets.digits(as_float=True)
    fastnn.seed(0)
    model = fastnn.Sequential([fastnn.Dense(15, activation="relu", input_shape=(400,)), fastnn.Dense(10, activation="softmax")])
    optimizer = optim.get("lbfgs") if name == "LBFGS" else EACH[name](None)
    model.compile(optimizer, "sparse_categorical_crossentropy", ["accuracy"])
    before = model.evaluate(x[::5], y[::5])
    model.fit(x[::5], y[::5], epochs=3, verbose=0)
    after = model.evaluate(x[::5], y[::5])
    assert after[0] < 0.9 * before[0] and after[1] > before[1]


@pytest.mark.parametrize("name", EACH)
def test_without_gradients_nothing_changes(name: str) -> None:
    for settings in ({}, {"gradient_accumulation_steps": 1, "clipvalue": 0.1}):
        params = parameters()
        optimizer = EACH[name](params, **settings)
        params[1].grad = np.ones(19)
        optimizer.step()
        assert (params[1].numpy() != START["vector"]).all()
        for p, start in ((params[0], "matrix"), (params[2], "one")):
            np.testing.assert_array_equal(p.numpy(), START[start])
        optimizer.zero_grad()
        after = params[1].numpy().copy()
        optimizer.step()
        np.testing.assert_array_equal(params[1].numpy(), after)


# ---- clipping in hand-written loops ----


@pytest.mark.parametrize("norm_type", [2.0, 1.0, 3.0, np.inf])
@pytest.mark.parametrize("max_norm", [0.5, 100.0])
def test_clip_grad_norm_as_in_torch(norm_type: float, max_norm: float) -> None:
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    ours = parameters()
    theirs = [torch.nn.Parameter(torch.tensor(START[name])) for name in SHAPES]
    for p, q, name in zip(ours[:2], theirs, SHAPES, strict=False):  # the third has no gradient
        p.grad, q.grad = NOISE[0][name], torch.tensor(NOISE[0][name])
    norms = nn.utils.clip_grad_norm_(ours, max_norm, norm_type), torch.nn.utils.clip_grad_norm_(theirs, max_norm, norm_type)
    assert norms[0].item() == pytest.approx(norms[1].item(), rel=1e-12) and norms[0].shape == ()
    for p, q in zip(ours[:2], theirs, strict=False):
        np.testing.assert_allclose(p.grad.numpy(), q.grad.numpy(), rtol=1e-12)
    nn.utils.clip_grad_value_(ours, 0.1)
    torch.nn.utils.clip_grad_value_(theirs, 0.1)
    np.testing.assert_allclose(ours[0].grad.numpy(), theirs[0].grad.numpy(), rtol=1e-12)
    assert ours[2].grad is None and nn.utils.clip_grad_norm_(ours[2], 1.0).item() == 0


def test_clip_grad_norm_in_a_recorded_step() -> None:
    [p] = params = parameters(names=["vector"])
    step = fastnn.capture(lambda g: ((p * g).sum().backward(), nn.utils.clip_grad_norm_(params, 1.0), p.zero_grad())[1])
    for noise in NOISE[:5]:
        assert step(noise["vector"]).item() == pytest.approx(np.linalg.norm(noise["vector"]))
    assert step.captured._steps
    p.grad = np.full(19, np.nan)
    with pytest.raises(RuntimeError, match="not finite"):
        nn.utils.clip_grad_norm_(params, 1.0, error_if_nonfinite=True)


# ---- errors ----

ONE = nn.Parameter(np.ones(3))
ERRORS: dict[str, tuple[Callable[[], Any], type[Exception], str]] = {
    "lr": (lambda: optim.RMSprop([ONE], lr=-1), ValueError, "RMSprop: lr is -1"),
    "lr of a group": (lambda: optim.SGD([{"params": [ONE], "lr": "x"}]), ValueError, "SGD: lr is 'x'"),
    "betas": (lambda: optim.NAdam(betas=(1.0, 0.9)), ValueError, "betas"),
    "three betas": (lambda: optim.Lion(betas=(0.1, 0.9, 0.9)), ValueError, "two numbers"),
    "rho": (lambda: optim.Adadelta(rho=1.0), ValueError, "rho is 1.0, wanted a number from 0 to below 1"),
    "alpha": (lambda: optim.RMSprop(alpha=1.5), ValueError, "alpha is 1.5"),
    "accumulator": (lambda: optim.Adagrad(initial_accumulator_value=-1), ValueError, "initial_accumulator_value is -1"),
    "unknown argument": (lambda: optim.Adam(learning=1), TypeError, "learning"),
    "empty list": (lambda: optim.Adamax([]), ValueError, "params is empty"),
    "empty group": (lambda: optim.Adam([{"params": []}]), ValueError, "params of a group is empty"),
    "no params": (lambda: optim.Adam([{"lr": 1.0}]), TypeError, "wanted a dict with params"),
    "mixed": (lambda: optim.Adam([{"params": [ONE]}, ONE]), TypeError, "wanted a dict with params"),
    "tensors": (lambda: optim.Adam([{"params": [fastnn.tensor([1.0])]}]), TypeError, "wanted parameters"),
    "twice in a group": (lambda: optim.Adam([{"params": [ONE, ONE]}]), ValueError, "given twice"),
    "in two groups": (lambda: optim.Adam([{"params": [ONE]}, {"params": ONE}]), ValueError, "given twice"),
    "late momentum": (
        lambda: optim.SGD([ONE]).param_groups[0].update(momentum=0.9),
        ValueError,
        "made without momentum_buffer",
    ),
    "options": (lambda: optim.Adam([ONE]).param_groups[0].update(amsgrad=True), ValueError, "amsgrad of a group is fixed"),
    "params of a group": (lambda: optim.Adam([ONE]).param_groups[0].update(params=[]), ValueError, "use add_param_group"),
    "nesterov": (lambda: optim.SGD(nesterov=True), ValueError, "nesterov needs momentum"),
    "accumulation": (lambda: optim.SGD(gradient_accumulation_steps=0), ValueError, "gradient_accumulation_steps is 0"),
    "ema": (lambda: optim.SGD(use_ema=True, ema_momentum=2), ValueError, "ema_momentum is 2"),
    "overwriting": (lambda: optim.SGD(ema_overwrite_frequency=2), ValueError, "needs use_ema"),
    "no averages": (lambda: optim.SGD([ONE]).averaged().__enter__(), ValueError, "keeps no averages"),
    "schedule-free": (lambda: optim.AdamWScheduleFree(betas=(0, 0.9)), ValueError, "above 0"),
    "schedule-free averages": (lambda: optim.AdamWScheduleFree(use_ema=True), ValueError, "averages of its own"),
    "muon": (lambda: optim.Muon([{"params": [ONE], "use_muon": True}]), ValueError, "no matrices"),
    "muon's adjustment": (lambda: optim.Muon(adjust_lr_fn="x"), ValueError, "adjust_lr_fn is 'x'"),
    "muon's steps": (lambda: optim.Muon(ns_steps=0), ValueError, "ns_steps is 0"),
    "muon's coefficients": (lambda: optim.Muon(ns_coefficients=(1, 2)), ValueError, "three numbers"),
    "closure": (lambda: optim.LBFGS([ONE]).step(), ValueError, "the closure is missing"),
    "line search": (lambda: optim.LBFGS(line_search_fn="armijo"), ValueError, "line_search_fn"),
    "iterations": (lambda: optim.LBFGS(max_iter=0), ValueError, "max_iter is 0"),
    "one group": (lambda: optim.LBFGS([{"params": [ONE]}, {"params": [nn.Parameter([1.0])]}]), ValueError, "one group"),
    "state": (lambda: optim.Adam([ONE]).load_state_dict({}), TypeError, "state and param_groups"),
    "other groups": (
        lambda: optim.Adam([ONE]).load_state_dict(optim.Adam(parameters()).state_dict()),
        ValueError,
        r"groups of \[3\] parameters came, wanted \[1\]",
    ),
    "other shapes": (
        lambda: optim.Adam([ONE]).load_state_dict(optim.Adam([nn.Parameter(np.ones(4))]).state_dict()),
        ValueError,
        r"exp_avg of parameter 0 has shape \(4,\), wanted \(3,\)",
    ),
    "other options": (
        lambda: optim.Adam([ONE]).load_state_dict(optim.Adam([ONE], amsgrad=True).state_dict()),
        ValueError,
        "amsgrad is True",
    ),
    "norm": (lambda: nn.utils.clip_grad_norm_([ONE], -1), ValueError, "max_norm is -1"),
    "norm type": (lambda: nn.utils.clip_grad_norm_([ONE], 1, 0), ValueError, "norm_type is 0"),
    "clipping of arrays": (lambda: nn.utils.clip_grad_value_([np.ones(2)], 1), TypeError, "ndarray"),
}


@pytest.mark.parametrize("name", ERRORS)
def test_errors(name: str) -> None:
    call, error, message = ERRORS[name]
    with pytest.raises(error, match=message):
        call()


def test_a_setting_that_is_refused_leaves_the_old_one() -> None:
    optimizer = optim.Adam([nn.Parameter([1.0])], betas=(0.8, 0.9))
    for value in ((0.5, 2.0), 0.5, (lambda step: 0.5, lambda step: 1.0)):
        with pytest.raises(ValueError, match="beta"):
            optimizer.param_groups[0]["betas"] = value
        assert optimizer.param_groups[0]["betas"] == (0.8, 0.9) and not optimizer.param_groups[0].schedules
