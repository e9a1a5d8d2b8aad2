"""Tensor: what it is, arithmetic against NumPy, gradients against finite differences, errors."""

import numpy as np
import pytest

import fastnn
from fastnn.autograd.tensor import Tensor
from fastnn.backends import current

rng = np.random.default_rng(0)
X = rng.standard_normal((3, 4))
Y = rng.standard_normal((3, 4))
P = rng.uniform(0.5, 2.0, (3, 4))


def test_tensor_dtypes() -> None:
    assert fastnn.tensor([1.0, 2.0]).dtype == np.float32
    assert fastnn.tensor(np.zeros(2)).dtype == np.float64
    assert fastnn.tensor([1, 2]).dtype == np.int64
    assert fastnn.tensor(np.zeros(2, np.int8)).dtype == np.int64
    assert fastnn.tensor(np.zeros(2, np.float16)).dtype == np.float32
    assert fastnn.tensor([True, False]).dtype == np.bool_
    assert fastnn.tensor(3.5).shape == ()
    assert fastnn.tensor([[1, 2]], dtype="float64").dtype == np.float64
    assert fastnn.tensor([fastnn.tensor(1.0), fastnn.tensor(2.0)]).tolist() == [1.0, 2.0]


def test_tensor_copies_its_data() -> None:
    a = np.zeros(3, np.float32)
    t = fastnn.tensor(a)
    a[0] = 1
    assert t.tolist() == [0.0, 0.0, 0.0]


@pytest.mark.parametrize("data", [["a"], [None], [object()], [[1.0], [2.0, 3.0]], [1j], np.ma.array([1.0], mask=[True])])
def test_tensor_refuses_what_is_no_number(data: object) -> None:
    with pytest.raises((TypeError, ValueError), match="tensor"):
        fastnn.tensor(data)


BINARY = [
    ("+", lambda a, b: a + b, X, Y),
    ("-", lambda a, b: a - b, X, Y),
    ("*", lambda a, b: a * b, X, Y),
    ("/", lambda a, b: a / b, X, P),
    ("**", lambda a, b: a**b, P, Y),
    ("row", lambda a, b: a * b, X, Y[:1]),
    ("column", lambda a, b: a - b, X[:, :1], Y),
    ("outer", lambda a, b: a + b, X[:, :1], Y[:1]),
    ("scalar tensor", lambda a, b: a / b, X, P[0, 0]),
    ("rank", lambda a, b: a * b, X[None], Y[0]),
]


@pytest.mark.parametrize(("name", "f", "a", "b"), BINARY, ids=[c[0] for c in BINARY])
def test_binary_values_and_gradients(name: str, f: object, a: np.ndarray, b: np.ndarray) -> None:
    np.testing.assert_allclose(f(fastnn.tensor(a), fastnn.tensor(b)).numpy(), f(a, b), rtol=1e-14)
    assert fastnn.gradcheck(f, [a, b])


NUMBERS = [
    ("t + 2", lambda t: t + 2),
    ("2 + t", lambda t: 2 + t),
    ("t - 2", lambda t: t - 2),
    ("2 - t", lambda t: 2 - t),
    ("t * 3", lambda t: t * 3),
    ("3 * t", lambda t: 3 * t),
    ("t / 4", lambda t: t / 4),
    ("4 / t", lambda t: 4 / t),
    ("t ** 2", lambda t: t**2),
    ("t ** 0.5", lambda t: t**0.5),
    ("t ** -1", lambda t: t**-1),
    ("t ** 3", lambda t: t**3),
    ("2 ** t", lambda t: 2**t),
    ("-t", lambda t: -t),
    ("abs", lambda t: abs(t)),
]


@pytest.mark.parametrize(("name", "f"), NUMBERS, ids=[c[0] for c in NUMBERS])
def test_arithmetic_with_numbers(name: str, f: object) -> None:
    np.testing.assert_allclose(f(fastnn.tensor(P)).numpy(), f(P), rtol=1e-14)
    assert f(fastnn.tensor(P.astype(np.float32))).dtype == np.float32
    assert fastnn.gradcheck(f, P)


