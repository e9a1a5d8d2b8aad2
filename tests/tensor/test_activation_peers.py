"""Activations mean what PyTorch's and Keras's of the same names do."""

import inspect
import os
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import numpy as np
import pytest

import fastnn
import fastnn.nn as nn

rng = np.random.default_rng(0)
X = np.random.default_rng(1).standard_normal((5, 8)) * 3
EDGES = np.array([[-1e4, -50.0, -1.25, -0.0], [1e-30, 0.75, 50.0, 1e4]])


def close(a: Any, b: Any, rtol: float = 1e-10, atol: float = 1e-12) -> None:
    a = a.numpy() if isinstance(a, fastnn.Tensor) else a
    b = b.detach().numpy() if hasattr(b, "detach") else b
    np.testing.assert_allclose(a, b, rtol=rtol, atol=atol)


@pytest.fixture(scope="module")
def torch() -> Any:
    return pytest.importorskip("torch", reason="PyTorch is not installed")


def both(torch: Any, f: Callable[..., Any], g: Callable[..., Any], *arrays: np.ndarray, rtol: float = 1e-10) -> None:
    """f on Tensors and g on torch's: equal values, and equal gradients of a random combination of them."""
    ours = [fastnn.tensor(a, requires_grad=True) for a in arrays]
    theirs = [torch.tensor(a, requires_grad=True) for a in arrays]
    y, z = f(*ours), g(*theirs)
    close(y, z)
    w = rng.standard_normal(y.shape)
    y.backward(fastnn.tensor(w))
    z.backward(torch.tensor(w))
    for a, b in zip(ours, theirs, strict=True):
        close(a.grad, b.grad, rtol)


CLASSES: dict[str, list[tuple[Any, ...]]] = {
    "ReLU": [()],
    "ReLU6": [()],
    "LeakyReLU": [(), (0.3,)],
    "ELU": [(), (0.7,), (-0.5,)],
    "SELU": [()],
    "CELU": [(), (0.5,)],
    "SiLU": [()],
    "Mish": [()],
    "GELU": [(), ("tanh",)],
    "Hardswish": [()],
    "Hardsigmoid": [()],
    "Sigmoid": [()],
    "LogSigmoid": [()],
    "Tanh": [()],
    "Hardtanh": [(), (-0.5, 2.0)],
    "Tanhshrink": [()],
    "Softshrink": [(), (0.2,)],
    "Hardshrink": [(), (0.2,)],
    "Softplus": [(), (2.0, 3.0)],
    "Softsign": [()],
    "Threshold": [(0.1, 20.0)],
    "Softmax": [(-1,), (0,)],
    "LogSoftmax": [(-1,), (0,)],
    "Softmin": [(-1,), (0,)],
    "GLU": [(), (1,)],
}
UNDEFINED_AT_THE_EDGES = {"GELU", "Softmax", "LogSoftmax", "Softmin", "GLU"}
"""Where PyTorch's derivative at +-1e4 is 0 times infinity, or the edges are no rows."""


@pytest.mark.parametrize(("name", "args"), [(name, args) for name, all_args in CLASSES.items() for args in all_args])
def test_classes_mean_what_pytorch_s_do(torch: Any, name: str, args: tuple[Any, ...]) -> None:
    ours, theirs = getattr(nn, name)(*args), getattr(torch.nn, name)(*args)
    rtol = 1e-7 if name == "Hardsigmoid" else 1e-10  # whose slope is float32's 1/6 in PyTorch, in float64 too
    both(torch, ours, theirs, X, rtol=rtol)
    if name not in UNDEFINED_AT_THE_EDGES:
        both(torch, ours, theirs, EDGES, rtol=rtol)


@pytest.mark.parametrize("name", [*CLASSES, "PReLU"])
def test_classes_have_pytorch_s_arguments(torch: Any, name: str) -> None:
    theirs = inspect.signature(getattr(torch.nn, name).__init__).parameters
    ours = inspect.signature(getattr(nn, name).__init__).parameters
    if name in ("Softmax", "LogSoftmax", "Softmin", "GLU"):
        assert getattr(nn, name)(dim=0).axis == 0
        return
    left_out = {"self", "args", "kwargs", "device", "min_value", "max_value"}
    for argument, theirs_is in theirs.items():
        if argument not in left_out:
            assert ours[argument].default == theirs_is.default, argument


