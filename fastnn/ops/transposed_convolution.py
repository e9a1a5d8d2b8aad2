"""Transposed convolutions of images, which have their channels last: the gradient of a convolution, as an operation."""

from __future__ import annotations

from collections.abc import Sequence

from ..autograd.tensor import Array, Gradients, Node, Tensor, result
from ..backends import current
from ..backends.spec import LINEAR
from ..core import arrays
from ..core.precision import precision
from .checks import floating, same_dtype
from .convolution import Sides, five, kernel_geometry
from .dense import ADD_DW


def conv_transpose(
    x: Tensor,
    w: Tensor,
    b: Tensor | None = None,
    *,
    stride: Sequence[int],
    padding: Sides,
    dilation: Sequence[int],
    groups: int = 1,
    op: str = "conv_transpose",
) -> Tensor:
    """Return the sum of filters, each at a place of the result and times a number of x; then b is added.

    Filters of neighbouring numbers lie ``stride`` apart.

    Args:
        x: (N, *image, C), with one to three axes of the image.
        w: (*filter, O, C), for groups of C / groups channels, each of which gives O channels of the output.
        b: (O groups,) or None.
        stride, dilation: a number for each axis.
        padding: how much is cut off before and after the result, for each axis. Less than 0 after it appends zeros.
        groups: number of groups.
        op: the name in error messages.

    Returns:
        (N, *places, O groups), with (image - 1) stride + dilation (filter - 1) + 1 - padding places along each axis.

    Raises:
        TypeError: x or w is not of floats of one dtype.
        ValueError: the shapes do not fit, or nothing is left of the image.

    Source: Dumoulin, Visin, arXiv 1603.07285, chapter 4.

    >>> import fastnn
    >>> x, w = fastnn.tensor([[[1.0], [2.0]]]), fastnn.tensor([[[1.0]], [[10.0]]])
    >>> fastnn.ops.transposed_convolution.conv_transpose(x, w, stride=(1,), padding=((0, 0),), dilation=(1,)).tolist()
    [[[1.0], [12.0], [20.0]]]
    """
    same_dtype(op, floating(op, x), w)
    axes = w.ndim - 2
    if x.ndim != w.ndim:
        raise ValueError(f"{op}: x has shape {x.shape}, wanted {axes + 2} dimensions: images, {axes} of an image, channels")
    outputs, inputs = w.shape[-2:]
    if x.shape[-1] != inputs or not inputs or not outputs or inputs % groups:
        raise ValueError(f"{op}: x has {x.shape[-1]} channels (shape {x.shape}), wanted {inputs}, and at least 1")
    places = transposed_sizes(op, x.shape[1:-1], w.shape[:-2], stride, padding, dilation)
    k, rounding = current(), 0 if outputs == 1 < inputs == groups else precision()  # as for a convolution
    geometry = k.constant(kernel_geometry(tuple(stride), tuple(dilation), tuple(before for before, _ in padding)))
    x5, w5 = (five(a.data, at) for a, at in ((x, 1), (w, 0)))
    y = k.empty((x.shape[0], *(1,) * (3 - axes), *places, outputs * groups), x.dtype)
    none = k.absent
    k.conv_backward(y, none, none, none, x5, none, w5, none, none, geometry, LINEAR, 0, rounding)
    if b is not None:
        arrays.binary(k, "add", y, b.data, y)
    saved = x5, w5, geometry, y.shape, rounding
    attrs = {"stride": tuple(stride), "padding": padding, "dilation": tuple(dilation), "groups": groups}
    out = y.reshape((x.shape[0], *places, outputs * groups))
    return result("conv_transpose", out, _conv_transpose_backward, (x, w) if b is None else (x, w, b), saved, attrs)


def _conv_transpose_backward(grads: Gradients, node: Node, dy: Array) -> None:
    assert node.saved is not None
    x, w, geometry, shape, rounding = node.saved
    k, inputs, none, dy5 = grads.k, node.inputs, grads.k.absent, dy.reshape(node.saved[3])
    if inputs[1].requires_grad:
        dw, add = grads.target(inputs[1])
        mask = ADD_DW if add else 0
        k.conv_backward(none, dw.reshape(w.shape), none, none, x, dy5, w, none, none, geometry, LINEAR, mask, rounding)
        grads.done(inputs[1], dw)
    if len(inputs) == 3 and inputs[2].requires_grad:
        grads.add(inputs[2], arrays.sum_to(k, dy.reshape(-1, shape[-1]), (shape[-1],)))
    if inputs[0].requires_grad:
        dx = k.empty(x.shape, x.dtype)
        k.conv_forward(dx, none, dy5, w, none, geometry, LINEAR, rounding)
        grads.add(inputs[0], dx.reshape(inputs[0].shape))


def transposed_sizes(
    op: str, image: Sequence[int], window: Sequence[int], stride: Sequence[int], padding: Sides, dilation: Sequence[int]
) -> tuple[int, ...]:
    """Return the size of the result of a transposed convolution, along each axis.

    Raises:
        ValueError: the image has no pixels, or the padding leaves none.
    """
    spans = [d * (n - 1) + 1 for n, d in zip(window, dilation, strict=True)]
    whole = [(n - 1) * s + span for n, s, span in zip(image, stride, spans, strict=True)]
    places = tuple(n - sum(sides) for n, sides in zip(whole, padding, strict=True))
    if 0 in image or min(places, default=1) < 1:
        raise ValueError(
            f"{op}: an image of {tuple(image)} gives {tuple(whole)}, of which padding {tuple(padding)} leaves nothing"
        )
    return places
