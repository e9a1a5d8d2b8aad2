"""GPT: what it computes, beside PyTorch; cached steps; and the weights of published models."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fastnn
from fastnn.files import tensors
from fastnn.models import GPT
from fastnn.models.attention import alibi_slopes, frequencies, scaling

rng = np.random.default_rng(0)
IDS = rng.integers(0, 11, (3, 8))
KINDS: dict[str, dict[str, Any]] = {
    "gpt2": {"feed_forward": "gelu_tanh"},
    "llama": {"kv_heads": 1, "positions": "rotary", "norm": "rms", "feed_forward": "swiglu", "bias": False, "tied": False},
    "alibi": {"positions": "alibi", "head_size": 3},
    "first": {"positions": "sinusoidal", "norm_first": False, "feed_forward": "relu"},
    "window": {"positions": "none", "window": 3},
}


def make(kind: str, dtype: str = "float64", **more: Any) -> GPT:
    fastnn.seed(1)
    model = GPT(11, 8, 8, 2, 2, dtype=dtype, **KINDS[kind], **more)
    for p in model.parameters():  # also biases and scales differ from their first values
        p.data[...] += 0.3 * np.random.default_rng(p.size).standard_normal(p.shape)
    return model


# ---- what it computes ----


def plain(model: GPT, ids: Any, kind: str) -> Any:
    """The logits, by PyTorch's operations on the arrays of the state_dict."""
    torch = pytest.importorskip("torch")
    functions = torch.nn.functional
    how, state = KINDS[kind], {name: torch.tensor(a, requires_grad=True) for name, a in model.state_dict().items()}
    heads, groups = 2, how.get("kv_heads", 2)
    first, rms = how.get("norm_first", True), how.get("norm") == "rms"

    def norm(x: Any, name: str) -> Any:
        if rms:
            return x / (x.square().mean(-1, keepdim=True) + 1e-5).sqrt() * state[f"{name}.gamma"]
        return functions.layer_norm(x, (8,), state[f"{name}.gamma"], state[f"{name}.beta"], 1e-5)

    def linear(x: Any, name: str) -> Any:
        return x @ state[f"{name}.kernel"] + state.get(f"{name}.bias", torch.zeros(()))

    def turned(x: Any) -> Any:
        half = x.shape[-1] // 2
        angles = torch.arange(x.shape[1])[:, None, None] * 10000.0 ** (-torch.arange(half, dtype=x.dtype) / half)
        a, b = x[..., :half], x[..., half:]
        return torch.cat([a * angles.cos() - b * angles.sin(), b * angles.cos() + a * angles.sin()], -1)

    def attention(x: Any, name: str) -> Any:
        n, t, _ = x.shape
        size = how.get("head_size", 4)
        q, k, v = linear(x, f"{name}.qkv").reshape(n, t, -1, size).split([heads, groups, groups], 2)
        if how.get("positions") == "rotary":
            q, k = turned(q), turned(k)
        k, v = (a.repeat_interleave(heads // groups, 2) for a in (k, v))
        scores = torch.einsum("nihd,njhd->nhij", q, k) / size**0.5
        distance = torch.arange(t)[:, None] - torch.arange(t)
        if how.get("positions") == "alibi":
            scores = scores - torch.tensor(alibi_slopes(heads))[:, None, None] * distance
        allowed = (distance >= 0) & (distance < how.get("window", 100))
        weights = scores.masked_fill(~allowed, -torch.inf).softmax(-1)
        return linear(torch.einsum("nhij,njhd->nihd", weights, v).reshape(n, t, heads * size), f"{name}.out")

    def net(x: Any, name: str) -> Any:
        h = linear(x, f"{name}.up")
        kind = how.get("feed_forward", "gelu")
        if kind == "swiglu":
            a, b = h.chunk(2, -1)
            h = a * functions.silu(b)
        else:
            h = functions.relu(h) if kind == "relu" else functions.gelu(h, approximate="tanh" if "tanh" in kind else "none")
        return linear(h, f"{name}.down")

    x = state["tokens.table.embeddings"][torch.tensor(ids)]
    t = ids.shape[1]
    if how.get("positions", "learned") == "learned":
        x = x + state["tokens.places.embeddings"][:t]
    elif how["positions"] == "sinusoidal":
        angles = torch.arange(t)[:, None] / 10000.0 ** (torch.arange(0, 8, 2, dtype=x.dtype) / 8)
        x = x + torch.stack([angles.sin(), angles.cos()], -1).reshape(t, 8)
    for i in range(2):
        for name, norm_name, f in (("attention", "norm1", attention), ("feed_forward", "norm2", net)):
            of, by = f"blocks.{i}.{name}", f"blocks.{i}.{norm_name}"
            x = x + f(norm(x, by), of) if first else norm(x + f(x, of), by)
    x = norm(x, "last_norm") if first else x
    return x @ (state["head.kernel"] if "head.kernel" in state else state["tokens.table.embeddings"].T), state


@pytest.mark.parametrize("kind", KINDS)
def test_logits_and_gradients_are_those_of_plain_operations(kind: str) -> None:
    torch = pytest.importorskip("torch")
    model, targets = make(kind), np.roll(IDS, -1, 1)
    wanted, state = plain(model, IDS, kind)
    np.testing.assert_allclose(model(IDS).numpy(), wanted.detach().numpy(), atol=1e-10)
    loss = torch.nn.functional.cross_entropy(wanted.reshape(-1, 11), torch.tensor(targets.reshape(-1)))
    loss.backward()
    own = model.loss(IDS, targets)
    own.backward()
    np.testing.assert_allclose(own.item(), loss.item(), rtol=1e-10)
    for name, p in model.named_parameters():
        np.testing.assert_allclose(p.grad.numpy(), state[name].grad.numpy(), atol=1e-10, err_msg=name)


def test_loss_of_the_fused_head_is_that_of_the_logits() -> None:
    model, targets = make("gpt2"), np.roll(IDS, -1, 1)
    targets[0, :3] = -100
    wanted = fastnn.nn.CrossEntropyLoss()(model(IDS).reshape(-1, 11), targets.reshape(-1))
    np.testing.assert_allclose(model.loss(IDS, targets).item(), wanted.item(), rtol=1e-12)
    targets[targets == -100] = 4
    np.testing.assert_allclose(model.loss(IDS, targets, ignore_index=4).item(), fastnn.nn.CrossEntropyLoss(ignore_index=4)(
        model(IDS).reshape(-1, 11), targets.reshape(-1)).item(), rtol=1e-12)  # fmt: skip


def test_tokens_do_not_see_later_ones() -> None:
    for kind in KINDS:
        model = make(kind)
        changed = IDS.copy()
        changed[:, 5:] = (changed[:, 5:] + 1) % 11
        a, b = model(IDS).numpy(), model(changed).numpy()
        np.testing.assert_array_equal(a[:, :5], b[:, :5])
        assert (a[:, 5:] != b[:, 5:]).any()


@pytest.mark.parametrize("kind", KINDS)
def test_dropout_is_active_in_training_alone(kind: str) -> None:
    model = make(kind, dropout=0.5)
    assert (model(IDS).numpy() != model(IDS).numpy()).any()
    without = make(kind)
    without.load_state_dict(model.state_dict())
    model.eval()
    np.testing.assert_array_equal(model(IDS).numpy(), without(IDS).numpy())
    model.train().dropout = 0.0
    np.testing.assert_array_equal(model(IDS).numpy(), without(IDS).numpy())
    assert model.dropout == 0.0
    model.dropout = 0.25
    assert {m.rate for m in model.modules() if isinstance(m, fastnn.Dropout)} == {0.25}


@pytest.mark.parametrize("layers", [1, 8])
def test_initial_loss_is_that_of_a_guess(layers: int) -> None:
    fastnn.seed(0)
    ids = rng.integers(0, 65, (4, 16))
    assert abs(GPT(65, 16, 64, layers, 4).loss(ids, np.roll(ids, 1, 1)).item() - np.log(65)) < 0.05


# ---- cached steps ----


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("prompt", [1, 4])
def test_cached_steps_are_the_whole_text(kind: str, prompt: int) -> None:
    model = make(kind).eval()
    wanted, cache = model(IDS).numpy(), model.cache(3)
    for _ in range(2):
        found = [model.step(IDS[:, :prompt], cache).numpy()]
        found += [model.step(IDS[:, t : t + 1], cache).numpy() for t in range(prompt, 6)]
        found += [model.step(IDS[:, 6:], cache).numpy()]  # several at once
        np.testing.assert_allclose(np.stack(found[:-1], 1), wanted[:, prompt - 1 : 6], atol=1e-12)
        np.testing.assert_allclose(found[-1], wanted[:, -1], atol=1e-12)
        assert cache.position.tolist() == [8, 8, 8]
        cache.reset()  # another prompt sees nothing of the first


@pytest.mark.parametrize("kind", KINDS)
def test_prompts_of_different_lengths(kind: str) -> None:
    model, lengths = make(kind).eval(), np.array([2, 5, 1])
    wanted, cache = model(IDS).numpy(), model.cache(3)
    first = model.step(IDS[:, :5], cache, lengths).numpy()
    np.testing.assert_allclose(first, wanted[range(3), lengths - 1], atol=1e-12)
    following = model.step(IDS[range(3), lengths][:, None], cache).numpy()
    np.testing.assert_allclose(following, wanted[range(3), lengths], atol=1e-12)
    assert cache.position.tolist() == [3, 6, 2]
    model.step(IDS[:, :1], cache, [1, 0, 0])  # the other texts have ended
    assert cache.position.tolist() == [4, 6, 2]
    last = model.step(IDS[[0, 1, 2], [0, 6, 2]][:, None], cache).numpy()
    np.testing.assert_allclose(last[1:], wanted[[1, 2], [6, 2]], atol=1e-12)


def test_samples_of_a_cache_are_selected() -> None:
    model = make("llama").eval()
    cache, other = model.cache(3), model.cache(3)
    model.step(IDS[:, :5], cache)
    cache.select([2, 2, 0])
    model.step(IDS[[2, 2, 0], :5], other)
    nexts = IDS[:, 5:6]
    np.testing.assert_array_equal(model.step(nexts, cache).numpy(), model.step(nexts, other).numpy())


def test_tokens_beyond_the_context_do_not_disturb_other_samples() -> None:
    model = make("llama").eval()
    cache, wanted = model.cache(2), model.cache(2)
    model.step(IDS[:2, :7], cache, [7, 3])
    model.step(IDS[:2, 7:8], cache)
    model.step(IDS[:2, :1], cache)  # the ninth of the first text
    model.step(IDS[[1, 1], :3], wanted)
    model.step(IDS[:2, 7:8], wanted)
    np.testing.assert_allclose(cache.keys[1].numpy()[1, :4], wanted.keys[1].numpy()[1, :4], atol=1e-12)
    assert not cache.keys[1].numpy()[1, 5:].any()


def test_wrong_input_of_steps() -> None:
    model = make("gpt2").eval()
    with pytest.raises(ValueError, match=r"GPT\.step: ids has shape \(3, 8\), wanted \(2, T\)"):
        model.step(IDS, model.cache(2))
    with pytest.raises(ValueError, match=r"Tokens: 9 tokens came, wanted at most 8"):
        model(np.zeros((1, 9), int))
    with pytest.raises(ValueError, match=r"SelfAttention: a width of 8 cannot be divided into 3 heads"):
        GPT(11, 8, 8, 1, 3)
    with pytest.raises(ValueError, match=r"4 heads cannot share 3 heads"):
        GPT(11, 8, 8, 1, 4, 3)
    with pytest.raises(ValueError, match=r"positions is 'learnt', wanted one of"):
        GPT(11, 8, 8, 1, 2, positions="learnt")
    with pytest.raises(AttributeError, match=r"GPT: width is fixed"):
        model.width = 16


# ---- published weights ----


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
    """(n, t, heads, size) each."""
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
