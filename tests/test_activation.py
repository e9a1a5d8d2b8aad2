"""Activations: agreement with PyTorch and Keras, gradients, edges, exactness, and what is refused."""

import inspect
import os
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cases.accuracy import EXACT, LIMITS, Limit, measure, reference, samples
from cases.case import FLOATS

import fastnn
import fastnn.nn as nn
from fastnn import activations
from fastnn.backends import get_isa, isas, load, use_isa
from fastnn.backends.spec import ACTIVATIONS

rng = np.random.default_rng(0)
X = np.random.default_rng(1).standard_normal((5, 8)) * 3
EDGES = np.array([[-1e4, -50.0, -1.25, -0.0], [1e-30, 0.75, 50.0, 1e4]])


def close(a: Any, b: Any, rtol: float = 1e-10, atol: float = 1e-12) -> None:
    a = a.numpy() if isinstance(a, fastnn.Tensor) else a
    b = b.detach().numpy() if hasattr(b, "detach") else b
    np.testing.assert_allclose(a, b, rtol=rtol, atol=atol)


# ---- PyTorch ----


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
    last = (lambda t: torch.movedim(theirs(torch.movedim(t, -1, 1)), 1, -1)) if channels > 1 else theirs
    both(torch, ours, last, images)


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


# ---- alone ----


def on_the_simplex(x: np.ndarray) -> np.ndarray:
    """The nearest point of the simplex, its threshold found by halving an interval."""
    low, high = x.min(-1, keepdims=True) - 1, x.max(-1, keepdims=True)
    for _ in range(200):
        middle = (low + high) / 2
        above = np.maximum(x - middle, 0).sum(-1, keepdims=True) > 1
        low, high = np.where(above, middle, low), np.where(above, high, middle)
    return np.maximum(x - low, 0)


@pytest.mark.parametrize("shape", [(4, 1), (3, 10), (2, 3, 17), (2, 1000)])
@pytest.mark.parametrize("scale", [0.01, 1.0, 1e4])
def test_sparsemax_is_the_projection(shape: tuple[int, ...], scale: float) -> None:
    x = rng.standard_normal(shape) * scale
    y = fastnn.sparsemax(fastnn.tensor(x)).numpy()
    np.testing.assert_allclose(y, on_the_simplex(x), atol=1e-12 * max(scale, 1))
    np.testing.assert_allclose(y.sum(-1), 1, rtol=1e-12 * max(scale, 1))
    np.testing.assert_allclose(fastnn.sparsemax(fastnn.tensor(x + 1e3)).numpy(), y, atol=1e-9)
    moved = fastnn.sparsemax(fastnn.tensor(np.moveaxis(x, -1, 0)), 0).numpy()
    np.testing.assert_array_equal(np.moveaxis(moved, 0, -1), y)


def test_sparsemax_of_ties_and_of_what_is_not_finite() -> None:
    assert fastnn.sparsemax(fastnn.tensor([2.0, 2.0, 2.0, 2.0])).tolist() == [0.25] * 4
    assert fastnn.sparsemax(fastnn.tensor([-np.inf, 1.0])).tolist() == [0.0, 1.0]
    for bad in ([np.nan, 1.0], [np.inf, 1.0], [-np.inf, -np.inf]):
        assert np.isnan(fastnn.sparsemax(fastnn.tensor([bad])).numpy()).all()


@pytest.mark.parametrize("name", [n for n in activations.NAMES + activations.ROWS if n != "linear"])
def test_a_dense_layer_is_the_product_and_then_the_function(name: str) -> None:
    fastnn.seed(0)
    fused = fastnn.Dense(7, activation=name, input_shape=(8,), dtype="float64")
    plain = fastnn.Sequential([fastnn.Dense(7, input_shape=(8,)), fastnn.Activation(name)], dtype="float64")
    plain.set_weights(fused.get_weights())
    w = fastnn.tensor(rng.standard_normal((5, 7)))
    for model in (fused, plain):
        (model(X) * w).sum().backward()
    close(fused(X), plain(X).numpy())
    for a, b in zip(fused.weights, plain.weights, strict=True):
        close(a.grad, b.grad.numpy())


@pytest.mark.parametrize("dtype", FLOATS)
def test_gradients_far_out_are_finite(dtype: str) -> None:
    grows, no_limit = {"exponential", "relu_squared"}, {"sine"}
    for name in set(activations.NAMES) - grows:
        for far in (1e4, 1e30) if name in no_limit else (1e4, 1e30, np.inf):
            x = fastnn.tensor(np.array([-far, far], dtype), requires_grad=True)
            fastnn.Activation(name)(x).backward(fastnn.tensor(np.ones(2, dtype)))
            assert np.isfinite(x.grad.numpy()).all(), f"{name} at {far}: {x.grad.tolist()}"


@pytest.mark.parametrize("function", ["swiglu", "geglu", "reglu", "glu", "sparsemax", "softmin"])
def test_gradcheck_of_rows_and_gates(function: str) -> None:
    assert fastnn.gradcheck(getattr(fastnn, function), [X])


