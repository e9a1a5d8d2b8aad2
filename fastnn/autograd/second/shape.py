"""Rules of shapes, and of operations that only move, select or add elements."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence

from ...backends import current
from ...core import arrays
from ...ops import augmentation, data, embedding, index, layout, padding, pooling, random, reduce, resample, rotary, shape
from ...ops.augmentation import affine_transform
from ...ops.data import gather, rows, take
from ...ops.elementwise import astype, div, mul
from ...ops.embedding import bag_sum
from ...ops.index import split
from ...ops.logic import ne
from ...ops.padding import pad_constant
from ...ops.pooling import avg_pool
from ...ops.reduce import cumsum
from ...ops.shape import concatenate, reshape, stack, transpose
from ..tensor import Array, Backward, Gradients, Node, Tensor, result
from .rules import RULES, Wanted, derived, rule, sum_to


@rule(shape._reshape_backward)
def _reshape(node: Node, dy: Tensor) -> Sequence[Wanted]:
    return (lambda: reshape(dy, node.inputs[0].shape),)


@rule(shape._transpose_backward)
def _transpose(node: Node, dy: Tensor) -> Sequence[Wanted]:
    order = node.attrs["axes"]
    return (lambda: transpose(dy, tuple(order.index(a) for a in range(len(order)))),)


@rule(layout._backward)
def _channels_first(node: Node, dy: Tensor) -> Sequence[Wanted]:
    return (lambda: transpose(dy, (0, *range(2, dy.ndim), 1)),)


@rule(shape._broadcast_to_backward)
def _broadcast_to(node: Node, dy: Tensor) -> Sequence[Wanted]:
    return (lambda: sum_to(dy, node.inputs[0].shape),)


@rule(shape._concatenate_backward)
def _concatenate(node: Node, dy: Tensor) -> Sequence[Wanted]:
    axis = node.attrs["axis"]
    parts = split(dy, [t.shape[axis] for t in node.inputs], axis)
    return [lambda part=part: part for part in parts]  # type: ignore[misc]


@rule(index._parts_backward)
def _parts(node: Node, *dys: Tensor | None) -> Sequence[Wanted]:
    join = stack if node.op == "unbind" else concatenate

    def gradient() -> Tensor:
        zeros = functools.partial(arrays.filled, current(), value=0.0)
        parts = [Tensor(zeros(*out)) if dy is None else dy for dy, out in zip(dys, node.outputs, strict=True)]
        return join(parts, node.attrs.get("axis", 0))

    return (gradient,)


@rule(random._noise_backward)
def _noise(node: Node, dy: Tensor) -> Sequence[Wanted]:
    return (lambda: dy,)


@rule(data._scatter_add_backward)
def _scatter_add(node: Node, dy: Tensor) -> Sequence[Wanted]:
    return lambda: dy, None, lambda: gather(dy, node.attrs["axis"], node.inputs[1])


# ---- linear operations of one Tensor, whose gradient is computed by the kernel of the first backward ----

Operation = Callable[[Tensor], Tensor]


class _Kernel(Gradients):
    """Gradients of one node with one input that has a gradient."""

    array: Array

    def target(self, t: Tensor) -> tuple[Array, bool]:
        return self.k.empty(t.shape, t.dtype), False

    def done(self, t: Tensor, array: Array, marked: bool = False) -> None:
        self.array = array

    def add(self, t: Tensor, array: Array) -> None:
        self.array = array


def linear(backward: Backward, forward: Callable[[Node], Operation]) -> None:
    """Store the rule of a linear operation.

    Args:
        backward: the backward function of its nodes.
        forward: called with a node; returns the operation, as a function of the input. It is the gradient of the gradient.
    """

    def gradient_of(node: Node, dy: Tensor, *_: None) -> Sequence[Wanted]:  # gather may have a second output of indices
        again = forward(node)

        def gradient() -> Tensor:
            kernel = _Kernel()
            backward(kernel, node, dy.data)
            return derived(f"{node.op}_gradient", kernel.array, (dy,), lambda dy, g: (lambda: again(g),))

        return gradient, *[None] * (len(node.inputs) - 1)

    RULES[backward] = gradient_of


def _of_gather(node: Node) -> Operation:
    assert node.saved is not None
    (index3, shape3), index = node.saved, node.inputs[1:]
    out = index[0].shape if index else node.outputs[0][0]
    return lambda g: reshape(gather(reshape(g, shape3), 1, Tensor(index3)), out)


def _of_embedding(node: Node) -> Operation:
    (vocabulary, _), table_index = node.inputs[0].shape, node.inputs[1]
    padding_idx, by_frequency = node.attrs["padding_idx"], node.attrs["scale_grad_by_freq"]

    def again(g: Tensor) -> Tensor:
        y = rows(g, table_index)
        if by_frequency:
            counts = embedding._counts(current(), table_index.data.reshape(-1), vocabulary, g.dtype)
            y = div(y, reshape(Tensor(counts), (*table_index.shape, 1)))
        if padding_idx is not None:
            y = mul(y, reshape(astype(ne(table_index, padding_idx), g.dtype), (*table_index.shape, 1)))
        return y

    return again


def _same_mask(node: Node) -> Operation:
    """Return the gradient of dropout: it multiplies by the same factors as the gradient of the gradient."""
    assert node.saved is not None
    (aux, rate), op = node.saved, node.op

    def again(dy: Tensor) -> Tensor:
        k = current()
        dx = k.empty(dy.shape, dy.dtype)
        getattr(k, f"{op}_backward")(dx, dy.data, aux, rate)
        return derived(f"{op}_gradient", dx, (dy,), lambda dy, g: (lambda: again(g),))

    return again


def _same(node: Node, forward: Callable[[Array], Array]) -> Operation:
    """Return the operation of a node for another input, from the function that computes its output."""
    assert node.saved is not None
    op, backward, others, saved, attrs = node.op, node.backward, node.inputs[1:], node.saved, node.attrs
    return lambda g: result(op, forward(g.data), backward, (g, *others), saved, attrs)


def _of_resample(node: Node) -> Operation:
    assert node.saved is not None
    (steps,) = node.saved

    def forward(x: Array) -> Array:
        for axis, along in steps:
            x = resample._along(current(), x, axis, along.source, along.weight)
        return x

    return _same(node, forward)


def _of_rotary(node: Node) -> Operation:
    assert node.saved is not None
    turns, at, heads, halves = node.saved

    def forward(x: Array) -> Array:
        k = current()
        y = k.empty(x.shape, x.dtype)
        k.rotary(y, x, turns, at, heads, halves, 0)
        return y

    return _same(node, forward)


def _of_affine_transform(node: Node) -> Operation:
    assert node.saved is not None
    matrix, how = Tensor(node.saved[0]), {**node.attrs, "fill_value": 0.0}
    return lambda g: affine_transform(g, matrix, **how)


linear(index._slice_backward, lambda node: lambda g: index._slice(g, node.attrs["key"]))
linear(data._take_backward, lambda node: lambda g: rows(g, node.inputs[1]))
linear(shape._arranged_backward, lambda node: lambda g: take(g, node.inputs[1], node.attrs["axis"]))
linear(data.gather_backward, _of_gather)
linear(reduce._cumsum_backward, lambda node: lambda g: cumsum(g, node.attrs["axis"]))
linear(embedding._embedding_backward, _of_embedding)
linear(embedding._bag_sum_backward, lambda node: lambda g: bag_sum(g, node.inputs[1], node.attrs["count"]))
linear(padding._pad_constant_backward, lambda node: lambda g: pad_constant(g, node.attrs["sides"]))
linear(pooling._avg_pool_backward, lambda node: lambda g: avg_pool(g, **node.attrs))
linear(random._dropped_backward, _same_mask)
linear(resample._resample_backward, _of_resample)
linear(rotary._rotary_backward, _of_rotary)
linear(augmentation._backward, _of_affine_transform)
