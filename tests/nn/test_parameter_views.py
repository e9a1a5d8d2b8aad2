"""Parameters that are another one's values in another order: a kernel stored HWIO and shown OIHW, gates in another order."""

import copy
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fastnn
import fastnn.nn as nn

HOSTS = [b.name for b in fastnn.backends().values() if b.available and b.name != "cupy"]
rng = np.random.default_rng(0)


def gates(a: Any, order: tuple[int, ...], axis: int = 0) -> Any:
    parts = np.split(a, len(order), axis)
    return np.concatenate([parts[i] for i in order], axis)


ORDERS: dict[str, tuple[tuple[int, ...], dict[str, Any], Callable[[Any], Any]]] = {
    "transposed": ((2, 3), {"axes": (1, 0)}, lambda a: a.T),
    "OIHW of HWIO": ((3, 2, 4, 5), {"axes": (3, 2, 0, 1)}, lambda a: a.transpose(3, 2, 0, 1)),
    "gates": ((8, 3), {"blocks": (0, 2, 1, 3)}, lambda a: gates(a, (0, 2, 1, 3))),
    "gates of a vector": ((6,), {"blocks": (1, 0, 2)}, lambda a: gates(a, (1, 0, 2))),
    "gates, transposed": ((3, 8), {"axes": (1, 0), "blocks": (3, 0, 1, 2)}, lambda a: gates(a.T, (3, 0, 1, 2))),
    "blocks of the last axis": ((4, 6, 2), {"axes": (0, 2, 1), "blocks": (2, 0, 1), "axis": -1},
                                lambda a: gates(a.transpose(0, 2, 1), (2, 0, 1), 2)),
}  # fmt: skip


@pytest.fixture(params=ORDERS)
def case(request: pytest.FixtureRequest) -> Any:
    shape, order, of = ORDERS[request.param]
    values = rng.standard_normal(shape).astype("f4")
    base = nn.Parameter(values.copy())
    return base, nn.ParameterView(base, **order), values, of


def test_values_are_read_in_the_order_of_the_view(case: Any) -> None:
    _, view, values, of = case
    want = of(values)
    assert view.shape == want.shape and view.size == want.size and view.dtype == want.dtype and view.ndim == want.ndim
    np.testing.assert_array_equal(view.numpy(), want)
    np.testing.assert_array_equal(view.data, want)
    with fastnn.no_grad():
        for got in (view * 1, view + view - view, view.clone(), view.detach() * 1, fastnn.stack([view])[0], view.reshape(-1)):
            np.testing.assert_array_equal(got.numpy().reshape(want.shape), want)
        np.testing.assert_array_equal(view[0].numpy(), want[0])
        np.testing.assert_allclose(view.sum(axis=-1).numpy(), want.sum(-1), rtol=1e-5)
    assert "Parameter containing" in repr(view)


def test_gradients_come_to_the_base_and_are_shown_in_order(case: Any) -> None:
    base, view, _, of = case
    weight = rng.standard_normal(view.shape).astype("f4")
    for times in (1, 2):
        (view * fastnn.tensor(weight)).sum().backward()
        np.testing.assert_array_equal(view.grad.numpy(), times * weight)
        np.testing.assert_array_equal(of(base.grad.numpy()), times * weight)
        (found,) = fastnn.grad((view * fastnn.tensor(weight)).sum(), view)
        np.testing.assert_array_equal(found.numpy(), weight)
    view.grad.mul_(0.5)
    np.testing.assert_array_equal(of(base.grad.numpy()), weight)
    view.grad = weight * 3
    np.testing.assert_array_equal(of(base.grad.numpy()), weight * 3)
    with pytest.raises(ValueError, match="grad"):
        view.grad = np.zeros((1, *view.shape))
    view.grad = None
    assert base.grad is None and view.grad is None


WRITES: dict[str, tuple[Callable[[Any, Any], Any], Callable[[Any, Any], Any]]] = {
    "copy_": (lambda t, a: t.copy_(a), lambda v, a: a),
    "fill_": (lambda t, a: t.fill_(2.0), lambda v, a: np.full_like(v, 2)),
    "mul_": (lambda t, a: t.mul_(0.5), lambda v, a: v * np.float32(0.5)),
    "add_": (lambda t, a: t.add_(fastnn.tensor(a)), lambda v, a: v + a),
    "element": (lambda t, a: t.__setitem__((0,) * t.ndim, 7.0), lambda v, a: _with(v, (0,) * v.ndim, 7)),
    "last": (lambda t, a: t.__setitem__(-1, fastnn.tensor(a)[0]), lambda v, a: _with(v, -1, a[0])),
    "data": (lambda t, a: setattr(t, "data", a), lambda v, a: a),
    "data, in place": (lambda t, a: setattr(t, "data", t.data - a), lambda v, a: v - a),
}


def _with(values: Any, key: Any, value: Any) -> Any:
    values[key] = value
    return values


