"""Indexing by integers, slices, index arrays and masks, and operations that split, repeat or move parts of a Tensor."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import reduce
from itertools import accumulate, pairwise
from typing import Any

import numpy as np

from ..autograd.tape import changed, copied
from ..autograd.tensor import Array, Gradients, Node, Tensor, result, results, torch_names
from ..backends import current
from ..core import arrays
from ..core.convert import StepInput, host_array
from ..core.layout import broadcast_strides, strides_of
from .checks import as_tensor, axis_of, same_dtype, whole_number
from .data import as_index, from_0
from .data import rows as rows_of
from .elementwise import add, clone, mul
from .shape import broadcast_to, concatenate, reshape, sizes, transpose

ALL = slice(None)


def getitem(x: Tensor, key: Any) -> Tensor:
    """Return x[key] as a copy, by NumPy's rules: integers, slices, None and ..., index arrays that broadcast, and masks.

    The size of the result of a mask depends on the data, so steps that use masks are not recorded.
    """
    x = as_tensor(x, "indexing")
    keys = [_plain(item) for item in (key if isinstance(key, tuple) else (key,))]
    if not any(_is_array(item) for item in keys):
        return copied(_slice(x, keys))
    return _pick(x, [part for item in keys for part in _without_masks(item)])


def setitem(x: Tensor, key: Any, value: Any) -> None:
    """Assign x[key] = value on a leaf, under `no_grad` if it requires a gradient; by integers and slices."""
    x._check_in_place("item assignment")
    keys = [_plain(item) for item in (key if isinstance(key, tuple) else (key,))]
    if any(_is_array(item) for item in keys):
        raise TypeError("item assignment: wanted whole numbers and slices; for masks there are masked_fill and where")
    base, order = getattr(x, "base", x), getattr(x, "order", None)  # base and order of a parameter view
    if not base.data.flags.c_contiguous:
        raise ValueError(f"item assignment: the array of the Tensor has strides {x.data.strides}, wanted a C-contiguous one")
    if order is not None and order.blocks:  # strides cannot describe permuted blocks: write all values
        whole = Tensor(arrays.arranged(current(), base.data, order))
        setitem(whole, key, value)
        arrays.store_arranged(current(), base.data, whole.data, order)
        changed(base)
        return
    own = strides_of(base.shape)
    shape, strides, offset = _walk(x.shape, keys, own if order is None else tuple(own[a] for a in order.axes))
    new = as_tensor(value, "item assignment", x)
    same_dtype("item assignment", x, new)
    if current().xp.may_share_memory(x.data, new.data):
        new = clone(new)
    if arrays.broadcast("item assignment", new.shape, shape)[0] != shape:
        raise ValueError(f"item assignment: shape {new.shape} into {shape}")
    arrays.copy_walk(current(), base.data, new.data, shape, strides, broadcast_strides(new.shape, shape), yo=offset)
    changed(base)


def _plain(item: Any) -> Any:
    """Return an index array without dimensions as an integer."""
    if _is_array(item) and not isinstance(item, list) and item.ndim == 0 and item.dtype != np.bool_:
        return item.__index__() if isinstance(item, Tensor) else int(item)
    return item


def _is_array(item: Any) -> bool:
    return isinstance(item, list | np.ndarray | Tensor | StepInput) or type(item) is current().xp.ndarray


def _without_masks(item: Any) -> tuple[Any, ...]:
    """Return the index arrays of the true elements of a mask; other items unchanged."""
    if not _is_array(item):
        return (item,)
    given = host_array(item, None, "indexing") if isinstance(item, list) else item
    if given.dtype != np.bool_:
        return (item,)
    mask = np.asarray(given)
    if not mask.ndim:
        raise TypeError("indexing: a mask without dimensions came, wanted one of the first axes' sizes")
    return tuple(_OfMask(places, n) for places, n in zip(mask.nonzero(), mask.shape, strict=True))


class _OfMask:
    """Indices of true elements along one dimension of a mask, which has size n."""

    def __init__(self, places: np.ndarray[Any, Any], n: int) -> None:
        self.places = places
        self.n = n


def _complete(keys: Sequence[Any], ndim: int) -> list[Any]:
    """Return the keys with slices for ... and for omitted axes at the end."""
    if sum(item is Ellipsis for item in keys) > 1:
        raise IndexError("indexing: ... may stand once")
    given = sum(item is not None and item is not Ellipsis for item in keys)
    if given > ndim:
        raise IndexError(f"indexing: {given} indices for a Tensor with {ndim} dimensions")
    rest = [ALL] * (ndim - given)
    at = next((i for i, item in enumerate(keys) if item is Ellipsis), len(keys))
    return [*keys[:at], *rest, *keys[at + 1 :]]


# ---- integers and slices: one strided copy ----


def _walk(own_shape: tuple[int, ...], keys: Sequence[Any], own: Sequence[int]) -> tuple[tuple[int, ...], tuple[int, ...], int]:
    """Return the shape, strides and offset of the part that integers and slices select from an array with this shape."""
    shape: list[int] = []
    strides: list[int] = []
    axis = offset = 0
    for item in _complete(keys, len(own_shape)):
        if item is None:
            shape.append(1)
            strides.append(0)
            continue
        if isinstance(item, slice):
            start, stop, step = item.indices(own_shape[axis])
            n = len(range(start, stop, step))
            offset += start * own[axis] if n else 0
            shape.append(n)
            strides.append(step * own[axis])
        elif _is_int(item):
            offset += _in_range(item, own_shape[axis], axis) * own[axis]
        else:
            raise TypeError(
                f"indexing: {type(item).__name__} {item!r}, wanted whole numbers, slices, None, ..., index arrays or masks"
            )
        axis += 1
    return tuple(shape), tuple(strides), offset


def _slice(x: Tensor, keys: Sequence[Any]) -> Tensor:
    shape, strides, offset = _walk(x.shape, keys, strides_of(x.shape))
    k = current()
    y = k.empty(shape, x.dtype)
    arrays.copy_walk(k, y, x.data, shape, strides_of(shape), strides, xo=offset)
    return result("getitem", y, _slice_backward, (x,), (shape, strides, offset), {"key": tuple(keys)})


def _is_int(item: Any) -> bool:
    return isinstance(item, int | np.integer) and not isinstance(item, bool)


def _in_range(item: int, n: int, axis: int) -> int:
    if not -n <= item < n:
        raise IndexError(f"indexing: index {item} is out of range for axis {axis} of size {n}")
    return int(item) % n


def _slice_backward(grads: Gradients, node: Node, dy: Array) -> None:
    assert node.saved is not None
    shape, strides, offset = node.saved
    dx = arrays.filled(grads.k, node.inputs[0].shape, dy.dtype, 0.0)
    arrays.copy_walk(grads.k, dx, dy, shape, strides, strides_of(shape), yo=offset)
    grads.add(node.inputs[0], dx)


# ---- index arrays: the indexed axes are moved to the front and merged into one, from which rows are taken ----


def _pick(x: Tensor, keys: Sequence[Any]) -> Tensor:
    # As in NumPy, an int next to an index array is an index array, too, and ... separates two of them even if it covers no axis.
    own = [i for i, item in enumerate(keys) if not (item is None or item is Ellipsis or isinstance(item, slice))]
    together = own == list(range(own[0], own[-1] + 1))
    keys, single = _complete(keys, x.ndim), len(own) == 1  # several indices are combined to one
    basic: list[Any] = []
    picked: list[tuple[int, Tensor]] = []  # dimension after slicing, and its index
    axis = 0
    for at, item in enumerate(keys):
        if item is None or isinstance(item, slice):
            basic.append(item)
            axis += item is not None
            continue
        n = x.shape[axis]
        if isinstance(item, _OfMask):
            if item.n != n:
                raise IndexError(f"indexing: a mask of size {item.n} for axis {axis} of size {n}")
            item = item.places
        elif _is_int(item):
            item = np.int64(_in_range(item, n, axis))
        elif not _is_array(item):
            raise TypeError(f"indexing: {type(item).__name__} {item!r} beside an index array")
        index = as_index(item, "indexing", n)
        picked.append((at, index if single else from_0(index, n)))
        basic.append(ALL)
        axis += 1
    if any(item is None or item != ALL for item in basic):
        x = _slice(x, basic)
    places = [at for at, _ in picked]
    try:
        common = np.broadcast_shapes(*(index.shape for _, index in picked))
    except ValueError:
        raise IndexError(f"indexing: index arrays of shapes {[i.shape for _, i in picked]} do not broadcast") from None
    rest = [d for d in range(x.ndim) if d not in places]
    strides = strides_of([x.shape[d] for d in places])
    terms = (index if s == 1 else mul(index, s) for (_, index), s in zip(picked, strides, strict=True))
    rows = broadcast_to(reduce(add, terms), common)
    table = transpose(x, (*places, *rest))
    if len(places) > 1:
        table = reshape(table, math.prod(table.shape[: len(places)]), *table.shape[len(places) :])
    y = rows_of(table, rows)
    # The dimensions of the index replace its first axis. If other items separate its axes, they come first.
    front = places[0] if together else 0
    m = len(common)
    return transpose(y, (*range(m, m + front), *range(m), *range(m + front, y.ndim)))


@torch_names
def index_select(x: Any, axis: int, index: Any) -> Tensor:
    """Return the entries with these indices along an axis.

    >>> import fastnn
    >>> fastnn.index_select(fastnn.tensor([[1.0, 2.0, 3.0]]), 1, [2, 0]).tolist()
    [[3.0, 1.0]]
    """
    x = as_tensor(x, "index_select")
    index = as_tensor(index, "index_select")
    if index.ndim != 1:
        raise ValueError(f"index_select: an index of shape {index.shape} came, wanted one dimension")
    return _pick(x, [ALL] * axis_of(axis, x.ndim, "index_select") + [index])


# ---- parts and repetitions ----


@torch_names
def split(x: Any, size: int | Sequence[int], axis: int = 0) -> tuple[Tensor, ...]:
    """Split x along an axis into parts of this size (the last may be smaller), or of the sizes in a list, as in PyTorch.

    >>> import fastnn
    >>> [part.tolist() for part in fastnn.split(fastnn.tensor([1, 2, 3, 4, 5]), 2)]
    [[1, 2], [3, 4], [5]]
    """
    x = as_tensor(x, "split")
    axis = axis_of(axis, x.ndim, "split")
    n = x.shape[axis]
    if isinstance(size, Sequence | np.ndarray):
        bounds = [0, *accumulate(whole_number(s, "split: a size", 0) for s in size)]
        if bounds[-1] != n:
            raise ValueError(f"split: parts of sizes {list(size)} of axis {axis}, which has size {n}")
    else:
        size = whole_number(size, "split: size", 1)
        bounds = [*range(0, n, size), n] if n else [0, 0]
    parts = [_part(x, axis, slice(a, b)) for a, b in pairwise(bounds)]
    return _parts("split", x, parts, size=[b - a for a, b in pairwise(bounds)], axis=axis)


Walk = tuple[tuple[int, ...], tuple[int, ...], int]


def _part(x: Tensor, axis: int, key: Any) -> Walk:
    """Return shape, strides and offset of the part of x that a key selects along an axis."""
    return _walk(x.shape, [ALL] * axis + [key], strides_of(x.shape))


def _parts(op: str, x: Tensor, parts: list[Walk], **attrs: Any) -> tuple[Tensor, ...]:
    """Make the Tensors of an operation that splits x into parts."""
    k, copies = current(), []
    for shape, strides, offset in parts:
        y = k.empty(shape, x.dtype)
        arrays.copy_walk(k, y, x.data, shape, strides_of(shape), strides, xo=offset)
        copies.append(y)
    return tuple(map(copied, results(op, copies, _parts_backward, (x,), (parts,), attrs)))


def _parts_backward(grads: Gradients, node: Node, *dys: Array | None) -> None:
    assert node.saved is not None
    (parts,), x, k = node.saved, node.inputs[0], grads.k
    dx = k.empty(x.shape, x.dtype)
    if any(dy is None for dy in dys):
        arrays.fill(k, dx, 0.0)
    for dy, (shape, strides, offset) in zip(dys, parts, strict=True):
        if dy is not None:
            arrays.copy_walk(k, dx, dy, shape, strides, strides_of(shape), yo=offset)
    grads.add(x, dx)


@torch_names
def chunk(x: Any, chunks: int, axis: int = 0) -> tuple[Tensor, ...]:
    """Split x along an axis into at most `chunks` parts of equal size; the last may be smaller."""
    x = as_tensor(x, "chunk")
    chunks = whole_number(chunks, "chunk: chunks", 1)
    return split(x, max(-(-x.shape[axis_of(axis, x.ndim, "chunk")] // chunks), 1), axis)


@torch_names
def unbind(x: Any, axis: int = 0) -> tuple[Tensor, ...]:
    """Return the entries along an axis, without this axis."""
    x = as_tensor(x, "unbind")
    axis = axis_of(axis, x.ndim, "unbind")
    return _parts("unbind", x, [_part(x, axis, i) for i in range(x.shape[axis])], axis=axis)


@torch_names
def flip(x: Any, axis: int | Sequence[int] | None = None) -> Tensor:
    """Reverse the order along one axis, several axes or all."""
    x = as_tensor(x, "flip")
    given = range(x.ndim) if axis is None else axis if isinstance(axis, Sequence) else (axis,)
    axes = {axis_of(a, x.ndim, "flip") for a in given}
    return _slice(x, [slice(None, None, -1 if d in axes else 1) for d in range(x.ndim)])


@torch_names
def roll(x: Any, shift: int | Sequence[int], axis: int | Sequence[int] | None = None) -> Tensor:
    """Shift the entries along an axis, or in the flattened Tensor; entries beyond the end move to the front.

    For several axes, pass one shift for each.

    >>> import fastnn
    >>> fastnn.roll(fastnn.tensor([1, 2, 3]), 1).tolist()
    [3, 1, 2]
    """
    x = as_tensor(x, "roll")
    if axis is None:
        return reshape(roll(reshape(x, -1), shift, 0), x.shape)
    if isinstance(shift, Sequence) or isinstance(axis, Sequence):
        shifts, axes = (v if isinstance(v, Sequence) else (v,) for v in (shift, axis))
        if len(shifts) != len(axes):
            raise ValueError(f"roll: {len(shifts)} shifts and {len(axes)} axes came; wanted as many of both")
        y = as_tensor(x, "roll")
        for s, a in zip(shifts, axes, strict=True):
            y = roll(y, s, a)
        return y
    axis, shift = axis_of(axis, x.ndim, "roll"), whole_number(shift, "roll: shift")
    n = x.shape[axis]
    at = -shift % n if n else 0
    before = [ALL] * axis
    return concatenate([_slice(x, [*before, slice(at, None)]), _slice(x, [*before, slice(None, at)])], axis) if at else x


def tile(x: Any, *times: Any) -> Tensor:
    """Repeat x along each axis, with new axes in front; this is PyTorch's ``repeat`` method.

    >>> import fastnn
    >>> fastnn.tile(fastnn.tensor([1, 2]), 2, 2).tolist()
    [[1, 2, 1, 2], [1, 2, 1, 2]]
    """
    x, many = as_tensor(x, "tile"), sizes("tile", times)
    n = max(x.ndim, len(many))
    own, many = (1,) * (n - x.ndim) + x.shape, (1,) * (n - len(many)) + many
    if min(many, default=1) < 0:
        raise ValueError(f"tile: {many} times, wanted numbers of at least 0")
    apart = reshape(x, [size for d in own for size in (1, d)])
    return reshape(
        broadcast_to(apart, [size for d, m in zip(own, many, strict=True) for size in (m, d)]),
        [d * m for d, m in zip(own, many, strict=True)],
    )


@torch_names
def repeat_interleave(x: Any, repeats: int, axis: int | None = None) -> Tensor:
    """Repeat each entry along an axis, or of the flattened Tensor; this is NumPy's ``repeat``.

    >>> import fastnn
    >>> fastnn.repeat_interleave(fastnn.tensor([1, 2]), 2, 0).tolist()
    [1, 1, 2, 2]
    """
    x = as_tensor(x, "repeat_interleave")
    if axis is None:
        return repeat_interleave(reshape(x, -1), repeats, 0)
    axis = axis_of(axis, x.ndim, "repeat_interleave")
    repeats = whole_number(repeats, "repeat_interleave: repeats", 0)
    before, n, after = x.shape[:axis], x.shape[axis], x.shape[axis + 1 :]
    apart = broadcast_to(reshape(x, (*before, n, 1, *after)), (*before, n, repeats, *after))
    return reshape(apart, (*before, n * repeats, *after))
