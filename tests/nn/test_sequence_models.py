"""Models of sequences: training by fit, recorded steps, frozen models; an encoder for classes, an encoder-decoder."""

from typing import Any

import numpy as np
import pytest

import fastnn
from fastnn.models import GPT, Block, EncoderDecoder, FeedForward, SelfAttention, TextEncoder

rng = np.random.default_rng(0)
LOSS = fastnn.losses.SparseCategoricalCrossentropy(from_logits=True)
SIZES: dict[str, int] = {"context": 8, "width": 16, "layers": 1, "heads": 2}


def adam() -> Any:
    return fastnn.optim.Adam(lr=0.01)


# ---- GPT ----


@pytest.mark.parametrize(
    "how",
    [{}, {"positions": "rotary", "kv_heads": 1, "norm": "rms", "feed_forward": "swiglu", "bias": False, "tied": False},
     {"positions": "alibi", "window": 3, "dropout": 0.1}],
)  # fmt: skip
def test_gpt_learns_by_fit_and_freezes(how: dict[str, Any]) -> None:
    fastnn.seed(0)
    ids = (np.arange(9) + rng.integers(0, 7, (32, 1))) % 7  # counts up
    model = GPT(7, **SIZES, **how)
    model.compile(adam(), LOSS, ["accuracy"])
    history = model.fit(ids[:, :-1], ids[:, 1:], epochs=20, batch_size=8, verbose=0).history
    assert history["loss"][-1] < 0.2 < 1.5 < history["loss"][0]
    assert model.evaluate(ids[:, :-1], ids[:, 1:], verbose=0)[1] == 1.0
    frozen = model.freeze(batch_size=4, input_shape=(8,))
    np.testing.assert_allclose(frozen(ids[:4, :-1]), model.predict(ids[:4, :-1]), atol=1e-5)


def test_fit_and_a_loop_with_the_fused_loss_train_alike() -> None:
    fastnn.seed(0)
    ids = (np.arange(9) + rng.integers(0, 7, (16, 1))) % 7
    trained = []
    for loss in (LOSS, "sparse"):
        fastnn.seed(1)
        model = GPT(7, **SIZES)
        if loss is LOSS:
            model.compile(adam(), loss)
            model.fit(ids[:, :-1], ids[:, 1:], epochs=3, batch_size=16, shuffle=False, verbose=0)
        else:
            optimizer = fastnn.optim.Adam(model.parameters(), lr=0.01)
            step = fastnn.capture(lambda x, y, model=model, optimizer=optimizer: _step(model, optimizer, x, y))
            for _ in range(3):
                step(fastnn.tensor(ids[:, :-1]), fastnn.tensor(ids[:, 1:]))
        trained.append(model.get_weights())
    for a, b in zip(*trained, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-4)


def _step(model: GPT, optimizer: Any, x: Any, y: Any) -> Any:
    """Do a step with the loss that keeps no logits."""
    optimizer.zero_grad()
    loss = model.loss(x, y)
    loss.backward()
    optimizer.step()
    return loss.detach()


@pytest.mark.parametrize("positions", ["learned", "rotary"])
def test_a_captured_step_reads_a_token_at_the_position_of_the_cache(positions: str) -> None:
    fastnn.seed(0)
    model = GPT(11, **SIZES, kv_heads=1, positions=positions).eval()
    ids = rng.integers(0, 11, (2, 8))
    wanted, cache = model(ids).numpy(), model.cache(2)
    model.step(ids[:, :2], cache)
    calls = []

    @fastnn.capture
    def step(token: Any) -> Any:
        calls.append(1)
        return model.step(token, cache)

    for t in range(2, 8):
        np.testing.assert_allclose(step(fastnn.tensor(ids[:, t : t + 1])).numpy(), wanted[:, t], atol=1e-5)
    assert cache.position.tolist() == [8, 8]
    assert len(calls) < 6  # the later ones were replayed
    cache.reset()
    for t in range(8):  # the same recording reads another text
        np.testing.assert_allclose(step(fastnn.tensor(ids[:, t : t + 1])).numpy(), wanted[:, t], atol=1e-5)
    assert len(calls) < 6


def test_attention_masks_of_gpt() -> None:
    model = GPT(11, **SIZES).eval()
    ids = rng.integers(0, 11, (2, 6))
    apart = np.kron(np.eye(2), np.ones((3, 3))) > 0  # two texts of three tokens in one sequence
    halves = model(ids, attention_mask=np.broadcast_to(apart, (2, 1, 6, 6))).numpy()
    np.testing.assert_allclose(halves[:, :3], model(ids[:, :3]).numpy(), atol=1e-6)
    changed = ids.copy()
    changed[:, 0] = (changed[:, 0] + 1) % 11
    again = model(changed, attention_mask=np.broadcast_to(apart, (2, 1, 6, 6))).numpy()
    np.testing.assert_array_equal(halves[:, 3:], again[:, 3:])


# ---- an encoder for classes ----


