"""Nodes of the tape: names and attributes of operations, operations with several outputs, and the list of a graph."""

from __future__ import annotations

import inspect
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import fastnn
from fastnn import activations, ops
from fastnn.autograd import gradients as autograd
from fastnn.autograd.tensor import Tensor
from fastnn.backends.spec import Activation, pointwise_loss

rng = np.random.default_rng(0)


def leaf(*shape: int) -> Tensor:
    return fastnn.tensor(rng.uniform(0.5, 1.5, shape).astype(np.float32), requires_grad=True)


NO_GRADIENT = {
    *(
        "arange",
        "argmax",
        "argmin",
        "argsort",
        "empty",
        "empty_like",
        "eq",
        "eye",
        "full",
        "full_like",
        "ge",
        "gt",
        "isfinite",
        "isinf",
        "isnan",
        "le",
    ),
    *("linspace", "logical_and", "logical_not", "logical_or", "logical_xor", "lt", "ne", "one_hot", "ones", "ones_like", "rand"),
    *("rand_like", "randint", "randn", "randn_like", "rotary_table", "sample", "zeros", "zeros_like", "all", "any"),
}
"""Operations that give nothing with a gradient."""

ARGUMENTS: dict[str, Callable[[Tensor], tuple[Any, ...]]] = {
    **dict.fromkeys(("add", "sub", "mul", "div", "pow", "maximum", "minimum", "prelu"), lambda x: (x, leaf(4, 6))),
    **dict.fromkeys(("concatenate", "cat", "stack"), lambda x: ([x, leaf(4, 6)],)),
    "broadcast_to": lambda x: (x, (3, 4, 6)),
    "chunk": lambda x: (x, 2),
    "clamp": lambda x: (x, 0.0, 1.0),
    "clip": lambda x: (x, 0.0, 1.0),
    "cumsum": lambda x: (x, 1),
    "dot": lambda x: (x[0], x[1]),
    "outer": lambda x: (x[0], x[1]),
    "attention": lambda x: (x.reshape(1, 4, 2, 3),) * 3,
    "attention_packed": lambda x: (x.reshape(1, 4, 3, 2), 1),
    "attention_weights": lambda x: (x.reshape(1, 4, 2, 3),) * 2,
    "rotary": lambda x: (x.reshape(1, 4, 1, 6), fastnn.rotary_table(4, 6, dtype=x.dtype)),
    "scaled_dot_product_attention": lambda x: (x, x, x),
    "gather": lambda x: (x, 1, np.zeros((4, 1), np.int64)),
    "index_select": lambda x: (x, 1, [0, 2]),
    "masked_fill": lambda x: (x, np.ones((4, 6), bool), 0.0),
    "matmul": lambda x: (x, leaf(6, 2)),
    "maxout": lambda x: (x, 2),
    "max": lambda x: (x, 1),
    "min": lambda x: (x, 1),
    "permute": lambda x: (x, 1, 0),
    "repeat_interleave": lambda x: (x, 2, 0),
    "reshape": lambda x: (x, -1),
    "roll": lambda x: (x, 1, 0),
    "scatter_add": lambda x: (x, 1, np.zeros((4, 1), np.int64), leaf(4, 1)),
    "split": lambda x: (x, 2, 1),
    "squeeze": lambda x: (fastnn.unsqueeze(x, 0),),
    "take": lambda x: (x, [1, 0]),
    "threshold": lambda x: (x, 0.5, 0.0),
    "tile": lambda x: (x, 2),
    "topk": lambda x: (x, 2),
    "unsqueeze": lambda x: (x, 0),
    "where": lambda x: (np.ones((4, 6), bool), x, 1.0),
}
"""What the functions take that take more than one Tensor."""


MADE_OF_OTHERS = {
    f"fastnn.ops.{m}"
    for m in (
        *("angles", "arrange", "composed", "convert", "division", "einsum", "factors", "inverses", "matrices"),
        *("bits", "gamma", "numbers", "places", "sampling", "search", "statistics"),
    )
}
"""Modules of functions that call other operations."""


def functions() -> dict[str, Callable[..., Any]]:
    named = {name: getattr(fastnn, name) for name in fastnn.__all__}
    operations = {name: f for name, f in named.items() if getattr(f, "__module__", "").startswith("fastnn.ops.")}
    named = {name: f for name, f in operations.items() if operations.get(f.__name__, f) is not f or f.__name__ == name}
    return {name: f for name, f in named.items() if name not in NO_GRADIENT and f.__module__ not in MADE_OF_OTHERS}


