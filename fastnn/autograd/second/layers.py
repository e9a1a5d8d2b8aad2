"""Rules of matrix products, the dense layer, convolutions, normalization, and functions with a custom backward."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

from ...backends import current
from ...backends.spec import LINEAR
from ...core.precision import rounded_to
from ...ops import activation, attention, convolution, dense, normalization, pooling, transposed_convolution
from ...ops.activation import activate
from ...ops.attention_weights import weighted
from ...ops.convolution import conv
from ...ops.dense import before_activation, matmul, matmul_batches, matmul_transposed
from ...ops.elementwise import add, mul, rsqrt, square, sub
from ...ops.index import getitem, split
from ...ops.logic import gt, where
from ...ops.padding import pad_constant
from ...ops.pooling import pooled_sizes
from ...ops.reduce import max as max_of
from ...ops.reduce import mean
from ...ops.reduce import sum as sum_of
from ...ops.shape import reshape, stack, swap_axes
from ..tensor import Array, Node, Tensor
from .elementwise import slope
from .rules import Wanted, derived, linked, rule, sum_to
from .run import composed

# ---- products ----


def _product(rounding: int, multiply: Callable[[Tensor, Tensor], Tensor], a: Tensor, b: Tensor) -> Tensor:
    """Return a product with factors rounded as in the forward pass."""
    with rounded_to(rounding):
        return multiply(a, b)


def transposed_matmul(rounding: int, a: Tensor, b: Tensor) -> Tensor:
    """Return a^T b for matrices, without a transposed copy."""
    k = current()
    c = k.empty((a.shape[1], b.shape[1]), a.dtype)
    k.matmul_tn(c, a.data, b.data, 1.0, 0.0, rounding)

    def gradients(a: Tensor, b: Tensor, dc: Tensor) -> Sequence[Wanted]:
        return partial(_product, rounding, matmul_transposed, b, dc), partial(_product, rounding, matmul, a, dc)

    return derived("matmul", c, (a, b), gradients)


def _matrix(x: Tensor) -> Tensor:
    """Return x with all dimensions but the last merged into one."""
    return x if x.ndim == 2 else reshape(x, (x.size // x.shape[-1] if x.shape[-1] else 0, x.shape[-1]))


@rule(dense._matmul_backward)
def _matmul(node: Node, dc: Tensor) -> Sequence[Wanted]:
    assert node.saved is not None
    (a, b), rounding = node.inputs, node.saved[2]
    return partial(_product, rounding, matmul_transposed, dc, b), partial(transposed_matmul, rounding, a, dc)


@rule(dense._matmul_transposed_backward)
def _matmul_transposed(node: Node, dy: Tensor) -> Sequence[Wanted]:
    assert node.saved is not None
    (x, w), rounding = node.inputs, node.saved[2]
    return partial(_product, rounding, matmul, dy, w), lambda: transposed_matmul(rounding, _matrix(dy), _matrix(x))


@rule(dense._matmul_batches_backward)
def _matmul_batches(node: Node, dc: Tensor) -> Sequence[Wanted]:
    assert node.saved is not None
    (a, b), rounding = node.inputs, node.saved[2]
    return (
        lambda: sum_to(_product(rounding, matmul_batches, dc, swap_axes(b, -1, -2)), a.shape),
        lambda: sum_to(_product(rounding, matmul, swap_axes(a, -1, -2), dc), b.shape),
    )


@rule(dense._dense_backward)
def _dense(node: Node, dy: Tensor) -> Sequence[Wanted]:
    assert node.saved is not None
    x, w = node.inputs[:2]
    _, _, y, _, act, rounding = node.saved
    dz = dy
    if act.id != LINEAR.id:
        dz = slope(dy, before_activation(node, dy.shape), linked(node, y.reshape(dy.shape)), act)
    return (
        lambda: _product(rounding, matmul_transposed, dz, w),
        lambda: transposed_matmul(rounding, _matrix(x), _matrix(dz)),
        lambda: sum_of(_matrix(dz), 0),
    )[: len(node.inputs)]


@composed(dense._dense_nets_backward)
def _dense_nets(node: Node) -> Tensor:
    assert node.saved is not None
    z = _product(node.saved[5], matmul, *node.inputs[:2])
    if len(node.inputs) == 3:
        b = node.inputs[2]
        z = add(z, reshape(b, (b.shape[0], 1, b.shape[1])))
    return activate(z, node.saved[4])


# ---- activations of several Tensors ----


@composed(activation._glu_backward)
def _glu(node: Node) -> Tensor:
    x, axis = node.inputs[0], node.attrs["axis"]
    values, gate = split(x, x.shape[axis] // 2, axis)
    return mul(values, activate(gate, node.attrs["activation"]))


@composed(activation._prelu_backward)
def _prelu(node: Node) -> Tensor:
    x, slope = node.inputs
    if slope.size == 1:
        slope = reshape(slope, ())
    return where(gt(x, 0), x, mul(slope, x))


# ---- convolutions: linear in the image and in the filters, so that the gradient by one is linear in the other ----


class _Conv(NamedTuple):
    """Compute a convolution without its bias and activation, and its gradients by the image and by the filters."""

    image: tuple[int, ...]
    filters: tuple[int, ...]
    places: tuple[int, ...]
    attrs: dict[str, Any]
    groups: int
    geometry: Array
    rounding: int

    def forward(self, x: Tensor, w: Tensor) -> Tensor:
        with rounded_to(self.rounding):
            return conv(x, w, **{name: self.attrs[name] for name in ("stride", "padding", "dilation")}, groups=self.groups)

    def by_image(self, dy: Tensor, w: Tensor) -> Tensor:
        """Return the gradient by the image, which is the transposed convolution of dy."""
        k = current()
        dx = k.empty(five(self.image, 1), dy.dtype)
        self._backward(dx, k.absent, dy, k.absent, w.data.reshape(five(self.filters, 0)))

        def gradients(dy: Tensor, w: Tensor, g: Tensor) -> Sequence[Wanted]:
            return lambda: self.forward(g, w), lambda: self.by_filters(dy, g)

        return derived("conv_gradient", dx.reshape(self.image), (dy, w), gradients)

    def by_filters(self, dy: Tensor, x: Tensor) -> Tensor:
        k = current()
        dw = k.empty(five(self.filters, 0), dy.dtype)
        self._backward(k.absent, dw, dy, x.data.reshape(five(self.image, 1)), dw)  # the values of the filters are not read

        def gradients(dy: Tensor, x: Tensor, g: Tensor) -> Sequence[Wanted]:
            return lambda: self.forward(x, g), lambda: self.by_image(dy, g)

        return derived("conv_gradient", dw.reshape(self.filters), (dy, x), gradients)

    def _backward(self, dx: Array, dw: Array, dy: Tensor, x: Array, w: Array) -> None:
        none, dy5 = current().absent, dy.data.reshape(five(self.places, 1))
        current().conv_backward(dx, dw, none, none, dy5, x, w, none, none, self.geometry, LINEAR, 0, self.rounding)


def five(shape: tuple[int, ...], at: int) -> tuple[int, ...]:
    """Return the shape with axes of size 1 before those of an image of fewer than three dimensions."""
    return (*shape[:at], *(1,) * (5 - len(shape)), *shape[at:])


@rule(convolution._conv_backward)
def _conv(node: Node, dy: Tensor) -> Sequence[Wanted]:
    assert node.saved is not None
    x, w = node.inputs[:2]
    x5, w5, y, z, geometry, act, rounding = node.saved
    linear = _Conv(x.shape, w.shape, dy.shape, node.attrs, x.shape[-1] // w.shape[-2], geometry, rounding)
    dz = dy
    if act.id != LINEAR.id:
        saved = x5, w5, y, current().absent, geometry, LINEAR, rounding
        made = Node("conv", {**node.attrs, "activation": LINEAR}, convolution._conv_backward, node.inputs, saved)
        before = Tensor((z if act.saves_z else y).reshape(dy.shape), True, made)
        dz = slope(dy, before, linked(node, y.reshape(dy.shape)), act)
    return (
        lambda: linear.by_image(dz, w),
        lambda: linear.by_filters(dz, x),
        lambda: sum_of(dz, tuple(range(dz.ndim - 1))),
    )[: len(node.inputs)]


@rule(transposed_convolution._conv_transpose_backward)
def _conv_transpose(node: Node, dy: Tensor) -> Sequence[Wanted]:
    assert node.saved is not None
    x, w = node.inputs[:2]
    _, _, geometry, _, rounding = node.saved
    linear = _Conv(dy.shape, w.shape, x.shape, node.attrs, node.attrs["groups"], geometry, rounding)
    return (
        lambda: linear.forward(dy, w),
        lambda: linear.by_filters(x, dy),
        lambda: sum_of(dy, tuple(range(dy.ndim - 1))),
    )[: len(node.inputs)]


@composed(pooling._max_pool_backward)
def _max_pool(node: Node) -> Tensor:
    x = node.inputs[0]
    size, stride, padding, dilation, ceil = (node.attrs[name] for name in ("size", "stride", "padding", "dilation", "ceil"))
    places = pooled_sizes(node.op, x.shape[1:-1], size, stride, padding, dilation, ceil)
    steps = [(n - 1) * s + 1 for n, s in zip(places, stride, strict=True)]
    reach = [n + d * (r - 1) for n, r, d in zip(steps, size, dilation, strict=True)]
    sides = tuple((before, n - before - own) for (before, _), n, own in zip(padding, reach, x.shape[1:-1], strict=True))
    padded = pad_constant(x, sides, -math.inf)
    parts = []
    for offset in itertools.product(*map(range, size)):  # the position in a window, in the order of the kernel
        starts = [o * d for o, d in zip(offset, dilation, strict=True)]
        window = (slice(a, a + n, s) for a, n, s in zip(starts, steps, stride, strict=True))
        parts.append(getitem(padded, (slice(None), *window)))
    return max_of(stack(parts), dim=0).values  # type: ignore[no-any-return]


# ---- normalization ----


@composed(normalization._normalize_backward)
def _normalize(node: Node) -> Tensor:
    assert node.saved is not None
    has_gamma, has_beta = node.saved[-2:]
    view, (x, *scales) = node.attrs["view"], node.inputs
    y = reshape(x, view)
    if node.attrs["center"]:
        y = sub(y, mean(y, (1, 3), True))
    y = mul(y, rsqrt(add(mean(square(y), (1, 3), True), node.attrs["epsilon"])))
    if has_gamma:
        y = mul(y, reshape(scales[0], view[2:]))
    if has_beta:
        y = add(y, reshape(scales[-1], view[2:]))
    return reshape(y, x.shape)


@composed(normalization._normalize_by_backward)
def _normalize_by(node: Node) -> Tensor:
    assert node.saved is not None
    _, _, average, variance, epsilon, has_gamma, has_beta = node.saved
    x, *scales = node.inputs
    y = mul(sub(x, Tensor(average)), rsqrt(add(Tensor(variance), epsilon)))
    if has_gamma:
        y = mul(y, scales[0])
    return add(y, scales[-1]) if has_beta else y


# ---- attention ----


@composed(attention._attention_backward)
def _attention(node: Node) -> Tensor:
    assert node.saved is not None
    sizes, rules, rate = node.saved[-3:]
    if rate is not None:
        raise NotImplementedError(f"grad: create_graph=True: {node.op} with dropout has no second derivative")
    if len(node.inputs) == 3:
        q, k, v = node.inputs
        return weighted(q, k, v, sizes, rules, None, None, node.attrs["heads_first"])
    g = node.inputs[0].shape[2] - sizes.heads
    q, k, v = split(node.inputs[0], [sizes.heads, g // 2, g // 2], 2)
    return weighted(q, k, v, sizes, rules, None, None, False)
