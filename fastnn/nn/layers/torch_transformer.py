"""Layers of Transformers with PyTorch's names, for encoders and for decoders."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np

from ... import activations
from ...autograd.tensor import Tensor
from ...core.device import check_device
from ...ops.checks import check_number, flag, positive_int
from ...ops.shape import transpose
from ..module import Module
from ..spec import InputSpec
from .dense import Linear
from .random import Dropout
from .torch_attention import MultiheadAttention
from .torch_normalization import LayerNorm
from .weighted import named

_FLOATS = InputSpec("float")


class TransformerLayer(Module):
    """Base of encoder and decoder layers, which describe the arguments: self-attention, feed-forward net, residual sums."""

    _saved_as = ""
    _norms = 2
    _checked_arguments: ClassVar = {
        **dict.fromkeys(("d_model", "nhead", "dim_feedforward"), positive_int),
        **dict.fromkeys(("batch_first", "norm_first"), flag),
        "activation": named(activations.get),
        "layer_norm_eps": lambda value, name: check_number(value, name, 0.0),
    }
    _fixed_arguments = ("d_model", "nhead", "dim_feedforward", "activation", "layer_norm_eps", "bias")

    def __init__(
        self,
        d_model: int,
        nhead: int,
        dim_feedforward: int = 2048,
        dropout: float = 0.1,
        activation: Any = "relu",
        layer_norm_eps: float = 1e-5,
        batch_first: bool = False,
        norm_first: bool = False,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        name = type(self).__name__
        check_device(device, name)
        self.name = name.lower()
        self.d_model, self.nhead, self.dim_feedforward, self.layer_norm_eps = d_model, nhead, dim_feedforward, layer_norm_eps
        self.activation, self.batch_first, self.norm_first = activation, batch_first, norm_first
        rate = check_number(dropout, f"{name}: dropout", 0.0, 1.0)
        self.bias = flag(bias, f"{name}: bias")
        own: Any = {"bias": self.bias, "dtype": dtype}
        self.self_attn = MultiheadAttention(self.d_model, self.nhead, rate, batch_first=True, **own)
        if self._norms == 3:
            self.multihead_attn = MultiheadAttention(self.d_model, self.nhead, rate, batch_first=True, **own)
        self.linear1 = Linear(self.d_model, self.dim_feedforward, **own)
        self.linear1.activation = self.activation
        self.dropout = Dropout(rate)
        self.linear2 = Linear(self.dim_feedforward, self.d_model, **own)
        for i in range(1, self._norms + 1):
            setattr(self, f"norm{i}", LayerNorm(self.d_model, self.layer_norm_eps, **own))
        for i in range(1, self._norms + 1):
            setattr(self, f"dropout{i}", Dropout(rate))

    def _batches(self, x: Tensor, name: str) -> Tensor:
        """Return the input as (N, T, E)."""
        if x.ndim not in (2, 3) or x.shape[-1] != self.d_model:
            axes = "N, T" if self.batch_first else "T, N"
            raise ValueError(f"{type(self).__name__}: {name} has shape {x.shape}, wanted ({axes}, {self.d_model}), or no axis N")
        return x.reshape(1, *x.shape) if x.ndim == 2 else x if self.batch_first else transpose(x, 1, 0, 2)

    def _returned(self, y: Tensor, like: Tensor) -> Tensor:
        """Return the output with the axes of the input."""
        return y.reshape(like.shape) if like.ndim == 2 else y if self.batch_first else transpose(y, 1, 0, 2)

    def _attended(self, x: Tensor, layer: Module, memory: Tensor | None, mask: Any, padding: Any, is_causal: bool) -> Tensor:
        """Return attention among x, or from x to a memory."""
        other = x if memory is None else memory
        padding = _rows(padding)
        return layer(x, other, other, padding, False, mask, is_causal=bool(is_causal))[0]  # type: ignore[no-any-return]

    def _added(self, x: Tensor, number: int, f: Callable[[Tensor], Tensor]) -> Tensor:
        """Return x plus f(x), normalized before or after, by the layers with this number."""
        norm, drop = self._modules[f"norm{number}"], self._modules[f"dropout{number}"]
        if self.norm_first:
            return x + drop(f(norm(x)))  # type: ignore[no-any-return]
        return norm(x + drop(f(x)))  # type: ignore[no-any-return]

    def _net(self, x: Tensor) -> Tensor:
        return self.linear2(self.dropout(self.linear1(x)))

    def get_config(self) -> dict[str, Any]:
        names = ("d_model", "nhead", "dim_feedforward", "layer_norm_eps", "batch_first", "norm_first", "bias")
        config = {name: getattr(self, name) for name in names}
        act = activations.config(self.activation)
        return {**config, "dropout": self.dropout.rate, "activation": act, "dtype": self.dtype.name}

    def extra_repr(self) -> str:
        return f"{self.d_model}, {self.nhead}"


def _rows(padding: Any) -> Any:
    """Return a padding mask as (N, S)."""
    return padding if padding is None or np.ndim(padding) == 2 else Tensor(padding).reshape(1, -1)


class TransformerEncoderLayer(TransformerLayer):
    """Layer of an encoder: self-attention, then a feed-forward net, each added to its input and normalized.

    Source: Vaswani et al., arXiv 1706.03762.

    Args:
        d_model: E, the size of the vectors.
        nhead: number of heads.
        dim_feedforward: size of the hidden layer of the net.
        dropout: fraction that is dropped of the attention weights, of the hidden layer, and of what is added.
        activation: of the hidden layer: "relu", "gelu" or another one, or a function.
        layer_norm_eps: it is added to the variance.
        batch_first: whether the axes are (N, T, E) rather than (T, N, E).
        norm_first: whether normalization comes before attention and the net, or after the sums.
        bias: whether linear layers and normalizations have biases.
        device: accepted for compatibility with PyTorch; "cpu" if the backend computes there.
        dtype: "float32" or "float64".

    Shapes: src (T, N, E), with batch_first (N, T, E), or (T, E); y the same.

    >>> import fastnn
    >>> layer = fastnn.nn.TransformerEncoderLayer(8, 2, batch_first=True)
    >>> layer(fastnn.zeros(3, 5, 8)).shape
    (3, 5, 8)
    """

    def forward(self, src: Tensor, src_mask: Any = None, src_key_padding_mask: Any = None, is_causal: bool = False) -> Tensor:
        """Compute the layer.

        Args:
            src: as in the class.
            src_mask: (T, T) or (N nhead, T, T), True where a token may not attend to another; or floats that are added.
            src_key_padding_mask: (N, T), True for tokens that count for nothing; or floats that are added.
            is_causal: whether src_mask is the causal mask, which is then not read, and may be omitted.
        """
        x = self._batches(src, "src")
        x = self._added(x, 1, lambda x: self._attended(x, self.self_attn, None, src_mask, src_key_padding_mask, is_causal))
        return self._returned(self._added(x, 2, self._net), src)


class TransformerDecoderLayer(TransformerLayer):
    """Layer of a decoder: self-attention, attention to the encoder's output, then a feed-forward net.

    Source: Vaswani et al., arXiv 1706.03762. The arguments are those of `TransformerEncoderLayer`.

    Shapes: tgt (T, N, E), memory (S, N, E), with batch_first (N, T, E) and (N, S, E); y like tgt.

    >>> import fastnn
    >>> layer = fastnn.nn.TransformerDecoderLayer(8, 2, batch_first=True)
    >>> layer(fastnn.zeros(3, 5, 8), fastnn.zeros(3, 4, 8)).shape
    (3, 5, 8)
    """

    _norms = 3
    input_spec = (_FLOATS, _FLOATS)

    def forward(
        self,
        tgt: Tensor,
        memory: Tensor,
        tgt_mask: Any = None,
        memory_mask: Any = None,
        tgt_key_padding_mask: Any = None,
        memory_key_padding_mask: Any = None,
        tgt_is_causal: bool = False,
        memory_is_causal: bool = False,
    ) -> Tensor:
        """Compute the layer.

        Args:
            tgt, memory: as in the class.
            tgt_mask, memory_mask: (T, T) and (T, S), True where a token may not attend to another; or floats that are added.
            tgt_key_padding_mask, memory_key_padding_mask: (N, T) and (N, S), True for tokens that count for nothing.
            tgt_is_causal, memory_is_causal: whether these masks are causal; they are then not read, and may be omitted.
        """
        x, other = self._batches(tgt, "tgt"), self._batches(memory, "memory")
        cross = self.multihead_attn
        x = self._added(x, 1, lambda x: self._attended(x, self.self_attn, None, tgt_mask, tgt_key_padding_mask, tgt_is_causal))
        x = self._added(x, 2, lambda x: self._attended(x, cross, other, memory_mask, memory_key_padding_mask, memory_is_causal))
        return self._returned(self._added(x, 3, self._net), tgt)
