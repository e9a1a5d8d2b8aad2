"""Checks whether data and model fit together; fit runs them once, before its first step."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

import numpy as np

from ..autograd.tensor import Array, Tensor, no_grad
from ..backends import current
from ..backends.spec import LINEAR
from ..core.structure import Structure, own_code, users_level
from ..nn.mode import trying
from . import metrics
from .data.arrays import as_floats
from .data.frames import names_of
from .step import observed

if TYPE_CHECKING:
    from .compiled import Compiled
    from .objective import Objective

_CHUNK = 1 << 18
"""Number of elements that are checked at a time; they fit into a cache."""
_TRIED = 32
"""Number of samples whose outputs are checked."""
_RAW = 30.0
"""An input of whole numbers whose maximum is above this value was probably not scaled."""
_WIDE = 100.0
"""Standard deviation of a column above which it was probably not scaled."""
_PIXELS = 16
"""Smallest number of values in a sample of floats that may be an image."""
_ROUNDED = 1e-3
"""Maximal rounding error of a probability below 0 or above 1."""
_NO_PROBABILITY = frozenset({"linear", "relu", "tanh", "elu", "selu", "gelu", "leaky_relu", "silu", "softplus"})

_OF_ZERO_AND_ONE = (
    metrics.AUC,
    metrics.BinaryAccuracy,
    metrics.BinaryCrossentropy,
    metrics.FBetaScore,
    metrics.Precision,
    metrics.Recall,
)
"""Metrics whose targets are 0 or 1, unless they are class labels."""


def check_finite(
    op: str,
    name: str,
    array: Array,
    given: Any = None,
    counts: Array | None = None,
    hint: str = " (check_data=False turns this check off)",
) -> None:
    """Raise ValueError if an array has values that are NaN or infinite, except in elements that do not count.

    counts: mask of the rows or elements that count, over the first axes of the array; of size 0 if all count.
    given: the array as the user passed it; the message names the columns of a data frame.
    hint: end of the message.

    >>> check_finite("fit", "x", np.array([[0.0], [np.nan]]))  # doctest: +ELLIPSIS
    Traceback (most recent call last):
        ...
    ValueError: fit: x has 1 value that is NaN or infinite, the first at x[1, 0]: nan; fill it in or drop the row ...
    """
    if array.dtype.kind != "f" or _finite(array):
        return
    bad = ~np.isfinite(array)
    if counts is not None and counts.size:
        bad[~counts] = False
    count = int(bad.sum())
    if not count:
        return
    where = tuple(int(i) for i in np.unravel_index(int(bad.argmax()), bad.shape))
    value = array[where]
    if len(where) == 2 and np.ndim(given) == 1:  # the user passed the column as a vector
        where = where[:1]
    columns = getattr(given, "column_names", None) or getattr(given, "columns", None)
    column = f" (column {columns[where[1]]!r})" if columns is not None and len(where) == 2 and len(columns) > where[1] else ""
    what = "value that is" if count == 1 else "values that are"
    raise ValueError(
        f"{op}: {name} has {count} {what} NaN or infinite, the first at {name}[{', '.join(map(str, where))}]{column}: "
        f"{value}; fill it in or drop the row{hint}"
    )


def _finite(array: Array) -> bool:
    flat = array.reshape(-1)
    return all(np.isfinite(flat[i : i + _CHUNK]).all() for i in range(0, flat.size, _CHUNK))


def check(
    model: Any,
    c: Compiled,
    inputs: Structure,
    arrays: Sequence[Array],
    given: Sequence[Any],
    names: tuple[str, str],
    op: str = "fit",
) -> None:
    """Check the data of a fit. NaN and infinity are errors; each kind of data on which training is useless gives one warning.

    Args:
        arrays: the prepared inputs, targets and weights.
        given: x and y as the user passed them.
        names: names of x and y in messages.
        op: start of error messages.
    """
    if c.own is not None:  # only the custom step knows the meaning of its arrays
        for i, a in enumerate(arrays):
            check_finite(op, names[i >= len(inputs)], a)
        return
    xs, targets, weights = c.parts(arrays)
    for key, a in zip(inputs.names, xs, strict=True):
        label = names[0] if len(xs) == 1 else f"{names[0]}[{key!r}]"
        check_finite(op, label, a, given[0] if len(xs) == 1 else None)
    parts = c.objectives
    for o, t, w in zip(parts, targets, weights, strict=True):
        label = names[1] if len(parts) == 1 else f"{names[1]}[{o.name!r}]"
        counts = o.counts(t, w)
        check_finite(op, label, t, given[1] if len(parts) == 1 else None, counts)
        _check_targets(c, o, label, t, counts)
    if c.looked_at:
        return
    c.looked_at = True
    scale = _Scale(xs[0], given[0]) if len(xs) == 1 else None
    with no_grad(), trying(), observed(model, scale.look) if scale is not None and scale.watches else nullcontext():
        samples = [Tensor(current().asarray(as_floats(a[:_TRIED], model.dtype))) for a in xs]
        outputs = c.returned.flatten(inputs.call(model, samples, training=False))
    if scale is not None and scale.reached:
        _warn(c, "scale", scale.message(names[0], xs[0]))
    act = last_activation(model) if len(parts) == 1 else ""
    for o, y in zip(parts, outputs, strict=True):
        _check_outputs(c, o, y.numpy(), act)


def _warn(c: Compiled, kind: str, message: str) -> None:
    if kind not in c.warned:
        c.warned.add(kind)
        warnings.warn(f"fit: {message}", stacklevel=users_level())


class _Scale:
    """Check whether numbers that were not scaled reach a layer's weights: pixels 0..255, or columns that spread widely.

    watches: whether the data have such numbers. The input of the first layer with weights then decides, since the model may
    scale the data or use them as indices.
    """

    def __init__(self, a: Array, given: Any) -> None:
        self.dtype = getattr(given, "dtype", None)
        image = self.dtype == np.uint8 or (a.ndim > 2 and getattr(self.dtype, "kind", "") in "iu")
        self.raw = bool(image and a.max() > _RAW and a.min() >= 0)
        self.reached = self._known = False
        self.column, self.spread = "", 0.0
        if self.raw or a.dtype.kind != "f" or a.ndim < 2 or not a.size:
            self.watches = self.raw
            return
        some = a[: max(_CHUNK * len(a) // a.size, 2)]
        if some[0].size >= _PIXELS and getattr(self.dtype, "kind", "") == "f":  # rows of whole numbers may count something
            self.raw = bool(127 < some.max() <= 255 and some.min() >= 0 and not (some % 1).any())
        if a.ndim == 2 and not self.raw:
            deviations = some.std(axis=0, dtype=np.float64)
            widest = int(deviations.argmax())
            self.spread = float(deviations[widest])
            names = names_of(given)
            self.column = f"the column {names[widest]!r} of" if len(names) == a.shape[1] else f"column {widest} of"
        self.watches = self.raw or self.spread > _WIDE

    def look(self, name: str, layer: Any, inputs: tuple[Any, ...], y: Any) -> None:
        """Check the input of a layer; for `observed`."""
        parameters = [p for p in layer._parameters.values() if p is not None]
        if self._known or not parameters:
            return
        self._known = True
        x, weights = inputs[0], any(p.ndim > 1 for p in parameters)
        if own_code(type(layer).__module__) and weights and isinstance(x, Tensor) and x.dtype.kind == "f":  # others are indices
            taken = x.numpy()
            self.reached = bool(taken.max() > _RAW and not (taken % 1).any()) if self.raw else bool(np.abs(taken).max() > _WIDE)

    def message(self, name: str, a: Array) -> str:
        """Return the text of the warning for the array a that the user passed as `name`."""
        if self.raw:
            return (
                f"{name} has whole numbers up to {a.max():.0f} ({self.dtype or a.dtype}), on which networks train badly or not "
                f"at all; scale them, for example {name} / 255"
            )
        return (
            f"{self.column} {name} has the standard deviation {self.spread:.3g}, and networks train badly or not at all on "
            f"numbers far from 1; scale the columns: by scikit-learn's StandardScaler, or by fastnn.Normalization() as the first "
            f"layer, after its adapt({name})"
        )


def _check_targets(c: Compiled, o: Objective, name: str, t: Array, counts: Array) -> None:
    """Warn of targets outside 0..1 if the loss or a metric takes probabilities; rows of weight 0 may have any values."""
    by, binary = _takes_probabilities(o)
    if t.dtype.kind != "f" or not t.size or not by:
        return

    def outside(low: float, high: float) -> bool:
        return low < -_ROUNDED or (binary and high > 1 + _ROUNDED)  # rows over classes may be counts

    low, high = float(t.min()), float(t.max())
    if outside(low, high) and counts.size and counts.any():
        t = t[counts]
        low, high = float(t.min()), float(t.max())
    if not outside(low, high):
        return
    whole = not (t % 1).any()
    hint = "for labels -1 and 1: (y + 1) / 2" + ("; for labels 1 and 2: y - 1" if binary else "")
    if by.startswith("the metric"):
        signs = whole and (low, high) == (-1, 1)
        hint = "for labels -1 and 1: (y + 1) / 2, which hinge losses also accept" if signs else "for numbers: mae or r2_score"
    elif binary and low == 0 and 3 <= int(high) + 1 <= 1000 and whole:
        hint = f"for classes 0 to {high:g}: a softmax over {int(high) + 1} units and sparse_categorical_crossentropy"
    _warn(c, "targets " + o.name, f"{name} has values from {low:g} to {high:g}, but {by} wants 0 to 1; {hint}")


def _takes_probabilities(o: Objective) -> tuple[str, bool]:
    """Return the name of the loss or metric that takes probabilities ("" if none does), and whether they are binary."""
    from ..losses import BinaryCrossentropy, CategoricalCrossentropy, KLDivergence
    from ..nn import BCELoss

    if isinstance(o.loss, BinaryCrossentropy) or isinstance(getattr(o.loss, "loss", None), BCELoss):
        return o.loss.name, True
    if isinstance(o.loss, CategoricalCrossentropy | KLDivergence):
        return o.loss.name, False
    return next((f"the metric {m.name}" for m in o.metrics or () if isinstance(m, _OF_ZERO_AND_ONE)), ""), True


def _check_outputs(c: Compiled, o: Objective, y: Array, act: str) -> None:
    """Warn of outputs of the wrong kind for the loss (probabilities, logits, logarithms), and of a single unit for classes."""
    from ..losses import BinaryCrossentropy, CategoricalCrossentropy, KLDivergence, Poisson, SparseCategoricalCrossentropy
    from ..nn import CrossEntropyLoss, KLDivLoss, NLLLoss

    classes = isinstance(o.loss, CategoricalCrossentropy | SparseCategoricalCrossentropy)
    inner = getattr(o.loss, "loss", None)
    of_torch = isinstance(inner, CrossEntropyLoss)
    if y.ndim > 1 and o.classes == 1 and (act == "softmax" or classes or of_torch):
        _warn(
            c,
            "one unit " + o.name,
            "the last layer has one unit, whose softmax is 1 for all samples, so nothing is learned; for two classes use "
            "one unit with a sigmoid and binary_crossentropy, or two units with a softmax",
        )
    elif (isinstance(o.loss, Poisson) or not getattr(o.loss, "log_input", True)) and (y < 0).any():
        _warn(
            c,
            "rates " + o.name,
            f"{o.loss.name} takes rates of at least 0, but the model returns other numbers ({y[y < 0].flat[0]:g}); "
            "end it with an exponential or a softplus",
        )
    elif isinstance(inner, NLLLoss | KLDivLoss):
        if (outside := y > _ROUNDED).any():
            _warn(
                c,
                "logarithms " + o.name,
                f"{o.loss.name} takes logarithms of probabilities, but the model returns other numbers "
                f"({y[outside].flat[0]:g}); end it with a log_softmax",
            )
    elif o.logits and act in ("sigmoid", "softmax") and not of_torch:  # CrossEntropyLoss warns itself
        other = ", or pass from_logits=False to the loss" if hasattr(o.loss, "from_logits") else ""
        _warn(c, "logits " + o.name, f"{o.loss.name} takes logits, but the model ends with a {act}; remove it{other}")
    elif (classes or isinstance(o.loss, BinaryCrossentropy | KLDivergence)) and not o.loss.logits:
        outside = (y < -_ROUNDED) | (y > 1 + _ROUNDED)
        if act in _NO_PROBABILITY or outside.any():
            came = f"its last layer has the activation {act}" if act in _NO_PROBABILITY else f"{y[outside].flat[0]:g}"
            own = "sigmoid" if isinstance(o.loss, BinaryCrossentropy) else "softmax"
            logits = "" if isinstance(o.loss, KLDivergence) else ", or pass from_logits=True to the loss"
            _warn(
                c,
                "probabilities " + o.name,
                f"{o.loss.name} takes probabilities, but the model returns other numbers ({came}); end it with a {own}{logits}",
            )


def last_activation(model: Any) -> str:
    """Return the name of the activation of a model's last layer; "" if it is unknown, as in user code."""
    from ..nn.graph.sequential import Sequential

    while type(model).forward is Sequential.forward and len(layers := list(model.children())):
        model = layers[-1]
    if not own_code(type(model).forward.__module__):
        return ""
    if hasattr(model, "output_activation"):
        return model.output_activation or LINEAR.name
    act = getattr(model, "activation", "")
    return act if isinstance(act, str) else str(getattr(act, "name", ""))
