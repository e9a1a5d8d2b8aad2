"""Weights of published models in GPT: GPT-2's and Llama's, beside their definitions in NumPy."""

import json
from pathlib import Path

import numpy as np
import pytest

import fastnn
from fastnn.files import tensors
from fastnn.models import GPT
from fastnn.models.attention import frequencies, scaling

IDS = np.random.default_rng(0).integers(0, 11, (3, 8))


def gpt2_weights(prefix: str = "", layers: int = 2) -> dict[str, np.ndarray]:
    shapes: dict[str, tuple[int, ...]] = {"wte.weight": (11, 8), "wpe.weight": (8, 8), "ln_f.weight": (8,), "ln_f.bias": (8,)}
    for i in range(layers):
        for name, n, m in (("attn.c_attn", 8, 24), ("attn.c_proj", 8, 8), ("mlp.c_fc", 8, 32), ("mlp.c_proj", 32, 8)):
            shapes |= {f"h.{i}.{name}.weight": (n, m), f"h.{i}.{name}.bias": (m,)}
        shapes |= {f"h.{i}.{name}": (8,) for name in ("ln_1.weight", "ln_1.bias", "ln_2.weight", "ln_2.bias")}
        shapes[f"h.{i}.attn.bias"] = (1, 1, 8, 8)  # the causal mask, as old files have it
    draw = np.random.default_rng(5)
    return {prefix + name: draw.standard_normal(shape).astype(np.float32) for name, shape in shapes.items()}


def llama_weights(prefix: str = "model.", head: bool = True) -> dict[str, np.ndarray]:
    shapes: dict[str, tuple[int, ...]] = {f"{prefix}embed_tokens.weight": (11, 8), f"{prefix}norm.weight": (8,)}
    for i in range(2):
        sizes = {"self_attn.q_proj": (8, 8), "self_attn.k_proj": (4, 8), "self_attn.v_proj": (4, 8), "self_attn.o_proj": (8, 8)}
        sizes |= {"mlp.gate_proj": (12, 8), "mlp.up_proj": (12, 8), "mlp.down_proj": (8, 12)}
        shapes |= {f"{prefix}layers.{i}.{name}.weight": shape for name, shape in sizes.items()}
        shapes |= {f"{prefix}layers.{i}.{name}.weight": (8,) for name in ("input_layernorm", "post_attention_layernorm")}
    shapes |= {"lm_head.weight": (11, 8)} if head else {}
    draw = np.random.default_rng(6)
    return {name: draw.standard_normal(shape).astype(np.float32) for name, shape in shapes.items()}


