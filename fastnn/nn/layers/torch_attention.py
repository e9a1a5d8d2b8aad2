"""Multi-head attention with PyTorch's names."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from ... import initializers
from ...autograd.tensor import Tensor, no_grad
from ...core.device import check_device
from ...ops.attention import attention, attention_packed
from ...ops.attention_weights import attention_weights
from ...ops.checks import as_tensor, flag, optional, positive_int
from ...ops.dense import dense
from ...ops.elementwise import add
from ...ops.index import split
from ...ops.logic import logical_and, logical_not, where
from ...ops.shape import transpose
from ..dtype import real_dtype
from ..parameter import Parameter, initial
from ..parameter_view import ParameterView, transposed
from ..spec import InputSpec
from .dense import Linear
from .random import Dropping


class MultiheadAttention(Dropping):
    """Attention with several heads: each query gets an average of values, weighted by how well their keys fit it.

    Source: Vaswani et al., arXiv 1706.03762.

    Args:
        embed_dim: E, the size of queries and outputs; heads have E / num_heads columns.
        num_heads: H, the number of heads.
        dropout: fraction of the weights that are dropped in training.
        bias: whether the projections have biases.
        add_bias_kv, add_zero_attn: PyTorch's additional keys and values; only False.
        kdim, vdim: sizes of keys and values; E by default.
        batch_first: whether the axes are (N, T, E) rather than (T, N, E).
        device: accepted for compatibility with PyTorch; "cpu" if the backend computes there.
        dtype: "float32" or "float64".

    Shapes: query (N, L, E), key (N, S, kdim), value (N, S, vdim) with batch_first, else with the first two axes exchanged; one
    sample may lack the axis N. in_proj_weight (3 E, E), or q_proj_weight (E, E), k_proj_weight (E, kdim) and v_proj_weight
    (E, vdim) if the sizes differ; in_proj_bias (3 E,), out_proj.weight (E, E), out_proj.bias (E,).

    A query that may not attend to any key gets the output of zeros, where PyTorch may give NaN.

    >>> import fastnn
    >>> layer = fastnn.nn.MultiheadAttention(8, 2, batch_first=True)
    >>> x = fastnn.zeros(3, 5, 8)
    >>> y, weights = layer(x, x, x)
    >>> y.shape, weights.shape
    ((3, 5, 8), (3, 5, 5))
    """

    input_spec = (InputSpec("float"), InputSpec("float"), InputSpec("float"))
    _checked_arguments: ClassVar = {
        **dict.fromkeys(("embed_dim", "num_heads"), positive_int),
        **dict.fromkeys(("kdim", "vdim"), optional(positive_int)),
        **dict.fromkeys(("bias", "batch_first"), flag),
    }
    _fixed_arguments = ("embed_dim", "num_heads", "bias", "add_bias_kv", "add_zero_attn", "kdim", "vdim")
    in_proj_weight: ParameterView | None

    def __init__(
        self,
        embed_dim: int,
        num_heads: int,
        dropout: float = 0.0,
        bias: bool = True,
        add_bias_kv: bool = False,
        add_zero_attn: bool = False,
        kdim: int | None = None,
        vdim: int | None = None,
        batch_first: bool = False,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        name = type(self).__name__
        check_device(device, name)
        self.name = name.lower()
        for argument, value in (("add_bias_kv", add_bias_kv), ("add_zero_attn", add_zero_attn)):
            if value is not False:
                raise ValueError(
                    f"{name}: {argument} is {value!r}; only False, since attention has no additional keys and values"
                )
        self.embed_dim, self.num_heads, self.bias, self.batch_first = embed_dim, num_heads, bias, batch_first
        self.add_bias_kv, self.add_zero_attn = False, False
        if self.embed_dim % self.num_heads:
            raise ValueError(f"{name}: embed_dim {embed_dim} cannot be divided into {num_heads} heads")
        self.kdim = self.embed_dim if kdim is None else kdim
        self.vdim = self.embed_dim if vdim is None else vdim
        self.head_dim = self.embed_dim // self.num_heads
        self._dtype = None if dtype is None else real_dtype(dtype, name)
        self._make()
        self.out_proj = Linear(self.embed_dim, self.embed_dim, self.bias, dtype=self._dtype)
        if self.bias:
            with no_grad():
                self.out_proj.bias.fill_(0.0)
        self.dropout = dropout

    def _make(self) -> None:
        """Make the projections, with PyTorch's initial values."""
        e, dtype = self.embed_dim, np.dtype(self._dtype or "float32")
        glorot, own = initializers.GlorotUniform(), (self.embed_dim, self.kdim, self.vdim)
        self._packed = own == (e, e, e)
        made: dict[str, Parameter | None] = dict.fromkeys(("in_proj_weight", *(f"{part}_proj_weight" for part in "qkv")))
        if self._packed:
            made["in_proj_weight"] = transposed(initial(glorot, (e, 3 * e), dtype))
        else:
            made |= {
                f"{part}_proj_weight": transposed(initial(glorot, (n, e), dtype)) for part, n in zip("qkv", own, strict=True)
            }
        made["in_proj_bias"] = initial(initializers.get("zeros"), (3 * e,), dtype) if self.bias else None
        self._hold(made)

    def forward(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        key_padding_mask: Any = None,
        need_weights: bool = True,
        attn_mask: Any = None,
        average_attn_weights: bool = True,
        is_causal: bool = False,
    ) -> tuple[Tensor, Tensor | None]:
        """Compute attention; PyTorch's masks are True where a query may NOT attend.

        Args:
            query, key, value: as in the class.
            key_padding_mask: (N, S), bool, True for keys that count for nothing; or floats that are added to the scores.
            need_weights: whether the weights are returned, too. Without them, memory does not grow with L S.
            attn_mask: (L, S) or (N H, L, S), bool, True where a query may not attend to a key; or floats that are added.
            average_attn_weights: whether the weights are the mean over the heads.
            is_causal: whether attn_mask is the causal mask, which is then not read, and may be omitted.

        Returns:
            The output, of query's shape, and the weights before dropout, (N, L, S) or (N, H, L, S); None without need_weights.
        """
        single = query.ndim == 2
        q, k, v = self._batches(query, key, value, single)
        n, length, source = q.shape[0], q.shape[1], k.shape[1]
        mask = self._mask(attn_mask, key_padding_mask, is_causal, (n, length, source), single)
        how: dict[str, Any] = {"causal": is_causal, "mask": mask, "starts": 0 if is_causal else None}
        dropping = self._dropping()
        h, d = self.num_heads, self.head_dim
        weights = None
        if q is k and k is v and self._packed and not need_weights:
            qkv = dense(q, self._stored("in_proj_weight"), self.in_proj_bias).reshape(n, length, 3 * h, d)
            y = attention_packed(qkv, h, **how, **dropping)
        else:
            queries, keys, values = (t.reshape(*t.shape[:2], h, d) for t in self._projected(q, k, v))
            y = attention(queries, keys, values, **how, **dropping)
            weights = attention_weights(queries, keys, **how) if need_weights else None
        y = self.out_proj(y.reshape(n, length, self.embed_dim))
        if weights is not None and average_attn_weights:
            weights = weights.mean(1)
        if single:
            return y.reshape(length, self.embed_dim), None if weights is None else weights.reshape(weights.shape[1:])
        return y if self.batch_first else transpose(y, 1, 0, 2), weights

    def attention_weights(self, *args: Any, **kwargs: Any) -> Tensor:
        """Return the weights of the heads, (N, H, L, S); the arguments are those of forward."""
        own = dict(zip(("query", "key", "value", "key_padding_mask", "need_weights", "attn_mask"), args, strict=False)) | kwargs
        weights = MultiheadAttention.forward(self, **{**own, "need_weights": True, "average_attn_weights": False})[1]
        assert weights is not None
        return weights

    def _batches(self, query: Tensor, key: Tensor, value: Tensor, single: bool) -> list[Tensor]:
        """Return the inputs as (N, T, features); inputs that are the same stay the same."""
        sizes, found = (self.embed_dim, self.kdim, self.vdim), {}
        for t, size, name in zip((query, key, value), sizes, ("query", "key", "value"), strict=True):
            if t.ndim != 3 - single or t.shape[-1] != size:
                axes = "T, " if single else "N, T, " if self.batch_first else "T, N, "
                raise ValueError(f"{type(self).__name__}: {name} has shape {t.shape}, wanted ({axes}{size})")
            if t not in found:
                found[t] = t.reshape(1, *t.shape) if single else t if self.batch_first else transpose(t, 1, 0, 2)
        q, k, v = (found[t] for t in (query, key, value))
        if k.shape[:2] != v.shape[:2] or k.shape[0] != q.shape[0]:
            raise ValueError(
                f"{type(self).__name__}: query, key and value of shapes {query.shape}, {key.shape} and {value.shape} do not fit: "
                "wanted as many samples of each, and as many values as keys"
            )
        return [q, k, v]

    def _stored(self, name: str) -> Parameter:
        """Return a projection as it is stored, (in, out)."""
        view: Any = self._parameters[name]
        return view.base if isinstance(view, ParameterView) else transpose(view)  # type: ignore[return-value]

    def _projected(self, q: Tensor, k: Tensor, v: Tensor) -> list[Tensor]:
        """Return queries, keys and values, with as few products as there are different inputs."""
        e, bias = self.embed_dim, self.in_proj_bias
        if self._packed and q is k and k is v:
            return list(split(dense(q, self._stored("in_proj_weight"), bias), e, -1))
        biases = (None,) * 3 if bias is None else split(bias, e)
        if not self._packed:
            names = [f"{part}_proj_weight" for part in "qkv"]
            return [dense(t, self._stored(name), b) for t, name, b in zip((q, k, v), names, biases, strict=True)]
        kernel = self._stored("in_proj_weight")
        if k is v:
            of_query, of_both = split(kernel, (e, 2 * e), 1)
            both = None if bias is None else split(bias, (e, 2 * e))[1]
            return [dense(q, of_query, biases[0]), *split(dense(k, of_both, both), e, -1)]
        return [dense(t, w, b) for t, w, b in zip((q, k, v), split(kernel, e, 1), biases, strict=True)]

    def _mask(self, attn_mask: Any, padding: Any, is_causal: bool, sizes: tuple[int, int, int], single: bool) -> Tensor | None:
        """Return one mask of attention, True where a query may attend, or what is added to the scores."""
        op, (n, length, source) = type(self).__name__, sizes
        parts = []
        if attn_mask is not None and not is_causal:
            t = as_tensor(attn_mask, f"{op}: attn_mask")
            if t.shape not in ((length, source), (n * self.num_heads, length, source)):
                raise ValueError(
                    f"{op}: attn_mask has shape {t.shape}, wanted {(length, source)} or {(n * self.num_heads, length, source)}"
                )
            parts.append(t.reshape(n if t.ndim == 3 else 1, self.num_heads if t.ndim == 3 else 1, length, source))
        if padding is not None:
            t = as_tensor(padding, f"{op}: key_padding_mask")
            if t.shape != ((source,) if single else (n, source)):
                raise ValueError(f"{op}: key_padding_mask has shape {t.shape}, wanted {(source,) if single else (n, source)}")
            parts.append(t.reshape(n, 1, 1, source))
        return merged(parts, self.dtype)

    def get_config(self) -> dict[str, Any]:
        names = ("embed_dim", "num_heads", "dropout", "bias", "add_bias_kv", "add_zero_attn", "kdim", "vdim", "batch_first")
        return {**{name: getattr(self, name) for name in names}, "dtype": self.dtype.name}

    def extra_repr(self) -> str:
        return f"{self.embed_dim}, {self.num_heads}"


def merged(masks: list[Tensor], dtype: Any) -> Tensor | None:
    """Join PyTorch's masks, True where a query may not attend, or floats that are added, to one of `attention`."""
    if all(t.dtype == np.bool_ for t in masks):
        allowed = [logical_not(t) for t in masks]
        return None if not allowed else allowed[0] if len(allowed) == 1 else logical_and(*allowed)
    zero = np.zeros((1, 1, 1, 1), dtype)
    added = [where(t, zero - np.inf, zero) if t.dtype == np.bool_ else t.astype(dtype) for t in masks]
    return added[0] if len(added) == 1 else add(*added)