FUNCTIONS: dict[str, tuple[Callable[..., Any], Callable[..., Any]]] = {
    "erf": (fastnn.erf, lambda t: t.erf()),
    "relu6": (fastnn.relu6, lambda t: t.clamp(0, 6)),
    "relu_squared": (fastnn.relu_squared, lambda t: t.relu() ** 2),
    "quick_gelu": (fastnn.quick_gelu, lambda t: t * (1.702 * t).sigmoid()),
    "silu": (fastnn.silu, lambda t: t * t.sigmoid()),
    "softplus": (fastnn.softplus, lambda t: t.exp().log1p()),
    "softplus beta": (lambda t: fastnn.softplus(t, 2.0), lambda t: (2 * t).exp().log1p() / 2),
    "squareplus": (fastnn.squareplus, lambda t: (t + (t * t + 4).sqrt()) / 2),
    "sine": (lambda t: fastnn.sine(t, 30.0), lambda t: (30 * t).sin()),
    "relu keras": (
        lambda t: fastnn.relu(t, 0.1, 2.0, 0.5),
        lambda t: t.where(t >= 0.5, 0.1 * (t - 0.5)).clamp(max=2.0),
    ),
    "swiglu": (fastnn.swiglu, lambda t: t[:, :4] * t[:, 4:] * t[:, 4:].sigmoid()),
    "reglu": (fastnn.reglu, lambda t: t[:, :4] * t[:, 4:].relu()),
    "bilinear": (lambda t: fastnn.glu(t, activation="linear"), lambda t: t[:, :4] * t[:, 4:]),
    "glu of rows": (lambda t: fastnn.glu(t[:4], 0), lambda t: t[:2] * t[2:4].sigmoid()),
    "glu inside": (
        lambda t: fastnn.glu(t.reshape(5, 4, 2), dim=1, activation="tanh"),
        lambda t: t.reshape(5, 4, 2)[:, :2] * t.reshape(5, 4, 2)[:, 2:].tanh(),
    ),
    "maxout": (lambda t: fastnn.maxout(t, 4), lambda t: t.reshape(5, 2, 4).amax(-1)),
    "maxout of rows": (lambda t: fastnn.maxout(t[:4], 2, 0), lambda t: t[:4].reshape(2, 2, 8).amax(1)),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions_against_formulas_in_pytorch(torch: Any, name: str) -> None:
    both(torch, *FUNCTIONS[name], X)


def test_geglu(torch: Any) -> None:
    both(torch, fastnn.geglu, lambda t: t[:, :4] * torch.nn.functional.gelu(t[:, 4:]), X)


@pytest.mark.parametrize("channels", [1, 8])
def test_prelu_and_its_slopes(torch: Any, channels: int) -> None:
    ours, theirs = nn.PReLU(channels, 0.1, dtype="float64"), torch.nn.PReLU(channels, 0.1, dtype=torch.float64)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    for _ in range(2):  # the second gradient is added to the first
        both(torch, ours, theirs, X)
        close(ours.weight.grad, theirs.weight.grad)
    images = rng.standard_normal((3, 2, 4, 8))
    both(torch, ours, theirs, np.moveaxis(images, -1, 1))


def test_infinities_pass_as_in_pytorch_or_as_limits(torch: Any) -> None:
    x = np.array([np.nan, np.inf, -np.inf])
    for name, all_args in CLASSES.items():
        if name in ("GLU", "Softmax", "LogSoftmax", "Softmin"):
            continue
        for args in all_args:
            a, b = getattr(nn, name)(*args)(fastnn.tensor(x)).numpy(), getattr(torch.nn, name)(*args)(torch.tensor(x)).numpy()
            known = np.isfinite(b) | np.isinf(b) | np.isnan(x)  # PyTorch has NaN where a limit is infinity times 0
            np.testing.assert_array_equal(a[known], b[known], err_msg=name)
            assert not np.isnan(a[1:]).any(), name


# ---- Keras ----


@pytest.fixture(scope="module")
def keras() -> Any:
    if not find_spec("torch"):
        pytest.skip("Keras's gradients are compared through PyTorch, which is not installed")
    os.environ.setdefault("KERAS_BACKEND", "torch")
    keras = pytest.importorskip("keras", reason="Keras is not installed")
    if keras.backend.backend() != "torch":
        pytest.skip("Keras runs on another backend than PyTorch")
    return keras


KERAS_NAMES = {
    *("linear", "relu", "leaky_relu", "relu6", "elu", "selu", "celu", "gelu", "silu", "swish", "hard_silu", "hard_swish", "mish"),
    *("sigmoid", "hard_sigmoid", "log_sigmoid", "tanh", "hard_tanh", "tanh_shrink", "soft_shrink", "hard_shrink", "softplus"),
    *("softsign", "squareplus", "sparse_plus", "sparse_sigmoid", "exponential", "softmax", "log_softmax"),
}  # not sparsemax: the rows of Keras's do not sum to 1, because it adds up the cumulative sums


@pytest.mark.parametrize("name", sorted(KERAS_NAMES))
def test_strings_mean_what_keras_s_do(keras: Any, torch: Any, name: str) -> None:
    # Keras's softplus is linear above 20, as PyTorch's.
    x = np.minimum(X, 9.0)
    a = fastnn.tensor(x.astype(np.float32), requires_grad=True)
    b = torch.tensor(x.astype(np.float32), requires_grad=True)
    y, z = fastnn.Activation(name)(a), keras.activations.get(name)(b)
    close(y, z, 1e-5, 1e-6)
    w = rng.standard_normal(y.shape).astype(np.float32)
    if name == "linear":
        return
    y.backward(fastnn.tensor(w))
    z.backward(torch.tensor(w))
    close(a.grad, b.grad, 1e-5, 1e-5)


def test_keras_has_no_other_names(keras: Any) -> None:
    from keras.src.activations import ALL_OBJECTS_DICT

    other = {"glu", "threshold", "sparsemax"}  # it changes the shape; it has no defaults; it is wrong
    assert {n for n in ALL_OBJECTS_DICT if isinstance(n, str)} - other == KERAS_NAMES


LAYERS: dict[str, list[dict[str, Any]]] = {
    "ReLU": [{}, {"max_value": 1.0}, {"negative_slope": 0.1}, {"max_value": 2.0, "negative_slope": 0.1, "threshold": 0.5}],
    "LeakyReLU": [{}, {"negative_slope": 0.1}],
    "PReLU": [{}, {"alpha_initializer": "ones"}, {"shared_axes": [1]}, {"shared_axes": [1, 2]}],
    "ELU": [{}, {"alpha": 0.5}],
    "Softmax": [{}, {"axis": 1}],
}


@pytest.mark.parametrize(("name", "arguments"), [(n, kwargs) for n, all_kwargs in LAYERS.items() for kwargs in all_kwargs])
def test_layers_mean_what_keras_s_do(keras: Any, torch: Any, name: str, arguments: dict[str, Any]) -> None:
    x = rng.standard_normal((3, 2, 4)).astype(np.float32)
    ours, theirs = getattr(fastnn, name)(**arguments), getattr(keras.layers, name)(**arguments)
    a, b = fastnn.tensor(x, requires_grad=True), torch.tensor(x, requires_grad=True)
    y, z = ours(a), theirs(b)
    if name == "PReLU":
        assert [w.shape for w in ours.get_weights()] == [w.shape for w in theirs.get_weights()]
        values = [rng.uniform(0, 1, w.shape).astype(np.float32) for w in theirs.get_weights()]
        ours.set_weights(values)
        theirs.set_weights(values)
        y, z = ours(a), theirs(b)
    close(y, z, 1e-5, 1e-6)
    w = rng.standard_normal(y.shape).astype(np.float32)
    y.backward(fastnn.tensor(w))
    z.backward(torch.tensor(w))
    close(a.grad, b.grad, 1e-5, 1e-6)
    if name == "PReLU":
        close(ours.alpha.grad, theirs.trainable_weights[0].value.grad, 1e-5, 1e-6)
