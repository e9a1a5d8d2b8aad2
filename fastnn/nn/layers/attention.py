"""Multi-head attention with Keras's names."""

from __future__ import annotations

import math
from typing import Any, ClassVar

from ...autograd.tensor import Tensor
from ...ops.checks import optional, positive_int, shape_of
from .heads_attention import HeadsAttention


class MultiHeadAttention(HeadsAttention):
    """Attention with several heads: each query gets an average of values, weighted by how well their keys fit it.

    Source: Vaswani et al., arXiv 1706.03762.

    Args:
        num_heads: H, the number of heads.
        key_dim: D, the number of columns of queries and keys of each head.
        value_dim: that of values; D by default.
        dropout: fraction of the weights that are dropped in training.
        use_bias: whether the projections have biases.
        output_shape: sizes of the output's last axes; by default the features of query.
        attention_axes: the axes over which attention is: the last ones before the features; by default all but the first.
        sliding_window: if given, queries attend only to keys that are less than this number of steps away.
        flash_attention: accepted for compatibility with Keras; attention never keeps all weights.
        kernel_initializer, bias_initializer, kernel_regularizer, bias_regularizer, activity_regularizer, kernel_constraint,
            bias_constraint: those of each projection, as in `Dense`.
        use_gate: whether a sigmoid of a projection of query is multiplied with the heads' results.
        seed: seed of dropout.
        input_shape: shapes of samples of query, value and key, or one for all; by default they are known from the first call.
        dtype: "float32" or "float64".

    Shapes: query (n, T, E), value (n, S, F), key (n, S, G), y (n, T, E). query_dense.kernel (E, H, D), key_dense.kernel
    (G, H, D), value_dense.kernel (F, H, value_dim), output_dense.kernel (H, value_dim, E); biases (H, D) and (E,).

    The weights of a query that may not attend to any key are 0; in Keras, they are those of the mean of all values.

    >>> import fastnn
    >>> layer = fastnn.MultiHeadAttention(num_heads=2, key_dim=3)
    >>> x = fastnn.zeros(3, 5, 8)
    >>> y, scores = layer(x, x, return_attention_scores=True, use_causal_mask=True)
    >>> y.shape, scores.shape
    ((3, 5, 8), (3, 2, 5, 5))
    """

    _checked_arguments: ClassVar = {
        **dict.fromkeys(("num_heads", "key_dim"), positive_int),
        "value_dim": optional(positive_int),
    }
    _fixed_arguments = ("num_heads", "key_dim", "value_dim", "attention_axes")

    def __init__(
        self,
        num_heads: int,
        key_dim: int,
        value_dim: int | None = None,
        dropout: float = 0.0,
        use_bias: bool = True,
        output_shape: Any = None,
        attention_axes: Any = None,
        *,
        sliding_window: int | None = None,
        flash_attention: bool | None = None,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        bias_constraint: Any = None,
        use_gate: bool = False,
        seed: int | None = None,
        input_shape: Any = None,
        dtype: Any = None,
        name: str | None = None,
    ) -> None:
        super().__init__()
        self.num_heads, self.key_dim = num_heads, key_dim
        self.value_dim = self.key_dim if value_dim is None else value_dim
        self._output_shape = shape_of(output_shape, "MultiHeadAttention: output_shape")
        axes = (attention_axes,) if isinstance(attention_axes, int) else attention_axes
        self.attention_axes = None if axes is None else tuple(axes)
        self._begin(locals())

    def __setattr__(self, name: str, value: Any) -> None:
        if name == "output_shape":  # a method of layers, so that it cannot be an attribute
            raise AttributeError("MultiHeadAttention: output_shape is fixed; make another layer")
        super().__setattr__(name, value)

    def _heads(self) -> tuple[int, int, int, int, tuple[int, ...] | None]:
        return self.num_heads, self.num_heads, self.key_dim, self.value_dim, self._output_shape

    def _flat(self, query: Tensor, value: Tensor, key: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        n = query.ndim
        axes = tuple(range(1, n - 1)) if self.attention_axes is None else tuple(a % n for a in self.attention_axes)
        if n < 3 or not axes or axes != tuple(range(n - 1 - len(axes), n - 1)) or axes[0] < 1:
            raise ValueError(
                f"MultiHeadAttention: attention_axes {self.attention_axes} of a query of shape {query.shape}; wanted its last "
                "axes before the features, in order"
            )
        first = axes[0]
        for t, name in ((value, "value"), (key, "key")):
            if t.ndim != n or t.shape[:first] != query.shape[:first] or t.shape[:-1] != value.shape[:-1]:
                raise ValueError(
                    f"MultiHeadAttention: query, value and {name} of shapes {query.shape}, {value.shape} and {t.shape} do not fit"
                )
        if n == 3:
            return query, value, key
        found = [t.reshape(math.prod(t.shape[:first]), math.prod(t.shape[first:-1]), t.shape[-1]) for t in (query, value, key)]
        return found[0], found[1], found[2]

    def output_shape(self, input_shape: Any) -> tuple[int, ...]:
        query = input_shape[0] if isinstance(input_shape[0], list | tuple) else input_shape
        return tuple(query) if self._output_shape is None else (*query[:-1], *self._output_shape)

    def get_config(self) -> dict[str, Any]:
        config = self._config("num_heads", "key_dim", "value_dim", "flash_attention")
        axes = None if self.attention_axes is None else list(self.attention_axes)
        return {
            **config,
            "output_shape": None if self._output_shape is None else list(self._output_shape),
            "attention_axes": axes,
        }

    def extra_repr(self) -> str:
        return f"{self.num_heads}, {self.key_dim}"


class GroupedQueryAttention(HeadsAttention):
    """Attention in which several heads of queries share the keys and values of one head.

    Source: Ainslie et al., arXiv 2305.13245. Keras calls it GroupQueryAttention.

    Args:
        head_dim: D, the number of columns of each head.
        num_query_heads: H, the number of heads of queries; a multiple of num_key_value_heads.
        num_key_value_heads: G, the number of heads of keys and values; with 1, all queries share them.
        dropout, use_bias, sliding_window, flash_attention, kernel_initializer, bias_initializer, kernel_regularizer,
            bias_regularizer, activity_regularizer, kernel_constraint, bias_constraint, use_gate, seed, input_shape, dtype: as in
            `MultiHeadAttention`.

    Shapes: query (n, T, E), value and key (n, S, F), y (n, T, E). query_dense.kernel (E, H, D), key_dense.kernel and
    value_dense.kernel (F, G, D), output_dense.kernel (H, D, E).

    >>> import fastnn
    >>> layer = fastnn.GroupedQueryAttention(head_dim=4, num_query_heads=6, num_key_value_heads=2)
    >>> x = fastnn.zeros(3, 5, 8)
    >>> layer(x, x, use_causal_mask=True).shape, layer.key_dense.kernel.shape
    ((3, 5, 8), (8, 2, 4))
    """

    _checked_arguments: ClassVar = dict.fromkeys(("head_dim", "num_query_heads", "num_key_value_heads"), positive_int)
    _fixed_arguments = tuple(_checked_arguments)

    def __init__(
        self,
        head_dim: int,
        num_query_heads: int,
        num_key_value_heads: int,
        dropout: float = 0.0,
        use_bias: bool = True,
        *,
        sliding_window: int | None = None,
        flash_attention: bool | None = None,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        bias_constraint: Any = None,
        use_gate: bool = False,
        seed: int | None = None,
        input_shape: Any = None,
        dtype: Any = None,
        name: str | None = None,
    ) -> None:
        super().__init__()
        self.head_dim, self.num_query_heads, self.num_key_value_heads = head_dim, num_query_heads, num_key_value_heads
        if self.num_query_heads % self.num_key_value_heads:
            raise ValueError(
                f"GroupedQueryAttention: {num_query_heads} heads of queries and {num_key_value_heads} of keys; wanted a multiple"
            )
        self._begin(locals())

    def _heads(self) -> tuple[int, int, int, int, tuple[int, ...] | None]:
        return self.num_query_heads, self.num_key_value_heads, self.head_dim, self.head_dim, None

    def output_shape(self, input_shape: Any) -> tuple[int, ...]:
        return tuple(input_shape[0] if isinstance(input_shape[0], list | tuple) else input_shape)

    def get_config(self) -> dict[str, Any]:
        return self._config("head_dim", "num_query_heads", "num_key_value_heads", "flash_attention")

    def extra_repr(self) -> str:
        return f"{self.head_dim}, {self.num_query_heads}, {self.num_key_value_heads}"
