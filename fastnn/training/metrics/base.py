"""Base class of metrics, which add up numbers batch by batch, by the backend's kernels."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from ...autograd.tensor import Tensor
from ...backends import current, shared_array
from ...core.registry import Remade
from ...core.structure import own_code
from ...core.versions import settings_changed
from ...losses.base import as_given
from ..data import arrays as data
from .own import State, Variable, made

if TYPE_CHECKING:
    from ...backends.base import Backend

Array = np.ndarray[Any, Any]


class Metric(Remade):
    """Base class of metrics, also for custom metrics: a number that is computed batch by batch.

    As in Keras, a class defines ``update_state(y_true, y_pred, sample_weight=None)`` and ``result()``. It also defines
    ``reset_state()`` if it has state other than that of `add_weight`. fit and evaluate pass Tensors with the same number of
    dimensions. y_true has the dtype of y_pred, but class labels are int64 and have shape (n,) for y_pred (n, C), or (n, T) for
    (n, T, C). sample_weight is passed only in weighted_metrics, with shape (n,) or (n, T). The result is a number, a Tensor of
    one element, or a dict of them. Since update_state is Python code, fit does not record the steps of the model.

    >>> class Bias(Metric):
    ...     def __init__(self, name="bias"):
    ...         super().__init__(name=name)
    ...         self.sum, self.n = self.add_weight(), self.add_weight()
    ...     def update_state(self, y_true, y_pred, sample_weight=None):
    ...         self.sum.assign_add((y_pred - y_true).sum())
    ...         self.n.assign_add(y_pred.size)
    ...     def result(self):
    ...         return self.sum / self.n
    >>> m = Bias()
    >>> m.update_state(np.array([1.0, 2.0]), np.array([2.0, 4.0]))
    >>> m.result().item()
    1.5

    Metrics of fastnn define ``update``, which calls kernels. Their result is a mean, ``total[0] / total[1]``, of values over
    weights, or they have other ``arrays`` and define ``result`` too. The arrays stay the same objects while a model trains, so
    that recorded steps can add to them.

    Args:
        name: name in the logs; by default derived from the name of the class.
        dtype: default dtype of `add_weight`; float32 by default.
    """

    targets: Literal["labels", "values", "any"] = "values"
    """Kind of targets: class labels (int64, without the class axis), values with the shape of the prediction, or either."""
    direction: Literal["min", "max"] | None = None
    """Whether smaller or greater results are better; None if unknown."""
    recordable = True
    """Whether update consists only of kernel calls."""
    arrays: tuple[str, ...] = ("total",)
    """Names of the attributes with the state of the metric. An attribute is None until the first batch if its shape depends on
    it."""

    _by_state = False
    """Whether a user's class defines update_state."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        own = {"update", "update_state"} & vars(cls).keys()
        if own and not own_code(cls.__module__):
            cls._by_state = "update_state" in own
            cls.recordable = bool(vars(cls).get("recordable", False))
            if cls._by_state and cls.update is Metric.update:  # not derived from a concrete metric of fastnn
                cls.arrays = vars(cls).get("arrays", ())
                if cls.targets is Metric.targets:
                    cls.targets = "any"

    def __init__(self, name: str | None = None, dtype: Any = None) -> None:
        self.name = name or re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", type(self).__name__).lower()
        self.dtype = np.dtype(np.float32 if dtype is None else dtype)
        self.total = shared_array([0.0, 0.0])
        self._variables: list[Variable] = []

    def __setattr__(self, name: str, value: Any) -> None:
        if not own_code(type(self).__module__):
            object.__setattr__(self, name, value)
            return
        changes = self._argument_changes(name, value)
        super().__setattr__(name, value)
        if changes:  # it starts again: its state was computed with the old setting, in the old arrays
            settings_changed()

    @property
    def variables(self) -> list[Variable]:
        """Return the Tensors that `add_weight` made."""
        return list(self._variables)

    def add_weight(self, shape: Any = (), initializer: Any = "zeros", dtype: Any = None, name: str | None = None) -> Variable:
        """Make a Tensor for the state of the metric, with ``assign`` and ``assign_add``; `reset_state` sets it to 0.

        Args:
            shape: its shape; () by default.
            initializer: a name or object of `fastnn.initializers`.
            dtype: its dtype; by default that of the metric.
            name: accepted for compatibility with Keras.
        """
        self._variables.append(made(shape, initializer, dtype or self.dtype))
        return self._variables[-1]

    add_variable = add_weight

    def scalar(self, outputs: int) -> bool:
        """Return whether the result for this number of outputs is one number, as `fit` needs it."""
        return True

    def update(self, k: Backend, y_pred: Array, y_true: Array, sample_weight: Array) -> None:
        """Add a batch with the kernels of the backend k.

        y_pred has shape (n, ...). y_true has values with the shape and dtype of y_pred, or labels with its shape without the
        last axis. sample_weight has the first axes of y_pred, (n,) or more of them, and the same dtype, or size 0.
        """
        raise NotImplementedError(
            f"metric {self.name}: {type(self).__name__} defines no update_state(y_true, y_pred, sample_weight)"
        )

    def add_batch(self, k: Backend, y_pred: Array, y_true: Array, sample_weight: Array, logits: str = "") -> None:
        """Add a batch of training or evaluation.

        logits: the function that turns y_pred into probabilities, if the loss takes logits; else "".
        """
        if self._by_state:
            weight = (Tensor(sample_weight),) if sample_weight.size else ()
            self.update_state(*as_given(Tensor(y_true), Tensor(y_pred)), *weight)
        elif logits:
            self.update_logits(k, y_pred, y_true, sample_weight, logits)
        else:
            self.update(k, y_pred, y_true, sample_weight)

    def update_logits(self, k: Backend, y_pred: Array, y_true: Array, sample_weight: Array, logits: str) -> None:
        """Add a batch with outputs that are logits of a "sigmoid" or a "softmax"."""
        self.update(k, self.of_logits(k, y_pred, logits), y_true, sample_weight)

    def of_logits(self, k: Backend, y_pred: Array, logits: str) -> Array:
        """Convert logits for `update`: to probabilities if the metric needs them, else no change."""
        return y_pred

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Add a batch of array-likes, in Keras's order; for use without fit."""
        op = type(self).__name__
        y_true, y_pred = (y.numpy() if isinstance(y, Tensor) else y for y in (y_true, y_pred))
        dtype = np.float64 if getattr(y_pred, "dtype", None) == np.float64 else np.float32
        p = data.as_features(y_pred, dtype, op, "y_pred")
        kind = self.targets
        if kind == "any":
            each = p.ndim > 1 and p.shape[-1] > 1 and np.size(y_true) * p.shape[-1] == p.size
            kind = "labels" if each else "values"
        t = data.as_targets(y_true, kind, dtype, op, "y_true", column=False, sample=p.shape[1:-1])
        data.check_same_length(op, y_pred=p, y_true=t)
        k = current()
        self.update(k, *map(k.asarray, (p, t, data.as_sample_weight(sample_weight, len(p), dtype, op, p.shape))))

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Add a batch by `update_state`, and return the result so far."""
        self.update_state(*args, **kwargs)
        return self.result()

    def reserve(self, samples: int) -> None:
        """Allocate memory for the samples before the next reset, if the metric stores all of them."""

    def reset_state(self) -> None:
        """Set the state to zero."""
        for name in self.arrays:
            if (array := getattr(self, name)) is not None:
                array[...] = 0
        for variable in self._variables:
            variable.assign(0.0)

    def to_merge(self) -> list[Array | None]:
        """Return copies of the arrays and variables, in the order of ``arrays`` and `variables`; None for an unknown array."""
        arrays = (getattr(self, name) for name in self.arrays)
        return [*(None if a is None else np.array(a) for a in arrays), *(np.array(v.numpy()) for v in self._variables)]

    def merge_state(self, states: list[list[Array | None]]) -> None:
        """Set the state to that of the rows of several ranks, for ``compile(distribute=...)``.

        Arrays and variables become the sums over the ranks. A custom metric for which the sum is wrong, such as a maximum,
        overrides this method.

        Args:
            states: the result of `to_merge` of each rank. An array is None on a rank that had no rows, or that passes it on.

        >>> class Largest(Metric):
        ...     def __init__(self):
        ...         super().__init__("largest")
        ...         self.value = self.add_weight()
        ...     def merge_state(self, states):
        ...         self.value.assign(max(value for (value,) in states))
        >>> m = Largest()
        >>> m.merge_state([[np.array(2.0)], [np.array(3.0)]])
        >>> m.value.item()
        3.0
        """
        totals = [
            None if all(a is None for a in parts) else sum(a for a in parts if a is not None)
            for parts in zip(*states, strict=True)
        ]
        for name, total in zip(self.arrays, totals, strict=False):
            if total is not None:
                self._set_array(name, np.asarray(total))
        for variable, total in zip(self._variables, totals[len(self.arrays) :], strict=True):
            variable.assign(total)

    def _set_array(self, name: str, values: Array) -> None:
        own = getattr(self, name)
        if own is not None and own.shape == values.shape:
            own[...] = values
        else:
            object.__setattr__(self, name, shared_array(values, values.dtype))

    def saved(self) -> Any:
        """Return the state, for `take_back`."""
        return [getattr(self, name) for name in self.arrays] if self.recordable else State(self)

    def set_aside(self) -> None:
        """Replace the state that `saved` returned by a new one, for an evaluation during training."""
        if not self.recordable:
            self.reset_state()
            return
        for name in self.arrays:
            array = getattr(self, name)
            setattr(self, name, None if array is None else shared_array(np.zeros(array.shape), array.dtype))

    def take_back(self, kept: Any) -> None:
        """Restore the state that `saved` returned; this may be repeated."""
        if isinstance(kept, State):
            kept.restore()
            return
        for name, array in zip(self.arrays, kept, strict=True):
            setattr(self, name, array)

    def result(self) -> Any:
        """Return the mean of the values since the last reset; 0.0 if there are none."""
        if self._by_state and type(self).update is Metric.update:
            raise NotImplementedError(f"metric {self.name}: {type(self).__name__} defines no result()")
        values, weights = self.total
        return float(values / weights) if weights != 0 else 0.0

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {"name": self.name}

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name}={np.array2string(np.asarray(self.result()), precision=4)}>"
