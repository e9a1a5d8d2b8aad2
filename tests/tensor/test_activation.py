"""Activations: gradients, edges, exactness, names, and what is refused."""

from collections.abc import Callable, Iterator
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
    (lambda: fastnn.Activation("sparsemin"), ValueError, "unknown activation 'sparsemin'; did you mean 'sparsemax'."),
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


INF, NAN, LEAST = np.inf, np.nan, 5e-324
SPECIAL = {
    "exponential": (
        (-INF, 0),
        (INF, INF),
        (-0.0, 1),
        (LEAST, 1),
        (709.78, 1.7928227943945155e308),
        (709.79, INF),
        (-745.13, LEAST),
    ),
    "log": ((INF, INF), (-INF, NAN), (-1, NAN), (0.0, -INF), (-0.0, -INF), (1, 0.0), (LEAST, -744.4400719213812)),
    "expm1": ((-INF, -1), (INF, INF), (-0.0, -0.0), (LEAST, LEAST), (-LEAST, -LEAST), (709.79, INF), (-800, -1)),
    "tanh": ((-INF, -1), (INF, 1), (-0.0, -0.0), (LEAST, LEAST), (20, 1), (-20, -1), (18, 0.9999999999999996), (1e300, 1)),
    "erf": ((-INF, -1), (INF, 1), (-0.0, -0.0), (LEAST, LEAST), (6, 1), (-6, -1), (1e300, 1), (1, 0.8427007929497149)),
    "gelu": ((-INF, 0), (INF, INF), (1e300, 1e300), (-1e300, 0)),
    "sin": ((INF, NAN), (-0.0, -0.0), (LEAST, LEAST), (1e5, 0.03574879797201651), (1e22, -0.8522008497671888)),
    "cos": ((-INF, NAN), (-0.0, 1), (1e5, -0.9993608074382124), (np.pi / 2, 6.123233995736766e-17), (1e22, 0.523214785395139)),
    "sigmoid": ((-INF, 0), (INF, 1), (0, 0.5), (-745.13, LEAST), (-709.78, 5.577796105262746e-309), (709.79, 1)),
    "softplus": ((-INF, 0), (INF, INF), (-745.13, LEAST), (1e300, 1e300), (-40, 4.248354255291589e-18)),
}
"""float64 at the edges: arguments and values."""


@pytest.mark.parametrize("name", SPECIAL)
def test_edges_of_float64(kernels: Any, name: str) -> None:
    """Each value in each lane, so that no neighbour changes it."""
    x, want = np.array([*SPECIAL[name], (NAN, NAN)], np.float64).T.copy()
    y = np.empty_like(x)
    for shift in range(len(x)):
        kernels.activation_forward(y, np.roll(x, shift), next(limit.act for limit in LIMITS if limit.act.name == name))
        np.testing.assert_allclose(np.roll(y, -shift), want, rtol=6e-16, atol=0)
        zero = want == 0
        assert name == "gelu" or (np.signbit(np.roll(y, -shift)) == np.signbit(want))[zero].all()


def test_every_function_has_a_limit_or_is_exact() -> None:
    by_name = {kind.name for kind in ACTIVATIONS if kind.by_name}
    assert by_name - EXACT == by_name & {limit.act.name for limit in LIMITS}


def test_every_name_is_on_its_page() -> None:
    page = (Path(__file__).parents[2] / "docs" / "activations.md").read_text()
    for name in activations.NAMES + activations.ROWS:
        assert f"`{name}" in page, f"docs/activations.md has no row for {name}"


def test_sparsemax_of_the_largest_numbers() -> None:
    x = np.array([[3e38, -3e38, 1.0, 2e38], [-1e4, 1e4, 1e4 - 0.5, 0.0]], np.float32)
    np.testing.assert_allclose(fastnn.sparsemax(fastnn.tensor(x)).numpy(), [[1, 0, 0, 0], [0, 0.75, 0.25, 0]], atol=1e-3)
