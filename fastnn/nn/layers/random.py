"""Layers that are random in training, and do nothing in evaluation: dropout and noise."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ...autograd.tensor import Array, Tensor
from ...backends import shared_array
from ...core.registry import alias
from ...core.seeding import generator
from ...ops import random as ops
from ...ops.checks import check_number
from ...ops.layout import channels_first, last_of
from ..mode import sampled
from ..module import Module
from ..parameter import filling


def seed_or_none(value: Any, name: str) -> int | None:
    """Return a seed as an int, or None; raise TypeError if it is neither."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer | None):
        raise TypeError(f"{name} is {value!r}, wanted a whole number or None")
    return None if value is None else int(value)


class Drawing(Module):
    """Base of layers with a random number stream, whose state is in an array that recorded steps move on."""

    _saved_as = ""
    _draws = True

    def __init__(self, seed: int | None, name: str | None) -> None:
        super().__init__()
        self._state = shared_array(np.array([0, 0], np.uint64), np.uint64)
        self.seed = seed
        self.name = name or type(self).__name__.lower()

    @property
    def seed(self) -> int | None:
        """Return the seed of the random number stream; None uses `fastnn.seed`. Setting it restarts the stream."""
        return self._seed

    @seed.setter
    def seed(self, value: int | None) -> None:
        self._seed = seed_or_none(value, f"{type(self).__name__}: seed")
        if value is None and filling.get() is not None:
            return  # the file contains the state of the stream
        self._state[:] = (int(generator().integers(2**63)) if value is None else int(value)) % 2**64, 0


class _Random(Drawing):
    """Base of random layers with one setting, in an array that recorded steps read."""

    _saved_as = ""
    supports_masking = True
    _operation: Callable[[Tensor, Array, Array], Tensor]
    _setting = "rate"

    def __init__(self, value: float, seed: int | None, name: str | None) -> None:
        super().__init__(seed, name)
        self._value = shared_array([0.0])
        setattr(self, self._setting, value)

    def _set(self, value: float, wanted: str, fits: bool) -> None:
        if not fits:
            raise ValueError(f"{type(self).__name__}: {self._setting} is {value!r}, wanted a number {wanted}")
        self._value[0] = value

    def forward(self, x: Tensor) -> Tensor:
        if not (self.training or sampled.get()):
            return x
        operation, last = type(self)._operation, last_of(x)
        if last is not None:
            return channels_first(operation(last, self._state, self._value))
        return operation(x, self._state, self._value)

    def get_config(self) -> dict[str, Any]:
        return {self._setting: getattr(self, self._setting), "seed": self.seed}

    def extra_repr(self) -> str:
        return f"{self._setting}={getattr(self, self._setting)}"


def _number(value: Any) -> bool:
    return isinstance(value, int | float | np.number) and not isinstance(value, bool)


class Dropout(_Random):
    """Layer that sets a random fraction of the elements to 0 in training, and scales the others up. It is inactive in evaluation.

    Source: Srivastava et al., JMLR 15, 2014.

    Args:
        rate: fraction of dropped elements, 0 <= rate <= 1; it may be changed at any time, in recorded steps too. PyTorch's name
            p works too.
        inplace: accepted for compatibility with PyTorch; has no effect.
        seed: seed of this layer's stream; by default it depends on `fastnn.seed`.

    >>> import fastnn
    >>> fastnn.Dropout(0.5).eval()(fastnn.tensor([1.0, 2.0])).tolist()
    [1.0, 2.0]
    """

    _operation = staticmethod(ops.dropout)
    p = alias("rate")

    def __init__(
        self,
        rate: float = 0.5,
        inplace: bool | None = False,
        seed: int | None = None,
        name: str | None = None,
        *,
        p: float | None = None,
    ) -> None:
        if not isinstance(inplace, bool | None):  # in Keras, this argument is noise_shape, None by default
            hint = "; a seed has a name: seed=..." if isinstance(inplace, int) else "; there is no noise_shape"
            raise TypeError(f"{type(self).__name__}: inplace is {inplace!r}, wanted True or False{hint}")
        super().__init__(rate if p is None else p, seed, name)

    @property
    def rate(self) -> float:
        """Return the fraction of dropped elements."""
        return float(self._value[0])

    @rate.setter
    def rate(self, value: float) -> None:
        self._set(value, "from 0 to 1", _number(value) and 0 <= value <= 1)

    def stream(self) -> dict[str, Array]:
        """Return rate and state for an operation that drops by itself, such as attention; empty if the layer is inactive."""
        return {"rate": self._value, "state": self._state} if self.training or sampled.get() else {}


