"""Define the attention of models: within a sequence, and to another one.

Shapes: B samples of T tokens, with vectors of a width W; H heads of queries, G of keys and values, each with D columns.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any, ClassVar

import numpy as np

from ..autograd.tensor import Tensor
from ..backends import current
from ..nn.spec import InputSpec
from ..ops.attention import attention, attention_packed
from ..ops.attention_weights import attention_weights
from ..ops.checks import as_tensor, check_number, flag, optional, positive_int
from ..ops.index import split
from ..ops.logic import logical_and
from ..ops.rotary import rotary, rotary_table
from .cache import Step
from .parts import Part, one_of, projection

POSITIONS = (None, "rotary", "alibi")
"""What attention itself knows of positions."""
SCALINGS = {
    "linear": ("factor",),
    "llama3": ("factor", "low_freq_factor", "high_freq_factor", "original_max_position_embeddings"),
}
"""How rotary positions are stretched for texts longer than those of the first training -> the numbers that say how."""


def alibi_slopes(heads: int) -> np.ndarray[Any, Any]:
    """Return how much each head's scores fall with each token of distance: 2^-(8 / heads), its square, and so on.

    If the number of heads is no power of two, every other slope of twice as many heads follows those of the next smaller power.

    Source: Press et al., arXiv 2108.12409.

    >>> alibi_slopes(2).tolist()
    [0.0625, 0.00390625]
    """
    power = 2 ** int(math.log2(heads))
    slopes: np.ndarray[Any, Any] = 2.0 ** (-8.0 / power * np.arange(1, power + 1))
    more = 2.0 ** (-4.0 / power * np.arange(1, 2 * (heads - power) + 1, 2))
    return np.concatenate([slopes, more])


def joined(mask: Any, attention_mask: Any) -> Tensor | None:
    """Return the mask of attention (B or 1, 1, T or 1, S) in which a token attends to no padding, of mask (B, S).

    attention_mask: a mask that restricts it further, of a shape that broadcasts to (B, H, T, S).
    """
    if mask is None:
        return None if attention_mask is None else as_tensor(attention_mask, "attention_mask")
    tokens = as_tensor(mask, "mask")
    tokens = tokens.reshape(tokens.shape[0], 1, 1, tokens.shape[1])
    return tokens if attention_mask is None else logical_and(tokens, attention_mask)


def scaling(value: Any, name: str) -> dict[str, Any] | None:
    """Check how rotary positions are stretched: None, or a dict as in the config.json of Llama.

    Raises:
        ValueError: it is of a kind that is not known, or lacks a number.
    """
    if value is None:
        return None
    kind = value.get("rope_type", value.get("type")) if isinstance(value, dict) else None
    if kind not in SCALINGS:
        raise ValueError(f"{name} is {value!r}; wanted None, or a dict with the rope_type {' or '.join(map(repr, SCALINGS))}")
    numbers = {key: check_number(value.get(key), f"{name}: {key}", 0.0) for key in SCALINGS[kind]}
    return {"rope_type": kind, **numbers}


def frequencies(columns: int, base: float, scaling: dict[str, Any] | None = None) -> np.ndarray[Any, Any]:
    """Return the angles by which pairs of columns turn from one position to the next, (columns / 2,).

    With the scaling "linear", they are divided by ``factor``. With "llama3", only those of long waves are, which turn less than
    ``low_freq_factor`` times over ``original_max_position_embeddings`` positions; those that turn more than ``high_freq_factor``
    times stay as they are, and between the two is a line. Source: Dubey et al., arXiv 2407.21783, and the code that it came with.

    >>> frequencies(4, 100.0).tolist(), frequencies(4, 100.0, {"rope_type": "linear", "factor": 2.0}).tolist()
    ([1.0, 0.1], [0.5, 0.05])
    """
    speed: np.ndarray[Any, Any] = base ** (-2.0 * np.arange(columns // 2) / columns)
    if scaling is None:
        return speed
    slow: np.ndarray[Any, Any] = speed / scaling["factor"]
    if scaling["rope_type"] == "linear":
        return slow
    low, high = scaling["low_freq_factor"], scaling["high_freq_factor"]
    turns = scaling["original_max_position_embeddings"] * speed / (2 * np.pi)
    share = np.clip((turns - low) / (high - low), 0.0, 1.0)
    mixed: np.ndarray[Any, Any] = (1 - share) * slow + share * speed
    return mixed


@lru_cache(maxsize=64)
def _turns(length: int, columns: int, base: float, scaling: tuple[Any, ...], dtype: str) -> np.ndarray[Any, Any]:
    """Return a table of rotary positions as a host array."""
    angles = frequencies(columns, base, dict(scaling) or None)
    return rotary_table(length, columns, frequencies=angles, dtype=dtype).numpy()


class SelfAttention(Part):
    """Multi-head attention among the tokens of a sequence, with one projection to queries, keys and values.

    Source: Vaswani et al., arXiv 1706.03762; shared keys and values, Ainslie et al., arXiv 2305.13245; rotary positions, Su et
    al., arXiv 2104.09864; ALiBi, Press et al., arXiv 2108.12409.

    Args:
        width: W, the size of the tokens' vectors.
        heads: H, the number of heads.
        kv_heads: G, the number of heads of keys and values, each for H / G heads in turn; by default H.
        head_size: D; by default W / H.
        causal: whether a token attends only to itself and to those before it.
        positions: None, "rotary" (queries and keys are turned by their positions) or "alibi" (scores fall with the distance).
        rotary_base: the wavelengths of rotary positions are 2 pi times powers of this number, from 1 to it.
        rotary_scaling: how they are stretched, a dict as in the config.json of Llama: see `frequencies`.
        window: if given, a token attends only to those that are less than this number of tokens away.
        bias: whether the projections have biases.
        dropout: fraction of the attention weights that are dropped in training.
        depth: number of blocks of the model, by which the initial output is scaled; 0 for none.
        dtype: "float32" or "float64".

    Shapes: x (B, T, W), y (B, T, W); qkv.kernel (W, (H + 2 G) D), out.kernel (H D, W).

    >>> import fastnn
    >>> layer = fastnn.models.SelfAttention(8, heads=4, kv_heads=2, causal=True, positions="rotary")
    >>> layer(fastnn.zeros(2, 5, 8)).shape, layer.qkv.kernel.shape
    ((2, 5, 8), (8, 16))
    """

    _checked_arguments: ClassVar = {
        **dict.fromkeys(("width", "heads"), positive_int),
        **dict.fromkeys(("kv_heads", "head_size", "window"), optional(positive_int)),
        **dict.fromkeys(("causal", "bias"), flag),
        "positions": one_of(*POSITIONS),
        "rotary_base": lambda value, name: check_number(value, name, 1.0),
        "rotary_scaling": scaling,
    }
    _fixed_arguments = tuple(_checked_arguments)

    def __init__(
        self,
        width: int,
        heads: int,
        kv_heads: int | None = None,
        *,
        head_size: int | None = None,
        causal: bool = False,
        positions: str | None = None,
        rotary_base: float = 10000.0,
        rotary_scaling: dict[str, Any] | None = None,
        window: int | None = None,
        bias: bool = True,
        dropout: float = 0.0,
        depth: int = 0,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        self.width, self.heads = width, heads
        self.kv_heads = self.heads if kv_heads is None else kv_heads
        if head_size is None and self.width % self.heads:
            raise ValueError(f"SelfAttention: a width of {width} cannot be divided into {heads} heads; give head_size")
        if self.heads % self.kv_heads:
            raise ValueError(f"SelfAttention: {heads} heads cannot share {kv_heads} heads of keys and values evenly")
        self.head_size = self.width // self.heads if head_size is None else head_size
        self.causal, self.positions, self.rotary_base, self.window = causal, positions, rotary_base, window
        self.rotary_scaling = rotary_scaling
        if positions == "rotary" and self.head_size % 2:
            raise ValueError(f"SelfAttention: heads of {self.head_size} columns; rotary positions need an even number")
        self.bias = bias
        packed = (self.heads + 2 * self.kv_heads) * self.head_size
        self.qkv = projection(self.width, packed, self.bias, dtype)
        self.out = projection(self.heads * self.head_size, self.width, self.bias, dtype, depth)
        self.dropout = dropout

    supports_masking = True

    @property
    def input_spec(self) -> InputSpec:
        """Return the spec: floats, (B, T, W)."""
        return InputSpec("float", ndim=3, axes={2: self.width})

    def forward(self, x: Tensor, mask: Any = None, attention_mask: Any = None, step: Step | None = None) -> Tensor:
        """Compute attention.

        Args:
            x: (B, T, W).
            mask: bool (B, T), True for tokens, False for padding, to which no token attends.
            attention_mask: bool, of a shape that broadcasts to (B, H, T, T): True where a token may attend to another.
            step: places of these tokens in a cache; they attend to those that are already there, too.
        """
        b, t, _ = x.shape
        h, g = self.heads, self.kv_heads
        qkv, how = self._projected(x, step), {**self._rules(x, mask, attention_mask), **self._dropping()}
        if step is None:
            y = attention_packed(qkv, h, g, **how)
        else:
            q, k, v = split(qkv, (h, g, g), 2)
            y = attention(q, *step.write(k, v), starts=step.starts, **how)
        out: Tensor = self.out(y.reshape(b, t, h * self.head_size))
        return out

    def attention_weights(self, x: Tensor, mask: Any = None, attention_mask: Any = None, step: Step | None = None) -> Tensor:
        """Return the weights (B, H, T, T) by which tokens average the values of others; the arguments are those of forward."""
        q, k, _ = split(self._projected(x, None), (self.heads, self.kv_heads, self.kv_heads), 2)
        return attention_weights(q, k, **self._rules(x, mask, attention_mask))

    def _projected(self, x: Tensor, step: Step | None) -> Tensor:
        """Return queries, keys and values, (B, T, H + 2 G, D)."""
        b, t, _ = x.shape
        h, g = self.heads, self.kv_heads
        qkv = self.qkv(x).reshape(b, t, h + 2 * g, self.head_size)
        if self.positions == "rotary":
            length = t if step is None else step.cache.context
            stretched = tuple((self.rotary_scaling or {}).items())
            turns = _turns(length, self.head_size, self.rotary_base, stretched, x.dtype.name)
            table = Tensor(current().constant(turns))
            qkv = rotary(qkv, table, None if step is None else step.positions, heads=h + g)
        return qkv

    def _rules(self, x: Tensor, mask: Any, attention_mask: Any) -> dict[str, Any]:
        """Return what tokens may attend to, as arguments of attention."""
        how = {"causal": self.causal, "mask": joined(mask, attention_mask), "window": self.window}
        if self.positions == "alibi":
            how["slopes"] = Tensor(current().constant(alibi_slopes(self.heads).astype(x.dtype)))
        return how

    def extra_repr(self) -> str:
        return f"{self.width}, heads={self.heads}"


class CrossAttention(Part):
    """Multi-head attention of the tokens of one sequence to those of another, as in the decoder of a translator.

    Source: Vaswani et al., arXiv 1706.03762.

    Args:
        width: W, the size of the vectors of both sequences.
        heads: H, the number of heads.
        bias, dropout, depth, dtype: as in `SelfAttention`.

    Shapes: x (B, T, W), memory (B, S, W), y (B, T, W); query.kernel (W, W), key_value.kernel (W, 2 W), out.kernel (W, W).

    >>> import fastnn
    >>> layer = fastnn.models.CrossAttention(8, heads=2)
    >>> layer(fastnn.zeros(2, 5, 8), layer.read(fastnn.zeros(2, 3, 8))).shape
    (2, 5, 8)
    """

    _checked_arguments: ClassVar = {**dict.fromkeys(("width", "heads"), positive_int), "bias": flag}
    _fixed_arguments = tuple(_checked_arguments)

    def __init__(
        self, width: int, heads: int, *, bias: bool = True, dropout: float = 0.0, depth: int = 0, dtype: Any = None
    ) -> None:
        super().__init__()
        self.width, self.heads, self.bias = width, heads, bias
        if self.width % self.heads:
            raise ValueError(f"CrossAttention: a width of {width} cannot be divided into {heads} heads")
        self.query = projection(self.width, self.width, self.bias, dtype)
        self.key_value = projection(self.width, 2 * self.width, self.bias, dtype)
        self.out = projection(self.width, self.width, self.bias, dtype, depth)
        self.dropout = dropout

    def read(self, memory: Tensor) -> tuple[Tensor, Tensor]:
        """Return the keys and values of the other sequence, (B, S, H, D) each; they are the same for all tokens."""
        b, s, _ = memory.shape
        keys, values = split(self.key_value(memory).reshape(b, s, 2 * self.heads, -1), self.heads, 2)
        return keys, values

    def forward(self, x: Tensor, memory: tuple[Tensor, Tensor], memory_mask: Any = None) -> Tensor:
        """Compute attention.

        Args:
            x: (B, T, W).
            memory: keys and values of the other sequence, from `read`.
            memory_mask: bool (B, S), False for padding in the other sequence, to which no token attends.
        """
        b, t, w = x.shape
        y = attention(self._queries(x), *memory, mask=joined(memory_mask, None), **self._dropping())
        out: Tensor = self.out(y.reshape(b, t, w))
        return out

    def attention_weights(self, x: Tensor, memory: tuple[Tensor, Tensor], memory_mask: Any = None) -> Tensor:
        """Return the weights (B, H, T, S) by which tokens average the values of the other sequence."""
        return attention_weights(self._queries(x), memory[0], mask=joined(memory_mask, None))

    def _queries(self, x: Tensor) -> Tensor:
        b, t, w = x.shape
        q: Tensor = self.query(x).reshape(b, t, self.heads, w // self.heads)
        return q

    def extra_repr(self) -> str:
        return f"{self.width}, heads={self.heads}"
