"""Read weights of published language models, by the names in their safetensors files: those of GPT-2 and those of Llama."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ..backends import current
from ..files.tensors import load, parsed
from .attention import SCALINGS, scaling

Array = np.ndarray[Any, Any]
Weights = dict[str, Array]
Config = Mapping[str, Any]

OP = "from_safetensors"
_GPT2_ACTIVATIONS = {"gelu_new": "gelu_tanh", "gelu_pytorch_tanh": "gelu_tanh", "gelu": "gelu", "relu": "relu", "silu": "silu"}
_LLAMA_ACTIVATIONS = {"silu": "swiglu", "gelu": "geglu", "gelu_new": "geglu_tanh", "gelu_pytorch_tanh": "geglu_tanh"}


def read(source: Any) -> tuple[Weights, Config]:
    """Return the weights of a file, of all files in a folder, or of a state_dict, and the config.json beside them, if any.

    Raises:
        FileNotFoundError: the file or folder does not exist, or the folder has no safetensors files.
        ValueError: a file is damaged.
    """
    if isinstance(source, Mapping):
        values = {str(name): getattr(value, "data", value) if hasattr(value, "node") else value for name, value in source.items()}
        return {name: _host(value) for name, value in values.items()}, {}
    place = Path(os.fspath(source))
    files = sorted(place.glob("*.safetensors")) if place.is_dir() else [place]
    if not files:
        raise FileNotFoundError(f"{OP}: the folder {place} has no files that end in .safetensors")
    weights: Weights = {}
    for file in files:
        weights |= load(file, OP)[0]
    settings = (place if place.is_dir() else place.parent) / "config.json"
    if not settings.is_file():
        return weights, {}
    config = parsed(settings.read_bytes(), str(settings))
    if not isinstance(config, dict):
        raise ValueError(f"{OP}: {settings} has a {type(config).__name__}, wanted an object")
    return weights, config


def _host(value: Any) -> Array:
    """Return a value of a state_dict as a host array; PyTorch's Tensors of bfloat16 have no array."""
    if hasattr(value, "detach") and hasattr(value, "cpu"):
        value = value.detach().cpu()
        value = value.float() if str(value.dtype) == "torch.bfloat16" else value
    return current().to_numpy(value) if hasattr(value, "get") else np.asarray(value)


def described(source: Any, given: Mapping[str, Any]) -> tuple[dict[str, Any], Weights]:
    """Return the arguments of the model of these weights, and its state_dict.

    given: arguments that replace those of the config and of the shapes; None where there is none.
    """
    weights, config = read(source)
    for prefix in ("transformer.", "model."):
        weights = {name.removeprefix(prefix): a for name, a in weights.items()}
    names = _Names(weights, config, {name: value for name, value in given.items() if value is not None})
    if "wte.weight" in weights:
        return _gpt2(names)
    if "embed_tokens.weight" in weights:
        return _llama(names)
    some = ", ".join(list(weights)[:3])
    raise ValueError(
        f"{OP}: the weights are called {some}, ..., wanted the names of GPT-2 (wte.weight) or Llama (embed_tokens.weight)"
    )


class _Names:
    """Weights by their names, each of which is taken once, and settings."""

    def __init__(self, weights: Weights, config: Config, given: Config) -> None:
        self.weights, self.config, self.given = weights, config, given
        self.taken: set[str] = set()

    def take(self, name: str) -> Array:
        """Return a weight, and count it as taken."""
        if name not in self.weights:
            raise ValueError(f"{OP}: there is no {name}")
        self.taken.add(name)
        return self.weights[name]

    def bias(self, name: str, like: Array) -> Array:
        """Return a bias, or zeros for the columns of a kernel if there is none."""
        return self.take(name) if name in self.weights else np.zeros(like.shape[1], like.dtype)

    def setting(self, argument: str, *keys: str, default: Any = None) -> Any:
        """Return an argument that was given, or else the first of these settings that the config has."""
        if argument in self.given:
            return self.given[argument]
        return next((self.config[key] for key in keys if self.config.get(key) is not None), default)

    def needed(self, argument: str, *keys: str) -> Any:
        """Return an argument that neither shapes nor defaults tell."""
        value = self.setting(argument, *keys)
        if value is None:
            raise ValueError(
                f"{OP}: the shapes do not tell {argument}, and there is no config.json with {keys[0]}; give {argument}=..."
            )
        return value

    def layers(self, prefix: str) -> int:
        """Return the number of blocks, whose names are prefix.0., prefix.1., and so on."""
        found = {
            int(name.split(".")[1]) for name in self.weights if name.startswith(f"{prefix}.") and name.split(".")[1].isdigit()
        }
        if found != set(range(len(found))) or not found:
            raise ValueError(f"{OP}: there are blocks {sorted(found)}, wanted all from 0 on")
        return len(found)

    def finish(self, constants: Callable[[str], bool]) -> None:
        """Raise ValueError if there are weights that were not taken; those that `constants` knows are no weights."""
        if others := [name for name in self.weights if name not in self.taken and not constants(name)]:
            raise ValueError(f"{OP}: fastnn's GPT has no weights for {', '.join(others[:5])}{', ...' * (len(others) > 5)}")

    def activation(self, known: Mapping[str, str], default: str, *keys: str) -> str:
        """Return the feed-forward net of an activation's name."""
        name = self.setting("feed_forward", *keys, default=default)
        if name in known.values():
            return str(name)
        if name not in known:
            raise ValueError(f"{OP}: the config has the activation {name!r}, wanted one of {', '.join(known)}")
        return known[name]


