"""Table of the operations that are methods and operators of Tensor, such as ``t.exp()`` or ``t + u``.

A method is the function itself, with the Tensor as its first argument. See the function's documentation.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..ops import (
    activation,
    angles,
    arrange,
    bits,
    composed,
    convert,
    data,
    dense,
    division,
    elementwise,
    factors,
    gamma,
    index,
    inverses,
    logic,
    matrices,
    numbers,
    places,
    reduce,
    sampling,
    search,
    shape,
    statistics,
)
from ..ops import sort as sorting
from . import numpy_functions as numpys
from .hooks import grad_fn, register_hook
from .in_place import InPlaceMethods, kept
from .tensor import Tensor


def _swapped(f: Callable[[Any, Any], Tensor]) -> Callable[[Any, Any], Tensor]:
    """Return the operator for a Tensor as the right operand."""

    def right(self: Any, other: Any) -> Tensor:
        return f(other, self)

    return right


def _to(dtype: Any) -> Callable[[Any], Tensor]:
    def cast(self: Any) -> Tensor:
        return elementwise.astype(self, dtype)

    cast.__doc__ = f"Convert the values to {np.dtype(dtype)}."
    return cast


def _augmented(f: Callable[[Any, Any], Tensor]) -> Callable[[Any, Any], Tensor]:
    """Return the operator for ``p -= lr * p.grad``: in place on a leaf that requires a gradient, else with a new Tensor."""

    def assign(self: Any, other: Any) -> Tensor:
        value: Tensor = f(self, other)
        return self.copy_(kept(self, value)) if self.node is None and self.requires_grad else value

    return assign


_OPERATORS: dict[Any, Callable[[Any, Any], Tensor]] = {
    np.add: elementwise.add,
    np.subtract: elementwise.sub,
    np.multiply: elementwise.mul,
    np.true_divide: elementwise.div,
    np.floor_divide: division.floor_divide,
    np.remainder: division.remainder,
    np.power: elementwise.pow,
    np.matmul: dense.matmul,
    np.less: logic.lt,
    np.less_equal: logic.le,
    np.greater: logic.gt,
    np.greater_equal: logic.ge,
    np.equal: logic.eq,
    np.not_equal: logic.ne,
    np.bitwise_and: logic.logical_and,
    np.bitwise_or: logic.logical_or,
    np.bitwise_xor: logic.logical_xor,
}
"""NumPy function -> operation that replaces it. NumPy calls the function if the left operand of an operator is an array."""


class Methods(InPlaceMethods):
    """Methods and operators that are added to Tensor."""

    __slots__ = ()

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
        operator = _OPERATORS.get(ufunc)
        if operator is not None and method == "__call__" and not kwargs:
            return operator(*inputs)
        return numpys.call(ufunc, getattr(ufunc, method), inputs, kwargs)

    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
        return numpys.call(function, function, args, kwargs)

    __add__ = elementwise.add
    __radd__ = _swapped(elementwise.add)
    __iadd__ = _augmented(elementwise.add)
    __sub__ = elementwise.sub
    __rsub__ = _swapped(elementwise.sub)
    __isub__ = _augmented(elementwise.sub)
    __mul__ = elementwise.mul
    __rmul__ = _swapped(elementwise.mul)
    __imul__ = _augmented(elementwise.mul)
    __truediv__ = elementwise.div
    __rtruediv__ = _swapped(elementwise.div)
    __itruediv__ = _augmented(elementwise.div)
    __floordiv__ = division.floor_divide
    __rfloordiv__ = _swapped(division.floor_divide)
    __mod__ = division.remainder
    __rmod__ = _swapped(division.remainder)
    __pow__ = elementwise.pow
    __rpow__ = _swapped(elementwise.pow)
    __matmul__ = dense.matmul
    __rmatmul__ = _swapped(dense.matmul)
    __neg__ = elementwise.neg
    __abs__ = elementwise.abs
    __lt__ = logic.lt
    __le__ = logic.le
    __gt__ = logic.gt
    __ge__ = logic.ge
    __invert__ = logic.logical_not
    __and__ = logic.logical_and
    __rand__ = _swapped(logic.logical_and)
    __or__ = logic.logical_or
    __ror__ = _swapped(logic.logical_or)
    __xor__ = logic.logical_xor
    __rxor__ = _swapped(logic.logical_xor)
    __getitem__ = index.getitem
    __setitem__ = index.setitem

    def __eq__(self, other: object) -> Tensor:  # type: ignore[override]
        return NotImplemented if other is None else logic.eq(self, other)

    def __ne__(self, other: object) -> Tensor:  # type: ignore[override]
        return NotImplemented if other is None else logic.ne(self, other)

    add = elementwise.add
    sub = subtract = elementwise.sub
    mul = multiply = elementwise.mul
    div = divide = true_divide = elementwise.div
    floor_divide = division.floor_divide
    remainder = division.remainder
    fmod = division.fmod
    pow = elementwise.pow
    neg = negative = elementwise.neg
    abs = absolute = elementwise.abs
    square = elementwise.square
    reciprocal = elementwise.reciprocal
    exp = elementwise.exp
    log = elementwise.log
    sqrt = elementwise.sqrt
    rsqrt = elementwise.rsqrt
    sin = elementwise.sin
    cos = elementwise.cos
    log1p = elementwise.log1p
    expm1 = elementwise.expm1
    sign = elementwise.sign
    floor = elementwise.floor
    ceil = elementwise.ceil
    round = elementwise.round
    trunc = fix = division.trunc
    erf = activation.erf
    lgamma = gamma.lgamma
    digamma = gamma.digamma
    erfinv = gamma.erfinv
    log2 = composed.log2
    log10 = composed.log10
    exp2 = composed.exp2
    tan = composed.tan
    sinh = composed.sinh
    cosh = composed.cosh
    asin = arcsin = angles.asin
    acos = arccos = angles.acos
    atan = arctan = angles.atan
    atan2 = arctan2 = angles.atan2
    asinh = arcsinh = angles.asinh
    acosh = arccosh = angles.acosh
    atanh = arctanh = angles.atanh
    hypot = angles.hypot
    deg2rad = numbers.deg2rad
    rad2deg = numbers.rad2deg
    frac = numbers.frac
    positive = numbers.positive
    copysign = numbers.copysign
    signbit = numbers.signbit
    sgn = elementwise.sign
    heaviside = numbers.heaviside
    fmax = numbers.fmax
    fmin = numbers.fmin
    float_power = numbers.float_power
    ldexp = numbers.ldexp
    xlogy = numbers.xlogy
    logit = numbers.logit
    sinc = numbers.sinc
    isposinf = numbers.isposinf
    isneginf = numbers.isneginf
    dist = numbers.dist
    lerp = composed.lerp
    addcmul = composed.addcmul
    addcdiv = composed.addcdiv
    logaddexp = composed.logaddexp
    nan_to_num = composed.nan_to_num
    clamp_min = composed.clamp_min
    clamp_max = composed.clamp_max
    clip = clamp = elementwise.clip
    maximum = elementwise.maximum
    minimum = elementwise.minimum

    relu = activation.relu
    sigmoid = activation.sigmoid
    tanh = activation.tanh
    softmax = activation.softmax
    log_softmax = activation.log_softmax

    eq = logic.eq
    ne = not_equal = logic.ne
    lt = less = logic.lt
    le = less_equal = logic.le
    gt = greater = logic.gt
    ge = greater_equal = logic.ge
    equal = search.equal
    isclose = search.isclose
    allclose = search.allclose
    nonzero = search.nonzero
    count_nonzero = search.count_nonzero
    unique = search.unique
    bincount = search.bincount
    masked_select = search.masked_select
    multinomial = sampling.multinomial
    bernoulli = sampling.bernoulli
    isnan = logic.isnan
    isinf = logic.isinf
    isfinite = logic.isfinite
    logical_not = logic.logical_not
    logical_and = logic.logical_and
    logical_or = logic.logical_or
    logical_xor = logic.logical_xor
    bitwise_and = bits.bitwise_and
    bitwise_or = bits.bitwise_or
    bitwise_xor = bits.bitwise_xor
    bitwise_not = bits.bitwise_not
    bitwise_left_shift = __lshift__ = bits.bitwise_left_shift
    bitwise_right_shift = __rshift__ = bits.bitwise_right_shift
    masked_fill = logic.masked_fill

    sum = reduce.sum
    mean = reduce.mean
    max = reduce.max
    min = reduce.min
    amax = reduce.amax
    amin = reduce.amin
    prod = reduce.prod
    var = reduce.var
    std = reduce.std
    norm = reduce.norm
    logsumexp = reduce.logsumexp
    cumsum = reduce.cumsum
    cumprod = composed.cumprod
    logcumsumexp = numbers.logcumsumexp
    cummax = statistics.cummax
    cummin = statistics.cummin
    aminmax = statistics.aminmax
    kthvalue = statistics.kthvalue
    mode = statistics.mode
    msort = statistics.msort
    quantile = statistics.quantile
    nansum = statistics.nansum
    nanmean = statistics.nanmean
    histc = statistics.histc
    cov = statistics.cov
    corrcoef = statistics.corrcoef
    unique_consecutive = statistics.unique_consecutive
    argwhere = statistics.argwhere
    diff = composed.diff
    any = reduce.any
    all = reduce.all
    argmax = reduce.argmax
    argmin = reduce.argmin

    matmul = dense.matmul
    dot = vdot = dense.dot
    inner = arrange.inner
    cross = arrange.cross
    kron = arrange.kron
    addmv = arrange.addmv
    addr = arrange.addr
    outer = ger = dense.outer
    mm = matrices.mm
    bmm = matrices.bmm
    mv = matrices.mv
    addmm = matrices.addmm
    baddbmm = matrices.baddbmm
    tril = matrices.tril
    triu = matrices.triu
    diag = matrices.diag
    diagonal = matrices.diagonals
    trace = matrices.trace
    det = inverses.det
    logdet = inverses.logdet
    slogdet = inverses.slogdet
    inverse = inverses.inv
    pinverse = factors.pinv
    cholesky = factors.cholesky
    diag_embed = arrange.diag_embed
    diagflat = arrange.diagflat

    reshape = view = shape.reshape
    flatten = shape.flatten
    ravel = arrange.ravel
    squeeze = shape.squeeze
    unsqueeze = shape.unsqueeze
    transpose = shape.transpose
    swapaxes = swapdims = shape.swap_axes
    movedim = moveaxis = matrices.movedim
    unflatten = matrices.unflatten
    select = matrices.select
    narrow = matrices.narrow
    permute = shape.permute
    broadcast_to = expand = shape.broadcast_to
    T = property(shape.transpose)

    split = index.split
    chunk = index.chunk
    unbind = index.unbind
    flip = index.flip
    roll = index.roll
    fliplr = arrange.fliplr
    flipud = arrange.flipud
    rot90 = arrange.rot90
    tensor_split = arrange.tensor_split
    hsplit = arrange.hsplit
    vsplit = arrange.vsplit
    take_along_dim = arrange.take_along_dim
    tile = repeat = index.tile
    repeat_interleave = index.repeat_interleave
    index_select = index.index_select
    sort = sorting.sort
    argsort = sorting.argsort
    median = sorting.median
    topk = sorting.topk
    take = data.take
    gather = data.gather
    scatter = composed.scatter
    scatter_add = data.scatter_add
    index_add = places.index_add
    index_copy = places.index_copy
    index_fill = places.index_fill
    index_put = places.index_put

    grad_fn = property(grad_fn)
    register_hook = register_hook
    astype = type = elementwise.astype
    to = convert.to
    device = property(convert.device_of)
    is_cuda = property(convert.is_cuda)
    cpu = convert.cpu
    cuda = convert.cuda
    contiguous = convert.contiguous
    type_as = convert.type_as
    is_floating_point = convert.is_floating_point
    view_as = reshape_as = convert.reshape_as
    expand_as = convert.expand_as
    t = convert.t
    mT = property(convert.transposed_matrices)  # noqa: N815 (PyTorch's name)
    float = _to(np.float32)
    double = _to(np.float64)
    long = int = _to(np.int64)
    bool = _to(np.bool_)
    clone = elementwise.clone


for _name, _method in (*vars(InPlaceMethods).items(), *vars(Methods).items()):
    if _name not in (
        "__module__",
        "__qualname__",
        "__doc__",
        "__slots__",
        "__hash__",
        "__firstlineno__",
        "__static_attributes__",
    ):
        setattr(Tensor, _name, _method)
