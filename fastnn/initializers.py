"""Initial values of weights: the initialisers of Keras, and those of PyTorch's Linear layer.

An initialiser is called as ``init(shape, dtype, rng)`` with a `numpy.random.Generator`. Values are drawn in float64 and then
cast, so that float32 and float64 models start with the same values. Weights have shape (in, out), kernels of convolutions
(height, width, in, out).
"""

from __future__ import annotations

import inspect
import math
import warnings
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from .core.near import unknown
from .core.registered import named, own_config, registered_name
from .core.registry import Remade

if TYPE_CHECKING:
    from numpy.typing import DTypeLike

__all__ = [
    "INITIALIZERS",
    "Constant",
    "FromFunction",
    "GlorotNormal",
    "GlorotUniform",
    "HeNormal",
    "HeUniform",
    "Identity",
    "Initializer",
    "LecunNormal",
    "LecunUniform",
    "LinearBias",
    "LinearWeight",
    "Ones",
    "Orthogonal",
    "RandomInitializer",
    "RandomNormal",
    "RandomUniform",
    "TruncatedNormal",
    "VarianceScaling",
    "Zeros",
    "get",
    "serialize",
]


def __dir__() -> list[str]:
    return sorted(__all__)


Array = np.ndarray[Any, Any]
Shape = tuple[int, ...]

# The standard deviation of a unit normal cut off at two standard deviations.
_TRUNCATED_STDDEV = 0.87962566103423978


class Initializer(Remade):
    """Base class. An initialiser returns an array of the given shape and dtype, and takes random numbers from rng.

    >>> Constant(0.5)((2,), "float32", np.random.default_rng(0))
    array([0.5, 0.5], dtype=float32)
    """

    def __call__(self, shape: Shape, dtype: DTypeLike, rng: np.random.Generator) -> Array:
        raise NotImplementedError(f"{type(self).__name__} defines no __call__(shape, dtype, rng)")

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {}

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and isinstance(other, Initializer) and self.get_config() == other.get_config()

    def __hash__(self) -> int:
        return hash((type(self), tuple(self.get_config().items())))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{k}={v!r}' for k, v in self.get_config().items())})"


class Constant(Initializer):
    """Constant `value`."""

    def __init__(self, value: float = 0.0) -> None:
        self.value = value

    def __call__(self, shape: Shape, dtype: DTypeLike, rng: np.random.Generator) -> Array:
        return np.full(shape, self.value, dtype)

    def get_config(self) -> dict[str, Any]:
        return {"value": self.value}


class Zeros(Initializer):
    """Constant 0."""

    def __call__(self, shape: Shape, dtype: DTypeLike, rng: np.random.Generator) -> Array:
        return np.zeros(shape, dtype)


class Ones(Initializer):
    """Constant 1."""

    def __call__(self, shape: Shape, dtype: DTypeLike, rng: np.random.Generator) -> Array:
        return np.ones(shape, dtype)


class Identity(Initializer):
    """Matrix with gain on the diagonal and 0 elsewhere."""

    def __init__(self, gain: float = 1.0) -> None:
        self.gain = gain

    def __call__(self, shape: Shape, dtype: DTypeLike, rng: np.random.Generator) -> Array:
        if len(shape) != 2:
            raise ValueError(f"Identity: shape {tuple(shape)}; wanted that of a matrix")
        return np.asarray(self.gain * np.eye(*shape), dtype)

    def get_config(self) -> dict[str, Any]:
        return {"gain": self.gain}


class RandomInitializer(Initializer):
    """Base class of random initialisers. ``draw`` returns float64 values.

    With a seed, every call returns the same values, and rng is not used.
    """

    def __init__(self, seed: int | None = None) -> None:
        self.seed = seed

    def __call__(self, shape: Shape, dtype: DTypeLike, rng: np.random.Generator) -> Array:
        return self.draw(shape, rng if self.seed is None else np.random.default_rng(self.seed)).astype(dtype)

    def draw(self, shape: Shape, rng: np.random.Generator) -> Array:
        raise NotImplementedError(f"{type(self).__name__} defines no draw(shape, rng)")

    def get_config(self) -> dict[str, Any]:
        return {"seed": self.seed}


class RandomNormal(RandomInitializer):
    """Normal distribution."""

    def __init__(self, mean: float = 0.0, stddev: float = 0.05, seed: int | None = None) -> None:
        super().__init__(seed)
        self.mean = mean
        self.stddev = stddev

    def draw(self, shape: Shape, rng: np.random.Generator) -> Array:
        return rng.normal(self.mean, self.stddev, shape)

    def get_config(self) -> dict[str, Any]:
        return {"mean": self.mean, "stddev": self.stddev, **super().get_config()}