def public_names() -> set[str]:
    """The names of the functions in fastnn and fastnn.ops, and of the element-wise functions that layers take by name."""
    modules = [m for _, m in inspect.getmembers(ops, inspect.ismodule)]
    own = {name for m in modules for name, f in vars(m).items() if callable(f) and not name.startswith("_")}
    return own | set(activations.NAMES)


def outputs(value: Any) -> list[Tensor]:
    return list(value) if isinstance(value, tuple) else [value]


def test_every_operation_says_its_public_name() -> None:
    public = public_names()
    for name, f in functions().items():
        x = leaf(4, 6)
        made = f(*ARGUMENTS.get(name, lambda x: (x,))(x))
        node = outputs(made)[0].node
        assert node is not None, name
        assert node.op in public, f"{name}: {node.op}"
        nodes = autograd.graph([t for t in outputs(made) if t.requires_grad])
        assert all(step.op in public for step in nodes), name
        own = {"cat": "concatenate", "clamp": "clip", "relu6": "relu6"}.get(name, name)
        if len(nodes) == 1 and name not in ("amax", "amin", "square", "reciprocal", "rsqrt", "neg"):
            expected = {
                **dict.fromkeys(("flatten", "squeeze", "unsqueeze"), "reshape"),
                **dict.fromkeys(("swiglu", "geglu", "reglu"), "glu"),
                "chunk": "split",
                "permute": "transpose",
                "masked_fill": "where",
                "flip": "getitem",
            }.get(own, own)
            assert node.op == expected, name


def test_layers_and_losses_say_their_names_too() -> None:
    x, labels = leaf(4, 6), np.array([0, 1, 2, 0])
    model = fastnn.Sequential(
        [fastnn.Dense(5, "exponential"), fastnn.Dropout(0.5), fastnn.GaussianNoise(0.1), fastnn.PReLU(), fastnn.Dense(3)]
    )
    model.train()
    loss = fastnn.nn.CrossEntropyLoss()(model(x), fastnn.tensor(labels))
    assert [step.op for step in autograd.graph(loss)] == [
        *("dense", "dropout", "gaussian_noise", "prelu", "dense", "sparse_cross_entropy", "reduce_loss")
    ]
    made = [
        ops.pointwise_loss.pointwise_loss(x, leaf(4, 6), pointwise_loss("squared_error")),
        ops.loss.cross_entropy(x, np.ones((4, 6), np.float32)),
        ops.loss.linear_cross_entropy(x, leaf(6, 3), None, labels)[0],
        ops.regularization.penalty(x, np.ones(2)),
        x.double(),
        x.clone(),
        x[1:],
    ]
    assert {t.node.op for t in made} <= public_names()
    assert autograd.graph(model(x))[0].attrs["activation"].name == "exponential"


REDONE: dict[str, Callable[[Tensor], Any]] = {
    "sum": lambda x: x.sum(1, keepdim=True),
    "mean": lambda x: x.mean(0),
    "softmax": lambda x: x.softmax(-1),
    "logsumexp": lambda x: x.logsumexp(1),
    "norm": lambda x: x.norm(2, 0),
    "cumsum": lambda x: x.cumsum(1),
    "transpose": lambda x: x.T,
    "split": lambda x: x.split([1, 5], 1),
    "unbind": lambda x: x.unbind(1),
    "topk": lambda x: x.topk(3, largest=False),
    "glu": lambda x: fastnn.geglu(x),
    "max": lambda x: fastnn.max(x, axis=1),
    "prod": lambda x: x.prod(0),
}
"""Operations that can be done again by ``f(*inputs, **attrs)``."""


@pytest.mark.parametrize("op", REDONE)
def test_attributes_are_enough_to_do_it_again(op: str) -> None:
    made = outputs(REDONE[op](leaf(4, 6)))
    node = made[0].node
    assert node is not None and node.op == op
    again = outputs(getattr(fastnn, op)(*node.inputs, **node.attrs))
    for a, b in zip(made, again, strict=True):
        np.testing.assert_array_equal(a.numpy(), b.numpy())


