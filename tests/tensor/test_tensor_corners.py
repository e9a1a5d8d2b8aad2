"""Tensors where memory is shared, values are at a corner, or arguments are odd."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import fastnn
import fastnn.nn as nn

T = fastnn.tensor


def gradient(f: Callable[[Any], Any], at: list[float]) -> Any:
    x = T(at, requires_grad=True)
    return fastnn.grad(f(x).sum(), x)[0].tolist()  # type: ignore[union-attr]


# ---- shared memory ----


@pytest.mark.parametrize("how", ["reshape", "unsqueeze", "detach", "view of a view", "data of a reshape", "setitem", "base"])
def test_a_change_through_shared_memory_is_noticed(how: str) -> None:
    w, p = T([[1.0, 2.0]], requires_grad=True), nn.Parameter([[1.0, 2.0]])
    used: Any = p if how in ("detach", "setitem", "base") else p.reshape(1, 2)
    plain = T([[1.0, 2.0]])
    if how == "data of a reshape":  # nothing is on the tape there
        used = plain.reshape(1, 2)
    y = (used * w).sum()
    with fastnn.no_grad():
        if how == "detach":
            p.detach().fill_(5.0)
        elif how == "view of a view":
            p.reshape(2).reshape(2, 1).fill_(5.0)
        elif how == "data of a reshape":
            plain.fill_(5.0)
        elif how == "setitem":
            p.reshape(2)[0] = 5.0
        elif how == "base":
            nn.ParameterView(p, (1, 0)).fill_(5.0)
        else:
            p.fill_(5.0)
    with pytest.raises(RuntimeError, match="changed in place"):
        y.backward()


def test_a_change_before_the_forward_pass_does_not_count() -> None:
    p = T([1.0, 2.0], requires_grad=True)
    q = p.detach()
    q.fill_(3.0)
    assert p.changes is q.changes and p.changes.last > 0
    y = (p.reshape(2, 1) * p.reshape(2, 1)).sum()
    other = T([1.0])
    other.fill_(2.0)
    y.backward()
    assert p.grad is not None and p.grad.tolist() == [6.0, 6.0]


def test_item_assignment_from_its_own_memory() -> None:
    x = T(np.arange(6.0).reshape(3, 2))
    x[::-1] = x
    assert x.tolist() == [[4.0, 5.0], [2.0, 3.0], [0.0, 1.0]]


@pytest.mark.parametrize("f", [fastnn.sum, fastnn.mean, fastnn.max, fastnn.prod])
def test_a_reduction_along_no_axis_is_a_copy(f: Callable[[Any], Any]) -> None:
    x = T(2.0)
    y = f(x)
    x.fill_(3.0)
    assert y.item() == 2.0


def test_gradients_share_no_memory() -> None:
    a, b, start = T([1.0, 2.0], requires_grad=True), T([1.0, 2.0], requires_grad=True), np.ones(2, np.float32)
    da, db, again = fastnn.grad(a + b, [a, b, a], grad_outputs=start)
    assert da is not None and db is not None and again is not None
    da.mul_(2.0)
    start[:] = 7.0
    assert (da.tolist(), db.tolist(), again.tolist()) == ([2.0, 2.0], [1.0, 1.0], [1.0, 1.0])


# ---- copies ----


@pytest.mark.parametrize("copied", [copy.deepcopy, copy.copy, lambda t: pickle.loads(pickle.dumps(t))])
def test_copies_of_leaves(copied: Callable[[Any], Any]) -> None:
    x = T([1.0, 2.0], requires_grad=True)
    (x * x).sum().backward()
    y = copied(x)
    assert (y.tolist(), y.requires_grad, y.grad.tolist()) == ([1.0, 2.0], True, [2.0, 4.0])
    with fastnn.no_grad():
        y.fill_(0.0)
    assert x.tolist() == [1.0, 2.0]
    assert copied(T([1, 2])).tolist() == [1, 2]
    assert copied((x * 2).detach()).tolist() == [2.0, 4.0]


@pytest.mark.parametrize("copied", [copy.deepcopy, pickle.dumps])
def test_results_are_not_copied(copied: Callable[[Any], Any]) -> None:
    with pytest.raises(RuntimeError, match=r"use t\.detach"):
        copied(T([1.0], requires_grad=True) * 2)


def test_shallow_copies_of_results_share_their_history() -> None:
    x = T([1.0, 2.0], requires_grad=True)
    y = copy.copy(x * 2)
    y.sum().backward()
    assert x.grad is not None and x.grad.tolist() == [2.0, 2.0] and y.node is not None


def test_plots_take_tensors() -> None:
    pytest.importorskip("matplotlib")
    from matplotlib.figure import Figure

    x = T([1.0, 2.0], requires_grad=True)
    for t in (x, x * 2, (x * 2).detach()):
        ax = Figure().subplots()
        (line,) = ax.plot(t)
        (other,) = ax.plot(t, t)
        assert line.get_ydata().tolist() == other.get_xdata().tolist() == t.tolist()
        ax.scatter(t, t)
        ax.hist(t)
        ax.bar([0, 1], t)
        ax.fill_between([0, 1], t, t)
        ax.errorbar([0, 1], t, yerr=t)
        ax.imshow(t.reshape(1, 2))


# ---- copies of parts ----

PARTS: dict[str, Callable[[Any], Any]] = {
    "row": lambda t: t[0],
    "slice": lambda t: t[:, 1:],
    "reshape of a row": lambda t: t[0].reshape(-1),
    "detached row": lambda t: t[0].detach(),
    "iteration": lambda t: next(iter(t)),
    "T": lambda t: t.T,
    "transpose": lambda t: t.transpose(0, 1),
    "permute": lambda t: t.permute(1, 0),
    "split": lambda t: t.split(1)[0],
    "chunk": lambda t: t.chunk(2)[0],
    "unbind": lambda t: t.unbind(1)[0],
    "expand": lambda t: t[:1].expand(3, 3),
}


@pytest.mark.parametrize("name", PARTS)
def test_parts_are_copies_and_say_so_where_they_are_changed(name: str) -> None:
    x, p = T(np.ones((2, 3))), T(np.ones((2, 3)), requires_grad=True)
    for change in (
        lambda t: t.fill_(2.0),
        lambda t: t.add_(1.0),
        lambda t: t.copy_(t * 2),
        lambda t: t.__setitem__(0, 5.0),
    ):
        for t in (x, p):
            with (
                fastnn.no_grad(),
                pytest.raises(RuntimeError, match=r"is a copy of a part or transpose of another Tensor.*clone"),
            ):
                change(PARTS[name](t))
        y = PARTS[name](x).clone()
        change(y)
        assert (x.numpy() == 1).all() and not (y.numpy() == 1).all()


def test_parts_that_may_be_changed() -> None:
    x = T([[1.0, 2.0], [3.0, 4.0]])
    x[1:] += 1
    x[0] *= 2
    x[[0, 1]].fill_(0.0)  # a copy in NumPy and PyTorch, too
    x.reshape(4).add_(1.0)
    assert x.tolist() == [[3.0, 5.0], [5.0, 6.0]]
    y = x[0].requires_grad_()  # a leaf of its own
    (y * y).sum().backward()
    with fastnn.no_grad():
        y -= 0.5 * y.grad
    assert y.tolist() == [0.0, 0.0] and x[0].tolist() == [3.0, 5.0]
    module = nn.Module()
    module.register_buffer("a", x[0])
    module.a = x[1]
    module.a.mul_(2.0)
    assert module.a.tolist() == [10.0, 12.0] and x[1].tolist() == [5.0, 6.0]


# ---- numbers ----


def test_unsigned_numbers() -> None:
    x = T([5.0, 0.0])
    assert (x - np.uint8(1)).tolist() == [4.0, -1.0]
    assert (np.uint8(1) - x).tolist() == [-4.0, 1.0]
    assert (x - np.int64(-(2**63))).tolist() == [2.0**63, 2.0**63]
    assert (T([5]) - np.uint8(7)).tolist() == [-2]


@pytest.mark.parametrize("n", [2**53 + 1, -(2**62) - 1, 2**63 - 1, -(2**63), np.int64(2**62 + 3)])
def test_large_whole_numbers_are_exact(n: Any) -> None:
    assert fastnn.full((2, 2), n).tolist() == [[n, n], [n, n]]
    assert T([0]).fill_(n).item() == n
    assert fastnn.full_like(T([0]), n).item() == n
    assert fastnn.capture(lambda: fastnn.full((3,), n))().tolist() == [n] * 3


def test_unsigned_arrays_beyond_int64() -> None:
    assert T(np.array([2**63 - 1], np.uint64)).item() == 2**63 - 1
    for data in ([2**63], np.array([2**63], np.uint64)):
        with pytest.raises(ValueError, match="out of the range of int64"):
            T(data)


def test_the_power_0() -> None:
    at = [0.0, 2.0, -1.0]
    for exponent in (0, T([0.0]), T(0.0), np.zeros(3)):
        assert gradient(lambda x, e=exponent: x**e, at) == [0.0, 0.0, 0.0]
    assert gradient(lambda y: T([0.0, 0.0, 0.0]) ** y, [0.0, 2.0, 1.0]) == [0.0, 0.0, 0.0]
    assert fastnn.gradcheck(lambda x, y: x**y, [np.array([[0.5], [2.0]]), np.array([1.5, 0.0, -1.0])])


def test_powers_at_0_as_in_torch() -> None:
    torch = pytest.importorskip("torch")
    a, b = np.array([0.0, 0.0, 0.0, 2.0, np.inf]), np.array([0.0, 2.0, 1.0, 0.0, -1.0])
    x, y = (T(v, requires_grad=True) for v in (a, b))
    p, q = (torch.tensor(v, requires_grad=True) for v in (a, b))
    (x**y).sum().backward()
    (p**q).sum().backward()
    assert x.grad is not None and y.grad is not None
    np.testing.assert_allclose(x.grad.numpy(), p.grad.numpy())
    np.testing.assert_allclose(y.grad.numpy()[:4], q.grad.numpy()[:4])


def test_logsumexp_of_minus_infinity() -> None:
    inf = float("inf")
    x = T([[-inf, -inf], [0.0, -inf], [0.0, 0.0]], requires_grad=True)
    y = x.logsumexp(1)
    assert y.tolist()[:2] == [-inf, 0.0]
    assert fastnn.grad(y.sum(), x)[0].tolist() == [[0.0, 0.0], [1.0, 0.0], [0.5, 0.5]]  # type: ignore[union-attr]
    assert fastnn.gradcheck(lambda t: t.logsumexp((0, 2)), np.random.default_rng(0).standard_normal((2, 3, 4)))


def test_bounds_of_clip_are_differentiated() -> None:
    x, low = T([1.0, 5.0], requires_grad=True), T(2.0, requires_grad=True)
    x.clip(low, np.array([3.0, 4.0])).sum().backward()
    assert x.grad is not None and low.grad is not None
    assert (x.clip(low, np.array([3.0, 4.0])).tolist(), x.grad.tolist(), low.grad.item()) == ([2.0, 4.0], [0.0, 0.0], 1.0)


# ---- gradients that are not to be lost ----


def test_retained_gradients_of_probabilities() -> None:
    logits = T([[1.0, 2.0]], requires_grad=True)
    for p, loss in (
        (logits.softmax(), lambda p: fastnn.losses.SparseCategoricalCrossentropy()([1], p)),
        (logits.sigmoid(), lambda p: fastnn.losses.BinaryCrossentropy()([[0.0, 1.0]], p)),
    ):
        p.retain_grad()
        loss(p).backward()
        assert p.grad is not None


def test_grad_of_a_list_of_tensors() -> None:
    a, b = T([1.0], requires_grad=True), T([2.0], requires_grad=True)
    for f in (fastnn.sum, fastnn.exp, lambda v: T([[1.0]]) * v, lambda v: fastnn.maximum(v, 0.0)):
        with pytest.raises(TypeError, match="stack"):
            f([a, b])
    with fastnn.no_grad():
        assert fastnn.sum([a, b]).item() == 3.0
    assert fastnn.sum([a.detach(), b.detach()]).item() == 3.0


def test_functions_of_numpy_lose_no_gradient() -> None:
    x, a = T([1.0, 2.0], requires_grad=True), np.array([3.0, 4.0])
    for f in (np.exp, np.sqrt, lambda t: np.hypot(t, a), lambda t: np.add.reduce(t), lambda t: np.add(a, t, out=a.copy())):
        with pytest.raises(TypeError, match=r"np\..* requires a gradient, which would be lost; .*detach"):
            f(x)
        with fastnn.no_grad():
            assert np.shape(f(x)) in ((2,), ())
        assert isinstance(f(x.detach()), np.ndarray | np.floating)
    with pytest.raises(TypeError, match="out is a Tensor"):
        np.exp(a, out=x.detach())  # type: ignore[call-overload]
    assert fastnn.gradcheck(
        lambda t: a + (a - t) * (a * t) / (a**t) + np.float64(2.0) * t - np.float32(1.0) / t, [np.array([1.5, 2.0])]
    )
    assert ((a < x) | (a == x * 3)).tolist() == [True, False]
    assert fastnn.grad(a @ x, x)[0].tolist() == [3.0, 4.0]  # type: ignore[union-attr, arg-type]


def test_weights_of_losses_have_no_gradient() -> None:
    w, p = T([1.0, 2.0], requires_grad=True), T([[0.25], [0.5]])
    for loss, target in ((fastnn.losses.MeanSquaredError(), [[1.0], [1.0]]), (nn.CrossEntropyLoss(), [0, 0])):
        with pytest.raises(ValueError, match="requires a gradient"):
            loss(*((target, p) if isinstance(loss, fastnn.losses.Loss) else (p, target)), sample_weight=w)
    with fastnn.no_grad():
        assert fastnn.losses.MeanSquaredError()([[1.0], [1.0]], p, w).item() == 0.53125


def test_weights_of_another_dtype_follow_in_a_recorded_step() -> None:
    p = T([[1.0], [2.0]])

    def step(a: Any) -> Any:
        keep = (fastnn.tensor(a) > 0).long()
        return fastnn.losses.MeanSquaredError()([[0.0], [0.0]], p, keep)

    step = fastnn.capture(step)
    ones, first = np.ones(2, np.float32), np.array([1.0, -1.0], np.float32)
    assert [step(a).item() for a in (ones, ones, ones, first)] == [2.5, 2.5, 2.5, 0.5]


def test_an_ellipsis_separates_index_arrays_even_where_it_is_empty() -> None:
    x = np.arange(24.0).reshape(2, 3, 4)
    places = np.array([2, -2, -2])
    for key in ((slice(None), places, ..., 1), (None, slice(None, None, -1), -1, ..., places), (0, places, ..., places)):
        np.testing.assert_array_equal(T(x)[key].numpy(), x[key])


def test_no_rows_have_no_labels() -> None:
    assert nn.CrossEntropyLoss(reduction="sum")(fastnn.zeros(0, 3), []).item() == 0.0
    assert fastnn.losses.SparseCategoricalCrossentropy(reduction="none")([], fastnn.zeros(0, 3)).shape == (0,)


# ---- messages ----


class Nothing(fastnn.Function):
    @staticmethod
    def forward(ctx: Any, x: Any) -> Any:
        return ()


ERRORS: list[tuple[Callable[[], Any], type[Exception], str]] = [
    (lambda: T([1.0, 2.0]).reshape(2.5), TypeError, r"reshape: 2.5 came, wanted whole numbers"),
    (lambda: fastnn.zeros((2.5, 3)), TypeError, "zeros: .* wanted whole numbers"),
    (lambda: fastnn.ones("12"), TypeError, "ones: .* wanted whole numbers"),
    (lambda: fastnn.tile(T([1.0]), 1.5), TypeError, "tile: 1.5 came"),
    (lambda: fastnn.randint(0, 3, 2.5), TypeError, "randint: 2.5"),
    (lambda: fastnn.randint(0, 3, -1), ValueError, "randint: shape"),
    (lambda: fastnn.eye(2.5), TypeError, "eye: n is 2.5"),  # type: ignore[arg-type]
    (lambda: fastnn.eye(2, -1), ValueError, "eye: m is -1"),
    (lambda: fastnn.arange(0, 5, 0), ValueError, "arange: step is 0"),
    (lambda: fastnn.linspace(0, 1, 2.5), TypeError, "linspace: num is 2.5"),  # type: ignore[arg-type]
    (lambda: fastnn.one_hot([1], 2.5), TypeError, "one_hot: num_classes is 2.5"),  # type: ignore[arg-type]
    (lambda: fastnn.one_hot([1], -1), ValueError, "one_hot: num_classes is -1"),
    (lambda: fastnn.topk(T([1.0, 2.0]), 1.5), TypeError, "topk: k is 1.5"),
    (lambda: fastnn.split(T([1.0, 2.0]), 1.5), TypeError, "split: size is 1.5"),
    (lambda: fastnn.split(T([1.0, 2.0]), [0.5, 1.5]), TypeError, "split: a size is 0.5"),
    (lambda: fastnn.split(T([1.0, 2.0]), [3, -1]), ValueError, "split: a size is -1"),
    (lambda: fastnn.roll(T([1.0, 2.0]), 1.5), TypeError, "roll: shift is 1.5"),
    (lambda: fastnn.repeat_interleave(T([1.0, 2.0]), [1, 2], 0), TypeError, "repeats is"),
    (lambda: fastnn.sum(fastnn.ones(2, 3), (0, -2)), ValueError, "one axis twice"),
    (lambda: T([1.0, 2.0])[np.array(True)], TypeError, "a mask without dimensions"),
    (lambda: T([1.0, 2.0])[[[0], [0, 1]]], ValueError, "indexing: the nested lists have different lengths"),
    (lambda: fastnn.full((2,), float("nan"), dtype="int64"), ValueError, "nan came, which int64 cannot hold"),
    (lambda: T([1]).fill_(2**63), ValueError, "int64 cannot hold"),
    (lambda: Nothing.apply(T([1.0])), TypeError, "Nothing: forward returned no Tensor"),
    (lambda: fastnn.relu(T([1.0]), -(2**70)), ValueError, "relu: negative_slope is -1180591620717411303424, wanted"),
    (lambda: fastnn.gradcheck(fastnn.exp, np.ones(2), eps=0), ValueError, "gradcheck: eps is 0"),
    (lambda: fastnn.gradcheck(fastnn.exp, np.ones(2), eps="a"), ValueError, "gradcheck: eps is 'a'"),  # type: ignore[arg-type]
    (lambda: fastnn.grad(3.0, T([1.0])), TypeError, "a float came among the outputs"),  # type: ignore[arg-type]
    (lambda: fastnn.grad(T([1.0]), [np.ones(1)]), TypeError, "a ndarray came among the inputs"),  # type: ignore[list-item]
]


@pytest.mark.parametrize(("f", "error", "words"), ERRORS, ids=[c[2][:24] for c in ERRORS])
def test_errors(f: Callable[[], Any], error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        f()


@pytest.mark.parametrize("data", [3, 0.5, "a", None])
def test_the_class_takes_arrays(data: Any) -> None:
    with pytest.raises(TypeError, match=f"Tensor: a {type(data).__name__} came, wanted an array; fastnn.tensor makes"):
        fastnn.Tensor(data)
    assert fastnn.Tensor([[1, 2]]).tolist() == [[1.0, 2.0]] and fastnn.Tensor([1]).dtype == "float32"