class TruncatedNormal(RandomNormal):
    """Normal distribution. Values beyond two standard deviations are drawn again."""

    def draw(self, shape: Shape, rng: np.random.Generator) -> Array:
        return self.mean + self.stddev * truncated_normal(shape, -2, 2, rng)


class RandomUniform(RandomInitializer):
    """Uniform distribution on [minval, maxval)."""

    def __init__(self, minval: float = -0.05, maxval: float = 0.05, seed: int | None = None) -> None:
        super().__init__(seed)
        self.minval = minval
        self.maxval = maxval

    def draw(self, shape: Shape, rng: np.random.Generator) -> Array:
        return rng.uniform(self.minval, self.maxval, shape)

    def get_config(self) -> dict[str, Any]:
        return {"minval": self.minval, "maxval": self.maxval, **super().get_config()}


class VarianceScaling(RandomInitializer):
    """Mean 0 and variance scale / n, where n is the number of inputs, the number of outputs, or the mean of both.

    mode: "fan_in", "fan_out" or "fan_avg". distribution: "truncated_normal" (at two standard deviations; the variance is
    corrected for this), "untruncated_normal" or "uniform".
    """

    def __init__(
        self, scale: float = 1.0, mode: str = "fan_in", distribution: str = "truncated_normal", seed: int | None = None
    ) -> None:
        super().__init__(seed)
        if not scale > 0:
            raise ValueError(f"VarianceScaling: scale is {scale!r}; wanted a positive number")
        if mode not in ("fan_in", "fan_out", "fan_avg"):
            raise ValueError(f"VarianceScaling: mode is {mode!r}; wanted 'fan_in', 'fan_out' or 'fan_avg'")
        if distribution not in ("truncated_normal", "untruncated_normal", "uniform"):
            raise ValueError(
                f"VarianceScaling: distribution is {distribution!r}; wanted 'truncated_normal', 'untruncated_normal' or 'uniform'"
            )
        self.scale = scale
        self.mode = mode
        self.distribution = distribution

    def draw(self, shape: Shape, rng: np.random.Generator) -> Array:
        fan_in, fan_out = fans(shape)
        n = {"fan_in": fan_in, "fan_out": fan_out, "fan_avg": (fan_in + fan_out) / 2}[self.mode]
        variance = self.scale / max(1.0, n)
        if self.distribution == "uniform":
            limit = math.sqrt(3 * variance)
            return rng.uniform(-limit, limit, shape)
        if self.distribution == "truncated_normal":
            return math.sqrt(variance) / _TRUNCATED_STDDEV * truncated_normal(shape, -2, 2, rng)
        return rng.normal(0, math.sqrt(variance), shape)

    def get_config(self) -> dict[str, Any]:
        return {"scale": self.scale, "mode": self.mode, "distribution": self.distribution, **super().get_config()}


class _Named(VarianceScaling):
    """Variance scaling with fixed arguments and a separate name."""

    variant: tuple[float, str, str]

    def __init__(self, seed: int | None = None) -> None:
        super().__init__(*self.variant, seed)

    def get_config(self) -> dict[str, Any]:
        return {"seed": self.seed}


class GlorotUniform(_Named):
    """Uniform on +-sqrt(6 / (fan_in + fan_out)); Glorot and Bengio, 2010."""

    variant = (1.0, "fan_avg", "uniform")


class GlorotNormal(_Named):
    """Truncated normal of variance 2 / (fan_in + fan_out); Glorot and Bengio, 2010."""

    variant = (1.0, "fan_avg", "truncated_normal")


class HeUniform(_Named):
    """Uniform on +-sqrt(6 / fan_in); He et al., 2015."""

    variant = (2.0, "fan_in", "uniform")


class HeNormal(_Named):
    """Truncated normal of variance 2 / fan_in; He et al., 2015."""

    variant = (2.0, "fan_in", "truncated_normal")


class LecunUniform(_Named):
    """Uniform on +-sqrt(3 / fan_in); LeCun et al., 1998."""

    variant = (1.0, "fan_in", "uniform")


class LecunNormal(_Named):
    """Truncated normal of variance 1 / fan_in; LeCun et al., 1998."""

    variant = (1.0, "fan_in", "truncated_normal")