@pytest.mark.parametrize("write", WRITES)
def test_changes_in_place_reach_the_base(case: Any, write: str) -> None:
    base, view, values, of = case
    change, want = WRITES[write]
    a = rng.standard_normal(view.shape).astype("f4")
    expected = want(of(values).copy(), a)
    if "data" not in write:
        y = (base * base).sum()
        if write != "fill_":
            with pytest.raises(RuntimeError, match="no_grad"):
                change(view, a)
    with fastnn.no_grad():
        change(view, a)
    np.testing.assert_array_equal(view.numpy(), expected)
    np.testing.assert_array_equal(of(base.numpy()), expected)
    if "data" not in write:
        with pytest.raises(RuntimeError, match="changed in place"):
            y.backward()


def test_the_array_of_blocks_cannot_be_written_to() -> None:
    """It is a copy: what was written would be lost."""
    base = nn.Parameter(np.arange(6, dtype="f4"))
    view = nn.ParameterView(base, blocks=(1, 0))
    with pytest.raises(ValueError, match="read-only"):
        view.data[0] = 1.0
    nn.ParameterView(nn.Parameter(np.zeros((2, 3), "f4")), (1, 0)).data[0] = 1.0


def test_copies_share_nothing(case: Any) -> None:
    base, view, _, _ = case
    (view * 2).sum().backward()
    for t in (view, view.grad):
        before = t.numpy().copy()
        for copied in (copy.copy, copy.deepcopy, lambda t: pickle.loads(pickle.dumps(t))):
            with fastnn.no_grad():
                other = copied(t).fill_(0.0)
            assert other.shape == view.shape and (t.numpy() == before).all()
    both = copy.deepcopy([base, view])
    assert both[1].base is both[0]


BAD: dict[str, tuple[tuple[Any, ...], type[Exception], str]] = {
    "axes": (((0, 0),), ValueError, r"axes \(0, 0\).*\(4, 6\)"),
    "blocks": ((None, (0, 2)), ValueError, r"blocks \(0, 2\)"),
    "sizes": ((None, (2, 0, 1)), ValueError, "of size 4"),
    "axis": ((None, (1, 0), 2), ValueError, "axis 2"),
}


@pytest.mark.parametrize("name", BAD)
def test_wrong_orders(name: str) -> None:
    arguments, kind, text = BAD[name]
    with pytest.raises(kind, match=text):
        nn.ParameterView(nn.Parameter(np.zeros((4, 6), "f4")), *arguments)


def test_the_base_is_a_stored_parameter() -> None:
    view = nn.ParameterView(nn.Parameter(np.zeros((4, 6), "f4")), (1, 0))
    for wrong in (view, fastnn.zeros(4, 6)):
        with pytest.raises(TypeError, match="wanted a Parameter that is not a view"):
            nn.ParameterView(wrong, (1, 0))  # type: ignore[arg-type]


# ---- layers that hold them ----


class Mix(nn.Module):
    """A product over (H, W, I), with an OIHW weight that is stored HWIO, as that of a convolution."""

    def __init__(self, through_view: bool = False) -> None:
        super().__init__()
        self.weight = nn.ParameterView(nn.Parameter(start.copy()), (3, 2, 0, 1))
        self.through_view = through_view

    @property
    def kernel(self) -> Any:
        return self._parameters["weight"].base  # type: ignore[union-attr]

    def forward(self, x: Any) -> Any:
        n = x.shape[0]
        kernel = self.weight.permute(2, 3, 1, 0) if self.through_view else self.kernel
        return x.reshape(n, -1) @ kernel.reshape(-1, 4)


