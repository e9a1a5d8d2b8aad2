"""Layer that mixes pairs of samples and their targets in training."""

from __future__ import annotations

import math
from typing import Any, ClassVar

from ...autograd.tensor import Tensor
from ...ops.checks import check_number
from ...ops.data import take
from ...ops.elementwise import cos, sqrt
from ...ops.random import uniform
from ...ops.sort import argsort
from ..spec import ANY, InputSpec
from .random import Drawing


def _positive(value: Any, name: str) -> float:
    if check_number(value, name, 0) == 0:
        raise ValueError(f"{name} is {value!r}, wanted a number above 0")
    return float(value)


class MixUp(Drawing):
    """Layer that mixes each sample of a batch and its target with another one of the batch in training.

    A sample becomes l x + (1 - l) x', and its target l y + (1 - l) y', where x', y' are those of the sample that a random order
    of the batch has in its place. The share l of each pair is drawn from the Beta distribution with both parameters alpha. It is
    computed from two uniform numbers u, v as 1/2 + c / (2 sqrt(w / (1 - w) + c^2)) with w = u^(1 / alpha) and c = cos(2 pi v).

    A layer of a Sequential does not see the targets, so this layer belongs into the `train_step` of a model, or into a training
    loop of your own. In evaluation it returns samples and targets as they are.

    Source: Zhang et al., arXiv 1710.09412. Shares: Bailey, Mathematics of Computation 62, 1994.

    Args:
        alpha: above 0. Small numbers mix little: most shares are close to 0 or 1.
        seed: seed of this layer's stream; by default it depends on `fastnn.seed`.

    Shapes: x (N, ...), y (N, ...), as the results. Targets are floats: classes as in `fastnn.one_hot`.

    Raises:
        TypeError: the targets are whole numbers.
        ValueError: there are not as many targets as samples.

    >>> import fastnn
    >>> mix = fastnn.MixUp(0.2, seed=0)
    >>> x, y = mix(fastnn.tensor([[0.0], [1.0]]), fastnn.tensor([[1.0, 0.0], [0.0, 1.0]]))
    >>> bool((x[:, 0] == y[:, 1]).all())
    True
    """

    input_spec = (InputSpec("float"), ANY)
    _checked_arguments: ClassVar = {"alpha": _positive}

    alpha: float

    def __init__(self, alpha: float = 0.2, *, seed: int | None = None, name: str | None = None) -> None:
        super().__init__(seed, name)
        self.alpha = alpha

    def forward(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        if not x.ndim or not y.ndim or x.shape[0] != y.shape[0]:
            raise ValueError(f"MixUp: x has shape {x.shape} and y {y.shape}, wanted as many targets as samples")
        if y.dtype.kind != "f":
            raise TypeError(f"MixUp: the targets have dtype {y.dtype}, wanted floats; for classes, fastnn.one_hot makes them")
        if not self.training:
            return x, y
        n = x.shape[0]
        w, c = uniform(self._state, (n,)) ** (1 / self.alpha), cos(uniform(self._state, (n,)) * math.tau)
        share = c / sqrt(w / (1 - w) + c * c) / 2 + 0.5
        order = argsort(uniform(self._state, (n,)))

        def mixed(a: Tensor) -> Tensor:
            part = share.astype(a.dtype).reshape(n, *(1,) * (a.ndim - 1))
            return part * a + (1 - part) * take(a, order, axis=0)

        return mixed(x), mixed(y)

    def get_config(self) -> dict[str, Any]:
        return {"alpha": self.alpha, "seed": self.seed}

    def extra_repr(self) -> str:
        return f"alpha={self.alpha}"