@pytest.mark.parametrize("positions", ["learned", "rotary", "alibi", "sinusoidal", "none"])
def test_padding_changes_nothing(positions: str) -> None:
    model = TextEncoder(11, **SIZES, classes=3, padding=0, positions=positions).eval()
    ids = rng.integers(1, 11, (4, 5))
    padded = np.concatenate([ids, np.zeros((4, 3), int)], 1)
    np.testing.assert_allclose(model(padded).numpy(), model(ids).numpy(), atol=1e-6)
    vectors = TextEncoder(11, **SIZES, padding=0).eval()
    assert vectors(padded).shape == (4, 8, 16)
    one = np.stack([padded[0], np.zeros(8, int)])  # the second text is nothing
    np.testing.assert_allclose(model(one).numpy()[0], model(ids[:1]).numpy()[0], atol=1e-6)
    np.testing.assert_allclose(model(one).numpy()[1], model.head.bias.numpy(), atol=1e-6)


def test_an_encoder_learns_classes() -> None:
    fastnn.seed(0)
    lengths = rng.integers(1, 9, 64)
    ids = np.where(np.arange(8) < lengths[:, None], rng.integers(1, 5, (64, 8)), 0)
    labels = (ids == 2).any(1).astype(int)
    model = TextEncoder(5, **SIZES, classes=2, padding=0)
    model.compile(adam(), LOSS, ["accuracy"])
    model.fit(ids, labels, epochs=30, batch_size=16, verbose=0)
    assert model.evaluate(ids, labels, verbose=0)[1] > 0.95
    np.testing.assert_allclose(model.freeze(batch_size=2, input_shape=(8,))(ids[:2]), model.predict(ids[:2]), atol=1e-5)


# ---- an encoder and a decoder ----


@pytest.mark.parametrize("positions", ["learned", "sinusoidal"])
def test_cached_steps_of_a_decoder(positions: str) -> None:
    model = EncoderDecoder(9, 11, **{**SIZES, "layers": 2}, padding=0, positions=positions, dtype="float64").eval()
    source, target = rng.integers(1, 9, (3, 6)), rng.integers(0, 11, (3, 8))
    source[1, 4:] = 0
    wanted = model(source, target).numpy()
    memory, cache = model.encode(source), model.cache(3)
    np.testing.assert_allclose(model.step(target[:, :3], cache, memory).numpy(), wanted[:, 2], atol=1e-12)
    for t in range(3, 8):
        np.testing.assert_allclose(model.step(target[:, t : t + 1], cache, memory).numpy(), wanted[:, t], atol=1e-12)
    short = model(source[1:2, :4], target[1:2]).numpy()  # padding of the source changes nothing
    np.testing.assert_allclose(short[0], wanted[1], atol=1e-12)
    lengths = np.array([3, 1, 2])
    first = model.step(target[:, :3], other := model.cache(3), memory, lengths).numpy()
    np.testing.assert_allclose(first, wanted[range(3), lengths - 1], atol=1e-12)
    assert other.position.tolist() == [3, 1, 2]


def test_a_translator_learns_to_reverse() -> None:
    fastnn.seed(0)
    source = rng.integers(1, 6, (128, 4))
    target = np.concatenate([np.zeros((128, 1), int), source[:, ::-1]], 1)
    model = EncoderDecoder(6, 6, 8, 32, 1, 4)
    model.compile(adam(), LOSS, ["accuracy"])
    model.fit([source, target[:, :-1]], target[:, 1:], epochs=60, batch_size=32, verbose=0)
    assert model.evaluate([source, target[:, :-1]], target[:, 1:], verbose=0)[1] > 0.95


# ---- parts ----


def test_blocks_are_what_they_consist_of() -> None:
    x = fastnn.tensor(rng.standard_normal((2, 5, 8)), dtype="float64")
    for first in (True, False):
        block = Block(
            SelfAttention(8, 2, causal=True, dtype="float64"), FeedForward(8, dtype="float64"), norm_first=first, dtype="float64"
        )
        if first:
            h = x + block.attention(block.norm1(x))
            wanted = h + block.feed_forward(block.norm2(h))
        else:
            h = block.norm1(x + block.attention(x))
            wanted = block.norm2(h + block.feed_forward(h))
        np.testing.assert_array_equal(block(x).numpy(), wanted.numpy())


def test_self_attention_knows_masks_of_time_steps() -> None:
    layer = SelfAttention(8, 2)
    x = fastnn.Masking()(fastnn.tensor(np.where(np.arange(5)[:, None] < 3, rng.standard_normal((2, 5, 8)), 0.0), dtype="float32"))
    y = layer(x)
    assert y.keras_mask is not None
    np.testing.assert_allclose(y.numpy()[:, :3], layer(x.detach()[:, :3]).numpy(), atol=1e-6)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: FeedForward(8, activation="wobble"), "activation is 'wobble', wanted one of"),
        (lambda: SelfAttention(9, 3, positions="rotary"), "heads of 3 columns; rotary positions need an even number"),
        (lambda: SelfAttention(8, 2)(np.zeros((2, 5, 7))), r"x has shape \(2, 5, 7\), wanted \(n, None, 8\)"),
        (lambda: TextEncoder(5, **SIZES, padding=-1), "padding is -1"),
        (lambda: EncoderDecoder(5, 5, **SIZES, positions="rotary"), "positions is 'rotary', wanted one of"),
        (lambda: GPT(5, **SIZES, dropout=2.0), "dropout"),
    ],
)
def test_what_is_refused(make: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        make()