class Orthogonal(RandomInitializer):
    """Random matrix with orthonormal rows or columns (whichever are fewer), times gain; Saxe et al., arXiv 1312.6120.

    With more than two axes, all axes except the last one form the rows.
    """

    def __init__(self, gain: float = 1.0, seed: int | None = None) -> None:
        super().__init__(seed)
        self.gain = gain

    def draw(self, shape: Shape, rng: np.random.Generator) -> Array:
        if len(shape) < 2:
            raise ValueError(f"Orthogonal: shape {tuple(shape)}; wanted two dimensions or more")
        return self.gain * orthogonal(math.prod(shape[:-1]), shape[-1], rng).reshape(shape)

    def get_config(self) -> dict[str, Any]:
        return {"gain": self.gain, **super().get_config()}


class LinearWeight(RandomInitializer):
    """Uniform on +-1 / sqrt(fan_in): the weights of PyTorch's Linear (its kaiming uniform with a = sqrt 5)."""

    def draw(self, shape: Shape, rng: np.random.Generator) -> Array:
        return _within(fans(shape)[0], shape, rng)


class LinearBias(RandomInitializer):
    """The bias of PyTorch's Linear: uniform with the same bound as its weights, which have fan_in inputs."""

    def __init__(self, fan_in: int, seed: int | None = None) -> None:
        super().__init__(seed)
        self.fan_in = fan_in

    def draw(self, shape: Shape, rng: np.random.Generator) -> Array:
        return _within(self.fan_in, shape, rng)

    def get_config(self) -> dict[str, Any]:
        return {"fan_in": self.fan_in, **super().get_config()}


class FromFunction(Initializer):
    """Initialiser from a function f(shape, dtype, rng), or f(shape, dtype) as in Keras."""

    def __init__(self, fn: Callable[..., Any]) -> None:
        self.fn = fn
        self.takes_rng = _takes(fn, 3)
        if not self.takes_rng and not _takes(fn, 2):
            raise TypeError(f"initializer: {fn!r} takes neither (shape, dtype, rng) nor (shape, dtype)")

    def __call__(self, shape: Shape, dtype: DTypeLike, rng: np.random.Generator) -> Array:
        a = np.asarray(self.fn(shape, dtype, rng) if self.takes_rng else self.fn(shape, dtype))
        if a.shape != tuple(shape):
            raise ValueError(f"initializer: {self.fn!r} gave shape {a.shape}; wanted {tuple(shape)}")
        return np.ascontiguousarray(a, dtype)

    def get_config(self) -> dict[str, Any]:
        return {"fn": self.fn}


INITIALIZERS: dict[str, type[Initializer]] = {
    "constant": Constant,
    "glorot_normal": GlorotNormal,
    "glorot_uniform": GlorotUniform,
    "he_normal": HeNormal,
    "he_uniform": HeUniform,
    "identity": Identity,
    "lecun_normal": LecunNormal,
    "lecun_uniform": LecunUniform,
    "linear_weight": LinearWeight,
    "ones": Ones,
    "orthogonal": Orthogonal,
    "random_normal": RandomNormal,
    "random_uniform": RandomUniform,
    "truncated_normal": TruncatedNormal,
    "variance_scaling": VarianceScaling,
    "zeros": Zeros,
}
"""Initialisers by the names that `get` accepts. The aliases are normal, uniform, one and zero."""

_BY_CONFIG = {**INITIALIZERS, "linear_bias": LinearBias}  # a bias needs the size of its layer, which a name does not contain
_ALIASES = {"normal": "random_normal", "uniform": "random_uniform", "one": "ones", "zero": "zeros"}


def get(identifier: Any) -> Initializer:
    """Return the initialiser for a name, class, config (as `serialize` returns it) or function. Return an initialiser unchanged.

    >>> get("glorot_uniform") == get("GlorotUniform") == GlorotUniform()
    True
    """
    if isinstance(identifier, Initializer):
        return identifier
    if isinstance(identifier, type) and issubclass(identifier, Initializer):
        return identifier()
    if isinstance(identifier, str):
        return get({"class_name": identifier}) if ">" in identifier else _class(identifier, INITIALIZERS)()
    if isinstance(identifier, Mapping):
        name, config = identifier.get("class_name"), identifier.get("config", {})
        if not isinstance(name, str) or not isinstance(config, Mapping):
            raise ValueError(f"initializer: a config needs a class_name and a config, not {dict(identifier)!r}")
        cls = named(name) if ">" in name else _class(name, _BY_CONFIG)
        if not isinstance(cls, type):
            return FromFunction(cls)
        if not issubclass(cls, Initializer):
            raise ValueError(f"initializer: {name!r} is registered, but it is no Initializer")
        try:
            return cls(**config)
        except TypeError as e:
            raise ValueError(f"initializer: {name} cannot be made from {dict(config)!r}: {e}") from e
    if callable(identifier):
        return FromFunction(identifier)
    raise TypeError(f"initializer: {identifier!r} is a {type(identifier).__name__}; wanted a name, an initializer or a function")


