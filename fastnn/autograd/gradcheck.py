"""Gradients checked against finite differences: of a function as a whole, and where it fails, of each operation by itself."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from ..backends import current
from ..core.block import Block, Finally
from ..core.layout import Order
from ..core.tree import Tree, flatten, places, unflatten
from ..nn.module import Module
from ..nn.parameter import stored
from ..nn.parameter_view import order_of
from ..ops.checks import check_number
from ..ops.shape import concatenate, reshape
from .tape import newest_first, taping
from .tensor import Gradients, Tensor, no_grad, tensor

Array = np.ndarray[Any, Any]


class GradcheckError(AssertionError):
    """A gradient differs from its finite difference."""


class Leaf(NamedTuple):
    """A Tensor that the function is differentiated by, and its name in messages."""

    name: str
    tensor: Tensor
    order: Order | None = None
    """The order in which the view of that name arranges the Tensor."""


class Settings(NamedTuple):
    """The step of finite differences, and the errors that a gradient may have."""

    eps: float
    rtol: float
    atol: float

    def off(self, analytic: float, numeric: float, scale: float) -> bool:
        return not abs(analytic - numeric) <= self.atol + self.rtol * max(abs(numeric), scale)


def gradcheck(
    fn: Callable[..., Any],
    inputs: Sequence[Any] | Any,
    eps: float = 1e-6,
    rtol: float = 1e-5,
    atol: float = 1e-8,
    seed: int = 0,
) -> bool:
    """Return whether backward's gradients agree with finite differences, in float64.

    Of one number, or a random sum of several, also of several outputs. Along random directions at first; where one is off, every
    operation on the tape is checked by itself, and every element of what is off.

    Args:
        fn: a function of Tensors that returns a Tensor, or tuples, lists and dicts of Tensors, nested to any depth; a Module; or
            a loss. It must give the same result each time (so put a model with dropout into evaluation mode). A Module is checked
            by its parameters, too, which are float64 meanwhile.
        inputs: its arguments, anything that `fastnn.tensor` takes, or lists and dicts of arrays, nested to any depth; real ones
            are checked, others passed on.
        eps: how far to step to both sides.
        rtol, atol: how far off a gradient may be, relative to its size and absolutely.
        seed: of the directions.

    Returns:
        True.

    Raises:
        GradcheckError: a gradient is off. The message names the argument or parameter and its worst element, and the operation
            whose backward is wrong; or it says that the function has a kink there, or that all operations are right and so
            something leaves the tape.
        ValueError: the function gives another result when it is called again.

    >>> import fastnn
    >>> fastnn.gradcheck(lambda x: (x * x).sum(), [[1.0, 2.0, 3.0]])
    True
    >>> fastnn.gradcheck(fastnn.Dense(2, activation="tanh", input_shape=(3,)), fastnn.rand(4, 3))
    True
    """
    given = inputs if isinstance(inputs, tuple | list) and not _is_numbers(inputs) else (inputs,)
    given = tuple(given)
    tree, values = flatten(given, lambda value: value is not given and _is_data(value))
    arrays = [np.asarray(a.numpy() if isinstance(a, Tensor) else a) for a in values]
    if not check_number(eps, "gradcheck: eps", 0):
        raise ValueError("gradcheck: eps is 0, wanted a number above it")
    settings, name = Settings(eps, rtol, atol), getattr(fn, "__name__", type(fn).__name__)
    block, parameters = _in_double(fn, unflatten(tree, arrays))
    with block:
        arguments = [tensor(a.astype(np.float64), requires_grad=True) if a.dtype.kind == "f" else tensor(a) for a in arrays]
        names = [f"argument {place[1:].replace(']', '', 1)}" for place in places(tree)]  # of "[0]['h']", argument 0['h']
        leaves = [Leaf(place, t) for place, t in zip(names, arguments, strict=True) if t.requires_grad]
        _check(_joined(fn, tree), name, arguments, [*leaves, *parameters], settings, np.random.default_rng(seed))
    return True


def _joined(fn: Callable[..., Any], tree: Tree) -> Callable[..., Any]:
    """Return the function of Tensors one by one; of several outputs, the real ones are one behind the other."""

    def joined(*arguments: Tensor) -> Any:
        out = fn(*unflatten(tree, arguments))
        many = flatten(out)[1]
        if isinstance(out, Tensor) or not many or not all(isinstance(t, Tensor) for t in many):
            return out
        return concatenate([reshape(t, -1) for t in many if t.dtype.kind == "f"])

    return joined


def _is_data(value: Any) -> bool:
    """Return whether a list or tuple is an array to be, as it holds no arrays."""
    return isinstance(value, list | tuple) and not any(isinstance(a, np.ndarray | Tensor) for a in flatten(value)[1])


def _is_numbers(inputs: Any) -> bool:
    return all(isinstance(v, int | float) for v in inputs)


def _in_double(fn: Any, inputs: Sequence[Any]) -> tuple[Finally, list[Leaf]]:
    """Return a block with a Module's parameters and floating buffers in float64, and the parameters that are trained."""
    if not isinstance(fn, Module):
        return Finally(list), []
    if not fn.built:
        with no_grad():
            fn(*inputs)
    named = [(name, p, stored(p)) for name, p in fn.named_parameters()]
    buffers = [b for b in fn.buffers() if b.dtype.kind == "f"]
    kept = [(t, t.data, t._buffer, t.has_grad) for t in (*(p for _, _, p in named), *buffers)]

    def begin() -> None:
        for t, data, _, _ in kept:
            t.data, t._buffer, t.has_grad = tensor(data, np.float64).data, None, False

    def end() -> None:
        for t, data, buffer, has_grad in kept:
            t.data, t._buffer, t.has_grad = data, buffer, has_grad

    leaves = [Leaf(f"parameter {n}", p, order_of(q)) for n, q, p in named if p.requires_grad]
    return Finally(end, begin), leaves


