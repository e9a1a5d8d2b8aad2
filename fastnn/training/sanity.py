"""Whether data and model make sense together: what fit looks at once, before its first step."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..backends import current
from ..tensor import Array, Tensor, no_grad
from .structure import Structure

if TYPE_CHECKING:
    from .compiled import Compiled
    from .objective import Objective

_CHUNK = 1 << 16
"""Numbers that are looked at together, which fit into a cache."""
_TRIED = 32
"""Samples whose outputs are looked at."""
_RAW = 30.0
"""The greatest whole number of an input above which it is taken for one that nobody scaled."""
_NO_PROBABILITY = frozenset({"linear", "relu", "tanh", "elu", "selu", "gelu", "leaky_relu", "silu", "softplus"})


def check_finite(op: str, name: str, array: Array, given: Any = None, weight: Array | None = None) -> None:
    """ValueError if an array has values that are NaN or infinite; rows of weight 0 may hold any values.

    given: the array as the user gave it; the message names the columns of a data frame.

    >>> check_finite("fit", "x", np.array([[0.0], [np.nan]]))  # doctest: +ELLIPSIS
    Traceback (most recent call last):
        ...
    ValueError: fit: x has 1 value that is NaN or infinite, the first at x[1, 0]: nan; fill it in or drop the row ...
    """
    if array.dtype.kind != "f" or _finite(array):
        return
    bad = ~np.isfinite(array)
    if weight is not None and weight.size:
        bad[weight == 0] = False
    count = int(bad.sum())
    if not count:
        return
    where = tuple(int(i) for i in np.unravel_index(int(bad.argmax()), bad.shape))
    columns = getattr(given, "columns", None)
    column = f" (column {columns[where[1]]!r})" if columns is not None and len(where) == 2 and len(columns) > where[1] else ""
    what = "value that is" if count == 1 else "values that are"
    raise ValueError(
        f"{op}: {name} has {count} {what} NaN or infinite, the first at {name}[{', '.join(map(str, where))}]{column}: "
        f"{array[where]}; fill it in or drop the row (check_data=False lets it pass)"
    )


def _finite(array: Array) -> bool:
    flat = array.reshape(-1)
    return all(np.isfinite(flat[i : i + _CHUNK]).all() for i in range(0, flat.size, _CHUNK))


def check(
    model: Any, c: Compiled, inputs: Structure, arrays: Sequence[Array], given: Sequence[Any], names: tuple[str, str]
) -> None:
    """Looks at the data of a fit: an error for NaN and infinity, and one warning for each thing that trains to no purpose.

    Args:
        arrays: the prepared inputs, targets and weights.
        given: x and y as they came.
        names: what messages call the two.
    """
    if c.own is not None:  # a step of the user's own, which knows what its arrays mean
        for i, a in enumerate(arrays):
            check_finite("fit", names[i >= len(inputs)], a)
        return
    xs, targets, weights = c.parts(arrays)
    for key, a in zip(inputs.names, xs, strict=True):
        label = names[0] if len(xs) == 1 else f"{names[0]}[{key!r}]"
        check_finite("fit", label, a, given[0] if len(xs) == 1 else None)
        if inputs.dtypes is None and len(xs) == 1:
            _check_scale(c, label, a, given[0])
    parts = c.objectives
    for o, t, w in zip(parts, targets, weights, strict=True):
        label = names[1] if len(parts) == 1 else f"{names[1]}[{o.name!r}]"
        check_finite("fit", label, t, given[1] if len(parts) == 1 else None, w)
        if _binary(o.loss):
            _check_binary(c, o, label, t)
    if c.looked_at:
        return
    c.looked_at = True
    with no_grad():
        samples = [Tensor(current().asarray(a[:_TRIED])) for a in xs]
        outputs = c.returned.flatten(inputs.call(model, samples, training=False))
    act = _last_activation(model) if len(parts) == 1 else ""
    for o, y in zip(parts, outputs, strict=True):
        _check_outputs(c, o, y.numpy(), act)


def _warn(c: Compiled, kind: str, message: str) -> None:
    if kind not in c.warned:
        c.warned.add(kind)
        warnings.warn(f"fit: {message}", stacklevel=5)


def _check_scale(c: Compiled, name: str, a: Array, given: Any) -> None:
    """Warns of images of whole numbers 0..255 that come as they were stored."""
    dtype = getattr(given, "dtype", None)
    image = dtype == np.uint8 or (a.ndim > 2 and getattr(dtype, "kind", "") in "iu")
    if image and a.max() > _RAW and a.min() >= 0:
        _warn(
            c,
            "scale",
            f"{name} holds whole numbers up to {a.max():.0f} ({dtype}), on which networks train badly or not at all; "
            f"scale them, as {name} / 255 does",
        )


def _binary(loss: Any) -> bool:
    from ..losses import BinaryCrossentropy
    from ..nn import BCELoss

    return isinstance(loss, BinaryCrossentropy) or isinstance(getattr(loss, "loss", None), BCELoss)


def _check_binary(c: Compiled, o: Objective, name: str, t: Array) -> None:
    if t.dtype.kind == "f" and t.size and (t.min() < 0 or t.max() > 1):
        classes = int(t.max()) + 1
        whole = math.isfinite(float(t.max())) and not (t % 1).any()
        if whole and t.min() == 0 and 3 <= classes <= 1000:
            hint = f"for classes 0 to {classes - 1}: a softmax over {classes} units and sparse_categorical_crossentropy"
        else:
            hint = "for labels -1 and 1: (y + 1) / 2; for labels 1 and 2: y - 1"
        _warn(c, "binary " + o.name, f"{name} has values from {t.min():g} to {t.max():g}, but {o.loss.name} wants 0 to 1; {hint}")


def _check_outputs(c: Compiled, o: Objective, y: Array, act: str) -> None:
    """Warns of outputs that are no probabilities where the loss takes some, and of one unit where it takes classes."""
    from ..losses import BinaryCrossentropy, CategoricalCrossentropy, SparseCategoricalCrossentropy
    from ..nn import CrossEntropyLoss

    classes = isinstance(o.loss, CategoricalCrossentropy | SparseCategoricalCrossentropy)
    of_torch = isinstance(getattr(o.loss, "loss", None), CrossEntropyLoss)
    if y.ndim > 1 and y.shape[-1] == 1 and (act == "softmax" or classes or of_torch):
        _warn(
            c,
            "one unit " + o.name,
            "the model ends in one unit whose softmax is 1 for all samples, so nothing is learned; for two classes: "
            "one unit with a sigmoid and binary_crossentropy, or two units with a softmax",
        )
    elif (classes or isinstance(o.loss, BinaryCrossentropy)) and not o.loss.logits:
        outside = (y < -1e-3) | (y > 1 + 1e-3)
        if act in _NO_PROBABILITY or outside.any():
            came = f"its last layer has the activation {act}" if act in _NO_PROBABILITY else f"{y[outside].flat[0]:g} came out"
            own = "softmax" if classes else "sigmoid"
            _warn(
                c,
                "probabilities " + o.name,
                f"{o.loss.name} takes probabilities, but the model gives other numbers ({came}); end it with a {own}, "
                "or give the loss from_logits=True",
            )


def _last_activation(model: Any) -> str:
    """The name of the activation that a Sequential's last layer has; "" where it is not known."""
    from ..nn.sequential import Sequential

    while isinstance(model, Sequential) and len(layers := list(model.children())):
        model = layers[-1]
    act = getattr(model, "activation", "")
    return act if isinstance(act, str) else str(getattr(act, "name", ""))