UNARY = [
    ("exp", fastnn.exp, np.exp, X),
    ("log", fastnn.log, np.log, P),
    ("sqrt", fastnn.sqrt, np.sqrt, P),
    ("abs", fastnn.abs, np.abs, X),
    ("relu", fastnn.relu, lambda a: np.maximum(a, 0), X),
    ("leaky_relu", fastnn.leaky_relu, lambda a: np.where(a < 0, 0.01 * a, a), X),
    ("sigmoid", fastnn.sigmoid, lambda a: 1 / (1 + np.exp(-a)), X),
    ("tanh", fastnn.tanh, np.tanh, X),
    ("clip", lambda t: fastnn.clip(t, -0.5, 0.5), lambda a: np.clip(a, -0.5, 0.5), X),
    ("clip low", lambda t: t.clip(min=0.25), lambda a: np.maximum(a, 0.25), X),
    ("clamp", lambda t: t.clamp(max=0.25), lambda a: np.minimum(a, 0.25), X),
    ("maximum", lambda t: fastnn.maximum(t, 0.1), lambda a: np.maximum(a, 0.1), X),
    ("minimum", lambda t: fastnn.minimum(t, 0.1), lambda a: np.minimum(a, 0.1), X),
    ("softmax", fastnn.softmax, lambda a: np.exp(a) / np.exp(a).sum(-1, keepdims=True), X),
    ("softmax 0", lambda t: fastnn.softmax(t, 0), lambda a: np.exp(a) / np.exp(a).sum(0), X),
    ("log_softmax", fastnn.log_softmax, lambda a: a - np.log(np.exp(a).sum(-1, keepdims=True)), X),
    ("sum", fastnn.sum, np.sum, X),
    ("sum 0", lambda t: t.sum(0), lambda a: a.sum(0), X),
    ("sum keep", lambda t: t.sum(1, keepdims=True), lambda a: a.sum(1, keepdims=True), X),
    ("sum axes", lambda t: t.reshape(2, 3, 2).sum((0, 2)), lambda a: a.reshape(2, 3, 2).sum((0, 2)), X),
    ("mean", fastnn.mean, np.mean, X),
    ("mean -1", lambda t: t.mean(-1), lambda a: a.mean(-1), X),
    ("max", lambda t: t.max(), np.max, X),
    ("max 1", lambda t: t.max(axis=1), lambda a: a.max(1), X),
    ("min 0", lambda t: t.min(axis=0), lambda a: a.min(0), X),
    ("reshape", lambda t: t.reshape(2, -1), lambda a: a.reshape(2, -1), X),
    ("view", lambda t: t.view(12), lambda a: a.reshape(12), X),
    ("flatten", lambda t: t.flatten(), lambda a: a.reshape(-1), X),
    ("T", lambda t: t.T, lambda a: a.T, X),
    ("transpose", lambda t: t.reshape(3, 2, 2).transpose((2, 0, 1)), lambda a: a.reshape(3, 2, 2).transpose(2, 0, 1), X),
    ("swap", lambda t: t.reshape(3, 2, 2).transpose(0, 2), lambda a: a.reshape(3, 2, 2).swapaxes(0, 2), X),
    ("squeeze", lambda t: t.unsqueeze(1).squeeze(), lambda a: a, X),
    ("slice", lambda t: t[1:, ::2], lambda a: a[1:, ::2], X),
    ("negative step", lambda t: t[::-1, 3:0:-2], lambda a: a[::-1, 3:0:-2], X),
    ("integer", lambda t: t[-1], lambda a: a[-1], X),
    ("new axis", lambda t: t[None, ..., 1], lambda a: a[None, ..., 1], X),
    ("rows", lambda t: t[[2, 0, 2]], lambda a: a[[2, 0, 2]], X),
    ("stack", lambda t: fastnn.stack([t, t * 2], 1), lambda a: np.stack([a, a * 2], 1), X),
    ("concatenate", lambda t: fastnn.concatenate([t, t[:1]]), lambda a: np.concatenate([a, a[:1]]), X),
    ("concatenate 1", lambda t: fastnn.concatenate([t, t[:, :1]], 1), lambda a: np.concatenate([a, a[:, :1]], 1), X),
    ("gather", lambda t: t.gather(1, [[0], [3], [1]]), lambda a: np.take_along_axis(a, np.array([[0], [3], [1]]), 1), X),
    ("where", lambda t: fastnn.where(t > 0, t, t * 0.1), lambda a: np.where(a > 0, a, a * 0.1), X),
    ("matmul", lambda t: t @ Y.T, lambda a: a @ Y.T, X),
    ("rmatmul", lambda t: Y.T @ t, lambda a: Y.T @ a, X),
    ("matvec", lambda t: t @ Y[0], lambda a: a @ Y[0], X),
    ("astype", lambda t: t.float().double(), lambda a: a.astype(np.float32).astype(float), X),
]


