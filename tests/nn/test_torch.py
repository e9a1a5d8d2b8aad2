"""Agreement with PyTorch, where it is installed: values, gradients, losses, initial values, optimizers, names."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import fastnn
import fastnn.nn as nn

torch: Any = pytest.importorskip("torch", reason="PyTorch is not installed")
F = torch.nn.functional if torch else None
rng = np.random.default_rng(0)


def close(a: Any, b: Any, rtol: float = 1e-10, atol: float = 1e-12) -> None:
    a = a.numpy() if isinstance(a, fastnn.Tensor) else a
    np.testing.assert_allclose(a, b.detach().numpy() if isinstance(b, torch.Tensor) else b, rtol=rtol, atol=atol)


def both(f: Callable[..., Any], g: Callable[..., Any], *arrays: np.ndarray) -> None:
    """f on Tensors and g on torch's: equal values, and equal gradients of a random combination of them."""
    ours = [fastnn.tensor(a, requires_grad=a.dtype.kind == "f") for a in arrays]
    theirs = [torch.tensor(a, requires_grad=a.dtype.kind == "f") for a in arrays]
    y, z = f(*ours), g(*theirs)
    close(y, z)
    w = rng.standard_normal(y.shape)
    y.backward(fastnn.tensor(w))
    z.backward(torch.tensor(w).reshape(z.shape))
    for a, b in zip(ours, theirs, strict=True):
        if a.requires_grad:
            close(a.grad, b.grad)


EDGES = np.array([[-1e4, -50.0, -1.0, -0.0], [0.0, 1e-30, 1.0, 1e4]])

ACTIVATIONS: dict[str, tuple[Callable[..., Any], Callable[..., Any]]] = {
    "relu": (fastnn.relu, lambda t: t.relu()),
    "leaky_relu": (lambda t: fastnn.leaky_relu(t, 0.1), lambda t: F.leaky_relu(t, 0.1)),
    "sigmoid": (fastnn.sigmoid, lambda t: t.sigmoid()),
    "tanh": (fastnn.tanh, lambda t: t.tanh()),
    "gelu": (fastnn.gelu, lambda t: F.gelu(t)),
    "gelu tanh": (lambda t: fastnn.gelu(t, "tanh"), lambda t: F.gelu(t, approximate="tanh")),
    "softmax": (fastnn.softmax, lambda t: t.softmax(-1)),
    "log_softmax": (fastnn.log_softmax, lambda t: t.log_softmax(-1)),
}


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activations(name: str) -> None:
    f, g = ACTIVATIONS[name]
    both(f, g, rng.standard_normal((5, 7)) * 3)
    if name != "gelu tanh":  # its derivative at +-1e4 is 0 times infinity in PyTorch
        both(f, g, EDGES)


def test_activations_pass_nan_and_infinity_like_torch() -> None:
    x = np.array([[np.nan, np.inf, -np.inf, 1.0]])
    for name, (f, g) in ACTIVATIONS.items():
        a, b = f(fastnn.tensor(x)).numpy(), g(torch.tensor(x)).numpy()
        if name.startswith("gelu"):  # gelu(-inf) is the limit 0 here, NaN in PyTorch
            a, b = a[:, [0, 1, 3]], b[:, [0, 1, 3]]
        np.testing.assert_allclose(a, b, err_msg=name)


def test_linear_and_its_gradients() -> None:
    layer = nn.Linear(5, 3, dtype="float64")
    other = torch.nn.Linear(5, 3, dtype=torch.float64)
    other.load_state_dict({k: torch.tensor(v) for k, v in layer.state_dict().items()})
    x = rng.standard_normal((4, 6, 5))
    (layer(fastnn.tensor(x)) ** 2).sum().backward()
    (other(torch.tensor(x)) ** 2).sum().backward()
    close(layer.weight.grad, other.weight.grad)
    close(layer.bias.grad, other.bias.grad)


