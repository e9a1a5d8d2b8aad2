"""Conversion of the data that users pass to fit, evaluate and predict to arrays, with clear errors."""

from __future__ import annotations

import math
import numbers
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from ...backends import current
from ...backends.base import Backend
from ...core.convert import check_whole
from ...core.elements import Shape, leading, wanted_weights
from .frames import REAL, numbers_of, real

if TYPE_CHECKING:
    from numpy.typing import DTypeLike

Array = np.ndarray[Any, Any]


def as_features(x: Any, dtype: DTypeLike, op: str = "fit", name: str = "x", cast: bool = True) -> Array:
    """Convert samples to a C-contiguous array of ``dtype``, shape (n, ...).

    The samples are arrays, nested lists and tuples, data frames, or tensors of other libraries (with ``__array__``, ``to_numpy``
    or ``__dlpack__``). Other dtypes are cast; with cast=False, only floats are cast to ``dtype``, and integers become int64. An
    array that already fits is returned itself.

    Raises TypeError for data that are not real numbers, ValueError for ragged lists, no samples, or values out of the range of
    the dtype.

    >>> as_features([[1, 2], [3, 4]], "float32")
    array([[1., 2.],
           [3., 4.]], dtype=float32)
    """
    if type(x) is np.ndarray and x.dtype == dtype and x.ndim and len(x) and x.flags.c_contiguous and x.flags.aligned:
        return x
    a = _samples(x, op, name)
    if not cast and a.dtype.kind != "f":
        dtype = np.bool_ if a.dtype.kind == "b" else np.int64
    return _cast(a, np.dtype(dtype), op, name)


def as_targets(
    y: Any,
    kind: Literal["labels", "values", "any"],
    dtype: DTypeLike,
    op: str = "fit",
    name: str = "y",
    column: bool = True,
    sample: Shape = (),
) -> Array:
    """Convert targets to a C-contiguous array.

    ``kind="labels"``: class numbers of shape (n, *sample) or (n, *sample, 1), of any integer dtype or floats that are whole
    numbers; the result is int64 (n, *sample). ``kind="values"``: any data that `as_features` accepts, as ``dtype``; (n,) becomes
    (n, 1) unless ``column`` is false. ``kind="any"``: the shape does not change, integers and booleans become int64, floats
    ``dtype``.

    >>> as_targets([[0.0], [2.0]], "labels", "float32")
    array([0, 2])
    >>> as_targets([0.5, 1.5], "values", "float32").shape
    (2, 1)
    """
    if (
        kind == "labels"
        and type(y) is np.ndarray
        and y.dtype == np.int64
        and y.ndim
        and y.shape[1:] == sample
        and len(y)
        and y.flags.c_contiguous
        and y.flags.aligned
    ):
        return y
    a = _samples(y, op, name)
    if kind == "labels":
        return _labels(a, op, name, sample)
    if kind == "any":
        return _cast(a, np.dtype(np.int64 if a.dtype.kind in "iub" else dtype), op, name)
    a = _cast(a, np.dtype(dtype), op, name)
    return a[:, None] if a.ndim == 1 and column else a


def as_floats(a: Array, floats: np.dtype[Any]) -> Array:
    """Return an array of uint8 as floats, and any other one as it is."""
    return a.astype(floats) if a.dtype == np.uint8 else a


def as_sample_weight(w: Any, n: int, dtype: DTypeLike, op: str = "fit", like: Shape | None = None) -> Array:
    """Convert weights to an array of ``dtype`` with one weight per sample (n,) or per element of the loss; of size 0 for None.

    like: shape of the losses, (n,) by default. The result has the leading axes of this shape along which the weights differ.
    Negative weights are allowed, NaN and infinity are not.

    >>> as_sample_weight([1, 0.5], 2, "float32")
    array([1. , 0.5], dtype=float32)
    >>> as_sample_weight([[1, 0, 1], [1, 1, 0]], 2, "float32", like=(2, 3)).shape
    (2, 3)
    """
    if w is None:
        return np.empty(0, dtype)
    a = _samples(w, op, "sample_weight")
    like = (n,) if like is None else like
    lead = leading(a.shape, like)
    if lead is None or len(a) != n:
        raise ValueError(f"{op}: sample_weight has shape {a.shape}; wanted {wanted_weights(like)}")
    lead = lead or (n,)
    a = _cast(np.broadcast_to(a.reshape(lead), like[: len(lead)]), np.dtype(dtype), op, "sample_weight")
    finite = np.isfinite(a)
    if not finite.all():
        where = _place(~finite)
        raise ValueError(f"{op}: sample_weight[{_index(where)}] is {a[where]}; weights must be finite")
    return a


