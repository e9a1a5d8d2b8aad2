"""Encoder and decoder, which turn one sequence into another."""

from __future__ import annotations

from typing import Any, ClassVar, NamedTuple

from ..autograd.tensor import Tensor, no_grad
from ..nn.graph.container import ModuleList
from ..nn.spec import InputSpec
from ..ops.checks import optional, positive_int
from ..ops.dense import matmul_transposed
from .attention import CrossAttention, SelfAttention
from .blocks import Block, FeedForward
from .cache import Cache, Step
from .encoder import TextEncoder, padding_token
from .gpt import TextModel, Tokens, last_of
from .parts import normalization, one_of


class Memory(NamedTuple):
    """Source as a decoder attends to it: keys and values for each block, and the mask of the tokens that are no padding."""

    parts: tuple[tuple[Tensor, Tensor], ...]
    mask: Tensor | None


class EncoderDecoder(TextModel):
    """Model that turns one sequence of tokens into another, such as a translator.

    The encoder reads the source. The decoder predicts each next token of the target from those before it and from the source.

    Source: Vaswani et al., arXiv 1706.03762. The defaults differ from it: normalization comes first, and activations are GELU.

    Args:
        source_vocabulary, target_vocabulary: numbers of different tokens.
        context: greatest number of tokens of a source, and of a target.
        width: W, the size of the tokens' vectors.
        layers: number of blocks of the encoder, and of the decoder.
        heads: number of heads of each attention.
        padding: the token that fills up sources and targets; nothing attends to it in sources.
        positions: "learned" or "sinusoidal".
        norm, feed_forward, hidden, bias, dropout, norm_first, epsilon, dtype: as in `GPT`.

    Shapes: source (B, S), target (B, T) of whole numbers; logits (B, T, target_vocabulary). The head is tied to the table of
    target tokens.

    Trains by ``fit([source, target], next_of_target)``: target begins with a token that stands for the start, and next_of_target
    is moved by one token.

    >>> import fastnn
    >>> model = fastnn.models.EncoderDecoder(12, 14, context=8, width=16, layers=1, heads=2)
    >>> model([[1, 2, 3]], [[0, 5]]).shape
    (1, 2, 14)
    """

    input_spec = (InputSpec("int", ndim=2), InputSpec("int", ndim=2))
    _checked_arguments: ClassVar = {
        "padding": optional(padding_token),
        **dict.fromkeys(("source_vocabulary", "target_vocabulary"), positive_int),
        "positions": one_of("learned", "sinusoidal"),
    }
    _fixed_arguments = tuple(_checked_arguments)

    def __init__(
        self,
        source_vocabulary: int,
        target_vocabulary: int,
        context: int,
        width: int,
        layers: int,
        heads: int,
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
        self.source_vocabulary, self.target_vocabulary, self.context = source_vocabulary, target_vocabulary, context
        self.width, self.layers, self.heads, self.padding, self.positions = width, layers, heads, padding, positions
        self.norm, self.feed_forward, self.hidden, self.bias = norm, feed_forward, hidden, bias
        self.norm_first, self.epsilon = norm_first, epsilon
        own: Any = {"positions": positions, "dropout": dropout, "dtype": dtype}
        sizes: Any = {"feed_forward": feed_forward, "hidden": hidden, "bias": bias}
        norms: Any = {"norm": norm, "norm_first": norm_first, "epsilon": epsilon}
        self.encoder = TextEncoder(source_vocabulary, context, width, layers, heads, padding=padding, **own, **sizes, **norms)
        self.tokens = Tokens(target_vocabulary, context, width, **own)

        def block() -> Block:
            common: Any = {"bias": bias, "depth": layers, "dtype": dtype}
            attention = SelfAttention(width, heads, causal=True, dropout=dropout, **common)
            cross = CrossAttention(width, heads, dropout=dropout, **common)
            net = FeedForward(width, hidden, feed_forward, **common)
            return Block(attention, net, cross, dropout=dropout, dtype=dtype, **norms)

        self.blocks = ModuleList(block() for _ in range(layers))
        if norm_first:
            self.last_norm = normalization(norm, width, epsilon, dtype)

    def encode(self, source: Any) -> Memory:
        """Read a source, (B, S), and return what the decoder attends to."""
        ids = source if isinstance(source, Tensor) else self.encoder._input(source)
        x = self.encoder(ids)
        return Memory(tuple(block.cross_attention.read(x) for block in self.blocks), self.encoder.mask(ids))

    def _decoded(self, target: Tensor, memory: Memory, step: Step | None = None) -> Tensor:
        x = self.tokens(target, step)
        for block, part in zip(self.blocks, memory.parts, strict=True):
            x = block(x, step=step, memory=part, memory_mask=memory.mask)
        y: Tensor = self.last_norm(x) if self.norm_first else x
        return y

    def forward(self, source: Tensor, target: Tensor) -> Tensor:
        return self._logits(self._decoded(target, self.encode(source)))

    def _logits(self, x: Tensor) -> Tensor:
        return matmul_transposed(x, self.tokens.table.embeddings)

    def cache(self, batch: int = 1) -> Cache:
        """Return an empty cache for `step`, for this number of targets."""
        return Cache(self.layers, batch, self.context, self.heads, self.width // self.heads, self.dtype)

    @no_grad()
    def step(self, ids: Any, cache: Cache, memory: Memory, lengths: Any = None) -> Tensor:
        """Read more tokens of each target, and return the logits of the token that follows, (B, target_vocabulary).

        Args:
            ids: (B, T), the next tokens of the targets.
            cache: from `cache`, as in `GPT.step`.
            memory: the sources, from `encode`.
            lengths: int64 (B,), how many of the T tokens count, as in `GPT.step`.
        """
        ids, counts = self._next(ids, cache, lengths)
        places = cache.step(ids.shape[1], counts)
        x = self._decoded(ids, memory, places)
        places.done()
        return self._logits(last_of(x, counts))

    def extra_repr(self) -> str:
        return f"{self.source_vocabulary}, {self.target_vocabulary}, {self.context}, {self.width}, heads={self.heads}"
