"""Define the blocks of Transformers: feed-forward nets, and the residual block around attention and such a net."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from ..autograd.tensor import Tensor
from ..nn.containing import Containing
from ..nn.module import Module
from ..nn.spec import InputSpec
from ..ops.activation import glu
from ..ops.checks import flag, optional, positive_int
from .attention import CrossAttention, SelfAttention
from .cache import Step
from .parts import Part, normalization, one_of, projection

FEED_FORWARD: dict[str, tuple[str, bool]] = {
    **{name: (name, False) for name in ("relu", "relu_squared", "gelu", "gelu_tanh", "silu")},
    "swiglu": ("silu", True),
    "geglu": ("gelu", True),
    "reglu": ("relu", True),
    "glu": ("sigmoid", True),
    "geglu_tanh": ("gelu_tanh", True),
}
"""Name of a feed-forward net -> its activation, and whether the activation is that of a gate."""

_PARTS = ("attention", "feed_forward", "cross_attention")


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


class Block(Containing, Part):
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

    def config_by(self, write: Callable[[Module], dict[str, Any]]) -> dict[str, Any]:
        """Return the config, with those of its parts as write gives them."""
        config = Part.get_config(self)
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