def _check(fn: Any, name: str, arguments: list[Tensor], leaves: list[Leaf], settings: Settings, rng: np.random.Generator) -> None:
    out = fn(*arguments)
    if not isinstance(out, Tensor):
        raise TypeError(f"gradcheck: {name} returned a {type(out).__name__}, wanted a Tensor")
    if out.dtype != np.float64:
        raise TypeError(f"gradcheck: {name} returned dtype {out.dtype} for float64 inputs; finite differences need float64")
    weight = np.ones(out.shape) if out.size == 1 else rng.standard_normal(out.shape)

    def value(leaf: Tensor, at: Array) -> float:
        with _moved(leaf, at), no_grad():
            return float((fn(*arguments).numpy() * weight).sum())

    with no_grad():
        again = fn(*arguments).numpy()
    if not np.array_equal(out.numpy(), again, equal_nan=True):
        raise ValueError(f"gradcheck: {name} gives another result when it is called again with the same inputs")
    if out.requires_grad:
        out.backward(weight)
    for leaf in leaves:
        t = leaf.tensor
        grad = np.zeros(t.shape) if t.grad is None else t.grad.numpy().copy()
        if wrong := _compare(t, grad, partial(value, t), settings, rng, leaf.order):
            why = "" if wrong.kink else f"\n{_culprit(fn, arguments, settings, rng)}"
            raise GradcheckError(f"gradcheck: {name}: gradient of {leaf.name}{wrong}{why}")


def _moved(leaf: Tensor, at: Array) -> Finally:
    """Return a block in which the leaf has other values."""
    values = current().asarray(at)
    return Finally(partial(setattr, leaf, "data", leaf.data), partial(setattr, leaf, "data", values))


class Wrong(NamedTuple):
    """The worst element of a gradient that is off."""

    place: tuple[int, ...]
    analytic: float
    numeric: float
    kink: str

    def __str__(self) -> str:
        where = f"[{', '.join(map(str, self.place))}]" if self.place else ""
        return f"{where} is {self.analytic:.9g}, by finite differences {self.numeric:.9g}{self.kink}"


def _place(at: tuple[int, ...], shape: tuple[int, ...], order: Order | None) -> tuple[int, ...]:
    """Return where an element stands in the view that arranges the array."""
    if order is None:
        return at
    numbers = np.arange(int(np.prod(shape))).reshape(shape)
    return tuple(int(n) for n in np.argwhere(order.arranged(numbers) == numbers[at])[0])


def _compare(
    t: Tensor,
    grad: Array,
    value: Callable[[Array], float],
    settings: Settings,
    rng: np.random.Generator,
    order: Order | None = None,
) -> Wrong | None:
    """Return what is off in the gradient of value at t, if anything is."""
    a, eps = t.numpy(), settings.eps
    if not a.size:
        return None
    direction = rng.standard_normal(a.shape)
    direction /= max(float(np.sqrt((direction**2).sum())), 1e-300)
    found = (value(a + eps * direction) - value(a - eps * direction)) / (2 * eps)
    if not settings.off(float((grad * direction).sum()), found, float(np.sqrt((grad**2).sum()))):
        return None
    right, left = np.empty(a.shape), np.empty(a.shape)
    here = value(a)
    for at in np.ndindex(a.shape):
        step = np.zeros(a.shape)
        step[at] = eps
        right[at], left[at] = (value(a + step) - here) / eps, (here - value(a - step)) / eps
    numeric = np.asarray((right + left) / 2)
    off = np.nan_to_num(np.asarray(np.abs(numeric - grad)), nan=np.inf)
    worst = tuple(int(n) for n in np.unravel_index(int(off.argmax()), a.shape)) if a.shape else ()
    apart = abs(right[worst] - left[worst])
    kink = ""
    if apart > 1e-3 * max(abs(right[worst]), abs(left[worst])) and apart > 1e-6 * max(abs(here), 1):
        kink = f"; there is a kink there, with slope {left[worst]:.6g} to the left and {right[worst]:.6g} to the right"
    return Wrong(_place(worst, grad.shape, order), float(grad[worst]), float(numeric[worst]), kink)