@pytest.mark.parametrize(("name", "f", "numpy_f", "a"), UNARY, ids=[c[0] for c in UNARY])
def test_functions_values_and_gradients(name: str, f: object, numpy_f: object, a: np.ndarray) -> None:
    out = f(fastnn.tensor(a))
    np.testing.assert_allclose(out.numpy(), numpy_f(a), rtol=1e-13, atol=1e-15)
    assert out.data.flags.c_contiguous
    if name != "astype":  # float32 in the middle is too coarse for finite differences
        assert fastnn.gradcheck(f, a)


def test_comparisons_and_counts() -> None:
    a, b = fastnn.tensor([1.0, 2.0, 3.0]), fastnn.tensor([1.0, 3.0, 2.0])
    assert (a == b).tolist() == [True, False, False]
    assert (a != b).tolist() == [False, True, True]
    assert (a < b).tolist() == [False, True, False]
    assert (a >= 2).tolist() == [False, True, True]
    assert (a == b).float().mean().item() == pytest.approx(1 / 3)
    labels = fastnn.tensor([0, 2])
    assert (fastnn.tensor([[3.0, 1.0, 2.0], [0.0, 1.0, 5.0]]).argmax(1) == labels).sum().item() == 2


def test_argmax_is_numpys() -> None:
    a = rng.standard_normal((2, 3, 4))
    for axis in (None, 0, 1, -1):
        assert (fastnn.tensor(a).argmax(axis).numpy() == a.argmax(axis)).all()


def test_integer_arithmetic() -> None:
    t = fastnn.tensor([1, 2, 3])
    assert (t + 1).tolist() == [2, 3, 4]
    assert (t * t).dtype == np.int64
    assert (t / 2).tolist() == [0.5, 1.0, 1.5]
    assert t.sum().item() == 6


def test_broadcasting_of_many_axes_against_numpy() -> None:
    shapes = [
        ((2, 1, 3), (4, 1)),
        ((1,), (3, 2)),
        ((5, 1, 1, 2), (3, 1, 2)),
        ((0, 3), (1, 3)),
        ((), (2, 2)),
        ((2, 3, 1), (1, 1, 4)),
    ]
    for s, t in shapes:
        a, b = rng.standard_normal(s), rng.standard_normal(t)
        np.testing.assert_array_equal((fastnn.tensor(a) - fastnn.tensor(b)).numpy(), a - b)


def test_gradients_of_ties_are_shared() -> None:
    t = fastnn.tensor([2.0, 2.0, 1.0], requires_grad=True)
    t.max().backward()
    assert t.grad.tolist() == [0.5, 0.5, 0.0]


def test_reused_tensors_add_their_gradients() -> None:
    x = fastnn.tensor([2.0], requires_grad=True)
    y = x * x
    z = y + y * x + x
    z.backward()
    assert x.grad.item() == pytest.approx(2 * 2 + 3 * 4 + 1)


def test_gradients_accumulate_until_zeroed() -> None:
    x = fastnn.tensor([3.0], requires_grad=True)
    (x * 2).backward()
    (x * 2).backward()
    assert x.grad.item() == 4
    x.zero_grad()
    assert x.grad is None
    (x * 2).backward()
    assert x.grad.item() == 2
    x.grad = None
    assert x.grad is None


