"""Agreement of the losses of fastnn.nn with PyTorch's: values and gradients, every reduction, weights and edges."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import fastnn
import fastnn.nn as nn

torch: Any = pytest.importorskip("torch", reason="PyTorch is not installed")
rng = np.random.default_rng(0)
Shape = tuple[int, ...]
Make = Callable[[Shape], np.ndarray]

SHAPES: list[Shape] = [(5, 3), (7,), (2, 3, 4)]
WEIGHT = rng.uniform(0.5, 2.0, 4)


def normal(shape: Shape) -> np.ndarray:
    return 2 * rng.standard_normal(shape)


def between(low: float, high: float) -> Make:
    return lambda shape: rng.uniform(low, high, shape)


def log_probability(shape: Shape) -> np.ndarray:
    return np.log(rng.uniform(0.01, 0.99, shape))


def signs(shape: Shape) -> np.ndarray:
    return rng.choice([-1.0, 1.0], shape)


def bits(shape: Shape) -> np.ndarray:
    return rng.integers(0, 2, shape).astype(float)


# (name, arguments, inputs, targets, whether the target has a gradient)
ELEMENTS: list[tuple[str, dict[str, Any], Make, Make, bool]] = [
    ("MSELoss", {}, normal, normal, True),
    ("L1Loss", {}, normal, normal, True),
    ("SmoothL1Loss", {}, normal, normal, True),
    ("SmoothL1Loss", {"beta": 0.3}, normal, normal, True),
    ("SmoothL1Loss", {"beta": 0.0}, normal, normal, True),
    ("HuberLoss", {"delta": 0.7}, normal, normal, True),
    ("BCELoss", {}, between(0.01, 0.99), bits, False),
    ("BCELoss", {}, between(0.01, 0.99), between(0, 1), False),
    ("BCEWithLogitsLoss", {}, normal, bits, False),
    ("BCEWithLogitsLoss", {}, normal, between(0, 1), False),
    ("KLDivLoss", {}, log_probability, between(0.1, 0.9), False),
    ("KLDivLoss", {}, log_probability, bits, False),
    ("KLDivLoss", {"log_target": True}, log_probability, log_probability, False),
    ("PoissonNLLLoss", {}, normal, between(0, 5), False),
    ("PoissonNLLLoss", {"full": True}, normal, between(0, 5), False),
    ("PoissonNLLLoss", {"log_input": False, "full": True, "eps": 1e-3}, between(0, 5), between(0, 5), False),
    ("HingeEmbeddingLoss", {"margin": 0.5}, normal, signs, False),
    ("SoftMarginLoss", {}, normal, signs, False),
    ("MultiLabelSoftMarginLoss", {}, normal, bits, False),
]


def pair(name: str, kwargs: dict[str, Any]) -> tuple[Any, Any]:
    theirs = {k: torch.tensor(v) if isinstance(v, np.ndarray) else v for k, v in kwargs.items()}
    return getattr(nn, name)(**kwargs), getattr(torch.nn, name)(**theirs)


def agree(
    loss: Any, other: Any, arrays: list[np.ndarray], grads: list[bool], constants: tuple[Any, ...] = (), rtol: float = 1e-10
) -> None:
    """Equal values, and equal gradients of a random combination of them."""
    ours = [fastnn.tensor(a, requires_grad=g) for a, g in zip(arrays, grads, strict=True)]
    theirs = [torch.tensor(a, requires_grad=g) for a, g in zip(arrays, grads, strict=True)]
    y, z = loss(*ours, *constants), other(*theirs, *(torch.tensor(c) for c in constants))
    assert y.shape == tuple(z.shape)
    np.testing.assert_allclose(y.numpy(), z.detach().numpy(), rtol=1e-10, atol=1e-12)
    w = rng.standard_normal(y.shape)
    y.backward(w)
    z.backward(torch.tensor(w).reshape(z.shape))
    for a, b in zip(ours, theirs, strict=True):
        if a.requires_grad:
            np.testing.assert_allclose(a.grad.numpy(), b.grad.numpy(), rtol=rtol, atol=1e-12)


@pytest.mark.filterwarnings("ignore:reduction:UserWarning")
@pytest.mark.parametrize("reduction", ["mean", "sum", "none", "batchmean"])
@pytest.mark.parametrize(
    ("name", "kwargs", "inputs", "targets", "by_target"), ELEMENTS, ids=lambda v: v if type(v) is str else ""
)
def test_elements(name: str, kwargs: dict[str, Any], inputs: Make, targets: Make, by_target: bool, reduction: str) -> None:
    if reduction == "batchmean" and name != "KLDivLoss":
        with pytest.raises(ValueError, match=f"{name}: reduction='batchmean', wanted 'mean', 'sum' or 'none'"):
            getattr(nn, name)(reduction=reduction)
        return
    loss, other = pair(name, {**kwargs, "reduction": reduction})
    for shape in SHAPES:
        agree(loss, other, [inputs(shape), targets(shape)], [True, by_target])


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("name", ["BCELoss", "BCEWithLogitsLoss"])
@pytest.mark.parametrize("shape", [(4,), (6, 4), (6, 1), (1,)], ids=str)
def test_weights_of_elements(name: str, shape: Shape, reduction: str) -> None:
    inputs, targets = rng.uniform(0.1, 0.9, (6, 4)), rng.uniform(0, 1, (6, 4))
    options: list[dict[str, Any]] = [{"weight": rng.uniform(0.5, 2, shape)}]
    if name == "BCEWithLogitsLoss":
        options += [{"pos_weight": WEIGHT}, {"pos_weight": WEIGHT[:1]}, {**options[0], "pos_weight": WEIGHT}]
    for kwargs in options:
        agree(*pair(name, {**kwargs, "reduction": reduction}), [inputs, targets], [True, False])


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_a_weight_for_each_class_of_multi_label(reduction: str) -> None:
    for weight in (None, WEIGHT):
        agree(
            *pair("MultiLabelSoftMarginLoss", {"weight": weight, "reduction": reduction}),
            [normal((6, 4)), bits((6, 4))],
            [True, False],
        )


NLL: list[dict[str, Any]] = [{}, {"weight": WEIGHT}, {"ignore_index": 1}, {"ignore_index": 1, "weight": WEIGHT}]


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("kwargs", NLL, ids=lambda k: "-".join(k) or "plain")
@pytest.mark.parametrize("made_by", ["log_softmax", "given"])
def test_nll(made_by: str, kwargs: dict[str, Any], reduction: str) -> None:
    loss, other = pair("NLLLoss", {**kwargs, "reduction": reduction})
    labels = np.array([1, 0, 2, 3, 3, 1])
    first: tuple[Any, Any] = (
        (fastnn.log_softmax, lambda t: t.log_softmax(-1)) if made_by == "log_softmax" else (lambda t: t, lambda t: t)
    )
    agree(lambda x: loss(first[0](x), labels), lambda x: other(first[1](x), torch.tensor(labels)), [normal((6, 4))], [True])
    agree(loss, other, [normal((4,))], [True], (np.array(2),))
    agree(loss, other, [normal((2, 4, 3))], [True], (labels.reshape(2, 3),))


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("kwargs", [{}, {"p": 2}, {"margin": 0.4}, {"weight": WEIGHT}, {"p": 2, "weight": WEIGHT}], ids=str)
def test_multi_margin(kwargs: dict[str, Any], reduction: str) -> None:
    loss, other = pair("MultiMarginLoss", {**kwargs, "reduction": reduction})
    agree(loss, other, [normal((6, 4))], [True], (np.array([1, 0, 2, 3, 3, 1]),))
    agree(loss, other, [normal((4,))], [True], (np.array(2),))


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_pairs(reduction: str) -> None:
    for kwargs in ({}, {"margin": 0.4}):
        for shape in SHAPES:
            loss, other = pair("MarginRankingLoss", {**kwargs, "reduction": reduction})
            agree(loss, other, [normal(shape), normal(shape), signs(shape)], [True, True, False])
        loss, other = pair("CosineEmbeddingLoss", {**kwargs, "reduction": reduction})
        agree(loss, other, [normal((5, 3)), normal((5, 3)), signs((5,))], [True, True, False])
        agree(loss, other, [normal((3,)), normal((3,)), signs(())], [True, True, False])


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("kwargs", [{}, {"p": 1}, {"p": 3}, {"swap": True}, {"margin": 2.5, "eps": 1e-3}], ids=str)
def test_triplets(kwargs: dict[str, Any], reduction: str) -> None:
    loss, other = pair("TripletMarginLoss", {**kwargs, "reduction": reduction})
    for shape in ((6, 4), (4,)):
        agree(loss, other, [normal(shape) for _ in range(3)], [True] * 3)


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("kwargs", [{}, {"full": True}, {"eps": 0.5}], ids=str)
def test_gaussian_nll(kwargs: dict[str, Any], reduction: str) -> None:
    loss, other = pair("GaussianNLLLoss", {**kwargs, "reduction": reduction})
    for shape, var in (((5, 3), (5, 3)), ((5, 3), (5, 1)), ((5, 3), (5,)), ((7,), (7,)), ((2, 3, 4), (2, 3, 4))):
        agree(loss, other, [normal(shape), normal(shape), rng.uniform(0.1, 2, var)], [True, False, True])


@pytest.mark.parametrize(
    ("name", "kwargs", "inputs", "targets", "by_target"), ELEMENTS, ids=lambda v: v if type(v) is str else ""
)
def test_large_inputs(name: str, kwargs: dict[str, Any], inputs: Make, targets: Make, by_target: bool) -> None:
    """Finite and as PyTorch where that is: its soft margin overflows."""
    x = np.array([-1e4, -50.0, -1.0, 0.0, 1.0, 50.0, 1e4])
    if name in ("BCELoss", "PoissonNLLLoss", "SoftMarginLoss"):
        x = np.clip(x, 0, 1) if name == "BCELoss" else np.clip(x, 1e-3, 600)
    rtol = 1e-8 if name == "BCELoss" else 1e-10  # PyTorch divides by 1e-12 in float32
    agree(*pair(name, {**kwargs, "reduction": "none"}), [x, targets(x.shape)], [True, False], rtol=rtol)


def test_probabilities_of_exactly_0_and_1() -> None:
    for t in ([0.0, 1.0, 0.0, 1.0, 0.5, 0.5], [1.0] * 6):
        p = np.array([0.0, 0.0, 1.0, 1.0, 0.0, 1.0])
        agree(*pair("BCELoss", {"reduction": "none"}), [p, np.array(t)], [True, False], rtol=1e-8)


def test_nan_passes_through() -> None:
    for name, kwargs, inputs, targets, _ in ELEMENTS:
        x, t = inputs((4, 3)), targets((4, 3))
        t[1, 1] = 1.0  # with a target of 0 the divergence has nothing to do with its input
        x[1, 1] = np.nan
        got = getattr(nn, name)(**kwargs, reduction="none")(fastnn.tensor(x), t).numpy()
        wrong = np.isnan(got) if got.ndim == 1 else np.isnan(got).any(1)
        assert wrong.tolist() == [False, True, False, False], name


LABELS = np.array([0, 2, 1, 0, 2, 1])
MASKED: list[tuple[Any, Any]] = [
    (lambda **given: nn.MSELoss(**given), np.linspace(0, 1, 18, dtype="f").reshape(6, 3)),
    (lambda **given: nn.KLDivLoss(**given), np.linspace(0.1, 1, 18, dtype="f").reshape(6, 3)),
    (lambda **given: nn.CrossEntropyLoss(weight=[1.0, 2.0, 3.0], ignore_index=1, **given), LABELS),
    (lambda **given: nn.LinearCrossEntropyLoss(3, 3, **given), LABELS),
]


@pytest.mark.parametrize("make, target", MASKED)
def test_a_mask_leaves_elements_out_of_sums_and_means(make: Any, target: Any) -> None:
    x = fastnn.tensor(np.linspace(-1, 1, 18, dtype="f").reshape(6, 3), requires_grad=True)
    mask = np.array([True, False, True, False, True, True])
    for weight in (None, np.arange(1, 7)):
        some = None if weight is None else weight[mask]
        for reduction in ("mean", "sum"):
            loss = make(reduction=reduction)
            got = loss(x, target, weight, mask)
            want = loss(x[mask], target[mask], some)
            assert got.item() == pytest.approx(want.item(), rel=1e-6)
        loss = make(reduction="none")
        np.testing.assert_allclose(
            loss(x, target, weight, mask).numpy()[mask], loss(x[mask], target[mask], some).numpy(), rtol=1e-6
        )
        assert not loss(x, target, weight, mask).numpy()[~mask].any()
    nothing = make()(x, target, mask=np.zeros(6, bool))
    nothing.backward()
    assert nothing.item() == 0.0 and not x.grad.numpy().any()
    with pytest.raises(ValueError, match=rf"{type(make()).__name__}: mask has shape \(5,\); wanted"):
        make()(x, target, mask=mask[:5])


def test_a_mask_of_a_loss_that_overrides_forward_is_refused() -> None:
    class Own(nn.MSELoss):
        def forward(self, input: Any, target: Any, sample_weight: Any = None) -> Any:
            return super().forward(input, target, sample_weight) * 2

    assert Own()([1.0], [0.0]).item() == 2.0
    with pytest.raises(TypeError, match="Own: mask came, but the class overrides forward"):
        Own()([1.0], [0.0], mask=[True])