# ---- which operation it is: each one's backward against differences of its own output, all other inputs held ----


class _OffTheTapeError(Exception):
    """An input that is not on the tape follows another one: the operation cannot be judged by itself."""


class _Local(Gradients):
    """The gradients of one node's inputs."""

    def __init__(self) -> None:
        super().__init__()
        self.found: dict[Tensor, Array] = {}

    def target(self, t: Tensor) -> tuple[Any, bool]:
        return self.k.empty(t.shape, t.dtype), False

    def done(self, t: Tensor, array: Any, marked: bool = False) -> None:
        self.add(t, array)

    def add(self, t: Tensor, array: Any) -> None:
        own = np.array(self.k.to_numpy(array)).reshape(t.shape)
        self.found[t] = self.found[t] + own if t in self.found else own


def _run(fn: Any, arguments: list[Tensor], watch: Callable[[Tensor], Tensor]) -> Tensor:
    """Return the function, where each Tensor that it puts on the tape becomes what watch gives for it."""
    with Block(taping, watch):
        result: Tensor = fn(*arguments)
        return result


def _culprit(fn: Any, arguments: list[Tensor], settings: Settings, rng: np.random.Generator) -> str:
    made: list[Tensor] = []
    unchecked: list[str] = []

    def note(t: Tensor) -> Tensor:
        made.append(t)
        return t

    out = _run(fn, arguments, note)
    on_the_way = set(newest_first([out.node]))
    values = [t.numpy().copy() for t in made]
    for i, t in enumerate(made):
        node = t.node
        if node is None or node not in on_the_way:
            continue
        grads, dy = _Local(), rng.standard_normal(t.shape)
        dys = [current().asarray(dy) if j == t.index else None for j in range(max(len(node.outputs), 1))]
        try:
            node.backward(grads, node, *dys)
        except Exception:  # of a backward by hand, which may want a special gradient: named in the message
            unchecked.append(node.op)
            continue
        constants = [u.numpy().copy() for u in node.inputs]
        for j, u in enumerate(node.inputs):
            index = next((m for m, other in enumerate(made) if other is u), None)
            seen = any(u is other for other in node.inputs[:j])
            if seen or not u.requires_grad or u.dtype != np.float64 or (index is None and u.node is not None):
                continue

            value = partial(_replay, fn, arguments, dy, values, constants, i, u, index)
            grad = grads.found.get(u, np.zeros(u.shape))
            try:
                wrong = _compare(u, grad, value, settings, rng)
            except _OffTheTapeError:
                continue
            if wrong:
                return f"backward of '{node.op}' (operation {i + 1} of {len(made)}): gradient of its argument {j}{wrong}"
    if unchecked:
        return (
            f"Of the {len(made)} operations, these cannot be checked by themselves, the others are right: {', '.join(unchecked)}."
        )
    return (
        f"The backward of each of the {len(made)} operations on the tape is right by itself: the function depends on the argument"
        " in a way that is not on the tape (detach, no_grad, numpy)."
    )


def _replay(
    fn: Any,
    arguments: list[Tensor],
    dy: Array,
    values: list[Array],
    constants: list[Array],
    i: int,
    u: Tensor,
    index: int | None,
    at: Array,
) -> float:
    """Return the output of operation i times dy, with `at` for its input u (the result of operation index, or a leaf)."""
    k, seen = current(), 0
    outputs: list[Array] = []
    follows = False

    def hold(t: Tensor) -> Tensor:
        nonlocal seen, follows
        if seen == i and t.node is not None:
            outputs.append(t.numpy().copy())
            follows = any(
                not (now.requires_grad or np.array_equal(now.numpy(), before, equal_nan=True))
                for now, before in zip(t.node.inputs, constants, strict=True)
            )
        elif seen < i:
            t.data = k.asarray(at if seen == index else values[seen].copy())
        seen += 1
        return t

    with _moved(u, at):
        _run(fn, arguments, hold)
    if len(outputs) != 1 or outputs[0].shape != values[i].shape:
        raise ValueError("gradcheck: the function does other operations when it is called again")
    if follows:
        raise _OffTheTapeError
    return float((outputs[0] * dy).sum())
