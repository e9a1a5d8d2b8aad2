"""Transformer layers beside PyTorch's: outputs and gradients for the same weights; configs, files, training."""

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fastnn
import fastnn.nn as nn

torch = pytest.importorskip("torch")

rng = np.random.default_rng(0)
N, S, T, E = 3, 5, 4, 8
PADDING = np.zeros((N, S), bool)
PADDING[1, 3:] = True
CAUSAL = np.triu(np.ones((T, T), bool), 1)


def array(*shape: int) -> np.ndarray:
    return rng.standard_normal(shape)


def same_weights(own: Any, theirs: Any) -> None:
    state = {name: array(*p.shape) * 0.5 for name, p in theirs.state_dict().items()}
    assert list(own.state_dict()) == list(state)
    own.load_state_dict(state)
    theirs.load_state_dict({name: torch.tensor(a) for name, a in state.items()})


def of_torch(value: Any) -> Any:
    return torch.tensor(value) if isinstance(value, np.ndarray) else value


def compare(own: Any, theirs: Any, inputs: list[np.ndarray], masks: dict[str, Any], atol: float = 1e-10) -> None:
    """Compare outputs and the gradients of inputs and parameters; inputs that are the same array are one Tensor."""
    same_weights(own, theirs)
    for training in (True, False):  # PyTorch has other code for evaluation
        own.train(training)
        theirs.train(training)
        mine = {id(a): fastnn.tensor(a, dtype="float64", requires_grad=True) for a in inputs}
        other = {id(a): torch.tensor(a, requires_grad=True) for a in inputs}
        wanted = theirs(*(other[id(a)] for a in inputs), **{name: of_torch(mask) for name, mask in masks.items()})
        got = own(*(mine[id(a)] for a in inputs), **masks)
        pairs = [(got, wanted)] if not isinstance(got, tuple) else list(zip(got, wanted, strict=True))
        total, torch_total = [], []
        for a, b in pairs:
            assert (a is None) == (b is None)
            if a is not None:
                np.testing.assert_allclose(a.numpy(), b.detach().numpy(), atol=atol)
                factor = array(*a.shape)
                total.append((a * fastnn.tensor(factor, dtype="float64")).sum())
                torch_total.append((b * torch.tensor(factor)).sum())
        theirs.zero_grad()
        own.zero_grad()
        sum(torch_total).backward()
        sum(total[1:], total[0]).backward()
        for a in inputs:
            np.testing.assert_allclose(mine[id(a)].grad.numpy(), other[id(a)].grad.numpy(), atol=atol)
        wanted_grads = {name: p.grad for name, p in theirs.named_parameters()}
        for name, p in own.named_parameters():
            np.testing.assert_allclose(p.grad.numpy(), wanted_grads[name].numpy(), atol=atol, err_msg=name)


# ---- multi-head attention ----

Q, K, V = array(N, T, E), array(N, S, E), array(N, S, E)
MASKS: dict[str, dict[str, Any]] = {
    "none": {},
    "no weights": {"need_weights": False},
    "weights of heads": {"average_attn_weights": False},
    "padding": {"key_padding_mask": PADDING},
    "both": {"key_padding_mask": PADDING, "attn_mask": rng.random((T, S)) < np.array([0.0] + [0.4] * (S - 1))},
    "floats by head": {"key_padding_mask": np.where(PADDING, -1.5, 0.5), "attn_mask": array(N * 2, T, S), "need_weights": False},
}


@pytest.mark.parametrize("batch_first", [True, False])
@pytest.mark.parametrize("masks", MASKS)
@pytest.mark.parametrize("kind", ["three inputs", "one memory", "sizes", "no bias"])
def test_attention(kind: str, masks: str, batch_first: bool) -> None:
    how: dict[str, Any] = {"batch_first": batch_first, "bias": kind != "no bias"}
    inputs = [Q, K, K if kind == "one memory" else V]
    if kind == "sizes":
        how |= {"kdim": 6, "vdim": 7}
        inputs = [Q, array(N, S, 6), array(N, S, 7)]
    if not batch_first:
        moved = {id(a): np.ascontiguousarray(a.swapaxes(0, 1)) for a in inputs}
        inputs = [moved[id(a)] for a in inputs]
    own = nn.MultiheadAttention(E, 2, **how, dtype="float64")
    compare(own, torch.nn.MultiheadAttention(E, 2, **how, dtype=torch.float64), inputs, MASKS[masks])


@pytest.mark.parametrize("masks", [{}, {"need_weights": False}, {"attn_mask": CAUSAL, "is_causal": True, "need_weights": False}])
def test_attention_of_one_sequence_to_itself(masks: dict[str, Any]) -> None:
    own, theirs = nn.MultiheadAttention(E, 4, dtype="float64"), torch.nn.MultiheadAttention(E, 4, dtype=torch.float64)
    compare(own, theirs, [x := array(T, N, E), x, x], masks)
    compare(own, theirs, [x := array(T, E), x, x], masks)  # without a batch


