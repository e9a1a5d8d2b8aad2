"""What the layers of multi-head attention with Keras's names share: projections, masks and attention."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np

from ... import regularizers
from ...autograd.tensor import Tensor
from ...ops.activation import sigmoid
from ...ops.attention import attention
from ...ops.attention_weights import attention_weights
from ...ops.checks import as_tensor, flag, optional, positive_int, shape_of
from ...ops.dense import dense
from ...ops.logic import logical_and
from ..dtype import real_dtype
from ..masks import mask_of
from ..module import Module
from ..parameter import building, initial
from ..spec import InputSpec
from .random import Dropping, seed_or_none
from .weighted import named, rules, rules_config

_RULES = tuple(f"{of}_{kind}" for of in ("kernel", "bias") for kind in ("initializer", "regularizer", "constraint"))
_SETTINGS = (*_RULES, "activity_regularizer")


class Projection(Module):
    """Dense layer from the last axes of its input to several axes, such as heads and their columns.

    Shapes: x (..., *inputs), kernel (*inputs, *outputs), bias (*outputs), y (..., *outputs).
    """

    _saved_as = ""
    supports_masking = True

    def __init__(self, inputs: tuple[int, ...], outputs: tuple[int, ...], use_bias: bool, dtype: Any, settings: dict[str, Any]):
        super().__init__()
        self._sizes = inputs, outputs
        for name, value in settings.items():
            setattr(self, name, value)
        kind = np.dtype(dtype or "float32")
        flat = math.prod(inputs), math.prod(outputs)  # initial values know the numbers of inputs and outputs by this shape

        def drawn(shape: tuple[int, ...], dtype: Any, rng: np.random.Generator) -> Any:
            return self.kernel_initializer(flat, dtype, rng).reshape(shape)

        kernel = initial(drawn, (*inputs, *outputs), kind)
        self._hold({"kernel": kernel, "bias": initial(self.bias_initializer, outputs, kind) if use_bias else None})

    def forward(self, x: Tensor) -> Tensor:
        (inputs, outputs), bias = self._sizes, self.bias
        rows, columns, lead = math.prod(inputs), math.prod(outputs), x.shape[: x.ndim - len(inputs)]
        kernel = self.kernel.reshape(rows, columns)
        y = dense(x.reshape(*lead, rows), kernel, None if bias is None else bias.reshape(columns)).reshape(*lead, *outputs)
        if self.activity_regularizer is not None:
            self._activity = y
        return y

    def extra_repr(self) -> str:
        return f"{self._sizes[0]}, {self._sizes[1]}"


def _shapes(value: Any, name: str) -> tuple[tuple[int, ...], ...] | None:
    """Check the shapes of samples of query, value and key: one for all, or a list of two or three of them."""
    if value is None:
        return None
    several = list(value) if isinstance(value[0], list | tuple) else [value]
    if not 1 <= len(several) <= 3:
        raise ValueError(f"{name} has {len(several)} shapes, wanted those of query, value and key")
    found = tuple(tuple(shape_of(shape, name) or ()) for shape in several)
    return (*found, *(found[-1],) * (3 - len(found)))


class HeadsAttention(Dropping):
    """Base of the layers with Keras's names that have heads: projections, masks and attention."""

    _saved_as = ""
    supports_masking = True
    input_spec: Any = (InputSpec("float"), InputSpec("float"), InputSpec("float"))
    _checked_arguments: ClassVar[dict[str, Callable[[Any, str], Any]]] = {
        **rules("kernel", "bias"),
        "activity_regularizer": named(regularizers.get),
        **dict.fromkeys(("use_bias", "use_gate"), flag),
        "sliding_window": optional(positive_int),
        "input_shape": _shapes,
        "seed": seed_or_none,
    }
    _fixed_arguments: ClassVar[tuple[str, ...]] = (*_checked_arguments, "flash_attention")

    use_bias: bool
    sliding_window: int | None
    input_shape: Any

    def _begin(self, given: dict[str, Any]) -> None:
        """Finish a constructor, given its ``locals()``: set the arguments that all these layers have."""
        own, dtype = type(self).__name__, given["dtype"]
        if not isinstance(flash := given["flash_attention"], bool | None):
            raise TypeError(f"{own}: flash_attention is {flash!r}, wanted True, False or None; attention is always so")
        self._dtype = None if dtype is None else real_dtype(dtype, own)
        self.name = given["name"] or own.lower()
        for name in HeadsAttention._fixed_arguments:
            setattr(self, name, given[name])
        self.dropout = given["dropout"]
        if self.input_shape is not None:
            self.build(self.input_shape)

    @property
    def built(self) -> bool:
        return "output_dense" in self._modules

    def _own_built(self) -> bool:
        return self.built

    def _heads(self) -> tuple[int, int, int, int, tuple[int, ...] | None]:
        """Return the numbers of heads of queries and of keys, the columns of keys and values, and the output's shape."""
        raise NotImplementedError

    def build(self, input_shape: Any) -> None:
        """Make the parameters for samples with the shapes of query, value and key, of which the last sizes count."""
        shapes = _shapes(input_shape, f"{type(self).__name__}: input_shape") or ()
        if any(not shape or shape[-1] is None or shape[-1] < 1 for shape in shapes):
            raise ValueError(f"{type(self).__name__}: inputs with samples of shapes {shapes}; wanted features on the last axis")
        query, value, key = (shape[-1] for shape in shapes)
        heads, groups, depth, width, output = self._heads()
        settings = {name: getattr(self, name) for name in _SETTINGS}

        def make(inputs: tuple[int, ...], outputs: tuple[int, ...]) -> Projection:
            return Projection(inputs, outputs, self.use_bias, self._dtype, settings)

        made = {"query_dense": make((query,), (heads, depth)), "key_dense": make((key,), (groups, depth))}
        if self.use_gate:
            made["gate_dense"] = make((query,), (heads, width))
        made["value_dense"] = make((value,), (groups, width))
        made["output_dense"] = make((heads, width), (query,) if output is None else output)
        if self.input_shape is None:
            self.input_shape = [list(shape) for shape in shapes]
        for name, layer in made.items():  # output_dense, by which `built` knows, is the last
            setattr(self, name, layer)

    def _flat(self, query: Tensor, value: Tensor, key: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return the inputs with one axis of samples and one over which attention is."""
        for t, name in ((query, "query"), (value, "value"), (key, "key")):
            if t.ndim != 3:
                raise ValueError(f"{type(self).__name__}: {name} has shape {t.shape}, wanted (n, T, features)")
        return query, value, key

    def forward(
        self,
        query: Tensor,
        value: Tensor,
        key: Tensor | None = None,
        query_mask: Any = None,
        value_mask: Any = None,
        key_mask: Any = None,
        attention_mask: Any = None,
        return_attention_scores: bool = False,
        use_causal_mask: bool = False,
    ) -> Any:
        """Compute attention.

        Args:
            query: (n, T, features).
            value: (n, S, features).
            key: (n, S, features); value by default.
            query_mask: bool (n, T), False for padding, which gets zeros before the last projection; by default the mask that
                query carries.
            value_mask, key_mask: bool (n, S), False for padding, to which no query attends.
            attention_mask: bool (n, T, S), or a shape that broadcasts to (n, heads, T, S); True where a query may attend.
            return_attention_scores: whether the weights (n, heads, T, S) are returned, too.
            use_causal_mask: whether query i attends only to the keys up to i.
        """
        key_mask = mask_of(key) if key_mask is None and key is not None and key is not value else key_mask
        value_mask = mask_of(value) if value_mask is None else value_mask
        query_mask = mask_of(query) if query_mask is None else query_mask
        key = value if key is None else key
        if not self.built:
            with building:
                if not self.built:
                    self.build([t.shape[1:] for t in (query, value, key)])
        q, v, k = self._flat(query, value, key)
        mask = self._joined(q, k, query_mask, (value_mask, key_mask), attention_mask)
        how: dict[str, Any] = {"mask": mask, "causal": bool(use_causal_mask), "window": self.sliding_window, "starts": 0}
        queries, keys, values = self.query_dense(q), self.key_dense(k), self.value_dense(v)
        y = attention(queries, keys, values, **how, **self._dropping())
        if self.use_gate:
            y = y * sigmoid(self.gate_dense(q))
        y = self.output_dense(y)
        y = y.reshape(*query.shape[:-1], *y.shape[2:])
        return (y, attention_weights(queries, keys, **how)) if return_attention_scores else y

    def attention_weights(self, *args: Any, **kwargs: Any) -> Tensor:
        """Return the weights (n, heads, T, S); the arguments are those of forward."""
        weights: Tensor = HeadsAttention.forward(self, *args, **{**kwargs, "return_attention_scores": True})[1]
        return weights

    def _joined(self, q: Tensor, k: Tensor, query_mask: Any, masks: tuple[Any, ...], attention_mask: Any) -> Tensor | None:
        """Return one mask of attention, (n or 1, 1 or heads, T or 1, S or 1)."""
        op, n = type(self).__name__, q.shape[0]
        parts = []
        for name, given, size in (("query_mask", query_mask, q.shape[1]), *(("value_mask", m, k.shape[1]) for m in masks)):
            if given is not None:
                t = as_tensor(given, f"{op}: {name}")
                if t.size != n * size:
                    raise ValueError(f"{op}: {name} has shape {t.shape}, wanted {(n, size)}")
                parts.append(t.reshape((n, 1, size, 1) if name == "query_mask" else (n, 1, 1, size)))
        if attention_mask is not None:
            t = as_tensor(attention_mask, f"{op}: attention_mask")
            t = t if t.dtype == np.bool_ else t != 0
            parts.append(t.reshape(t.shape[0], 1, *t.shape[1:]) if t.ndim == 3 else t)
        joined = None
        for part in parts:
            joined = part if joined is None else logical_and(joined, part)
        return joined

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        return previous_mask[0] if isinstance(previous_mask, list | tuple) else previous_mask

    def _config(self, *names: str) -> dict[str, Any]:
        activity = self.activity_regularizer
        return {
            **{name: getattr(self, name) for name in (*names, "dropout", "use_bias", "use_gate", "sliding_window")},
            **rules_config(self, "kernel", "bias"),
            "activity_regularizer": None if activity is None else regularizers.serialize(activity),
            "seed": self.seed,
            "input_shape": None if self.input_shape is None else [list(shape) for shape in self.input_shape],
            "dtype": self.dtype.name,
        }
