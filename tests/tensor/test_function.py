"""Operations with a backward of their own."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import fastnn
import fastnn.nn as nn

rng = np.random.default_rng(0)
X = rng.standard_normal((4, 3))


class Square(fastnn.Function):
    @staticmethod
    def forward(ctx: Any, x: Any) -> Any:
        ctx.save_for_backward(x)
        return x * x

    @staticmethod
    def backward(ctx: Any, dy: Any) -> Any:
        (x,) = ctx.saved_tensors
        return 2 * x * dy


class Product(fastnn.Function):
    """A matrix product with a factor, one of whose arguments is no Tensor."""

    @staticmethod
    def forward(ctx: Any, x: Any, w: Any, factor: float) -> Any:
        ctx.save_for_backward(x, w)
        ctx.factor = factor
        return (x @ w) * factor

    @staticmethod
    def backward(ctx: Any, dy: Any) -> Any:
        x, w = ctx.saved_tensors
        need_x, need_w, need_factor = ctx.needs_input_grad
        assert not need_factor
        return (dy @ w.T) * ctx.factor if need_x else None, (x.T @ dy) * ctx.factor if need_w else None, None


class Polar(fastnn.Function):
    """Several outputs, one of whole numbers."""

    @staticmethod
    def forward(ctx: Any, x: Any, y: Any) -> Any:
        ctx.save_for_backward(x, y)
        return x * y, x + y, (x > y).astype("int64")

    @staticmethod
    def backward(ctx: Any, d_product: Any, d_sum: Any, d_larger: Any) -> Any:
        x, y = ctx.saved_tensors
        assert d_larger.dtype == np.int64 and not d_larger.numpy().any()
        return d_product * y + d_sum, d_product * x + d_sum


def test_values_and_gradients() -> None:
    assert fastnn.gradcheck(Square.apply, X)
    assert fastnn.gradcheck(lambda x, w: Product.apply(x, w, 3.0), [X, X.T])
    assert fastnn.gradcheck(lambda x: Square.apply(Square.apply(x)) + x * Square.apply(x), X)
    np.testing.assert_allclose(Square.apply(fastnn.tensor(X)).numpy(), X * X)


def test_several_outputs() -> None:
    def f(x: Any, y: Any) -> Any:
        product, total, larger = Polar.apply(x, y)
        assert larger.dtype == np.int64 and not larger.requires_grad
        return product.exp() + total * total * larger.astype(x.dtype)

    assert fastnn.gradcheck(f, [X, X[::-1] / 2])
    for which, want in ((0, X[::-1]), (1, np.ones_like(X))):  # the others count for nothing
        x, y = fastnn.tensor(X, requires_grad=True), fastnn.tensor(X[::-1], requires_grad=True)
        Polar.apply(x, y)[which].sum().backward()
        np.testing.assert_allclose(x.grad.numpy(), want)
    both = Polar.apply(x, y)
    loss = (both[0] + both[1]).sum()
    x.zero_grad()
    loss.backward(retain_graph=True)
    loss.backward()
    np.testing.assert_allclose(x.grad.numpy(), 2 * (X[::-1] + 1))
    with pytest.raises(RuntimeError, match="freed"):
        loss.backward()


def test_only_what_is_wanted_is_computed() -> None:
    x, w = fastnn.tensor(X), fastnn.tensor(X.T, requires_grad=True)
    Product.apply(x, w, 2.0).sum().backward()
    np.testing.assert_allclose(w.grad.numpy(), 2 * X.T @ np.ones((4, 4)))
    assert x.grad is None and not Product.apply(x, fastnn.tensor(X.T), 2.0).requires_grad
    with fastnn.no_grad():
        assert not Product.apply(x, w, 2.0).requires_grad


def test_parameters_and_their_views_get_gradients() -> None:
    layer = nn.Linear(3, 4, dtype="float64")
    Product.apply(fastnn.tensor(X), layer.weight.T, 1.0).sum().backward()
    np.testing.assert_allclose(layer.weight.grad.numpy(), np.tile(X.sum(0), (4, 1)))
    Square.apply(layer.bias).sum().backward()
    np.testing.assert_allclose(layer.bias.grad.numpy(), 2 * layer.bias.numpy())
    Square.apply(layer.weight).sum().backward()


def test_no_tape_runs_inside_and_an_input_may_be_returned() -> None:
    class Inside(fastnn.Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            assert not (x * 2).requires_grad
            return x

        @staticmethod
        def backward(ctx: Any, dy: Any) -> Any:
            assert not (dy * fastnn.tensor(X, requires_grad=True)).requires_grad
            return dy * 10

    x = fastnn.tensor(X, requires_grad=True)
    y = Inside.apply(x)
    assert y is not x and not y.is_leaf
    y.sum().backward()
    np.testing.assert_array_equal(x.grad.numpy(), np.full((4, 3), 10.0))


class Net(nn.Module):
    def __init__(self, through_numpy: bool = False) -> None:
        super().__init__()
        self.layer, self.through_numpy = fastnn.Dense(3, input_shape=(3,)), through_numpy

    def forward(self, x: Any) -> Any:
        return (Leaving if self.through_numpy else Square).apply(self.layer(x))


class Leaving(Square):
    @staticmethod
    def forward(ctx: Any, x: Any) -> Any:
        ctx.save_for_backward(x)
        return fastnn.tensor(x.numpy() ** 2)


def test_recorded_steps_are_eager_bit_for_bit() -> None:
    x, y = X.astype(np.float32), np.abs(X).astype(np.float32)
    recorded, eager, built_in = Net(), Net(), Net()
    for m in (eager, built_in):
        m.set_weights(recorded.get_weights())
    built_in.forward = lambda x: built_in.layer(x) * built_in.layer(x)
    losses = []
    for m, capture in ((recorded, True), (eager, False), (built_in, False)):
        m.compile(fastnn.optim.SGD(lr=0.1), "mse", capture=capture)
        losses.append([m.train_on_batch(x, y) for _ in range(6)])
    assert losses[0] == losses[1] and losses[0] == pytest.approx(losses[2], rel=1e-5)
    (step,) = recorded._compiled.batch_steps.values()
    assert step.recorded is not None
    for a, b in zip(recorded.get_weights(), eager.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_values_that_leave_make_the_recording_void() -> None:
    m = Net(through_numpy=True)
    m.compile(fastnn.optim.SGD(lr=0.1), "mse", capture=True)
    with pytest.warns(RuntimeWarning, match=r"steps are not recorded .* Python reads a value \(numpy\(\)"):
        losses = [m.train_on_batch(X.astype(np.float32), np.abs(X)) for _ in range(5)]
    (step,) = m._compiled.batch_steps.values()
    assert step.recorded is None and "numpy()" in step.why_eager
    assert losses[-1] < losses[0]


def returning(forward: Any = None, backward: Any = None) -> Callable[[], Any]:
    """A call and its backward, of a function that returns this."""

    class Odd(fastnn.Function):
        @staticmethod
        def forward(ctx: Any, x: Any, n: Any) -> Any:
            return x * 1 if forward is None else forward

        @staticmethod
        def backward(ctx: Any, dy: Any) -> Any:
            return backward

    return lambda: Odd.apply(fastnn.tensor(X, requires_grad=True), 3).sum().backward()


ERRORS: dict[str, tuple[Callable[[], Any], type[Exception], str]] = {
    "array": (returning(forward=X), TypeError, "Odd: forward returned a ndarray, wanted a Tensor"),
    "list": (returning(forward=[1]), TypeError, r"Odd: forward returned a int at outputs\[0\], wanted a Tensor, or a tuple"),
    "nothing": (returning(forward=[]), TypeError, "Odd: forward returned no Tensor"),
    "number of gradients": (
        returning(backward=fastnn.tensor(X)),
        ValueError,
        "Odd: backward returned 1 gradients, .* 2 arguments",
    ),
    "shape": (
        returning(backward=(fastnn.tensor(X.T), None)),
        ValueError,
        r"gradient of shape \(3, 4\) for argument 0 of shape \(4, 3\)",
    ),
    "dtype": (
        returning(backward=(fastnn.tensor(X, "float32"), None)),
        TypeError,
        "dtype float32 for argument 0 of dtype float64",
    ),
    "kind": (returning(backward=(X, None)), TypeError, "returned a ndarray for argument 0"),
    "of a number": (returning(backward=(None, fastnn.tensor(X))), TypeError, "a gradient for argument 1, a int; wanted None"),
    "saved array": (lambda: fastnn.autograd.function.Context(()).save_for_backward(X), TypeError, "save_for_backward: a ndarray"),
    "no forward": (lambda: fastnn.Function.apply(fastnn.tensor(X)), NotImplementedError, "defines forward"),
    "no backward": (
        lambda: (
            type("F", (fastnn.Function,), {"forward": staticmethod(lambda c, x: x * 1)})
            .apply(fastnn.tensor(X, requires_grad=True))
            .sum()
            .backward()
        ),
        NotImplementedError,
        "no backward",
    ),
}


@pytest.mark.parametrize("case", ERRORS)
def test_bad_functions(case: str) -> None:
    f, kind, text = ERRORS[case]
    with pytest.raises(kind, match=text):
        f()


class Cell(fastnn.Function):
    """Inputs and outputs that are nested."""

    wanted: Any = None

    @staticmethod
    def forward(ctx: Any, x: Any, state: Any, scale: float) -> Any:
        Cell.wanted = ctx.needs_input_grad
        ctx.save_for_backward(x, state["h"])
        ctx.scale = scale
        return {"y": x * state["h"], "state": (state["h"] * scale, [state["rest"][0] + state["rest"][1], None])}

    @staticmethod
    def backward(ctx: Any, d: Any) -> Any:
        x, h = ctx.saved_tensors
        dh, (dr, nothing) = d["state"]
        assert nothing is None
        return d["y"] * h, {"h": d["y"] * x + dh * ctx.scale, "rest": [dr, None]}, None


def test_arguments_and_outputs_nest() -> None:
    rng = np.random.default_rng(1)
    x, h, a, b = (rng.standard_normal((2, 3)) for _ in range(4))
    constant = fastnn.tensor(b)

    def f(x: Any, state: Any) -> Any:
        return Cell.apply(x, {"h": state["h"], "rest": [state["a"], constant]}, 2.0)

    assert fastnn.gradcheck(f, [x, {"h": h, "a": a}])
    out = f(fastnn.tensor(x, requires_grad=True), {k: fastnn.tensor(v, requires_grad=True) for k, v in (("h", h), ("a", a))})
    assert Cell.wanted == (True, {"h": True, "rest": [True, False]}, False)
    assert out["state"][1][1] is None and out["y"].node is out["state"][1][0].node


def test_gradients_that_are_nested_otherwise_are_named() -> None:
    class Wrong(Cell):
        @staticmethod
        def backward(ctx: Any, d: Any) -> Any:
            return None, {"h": d["y"], "rest": [d["y"]]}, None

    x = fastnn.tensor(X, requires_grad=True)
    out = Wrong.apply(x, {"h": x, "rest": [x, fastnn.tensor(X)]}, 1.0)
    with pytest.raises(ValueError, match=r"for argument 1\['rest'\] has 1 entries; wanted a list of 2"):
        out["y"].sum().backward()
