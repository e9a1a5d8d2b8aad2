"""Stacks of Transformer layers with PyTorch's names, and the Transformer of two stacks."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np

from ... import activations, initializers
from ...autograd.tensor import Tensor, no_grad
from ...backends import current
from ...core.device import check_device
from ...core.seeding import generator
from ...ops.checks import check_number, flag, positive_int
from ..containing import Containing
from ..graph.container import ModuleList
from ..module import Module
from ..parameter import filling
from ..spec import InputSpec
from .random import Drawing
from .torch_normalization import LayerNorm
from .torch_transformer import TransformerDecoderLayer, TransformerEncoderLayer
from .weighted import named

_FLOATS = InputSpec("float")


class _Stack(Containing):
    """Base of stacks of equal layers, with a normalization after the last one."""

    _saved_as = ""
    _layer = ""
    norm: Module | None

    def _fill(self, layer: Module, count: int, norm: Module | None) -> None:
        n = positive_int(count, f"{type(self).__name__}: num_layers")
        self.name = type(self).__name__.lower()
        self.layers = ModuleList(copied(layer) for _ in range(n))
        self.num_layers = n
        self.norm = norm

    def config_by(self, write: Callable[[Module], dict[str, Any]]) -> dict[str, Any]:
        """Return the config, with those of the layers as write gives them."""
        norm = None if self.norm is None else write(self.norm)
        return {"layers": [write(layer) for layer in self.layers], "norm": norm}

    @classmethod
    def from_config(cls, config: dict[str, Any], make: Callable[[Any], Any] | None = None) -> Any:
        """Make the stack from the result of get_config; make builds a layer from its config."""
        from ...files.layers import Reader, check_keys

        check_keys(config, cls.__name__, layers=list, norm=[dict])
        made = make or Reader().layer
        layers = [made(layer) for layer in config["layers"]]
        norm = None if config.get("norm") is None else made(config["norm"])
        make_stack: Any = cls
        stack = make_stack(layers[0], 1, norm)
        stack.layers, stack.num_layers = ModuleList(layers), len(layers)
        return stack


def copied(layer: Module) -> Module:
    """Return a copy of a layer with the same weights; its dropout has random numbers of its own."""
    same = copy.deepcopy(layer)
    for m in same.modules():
        if isinstance(m, Drawing) and m.seed is None:
            m.seed = None
    return same


class TransformerEncoder(_Stack):
    """Stack of encoder layers. They begin with the weights of the layer that is given, as in PyTorch.

    Args:
        encoder_layer: a `TransformerEncoderLayer`, which is copied.
        num_layers: the number of copies.
        norm: a normalization after the last layer, or None.
        enable_nested_tensor, mask_check: accepted for compatibility with PyTorch; have no effect.

    >>> import fastnn.nn as nn, fastnn
    >>> model = nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, batch_first=True), 2)
    >>> model(fastnn.zeros(3, 5, 8)).shape
    (3, 5, 8)
    """

    def __init__(
        self,
        encoder_layer: Any,
        num_layers: int,
        norm: Any = None,
        enable_nested_tensor: bool = True,
        mask_check: bool = True,
    ) -> None:
        super().__init__()
        self._fill(encoder_layer, num_layers, norm)

    def forward(self, src: Tensor, mask: Any = None, src_key_padding_mask: Any = None, is_causal: bool | None = None) -> Tensor:
        """Compute the layers one after the other; the arguments are those of `TransformerEncoderLayer`."""
        for layer in self.layers:
            src = layer(src, mask, src_key_padding_mask, bool(is_causal))
        return src if self.norm is None else self.norm(src)


class TransformerDecoder(_Stack):
    """Stack of decoder layers. They begin with the weights of the layer that is given, as in PyTorch.

    Args:
        decoder_layer: a `TransformerDecoderLayer`, which is copied.
        num_layers: the number of copies.
        norm: a normalization after the last layer, or None.

    >>> import fastnn.nn as nn, fastnn
    >>> model = nn.TransformerDecoder(nn.TransformerDecoderLayer(8, 2, batch_first=True), 2)
    >>> model(fastnn.zeros(3, 5, 8), fastnn.zeros(3, 4, 8)).shape
    (3, 5, 8)
    """

    input_spec = (_FLOATS, _FLOATS)

    def __init__(self, decoder_layer: Any, num_layers: int, norm: Any = None) -> None:
        super().__init__()
        self._fill(decoder_layer, num_layers, norm)

    def forward(
        self,
        tgt: Tensor,
        memory: Tensor,
        tgt_mask: Any = None,
        memory_mask: Any = None,
        tgt_key_padding_mask: Any = None,
        memory_key_padding_mask: Any = None,
        tgt_is_causal: bool | None = None,
        memory_is_causal: bool = False,
    ) -> Tensor:
        """Compute the layers one after the other; the arguments are those of `TransformerDecoderLayer`."""
        masks = (tgt_mask, memory_mask, tgt_key_padding_mask, memory_key_padding_mask)
        for layer in self.layers:
            tgt = layer(tgt, memory, *masks, bool(tgt_is_causal), memory_is_causal)
        return tgt if self.norm is None else self.norm(tgt)


class Transformer(Containing):
    """Encoder and decoder, which turn one sequence of vectors into another.

    Source: Vaswani et al., arXiv 1706.03762.

    Args:
        d_model: E, the size of the vectors.
        nhead: number of heads.
        num_encoder_layers, num_decoder_layers: numbers of layers.
        dim_feedforward, dropout, activation: as in `TransformerEncoderLayer`.
        custom_encoder, custom_decoder: modules instead of the encoder and the decoder.
        layer_norm_eps, batch_first, norm_first, bias, device, dtype: as in `TransformerEncoderLayer`.

    Shapes: src (S, N, E), tgt (T, N, E), with batch_first (N, S, E) and (N, T, E); y like tgt.

    >>> import fastnn
    >>> model = fastnn.nn.Transformer(8, 2, 1, 1, 16, batch_first=True)
    >>> model(fastnn.zeros(3, 4, 8), fastnn.zeros(3, 5, 8)).shape
    (3, 5, 8)
    """

    input_spec = (_FLOATS, _FLOATS)
    _checked_arguments: ClassVar = {
        **dict.fromkeys(("d_model", "nhead", "num_encoder_layers", "num_decoder_layers", "dim_feedforward"), positive_int),
        **dict.fromkeys(("batch_first", "norm_first", "bias"), flag),
        "activation": named(activations.get),
        "layer_norm_eps": lambda value, name: check_number(value, name, 0.0),
    }
    _fixed_arguments = (*_checked_arguments, "dropout")

    def __init__(
        self,
        d_model: int = 512,
        nhead: int = 8,
        num_encoder_layers: int = 6,
        num_decoder_layers: int = 6,
        dim_feedforward: int = 2048,
        dropout: float = 0.1,
        activation: Any = "relu",
        custom_encoder: Any = None,
        custom_decoder: Any = None,
        layer_norm_eps: float = 1e-5,
        batch_first: bool = False,
        norm_first: bool = False,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        check_device(device, "Transformer")
        self.name = "transformer"
        self.d_model, self.nhead, self.dim_feedforward, self.dropout = d_model, nhead, dim_feedforward, dropout
        self.num_encoder_layers, self.num_decoder_layers = num_encoder_layers, num_decoder_layers
        self.activation, self.layer_norm_eps, self.batch_first = activation, layer_norm_eps, batch_first
        self.norm_first, self.bias = norm_first, bias
        own: Any = {"dropout": dropout, "activation": self.activation, "layer_norm_eps": layer_norm_eps, "dtype": dtype}
        own |= {"batch_first": batch_first, "norm_first": norm_first, "bias": bias}

        def norm() -> LayerNorm:
            return LayerNorm(d_model, layer_norm_eps, bias=bias, dtype=dtype)

        if custom_encoder is None:
            layer: Module = TransformerEncoderLayer(d_model, nhead, dim_feedforward, **own)
            self.encoder: Module = TransformerEncoder(layer, num_encoder_layers, norm())
        else:
            self.encoder = custom_encoder
        if custom_decoder is None:
            layer = TransformerDecoderLayer(d_model, nhead, dim_feedforward, **own)
            self.decoder: Module = TransformerDecoder(layer, num_decoder_layers, norm())
        else:
            self.decoder = custom_decoder
        self._own = custom_encoder is None, custom_decoder is None
        if filling.get() is None:
            self._reset()

    @property
    def custom_encoder(self) -> Module | None:
        """Return the encoder that was given, if one was."""
        return None if self._own[0] else self.encoder

    @property
    def custom_decoder(self) -> Module | None:
        """Return the decoder that was given, if one was."""
        return None if self._own[1] else self.decoder

    @no_grad()
    def _reset(self) -> None:
        """Give all weights PyTorch's initial values, each layer its own."""
        glorot, rng = initializers.GlorotUniform(), generator()
        for p in self.parameters():
            if p.ndim > 1:
                p.copy_(glorot(p.shape, p.dtype, rng))

    @staticmethod
    def generate_square_subsequent_mask(sz: int, device: Any = None, dtype: Any = None) -> Tensor:
        """Return the causal mask (sz, sz): 0 where a token may attend to another, minus infinity for later tokens.

        >>> import fastnn
        >>> fastnn.nn.Transformer.generate_square_subsequent_mask(2).tolist()
        [[0.0, -inf], [0.0, 0.0]]
        """
        check_device(device, "generate_square_subsequent_mask")
        values = np.triu(np.full((sz, sz), -np.inf, dtype or np.float32), 1)
        return Tensor(current().asarray(values))

    def forward(
        self,
        src: Tensor,
        tgt: Tensor,
        src_mask: Any = None,
        tgt_mask: Any = None,
        memory_mask: Any = None,
        src_key_padding_mask: Any = None,
        tgt_key_padding_mask: Any = None,
        memory_key_padding_mask: Any = None,
        src_is_causal: bool | None = None,
        tgt_is_causal: bool | None = None,
        memory_is_causal: bool = False,
    ) -> Tensor:
        """Read src, then compute the output for tgt; the masks are those of encoder and decoder layers."""
        memory = self.encoder(src, mask=src_mask, src_key_padding_mask=src_key_padding_mask, is_causal=src_is_causal)
        return self.decoder(  # type: ignore[no-any-return]
            tgt,
            memory,
            tgt_mask=tgt_mask,
            memory_mask=memory_mask,
            tgt_key_padding_mask=tgt_key_padding_mask,
            memory_key_padding_mask=memory_key_padding_mask,
            tgt_is_causal=tgt_is_causal,
            memory_is_causal=memory_is_causal,
        )

    def config_by(self, write: Callable[[Module], dict[str, Any]]) -> dict[str, Any]:
        """Return the config, with those of an own encoder or decoder as write gives them."""
        names = ("d_model", "nhead", "num_encoder_layers", "num_decoder_layers", "dim_feedforward", "dropout")
        config = {name: getattr(self, name) for name in (*names, "layer_norm_eps", "batch_first", "norm_first", "bias")}
        custom = {"custom_encoder": self.custom_encoder, "custom_decoder": self.custom_decoder}
        written = {name: None if part is None else write(part) for name, part in custom.items()}
        return {**config, "activation": activations.config(self.activation), **written, "dtype": self.dtype.name}

    @classmethod
    def from_config(cls, config: dict[str, Any], make: Callable[[Any], Any] | None = None) -> Transformer:
        """Make the model from the result of get_config; make builds a layer from its config."""
        from ...files.layers import Reader

        built = make or Reader().layer
        custom = {
            name: None if config.get(name) is None else built(config[name]) for name in ("custom_encoder", "custom_decoder")
        }
        return cls(**{**config, **custom})