def test_names_and_shapes_of_a_state_dict() -> None:
    ours = fastnn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2, bias=False))
    theirs = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 2, bias=False))
    assert {k: v.shape for k, v in ours.state_dict().items()} == {k: tuple(v.shape) for k, v in theirs.state_dict().items()}
    assert [n for n, _ in ours.named_parameters()] == [n for n, _ in theirs.named_parameters()]
    assert [p.shape for p in ours.parameters()] == [tuple(p.shape) for p in theirs.parameters()]
    ours.load_state_dict({k: v.numpy() for k, v in theirs.state_dict().items()})
    x = rng.standard_normal((3, 4)).astype(np.float32)
    close(ours(x), theirs(torch.tensor(x)), rtol=1e-5, atol=1e-6)


def test_initial_values_of_linear() -> None:
    fastnn.seed(0)
    layer = nn.Linear(400, 300)
    other = torch.nn.Linear(400, 300)
    for a, b in ((layer.weight.numpy(), other.weight), (layer.bias.numpy(), other.bias)):
        b = b.detach().numpy()
        assert a.min() >= -0.05 and a.max() <= 0.05
        assert a.std() == pytest.approx(b.std(), rel=0.1)


WEIGHT = rng.uniform(0.5, 2.0, 4)
CE: list[dict[str, Any]] = [
    {},
    {"reduction": "sum"},
    {"reduction": "none"},
    {"weight": WEIGHT},
    {"weight": WEIGHT, "reduction": "none"},
    {"ignore_index": 1},
    {"ignore_index": 1, "weight": WEIGHT},
    {"label_smoothing": 0.2},
    {"label_smoothing": 0.2, "weight": WEIGHT, "ignore_index": 2},
    {"label_smoothing": 0.1, "reduction": "sum"},
]


def _torch_kwargs(kwargs: dict[str, Any]) -> dict[str, Any]:
    return {k: torch.tensor(v) if isinstance(v, np.ndarray) else v for k, v in kwargs.items()}


@pytest.mark.parametrize("kwargs", CE, ids=str)
def test_cross_entropy(kwargs: dict[str, Any]) -> None:
    loss, other = nn.CrossEntropyLoss(**kwargs), torch.nn.CrossEntropyLoss(**_torch_kwargs(kwargs))
    labels = rng.integers(0, 4, 9)
    labels[0] = 1
    logits = rng.standard_normal((9, 4)) * 3
    both(lambda x: loss(x, labels), lambda x: other(x, torch.tensor(labels)), logits)
    deep = rng.standard_normal((3, 4, 2, 5))
    deep_labels = rng.integers(0, 4, (3, 2, 5))
    both(lambda x: loss(x, deep_labels), lambda x: other(x, torch.tensor(deep_labels)), deep)
    both(lambda x: loss(x, labels[1]), lambda x: other(x, torch.tensor(labels[1])), logits[1])
    big = np.array([[1e4, -1e4, 0.0, 5.0], [-1e4, -1e4, -1e4, -1e4]])
    both(lambda x: loss(x, labels[:2]), lambda x: other(x, torch.tensor(labels[:2])), big)
    if "ignore_index" not in kwargs:
        p = rng.dirichlet(np.ones(4), 9)
        both(lambda x: loss(x, fastnn.tensor(p)), lambda x: other(x, torch.tensor(p)), logits)