class Dropping(Module):
    """Base of layers that drop by a layer ``drop``, which is there only if its rate is above 0."""

    _saved_as = ""
    drop: Dropout | None = None
    seed: int | None = None

    @property
    def dropout(self) -> float:
        """Return the rate of dropout; it may be changed at any time. With 0 there is no layer ``drop``."""
        return 0.0 if self.drop is None else self.drop.rate

    @dropout.setter
    def dropout(self, value: float) -> None:
        rate = check_number(value, f"{type(self).__name__}: dropout", 0.0, 1.0)
        if self.drop is not None and rate:
            self.drop.rate = rate
        elif self.drop is not None or rate:
            self.drop = Dropout(rate, seed=self.seed) if rate else None

    def _dropped(self, x: Tensor) -> Tensor:
        return x if self.drop is None else self.drop(x)

    def _dropping(self) -> dict[str, Any]:
        """Return the arguments of attention for the dropout of its weights."""
        return {} if self.drop is None else self.drop.stream()


class AlphaDropout(Dropout):
    """Dropout for networks with SELU. Dropped elements become -1.758, SELU's minimum. Scale and shift keep mean 0 and variance 1.

    Source: Klambauer et al., arXiv 1706.02515. The arguments are those of `Dropout`.

    >>> import fastnn
    >>> y = fastnn.AlphaDropout(0.5, seed=0)(fastnn.tensor([0.0] * 50))
    >>> sorted({round(v, 4) for v in y.tolist()})
    [-0.7792, 0.7792]
    """

    _operation = staticmethod(ops.alpha_dropout)


class GaussianDropout(Dropout):
    """Layer that multiplies by normal numbers of mean 1 and variance rate / (1 - rate) in training: like dropout, without zeros.

    Source: Srivastava et al., JMLR 15, 2014, section 10.

    Args:
        rate: 0 <= rate < 1; it may be changed at any time.
        seed: seed of this layer's stream; by default it depends on `fastnn.seed`.

    >>> import fastnn
    >>> fastnn.GaussianDropout(0.5).eval()(fastnn.tensor([1.0, 2.0])).tolist()
    [1.0, 2.0]
    """

    _operation = staticmethod(ops.gaussian_dropout)

    def __init__(self, rate: float, seed: int | None = None, name: str | None = None) -> None:
        super().__init__(rate, seed=seed, name=name)

    def _set(self, value: float, wanted: str, fits: bool) -> None:
        super()._set(value, "from 0 to below 1", fits and value < 1)


class GaussianNoise(_Random):
    """Layer that adds normal numbers of mean 0 in training.

    Args:
        stddev: their standard deviation, at least 0; it may be changed at any time.
        seed: seed of this layer's stream; by default it depends on `fastnn.seed`.

    >>> import fastnn
    >>> fastnn.GaussianNoise(0.1).eval()(fastnn.tensor([1.0, 2.0])).tolist()
    [1.0, 2.0]
    """

    _operation = staticmethod(ops.gaussian_noise)
    _setting = "stddev"

    def __init__(self, stddev: float, seed: int | None = None, name: str | None = None) -> None:
        super().__init__(stddev, seed, name)

    @property
    def stddev(self) -> float:
        """Return the standard deviation of the noise."""
        return float(self._value[0])

    @stddev.setter
    def stddev(self, value: float) -> None:
        self._set(value, "of at least 0", _number(value) and 0 <= value < np.inf)
