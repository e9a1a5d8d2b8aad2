"""fastnn.nn.functional: values and gradients are those of torch.nn.functional, in float64."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import fastnn
import fastnn.nn.functional as F

torch = pytest.importorskip("torch")
rng = np.random.default_rng(3)


def normal(*shape: int) -> np.ndarray[Any, Any]:
    return rng.standard_normal(shape)


X, Y, IMAGES, SEQUENCES = normal(6, 5), normal(6, 5), normal(2, 4, 7, 6), normal(2, 4, 9)
LABELS, P = np.array([0, 4, 2, 1, 3, 3]), 1 / (1 + np.exp(-X))
CLASS = np.array([1.0, 2.0, 0.5, 1.5, 1.0])

SETS = np.array([[1, 3, -1, 0, 2], [-1, 0, 0, 0, 0], [0, 1, 2, 3, 4], [4, -1, -1, -1, -1], [2, 0, 1, -1, 3], [3, 2, -1, -1, -1]])

Case = tuple[str, Callable[..., Any], tuple[Any, ...]]
PLAIN = (
    *("relu", "relu6", "gelu", "silu", "mish", "selu", "elu", "celu", "leaky_relu", "hardtanh", "hardswish", "hardsigmoid"),
    *("softplus", "softsign", "logsigmoid", "hardshrink", "softshrink", "tanhshrink", "sigmoid", "tanh"),
)
CASES: list[Case] = [
    *((name, lambda t, f, x, name=name: getattr(f, name)(x), (X,)) for name in PLAIN),
    ("relu inplace", lambda t, f, x: f.relu(x * 1, inplace=True), (X,)),
    ("gelu tanh", lambda t, f, x: f.gelu(x, approximate="tanh"), (X,)),
    ("elu 0.5", lambda t, f, x: f.elu(x, 0.5) + f.celu(x, alpha=2.0) + f.leaky_relu(x * 1, 0.2, True), (X,)),
    ("softplus 2", lambda t, f, x: f.softplus(x, beta=2, threshold=1), (X,)),
    ("threshold", lambda t, f, x: f.threshold(x, 0.1, 2.0) + f.hardtanh(x, -0.5, 0.25), (X,)),
    ("softmax", lambda t, f, x: f.softmax(x, dim=0) + f.softmin(x, dim=1) + f.log_softmax(x, dim=-1), (X,)),
    ("glu", lambda t, f, x: f.glu(x, dim=1), (SEQUENCES,)),
    ("prelu", lambda t, f, x, w: f.prelu(x, w), (X, CLASS)),
    ("linear", lambda t, f, x, w, b: f.linear(x, w, b), (normal(2, 3, 5), normal(4, 5), normal(4))),
    ("linear without bias", lambda t, f, x, w: f.linear(x, w), (X[0], normal(4, 5))),
    ("conv1d", lambda t, f, x, w, b: f.conv1d(x, w, b, padding=1), (SEQUENCES, normal(3, 4, 3), normal(3))),
    ("conv2d", lambda t, f, x, w, b: f.conv2d(x, w, b, stride=2, padding=(1, 2)), (IMAGES, normal(3, 4, 3, 2), normal(3))),
    ("conv2d groups", lambda t, f, x, w: f.conv2d(x, w, groups=2, dilation=2), (IMAGES, normal(6, 2, 2, 2))),
    ("conv2d same", lambda t, f, x, w: f.conv2d(x, w, padding="same"), (IMAGES[0], normal(3, 4, 3, 3))),
    ("conv3d", lambda t, f, x, w: f.conv3d(x, w), (normal(1, 2, 4, 4, 4), normal(3, 2, 2, 2, 2))),
    ("conv_transpose1d", lambda t, f, x, w: f.conv_transpose1d(x, w, stride=2), (SEQUENCES, normal(4, 3, 3))),
    (
        "conv_transpose2d",
        lambda t, f, x, w, b: f.conv_transpose2d(x, w, b, stride=2, padding=1, output_padding=1, groups=2),
        (IMAGES, normal(4, 3, 3, 3), normal(6)),
    ),
    ("max_pool1d", lambda t, f, x: f.max_pool1d(x, 3, stride=2), (SEQUENCES,)),
    ("max_pool2d", lambda t, f, x: f.max_pool2d(x, 2), (IMAGES,)),
    ("max_pool2d more", lambda t, f, x: f.max_pool2d(x, [3, 2], stride=1, padding=1, ceil_mode=True), (IMAGES,)),
    ("avg_pool2d", lambda t, f, x: f.avg_pool2d(x, 3, 2, 1, count_include_pad=False), (IMAGES,)),
    ("adaptive_avg_pool2d", lambda t, f, x: f.adaptive_avg_pool2d(x, (3, 1)), (IMAGES,)),
    ("adaptive_avg_pool1d", lambda t, f, x: f.adaptive_avg_pool1d(x, 1) + f.adaptive_max_pool1d(x, 1), (SEQUENCES,)),
    ("interpolate", lambda t, f, x: f.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False), (IMAGES,)),
    ("interpolate to", lambda t, f, x: f.interpolate(x, size=(5, 9)), (IMAGES,)),
    ("pixel_shuffle", lambda t, f, x: f.pixel_shuffle(x, 2), (IMAGES,)),
    ("pad", lambda t, f, x: f.pad(x, (1, 2)), (X,)),
    ("pad two", lambda t, f, x: f.pad(x, (1, 0, -1, 2), value=3.0), (IMAGES,)),
    ("pad reflect", lambda t, f, x: f.pad(x, (2, 1, 1, 1), mode="reflect"), (IMAGES,)),
    ("pad circular", lambda t, f, x: f.pad(x, (2, 1), mode="circular"), (SEQUENCES,)),
    ("layer_norm", lambda t, f, x, w, b: f.layer_norm(x, (5,), w, b), (X, CLASS, normal(5))),
    ("layer_norm of two", lambda t, f, x: f.layer_norm(x, (7, 6), eps=1e-3), (IMAGES,)),
    ("rms_norm", lambda t, f, x, w: f.rms_norm(x, (5,), w, eps=1e-6), (X, CLASS)),
    ("group_norm", lambda t, f, x, w, b: f.group_norm(x, 2, w, b), (IMAGES, normal(4), normal(4))),
    ("batch_norm", lambda t, f, x, w, b: f.batch_norm(x, None, None, w, b, training=True), (IMAGES, normal(4), normal(4))),
    ("batch_norm eval", lambda t, f, x: f.batch_norm(x, t.zeros(5).double() + 0.5, t.ones(5).double() * 2), (X,)),
    ("normalize", lambda t, f, x: f.normalize(x) + f.normalize(x, dim=0) + f.normalize(x, p=1, dim=-1), (X,)),
    ("cosine_similarity", lambda t, f, x, y: f.cosine_similarity(x, y) + f.cosine_similarity(x, y, dim=-1), (X, Y)),
    ("pairwise_distance", lambda t, f, x, y: f.pairwise_distance(x, y, keepdim=True), (X, Y)),
    ("embedding", lambda t, f, w: f.embedding(t.tensor([[1, 2], [5, 1]]), w, padding_idx=2), (X,)),
    ("attention", lambda t, f, q, k, v: f.scaled_dot_product_attention(q, k, v, is_causal=True), (IMAGES, IMAGES + 1, IMAGES)),
    ("cross_entropy", lambda t, f, x: f.cross_entropy(x, t.tensor(LABELS)), (X,)),
    (
        "cross_entropy more",
        lambda t, f, x: f.cross_entropy(
            x, t.tensor(LABELS), weight=t.tensor(CLASS), ignore_index=4, reduction="sum", label_smoothing=0.1
        ),
        (X,),
    ),
    ("nll_loss", lambda t, f, x: f.nll_loss(f.log_softmax(x, dim=1), t.tensor(LABELS)), (X,)),
    ("mse_loss", lambda t, f, x, y: f.mse_loss(x, y) + f.mse_loss(y, x, reduction="sum"), (X, Y)),
    ("l1_loss", lambda t, f, x: f.l1_loss(x, t.tensor(Y), reduction="none"), (X,)),
    ("smooth_l1_loss", lambda t, f, x: f.smooth_l1_loss(x, t.tensor(Y), beta=0.5), (X,)),
    ("huber_loss", lambda t, f, x: f.huber_loss(x, t.tensor(Y), delta=0.7), (X,)),
    ("binary_cross_entropy", lambda t, f, x: f.binary_cross_entropy(x, t.tensor(P[::-1].copy())), (P,)),
    (
        "binary_cross_entropy_with_logits",
        lambda t, f, x: f.binary_cross_entropy_with_logits(x, t.tensor(P), pos_weight=t.tensor(CLASS)),
        (X,),
    ),
    ("kl_div", lambda t, f, x: f.kl_div(f.log_softmax(x, dim=1), t.tensor(P), reduction="batchmean"), (X,)),
    ("cosine_embedding_loss", lambda t, f, x, y: f.cosine_embedding_loss(x, y, t.tensor([1, -1, 1, 1, -1, -1])), (X, Y)),
    ("margin_ranking_loss", lambda t, f, x, y: f.margin_ranking_loss(x[:, 0], y[:, 0], t.tensor([1, -1, 1, 1, -1, -1])), (X, Y)),
    ("triplet_margin_loss", lambda t, f, x, y: f.triplet_margin_loss(x, y, x + 0.1 * y, margin=2.0), (X, Y)),
    ("gaussian_nll_loss", lambda t, f, x, v: f.gaussian_nll_loss(x, t.tensor(Y), v), (X, P)),
    ("poisson_nll_loss", lambda t, f, x: f.poisson_nll_loss(x, t.tensor(P)), (X,)),
    *(
        (f"multilabel_margin_loss {r}", lambda t, f, x, r=r: f.multilabel_margin_loss(x, t.tensor(SETS), reduction=r), (X,))
        for r in ("mean", "sum", "none")
    ),
    ("multilabel_margin_loss of a row", lambda t, f, x: f.multilabel_margin_loss(x, t.tensor(SETS[2])), (X[2],)),
    ("bilinear", lambda t, f, x, y, w, b: f.bilinear(x, y, w, b), (normal(2, 3, 5), normal(2, 3, 4), normal(6, 5, 4), normal(6))),
    ("rrelu", lambda t, f, x: f.rrelu(x) + f.rrelu(x, 0.2, 0.4), (X,)),
    ("unfold", lambda t, f, x: f.unfold(x, 3), (IMAGES,)),
    ("unfold more", lambda t, f, x: f.unfold(x, (3, 2), dilation=(1, 2), padding=(2, 1), stride=(2, 1)), (IMAGES,)),
    ("unfold of one", lambda t, f, x: f.unfold(x, 2, stride=2), (IMAGES[0],)),
    ("fold", lambda t, f, x: f.fold(x, (4, 5), 2), (normal(2, 12, 12),)),
    ("fold more", lambda t, f, x: f.fold(x, (7, 6), (3, 2), (1, 2), (2, 1), (2, 1)), (normal(2, 12, 30),)),
    ("fold of one", lambda t, f, x: f.fold(x, 4, 2, stride=2), (normal(8, 4),)),
]


@pytest.mark.parametrize(("f", "inputs"), [c[1:] for c in CASES], ids=[c[0] for c in CASES])
def test_values_and_gradients(f: Callable[..., Any], inputs: tuple[Any, ...]) -> None:
    theirs = [torch.tensor(x, requires_grad=True) for x in inputs]
    own = [fastnn.tensor(x, requires_grad=True) for x in inputs]
    expected, y = f(torch, torch.nn.functional, *theirs), f(fastnn, F, *own)
    assert y.dtype == "float64" and y.shape == tuple(expected.shape)
    np.testing.assert_allclose(y.detach().numpy(), expected.detach().numpy(), rtol=1e-9, atol=1e-10)
    factor = rng.standard_normal(y.shape)
    (expected * torch.tensor(factor)).sum().backward()
    (y * factor).sum().backward()
    for a, b in zip(own, theirs, strict=True):
        assert a.grad is not None
        np.testing.assert_allclose(a.grad.numpy(), b.grad.numpy(), rtol=1e-7, atol=1e-8)  # PyTorch has 1/6 in float32


def test_batch_norm_moves_the_running_mean() -> None:
    found = []
    for t, f in ((torch, torch.nn.functional), (fastnn, F)):
        mean, variance = t.zeros(4).double(), t.ones(4).double()
        f.batch_norm(t.tensor(IMAGES), mean, variance, training=True, momentum=0.3)
        found.append((mean.numpy(), variance.numpy()))
    np.testing.assert_allclose(found[1], found[0], rtol=1e-12)


def test_rrelu_in_training() -> None:
    fastnn.manual_seed(0)
    y = F.rrelu(fastnn.full((4000,), -1.0), 0.25, 0.75, training=True)
    assert -0.75 <= y.min().item() < -0.74 and -0.26 < y.max().item() <= -0.25 and abs(y.mean().item() + 0.5) < 0.02


def test_random_functions() -> None:
    fastnn.manual_seed(0)
    x = fastnn.ones(8, 500, 4)
    assert F.dropout(x, 0.3, training=False) is x and F.dropout(x, 0.0) is x
    y = F.dropout(x, 0.3)
    assert abs((y == 0).float().mean().item() - 0.3) < 0.02 and abs(y.mean().item() - 1) < 0.03
    channels = F.dropout1d(x, 0.5)
    assert set(np.unique(channels.numpy())) == {0.0, 2.0} and not (channels.std(axis=-1).numpy() > 0).any()
    soft = F.gumbel_softmax(fastnn.log(fastnn.tensor([[0.1, 0.9]] * 4000)), tau=0.5)
    assert abs((soft[:, 1] > 0.5).float().mean().item() - 0.9) < 0.02
    logits = fastnn.zeros(3, 4, requires_grad=True)
    hard = F.gumbel_softmax(logits, hard=True)
    (hard * fastnn.arange(4)).sum().backward()
    assert hard.sum(1).tolist() == pytest.approx([1.0] * 3) and logits.grad is not None and logits.grad.abs().sum().item() > 0


def test_a_captured_step() -> None:
    w = fastnn.nn.Parameter(np.zeros((3, 2), np.float32))
    x, labels = fastnn.tensor(np.eye(2, dtype=np.float32)), fastnn.tensor([0, 2])
    optimizer = fastnn.optim.SGD([w], lr=0.5)

    def step() -> Any:
        loss = F.cross_entropy(F.linear(F.relu(x), w), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    captured = fastnn.capture(step)
    losses = [captured().item() for _ in range(6)]
    assert losses == sorted(losses, reverse=True) and losses[-1] < losses[0] - 0.2


def test_one_hot_gives_whole_numbers() -> None:
    for n in (-1, 7):
        expected = torch.nn.functional.one_hot(torch.tensor(LABELS), n).numpy()
        y = F.one_hot(fastnn.tensor(LABELS), n)
        assert y.dtype == "int64" and (y.numpy() == expected).all()


ERRORS: list[tuple[Callable[[], Any], str]] = [
    (lambda: F.one_hot(fastnn.tensor([3]), 3), "one_hot: labels from 3 to 3"),
    (lambda: F.conv2d(fastnn.ones(3), fastnn.ones(1, 1, 1, 1)), r"conv2d: x has shape \(3,\)"),
    (lambda: F.conv2d(fastnn.ones(1, 1, 4, 4), fastnn.ones(1, 1, 1, 1), stride=2, padding="same"), "'same' with stride 1"),
    (lambda: F.pad(fastnn.ones(3), (1, 2, 3)), "pad: 3 widths"),
    (lambda: F.layer_norm(fastnn.ones(2, 3), (2,)), r"layer_norm: x has shape \(2, 3\)"),
    (lambda: F.group_norm(fastnn.ones(2, 3), 2), "a multiple of 2"),
    (lambda: F.batch_norm(fastnn.ones(2, 3), None, None), "running_mean"),
    (lambda: F.dropout(fastnn.ones(2), 1.5), "dropout: p is 1.5"),
    (lambda: F.dropout2d(fastnn.ones(2)), "dropout2d: x has shape"),
    (lambda: F.embedding(fastnn.tensor([0]), fastnn.ones(2, 2), max_norm=1.0), "max_norm"),
]


@pytest.mark.parametrize(("f", "words"), ERRORS, ids=[c[1][:20] for c in ERRORS])
def test_errors(f: Callable[[], Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        f()