def test_deep_graphs_need_no_recursion() -> None:
    x = t = fastnn.tensor([1.0], requires_grad=True)
    for _ in range(20_000):
        t = t + 0.0
    t.backward()
    assert x.grad.item() == 1


def test_second_backward_is_refused_unless_the_graph_is_kept() -> None:
    x = fastnn.tensor([1.0], requires_grad=True)
    y = (x * x).sum()
    y.backward(retain_graph=True)
    y.backward()
    assert x.grad.item() == 4
    with pytest.raises(RuntimeError, match="freed by an earlier backward"):
        y.backward()


def test_backward_errors() -> None:
    with pytest.raises(RuntimeError, match="requires_grad=True"):
        fastnn.tensor([1.0]).sum().backward()
    x = fastnn.tensor([1.0, 2.0], requires_grad=True)
    with pytest.raises(ValueError, match="shape"):
        (x * 2).backward()
    with pytest.raises(ValueError, match="gradient"):
        (x * 2).backward([1.0])
    with pytest.raises(TypeError, match="int64"):
        fastnn.tensor([1]).requires_grad_()


def test_no_grad_and_in_place() -> None:
    x = fastnn.tensor([1.0, 2.0], requires_grad=True)
    with fastnn.no_grad():
        assert not (x * 2).requires_grad
        x.copy_([5.0, 6.0])
    assert x.tolist() == [5.0, 6.0]
    with pytest.raises(RuntimeError, match="no_grad"):
        x.fill_(0.0)
    with pytest.raises(RuntimeError, match="only leaves"):
        (x * 2).fill_(0.0)
    with pytest.raises(ValueError, match="shape"), fastnn.no_grad():
        x.copy_([1.0])

    @fastnn.no_grad()
    def f(t: Tensor) -> Tensor:
        return t * 2

    assert not f(x).requires_grad


def test_errors_name_the_operation() -> None:
    a, b = fastnn.tensor(np.zeros((2, 3))), fastnn.tensor(np.zeros((4, 5)))
    with pytest.raises(ValueError, match=r"add: shapes \(2, 3\) and \(4, 5\)"):
        a + b
    with pytest.raises(ValueError, match="matmul"):
        a @ b
    with pytest.raises(TypeError, match="one dtype"):
        a @ fastnn.ones(3, 1)
    with pytest.raises(TypeError, match="float32 or float64"):
        fastnn.relu(fastnn.tensor([1]))
    with pytest.raises(ValueError, match="reshape"):
        a.reshape(5)
    with pytest.raises(ValueError, match="sum: axis 2"):
        a.sum(2)
    with pytest.raises(IndexError, match="out of range"):
        a[2]
    with pytest.raises(IndexError, match="out of range"):
        a[[0, 7]]
    with pytest.raises(IndexError, match="a mask of size 3 for axis 0 of size 2"):
        a[np.array([True, False, True])]
    with pytest.raises(ValueError, match="truth"):
        bool(a)
    with pytest.raises(ValueError, match="item"):
        a.item()
    with pytest.raises(ValueError, match="no elements"):
        fastnn.tensor(np.zeros((0, 2))).max(0)
    with pytest.raises(ValueError, match="concatenate"):
        fastnn.concatenate([a, b])
    with pytest.raises(ValueError, match="neither"):
        a.clip()
    with pytest.raises(TypeError, match="not supported"):
        a.astype("complex64")


def test_interchange_with_numpy_and_dlpack() -> None:
    t = fastnn.tensor([[1.0, 2.0]])
    assert np.asarray(t).dtype == np.float32
    xp = current().xp
    assert xp.shares_memory(xp.from_dlpack(t), t.data)
    assert isinstance(np.ones((1, 2), np.float32) * t, Tensor)
    assert float(t.sum()) == 3.0
    assert int(fastnn.tensor([4])) == 4
    assert [10, 20][fastnn.tensor(1)] == 20
    assert f"{fastnn.tensor(1.5):.2f}" == "1.50"


