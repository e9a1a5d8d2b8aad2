"""Functions that initialize parameters in place, as in `torch.nn.init`.

As in PyTorch, a weight has the dimensions (out, in, ...), such as ``weight`` of `fastnn.nn.Linear`. Kernels of `fastnn.Dense` are
(in, out); use ``kernel_initializer`` for them. Every function returns its argument. ``generator`` is a `numpy.random.Generator`;
without it, the numbers depend on `fastnn.seed`.

>>> import fastnn
>>> layer = fastnn.nn.Linear(3, 4)
>>> _ = fastnn.nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
>>> fastnn.nn.init.zeros_(layer.bias).tolist()
[0.0, 0.0, 0.0, 0.0]
"""

from __future__ import annotations

import math
from typing import Any, TypeAlias, TypeVar

import numpy as np

from ..autograd.tensor import Tensor, no_grad
from ..core.seeding import generator as own_generator
from ..initializers import orthogonal, truncated_normal
from ..ops.checks import check_number
from ..ops.create import rand, randn

__all__ = [
    "calculate_gain",
    "constant_",
    "eye_",
    "kaiming_normal_",
    "kaiming_uniform_",
    "normal_",
    "ones_",
    "orthogonal_",
    "sparse_",
    "trunc_normal_",
    "uniform_",
    "xavier_normal_",
    "xavier_uniform_",
    "zeros_",
]


def __dir__() -> list[str]:
    return sorted(__all__)


T = TypeVar("T", bound=Tensor)
Generator: TypeAlias = "np.random.Generator | None"

_GAINS = {"relu": math.sqrt(2), "tanh": 5 / 3, "selu": 3 / 4}
_LINEAR = ("linear", "sigmoid", *(f"conv{t}{d}d" for t in ("", "_transpose") for d in (1, 2, 3)))


def calculate_gain(nonlinearity: str, param: float | None = None) -> float:
    """Return the gain that keeps the variance through a function: 1 for linear, sqrt 2 for relu, 5/3 for tanh, 3/4 for selu.

    The gain of leaky_relu is sqrt(2 / (1 + param^2)), where param is its slope, 0.01 by default.
    """
    if nonlinearity in _LINEAR:
        return 1.0
    if nonlinearity == "leaky_relu":
        return math.sqrt(2 / (1 + (0.01 if param is None else float(param)) ** 2))
    if nonlinearity not in _GAINS:
        raise ValueError(
            f"calculate_gain: unknown nonlinearity {nonlinearity!r}; there are {', '.join((*_GAINS, 'leaky_relu', *_LINEAR))}"
        )
    return _GAINS[nonlinearity]


def uniform_(tensor: T, a: float = 0.0, b: float = 1.0, generator: Generator = None) -> T:
    """Draw from a uniform distribution from a to b. Without a generator, each replay of a recorded step draws new values."""
    if generator is None:
        return _write(tensor, rand(tensor.shape, dtype=tensor.dtype) * (b - a) + a)
    return _write(tensor, generator.uniform(a, b, tensor.shape))


def normal_(tensor: T, mean: float = 0.0, std: float = 1.0, generator: Generator = None) -> T:
    """Draw from a normal distribution. Without a generator, each replay of a recorded step draws new values."""
    check_number(std, "normal_: std", 0)
    if generator is None:
        return _write(tensor, randn(tensor.shape, dtype=tensor.dtype) * std + mean)
    return _write(tensor, generator.normal(mean, std, tensor.shape))


def trunc_normal_(
    tensor: T, mean: float = 0.0, std: float = 1.0, a: float = -2.0, b: float = 2.0, generator: Generator = None
) -> T:
    """Draw from a normal distribution that is truncated to values from a to b."""
    if not (std > 0 and a < b):
        raise ValueError(f"trunc_normal_: std is {std!r} and the range {a!r} to {b!r}; wanted std > 0 and a < b")
    z = truncated_normal(tensor.shape, (a - mean) / std, (b - mean) / std, _rng(generator))
    return _write(tensor, np.clip(mean + std * z, a, b))


def constant_(tensor: T, val: float) -> T:
    """Set all elements to val."""
    return _write(tensor, np.full(tensor.shape, val))


def ones_(tensor: T) -> T:
    """Set all elements to 1."""
    return constant_(tensor, 1.0)


def zeros_(tensor: T) -> T:
    """Set all elements to 0."""
    return constant_(tensor, 0.0)