def softmaxed(scores: np.ndarray) -> np.ndarray:
    e = np.exp(scores - scores.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def causal_average(q: np.ndarray, k: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Return causal attention with q, k and v of shape (n, t, heads, size)."""
    scores = np.einsum("nihd,njhd->nhij", q, k) / np.sqrt(q.shape[-1])
    t = q.shape[1]
    return np.einsum("nhij,njhd->nihd", softmaxed(np.where(np.tri(t, dtype=bool), scores, -np.inf)), v)


def gpt2(w: dict[str, np.ndarray], ids: np.ndarray, heads: int) -> np.ndarray:
    w = {name: a.astype(np.float64) for name, a in w.items()}

    def norm(x: np.ndarray, name: str) -> np.ndarray:
        x = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-5)
        return x * w[f"{name}.weight"] + w[f"{name}.bias"]

    def product(x: np.ndarray, name: str) -> np.ndarray:
        return x @ w[f"{name}.weight"] + w[f"{name}.bias"]

    x = w["wte.weight"][ids] + w["wpe.weight"][: ids.shape[1]]
    for i in range(2):
        qkv = product(norm(x, f"h.{i}.ln_1"), f"h.{i}.attn.c_attn")
        q, k, v = (a.reshape(*ids.shape, heads, -1) for a in np.split(qkv, 3, -1))
        x = x + product(causal_average(q, k, v).reshape(x.shape), f"h.{i}.attn.c_proj")
        h = product(norm(x, f"h.{i}.ln_2"), f"h.{i}.mlp.c_fc")
        h = 0.5 * h * (1 + np.tanh(np.sqrt(2 / np.pi) * (h + 0.044715 * h**3)))
        x = x + product(h, f"h.{i}.mlp.c_proj")
    return norm(x, "ln_f") @ w["wte.weight"].T


def llama(w: dict[str, np.ndarray], ids: np.ndarray, heads: int, base: float, epsilon: float) -> np.ndarray:
    w = {name.removeprefix("model."): a.astype(np.float64) for name, a in w.items()}

    def norm(x: np.ndarray, name: str) -> np.ndarray:
        return x / np.sqrt((x * x).mean(-1, keepdims=True) + epsilon) * w[f"{name}.weight"]

    def turned(x: np.ndarray) -> np.ndarray:
        half = x.shape[-1] // 2
        angles = np.arange(x.shape[1])[:, None, None] * base ** (-np.arange(half) / half)
        a, b = x[..., :half], x[..., half:]
        return np.concatenate([a * np.cos(angles) - b * np.sin(angles), b * np.cos(angles) + a * np.sin(angles)], -1)

    x = w["embed_tokens.weight"][ids]
    for i in range(2):
        h = norm(x, f"layers.{i}.input_layernorm")
        q, k, v = (h @ w[f"layers.{i}.self_attn.{part}_proj.weight"].T for part in "qkv")
        q, k, v = (a.reshape(*ids.shape, -1, 8 // heads) for a in (q, k, v))
        q, k = turned(q), turned(k)
        k, v = (np.repeat(a, heads // a.shape[2], 2) for a in (k, v))
        x = x + causal_average(q, k, v).reshape(x.shape) @ w[f"layers.{i}.self_attn.o_proj.weight"].T
        h = norm(x, f"layers.{i}.post_attention_layernorm")
        gate, up = (h @ w[f"layers.{i}.mlp.{part}_proj.weight"].T for part in ("gate", "up"))
        x = x + (gate / (1 + np.exp(-gate)) * up) @ w[f"layers.{i}.mlp.down_proj.weight"].T
    return norm(x, "norm") @ w.get("lm_head.weight", w["embed_tokens.weight"]).T


@pytest.mark.parametrize("prefix", ["", "transformer."])
@pytest.mark.parametrize("head", [False, True])
def test_gpt2(tmp_path: Path, prefix: str, head: bool) -> None:
    weights = gpt2_weights(prefix)
    if head:  # files may also have the head, which is the table of tokens
        weights["lm_head.weight"] = weights[f"{prefix}wte.weight"].copy()
    tensors.save(tmp_path / "model.safetensors", weights, {}, "save")
    model = GPT.from_safetensors(tmp_path / "model.safetensors", heads=2, dtype="float64")
    wanted = gpt2(gpt2_weights(), IDS, 2)
    np.testing.assert_allclose(model(IDS).numpy(), wanted, rtol=1e-8, atol=1e-8)
    single = GPT.from_safetensors(weights, heads=2)
    np.testing.assert_allclose(single(IDS).numpy(), wanted, rtol=1e-3, atol=1e-3)
    assert model.tied and model.feed_forward == "gelu_tanh"


@pytest.mark.parametrize("kind", ["one file", "two files", "no head"])
def test_llama(tmp_path: Path, kind: str) -> None:
    weights = llama_weights(head=kind != "no head")
    config = {
        "num_attention_heads": 4,
        "max_position_embeddings": 64,
        "rope_theta": 500.0,
        "rms_norm_eps": 0.1,
        "hidden_act": "silu",
    }
    (tmp_path / "config.json").write_text(json.dumps(config), encoding="utf-8")
    names = list(weights)
    parts = [names[:7], names[7:]] if kind == "two files" else [names]
    for i, part in enumerate(parts):
        tensors.save(tmp_path / f"model-{i}.safetensors", {name: weights[name] for name in part}, {}, "save")
    model = GPT.from_safetensors(tmp_path, dtype="float64")
    np.testing.assert_allclose(model(IDS).numpy(), llama(weights, IDS, 4, 500.0, 0.1), rtol=1e-8, atol=1e-8)
    assert (model.kv_heads, model.context, model.tied) == (2, 64, kind == "no head")
    assert GPT.from_safetensors(tmp_path, context=16).cache().keys[0].shape == (1, 16, 2, 2)


def test_stretched_rotary_positions(tmp_path: Path) -> None:
    rope = {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0}
    rope["original_max_position_embeddings"] = 100
    found = frequencies(16, 10000.0, scaling(rope, "rope"))
    for i, got in enumerate(found):  # as Llama's own code has it, angle by angle
        speed = 10000.0 ** (-i / 8)
        wave = 2 * np.pi / speed
        if wave < 100 / 4.0:
            wanted = speed
        elif wave > 100 / 1.0:
            wanted = speed / 8.0
        else:
            smooth = (100 / wave - 1.0) / (4.0 - 1.0)
            wanted = (1 - smooth) * speed / 8.0 + smooth * speed
        np.testing.assert_allclose(got, wanted, rtol=1e-12)
    assert len({*np.round(found * 10000.0 ** (np.arange(8) / 8), 6)}) > 2  # all three kinds occur
    tensors.save(tmp_path / "model.safetensors", llama_weights(), {}, "save")
    rope["original_max_position_embeddings"] = 8  # the only wave of heads with two columns, 6.3 tokens, is stretched
    config = {"num_attention_heads": 4, "max_position_embeddings": 64, "rope_scaling": rope}
    (tmp_path / "config.json").write_text(json.dumps(config), encoding="utf-8")
    model = GPT.from_safetensors(tmp_path, dtype="float64").eval()
    assert model.rotary_scaling == rope
    plain = GPT.from_safetensors(llama_weights(), heads=4, context=64, dtype="float64")
    assert abs(model(IDS) - plain(IDS)).max().item() > 1e-3
    cache, wanted = model.cache(3), model(IDS).numpy()
    model.step(IDS[:, :5], cache)
    np.testing.assert_allclose(model.step(IDS[:, 5:], cache).numpy(), wanted[:, -1], atol=1e-10)
    model.save(tmp_path / "own")
    np.testing.assert_array_equal(fastnn.load(tmp_path / "own").eval()(IDS).numpy(), wanted)
    with pytest.raises(ValueError, match=r"rotary_scaling is .*; wanted None, or a dict with the rope_type 'linear' or 'llama3'"):
        GPT(5, 8, 8, 1, 2, positions="rotary", rotary_scaling={"rope_type": "yarn"})


def test_biases_of_some_projections(tmp_path: Path) -> None:
    weights = llama_weights()
    for i in range(2):
        for part in "qkv":
            n = weights[f"model.layers.{i}.self_attn.{part}_proj.weight"].shape[0]
            weights[f"model.layers.{i}.self_attn.{part}_proj.bias"] = np.full(n, 0.5, np.float32)
    model = GPT.from_safetensors(weights, heads=4, context=8)
    state = model.state_dict()
    np.testing.assert_array_equal(state["blocks.1.attention.qkv.bias"], np.full(16, 0.5))
    assert not state["blocks.1.attention.out.bias"].any()


def test_weights_that_gpt_does_not_have(tmp_path: Path) -> None:
    weights = gpt2_weights()
    with pytest.raises(ValueError, match=r"give heads=\.\.\."):
        GPT.from_safetensors(weights)
    with pytest.raises(ValueError, match=r"fastnn's GPT has no weights for h\.0\.attn\.q_norm\.weight"):
        GPT.from_safetensors({**weights, "h.0.attn.q_norm.weight": np.zeros(4)}, heads=2)
    with pytest.raises(ValueError, match=r"there is no h\.1\.mlp\.c_fc\.weight"):
        GPT.from_safetensors({name: a for name, a in weights.items() if name != "h.1.mlp.c_fc.weight"}, heads=2)
    with pytest.raises(ValueError, match=r"blocks\.0\.attention\.qkv\.kernel has shape"):
        GPT.from_safetensors({**weights, "h.0.attn.c_attn.weight": np.zeros((24, 8), np.float32)}, heads=2)
    with pytest.raises(ValueError, match=r"the weights are called a, \.\.\., wanted the names of GPT-2"):
        GPT.from_safetensors({"a": np.zeros(1)})
    with pytest.raises(FileNotFoundError, match=r"no files that end in \.safetensors"):
        GPT.from_safetensors(tmp_path)
    tensors.save(tmp_path / "model.safetensors", llama_weights(), {}, "save")
    config = {"num_attention_heads": 4, "max_position_embeddings": 64, "rope_scaling": {"rope_type": "yarn"}}
    (tmp_path / "config.json").write_text(json.dumps(config), encoding="utf-8")
    with pytest.raises(ValueError, match=r"rotary positions with the scaling 'yarn'"):
        GPT.from_safetensors(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps({**config, "rope_scaling": None, "hidden_act": "wobble"}), encoding="utf-8")
    with pytest.raises(ValueError, match=r"the activation 'wobble', wanted one of silu"):
        GPT.from_safetensors(tmp_path)
