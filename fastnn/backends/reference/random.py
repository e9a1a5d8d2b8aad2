"""Dropout, noise and random numbers from a counter-based stream.

``state`` holds the seed and the offset of a stream. A kernel first takes its counters, in one go also where several threads draw
from the stream: ``aux`` gets seed and offset, and the offset moves on. Backward finds the same words by ``aux``.
"""

from __future__ import annotations

from typing import Any

from ...core.locks import lock

Array = Any

BLOCK = 64
"""Elements come in groups of this size, which take 16 Philox counters; element i of a group is word i // 16 of counter i % 16."""

SELU_FLOOR = -1.6732632423543772848170429916717 * 1.0507009873554804934193349852946
"""What SELU (Klambauer et al., arXiv 1706.02515) tends to for x -> -infinity."""


def dropout_forward(xp: Any, y: Array, aux: Array, state: Array, x: Array, rate: Array) -> None:
    """y = x / (1 - rate) where an element is kept, else 0; an element is kept if its random word >= rate 2^32."""
    take(xp, aux, state, x.size)
    y[...] = _drop(xp, x, aux, rate)


def dropout_backward(xp: Any, dx: Array, dy: Array, aux: Array, rate: Array) -> None:
    """dx = dy / (1 - rate) where the forward kept the element, else 0."""
    dx[...] = _drop(xp, dy, aux, rate)


def alpha_dropout_forward(xp: Any, y: Array, aux: Array, state: Array, x: Array, rate: Array) -> None:
    """y = a x + b where an element is kept, else a s + b, with s = -1.7581, the floor of SELU; elements are kept as in dropout.

    a = 1 / sqrt((1 - rate) (1 + rate s^2)) and b = -a s rate leave mean 0 and variance 1 as they are. A rate of 1 gives 0.
    Source: Klambauer et al., arXiv 1706.02515.
    """
    take(xp, aux, state, x.size)
    a, b = _alpha(float(rate[0]))
    kept = _kept(xp, x, aux, rate)
    y[...] = xp.where(kept, x * x.dtype.type(a) + x.dtype.type(b), a * SELU_FLOOR + b)


def alpha_dropout_backward(xp: Any, dx: Array, dy: Array, aux: Array, rate: Array) -> None:
    """dx = a dy where the forward kept the element, else 0."""
    a, _ = _alpha(float(rate[0]))
    dx[...] = xp.where(_kept(xp, dy, aux, rate), dy * dy.dtype.type(a), 0)


def gaussian_dropout_forward(xp: Any, y: Array, aux: Array, state: Array, x: Array, rate: Array) -> None:
    """y = x (1 + sqrt(rate / (1 - rate)) z) with normal z: the noise has mean 1 and dropout's variance (Srivastava et al., 2014).

    The z of an element is the normal quantile of (its word + 1/2) / 2^32.
    """
    take(xp, aux, state, x.size)
    y[...] = _multiply(xp, x, aux, rate)


def gaussian_dropout_backward(xp: Any, dx: Array, dy: Array, aux: Array, rate: Array) -> None:
    """dx = dy (1 + sqrt(rate / (1 - rate)) z) with the forward's z."""
    dx[...] = _multiply(xp, dy, aux, rate)


def gaussian_noise_forward(xp: Any, y: Array, aux: Array, state: Array, x: Array, stddev: Array) -> None:
    """y = x + stddev z, with z as in `gaussian_dropout_forward`."""
    take(xp, aux, state, x.size)
    y[...] = x + float(stddev[0]) * _normal(xp, x, aux)


def random_uniform(xp: Any, y: Array, aux: Array, state: Array) -> None:
    """y from [0, 1): the upper 24 bits of an element's word for float32, 53 bits of its two words for float64."""
    if y.dtype.itemsize == 4:
        take(xp, aux, state, y.size)
        y[...] = ((words_of(xp, y.size, int(aux[0]), int(aux[1])) >> xp.asarray(8, xp.uint64)) / 2**24).reshape(y.shape)
    else:
        first, second = _two_words(xp, y, aux, state)
        y[...] = ((first >> xp.asarray(5, xp.uint64)) * 2.0**26 + (second >> xp.asarray(6, xp.uint64))) / 2**53


def random_normal(xp: Any, y: Array, aux: Array, state: Array) -> None:
    """y = z as in `gaussian_dropout_forward`, computed in float64."""
    take(xp, aux, state, y.size)
    y[...] = _normal(xp, y, aux)


def random_integers(xp: Any, y: Array, aux: Array, state: Array, low: int, last: int) -> None:
    """y = low + floor(r (last - low + 1) / 2^64); r has 64 bits, of which an element's first word is the upper half.

    All whole numbers from low to last are as likely, to within one part in 2^64 / (last - low + 1).
    """
    high, rest = _two_words(xp, y, aux, state)
    span = (last - low + 1) % 2**64
    if not span:
        offset = (high << xp.asarray(32, xp.uint64)) | rest
    else:
        offset = _upper_product(xp, high, rest, span)
    y[...] = (offset + xp.asarray(low % 2**64, xp.uint64)).view(xp.int64)


def _upper_product(xp: Any, high: Array, low: Array, factor: int) -> Array:
    """Return the upper 64 bits of the product of high 2^32 + low with a number of 64 bits."""
    half, mask = xp.asarray(32, xp.uint64), xp.asarray(0xFFFFFFFF, xp.uint64)
    f_high, f_low = xp.asarray(factor >> 32, xp.uint64), xp.asarray(factor & 0xFFFFFFFF, xp.uint64)
    across = high * f_low + (low * f_low >> half)
    other = low * f_high + (across & mask)
    return high * f_high + (across >> half) + (other >> half)