@pytest.mark.skipif(not hasattr(torch.nn, "LinearCrossEntropyLoss"), reason="this PyTorch has no LinearCrossEntropyLoss")
@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("kwargs", CE, ids=str)
def test_linear_cross_entropy(kwargs: dict[str, Any], bias: bool, chunked: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if chunked:
        monkeypatch.setattr(fastnn.ops.loss, "CHUNK_BYTES", 0)
        monkeypatch.setattr(fastnn.ops.loss, "CHUNK_ROWS", 2)
    loss = nn.LinearCrossEntropyLoss(5, 4, bias=bias, dtype="float64", **kwargs)
    other = torch.nn.LinearCrossEntropyLoss(5, 4, bias=bias, dtype=torch.float64, **_torch_kwargs(kwargs))
    other.load_state_dict({k: torch.tensor(v) for k, v in loss.state_dict().items()}, strict=False)  # its class weights are there
    labels = rng.integers(0, 4, 9)
    labels[0] = 1
    for x, y in ((rng.standard_normal((9, 5)), labels), (1e3 * rng.standard_normal((9, 5)), labels), (np.ones(5), labels[1])):
        for module in (loss, other):
            module.zero_grad()
        both(lambda t, y=y: loss(t, y), lambda t, y=y: other(t, torch.tensor(y)), x)
        for (name, p), (_, q) in zip(loss.named_parameters(), other.named_parameters(), strict=True):
            np.testing.assert_allclose(p.grad.numpy(), q.grad.numpy(), rtol=1e-10, atol=1e-10, err_msg=name)


@pytest.mark.parametrize(
    "kwargs",
    [{}, {"reduction": "sum"}, {"reduction": "none"}, {"pos_weight": WEIGHT}, {"pos_weight": WEIGHT[:1]}, {"weight": WEIGHT}],
    ids=str,
)
def test_bce_with_logits(kwargs: dict[str, Any]) -> None:
    loss, other = nn.BCEWithLogitsLoss(**kwargs), torch.nn.BCEWithLogitsLoss(**_torch_kwargs(kwargs))
    t = rng.integers(0, 2, (6, 4)).astype(float)
    both(lambda x: loss(x, t), lambda x: other(x, torch.tensor(t)), rng.standard_normal((6, 4)) * 4)
    both(lambda x: loss(x, t[:2]), lambda x: other(x, torch.tensor(t[:2])), EDGES)


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_mse(reduction: str) -> None:
    both(
        nn.MSELoss(reduction=reduction),
        torch.nn.MSELoss(reduction=reduction),
        rng.standard_normal((5, 3)),
        rng.standard_normal((5, 3)),
    )


OPTIMIZERS: dict[str, tuple[Callable[..., Any], Callable[..., Any]]] = {
    "sgd": (lambda p: fastnn.optim.SGD(p, lr=0.1), lambda p: torch.optim.SGD(p, lr=0.1)),
    "momentum": (
        lambda p: fastnn.optim.SGD(p, lr=0.05, momentum=0.9, dampening=0.3, weight_decay=0.1),
        lambda p: torch.optim.SGD(p, lr=0.05, momentum=0.9, dampening=0.3, weight_decay=0.1),
    ),
    "nesterov": (
        lambda p: fastnn.optim.SGD(p, lr=0.05, momentum=0.9, nesterov=True),
        lambda p: torch.optim.SGD(p, lr=0.05, momentum=0.9, nesterov=True),
    ),
    "adam": (lambda p: fastnn.optim.Adam(p, lr=0.02), lambda p: torch.optim.Adam(p, lr=0.02)),
    "adam l2": (
        lambda p: fastnn.optim.Adam(p, lr=0.02, betas=(0.8, 0.95), weight_decay=0.1),
        lambda p: torch.optim.Adam(p, lr=0.02, betas=(0.8, 0.95), weight_decay=0.1),
    ),
    "adamw": (
        lambda p: fastnn.optim.AdamW(p, lr=0.02, weight_decay=0.3),
        lambda p: torch.optim.AdamW(p, lr=0.02, weight_decay=0.3),
    ),
}


def models() -> tuple[Any, Any]:
    ours = fastnn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, 3), dtype="float64")
    theirs = torch.nn.Sequential(torch.nn.Linear(4, 6), torch.nn.Tanh(), torch.nn.Linear(6, 3)).double()
    theirs.load_state_dict({k: torch.tensor(v) for k, v in ours.state_dict().items()})
    return ours, theirs


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_fifty_steps_of_each_optimizer(name: str) -> None:
    ours, theirs = models()
    a, b = (make(m.parameters()) for make, m in zip(OPTIMIZERS[name], (ours, theirs), strict=True))
    x, y = rng.standard_normal((16, 4)), rng.standard_normal((16, 3))
    for _ in range(50):
        for optimizer, model, loss, tensor in (
            (a, ours, nn.MSELoss(), fastnn.tensor),
            (b, theirs, torch.nn.MSELoss(), torch.tensor),
        ):
            optimizer.zero_grad()
            loss(model(tensor(x)), tensor(y)).backward()
            optimizer.step()
    for p, q in zip(ours.parameters(), theirs.parameters(), strict=True):
        close(p.numpy(), q, rtol=1e-9)