def test_gradcheck_of_prelu_and_maxout() -> None:
    for slope in (np.array([0.3]), rng.uniform(0, 1, 8), rng.uniform(0, 1, (5, 8))):
        assert fastnn.gradcheck(fastnn.prelu, [X, slope])
    assert fastnn.gradcheck(lambda x: fastnn.maxout(x, 4), [X])


def test_sizes_zero_and_one() -> None:
    for shape in ((0, 4), (1, 2), (3, 0)):
        x = fastnn.tensor(np.ones(shape), requires_grad=True)
        slope = fastnn.tensor(np.full(shape[-1:], 0.5), requires_grad=True)
        (fastnn.glu(x).sum() + fastnn.sparsemax(x).sum() + fastnn.prelu(x, slope).sum()).backward()
        assert x.grad.shape == shape and slope.grad.shape == shape[-1:]
    assert fastnn.prelu(fastnn.tensor(-2.0), fastnn.tensor([0.5])).tolist() == -1.0
    assert fastnn.glu(fastnn.tensor(np.ones((2, 0)))).shape == (2, 0)


def test_shapes_of_outputs_are_told() -> None:
    for shape in ((4,), (4, 6)):
        for axis in range(-len(shape), len(shape) + 1):
            for layer in (nn.GLU(axis), nn.Maxout(2, axis)):
                assert layer.output_shape(shape) == layer(np.ones((2, *shape))).shape[1:], (shape, axis)


def gated() -> fastnn.Sequential:
    fastnn.seed(3)
    layers = [fastnn.Dense(16, input_shape=(8,)), nn.SwiGLU(), fastnn.PReLU("ones"), nn.PReLU(8), nn.Maxout(2), nn.Sparsemax()]
    return fastnn.Sequential([*layers, fastnn.Dense(3, activation="mish")], dtype="float64")


def test_a_recorded_step_is_the_eager_one() -> None:
    y = np.arange(40) % 3
    x = rng.standard_normal((40, 8))
    fitted, eager = gated(), gated()
    fitted.compile(fastnn.optim.SGD(lr=0.1), fastnn.losses.SparseCategoricalCrossentropy(from_logits=True))
    fitted.fit(x, y, batch_size=8, epochs=2, shuffle=False, verbose=0)
    optimizer = fastnn.optim.SGD(eager.parameters(), lr=0.1)
    loss = nn.CrossEntropyLoss()
    for _ in range(2):
        for i in range(0, 40, 8):
            optimizer.zero_grad()
            loss(eager(x[i : i + 8]), y[i : i + 8]).backward()
            optimizer.step()
    for a, b in zip(fitted.get_weights(), eager.get_weights(), strict=True):
        close(a, b)
    close(fitted.freeze(4)(x[:4]), eager(x[:4]).numpy())


def test_the_reference_and_the_kernels_train_alike() -> None:
    model = gated()
    with fastnn.use_backend("numpy"):
        wanted = gated()
        for p in (wanted(X) ** 2).sum().backward() or wanted.parameters():
            assert p.grad is not None
        grads = [p.grad.numpy().copy() for p in wanted.weights]
    (model(X) ** 2).sum().backward()
    for p, g in zip(model.weights, grads, strict=True):
        close(p.grad, g)


# ---- names ----


def test_names_come_back_from_their_configs() -> None:
    for name in activations.NAMES + activations.ROWS:
        act = activations.get(name)
        again = activations.get(activations.config(act))
        assert again == act
    own = activations.parametric("elu", 0.25)
    assert activations.get(activations.config(own)) == own == nn.ELU(0.25).activation
    assert activations.config(activations.get("swish")) == "silu" and activations.config(activations.get("relu6")) == "relu6"
    assert activations.get({"name": "softplus"}) == activations.get("softplus")


def test_every_function_by_name_is_public_with_its_defaults() -> None:
    x = fastnn.tensor(X)
    other = {"linear", "exponential", "gelu_tanh", "leaky_relu", "swish", "hard_swish"}
    for name in set(activations.NAMES) - other:
        np.testing.assert_array_equal(getattr(fastnn, name)(x).numpy(), fastnn.Activation(name)(x).numpy(), err_msg=name)


def test_defaults_of_the_table_are_what_its_formulas_say() -> None:
    for kind in ACTIVATIONS:
        assert ("p0" in kind.formula) or kind.p0 == 0.0, kind.name
        assert ("p1" in kind.formula) or kind.p1 == 0.0, kind.name


