"""Weights of attention of a model, as arrays and as a figure."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fastnn
import fastnn.nn as nn
from fastnn import interpret, plot

IDS = [1, 2, 3, 0]


def gpt(**how: Any) -> Any:
    fastnn.seed(0)
    return fastnn.models.GPT(5, 8, 8, 2, 2, dropout=0.5, **how)


def looking(head: Any, size: int, shift: int) -> None:
    """Give a head of a SelfAttention weights by which each token attends to the one `shift` before it, by one-hot vectors."""
    kernel = np.zeros((size, 3 * size), np.float32)
    kernel[:, :size] = 50 * np.eye(size)[:, (np.arange(size) - shift) % size].T  # a query is the key of the token before
    kernel[:, size : 2 * size] = np.eye(size)
    head.qkv.kernel.copy_(kernel)


def test_weights_are_those_of_the_layer() -> None:
    layer = fastnn.models.SelfAttention(4, 1, causal=True)
    with fastnn.no_grad():
        looking(layer, 4, 1)
    x = np.eye(4, dtype=np.float32)
    found = interpret.attention(layer, x)["SelfAttention"]
    np.testing.assert_allclose(found[0, 1:], np.eye(4)[:3], atol=1e-6)  # the token before


def test_a_model_of_attention_layers() -> None:
    model = gpt(positions="rotary", kv_heads=1)
    before = model.get_weights()
    found = interpret.attention(model, IDS)
    assert list(found) == ["blocks.0.attention", "blocks.1.attention"]
    for weights in found.values():
        np.testing.assert_allclose(weights.sum(-1), np.ones((2, 4)), rtol=1e-5)
        assert not np.triu(weights, 1).any()
    assert all((a == b).all() for a, b in zip(before, model.get_weights(), strict=True)) and model.training
    one = interpret.attention(model, IDS, layers=[model.blocks[1].attention])
    assert list(one) == ["blocks.1.attention"]
    np.testing.assert_array_equal(one["blocks.1.attention"], found["blocks.1.attention"])


def test_two_sequences_and_padding() -> None:
    model = fastnn.models.EncoderDecoder(5, 5, 8, 8, 1, 2, padding=0)
    found = interpret.attention(model, IDS, [1, 2])
    assert {name: a.shape for name, a in found.items()} == {
        "encoder.blocks.0.attention": (2, 4, 4),
        "blocks.0.attention": (2, 2, 2),
        "blocks.0.cross_attention": (2, 2, 4),
    }
    assert not found["blocks.0.cross_attention"][:, :, 3].any()


def test_layers_with_the_names_of_keras_and_pytorch() -> None:
    x = np.random.default_rng(0).standard_normal((5, 8)).astype(np.float32)
    encoder = nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), 2)
    found = interpret.attention(encoder, x)
    assert {name: a.shape for name, a in found.items()} == {f"layers.{i}.self_attn": (2, 5, 5) for i in range(2)}
    first = encoder.layers[0].self_attn.eval()
    x1 = fastnn.tensor(x[None])
    np.testing.assert_array_equal(found["layers.0.self_attn"], first(x1, x1, x1, average_attn_weights=False)[1].numpy()[0])
    a = fastnn.Input((5, 8))
    layer = fastnn.MultiHeadAttention(2, 4)
    model = fastnn.Model(a, layer(layer(a, a), a))  # called twice
    first_call, second_call = interpret.attention(model, x)
    assert second_call == f"{first_call} (2)"


def test_models_without_attention() -> None:
    model = fastnn.Sequential([fastnn.Dense(2, input_shape=(3,))])
    with pytest.raises(ValueError, match=r"the model's layers of attention are: none; it has none"):
        interpret.attention(model, [1.0, 2.0, 3.0])
    with pytest.raises(ValueError, match=r"blocks.0 is none"):
        interpret.attention(gpt(), IDS, layers=["blocks.0"])
    with pytest.raises(TypeError, match="model is a int; wanted a model"):
        interpret.attention(3, IDS)


def test_the_figure(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    figure = plot.attention(gpt(), IDS, tokens=["a", "b", "c", "d"], path=tmp_path / "maps.png")
    assert (tmp_path / "maps.png").read_bytes().startswith(b"\x89PNG")
    axes = figure.axes
    assert [ax.get_title() for ax in axes] == ["blocks.0.attention, head 0", "head 1", "blocks.1.attention, head 0", "head 1"]
    np.testing.assert_array_equal(axes[3].images[0].get_array(), interpret.attention(gpt(), IDS)["blocks.1.attention"][1])
    assert [text.get_text() for text in axes[0].get_xticklabels()] == ["a", "b", "c", "d"]
    model = fastnn.models.EncoderDecoder(5, 5, 8, 8, 1, 2)
    figure = plot.attention(model, IDS, [1, 2], tokens="yz", source="abcd", layers=["blocks.0.cross_attention"])
    assert [text.get_text() for text in figure.axes[1].get_xticklabels()] == ["a", "b", "c", "d"]
    figure = plot.attention(model, [1, 2], [3, 4], tokens="yz", source="ab", layers=["blocks.0.cross_attention"])
    texts = [[text.get_text() for text in axis.get_ticklabels()] for axis in (figure.axes[0].yaxis, figure.axes[0].xaxis)]
    assert texts == [["y", "z"], ["a", "b"]]  # also if both sequences have the same length
    with pytest.raises(ValueError, match="2 texts came for 4 tokens"):
        plot.attention(gpt(), IDS, tokens=["a", "b"])
    with pytest.raises(ValueError, match=r"2 texts came for 4 tokens of encoder\.blocks\.0\.attention"):
        plot.attention(model, IDS, [1, 2], tokens="yz")
