"""Check of gradients against finite differences: of the whole function, and if it fails, of each single operation."""

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
    """Error: a gradient differs from its finite difference."""


class Leaf(NamedTuple):
    """Tensor with respect to which the function is differentiated, and its name in messages."""

    name: str
    tensor: Tensor
    order: Order | None = None
    """Order of the axes of the view with this name, relative to the stored Tensor; None if it is no view."""


class Settings(NamedTuple):
    """Step of the finite differences, and tolerances of the gradients."""

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

    The function that is differentiated is the output, if it is one number, or else a random weighted sum of all outputs.
    Gradients are first checked along random directions. If one is wrong, every element of it is checked, and every operation on
    the tape is checked separately.

    Args:
        fn: a function of Tensors, a Module, or a loss. It returns a Tensor, or tuples, lists and dicts of Tensors, nested to any
            depth. It must return the same result each time (so put a model with dropout into evaluation mode). The parameters of
            a Module are checked too; they are float64 during the check.
        inputs: its arguments: anything that `fastnn.tensor` takes, or lists and dicts of arrays, nested to any depth. Arguments
            of floats are checked, others are only passed on.
        eps: step size of the finite differences, to both sides.
        rtol, atol: relative and absolute tolerance of a gradient.
        seed: seed of the directions.

    Returns:
        True.

    Raises:
        GradcheckError: a gradient is wrong. The message names the argument or parameter, its worst element, and the operation
            whose backward is wrong. If all operations are right, or if the function has a kink there, the message says so.
        ValueError: the function returns another result when it is called again.

    >>> import fastnn
    >>> fastnn.gradcheck(lambda x: (x * x).sum(), [[1.0, 2.0, 3.0]])
    True
    >>> fastnn.gradcheck(fastnn.Dense(2, activation="tanh", input_shape=(3,)), fastnn.rand(4, 3))
    True
    """
    check(fn, inputs, Settings(eps, rtol, atol), seed)
    return True


Change = Callable[[Callable[..., Any], list[Tensor], list[Leaf], np.random.Generator], Callable[..., Any]]


def check(
    fn: Callable[..., Any], inputs: Any, settings: Settings, seed: int, op: str = "gradcheck", change: Change | None = None
) -> None:
    """Check the gradients of a function; or of another one, that `change` makes of it and of the arguments and leaves."""
    given = inputs if isinstance(inputs, tuple | list) and not _is_numbers(inputs) else (inputs,)
    given = tuple(given)
    tree, values = flatten(given, lambda value: value is not given and _is_data(value))
    arrays = [np.asarray(a.numpy() if isinstance(a, Tensor) else a) for a in values]
    if not check_number(settings.eps, f"{op}: eps", 0):
        raise ValueError(f"{op}: eps is 0, wanted a number above 0")
    name, rng = getattr(fn, "__name__", type(fn).__name__), np.random.default_rng(seed)
    block, parameters = _in_double(fn, unflatten(tree, arrays))
    with block:
        arguments = [tensor(a.astype(np.float64), requires_grad=True) if a.dtype.kind == "f" else tensor(a) for a in arrays]
        names = [f"argument {place[1:].replace(']', '', 1)}" for place in places(tree)]  # of "[0]['h']", argument 0['h']
        leaves = [*(Leaf(place, t) for place, t in zip(names, arguments, strict=True) if t.requires_grad), *parameters]
        called = _joined(fn, tree)
        if change is not None:
            called, name = change(called, arguments, leaves, rng), f"the gradient of {name}"
        _check(called, name, arguments, leaves, settings, rng)


def _joined(fn: Callable[..., Any], tree: Tree) -> Callable[..., Any]:
    """Return the function with one argument for each leaf; several outputs of floats are concatenated into one."""

    def joined(*arguments: Tensor) -> Any:
        out = fn(*unflatten(tree, arguments))
        many = flatten(out)[1]
        if isinstance(out, Tensor) or not many or not all(isinstance(t, Tensor) for t in many):
            return out
        return concatenate([reshape(t, -1) for t in many if t.dtype.kind == "f"])

    return joined


def _is_data(value: Any) -> bool:
    """Return whether the value is a list or tuple of numbers, which becomes one array, and not a list of arrays."""
    return isinstance(value, list | tuple) and not any(isinstance(a, np.ndarray | Tensor) for a in flatten(value)[1])


def _is_numbers(inputs: Any) -> bool:
    return all(isinstance(v, int | float) for v in inputs)


def _in_double(fn: Any, inputs: Sequence[Any]) -> tuple[Finally, list[Leaf]]:
    """Return a block in which a Module's parameters and floating-point buffers are float64, and its trainable parameters."""
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
        raise ValueError(f"gradcheck: {name} returns another result when it is called again with the same inputs")
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
    """Element of a wrong gradient with the largest error."""

    place: tuple[int, ...]
    analytic: float
    numeric: float
    kink: str

    def __str__(self) -> str:
        where = f"[{', '.join(map(str, self.place))}]" if self.place else ""
        return f"{where} is {self.analytic:.9g}, by finite differences {self.numeric:.9g}{self.kink}"


def _place(at: tuple[int, ...], shape: tuple[int, ...], order: Order | None) -> tuple[int, ...]:
    """Return the index of an element in the view of the array with this order."""
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
    """Compare a gradient at t with finite differences of `value`; return the worst element, or None if it is right."""
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


# ---- search for the wrong operation: each backward is compared with differences of its output, other inputs are constant ----


class _OffTheTapeError(Exception):
    """Error: an input that is not on the tape depends on another input, so the operation cannot be checked separately."""


class _Local(Gradients):
    """Gradients of the inputs of one node."""

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
    """Return the result of the function, in which each Tensor on the tape is replaced by watch(tensor)."""
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
        except Exception:  # a custom backward may need a special gradient; the message names the operation
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
        return f"Of the {len(made)} operations, these cannot be checked separately, the others are right: {', '.join(unchecked)}."
    return (
        f"The backward of each of the {len(made)} operations on the tape is right, so the function depends on the argument"
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
    """Return the sum of dy times the output of operation i, if its input u has the values `at`.

    The input u is the result of operation `index`, or a leaf if `index` is None.
    """
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
        raise ValueError("gradcheck: the function runs other operations when it is called again")
    if follows:
        raise _OffTheTapeError
    return float((outputs[0] * dy).sum())
