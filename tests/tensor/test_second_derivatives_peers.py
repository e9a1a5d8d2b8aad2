"""What second derivatives are used for, against PyTorch: gradient penalties, Hessians, equations, steps of MAML."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import fastnn

torch = pytest.importorskip("torch")

rng = np.random.default_rng(0)
X = rng.standard_normal((5, 2))


def pair(make: Callable[[Any], Any], x: np.ndarray) -> tuple[Any, Any]:
    """Return the same model, in float64, of fastnn and of PyTorch."""
    theirs = make(torch.nn).double()
    ours = make(fastnn.nn)
    ours.set_dtype("float64")
    ours.load_state_dict({name: value.numpy() for name, value in theirs.state_dict().items()})
    np.testing.assert_allclose(ours(fastnn.tensor(x)).numpy(), theirs(torch.tensor(x)).detach().numpy(), atol=1e-10)
    return ours, theirs


def mlp(nn: Any) -> Any:
    return nn.Sequential(nn.Linear(2, 8), nn.Tanh(), nn.Linear(8, 8), nn.LeakyReLU(0.2), nn.Linear(8, 1))


def compare(ours: Any, theirs: Any) -> None:
    for mine, own in zip(ours.parameters(), theirs.parameters(), strict=True):
        wanted = np.zeros(own.shape) if own.grad is None else own.grad.detach().numpy()
        found = np.zeros(own.shape) if mine.grad is None else mine.grad.numpy()
        np.testing.assert_allclose(found, wanted, rtol=1e-7, atol=1e-9)


def test_gradient_penalty_of_wasserstein_gans() -> None:
    ours, theirs = pair(mlp, X)
    share = rng.random((5, 1))
    mixed = share * X + (1 - share) * X[::-1]

    def loss(lib: Any, grad: Any, net: Any) -> Any:
        x = lib.tensor(mixed, requires_grad=True)
        y = net(x)
        (dx,) = grad(y, x, grad_outputs=lib.ones_like(y), create_graph=True, retain_graph=True)
        return y.mean() + 10 * ((dx.norm(2, dim=1) - 1) ** 2).mean()

    mine, own = loss(fastnn, fastnn.grad, ours), loss(torch, torch.autograd.grad, theirs)
    assert mine.item() == pytest.approx(own.item(), rel=1e-9)
    mine.backward()
    own.backward()
    compare(ours, theirs)


def test_penalty_of_real_images() -> None:
    images = rng.standard_normal((3, 2, 6, 6))

    def make(nn: Any) -> Any:
        return nn.Sequential(
            nn.Conv2d(2, 4, 3, padding=1), nn.LeakyReLU(0.2), nn.AvgPool2d(2), nn.Conv2d(4, 4, 3, stride=2), nn.SiLU(),
            nn.Flatten(), nn.Linear(4, 1),
        )  # fmt: skip

    ours, theirs = pair(make, images)
    x, t = fastnn.tensor(images, requires_grad=True), torch.tensor(images, requires_grad=True)
    (dx,) = fastnn.grad(ours(x).sum(), x, create_graph=True)
    (dt,) = torch.autograd.grad(theirs(t).sum(), t, create_graph=True)
    dx.square().sum((1, 2, 3)).mean().backward()
    dt.square().sum((1, 2, 3)).mean().backward()
    compare(ours, theirs)


def test_equation_of_second_order() -> None:
    ours, theirs = pair(mlp, X)

    def residual(lib: Any, grad: Any, net: Any) -> Any:
        x = lib.tensor(X, requires_grad=True)
        u = net(x)
        (du,) = grad(u.sum(), x, create_graph=True)
        (by_x,) = grad(du[:, 0].sum(), x, create_graph=True)
        return (by_x[:, 0] + 0.3 * du[:, 1] * u[:, 0]).square().mean()

    residual(fastnn, fastnn.grad, ours).backward()
    residual(torch, torch.autograd.grad, theirs).backward()
    compare(ours, theirs)


def test_hessian_of_the_input() -> None:
    ours, theirs = pair(mlp, X)
    x = fastnn.tensor(X[:1], requires_grad=True)
    (dx,) = fastnn.grad(ours(x).sum(), x, create_graph=True)
    rows = [fastnn.grad(dx[0, i], x, retain_graph=True)[0].numpy()[0] for i in range(2)]
    wanted = torch.autograd.functional.hessian(lambda t: theirs(t[None]).sum(), torch.tensor(X[0]))
    np.testing.assert_allclose(rows, wanted.numpy(), atol=1e-10)


@pytest.mark.filterwarnings("ignore:Using backward")  # PyTorch warns of the cycle that the test breaks at its end
def test_backward_with_a_graph() -> None:
    ours, theirs = pair(mlp, X)
    for tensor, net in ((fastnn.tensor, ours), (torch.tensor, theirs)):
        net(tensor(X)).square().sum().backward(create_graph=True)
        size = sum(p.grad.square().sum() for p in net.parameters())
        size.backward()  # adds to the gradients, as in PyTorch
    compare(ours, theirs)
    for p in theirs.parameters():
        p.grad = None  # PyTorch's graph would keep itself alive


def test_step_of_maml() -> None:
    weights = [rng.standard_normal(shape) for shape in ((2, 6), (6,), (6, 1))]
    labels = rng.standard_normal((5, 1))

    def meta_gradients(lib: Any, grad: Any) -> list[np.ndarray]:
        x, y = lib.tensor(X), lib.tensor(labels)
        slow = [lib.tensor(w, requires_grad=True) for w in weights]

        def loss(w: Any) -> Any:
            return (((x @ w[0] + w[1]).sigmoid() @ w[2] - y) ** 2).mean()

        fast = slow
        for _ in range(2):
            steps = grad(loss(fast), fast, create_graph=True)
            fast = [w - 0.1 * g for w, g in zip(fast, steps, strict=True)]
        return [g.numpy() for g in grad(loss(fast), slow)]

    for mine, own in zip(meta_gradients(fastnn, fastnn.grad), meta_gradients(torch, torch.autograd.grad), strict=True):
        np.testing.assert_allclose(mine, own, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(
    "name", ["relu", "elu", "selu", "silu", "mish", "gelu", "softplus", "softsign", "logsigmoid", "tanhshrink"]
)
def test_functions_at_zero_and_far_away(name: str) -> None:
    at = np.array([-40.0, -1e-9, 0.0, 1e-9, 3.0, 40.0])
    own = {"logsigmoid": "log_sigmoid", "tanhshrink": "tanh_shrink"}.get(name, name)
    found = []
    for lib, grad, f in (
        (fastnn, fastnn.grad, getattr(fastnn, own)),
        (torch, torch.autograd.grad, getattr(torch.nn.functional, name)),
    ):
        x = lib.tensor(at, requires_grad=True)
        (dx,) = grad(f(x).sum(), x, create_graph=True)
        (ddx,) = grad((dx * dx).sum(), x)
        found.append(ddx.numpy())
    if name == "softsign":
        found[1][2] = found[0][2]  # PyTorch's second derivative is -2 there, that of fastnn 0, the mean of both sides
    np.testing.assert_allclose(*found, rtol=1e-6, atol=1e-12)
