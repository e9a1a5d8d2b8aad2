"""Encoder of texts, for classification."""

from __future__ import annotations

from typing import Any, ClassVar

from ..autograd.tensor import Tensor
from ..nn.graph.container import ModuleList
from ..nn.spec import InputSpec
from ..ops.checks import optional, positive_int, whole_number
from ..ops.elementwise import astype
from .attention import SelfAttention
from .blocks import Block, FeedForward
from .gpt import TextModel, Tokens
from .parts import normalization, one_of, projection


def padding_token(value: Any, name: str) -> int:
    """Check the token that fills up texts."""
    return whole_number(value, name, 0)


def mean_of(x: Tensor, mask: Tensor) -> Tensor:
    """Return the mean of the vectors (B, T, W) for which the mask (B, T) is true; 0 if there are none."""
    counts = astype(mask, x.dtype).reshape(*mask.shape, 1)
    return (x * counts).sum(1) / counts.sum(1).maximum(1.0)


class TextEncoder(TextModel):
    """Encoder of texts: blocks of attention in both directions, the mean of the tokens' vectors, and a dense layer for classes.

    Args:
        vocabulary: V, the number of different tokens.
        context: greatest number of tokens of a text.
        width: W, the size of the tokens' vectors.
        layers: number of blocks.
        heads: number of heads of each attention.
        classes: K, the number of classes. With None, the outputs are the vectors of all tokens.
        padding: the token that fills texts up to the same length. It is neither attended to nor part of the mean.
        positions: "learned", "sinusoidal", "rotary", "alibi" or "none".
        norm, feed_forward, hidden, bias, dropout, norm_first, epsilon, dtype: as in `GPT`.

    Shapes: ids (B, T); y (B, K), or (B, T, W) without classes. A text of padding alone has the mean 0.

    >>> import fastnn
    >>> model = fastnn.models.TextEncoder(vocabulary=65, context=8, width=16, layers=2, heads=2, classes=3, padding=0)
    >>> model([[1, 2, 3, 0, 0], [4, 5, 6, 7, 8]]).shape
    (2, 3)
    """

    input_spec = InputSpec("int", ndim=2)
    _checked_arguments: ClassVar = {
        "vocabulary": positive_int,
        "padding": optional(padding_token),
        "classes": optional(positive_int),
        "positions": one_of("learned", "sinusoidal", "rotary", "alibi", "none"),
    }
    _fixed_arguments = tuple(_checked_arguments)

    def __init__(
        self,
        vocabulary: int,
        context: int,
        width: int,
        layers: int,
        heads: int,
        classes: int | None = None,
        *,
        padding: int | None = None,
        positions: str = "learned",
        norm: str = "layer",
        feed_forward: str = "gelu",
        hidden: int | None = None,
        bias: bool = True,
        dropout: float = 0.0,
        norm_first: bool = True,
        epsilon: float = 1e-5,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        self.vocabulary, self.context, self.width, self.layers, self.heads = vocabulary, context, width, layers, heads
        self.classes, self.padding, self.positions, self.norm, self.feed_forward = classes, padding, positions, norm, feed_forward
        self.hidden, self.bias, self.norm_first, self.epsilon = hidden, bias, norm_first, epsilon
        of_attention = positions if positions in ("rotary", "alibi") else None
        first = "none" if of_attention else positions
        self.tokens = Tokens(vocabulary, context, width, positions=first, dropout=dropout, dtype=dtype)

        def block() -> Block:
            own: Any = {"bias": bias, "depth": layers, "dtype": dtype}
            attention = SelfAttention(width, heads, positions=of_attention, dropout=dropout, **own)
            net = FeedForward(width, hidden, feed_forward, **own)
            return Block(attention, net, norm=norm, epsilon=epsilon, norm_first=norm_first, dropout=dropout, dtype=dtype)

        self.blocks = ModuleList(block() for _ in range(layers))
        if norm_first:
            self.last_norm = normalization(norm, width, epsilon, dtype)
        if classes is not None:
            self.head = projection(width, classes, True, dtype)

    def mask(self, ids: Tensor) -> Tensor | None:
        """Return what is no padding, as a bool Tensor (B, T); None if there is no padding."""
        return None if self.padding is None else ids != self.padding

    def features(self, ids: Tensor) -> Tensor:
        """Return the vectors of the tokens, (B, T, W)."""
        x, mask = self.tokens(ids), self.mask(ids)
        for block in self.blocks:
            x = block(x, mask)
        y: Tensor = self.last_norm(x) if self.norm_first else x
        return y

    def forward(self, ids: Tensor) -> Tensor:
        x, mask = self.features(ids), self.mask(ids)
        if self.classes is not None:
            x = self.head(x.mean(1) if mask is None else mean_of(x, mask))
        return x

    def extra_repr(self) -> str:
        return f"{self.vocabulary}, {self.context}, {self.width}, layers={self.layers}, heads={self.heads}"