def test_attributes_of_other_operations() -> None:
    x = leaf(4, 6)

    def attrs(t: Tensor, op: str) -> dict[str, Any]:
        assert t.node is not None and t.node.op == op
        return t.node.attrs

    assert attrs(x.reshape(3, -1), "reshape") == {"shape": (3, 8)}
    assert attrs(fastnn.broadcast_to(x, 2, 4, 6), "broadcast_to") == {"shape": (2, 4, 6)}
    assert attrs(fastnn.concatenate([x, x], -1), "concatenate") == {"axis": 1}
    part = x[1:, ::2]
    np.testing.assert_array_equal(part.numpy(), x.numpy()[attrs(part, "getitem")["key"]])
    for y, op in ((x + 2, "add"), (3 - x, "sub"), (x / 2, "div"), (x**2, "pow"), (x.exp(), "exp"), (x.clip(0, 1), "clip")):
        if op != "div":
            act = attrs(y, op)["activation"]
            assert isinstance(act, Activation)
            np.testing.assert_array_equal(ops.activation.activate(x, act).numpy(), y.numpy())
    index = fastnn.tensor([[1], [0], [2], [3]])
    picked, rows, chosen = x.gather(1, index), x.take(index), fastnn.where(index > 0, x, 0.0)
    for t, op, given in ((picked, "gather", {"axis": 1}), (rows, "take", {"axis": 0}), (chosen, "where", {})):
        assert attrs(t, op) == given
        assert t.node is not None and {"int64", "bool"} & {str(u.dtype) for u in t.node.inputs}


# ---- several outputs ----


def test_gradients_of_parts() -> None:
    torch = pytest.importorskip("torch")
    a = rng.standard_normal((4, 6)).astype(np.float32)
    for cut in (
        lambda x: x.split(4, 1),
        lambda x: x.split([1, 0, 5], 1),
        lambda x: x.chunk(3, 1),
        lambda x: x.unbind(0),
        lambda x: tuple(x.sort(1))[:1],
        lambda x: tuple(x.topk(2, 1))[:1],
        lambda x: tuple(x.max(1))[:1],
        lambda x: tuple(x.min(1))[:1],
        lambda x: tuple(x.median(1))[:1],
    ):
        x, t = fastnn.tensor(a, requires_grad=True), torch.tensor(a, requires_grad=True)
        for given in (x, t):
            parts = cut(given)
            used = [parts[0], *parts[2:], parts[0] * 3]  # one twice, one not at all
            sum((p * p).sum() for p in used).backward()
        np.testing.assert_allclose(x.grad.numpy(), t.grad.numpy(), rtol=1e-5)
        with fastnn.no_grad():
            assert all(p.node is None for p in cut(x))


def test_backward_frees_values_on_its_way_and_keeps_the_list_of_operations() -> None:
    x, alive = leaf(4, 6), []

    def seen(ctx: Any, dy: Tensor) -> Tensor:
        alive.append([array() is not None for array in arrays])
        return dy

    marked = type("Marked", (fastnn.Function,), {"forward": staticmethod(lambda ctx, t: t * 1), "backward": staticmethod(seen)})
    first = (x * 2).tanh()
    second = marked.apply(first).exp()
    third = (second * second).sqrt()
    arrays = [weakref.ref(t.data) for t in (first, second, third)]
    loss = third.sum()
    del first, second, third
    before = str(fastnn.autograd.graph(loss))
    loss.backward()
    assert alive == [[True, False, False]], "where backward is in the middle, it has freed what came later"
    assert [array() for array in arrays] == [None, None, None]
    assert str(fastnn.autograd.graph(loss)) == before
    with pytest.raises(RuntimeError, match="was freed by an earlier backward"):
        loss.backward()


def test_backward_keeps_values_with_retain_graph() -> None:
    x = leaf(4, 6)
    loss = (x.exp() * 2).sin().sum()
    loss.backward(retain_graph=True)
    assert x.grad is not None
    once = x.grad.numpy().copy()
    loss.backward()
    np.testing.assert_array_equal(x.grad.numpy(), 2 * once)


