"""The rules of the optimizers, against PyTorch, optax and Keras."""

import functools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from optimizers import EACH, NOISE, SHAPES, START, descend, gradient, parameters

import fastnn
import fastnn.nn as nn
from fastnn import optim
from fastnn.backends import get_backend, get_isa, isas, use_isa

rng = np.random.default_rng(0)

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
    "adam maximize": ("Adam", {"lr": 0.02, "maximize": True, "weight_decay": 0.1}),
    "sgd maximize": ("SGD", {"lr": 1e-3, "maximize": True, "momentum": 0.5}),
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
def test_muon_as_in_torch(adjust: str | None, nesterov: bool, monkeypatch: pytest.MonkeyPatch, dtype: str, isa: str) -> None:
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

    params = parameters(dtype)
    ours = descend(optim.Muon(params, adamw_lr=0.02, adamw_weight_decay=0.2, **settings), params)
    close(ours[:1], descend_torch(lambda p: Transposed(p, **settings), dtype, ["matrix"]), dtype)
    rest = ["vector", "one"]
    close(ours[1:], descend_torch(lambda p: torch.optim.AdamW(p, lr=0.02, weight_decay=0.2), dtype, rest), dtype)


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


@functools.cache
def trained_by_optax(name: str, dtype: str) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """The weights after fifty steps, and those to be evaluated."""
    optax = pytest.importorskip("optax", reason="optax is not installed")
    jax = pytest.importorskip("jax", reason="JAX is not installed")
    before = jax.config.jax_enable_x64
    jax.config.update("jax_enable_x64", True)
    try:
        return _trained_by(optax, jax, name, dtype)
    finally:  # other tests of the process compute with JAX, too
        jax.config.update("jax_enable_x64", before)


def _trained_by(optax: Any, jax: Any, name: str, dtype: str) -> tuple[list[np.ndarray], list[np.ndarray]]:
    make = {"Lion": optax.lion, "AdamWScheduleFree": optax.contrib.schedule_free_adamw}[name]
    rule = make(0.02, b1=0.8, b2=0.9, weight_decay=0.1)
    values = {n: START[n].astype(dtype) for n in SHAPES}
    state, update = rule.init(values), jax.jit(rule.update)
    for noise in NOISE:
        updates, state = update({n: gradient(values[n], noise[n]) for n in SHAPES}, state, values)
        values = {n: np.asarray(v) for n, v in optax.apply_updates(values, updates).items()}
    averages = optax.contrib.schedule_free_eval_params(state, values) if name == "AdamWScheduleFree" else values
    return [values[n] for n in SHAPES], [np.asarray(averages[n]) for n in SHAPES]


@pytest.mark.parametrize("name", ["Lion", "AdamWScheduleFree"])
def test_fifty_steps_as_in_optax(name: str, dtype: str, isa: str) -> None:
    weights, averages = trained_by_optax(name, dtype)
    params = parameters(dtype)
    optimizer = getattr(optim, name)(params, lr=0.02, betas=(0.8, 0.9), weight_decay=0.1)
    close(descend(optimizer, params), weights, dtype)
    optimizer.eval()
    close([p.numpy() for p in params], averages, dtype)


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
    "muon": ("Muon", {"learning_rate": 0.01}),
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


def test_arguments_of_muon_as_in_keras() -> None:
    settings = {"adam_beta_1": 0.5, "adam_beta_2": 0.6, "adam_weight_decay": 0.2, "epsilon": 1e-6, "muon_a": 3.0, "muon_c": 2.0}
    ours, theirs = keras_training({"learning_rate": 0.01, **settings}, "muon")
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
