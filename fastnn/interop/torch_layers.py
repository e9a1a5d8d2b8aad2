"""Layers of PyTorch as layers of fastnn, which have the same names, arguments and names of weights."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection
from typing import Any

import numpy as np

from .. import nn
from ..nn.module import Module

OP = "from_torch"


def _attention(m: Any) -> dict[str, Any]:
    return {
        "bias": m.in_proj_bias is not None,
        "add_bias_kv": m.bias_k is not None,
        **_attributes(nn.MultiheadAttention, m, ("bias", "add_bias_kv")),
    }


def _transformer_layer(m: Any) -> dict[str, Any]:
    return {
        "d_model": m.self_attn.embed_dim,
        "nhead": m.self_attn.num_heads,
        "dim_feedforward": m.linear1.out_features,
        "dropout": m.dropout.p,
        "activation": _activation(m.activation),
        "layer_norm_eps": m.norm1.eps,
        "batch_first": m.self_attn.batch_first,
        "norm_first": m.norm_first,
        "bias": m.linear1.bias is not None,
    }


def _transformer_stack(m: Any) -> dict[str, Any]:
    own = layer(m.layers[0], "layers.0")
    part = "encoder_layer" if hasattr(own, "activation") and type(own).__name__ == "TransformerEncoderLayer" else "decoder_layer"
    return {part: own, "num_layers": m.num_layers, "norm": None if m.norm is None else layer(m.norm, "norm")}


def _transformer(m: Any) -> dict[str, Any]:
    return {
        "d_model": m.d_model,
        "nhead": m.nhead,
        "custom_encoder": layer(m.encoder, "encoder"),
        "custom_decoder": layer(m.decoder, "decoder"),
        "batch_first": m.batch_first,
    }


def _affine(m: Any) -> dict[str, Any]:
    """Return the arguments of a normalization, whose bias PyTorch does not store as an attribute."""
    own: Any = getattr(nn, type(m).__name__)
    return {"bias": m.weight is None or m.bias is not None, **_attributes(own, m, ("bias",))}


def _softmax(m: Any) -> dict[str, Any]:
    if m.dim is None:
        raise ValueError("its dim is None, for which PyTorch chooses an axis by the number of axes; give the module a dim")
    return {"axis": m.dim}


_ARGUMENTS: dict[str, Callable[[Any], dict[str, Any]]] = {
    **dict.fromkeys(("Softmax", "LogSoftmax", "Softmin"), _softmax),
    "GLU": lambda m: {"axis": m.dim},
    **dict.fromkeys(("Dropout", "Dropout1d", "Dropout2d", "Dropout3d", "AlphaDropout"), lambda m: {"rate": m.p}),
    **dict.fromkeys(("BatchNorm1d", "BatchNorm2d", "BatchNorm3d", "GroupNorm", "LayerNorm"), _affine),
    **dict.fromkeys(("InstanceNorm1d", "InstanceNorm2d", "InstanceNorm3d"), _affine),
    "PReLU": lambda m: {"num_parameters": m.num_parameters},
    "MultiheadAttention": _attention,
    **dict.fromkeys(("TransformerEncoderLayer", "TransformerDecoderLayer"), _transformer_layer),
    **dict.fromkeys(("TransformerEncoder", "TransformerDecoder"), _transformer_stack),
    "Transformer": _transformer,
}
"""Arguments of layers whose attributes in PyTorch differ from the arguments of the constructor."""
_NEVER = {"self", "device", "dtype", "inplace", "name", "seed", "_weight", "_freeze", "init", "min_value", "max_value", "args"}
"""Arguments that no attribute determines: they do not change the outputs, or belong to the initial weights."""


def known(module: Any) -> bool:
    """Return whether the class of a module of PyTorch is a layer of fastnn, too; subclasses may compute something else."""
    cls = type(module)
    own = getattr(nn, cls.__name__, None) if cls.__name__ in nn.__all__ else None
    return (
        cls.__module__.startswith("torch.nn.modules.")
        and isinstance(own, type)
        and issubclass(own, Module)
        and cls.__name__ not in ("Module", "Sequential", "ModuleList", "ModuleDict")
    )


def _attributes(cls: Any, module: Any, without: Collection[str] = ()) -> dict[str, Any]:
    """Return the arguments of a class of fastnn from the attributes of a module of PyTorch with the same names."""
    found = {}
    for name, argument in inspect.signature(cls.__init__).parameters.items():
        if name in _NEVER or name in without:
            continue
        if name == "bias" and getattr(module, name, None) is not True and getattr(module, name, None) is not False:
            found[name] = module.bias is not None
        elif hasattr(module, name):
            found[name] = getattr(module, name)
        elif argument.default is argument.empty:
            raise ValueError(f"PyTorch's module has no attribute {name!r}")
    return found


def _activation(function: Any) -> str:
    """Return the name of the activation of a Transformer layer, a function or a module of PyTorch."""
    name = getattr(function, "__name__", type(function).__name__).lower()
    if name not in ("relu", "gelu"):
        raise ValueError(f"its activation is {name}, wanted relu or gelu")
    if name == "gelu" and getattr(function, "approximate", "none") != "none":
        return "gelu_tanh"
    return name


def layer(module: Any, where: str) -> Module:
    """Make the layer of fastnn for a module of PyTorch, without its weights.

    Args:
        module: a module for which `known` is true.
        where: its name in the model, for messages.

    Raises:
        ValueError: fastnn's layer does not have the arguments of the module.
    """
    name = type(module).__name__
    cls: Any = getattr(nn, name)
    try:
        own: Module = cls(**(_ARGUMENTS[name](module) if name in _ARGUMENTS else _attributes(cls, module)))
    except (TypeError, ValueError, AttributeError) as error:
        raise ValueError(f"{OP}: {where or 'the module'} is a {name} that fastnn does not have: {error}") from None
    return own


def put_weights(model: Module, module: Any) -> None:
    """Copy the weights and buffers of a module of PyTorch into a model, with the dtype, the modes, and what is frozen."""
    arrays = {name: array(t) for name, t in module.state_dict(keep_vars=True).items()}
    if {a.dtype for a in arrays.values() if a.dtype.kind == "f"} == {np.dtype("float64")}:
        model.set_dtype("float64")
    _tie(model, module)
    own = model.state_dict()  # without layers that the forward does not use, and with constants of the forward
    model.load_state_dict({name: arrays.get(name, value) for name, value in own.items()})
    for name, p in module.named_parameters():
        if not p.requires_grad:
            frozen = dict(model.named_parameters()).get(name)
            if frozen is not None:
                frozen.requires_grad = False
    model.train(module.training)


def _tie(model: Module, module: Any) -> None:
    """Let parameters be the same ones where they are in the module of PyTorch."""
    first: dict[int, str] = {}
    modules = dict(model.named_modules())
    for name, p in module.named_parameters(remove_duplicate=False):
        other = first.setdefault(id(p), name)
        (of, _, own), (to, _, attribute) = other.rpartition("."), name.rpartition(".")
        if other != name and of in modules and to in modules and modules[of] is not modules[to]:
            setattr(modules[to], attribute, getattr(modules[of], own))


def array(tensor: Any) -> np.ndarray[Any, Any]:
    """Return the values of a tensor of PyTorch; bfloat16 and float16 become float32."""
    t = tensor.detach().cpu()
    return np.asarray((t.float() if str(t.dtype) in ("torch.bfloat16", "torch.float16") else t).numpy())