class Gated(nn.Module):
    """Gates i, f, c, o as they are stored, and i, f, o, c as they are shown."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.ParameterView(nn.Parameter(rng.standard_normal((4, 12)).astype("f4")), (1, 0), (0, 1, 3, 2))
        self.bias = nn.ParameterView(nn.Parameter(np.zeros(12, "f4")), blocks=(0, 1, 3, 2))

    def forward(self, x: Any) -> Any:
        z = x @ self.weight.base + self.bias.base
        i, f, c, o = fastnn.split(z, 3, 1)
        return fastnn.sigmoid(o) * fastnn.tanh(fastnn.sigmoid(i) * fastnn.tanh(c) + fastnn.sigmoid(f))


start = rng.standard_normal((2, 2, 3, 4)).astype("f4")
X = rng.standard_normal((8, 2, 2, 3)).astype("f4")
Y = rng.standard_normal((8, 3)).astype("f4")


def net(through_view: bool = False) -> Any:
    global rng
    rng = np.random.default_rng(1)
    return fastnn.Sequential([Mix(through_view), Gated()])


@pytest.mark.parametrize(("optimizer", "backend"), [("adam", HOSTS[0]), *(("sgd", b) for b in HOSTS)])
@pytest.mark.filterwarnings("error")
def test_layers_train_as_their_storage_does(backend: str, optimizer: str) -> None:
    """One way reads the storage, the other the view: the parameters are the same, and are counted and stepped once."""
    with fastnn.use_backend(backend):
        results = []
        for through_view in (False, True):
            model = net(through_view)
            model.compile(optimizer, "mse", capture=True)
            model.fit(X, Y, epochs=4, batch_size=4, verbose=0, shuffle=False)
            results.append(model)
            assert [p.shape for p in model.parameters()] == [(4, 3, 2, 2), (12, 4), (12,)]
            assert [a.shape for a in model.get_weights()] == [(2, 2, 3, 4), (4, 12), (12,)]
            np.testing.assert_array_equal(model.freeze(8, input_shape=(2, 2, 3))(X), model.predict(X))
        for a, b in zip(results[0].get_weights(), results[1].get_weights(), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)
            assert (a != 0).any()
        assert (results[0].get_weights()[0] != start).any()


def test_both_orders_come_in_and_out(tmp_path: Path) -> None:
    model, other = net(), net()
    with fastnn.no_grad():
        for p in model.parameters():
            p.mul_(2.0)
    state, weights = model.state_dict(), model.get_weights()
    assert {name: a.shape for name, a in state.items()} == {"0.weight": (4, 3, 2, 2), "1.weight": (12, 4), "1.bias": (12,)}
    np.testing.assert_array_equal(state["0.weight"], weights[0].transpose(3, 2, 0, 1))
    np.testing.assert_array_equal(state["1.weight"], gates(weights[1].T, (0, 1, 3, 2)))
    model.save_weights(tmp_path / "w")
    loads: list[Callable[[], Any]] = [
        lambda: other.load_state_dict(state),
        lambda: other.set_weights(weights),
        lambda: other.load_weights(tmp_path / "w"),
    ]
    for load in loads:
        with fastnn.no_grad():
            for p in other.parameters():
                p.zero_()
        load()
        np.testing.assert_array_equal(other.predict(X), model.predict(X))
    frozen = net().freeze(8, input_shape=(2, 2, 3))
    for source in (model, state):
        frozen.update(source)
        np.testing.assert_array_equal(frozen(X), model.predict(X))


def test_gradients_of_layers_are_checked_by_the_names_of_their_views() -> None:
    class Halved(fastnn.Function):
        @staticmethod
        def forward(ctx: Any, w: Any) -> Any:
            return w * 1

        @staticmethod
        def backward(ctx: Any, dy: Any) -> Any:
            return dy * 0.5

    class Off(nn.Module):
        """Wrong in stored column 3, the second of the block that is shown first: its row 1."""

        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.ParameterView(nn.Parameter(rng.standard_normal((4, 6)).astype("f4")), (1, 0), (1, 0, 2))

        def forward(self, x: Any) -> Any:
            return x @ self.weight.base + Halved.apply(self.weight.base[2:3, 3:4])

    fastnn.gradcheck(net(), X)
    with pytest.raises(AssertionError, match=r"parameter weight\[1, 2\]"):
        fastnn.gradcheck(Off(), rng.standard_normal((3, 4)))


def test_a_target_network_may_be_stored_in_another_order() -> None:
    source = nn.ParameterView(nn.Parameter(rng.standard_normal((3, 8)).astype("f4")), (1, 0), (1, 0, 3, 2))
    for target in (
        nn.Parameter(np.zeros((8, 3), "f4")),
        nn.ParameterView(nn.Parameter(np.zeros((3, 8), "f4")), (1, 0)),
        nn.ParameterView(nn.Parameter(np.zeros((8, 3), "f4")), blocks=(2, 3, 0, 1)),
        nn.ParameterView(nn.Parameter(np.zeros((3, 8), "f4")), (1, 0), (1, 0, 3, 2)),
    ):
        for tau, share in ((0.5, 0.5), (1, 1)):
            fastnn.soft_update([target], [source], tau)
            np.testing.assert_array_equal(target.numpy(), np.float32(share) * source.numpy())


@pytest.mark.parametrize("blocks", [None, (1, 0)])
def test_ties_of_views_are_written_into_files(tmp_path: Path, blocks: Any) -> None:
    model = fastnn.Sequential([nn.Linear(4, 4), nn.Linear(4, 4)])
    model.layers[1].weight = nn.ParameterView(model.layers[0].kernel, (0, 1), blocks)
    model.save(tmp_path / "m.fastnn")
    other = fastnn.load(tmp_path / "m.fastnn")
    assert other.layers[1].weight.base is other.layers[0].kernel
    assert len(list(other.parameters())) == len(list(model.parameters())) == 3
    x = rng.standard_normal((3, 4)).astype("f4")
    np.testing.assert_array_equal(other.predict(x), model.predict(x))


def test_constraints_act_on_the_storage_once() -> None:
    class Doubling(fastnn.constraints.Constraint):
        def __call__(self, w: Any) -> Any:
            with fastnn.no_grad():
                return w.mul_(2.0)

    layer = Mix()
    layer.kernel_constraint = Doubling()
    layer.kernel_regularizer = fastnn.regularizers.get("l2")
    layer.apply_constraints()
    np.testing.assert_array_equal(layer.kernel.numpy(), start * 2)
    assert len(layer.losses) == 1
    np.testing.assert_allclose(layer.losses[0].item(), 0.01 * (4 * start**2).sum(), rtol=1e-5)