def serialize(initializer: Initializer) -> dict[str, Any]:
    """Return the name and arguments of an initialiser for JSON; `get` makes an equal initialiser from them.

    >>> serialize(Constant(0.5))
    {'class_name': 'Constant', 'config': {'value': 0.5}}
    """
    if type(initializer) in _BY_CONFIG.values():
        return {"class_name": type(initializer).__name__, "config": initializer.get_config()}
    if (name := registered_name(getattr(initializer, "fn", None))) is not None:
        return {"class_name": name, "config": {}}
    if (name := registered_name(type(initializer))) is not None:
        return {"class_name": name, "config": own_config(initializer)}
    raise TypeError(
        f"initializer: {initializer!r} is not one of fastnn.initializers and cannot be saved; put @fastnn.register before "
        "its definition"
    )


def written(initializer: Initializer, default: str) -> dict[str, Any]:
    """Return the config of a layer's initialiser for files. A function cannot be written, so the default is written instead.

    >>> written(Ones(), "zeros")
    {'class_name': 'Ones', 'config': {}}
    """
    if isinstance(initializer, FromFunction) and registered_name(initializer.fn) is None:
        text = f"save: the initializer {initializer.fn!r} cannot be written, so {default!r} replaces it; the weights are kept"
        warnings.warn(text, UserWarning, stacklevel=2)
        initializer = get(default)
    return serialize(initializer)


def fans(shape: Shape) -> tuple[int, int]:
    """Return the number of inputs of an output, and the number of outputs of an input: (in, out) for weights of this shape.

    >>> fans((400, 15)), fans((3, 3, 8, 16)), fans((15,))
    ((400, 15), (72, 144), (15, 15))
    """
    if len(shape) < 2:
        n = math.prod(shape)
        return n, n
    window = math.prod(shape[:-2])
    return window * shape[-2], window * shape[-1]


def _class(name: str, classes: Mapping[str, type[Initializer]]) -> type[Initializer]:
    plain = name.replace("_", "").lower()
    plain = _ALIASES.get(plain, plain).replace("_", "")
    for known, cls in classes.items():
        if known.replace("_", "") == plain:
            return cls
    raise ValueError(unknown("initializer", name, INITIALIZERS))


def _takes(fn: Callable[..., Any], n: int) -> bool:
    try:
        inspect.signature(fn).bind(*[None] * n)
    except (TypeError, ValueError):  # a builtin without a signature raises ValueError
        return False
    return True


def _within(fan_in: int, shape: Shape, rng: np.random.Generator) -> Array:
    limit = 1 / math.sqrt(fan_in) if fan_in else 0.0
    return rng.uniform(-limit, limit, shape)


def truncated_normal(shape: Shape, low: float, high: float, rng: np.random.Generator) -> Array:
    """Draw normal numbers of mean 0 and variance 1 between low and high, by rejection."""
    n = math.prod(shape)
    if math.erf(high / math.sqrt(2)) - math.erf(low / math.sqrt(2)) > 0.2:
        values = rng.standard_normal(n)
        while (outside := np.flatnonzero((values < low) | (values > high))).size:
            values[outside] = rng.standard_normal(outside.size)
        return values.reshape(shape)
    # A narrow range or a tail: draw uniform numbers, and accept each with the probability that its density gives. Nine standard
    # deviations beyond the nearest value, the density is negligible.
    nearest = min(max(0.0, low), high)
    low, high = max(low, nearest - 9), min(high, nearest + 9)
    values, rejected = np.empty(n), np.arange(n)
    while rejected.size:
        values[rejected] = rng.uniform(low, high, rejected.size)
        keep = np.exp((nearest**2 - values[rejected] ** 2) / 2)
        rejected = rejected[rng.random(rejected.size) > keep]
    return values.reshape(shape)


def orthogonal(rows: int, columns: int, rng: np.random.Generator) -> Array:
    """Return a random matrix with orthonormal rows or columns (whichever are fewer). All such matrices are equally likely."""
    q, r = np.linalg.qr(rng.standard_normal((max(rows, columns), min(rows, columns))))
    q *= np.sign(np.diag(r))
    return q if rows >= columns else q.T
