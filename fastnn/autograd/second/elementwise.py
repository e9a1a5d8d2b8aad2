"""Rules of arithmetic, element-wise functions and selection."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ...backends import current
from ...backends.spec import Activation
from ...ops import activation as activations
from ...ops import cast, elementwise, logic
from ...ops.elementwise import astype, div, log, mul, neg, pow, sub
from ...ops.logic import eq, gt, logical_and, lt, where
from ..tensor import Node, Tensor
from .curvature import curvature
from .rules import Wanted, derived, linked, rule, sum_to

# ---- arithmetic ----


def _pow_base(dz: Tensor, x: Tensor, y: Tensor, z: Tensor) -> Tensor:
    # Where x and y are 0, y x^(y - 1) would be 0 times infinity; x is replaced there, since where() alone would leave NaN in the
    # gradient of the product.
    safe = where(logical_and(eq(x, 0), eq(y, 0)), 1, x)
    return mul(mul(dz, y), pow(safe, sub(y, 1)))


def _pow_exponent(dz: Tensor, x: Tensor, y: Tensor, z: Tensor) -> Tensor:
    return mul(mul(dz, z), log(where(eq(x, 0), 1, x)))  # z log(x) counts as 0 where x is 0


def _extreme(own_wins: Callable[[Tensor, Tensor], Tensor]) -> tuple[Callable[..., Tensor], Callable[..., Tensor]]:
    def share(dz: Tensor, own: Tensor, other: Tensor) -> Tensor:
        return where(own_wins(own, other), dz, where(eq(own, other), mul(dz, 0.5), 0))

    return lambda dz, x, y, z: share(dz, x, y), lambda dz, x, y, z: share(dz, y, x)


_GRADIENTS: dict[str, tuple[Callable[..., Tensor], Callable[..., Tensor]]] = {
    "add": (lambda dz, x, y, z: dz, lambda dz, x, y, z: dz),
    "sub": (lambda dz, x, y, z: dz, lambda dz, x, y, z: neg(dz)),
    "mul": (lambda dz, x, y, z: mul(dz, y), lambda dz, x, y, z: mul(dz, x)),
    "div": (lambda dz, x, y, z: div(dz, y), lambda dz, x, y, z: neg(div(mul(dz, z), y))),
    "pow": (_pow_base, _pow_exponent),
    "maximum": _extreme(gt),
    "minimum": _extreme(lt),
}
"""Operation -> the gradients of x and y, of the result's shape, from dz, x, y and z."""


@rule(elementwise._binary_backward)
def _binary(node: Node, dz: Tensor) -> Sequence[Wanted]:
    assert node.saved is not None
    (x, y), z = node.inputs, linked(node, node.saved[2])
    by_x, by_y = _GRADIENTS[node.op]
    return lambda: sum_to(by_x(dz, x, y, z), x.shape), lambda: sum_to(by_y(dz, x, y, z), y.shape)


@rule(logic._where_backward)
def _where(node: Node, dz: Tensor) -> Sequence[Wanted]:
    c, x, y = node.inputs
    return None, lambda: sum_to(where(c, dz, 0), x.shape), lambda: sum_to(where(c, 0, dz), y.shape)


@rule(cast._astype_backward)
def _astype(node: Node, dy: Tensor) -> Sequence[Wanted]:
    return (lambda: astype(dy, node.inputs[0].dtype),)


@rule(elementwise._clone_backward)
def _clone(node: Node, dy: Tensor) -> Sequence[Wanted]:
    return (lambda: dy,)


# ---- functions of one Tensor ----


def slope(dy: Tensor, z: Tensor, y: Tensor, act: Activation) -> Tensor:
    """Return dy act'(z), computed by the kernel of the first backward; y is act(z).

    If backward of the function needs only y, the values of z are not read.
    """
    if act.name == "affine":
        return mul(dy, act.p0)
    k = current()
    dx = k.empty(dy.shape, dy.dtype)
    k.activation_backward(dx, dy.data, z.data, y.data, act)

    def gradients(dy: Tensor, z: Tensor, y: Tensor, g: Tensor) -> Sequence[Wanted]:
        bend = curvature(act)
        return (
            lambda: slope(g, z, y, act),
            None if bend is None else lambda: mul(mul(g, dy), bend(z, y, act.p0, act.p1)),
            None,  # y depends on z: the gradient by z is the whole
        )

    return derived(f"{act.name}_slope", dx, (dy, z, y), gradients)


@rule(activations._activate_backward)
def _activate(node: Node, dy: Tensor) -> Sequence[Wanted]:
    assert node.saved is not None
    _, y, act = node.saved
    return (lambda: slope(dy, node.inputs[0], linked(node, y), act),)