def class_weight_to_sample_weight(
    class_weight: Mapping[int, float], labels: Array, sample_weight: Array, op: str = "fit", numbers: bool = False
) -> Array:
    """Return the weight of each sample: the weight of its class (1 by default) times its sample weight.

    labels are class numbers of shape (n,), or (n, 1) of zeros and ones, or one-hot rows (n, classes), with more axes between
    these; with ``numbers``, class numbers of any shape. sample_weight has the same number of axes or fewer, or size 0 without
    weights; the result has its dtype.

    >>> class_weight_to_sample_weight({1: 3.0}, np.array([0, 1, 1]), np.empty(0, np.float32))
    array([1., 3., 3.], dtype=float32)
    """
    if not isinstance(class_weight, Mapping):
        hint = "; balanced: {i: n / (classes * count) for i, count in enumerate(np.bincount(y))}" * isinstance(class_weight, str)
        raise TypeError(f"{op}: class_weight is {_describe(class_weight)}; wanted a dict from class number to weight{hint}")
    classes = _classes(labels.reshape(-1)).reshape(labels.shape) if numbers else _classes(labels)
    weight = np.ones(classes.shape)
    for key, value in class_weight.items():
        if isinstance(key, bool) or not isinstance(key, (int, np.integer)):
            raise TypeError(f"{op}: class_weight has the key {key!r}; wanted class numbers")
        if not isinstance(value, REAL) or not math.isfinite(value):
            raise ValueError(f"{op}: class_weight[{key}] is {value!r}; wanted a finite number")
        weight[classes == int(key)] = float(value)
    if sample_weight.size:
        axes = max(weight.ndim, sample_weight.ndim)
        weight, given = (a.reshape(*a.shape, *[1] * (axes - a.ndim)) for a in (weight, sample_weight))
        weight = weight * given
    return weight.astype(sample_weight.dtype)


def check_same_length(op: str, **arrays: Array | None) -> None:
    """Raise ValueError unless all arrays have as many samples as the first. None and arrays of size 0 are missing arrays.

    >>> check_same_length("fit", x=np.zeros((3, 2)), y=np.zeros(3), sample_weight=None)
    """
    present = [(name, len(a)) for name, a in arrays.items() if a is not None and a.size]
    for name, n in present[1:]:
        if n != present[0][1]:
            raise ValueError(f"{op}: {present[0][0]} has {present[0][1]} samples, but {name} has {n}")


def check_labels(labels: Array, n_classes: int, op: str = "fit", ignore_index: int | None = None, name: str = "y") -> bool:
    """Check that every label is in [0, n_classes) or equals ignore_index; return whether labels outside of the classes exist.

    >>> check_labels(np.array([0, 3]), 3)
    Traceback (most recent call last):
        ...
    ValueError: fit: y[1] is 3, but the model has 3 outputs: labels are 0 to 2
    """
    if not labels.size:
        return False
    if labels.view(np.uint64).max() < n_classes:  # as unsigned, a negative number is huge
        return False
    bad = (labels < 0) | (labels >= n_classes)
    if ignore_index is not None:
        bad &= labels != ignore_index
    if bad.any():
        where = _place(bad)
        outputs = "1 output: the label is 0" if n_classes == 1 else f"{n_classes} outputs: labels are 0 to {n_classes - 1}"
        raise ValueError(f"{op}: {name}[{_index(where)}] is {labels[where]}, but the model has {outputs}")
    return True


def validation_split(
    arrays: Sequence[Array | None], fraction: float, op: str = "fit"
) -> tuple[tuple[Array | None, ...], tuple[Array | None, ...]]:
    """Split arrays into (training, validation); the last ``fraction`` of the samples, in the given order, is for validation.

    None and arrays of size 0 (no weights) are the same in both parts.

    >>> train, val = validation_split([np.arange(10)], 0.2)
    >>> val
    (array([8, 9]),)
    """
    if isinstance(fraction, bool) or not isinstance(fraction, REAL):
        raise TypeError(f"{op}: validation_split is {fraction!r}; wanted a number between 0 and 1")
    if not 0 < fraction < 1:
        raise ValueError(f"{op}: validation_split is {fraction}; wanted a number between 0 and 1")
    n = next(len(a) for a in arrays if a is not None and a.size)
    at = math.floor(n * (1 - fraction))
    if at in (0, n):
        use = "train on" if at == 0 else "validate with"
        raise ValueError(f"{op}: validation_split={fraction} of {n} samples leaves nothing to {use}")

    def part(a: Array | None, where: slice) -> Array | None:
        return a if a is None or not a.size else a[where]

    return tuple(part(a, slice(0, at)) for a in arrays), tuple(part(a, slice(at, n)) for a in arrays)


