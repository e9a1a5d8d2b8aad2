"""What every metric is: numbers that grow batch by batch, by the backend's kernels."""

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
    """A number that grows batch by batch; base of a metric of your own.

    Keras's way: a class defines ``update_state(y_true, y_pred, sample_weight=None)``, ``result()``, and ``reset_state()`` if it
    has state beside that of `add_weight`. fit and evaluate hand it Tensors with as many dimensions each, y_true in the dtype of
    y_pred unless it is class labels, (n,) for (n, C) or (n, T) for (n, T, C), which are int64; sample_weight, in
    weighted_metrics alone, is (n,) or (n, T). The result is a number, a Tensor of one element, or a dict of them. As it is
    Python code, fit runs the steps of its model one by one: they are not recorded.

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

    fastnn's own define ``update``, of kernel calls, and are means, ``total[0] / total[1]``, values over weights, or have other
    ``arrays`` and define ``result`` too. Arrays stay the same while a model trains, so that recorded steps can add to them.

    Args:
        name: what it is called in the logs; made of the class's name if not given.
        dtype: of what `add_weight` makes; float32 if not given.
    """

    targets: Literal["labels", "values", "any"] = "values"
    """What it compares with: class labels (int64, without the axis of classes), values shaped like the prediction, or
    either."""
    direction: Literal["min", "max"] | None = None
    """Which way is better; None where that is not known."""
    recordable = True
    """Whether update is kernel calls alone."""
    arrays: tuple[str, ...] = ("total",)
    """The attributes that hold what it knows of the batches so far; None until the first one, where shapes depend on it."""

    _by_state = False
    """Whether a class of the user's own defines update_state."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        own = {"update", "update_state"} & vars(cls).keys()
        if own and not own_code(cls.__module__):
            cls._by_state = "update_state" in own
            cls.recordable = bool(vars(cls).get("recordable", False))
            if cls._by_state and cls.update is Metric.update:  # not derived from one of fastnn's
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
        if changes:  # it has begun anew: what it had counted was with the old setting, and in the old arrays
            settings_changed()

    @property
    def variables(self) -> list[Variable]:
        """Return what `add_weight` made."""
        return list(self._variables)

    def add_weight(self, shape: Any = (), initializer: Any = "zeros", dtype: Any = None, name: str | None = None) -> Variable:
        """Make a Tensor that the metric counts in, with ``assign`` and ``assign_add``; `reset_state` makes it 0.

        Args:
            shape: its shape; a number without dimensions if not given.
            initializer: a name or object of `fastnn.initializers`.
            dtype: the metric's if not given.
            name: is taken for Keras's sake.
        """
        self._variables.append(made(shape, initializer, dtype or self.dtype))
        return self._variables[-1]

    add_variable = add_weight

    def scalar(self, outputs: int) -> bool:
        """Return whether the result is one number for so many outputs, as `fit` needs it."""
        return True

    def update(self, k: Backend, y_pred: Array, y_true: Array, sample_weight: Array) -> None:
        """Add a batch. k is the backend whose kernels are used.

        y_pred has shape (n, ...), y_true values like y_pred in the same dtype, or labels in its shape without the last axis;
        sample_weight has the first axes of y_pred, (n,) or more of them, in the same dtype, or size 0.
        """
        raise NotImplementedError(
            f"metric {self.name}: {type(self).__name__} defines no update_state(y_true, y_pred, sample_weight)"
        )

    def add_batch(self, k: Backend, y_pred: Array, y_true: Array, sample_weight: Array, logits: str = "") -> None:
        """Add a batch of training or evaluation; logits says what makes probabilities of y_pred, where the loss takes logits."""
        if self._by_state:
            weight = (Tensor(sample_weight),) if sample_weight.size else ()
            self.update_state(*as_given(Tensor(y_true), Tensor(y_pred)), *weight)
        elif logits:
            self.update_logits(k, y_pred, y_true, sample_weight, logits)
        else:
            self.update(k, y_pred, y_true, sample_weight)

    def update_logits(self, k: Backend, y_pred: Array, y_true: Array, sample_weight: Array, logits: str) -> None:
        """Add a batch whose outputs are logits, of a "sigmoid" or a "softmax"."""
        self.update(k, self.of_logits(k, y_pred, logits), y_true, sample_weight)

    def of_logits(self, k: Backend, y_pred: Array, logits: str) -> Array:
        """Return what `update` takes of such outputs: themselves, except for metrics of probabilities."""
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

    def reserve(self, samples: int) -> None:
        """Make room for so many samples, which come before the next reset, where all have to be kept."""

    def reset_state(self) -> None:
        """Start anew."""
        for name in self.arrays:
            if (array := getattr(self, name)) is not None:
                array[...] = 0
        for variable in self._variables:
            variable.assign(0.0)

    def saved(self) -> Any:
        """Return its state, for `take_back`."""
        return [getattr(self, name) for name in self.arrays] if self.recordable else State(self)

    def set_aside(self) -> None:
        """Give it a new state in the place of the one that `saved` gave: an evaluation in the middle of training."""
        if not self.recordable:
            self.reset_state()
            return
        for name in self.arrays:
            array = getattr(self, name)
            setattr(self, name, None if array is None else shared_array(np.zeros(array.shape), array.dtype))

    def take_back(self, kept: Any) -> None:
        """Take what `saved` gave; may be called again."""
        if isinstance(kept, State):
            kept.restore()
            return
        for name, array in zip(self.arrays, kept, strict=True):
            setattr(self, name, array)

    def result(self) -> Any:
        """Return the mean of what was added since the last reset; 0.0 for nothing."""
        if self._by_state and type(self).update is Metric.update:
            raise NotImplementedError(f"metric {self.name}: {type(self).__name__} defines no result()")
        values, weights = self.total
        return float(values / weights) if weights != 0 else 0.0

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {"name": self.name}

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name}={np.array2string(np.asarray(self.result()), precision=4)}>"
