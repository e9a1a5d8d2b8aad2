"""Attention with Keras's names that has no projections: by dot products, or by a learned sum."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np

from ... import initializers
from ...autograd.tensor import Tensor
from ...ops import elementwise
from ...ops.activation import tanh
from ...ops.attention import attention
from ...ops.attention_weights import attention_weights
from ...ops.checks import as_tensor, flag, shape_of
from ...ops.create import zeros
from ...ops.logic import where
from ..dtype import real_dtype
from ..parameter import Parameter, building, initial
from .merge import Merge
from .random import Dropping, seed_or_none


def _mode(value: Any, name: str) -> str:
    if value not in ("dot", "concat"):
        raise ValueError(f"{name} is {value!r}, wanted 'dot' or 'concat'")
    return str(value)


class SingleAttention(Dropping, Merge):
    """Base of attention that is called on a list of query, value and, if it is not value, key."""

    _saved_as = ""
    most = 3
    _checked_arguments: ClassVar[dict[str, Callable[[Any, str], Any]]] = {
        "use_scale": flag,
        "score_mode": _mode,
        "seed": seed_or_none,
    }
    _fixed_arguments: ClassVar[tuple[str, ...]] = tuple(_checked_arguments)

    use_scale: bool

    def _begin(self, dropout: float, seed: int | None, dtype: Any) -> None:
        """Finish a constructor."""
        self._dtype = None if dtype is None else real_dtype(dtype, type(self).__name__)
        self.seed = seed
        self.dropout = dropout

    def _scores(self, q: Tensor, k: Tensor) -> Tensor | None:
        """Return the scores (n, T, S) of queries (n, T, E) and keys (n, S, E); None for dot products of queries and keys."""
        raise NotImplementedError

    def _scaled(self, q: Tensor) -> Tensor:
        """Return the queries whose dot products are the scores."""
        return q

    def forward(self, x: Any, mask: Any = None, return_attention_scores: bool = False, use_causal_mask: bool = False) -> Any:
        """Compute attention.

        Args:
            x: a list of query (n, T, E), value (n, S, F) and key (n, S, E); value is also key by default.
            mask: a list of masks of query and value, bool (n, T) and (n, S), or None; False for padding. By default those that
                the inputs carry.
            return_attention_scores: whether the weights (n, T, S) are returned, too.
            use_causal_mask: whether query i attends only to the keys up to i.
        """
        op, (q, v, k) = type(self).__name__, (x[0], x[1], x[-1])
        if any(t.ndim != 3 for t in x) or q.shape[2] != k.shape[2] or k.shape[:2] != v.shape[:2] or len(q) != len(k):
            raise ValueError(
                f"{op}: inputs of shapes {[t.shape for t in x]} do not fit, wanted (n, T, E), (n, S, F) and (n, S, E)"
            )
        if not self.built:
            with building:
                if not self.built:
                    self.build(q.shape[1:])
        of_query, of_value = (None, None) if mask is None else (mask[0], mask[1])
        how: dict[str, Any] = {"causal": bool(use_causal_mask), "starts": 0, "scale": 1.0}
        scores = self._scores(q, k)
        if scores is None:
            queries, keys = self._scaled(q), k
            how["mask"] = None if of_value is None else _tensor(of_value).reshape(len(k), 1, 1, k.shape[1])
        else:  # they are added to products of zeros
            queries, keys = (zeros(*t.shape[:2], 1, dtype=q.dtype) for t in (q, k))
            if of_value is not None:
                scores = where(_tensor(of_value).reshape(len(k), 1, k.shape[1]), scores, -np.inf)
            how["mask"] = scores.reshape(len(q), 1, *scores.shape[1:])
        queries, keys, values = (t.reshape(*t.shape[:2], 1, t.shape[2]) for t in (queries, keys, v))
        y = attention(queries, keys, values, **how, **self._dropping())
        y = y.reshape(*q.shape[:2], v.shape[2])
        if of_query is not None:
            y = where(_tensor(of_query).reshape(*q.shape[:2], 1), y, 0.0)
        if not return_attention_scores:
            return y
        return y, attention_weights(queries, keys, **how).reshape(len(q), q.shape[1], k.shape[1])

    supports_masking = True

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        return previous_mask[0] if isinstance(previous_mask, list | tuple) else previous_mask

    def build(self, input_shape: Any) -> None:
        """Make the parameters that depend on the features of a query, of which this is the shape of a sample."""

    def output_shape(self, input_shape: Any) -> tuple[int, ...]:
        return (*input_shape[0][:-1], input_shape[1][-1])

    def get_config(self) -> dict[str, Any]:
        return {"use_scale": self.use_scale, "dropout": self.dropout, "name": self.name, "dtype": self.dtype.name}


def _tensor(mask: Any) -> Tensor:
    return as_tensor(mask, "attention: mask")


class Attention(SingleAttention):
    """Attention with one head and without projections: softmax of the products of queries and keys, which are not divided.

    Source: Luong et al., arXiv 1508.04025.

    Args:
        use_scale: whether the products are multiplied with a learned number.
        score_mode: "dot" for products, or "concat" for the sum of tanh(query + key) times a learned number.
        dropout: fraction of the weights that are dropped in training.
        seed: seed of dropout.
        dtype: "float32" or "float64".

    Shapes: called on a list of query (n, T, E), value (n, S, F) and key (n, S, E), y (n, T, F).

    A query that may not attend to any key gets zeros.

    >>> import fastnn
    >>> query, value = fastnn.tensor([[[0.0, 0.0]]]), fastnn.tensor([[[1.0, 2.0], [3.0, 6.0]]])
    >>> fastnn.Attention()([query, value]).tolist()
    [[[2.0, 4.0]]]
    """

    def __init__(
        self,
        use_scale: bool = False,
        score_mode: str = "dot",
        dropout: float = 0.0,
        seed: int | None = None,
        *,
        dtype: Any = None,
        name: str | None = None,
    ) -> None:
        super().__init__(name)
        self.use_scale, self.score_mode = use_scale, score_mode
        self._begin(dropout, seed, dtype)
        ones, kind = initializers.get("ones"), np.dtype(self._dtype or "float32")
        made = {"scale": self.use_scale, "concat_score_weight": self.score_mode == "concat"}
        self._hold({key: Parameter(initial(ones, (1,), kind).data.reshape(())) if has else None for key, has in made.items()})

    def _scaled(self, q: Tensor) -> Tensor:
        return q if self.scale is None else q * self.scale

    def _scores(self, q: Tensor, k: Tensor) -> Tensor | None:
        if self.score_mode == "dot":
            return None
        sums = pairs(q, k)
        scores: Tensor = self.concat_score_weight * tanh(sums if self.scale is None else self.scale * sums).sum(-1)
        return scores

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "score_mode": self.score_mode, "seed": self.seed}

    def extra_repr(self) -> str:
        return f"use_scale={self.use_scale}, score_mode={self.score_mode!r}"


class AdditiveAttention(SingleAttention):
    """Attention whose scores are sums of tanh(query + key), with a learned factor for each feature.

    Source: Bahdanau et al., arXiv 1409.0473.

    Args:
        use_scale: whether there are the factors; without them, they are 1.
        dropout: fraction of the weights that are dropped in training.
        seed: seed of dropout.
        input_shape: shape of a sample of query; by default it is known from the first call.
        dtype: "float32" or "float64".

    Shapes: called on a list of query (n, T, E), value (n, S, F) and key (n, S, E), y (n, T, F); scale (E,).

    >>> import fastnn
    >>> fastnn.AdditiveAttention()([fastnn.zeros(1, 2, 4), fastnn.ones(1, 3, 4)]).shape
    (1, 2, 4)
    """

    score_mode = "additive"
    _checked_arguments: ClassVar = {"input_shape": shape_of}
    _fixed_arguments = ("input_shape",)

    def __init__(
        self,
        use_scale: bool = True,
        dropout: float = 0.0,
        *,
        seed: int | None = None,
        input_shape: Any = None,
        dtype: Any = None,
        name: str | None = None,
    ) -> None:
        super().__init__(name)
        self.use_scale = use_scale
        self._begin(dropout, seed, dtype)
        self.input_shape = input_shape
        if self.input_shape is not None:
            self.build(self.input_shape)

    @property
    def built(self) -> bool:
        return "scale" in self._parameters

    def _own_built(self) -> bool:
        return self.built

    def build(self, input_shape: Any) -> None:
        glorot, kind = initializers.get("glorot_uniform"), np.dtype(self._dtype or "float32")
        if self.input_shape is None:
            self.input_shape = input_shape
        self._hold({"scale": initial(glorot, (int(input_shape[-1]),), kind) if self.use_scale else None})

    def _scores(self, q: Tensor, k: Tensor) -> Tensor | None:
        y = tanh(pairs(q, k))
        return (y if self.scale is None else self.scale * y).sum(-1)

    def get_config(self) -> dict[str, Any]:
        shape = None if self.input_shape is None else list(self.input_shape)
        return {**super().get_config(), "seed": self.seed, "input_shape": shape}

    def extra_repr(self) -> str:
        return f"use_scale={self.use_scale}"


def pairs(q: Tensor, k: Tensor) -> Tensor:
    """Return the sums of all queries and keys, (n, T, S, E)."""
    return elementwise.add(q.reshape(*q.shape[:2], 1, q.shape[2]), k.reshape(len(k), 1, *k.shape[1:]))
