"""fastnn.autograd.functional against PyTorch."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import fastnn
from fastnn.autograd import functional

torch = pytest.importorskip("torch")

rng = np.random.default_rng(0)
X, Y = rng.standard_normal((2, 2, 3))
V = rng.standard_normal((2, 3))


def one(x: Any) -> Any:
    return (x * x).tanh().sum(1)


def two(x: Any, y: Any) -> Any:
    return x * y.sin(), (x.exp() * y).sum()


def number(x: Any, y: Any) -> Any:
    return (x * x * y).sum() + (y * y * y).sum()


def flat(value: Any) -> list[np.ndarray]:
    return [a for part in value for a in flat(part)] if isinstance(value, tuple) else [value.detach().numpy()]


CASES: list[tuple[str, Any, tuple[np.ndarray, ...], Any]] = [
    ("jacobian", one, (X,), None),
    ("jacobian", two, (X, Y), None),
    ("hessian", lambda x: (x * x * x).sum(), (X,), None),
    ("hessian", number, (X, Y), None),
    ("vjp", one, (X,), (V[:, 0],)),
    ("vjp", two, (X, Y), (V, np.array(2.0))),
    ("jvp", one, (X,), (V,)),
    ("jvp", two, (X, Y), (V, 2 * V)),
    ("vhp", number, (X, Y), (V, 2 * V)),
    ("hvp", number, (X, Y), (V, 2 * V)),
]


@pytest.mark.parametrize(("name", "func", "inputs", "v"), CASES)
@pytest.mark.parametrize("create_graph", [False, True])
def test_as_in_pytorch(name: str, func: Any, inputs: Any, v: Any, create_graph: bool) -> None:
    found = []
    for lib, module in ((fastnn, functional), (torch, torch.autograd.functional)):

        def own(arrays: Any, lib: Any = lib) -> Any:
            made = tuple(map(lib.tensor, arrays))
            return made if len(made) > 1 else made[0]

        more = () if v is None else (own(v),)
        found.append(getattr(module, name)(func, own(inputs), *more, create_graph=create_graph))
    for mine, theirs in zip(*map(flat, found), strict=True):
        assert mine.shape == theirs.shape
        np.testing.assert_allclose(mine, theirs, rtol=1e-9, atol=1e-12)


def test_results_have_gradients() -> None:
    x = fastnn.tensor(X, requires_grad=True)
    trace = functional.hessian(lambda x: (x**4).sum(), x, create_graph=True).sum()
    (dx,) = fastnn.grad(trace, x)
    np.testing.assert_allclose(dx.numpy(), 24 * X)
    assert not functional.hessian(lambda x: (x**4).sum(), x).requires_grad
    assert functional.jacobian(lambda x: fastnn.ones(2), x).tolist() == np.zeros((2, 2, 3)).tolist()


def test_wrong_functions_and_inputs() -> None:
    x = fastnn.tensor(X)
    with pytest.raises(ValueError, match=r"hessian: the function returned shape \(2, 3\), wanted a Tensor with one element"):
        functional.hessian(lambda x: x, x)
    with pytest.raises(TypeError, match="jacobian: the function returned float"):
        functional.jacobian(lambda x: x.sum().item(), x)
    with pytest.raises(TypeError, match="vjp: int64 came among the inputs"):
        functional.vjp(lambda x: x, fastnn.tensor([1]))