def test_optimizers_skip_what_has_no_gradient_as_torch_does() -> None:
    ours, theirs = models()
    a, b = fastnn.optim.Adam(ours.parameters(), lr=0.05), torch.optim.Adam(theirs.parameters(), lr=0.05)
    x = rng.standard_normal((5, 4))
    for i in range(6):
        for optimizer, model, tensor in ((a, ours, fastnn.tensor), (b, theirs, torch.tensor)):
            optimizer.zero_grad()
            h = model[0](tensor(x))
            out = model[2](h) if i % 2 else h  # every other step leaves the last layer out
            (out * out).sum().backward()
            optimizer.step()
    for p, q in zip(ours.parameters(), theirs.parameters(), strict=True):
        close(p.numpy(), q)


def test_clipping_by_global_norm() -> None:
    ours, theirs = models()
    a, b = fastnn.optim.SGD(ours.parameters(), lr=0.1, global_clipnorm=0.5), torch.optim.SGD(theirs.parameters(), lr=0.1)
    x = rng.standard_normal((5, 4)) * 10
    (ours(fastnn.tensor(x)) ** 2).sum().backward()
    a.step()
    (theirs(torch.tensor(x)) ** 2).sum().backward()
    torch.nn.utils.clip_grad_norm_(theirs.parameters(), 0.5)
    b.step()
    for p, q in zip(ours.parameters(), theirs.parameters(), strict=True):
        close(p.numpy(), q)


def test_tensor_operations() -> None:
    a, b = rng.standard_normal((3, 4)), rng.uniform(0.5, 2, (3, 4))
    index = rng.integers(0, 4, (3, 2))
    both(lambda x, y: x.gather(1, index) * y[:, :2], lambda x, y: x.gather(1, torch.tensor(index)) * y[:, :2], a, b)
    both(lambda x, y: fastnn.maximum(x, y) + y**x, lambda x, y: torch.maximum(x, y) + y**x, a, b)
    both(lambda x, y: (x.abs().sqrt() / y).log(), lambda x, y: (x.abs().sqrt() / y).log(), a, b)
    both(lambda x, y: fastnn.where(x > y, x, y).clip(-1, 1), lambda x, y: torch.where(x > y, x, y).clip(-1, 1), a, b)
    both(lambda x, y: x.mean(0) + y.sum(1).max(), lambda x, y: x.mean(0) + y.sum(1).max(), a, b)
    both(lambda x, y: x.unsqueeze(0).transpose(1, 2) @ y[:, :2], lambda x, y: x.unsqueeze(0).transpose(1, 2) @ y[:, :2], a, b)
    both(lambda x, y: fastnn.stack([x, y]).mean((0, 2)), lambda x, y: torch.stack([x, y]).mean((0, 2)), a, b)
    both(lambda x, y: fastnn.concatenate([x, y], 1)[:, 1:-1:2], lambda x, y: torch.cat([x, y], 1)[:, 1:-1:2], a, b)


def test_a_softmax_before_cross_entropy_warns_once() -> None:
    x = fastnn.tensor(rng.standard_normal((2, 3)), requires_grad=True)
    with pytest.warns(UserWarning, match="takes logits"):
        nn.CrossEntropyLoss()(fastnn.softmax(x), [0, 1])