def _samples(x: Any, op: str, name: str) -> Array:
    """Return x as an array of real numbers with at least one sample, not yet cast."""
    a = None if isinstance(x, np.ndarray | list | tuple) else numbers_of(x, op, name)
    if a is None:
        a = _array(x, op, name)
    if a.dtype.kind == "O" and not isinstance(x, list | tuple) and (found := real(a)) is not None:
        a = found
    if a.dtype.kind not in "fiub":
        what = {"O": "Python objects", "U": "strings", "S": "strings", "T": "strings", "c": "complex numbers"}
        dtype = getattr(x, "dtype", a.dtype)  # the dtype of a Series is more precise: text, a category
        held = what.get(a.dtype.kind, "no numbers") if str(dtype) == str(a.dtype) else "no numbers"
        hint = f"; for labels: np.unique({name}, return_inverse=True) returns their numbers" if a.dtype.kind in "OUST" else ""
        raise TypeError(f"{op}: {name} holds {held} (dtype {dtype}); wanted real numbers{hint}")
    if a.ndim == 0:
        raise ValueError(f"{op}: {name} is a single number, {a[()]!r}; wanted an array with one row per sample")
    if len(a) == 0:
        raise ValueError(f"{op}: {name} has no samples (shape {a.shape})")
    return a


def _array(x: Any, op: str, name: str) -> Array:
    if isinstance(x, np.ma.MaskedArray):
        raise TypeError(f"{op}: {name} is a masked array; fill it or drop the masked samples first")
    if isinstance(x, np.ndarray):
        return np.asarray(x)
    k: Backend = current()
    if type(x) is k.xp.ndarray:
        return k.to_numpy(x)
    if hasattr(x, "toarray"):  # NumPy would wrap a SciPy sparse matrix as one object
        raise TypeError(f"{op}: {name} is a sparse matrix ({type(x).__name__}); wanted a dense one; use its toarray()")
    try:
        if hasattr(x, "__array__"):
            return np.asarray(x)
        if hasattr(x, "to_numpy"):
            return np.asarray(x.to_numpy())
        if hasattr(x, "__dlpack__"):
            return np.from_dlpack(x)
    except (TypeError, ValueError, RuntimeError, BufferError) as e:
        raise TypeError(f"{op}: {name} is a {type(x).__name__} that cannot be converted to a NumPy array: {e}") from e
    if not isinstance(x, (list, tuple, numbers.Number)):
        raise TypeError(f"{op}: {name} is {_describe(x)}; wanted an array, a list or a data frame")
    try:
        return np.asarray(x)
    except ValueError as e:
        raise ValueError(f"{op}: {name} is a ragged {type(x).__name__}: its rows have different lengths") from e


def _cast(a: Array, dtype: np.dtype[Any], op: str, name: str) -> Array:
    if (dtype.kind == "i" and a.dtype.kind in "fu") or (dtype.kind == "b" and a.dtype.kind != "b"):
        check_whole(a, dtype, op, name)
    try:
        with np.errstate(over="raise"):
            return np.require(a, dtype, ["C", "A"])
    except FloatingPointError:
        large = np.isfinite(a) & (np.abs(a) > np.finfo(dtype).max)
        where = _place(large)
        raise ValueError(f"{op}: {name}[{_index(where)}] is {a[where]}, which is beyond {dtype}") from None


def _place(found: Array) -> tuple[int, ...]:
    """Return the index of the first true element."""
    return tuple(int(i) for i in np.unravel_index(int(found.argmax()), found.shape))


def _index(where: tuple[int, ...]) -> str:
    return ", ".join(map(str, where))


def _labels(a: Array, op: str, name: str, sample: Shape) -> Array:
    if a.shape[1:] == (*sample, 1):
        a = a[..., 0]
    if a.shape[1:] != sample:
        sizes = ", ".join(["n", *map(str, sample)])
        raise ValueError(
            f"{op}: {name} has shape {a.shape}; wanted class numbers of shape ({sizes}{'' if sample else ','}) or ({sizes}, 1)"
            + " (a loss such as categorical_crossentropy takes one-hot rows)" * (a.ndim > len(sample) + 1)
        )
    limit = np.float64(2.0**63)  # with a dtype: a Python number would be converted to a's dtype, and float16 cannot hold it
    if a.dtype.kind == "f":
        bad = ~((a == np.floor(a)) & (a >= -limit) & (a < limit))  # also true for NaN
    else:
        bad = a > np.iinfo(np.int64).max if a.dtype == np.uint64 else np.zeros(0, bool)
    if bad.any():
        where = _place(bad)
        raise ValueError(f"{op}: {name}[{_index(where)}] is {a[where]}; wanted class numbers")
    return np.require(a, np.int64, ["C", "A"])


def _classes(labels: Array) -> Array:
    """Return the class of each sample; smoothed labels are rounded, as in Keras."""
    if labels.ndim > 1:
        return labels.argmax(-1) if labels.shape[-1] > 1 else np.rint(labels[..., 0])
    return np.rint(labels) if labels.dtype.kind == "f" else labels


def _describe(x: Any) -> str:
    if x is None:
        return "None"
    return f"the string {x[:40]!r}" if isinstance(x, str) else f"a {type(x).__name__}"