def eye_(tensor: T) -> T:
    """Set the diagonal of a matrix to 1, and the rest to 0."""
    return _write(tensor, np.eye(*_matrix(tensor, "eye_")))


def xavier_uniform_(tensor: T, gain: float = 1.0, generator: Generator = None) -> T:
    """Draw from a uniform distribution on +-gain sqrt(6 / (fan_in + fan_out)); Glorot and Bengio, 2010."""
    limit = gain * math.sqrt(6 / sum(_fans(tensor, "xavier_uniform_")))
    return uniform_(tensor, -limit, limit, generator)


def xavier_normal_(tensor: T, gain: float = 1.0, generator: Generator = None) -> T:
    """Draw from a normal distribution of standard deviation gain sqrt(2 / (fan_in + fan_out)); Glorot and Bengio, 2010."""
    return normal_(tensor, 0.0, gain * math.sqrt(2 / sum(_fans(tensor, "xavier_normal_"))), generator)


def kaiming_uniform_(
    tensor: T, a: float = 0.0, mode: str = "fan_in", nonlinearity: str = "leaky_relu", generator: Generator = None
) -> T:
    """Draw from a uniform distribution on +-gain sqrt(3 / fan), with the gain of nonlinearity (of slope a); He et al., 2015."""
    limit = math.sqrt(3) * _kaiming(tensor, a, mode, nonlinearity, "kaiming_uniform_")
    return uniform_(tensor, -limit, limit, generator)


def kaiming_normal_(
    tensor: T, a: float = 0.0, mode: str = "fan_in", nonlinearity: str = "leaky_relu", generator: Generator = None
) -> T:
    """Draw from a normal distribution of deviation gain / sqrt(fan), with the gain of nonlinearity (slope a); He et al., 2015."""
    return normal_(tensor, 0.0, _kaiming(tensor, a, mode, nonlinearity, "kaiming_normal_"), generator)


def orthogonal_(tensor: T, gain: float = 1.0, generator: Generator = None) -> T:
    """Draw a matrix with orthonormal rows or columns, times gain; all dimensions after the first together are the columns."""
    if tensor.ndim < 2:
        raise ValueError(f"orthogonal_: shape {tensor.shape}; wanted two dimensions or more")
    if tensor.size == 0:
        return tensor
    rows = tensor.shape[0]
    return _write(tensor, gain * orthogonal(rows, tensor.size // rows, _rng(generator)).reshape(tensor.shape))


def sparse_(tensor: T, sparsity: float, std: float = 0.01, generator: Generator = None) -> T:
    """Draw from a normal distribution, and set a fraction of each column, rounded up, to 0 (Martens, ICML 2010)."""
    rows, columns = _matrix(tensor, "sparse_")
    check_number(sparsity, "sparse_: sparsity", 0, 1)
    rng = _rng(generator)
    values = rng.normal(0.0, std, (rows, columns))
    order = rng.random((rows, columns)).argsort(0)
    values[order < math.ceil(sparsity * rows)] = 0
    return _write(tensor, values)


def _write(tensor: T, values: Any) -> T:
    with no_grad():
        tensor.copy_(values if isinstance(values, Tensor) else values.astype(tensor.dtype))
    return tensor


def _rng(given: Generator) -> np.random.Generator:
    return own_generator() if given is None else given


def _matrix(tensor: Tensor, op: str) -> tuple[int, int]:
    if tensor.ndim != 2:
        raise ValueError(f"{op}: shape {tensor.shape}; wanted that of a matrix")
    return tensor.shape[0], tensor.shape[1]


def _fans(tensor: Tensor, op: str) -> tuple[int, int]:
    """Return the number of inputs of an output, and of outputs of an input, for a weight with dimensions (out, in, ...)."""
    if tensor.ndim < 2:
        raise ValueError(f"{op}: shape {tensor.shape}; wanted two dimensions or more, (out, in, ...)")
    window = math.prod(tensor.shape[2:])
    return max(1, tensor.shape[1] * window), max(1, tensor.shape[0] * window)


def _kaiming(tensor: Tensor, a: float, mode: str, nonlinearity: str, op: str) -> float:
    fans = dict(zip(("fan_in", "fan_out"), _fans(tensor, op), strict=True))
    if mode not in fans:
        raise ValueError(f"{op}: mode is {mode!r}; wanted 'fan_in' or 'fan_out'")
    return calculate_gain(nonlinearity, a) / math.sqrt(fans[mode])