def test_parts_are_one_node() -> None:
    x = leaf(4, 6)
    a, b, c = x.split(2, 1)
    assert a.node is b.node is c.node and (a.index, b.index, c.index) == (0, 1, 2)
    assert a.node is not None and a.node.outputs == tuple((p.shape, p.dtype) for p in (a, b, c))
    b.retain_grad(), c.retain_grad()
    (a * 2 + b * 3).sum().backward()
    assert b.grad is not None and (b.grad.numpy() == 3).all() and c.grad is None and a.grad is None
    assert x.grad is not None and x.grad.numpy()[0].tolist() == [2, 2, 3, 3, 0, 0]
    values, indices = x.max(dim=1)
    assert values.requires_grad and indices.node is None and not indices.requires_grad


def test_grad_by_parts() -> None:
    x = leaf(4, 6)
    a, b = x.split(3, 1)
    loss = (a * b).sum()
    da, db, again, dx = fastnn.grad(loss, [a, b, a.__copy__(), x])
    np.testing.assert_array_equal(da.numpy(), b.numpy())
    np.testing.assert_array_equal(db.numpy(), a.numpy())
    np.testing.assert_array_equal(again.numpy(), b.numpy())
    np.testing.assert_array_equal(dx.numpy(), np.concatenate([b.numpy(), a.numpy()], 1))
    with pytest.raises(RuntimeError, match="do not depend on input 0"):
        fastnn.grad((x.split(3, 1)[0] * 1).sum(), [x.split(3, 1)[1]])


def test_parts_in_gradcheck_and_in_a_captured_step() -> None:
    def f(x: Tensor) -> Tensor:
        a, b, _ = x.split(2, 1)
        return (a * b.exp()).sum() + sum(row.max() for row in x.unbind(0)) + x.topk(2).values.square().sum()

    assert fastnn.gradcheck(f, rng.standard_normal((4, 6)))
    x = leaf(4, 6)

    def step(scale: Tensor) -> Tensor:
        x.zero_grad()
        loss = f(x * scale)
        loss.backward()
        return loss

    captured = fastnn.capture(step)
    for i in range(5):
        scale = fastnn.tensor(np.float32(1 + i))
        wanted, grad = step(scale).item(), x.grad.numpy().copy()
        assert captured(scale).item() == wanted
        np.testing.assert_array_equal(x.grad.numpy(), grad)
    assert not captured.captured.eager


def test_a_function_of_the_users_is_named_by_its_class() -> None:
    class SumAndProduct(fastnn.Function):
        @staticmethod
        def forward(ctx: Any, a: Any, b: Any) -> Any:
            ctx.save_for_backward(a, b)
            return a + b, a * b

        @staticmethod
        def backward(ctx: Any, ds: Any, dp: Any) -> Any:
            a, b = ctx.saved_tensors
            return ds + dp * b, ds + dp * a

    x = leaf(3)
    s, p = SumAndProduct.apply(x, 2 * x)
    assert s.node is p.node and s.node.op == "SumAndProduct"
    p.sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), 4 * x.numpy(), rtol=1e-6)


# ---- the list ----


def test_graph_lists_each_value_once() -> None:
    x, w = leaf(4, 6), leaf(6, 2)
    h = x @ w
    a, _ = h.split(1, 1)
    listed = autograd.graph([(a * h).sum(), h], names={"x": x, "h": h})
    assert [v.name for v in listed.leaves] == ["x", "x1"]
    assert [step.op for step in listed] == ["matmul", "split", "mul", "sum"]
    assert listed[0].outputs[0].name == "h" and listed[1].inputs == listed[0].outputs
    assert [v.shape for v in listed[1].outputs] == [(4, 1), (4, 1)]  # also of the part that is not used
    assert "= split(h, size=[1, 1], axis=1)" in str(listed)
    with pytest.raises(TypeError, match="graph: a int came among the outputs, wanted Tensors"):
        autograd.graph(3)  # type: ignore[arg-type]


def test_graph_of_a_leaf_is_empty() -> None:
    assert autograd.graph(leaf(2)) == [] and str(autograd.graph(leaf(2))) == "x0: float32 (2,)"


def test_a_changed_index_is_noticed() -> None:
    x, index = leaf(4, 6), fastnn.tensor([[0], [1], [2], [3]])
    y = fastnn.where(index > 1, x, 0.0).sum()
    mask = fastnn.tensor([[True]] * 4)
    z = fastnn.where(mask, x, 0.0).sum()
    mask.fill_(False)
    with pytest.raises(RuntimeError, match="changed in place"):
        z.backward()
    y.backward()
