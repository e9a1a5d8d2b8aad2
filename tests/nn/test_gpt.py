"""GPT: what it computes, beside PyTorch; and cached steps."""

from typing import Any

import numpy as np
import pytest

import fastnn
from fastnn.models import GPT
from fastnn.models.attention import alibi_slopes

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
    """Return the logits, by PyTorch's operations on the arrays of the state_dict."""
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