def test_the_causal_mask_may_be_omitted() -> None:
    layer, x = nn.MultiheadAttention(E, 2, batch_first=True, dtype="float64"), fastnn.tensor(Q, dtype="float64")
    wanted, weights = layer(x, x, x, attn_mask=CAUSAL)
    got, own = layer(x, x, x, is_causal=True)
    np.testing.assert_array_equal(got.numpy(), wanted.numpy())
    np.testing.assert_array_equal(own.numpy(), weights.numpy())


def test_a_query_without_keys_gets_zeros() -> None:
    layer, x = nn.MultiheadAttention(E, 2, batch_first=True), fastnn.tensor(Q.astype(np.float32), requires_grad=True)
    y, weights = layer(x, x, x, key_padding_mask=np.array([[True] * T, [False] * T, [False] * T]))
    np.testing.assert_array_equal(y.numpy()[0], np.zeros((T, E)))  # the bias of out_proj begins as 0
    assert not weights.numpy()[0].any()
    y.sum().backward()
    assert np.isfinite(x.grad.numpy()).all() and not x.grad.numpy()[0].any()


def test_initial_weights_are_distributed_as_in_pytorch() -> None:
    fastnn.seed(0)
    own, theirs = nn.MultiheadAttention(64, 4), torch.nn.MultiheadAttention(64, 4)
    for name, a in own.state_dict().items():
        b = theirs.state_dict()[name].numpy()
        assert abs(a.std() - b.std()) < 0.05 * max(b.std(), 1e-6), name
        assert abs(np.abs(a).max() - np.abs(b).max()) <= 0.05 * np.abs(b).max(), name


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: nn.MultiheadAttention(8, 3), "embed_dim 8 cannot be divided into 3 heads"),
        (lambda: nn.MultiheadAttention(8, 2, add_bias_kv=True), "add_bias_kv is True; only False"),
        (lambda: nn.MultiheadAttention(8, 2, add_zero_attn=True), "add_zero_attn is True; only False"),
        (lambda: nn.MultiheadAttention(8, 2)(Q[:, :, :4], K, V), r"query has shape \(3, 4, 4\), wanted \(T, N, 8\)"),
        (lambda: nn.MultiheadAttention(8, 2, batch_first=True)(Q, K, V[:, :2]), "as many values as keys"),
        (
            lambda: nn.MultiheadAttention(8, 2, batch_first=True)(Q, K, V, attn_mask=np.zeros((2, 2))),
            r"attn_mask has shape \(2, 2\), wanted \(4, 5\) or \(6, 4, 5\)",
        ),
        (
            lambda: nn.MultiheadAttention(8, 2, batch_first=True)(Q, K, V, key_padding_mask=np.zeros((2, 2), bool)),
            r"key_padding_mask has shape \(2, 2\), wanted \(3, 5\)",
        ),
        (lambda: nn.TransformerEncoderLayer(8, 2)(Q[:, :, :4]), r"src has shape \(3, 4, 4\), wanted \(T, N, 8\)"),
        (lambda: nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2), 0), "num_layers is 0"),
    ],
)
def test_what_is_refused(make: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        make()


# ---- layers of Transformers ----

LAYER: dict[str, dict[str, Any]] = {
    "post-norm": {"batch_first": True},
    "pre-norm": {"norm_first": True, "activation": "gelu"},
    "no bias": {"bias": False, "batch_first": True, "layer_norm_eps": 0.1},
}


def pair(name: str, kind: str, **more: Any) -> tuple[Any, Any]:
    how = {"d_model": E, "nhead": 2, "dim_feedforward": 10, "dropout": 0.0, **LAYER[kind], **more}
    return getattr(nn, name)(**how, dtype="float64"), getattr(torch.nn, name)(**how, dtype=torch.float64)


def moved(x: np.ndarray, kind: str) -> np.ndarray:
    return x if "batch_first" in LAYER[kind] else np.ascontiguousarray(x.swapaxes(0, 1))


@pytest.mark.parametrize("masks", ["none", "padding", "causal"])
@pytest.mark.parametrize("kind", LAYER)
def test_encoder_layer(kind: str, masks: str) -> None:
    own, theirs = pair("TransformerEncoderLayer", kind)
    how = {"none": {}, "padding": {"src_key_padding_mask": PADDING}, "causal": {"src_mask": CAUSAL, "is_causal": True}}[masks]
    compare(own, theirs, [moved(array(N, T if masks == "causal" else S, E), kind)], how)


@pytest.mark.parametrize("masks", ["none", "all"])
@pytest.mark.parametrize("kind", LAYER)
def test_decoder_layer(kind: str, masks: str) -> None:
    own, theirs = pair("TransformerDecoderLayer", kind)
    how: dict[str, Any] = {}
    if masks == "all":
        how = {"tgt_mask": CAUSAL, "memory_key_padding_mask": PADDING, "tgt_key_padding_mask": np.zeros((N, T), bool)}
        how |= {"memory_mask": rng.random((T, S)) < np.array([0.0] + [0.4] * (S - 1))}
    compare(own, theirs, [moved(array(N, T, E), kind), moved(array(N, S, E), kind)], how)


@pytest.mark.parametrize("kind", LAYER)
def test_stacks(kind: str) -> None:
    own, theirs = pair("TransformerEncoderLayer", kind)
    norm = {"bias": "bias" not in LAYER[kind]}
    a = nn.TransformerEncoder(own, 2, nn.LayerNorm(E, dtype="float64", **norm))
    b = torch.nn.TransformerEncoder(theirs, 2, torch.nn.LayerNorm(E, dtype=torch.float64, **norm), enable_nested_tensor=False)
    compare(a, b, [moved(array(N, S, E), kind)], {"src_key_padding_mask": PADDING})
    own, theirs = pair("TransformerDecoderLayer", kind)
    inputs = [moved(array(N, T, E), kind), moved(array(N, S, E), kind)]
    compare(nn.TransformerDecoder(own, 2), torch.nn.TransformerDecoder(theirs, 2), inputs, {"tgt_mask": CAUSAL})


@pytest.mark.filterwarnings("ignore:enable_nested_tensor is True")  # PyTorch warns of its own Transformer
@pytest.mark.parametrize("kind", LAYER)
def test_transformer(kind: str) -> None:
    own, theirs = pair("Transformer", kind, num_encoder_layers=1, num_decoder_layers=2)
    mask = nn.Transformer.generate_square_subsequent_mask(T, dtype=np.float64)
    np.testing.assert_array_equal(mask.numpy(), torch.nn.Transformer.generate_square_subsequent_mask(T).numpy())
    padding = np.where(PADDING, -np.inf, 0.0)
    masks = {"tgt_mask": mask.numpy(), "src_key_padding_mask": padding, "memory_key_padding_mask": padding}
    compare(own, theirs, [moved(array(N, S, E), kind), moved(array(N, T, E), kind)], masks, atol=1e-9)


def test_layers_of_a_stack_begin_equal_and_those_of_a_transformer_differ() -> None:
    stack = nn.TransformerEncoder(nn.TransformerEncoderLayer(E, 2), 2)
    a, b = (layer.state_dict() for layer in stack.layers)
    assert all((a[name] == b[name]).all() for name in a)
    drops = [layer.dropout1(fastnn.ones(100)).numpy() for layer in stack.layers]
    assert (drops[0] != drops[1]).any()  # their random numbers are not the same
    model = nn.Transformer(E, 2, 2, 1, 16)
    first, second = (layer.linear1.weight.numpy() for layer in model.encoder.layers)
    assert (first != second).any()


def models() -> list[Any]:
    encoder = nn.TransformerEncoderLayer(E, 2, 10, 0.1, "gelu", batch_first=True, norm_first=True)
    decoder = nn.TransformerDecoderLayer(E, 2, 10, activation=nn.ELU(0.5), batch_first=True)
    custom = nn.TransformerEncoder(encoder, 1)
    return [
        *(encoder, nn.TransformerEncoder(encoder, 2, nn.LayerNorm(E)), decoder, nn.TransformerDecoder(decoder, 2)),
        nn.Transformer(E, 2, 1, 1, 10, batch_first=True),
        nn.Transformer(E, 2, 1, 1, 10, custom_encoder=custom, batch_first=True, bias=False),
    ]


@pytest.mark.parametrize("number", range(6))
def test_saved_and_copied(number: int, tmp_path: Path) -> None:
    model = models()[number].eval()
    inputs = [Q] if number < 2 else [Q, K]
    wanted = model(*inputs).numpy()
    model.save(tmp_path / "model.fastnn")
    loaded = fastnn.load(tmp_path / "model.fastnn").eval()
    for other in (loaded, copy.deepcopy(model)):
        np.testing.assert_array_equal(other(*inputs).numpy(), wanted)
    assert repr(loaded) == repr(model)


@pytest.mark.parametrize("number", range(6))
def test_trained_by_fit_and_frozen(number: int) -> None:
    fastnn.seed(0)
    model = models()[number]
    inputs = [Q.astype(np.float32)] if number < 2 else [Q.astype(np.float32), K.astype(np.float32)]
    x = inputs[0] if number < 2 else inputs
    model.compile(fastnn.optim.Adam(lr=0.01), "mse")
    like = inputs[0 if number in (2, 3) else -1]
    losses = model.fit(x, like[:, ::-1], epochs=30, batch_size=3, verbose=0).history["loss"]
    assert losses[-1] < 0.7 * losses[0]
    shapes = [a.shape[1:] for a in inputs]
    frozen = model.freeze(batch_size=3, input_shape=shapes[0] if number < 2 else shapes)
    np.testing.assert_allclose(frozen(*inputs), model.predict(x), atol=1e-6)
