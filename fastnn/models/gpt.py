"""Define GPT: a language model that predicts each next token from those before it."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from .. import initializers
from ..autograd.tensor import Tensor, no_grad
from ..backends import current
from ..losses.base import as_labels
from ..nn.graph.container import ModuleList
from ..nn.layers.embedding import Embedding
from ..nn.layers.positions import sinusoids
from ..nn.parameter import LoadLimit, filling
from ..nn.spec import InputSpec
from ..ops.checks import check_number, flag, optional, positive_int
from ..ops.dense import matmul_transposed
from ..ops.index import getitem
from ..ops.loss import linear_cross_entropy, reduce_loss
from .attention import SelfAttention, scaling
from .blocks import FEED_FORWARD, Block, FeedForward
from .cache import Cache, Step
from .parts import STDDEV, Part, normalization, one_of, projection


class Tokens(Part):
    """Vectors of tokens: rows of a table, plus what tells their positions, with dropout in training.

    Args:
        vocabulary: V, the number of different tokens.
        context: greatest number of tokens of a text.
        width: W, the size of a vector.
        positions: "learned" (a table of positions), "sinusoidal" (sines and cosines that are not learned), or "none".
        dropout: fraction of the elements that are dropped in training.
        dtype: "float32" or "float64".

    Shapes: ids (B, T), y (B, T, W).
    """

    input_spec = InputSpec("int", ndim=2)
    _checked_arguments: ClassVar = {
        **dict.fromkeys(("vocabulary", "context", "width"), positive_int),
        "positions": one_of("learned", "sinusoidal", "none"),
    }
    _fixed_arguments = tuple(_checked_arguments)

    def __init__(
        self, vocabulary: int, context: int, width: int, *, positions: str = "learned", dropout: float = 0.0, dtype: Any = None
    ) -> None:
        super().__init__()
        self.vocabulary, self.context, self.width, self.positions = vocabulary, context, width, positions
        normal = initializers.RandomNormal(stddev=STDDEV)
        self.table = Embedding(self.vocabulary, self.width, normal, dtype=dtype)
        if positions == "learned":
            self.places = Embedding(self.context, self.width, normal, dtype=dtype)
        self.dropout = dropout

    def forward(self, ids: Tensor, step: Step | None = None) -> Tensor:
        """Return the vectors; step has the positions of the tokens of a cached text, else they are 0, 1, ..."""
        x, t = self.table(ids), ids.shape[1]
        if t > self.context:
            raise ValueError(f"{type(self).__name__}: {t} tokens came, wanted at most {self.context}, the context of the model")
        if self.positions == "none":
            return self._dropped(x)
        table = self.places.embeddings if self.positions == "learned" else self._sinusoids(x.dtype)
        if step is not None:
            rows = table.take(step.positions)
        else:
            rows = table if t == self.context else getitem(table, slice(0, t))
        return self._dropped(x + rows)

    def _sinusoids(self, dtype: Any) -> Tensor:
        return Tensor(current().constant(sinusoids(self.context, self.width).astype(dtype)))


class TextModel(Part):
    """Base of models that read tokens: the arguments that all of them have, and the dropout, which is that of all parts."""

    _saved_as = ""
    _checked_arguments: ClassVar = {
        **dict.fromkeys(("context", "width", "layers", "heads"), positive_int),
        "hidden": optional(positive_int),
        **dict.fromkeys(("bias", "norm_first"), flag),
        "norm": one_of("layer", "rms"),
        "feed_forward": one_of(*FEED_FORWARD),
        "epsilon": lambda value, name: check_number(value, name, 0.0),
    }
    _fixed_arguments = tuple(_checked_arguments)

    @property
    def dropout(self) -> float:
        """Return the rate of dropout; it may be changed at any time."""
        rate: float = self.tokens.dropout
        return rate

    @dropout.setter
    def dropout(self, value: float) -> None:
        for part in self.modules():
            if isinstance(part, Part) and not isinstance(part, FeedForward | TextModel):
                part.dropout = value

    def _next(self, ids: Any, cache: Cache, lengths: Any) -> tuple[Tensor, Tensor | None]:
        """Return the arguments of `step` as Tensors."""
        ids = ids if isinstance(ids, Tensor) else self.tokens._input(ids)
        if ids.ndim != 2 or ids.shape[0] != cache.batch:
            raise ValueError(f"{type(self).__name__}.step: ids has shape {ids.shape}, wanted ({cache.batch}, T), by the cache")
        if lengths is None or isinstance(lengths, Tensor):
            return ids, lengths
        return ids, Tensor(current().asarray(np.asarray(lengths, np.int64)))


class GPT(TextModel):
    """Language model: blocks of causal attention over tokens and positions, and a head with a logit for each next token.

    The defaults are those of GPT-2 (layer norm first, learned positions, a head that is tied to the table of tokens). Llama has
    ``positions="rotary", norm="rms", feed_forward="swiglu", bias=False``.

    Source: Radford et al., Language Models are Unsupervised Multitask Learners, 2019.

    Args:
        vocabulary: V, the number of different tokens.
        context: greatest number of tokens of a text.
        width: W, the size of the tokens' vectors.
        layers: number of blocks.
        heads: number of heads of each attention.
        kv_heads: number of heads of keys and values; by default that of heads.
        positions: "learned", "sinusoidal", "rotary", "alibi" or "none".
        norm: "layer" or "rms".
        feed_forward: activation of the feed-forward nets, as in `FeedForward`.
        hidden: size of their hidden layer; by default that of `FeedForward`.
        head_size: number of columns of a head; by default width / heads.
        bias: whether dense layers have biases; the head has none.
        dropout: fraction that is dropped of attention weights, of what blocks add, and of the first vectors.
        tied: whether the head is the table of tokens.
        norm_first: whether normalization comes before attention and nets, and once more before the head.
        window: if given, tokens attend only to those less than this number of tokens before.
        epsilon: it is added to the variance in normalizations.
        rotary_base, rotary_scaling: as in `SelfAttention`.
        dtype: "float32" or "float64".

    Shapes: ids (B, T) of whole numbers from 0 to V - 1; logits (B, T, V).

    Trains by ``fit(ids, next_ids)`` with ``loss=fastnn.losses.SparseCategoricalCrossentropy(from_logits=True)``. With a large
    vocabulary, `loss` needs much less memory.

    >>> import fastnn
    >>> model = fastnn.models.GPT(vocabulary=65, context=8, width=16, layers=2, heads=2)
    >>> model([[1, 2, 3]]).shape
    (1, 3, 65)
    """

    input_spec = InputSpec("int", ndim=2)
    _checked_arguments: ClassVar = {
        "vocabulary": positive_int,
        **dict.fromkeys(("kv_heads", "head_size", "window"), optional(positive_int)),
        "tied": flag,
        "positions": one_of("learned", "sinusoidal", "rotary", "alibi", "none"),
        "rotary_base": lambda value, name: check_number(value, name, 1.0),
        "rotary_scaling": scaling,
    }
    _fixed_arguments = tuple(_checked_arguments)

    def __init__(
        self,
        vocabulary: int,
        context: int,
        width: int,
        layers: int,
        heads: int,
        kv_heads: int | None = None,
        *,
        positions: str = "learned",
        norm: str = "layer",
        feed_forward: str = "gelu",
        hidden: int | None = None,
        head_size: int | None = None,
        bias: bool = True,
        dropout: float = 0.0,
        tied: bool = True,
        norm_first: bool = True,
        window: int | None = None,
        epsilon: float = 1e-5,
        rotary_base: float = 10000.0,
        rotary_scaling: dict[str, Any] | None = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        self.vocabulary, self.context, self.width, self.layers, self.heads = vocabulary, context, width, layers, heads
        self.kv_heads, self.hidden, self.head_size, self.window = kv_heads, hidden, head_size, window
        self.positions, self.norm, self.feed_forward, self.norm_first = positions, norm, feed_forward, norm_first
        self.bias, self.tied, self.epsilon, self.rotary_base = bias, tied, epsilon, rotary_base
        self.rotary_scaling = rotary_scaling
        of_attention = positions if positions in ("rotary", "alibi") else None
        self.tokens = Tokens(
            vocabulary, context, width, positions="none" if of_attention else positions, dropout=dropout, dtype=dtype
        )

        def block() -> Block:
            own: Any = {"bias": bias, "depth": layers, "dtype": dtype}
            rotary: Any = {"rotary_base": rotary_base, "rotary_scaling": rotary_scaling}
            rules: Any = {"head_size": head_size, "causal": True, "positions": of_attention, "window": window, **rotary}
            attention = SelfAttention(width, heads, kv_heads, dropout=dropout, **rules, **own)
            net = FeedForward(width, hidden, feed_forward, **own)
            return Block(attention, net, norm=norm, epsilon=epsilon, norm_first=norm_first, dropout=dropout, dtype=dtype)

        self.blocks = ModuleList(block() for _ in range(layers))
        if norm_first:
            self.last_norm = normalization(norm, width, epsilon, dtype)
        if not tied:
            self.head = projection(width, vocabulary, False, dtype)

    @classmethod
    def from_safetensors(
        cls,
        source: Any,
        *,
        heads: int | None = None,
        context: int | None = None,
        feed_forward: str | None = None,
        window: int | None = None,
        epsilon: float | None = None,
        rotary_base: float | None = None,
        dtype: Any = None,
    ) -> GPT:
        """Make a model of published weights: GPT-2 and models with its names, Llama and models with its names.

        Sizes come from the shapes. The arguments of this method replace what ``config.json`` beside the weights says.

        Args:
            source: a safetensors file, a folder with one or several of them, or a dict from names to arrays. Names may begin with
                "transformer." or "model.".
            heads: number of heads; needed without a config.json.
            context: greatest number of tokens of a text; for Llama's names, needed without a config.json. A smaller number saves
                memory in caches.
            feed_forward, window, epsilon, rotary_base, dtype: as in `GPT`; by default those of the config.

        Raises:
            FileNotFoundError: there is no such file.
            ValueError: an argument is missing, or the weights have names, shapes or a config that GPT does not have.

        >>> import fastnn, numpy as np
        >>> rng = np.random.default_rng(0)
        >>> shapes = {"wte.weight": (65, 8), "wpe.weight": (16, 8), "ln_f.weight": (8,), "ln_f.bias": (8,)}
        >>> for name, n, m in (("attn.c_attn", 8, 24), ("attn.c_proj", 8, 8), ("mlp.c_fc", 8, 32), ("mlp.c_proj", 32, 8)):
        ...     shapes |= {f"h.0.{name}.weight": (n, m), f"h.0.{name}.bias": (m,)}
        >>> shapes |= {f"h.0.{name}": (8,) for name in ("ln_1.weight", "ln_1.bias", "ln_2.weight", "ln_2.bias")}
        >>> model = fastnn.models.GPT.from_safetensors({name: rng.normal(size=n) for name, n in shapes.items()}, heads=2)
        >>> model.context, model([[1, 2, 3]]).shape
        (16, (1, 3, 65))
        """
        from .pretrained import described

        given: dict[str, Any] = {"heads": heads, "context": context, "feed_forward": feed_forward, "window": window}
        given |= {"epsilon": epsilon, "rotary_base": rotary_base, "dtype": dtype}
        arguments, state = described(source, given)
        size = sum(a.size for a in state.values())
        token = filling.set(LoadLimit(size, size))  # parameters are not drawn at random first
        try:
            model = cls(**arguments)
        finally:
            filling.reset(token)
        model.load_state_dict(state)
        return model

    def features(self, ids: Tensor, attention_mask: Any = None, step: Step | None = None) -> Tensor:
        """Return the vectors from which the head computes logits, (B, T, W).

        Args:
            ids: (B, T).
            attention_mask: bool, of a shape that broadcasts to (B, heads, T, T): True where a token may attend to another. It may
                in no case attend to a later one.
            step: places of these tokens in a cache.
        """
        x = self.tokens(ids, step)
        for block in self.blocks:
            x = block(x, None, attention_mask, step)
        y: Tensor = self.last_norm(x) if self.norm_first else x
        return y

    def logits(self, features: Tensor) -> Tensor:
        """Return a number for each token that may come next: (..., W) to (..., V)."""
        return matmul_transposed(features, self.tokens.table.embeddings) if self.tied else self.head(features)

    def forward(self, ids: Tensor, attention_mask: Any = None) -> Tensor:
        return self.logits(self.features(ids, attention_mask))

    def loss(self, ids: Any, next_ids: Any, ignore_index: int = -100) -> Tensor:
        """Return the mean cross-entropy of the next tokens, without all logits in memory.

        This is the loss for large vocabularies, in a training loop::

            @fastnn.capture
            def train_step(ids, next_ids):
                optimizer.zero_grad()
                loss = model.loss(ids, next_ids)
                loss.backward()
                optimizer.step()
                return loss

        Args:
            ids: (B, T).
            next_ids: (B, T), the token that follows each of them.
            ignore_index: tokens with this number count for nothing.

        >>> import fastnn
        >>> model = fastnn.models.GPT(vocabulary=50, context=4, width=8, layers=1, heads=2)
        >>> abs(model.loss([[1, 2]], [[2, 3]]).item() - 3.912) < 0.1  # log 50: the model knows nothing yet
        True
        """
        features = self.features(self._input(ids) if not isinstance(ids, Tensor) else ids)
        labels = as_labels(next_ids, features.shape[:-1], self.vocabulary, "GPT.loss", ignore_index)
        w = self.tokens.table.embeddings if self.tied else self.head.kernel
        losses, weights = linear_cross_entropy(features, w, None, labels, ignore_index=ignore_index, transposed=self.tied)
        return reduce_loss(losses, "weights", weights)

    def cache(self, batch: int = 1) -> Cache:
        """Return an empty cache for `step`, for this number of texts."""
        attention = self.blocks[0].attention
        return Cache(self.layers, batch, self.context, attention.kv_heads, attention.head_size, self.dtype)

    @no_grad()
    def step(self, ids: Any, cache: Cache, lengths: Any = None) -> Tensor:
        """Read more tokens of each text, and return the logits of the token that follows.

        The first call reads the prompts, later ones a token each, or several. All that changes from call to call is in the arrays
        of the cache and in ids. So a call can be captured, and replayed for each token without any Python in between. The
        results are those of `forward` on the whole texts, up to rounding.

        Args:
            ids: (B, T), the next tokens.
            cache: from `cache`. It gets their keys and values, and its position moves on. The caller counts: it holds at
                most ``context`` tokens. Those beyond it are not stored, and learned positions give NaN for them.
            lengths: int64 (B,), how many of the T tokens of each text count, if these differ: the others are padding at the end.
                With 0, nothing is read, and the logits have no meaning.

        Returns:
            (B, V).

        >>> import fastnn
        >>> model = fastnn.models.GPT(vocabulary=65, context=8, width=16, layers=2, heads=2).eval()
        >>> cache = model.cache()
        >>> _ = model.step([[5, 3, 7]], cache)          # the prompt
        >>> y = model.step([[2]], cache)                # the next token
        >>> bool(abs(y - model([[5, 3, 7, 2]])[:, -1]).max().item() < 1e-5), cache.position.tolist()
        (True, [4])
        """
        ids, counts = self._next(ids, cache, lengths)
        places = cache.step(ids.shape[1], counts)
        x = self.features(ids, step=places)
        places.done()
        return self.logits(last_of(x, counts))

    def extra_repr(self) -> str:
        return f"{self.vocabulary}, {self.context}, {self.width}, layers={self.layers}, heads={self.heads}"


def last_of(x: Tensor, lengths: Tensor | None) -> Tensor:
    """Return the last of the tokens that count for each sample: (B, T, W) to (B, W)."""
    b, t, w = x.shape
    if t == 1:
        return x.reshape(b, w)
    if lengths is None:
        return getitem(x, (slice(None), -1))
    first = Tensor(current().constant(np.arange(b) * t - 1))
    return x.reshape(b * t, w).take((lengths + first).maximum(0))