def _two_words(xp: Any, y: Array, aux: Array, state: Array) -> tuple[Array, Array]:
    """Return two words of the stream for each element of y, which lie side by side."""
    take(xp, aux, state, 2 * y.size)
    words = words_of(xp, 2 * y.size, int(aux[0]), int(aux[1])).reshape(*y.shape, 2)
    return words[..., 0], words[..., 1]


_taking = lock()


def take(xp: Any, aux: Array, state: Array, words: int) -> None:
    """Take the counters of so many words from a stream; no other thread gets the same."""
    with _taking:
        aux[...] = state
        state[1] += xp.asarray(16 * -(-words // BLOCK), xp.uint64)


def _kept(xp: Any, x: Array, aux: Array, rate: Array) -> Array:
    return words_of(xp, x.size, int(aux[0]), int(aux[1])).reshape(x.shape) >= xp.asarray(int(float(rate[0]) * 2**32), xp.uint64)


def _drop(xp: Any, x: Array, aux: Array, rate: Array) -> Array:
    r = float(rate[0])
    return xp.where(_kept(xp, x, aux, rate), x * x.dtype.type(1 / (1 - r) if r < 1 else 0), 0)


def _alpha(rate: float) -> tuple[float, float]:
    a = 0.0 if rate >= 1 else ((1 - rate) * (1 + rate * SELU_FLOOR**2)) ** -0.5
    return a, -a * SELU_FLOOR * rate


def _multiply(xp: Any, x: Array, aux: Array, rate: Array) -> Array:
    r = float(rate[0])
    return x * (1 + (r / (1 - r)) ** 0.5 * _normal(xp, x, aux))


def words_of(xp: Any, n: int, seed: int, offset: int) -> Array:
    """n random 32-bit words by Philox 4x32-10 (Salmon et al., SC 2011, "Parallel random numbers: as easy as 1, 2, 3")."""
    u64, low = xp.uint64, xp.asarray(0xFFFFFFFF, xp.uint64)
    half = xp.asarray(32, u64)
    counter = xp.arange(16 * -(-n // BLOCK), dtype=u64) + xp.asarray(offset, u64)
    c0, c1 = counter & low, counter >> half
    c2 = c3 = xp.zeros_like(counter)
    k0, k1 = seed & 0xFFFFFFFF, seed >> 32
    for _ in range(10):
        p0, p1 = c0 * xp.asarray(0xD2511F53, u64), c2 * xp.asarray(0xCD9E8D57, u64)
        c0, c1, c2, c3 = (p1 >> half) ^ c1 ^ xp.asarray(k0, u64), p1 & low, (p0 >> half) ^ c3 ^ xp.asarray(k1, u64), p0 & low
        k0, k1 = (k0 + 0x9E3779B9) & 0xFFFFFFFF, (k1 + 0xBB67AE85) & 0xFFFFFFFF
    return xp.stack([c.reshape(-1, 16) for c in (c0, c1, c2, c3)], 1).reshape(-1)[:n]


# The normal quantile: rational functions for |p - 1/2| <= 0.425 and for the tails, highest power first
# (Wichura, Applied Statistics 37(3), 1988, algorithm AS 241). The rarest word lies within the nearer of its two tails.
CENTRE = (
    (2509.0809287301226727, 33430.575583588128105, 67265.770927008700853, 45921.953931549871457,
     13731.693765509461125, 1971.5909503065514427, 133.14166789178437745, 3.387132872796366608),
    (5226.495278852854561, 28729.085735721942674, 39307.89580009271061, 21213.794301586595867,
     5394.1960214247511077, 687.1870074920579083, 42.313330701600911252, 1.0),
)  # fmt: skip
TAIL = (
    (7.7454501427834140764e-4, 0.0227238449892691845833, 0.24178072517745061177, 1.27045825245236838258,
     3.64784832476320460504, 5.7694972214606914055, 4.6303378461565452959, 1.42343711074968357734),
    (1.05075007164441684324e-9, 5.475938084995344946e-4, 0.0151986665636164571966, 0.14810397642748007459,
     0.68976733498510000455, 1.6763848301838038494, 2.05319162663775882187, 1.0),
)  # fmt: skip


def _normal(xp: Any, x: Array, state: Array) -> Array:
    """Return a normal number for each element of x."""
    word = words_of(xp, x.size, int(state[0]), int(state[1])).reshape(x.shape)
    word = word.astype(x.dtype if x.dtype.itemsize > 8 else xp.float64)
    p = (word + 0.5) / 2**32
    q = p - 0.5
    r = 0.180625 - q * q
    centre = q * _ratio(CENTRE, r)
    r = xp.sqrt(-xp.log(xp.minimum(p, (2**32 - 0.5 - word) / 2**32))) - 1.6
    return xp.where(abs(q) <= 0.425, centre, xp.copysign(_ratio(TAIL, r), q)).astype(x.dtype)


def _ratio(powers: tuple[tuple[float, ...], tuple[float, ...]], x: Array) -> Array:
    top = bottom = 0 * x
    for a, b in zip(*powers, strict=True):
        top, bottom = top * x + a, bottom * x + b
    return top / bottom
