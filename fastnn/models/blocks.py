"""Blocks of Transformers: attention within a sequence and to another one, feed-forward nets, and the residual block around them.

Shapes: B samples of T tokens, with vectors of a width W; H heads of queries, G of keys and values, each with D columns.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache
from typing import Any, ClassVar

import numpy as np

from .. import initializers
from ..autograd.tensor import Tensor
from ..backends import current
from ..nn.layers.dense import Dense
from ..nn.layers.random import Dropout
from ..nn.layers.sample_normalization import LayerNormalization, RMSNormalization
from ..nn.module import Module
from ..nn.spec import InputSpec
from ..ops.activation import glu
from ..ops.attention import attention, attention_packed, rotary, rotary_table
from ..ops.checks import as_tensor, check_number, flag, optional, positive_int
from ..ops.index import split
from ..ops.logic import logical_and
from .cache import Step

POSITIONS = (None, "rotary", "alibi")
"""What attention itself knows of positions."""
FEED_FORWARD: dict[str, tuple[str, bool]] = {
    **{name: (name, False) for name in ("relu", "relu_squared", "gelu", "gelu_tanh", "silu")},
    "swiglu": ("silu", True),
    "geglu": ("gelu", True),
    "reglu": ("relu", True),
    "glu": ("sigmoid", True),
    "geglu_tanh": ("gelu_tanh", True),
}
"""Name of a feed-forward net -> its activation, and whether the activation is that of a gate."""
STDDEV = 0.02
"""Standard deviation of the initial weights, as in GPT-2."""


def one_of(*names: Any) -> Any:
    """Return the check of an argument that is one of these names."""

    def check(value: Any, name: str) -> Any:
        if not isinstance(value, str | None) or value not in names:
            raise ValueError(f"{name} is {value!r}, wanted one of {', '.join(map(repr, names))}")
        return value

    return check


def projection(inputs: int, outputs: int, bias: bool, dtype: Any, depth: int = 0) -> Dense:
    """Return a dense layer with the initial weights of GPT-2.

    depth: number of blocks of the model if the result is added to the residual stream, to which each block adds twice. The
        weights are then smaller, so that the sum does not grow with the number of blocks.
    """
    stddev = STDDEV / math.sqrt(2 * depth) if depth else STDDEV
    normal = initializers.RandomNormal(stddev=stddev)
    return Dense(outputs, use_bias=bias, kernel_initializer=normal, input_shape=(inputs,), dtype=dtype)


def normalization(kind: str, width: int, epsilon: float, dtype: Any) -> Module:
    """Return a layer norm or an RMS norm."""
    make: Any = {"layer": LayerNormalization, "rms": RMSNormalization}[kind]
    layer: Module = make(epsilon=epsilon, input_shape=(width,), dtype=dtype)
    return layer


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


@lru_cache(maxsize=64)
def _turns(length: int, columns: int, base: float, dtype: str) -> np.ndarray[Any, Any]:
    """Return a table of rotary positions as a host array."""
    return rotary_table(length, columns, base=base, dtype=dtype).numpy()


class Part(Module):
    """Base of the parts of models: with dropout, and a config that has the dtype by its name."""

    _saved_as = ""
    drop: Dropout | None = None

    @property
    def dropout(self) -> float:
        """Return the rate of dropout; it may be changed at any time. Without dropout there is no layer ``drop``."""
        return 0.0 if self.drop is None else self.drop.rate

    @dropout.setter
    def dropout(self, value: float) -> None:
        rate = check_number(value, f"{type(self).__name__}: dropout", 0.0, 1.0)
        if self.drop is not None and rate:
            self.drop.rate = rate
        elif self.drop is not None or rate:
            self.drop = Dropout(rate) if rate else None

    def _dropped(self, x: Tensor) -> Tensor:
        return x if self.drop is None else self.drop(x)

    def _dropping(self) -> dict[str, Any]:
        """Return the arguments of attention for the dropout of its weights."""
        return {} if self.drop is None else self.drop.stream()

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "dtype": self.dtype.name}


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
        qkv = self.qkv(x).reshape(b, t, h + 2 * g, self.head_size)
        if self.positions == "rotary":
            length = t if step is None else step.cache.context
            table = Tensor(current().constant(_turns(length, self.head_size, self.rotary_base, x.dtype.name)))
            qkv = rotary(qkv, table, None if step is None else step.positions, heads=h + g)
        allowed = joined(mask, attention_mask)
        how: dict[str, Any] = {"causal": self.causal, "mask": allowed, "window": self.window}
        how |= self._dropping()
        if self.positions == "alibi":
            how["slopes"] = Tensor(current().constant(alibi_slopes(h).astype(x.dtype)))
        if step is None:
            y = attention_packed(qkv, h, g, **how)
        else:
            q, k, v = split(qkv, (h, g, g), 2)
            y = attention(q, *step.write(k, v), starts=step.starts, **how)
        out: Tensor = self.out(y.reshape(b, t, h * self.head_size))
        return out

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

    def forward(  # type: ignore[override]
        self, x: Tensor, memory: tuple[Tensor, Tensor], memory_mask: Any = None
    ) -> Tensor:
        """Compute attention.

        Args:
            x: (B, T, W).
            memory: keys and values of the other sequence, from `read`.
            memory_mask: bool (B, S), False for padding in the other sequence, to which no token attends.
        """
        b, t, w = x.shape
        q = self.query(x).reshape(b, t, self.heads, w // self.heads)
        y = attention(q, *memory, mask=joined(memory_mask, None), **self._dropping())
        out: Tensor = self.out(y.reshape(b, t, w))
        return out

    def extra_repr(self) -> str:
        return f"{self.width}, heads={self.heads}"


class FeedForward(Part):
    """Net of two dense layers that is applied to each token by itself.

    With a gate, the first layer computes two halves a and b, and the second one gets a activation(b).

    Source: Vaswani et al., arXiv 1706.03762; gates, Shazeer, arXiv 2002.05202.

    Args:
        width: W, the size of input and output.
        hidden: F, the number of hidden units; by default 4 W, or with a gate the multiple of 8 from 8 W / 3 on.
        activation: "relu", "relu_squared", "gelu", "gelu_tanh" or "silu"; with a gate "swiglu", "geglu", "geglu_tanh", "reglu" or
            "glu".
        bias, depth, dtype: as in `SelfAttention`.

    Shapes: x (..., W), y (..., W); up.kernel (W, F), or (W, 2 F) with a gate, down.kernel (F, W).

    >>> import fastnn
    >>> fastnn.models.FeedForward(6, activation="swiglu")
    FeedForward(
      (up): Dense(32)
      (down): Dense(6)
    )
    """

    _checked_arguments: ClassVar = {
        "width": positive_int,
        "hidden": optional(positive_int),
        "activation": one_of(*FEED_FORWARD),
        "bias": flag,
    }
    _fixed_arguments = tuple(_checked_arguments)

    def __init__(
        self,
        width: int,
        hidden: int | None = None,
        activation: str = "gelu",
        *,
        bias: bool = True,
        depth: int = 0,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        self.width, self.activation, self.bias = width, activation, bias
        name, self._gated = FEED_FORWARD[activation]
        usual = -(-self.width * 8 // 24) * 8 if self._gated else 4 * self.width
        self.hidden = usual if hidden is None else hidden
        self.up = projection(self.width, self.hidden * (2 if self._gated else 1), self.bias, dtype)
        self.down = projection(self.hidden, self.width, self.bias, dtype, depth)
        self._gate = name
        if not self._gated:
            self.up.activation = name

    supports_masking = True

    @property
    def input_spec(self) -> InputSpec:
        """Return the spec: floats, (..., W)."""
        return self.up.input_spec

    def forward(self, x: Tensor) -> Tensor:
        h = self.up(x)
        y: Tensor = self.down(glu(h, activation=self._gate) if self._gated else h)
        return y


_PARTS = ("attention", "feed_forward", "cross_attention")


class Block(Part):
    """Block of a Transformer: attention, then a feed-forward net, each added to its input.

    With ``norm_first``, x + f(norm(x)); without it, norm(x + f(x)), as in the first Transformer.

    Args:
        attention: a `SelfAttention`.
        feed_forward: a `FeedForward`.
        cross_attention: a `CrossAttention` between the two, in a decoder; None for none.
        norm: "layer" or "rms".
        epsilon: it is added to the variance.
        norm_first: whether normalization comes before attention and before the net, or after the sums.
        dropout: fraction of the elements of what is added that are dropped in training.
        dtype: "float32" or "float64".

    Shapes: x (B, T, W), y (B, T, W).

    >>> import fastnn
    >>> from fastnn.models import Block, FeedForward, SelfAttention
    >>> block = Block(SelfAttention(8, heads=2, causal=True), FeedForward(8))
    >>> block(fastnn.zeros(2, 5, 8)).shape
    (2, 5, 8)
    """

    _checked_arguments: ClassVar = {"norm": one_of("layer", "rms"), "norm_first": flag}
    _fixed_arguments = tuple(_checked_arguments)

    def __init__(
        self,
        attention: SelfAttention,
        feed_forward: FeedForward,
        cross_attention: CrossAttention | None = None,
        *,
        norm: str = "layer",
        epsilon: float = 1e-5,
        norm_first: bool = True,
        dropout: float = 0.0,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        self.norm, self.norm_first = norm, norm_first
        width = attention.width
        self.norm1 = normalization(self.norm, width, epsilon, dtype)
        self.attention = attention
        if cross_attention is not None:
            self.norm_cross = normalization(self.norm, width, epsilon, dtype)
        self.cross_attention = cross_attention
        self.norm2 = normalization(self.norm, width, epsilon, dtype)
        self.feed_forward = feed_forward
        self.dropout = dropout

    supports_masking = True

    @property
    def epsilon(self) -> float:
        """Return what is added to the variance."""
        return float(self.norm1.epsilon)

    @property
    def input_spec(self) -> InputSpec:
        """Return the spec: floats, (B, T, W)."""
        return self.attention.input_spec

    def get_config(self) -> dict[str, Any]:
        from ..files.layers import Writer

        return self.config_by(Writer().layer)

    def config_by(self, write: Callable[[Module], dict[str, Any]]) -> dict[str, Any]:
        """Return the config, with those of its parts as write gives them."""
        config = super().get_config()
        return {**config, **{name: None if config[name] is None else write(config[name]) for name in _PARTS}}

    @classmethod
    def from_config(cls, config: dict[str, Any], make: Callable[[Any], Any] | None = None) -> Block:
        """Make the block from the result of get_config; make builds a part from its config."""
        from ..files.layers import Reader

        built = make or Reader().layer
        parts = {name: None if config.get(name) is None else built(config[name]) for name in _PARTS}
        return cls(**{**config, **parts})

    def _added(self, x: Tensor, norm: Module, f: Any) -> Tensor:
        """Return x plus f(x), normalized before or after."""
        return x + self._dropped(f(norm(x))) if self.norm_first else norm(x + self._dropped(f(x)))

    def forward(
        self,
        x: Tensor,
        mask: Any = None,
        attention_mask: Any = None,
        step: Step | None = None,
        memory: tuple[Tensor, Tensor] | None = None,
        memory_mask: Any = None,
    ) -> Tensor:
        """Compute the block.

        Args:
            x: (B, T, W).
            mask, attention_mask, step: as in `SelfAttention`.
            memory: keys and values of another sequence, from ``cross_attention.read``.
            memory_mask: as in `CrossAttention`.
        """
        x = self._added(x, self.norm1, lambda x: self.attention(x, mask, attention_mask, step))
        if self.cross_attention is not None:
            x = self._added(x, self.norm_cross, lambda x: self.cross_attention(x, memory, memory_mask))
        return self._added(x, self.norm2, self.feed_forward)