def _gpt2(names: _Names) -> tuple[dict[str, Any], Weights]:
    """Return arguments and state of GPT-2, whose kernels are stored (in, out)."""
    table, places = names.take("wte.weight"), names.take("wpe.weight")
    layers = names.layers("h")
    state = {"tokens.table.embeddings": table, "tokens.places.embeddings": places[: names.given.get("context")]}
    for i in range(layers):
        of, to = f"h.{i}.", f"blocks.{i}."
        for own, theirs in (("norm1", "ln_1"), ("norm2", "ln_2")):
            state |= _norm(names, f"{of}{theirs}", f"{to}{own}")
        for own, theirs in (
            *(("attention.qkv", "attn.c_attn"), ("attention.out", "attn.c_proj")),
            *(("feed_forward.up", "mlp.c_fc"), ("feed_forward.down", "mlp.c_proj")),
        ):
            kernel = names.take(f"{of}{theirs}.weight")
            state |= {f"{to}{own}.kernel": kernel, f"{to}{own}.bias": names.bias(f"{of}{theirs}.bias", kernel)}
    state |= _norm(names, "ln_f", "last_norm")
    arguments = {
        "vocabulary": table.shape[0],
        "context": len(state["tokens.places.embeddings"]),
        "width": table.shape[1],
        "layers": layers,
        "heads": names.needed("heads", "n_head"),
        "hidden": state["blocks.0.feed_forward.up.kernel"].shape[1],
        "feed_forward": names.activation(_GPT2_ACTIVATIONS, "gelu_new", "activation_function"),
        "epsilon": names.setting("epsilon", "layer_norm_epsilon", default=1e-5),
        **_head(names, table, state),
    }
    names.finish(lambda name: name.endswith((".attn.bias", ".attn.masked_bias")))
    return arguments, state


def _llama(names: _Names) -> tuple[dict[str, Any], Weights]:
    """Return arguments and state of Llama and its relatives, whose weights are stored (out, in)."""
    rope = names.config.get("rope_parameters") or names.config.get("rope_scaling") or {}
    kind = rope.get("rope_type", rope.get("type", "default"))
    if kind not in ("default", *SCALINGS):
        raise ValueError(f"{OP}: the config has rotary positions with the scaling {kind!r}, which fastnn's GPT does not have")
    table = names.take("embed_tokens.weight")
    layers = names.layers("layers")
    state = {"tokens.table.embeddings": table}
    biases = any(name.endswith("proj.bias") for name in names.weights)
    for i in range(layers):
        of, to = f"layers.{i}.", f"blocks.{i}."
        state |= _norm(names, f"{of}input_layernorm", f"{to}norm1") | _norm(names, f"{of}post_attention_layernorm", f"{to}norm2")
        for own, parts in (
            ("attention.qkv", [f"self_attn.{part}_proj" for part in "qkv"]),
            ("attention.out", ["self_attn.o_proj"]),
            ("feed_forward.up", ["mlp.up_proj", "mlp.gate_proj"]),
            ("feed_forward.down", ["mlp.down_proj"]),
        ):
            kernels = [names.take(f"{of}{part}.weight").T for part in parts]
            state[f"{to}{own}.kernel"] = np.concatenate(kernels, 1)
            if biases:
                pairs = zip(parts, kernels, strict=True)
                state[f"{to}{own}.bias"] = np.concatenate([names.bias(f"{of}{part}.bias", kernel) for part, kernel in pairs])
    state |= _norm(names, "norm", "last_norm")
    heads = names.needed("heads", "num_attention_heads")
    queries, keys = (names.weights[f"layers.0.self_attn.{part}_proj.weight"].shape[0] for part in "qk")
    if queries % heads:
        raise ValueError(f"{OP}: {queries} columns of queries cannot be divided into {heads} heads")
    window = names.setting("window", "sliding_window")
    arguments = {
        "vocabulary": table.shape[0],
        "context": names.needed("context", "max_position_embeddings"),
        "width": table.shape[1],
        "layers": layers,
        "heads": heads,
        "kv_heads": keys // (queries // heads),
        "head_size": queries // heads,
        "hidden": state["blocks.0.feed_forward.down.kernel"].shape[0],
        "positions": "rotary",
        "norm": "rms",
        "bias": biases,
        "feed_forward": names.activation(_LLAMA_ACTIVATIONS, "silu", "hidden_act", "hidden_activation"),
        "window": window if "window" in names.given or names.config.get("use_sliding_window", True) else None,
        "epsilon": names.setting("epsilon", "rms_norm_eps", default=1e-6),
        "rotary_base": names.setting("rotary_base", "rope_theta", default=rope.get("rope_theta", 10000.0)),
        "rotary_scaling": None if kind == "default" else scaling(rope, f"{OP}: rope_scaling"),
        **_head(names, table, state),
    }
    names.finish(lambda name: name.endswith("rotary_emb.inv_freq"))
    return arguments, state


def _norm(names: _Names, theirs: str, own: str) -> Weights:
    """Return the scale and, if there is one, the shift of a normalization."""
    found = {f"{own}.gamma": names.take(f"{theirs}.weight")}
    if f"{theirs}.bias" in names.weights:
        found[f"{own}.beta"] = names.take(f"{theirs}.bias")
    return found


def _head(names: _Names, table: Array, state: Weights) -> dict[str, Any]:
    """Put a head that is not the table of tokens into the state; return whether it is, and the dtype."""
    tied = "lm_head.weight" not in names.weights or np.array_equal(names.take("lm_head.weight"), table)
    if not tied:
        state["head.kernel"] = names.take("lm_head.weight").T
    return {"tied": tied, "dtype": names.setting("dtype")}