@pytest.mark.parametrize("shape", [(0,), (0, 3), (3, 0), (1,), (1, 1)])
def test_sizes_zero_and_one(shape: tuple[int, ...]) -> None:
    t = fastnn.tensor(np.ones(shape), requires_grad=True)
    (t * 2 + t.sum()).sum().backward()
    assert t.grad.shape == shape
    np.testing.assert_allclose(t.grad.numpy(), 2 + t.size)
    assert fastnn.softmax(t).shape == shape
    assert t.T.shape == shape[::-1]


def test_pytorch_s_names_of_axes() -> None:
    t = fastnn.tensor(X)
    for f in ("sum", "mean", "amax", "amin", "std"):
        assert getattr(t, f)(dim=1, keepdim=True).shape == (3, 1)
        assert getattr(fastnn, f)(t, dim=0).shape == (4,)
    assert t.argmax(dim=1).shape == (3,)
    np.testing.assert_allclose(t.softmax(dim=0).sum(dim=0).numpy(), 1)
    assert fastnn.stack([t, t], dim=2).shape == (3, 4, 2)
    assert fastnn.concatenate([t, t], dim=1).shape == (3, 8)
    assert t.unsqueeze(dim=0).squeeze(dim=0).shape == (3, 4)
    assert t.gather(dim=1, index=[[0], [1], [2]]).shape == (3, 1)


def test_whole_numbers_become_real_beside_fractions() -> None:
    t = fastnn.tensor([1, 2])
    assert (t * 0.5).tolist() == [0.5, 1.0]
    assert (t + 1.5).tolist() == [2.5, 3.5]
    assert (1.5 - t).tolist() == [0.5, -0.5]
    assert (t >= 1.5).tolist() == [False, True]
    assert (t + np.array([0.5, 0.5])).tolist() == [1.5, 2.5]
    assert (fastnn.tensor([True, False]) * 2.5).tolist() == [2.5, 0.0]
    assert (fastnn.tensor([True, False]) == 2).tolist() == [False, False]
    assert fastnn.maximum(t, 1.5).tolist() == [1.5, 2.0]
    assert fastnn.where(fastnn.tensor([True, False]), t, 0.5).tolist() == [1.0, 0.5]


def test_in_place_steps_on_leaves() -> None:
    p = fastnn.tensor([1.0, 2.0], requires_grad=True)
    q = p
    (p * p).sum().backward()
    with fastnn.no_grad():
        p -= 0.1 * p.grad
        p.grad.zero_()
    assert q is p and np.allclose(p.numpy(), [0.8, 1.6]) and p.grad.tolist() == [0.0, 0.0]
    with pytest.raises(RuntimeError, match="no_grad"):
        p += 1
    total = fastnn.tensor(0.0)
    total += (p * 2).sum()
    total.backward()
    assert p.grad.tolist() == [2.0, 2.0]


def test_a_leaf_changed_between_forward_and_backward() -> None:
    w = fastnn.tensor([[1.0, 2.0]], requires_grad=True)
    y = (w * w).sum()
    with fastnn.no_grad():
        w.fill_(0.0)
    with pytest.raises(RuntimeError, match="changed in place"):
        y.backward()


def test_index_tensors_are_checked_and_count_from_the_end() -> None:
    t = fastnn.tensor([5, 6])
    assert t[fastnn.tensor([-1, 0])].tolist() == [6, 5]
    for f in (
        lambda: t[fastnn.tensor([7])],
        lambda: fastnn.take(t, fastnn.tensor([2]), 0),
        lambda: t.gather(0, fastnn.tensor([-3])),
    ):
        with pytest.raises(IndexError, match="out of range for 2"):
            f()
    assert (t == None) is False  # noqa: E711


def test_dir_shows_no_internals() -> None:
    shown = dir(fastnn.tensor([1.0]))
    assert {"grad", "shape", "sum", "requires_grad"} <= set(shown) and not {"node", "has_grad", "changes", "index"} & set(shown)