WRONG: list[tuple[Callable[[], Any], type[Exception], str]] = [
    (lambda: nn.CELU(0), ValueError, "celu: 0 came, wanted an alpha other than 0"),
    (lambda: nn.Hardtanh(1, 1), ValueError, "hard_tanh: 1 and 1 came, wanted min_value below max_value"),
    (lambda: nn.ELU("a"), ValueError, "elu: 'a' came, wanted numbers"),
    (lambda: nn.Softplus(-1.0), ValueError, "softplus: -1.0 and 20.0 came, wanted a beta above 0"),
    (lambda: fastnn.soft_shrink(X, -1.0), ValueError, "soft_shrink: -1.0 came, wanted a threshold of at least 0"),
    (lambda: fastnn.elu(X, np.nan), ValueError, "elu: nan came, wanted numbers"),
    (lambda: fastnn.squareplus(X, True), ValueError, "squareplus: True came"),
    (lambda: fastnn.ReLU(-1.0), ValueError, "relu: max_value is -1.0, wanted a finite number of at least 0"),
    (lambda: fastnn.ReLU(None, -0.1), ValueError, "relu: negative_slope is -0.1"),
    (lambda: fastnn.glu(np.ones((2, 3))), ValueError, "glu: axis 1 of shape .2, 3. has an odd size"),
    (lambda: fastnn.glu(np.ones((2, 4)), 2), ValueError, "glu: axis 2"),
    (lambda: fastnn.glu(np.ones((2, 4)), activation="softmax"), ValueError, "glu: activation 'softmax' works on rows"),
    (lambda: fastnn.glu(np.ones((2, 4), np.int64)), TypeError, "glu: a Tensor of dtype int64"),
    (lambda: fastnn.maxout(np.ones((2, 3)), 2), ValueError, "maxout: axis 1 of shape .2, 3. cannot be cut into pieces of 2"),
    (lambda: fastnn.maxout(np.ones((2, 3)), 0), ValueError, "maxout: num_pieces is 0"),
    (lambda: nn.Maxout(1.5), ValueError, "Maxout: num_pieces is 1.5"),
    (lambda: nn.PReLU(0), ValueError, "PReLU: num_parameters is 0"),
    (lambda: nn.PReLU(dtype="int64"), TypeError, "PReLU: dtype int64"),
    (lambda: fastnn.PReLU(shared_axes=[2]), ValueError, r"PReLU: shared_axes is \[2\], wanted the first axes"),
    (lambda: fastnn.PReLU(shared_axes=[1, 2])(X), ValueError, r"PReLU: shared_axes is \[1, 2\], but samples have"),
    (lambda: fastnn.prelu(X, np.ones(3)), ValueError, r"prelu: slope has shape \(3,\), x \(5, 8\)"),
    (lambda: fastnn.prelu(fastnn.tensor(X), fastnn.tensor([1.0])), TypeError, "prelu: Tensors of dtype float64 and float32"),
    (lambda: fastnn.sparsemax(np.ones(3, np.int64)), TypeError, "sparsemax: a Tensor of dtype int64"),
    (lambda: fastnn.Activation("sparsemin"), ValueError, "unknown activation 'sparsemin'; there are: linear, relu"),
    (lambda: fastnn.Activation("threshold"), ValueError, "unknown activation 'threshold'"),
    (lambda: activations.get({"name": "elu", "p0": "x"}), ValueError, "elu: 'x' and 0.0 came, wanted numbers"),
]


@pytest.mark.parametrize("i", range(len(WRONG)))
def test_what_is_refused(i: int) -> None:
    call, error, message = WRONG[i]
    with pytest.raises(error, match=message):
        call()


# ---- exactness ----

TARGETS = [name for name, lacking in isas().items() if not lacking]


@pytest.fixture(params=TARGETS)
def kernels(request: pytest.FixtureRequest) -> Iterator[Any]:
    before = get_isa()
    use_isa(request.param)
    yield load("cpp")
    use_isa(before)


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("limit", LIMITS, ids=lambda limit: limit.act.name)
def test_errors_stay_within_their_limits(kernels: Any, limit: Limit, dtype: str) -> None:
    """As scripts/accuracy does it, on fewer samples, and in float64 against the reference in longdouble."""
    x = samples(dtype, 40_000)
    error, at = measure(kernels, limit, x, reference(limit, x))
    assert error <= limit.ulp(x.dtype), f"{error:.3g} ULP at {at!r}"


def test_every_function_has_a_limit_or_is_exact() -> None:
    by_name = {kind.name for kind in ACTIVATIONS if kind.by_name}
    assert by_name - EXACT == by_name & {limit.act.name for limit in LIMITS}


def test_every_name_is_on_its_page() -> None:
    page = (Path(__file__).parents[1] / "docs" / "activations.md").read_text()
    for name in activations.NAMES + activations.ROWS:
        assert f"`{name}" in page, f"docs/activations.md has no row for {name}"


def test_sparsemax_of_the_largest_numbers() -> None:
    x = np.array([[3e38, -3e38, 1.0, 2e38], [-1e4, 1e4, 1e4 - 0.5, 0.0]], np.float32)
    np.testing.assert_allclose(fastnn.sparsemax(fastnn.tensor(x)).numpy(), [[1, 0, 0, 0], [0, 0.75, 0.25, 0]], atol=1e-3)
