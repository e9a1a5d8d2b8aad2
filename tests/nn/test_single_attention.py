"""Attention without projections, beside Keras."""

import os
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fastnn

rng = np.random.default_rng(0)
QUERY, VALUE, KEY = (rng.standard_normal(shape).astype(np.float32) for shape in ((3, 4, 6), (3, 5, 7), (3, 5, 6)))
ROWS = np.arange(4) < np.array([[4], [4], [3]])
COLUMNS = np.arange(5) < np.array([[5], [3], [5]])
LAYERS: dict[str, tuple[str, dict[str, Any]]] = {
    "dot": ("Attention", {}),
    "scale": ("Attention", {"use_scale": True}),
    "concat": ("Attention", {"score_mode": "concat", "use_scale": True}),
    "sum": ("Attention", {"score_mode": "concat"}),
    "additive": ("AdditiveAttention", {}),
    "factor 1": ("AdditiveAttention", {"use_scale": False}),
}


def array(value: Any) -> np.ndarray:
    return np.asarray(value.detach().cpu() if hasattr(value, "detach") and not isinstance(value, fastnn.Tensor) else value)


@pytest.mark.parametrize("kind", LAYERS)
def test_beside_keras(kind: str) -> None:
    os.environ.setdefault("KERAS_BACKEND", "torch" if find_spec("torch") else "jax")
    keras = pytest.importorskip("keras")
    name, how = LAYERS[kind]
    own, theirs = getattr(fastnn, name)(**how), getattr(keras.layers, name)(**how)
    own([QUERY, VALUE, KEY])
    theirs([QUERY, VALUE, KEY])
    weights = [rng.standard_normal(w.shape).astype(np.float32) for w in theirs.get_weights()]
    own.set_weights(weights)
    theirs.set_weights(weights)
    masks = [keras.ops.convert_to_tensor(ROWS), keras.ops.convert_to_tensor(COLUMNS)]
    for mine, other in (({}, {}), ({"mask": [ROWS, COLUMNS]}, {"mask": masks}), ({"use_causal_mask": True},) * 2):
        got = own([QUERY, VALUE, KEY], return_attention_scores=True, **mine)
        wanted = theirs([QUERY, VALUE, KEY], return_attention_scores=True, **other)
        for a, b in zip(got, wanted, strict=True):
            np.testing.assert_allclose(a.numpy(), array(b), atol=1e-5)
    np.testing.assert_allclose(own([KEY, VALUE[:, :, :6]]).numpy(), array(theirs([KEY, VALUE[:, :, :6]])), atol=1e-5)
    assert own.output_shape([(4, 6), (5, 7), (5, 6)]) == (4, 7)


@pytest.mark.parametrize("kind", LAYERS)
def test_gradients_and_files(kind: str, tmp_path: Path) -> None:
    name, how = LAYERS[kind]
    layer = getattr(fastnn, name)(**how, dtype="float64")
    torch = pytest.importorskip("torch")
    inputs = [fastnn.tensor(a, dtype="float64", requires_grad=True) for a in (QUERY, VALUE, KEY)]
    layer(inputs)
    q, v, k = theirs = [torch.tensor(a.astype(np.float64), requires_grad=True) for a in (QUERY, VALUE, KEY)]
    state = {key: torch.tensor(a, requires_grad=True) for key, a in layer.state_dict().items()}
    scale = state.get("scale", torch.ones(()))
    if name == "AdditiveAttention":
        scores = (scale * torch.tanh(q[:, :, None] + k[:, None])).sum(-1)
    elif how.get("score_mode") == "concat":
        scores = state["concat_score_weight"] * torch.tanh(scale * (q[:, :, None] + k[:, None])).sum(-1)
    else:
        scores = scale * q @ k.mT
    weights = scores.masked_fill(~torch.tensor(COLUMNS)[:, None], -torch.inf).softmax(-1)
    wanted = torch.where(torch.tensor(ROWS)[:, :, None], weights @ v, 0.0)
    got, factor = layer(inputs, mask=[ROWS, COLUMNS]), rng.standard_normal(wanted.shape)
    np.testing.assert_allclose(got.numpy(), wanted.detach().numpy(), atol=1e-12)
    (wanted * torch.tensor(factor)).sum().backward()
    (got * fastnn.tensor(factor, dtype="float64")).sum().backward()
    for a, b in zip(inputs, theirs, strict=True):
        np.testing.assert_allclose(a.grad.numpy(), b.grad.numpy(), atol=1e-12)
    for key, p in layer.named_parameters():
        np.testing.assert_allclose(p.grad.numpy(), state[key].grad.numpy(), atol=1e-12)
    layer.save(tmp_path / "layer")
    np.testing.assert_array_equal(fastnn.load(tmp_path / "layer")(inputs).numpy(), layer(inputs).numpy())


def test_masks_that_inputs_carry_and_dropout() -> None:
    embedding, layer = fastnn.Embedding(9, 8, mask_zero=True), fastnn.Attention(dropout=0.5, seed=1)
    ids = np.array([[1, 2, 0], [0, 0, 0]])
    x = embedding(ids)
    y = layer.eval()([x, x])
    assert y.keras_mask.tolist() == (ids != 0).tolist() and not y.numpy()[1].any()
    np.testing.assert_allclose(y.numpy()[0, :2], layer([embedding(ids[:1, :2])] * 2).numpy()[0], atol=1e-6)
    layer.train()
    assert (layer([x, x]).numpy() != layer([x, x]).numpy()).any()


def test_what_is_refused() -> None:
    with pytest.raises(ValueError, match="score_mode is 'sum', wanted 'dot' or 'concat'"):
        fastnn.Attention(score_mode="sum")
    with pytest.raises(TypeError, match="Attention: seed is 'a', wanted a whole number or None"):
        fastnn.Attention(seed="a")
    with pytest.raises(ValueError, match=r"AdditiveAttention: inputs of shapes .* do not fit"):
        fastnn.AdditiveAttention()([QUERY, VALUE])
    with pytest.raises(ValueError, match="one Tensor came, wanted a list"):
        fastnn.Attention()(fastnn.tensor(QUERY))
