"""Mixed precision: what autocast and compile(dtype="bfloat16") round, what they leave alone, and where they are refused.

The kernels round wherever they run; only CPUs that multiply bfloat16 are given leave to. The tests give it everywhere, so that
none depends on the CPU; those of the refusal take it back.
"""

import copy
import pickle
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fastnn
import fastnn.nn as nn
from fastnn.backends import current, get_isa, isas, recording, unavailable, use_isa
from fastnn.backends.base import Backend
from fastnn.backends.cpp import CppBackend
from fastnn.replay.recorder import Recorder

needs_cpp = pytest.mark.skipif(bool(unavailable("cpp")), reason="this installation has no compiled kernels")

Array = np.ndarray[Any, Any]
rng = np.random.default_rng(0)
DTYPES = ("float32", "float64")


@pytest.fixture(autouse=True)
def allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    for backend in (Backend, CppBackend):
        monkeypatch.setattr(backend, "why_unavailable", lambda self, precision: "")


@pytest.fixture
def refusable(allowed: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Backends and CPUs are asked as always; the ISA is put back afterwards."""
    monkeypatch.undo()
    before = get_isa()
    yield
    if before != "none":
        use_isa(before)


def normal(*shape: int, dtype: str = "float32") -> Array:
    return rng.standard_normal(shape).astype(dtype)


def rounded(a: Array, significant: int = 8) -> Array:
    """To that many significant bits, in float64."""
    m, e = np.frexp(a.astype(np.float64))
    return np.ldexp(np.round(np.ldexp(m, significant)), e - significant)


def check(value: Any, want: Array, other: Array | None = None) -> None:
    """Equal to what is wanted but for rounding of float32; and by far not to what comes out otherwise."""
    got = value if isinstance(value, np.ndarray) else value.numpy()
    scale = np.abs(want).max()
    assert np.abs(got - want).max() <= 1e-5 * scale
    if other is not None:
        assert np.abs(got - other).max() > 1e-3 * scale


def gradients(loss: fastnn.Tensor, *leaves: fastnn.Tensor) -> list[Array]:
    for leaf in leaves:
        leaf.zero_grad()
    loss.backward()
    return [leaf.grad.numpy() for leaf in leaves if leaf.grad is not None]


# ---- autocast ----


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("product", [fastnn.matmul, lambda a, b: a @ b], ids=["matmul", "@"])
@pytest.mark.parametrize("backward_inside", [True, False])
def test_products_have_rounded_factors(product: Any, dtype: str, backward_inside: bool) -> None:
    a, b, g = normal(33, 70, dtype=dtype), normal(70, 20, dtype=dtype), normal(33, 20, dtype=dtype)
    ta, tb = fastnn.tensor(a, requires_grad=True), fastnn.tensor(b, requires_grad=True)
    with fastnn.autocast("bfloat16"):
        c = product(ta, tb)
        loss = (c * fastnn.tensor(g)).sum()
        da, db = gradients(loss, ta, tb) if backward_inside else (None, None)
    if not backward_inside:
        da, db = gradients(loss, ta, tb)
    assert c.dtype == dtype and da.dtype == dtype
    check(c, rounded(a) @ rounded(b), a @ b)
    check(da, rounded(g) @ rounded(b).T, g @ b.T)
    check(db, rounded(a).T @ rounded(g), a.T @ g)
    check(product(ta, tb), a @ b)
    plain = (product(ta, tb) * fastnn.tensor(g)).sum()
    with fastnn.autocast("bfloat16"):  # what forward did not round, backward does not either
        da, db = gradients(plain, ta, tb)
    check(da, g @ b.T)
    check(db, a.T @ g)


def test_vectors_and_batches() -> None:
    a, b, v = normal(3, 5, 40), normal(40, 6), normal(40)
    with fastnn.autocast():
        check(fastnn.matmul(a, b), rounded(a) @ rounded(b), a @ b)
        check(fastnn.matmul(a, v), rounded(a) @ rounded(v), a @ v)
        check(fastnn.matmul(v, b), rounded(v) @ rounded(b), v @ b)


@pytest.mark.parametrize("activation", [None, "relu", "tanh", "gelu"])
@pytest.mark.parametrize("kind", [fastnn.Dense, nn.Linear])
def test_layers(kind: Any, activation: Any) -> None:
    if kind is nn.Linear and activation:
        model: Any = nn.Sequential(nn.Linear(50, 30), fastnn.Activation(activation))
    elif kind is nn.Linear:
        model = nn.Linear(50, 30)
    else:
        model = fastnn.Sequential([fastnn.Dense(30, activation=activation, input_shape=(50,))])
    x, g = normal(17, 50), normal(17, 30)
    w, bias = model.get_weights()[0], normal(30)
    model.set_weights([w, bias])
    tx = fastnn.tensor(x, requires_grad=True)
    with fastnn.autocast("bfloat16"):
        y = model(tx)
    dx, dw, db = gradients((y * fastnn.tensor(g)).sum(), tx, *model.parameters())
    matrix = w if w.shape == (50, 30) else w.T
    z = fastnn.tensor((rounded(x) @ rounded(matrix) + bias).astype(np.float32), requires_grad=True)
    want = fastnn.Activation(activation)(z) if activation else z * 1.0
    (dz,) = gradients((want * fastnn.tensor(g)).sum(), z)
    check(y, want.numpy())
    # A factor that lies between two numbers of 8 bits may go to either.
    close = 3e-3
    np.testing.assert_allclose(dx, rounded(dz) @ rounded(matrix).T, atol=close * np.abs(dx).max())
    np.testing.assert_allclose(dw if dw.shape == (50, 30) else dw.T, rounded(x).T @ rounded(dz), atol=close * np.abs(dw).max())
    check(db, dz.sum(0))  # no product: of numbers that are not rounded


@pytest.mark.parametrize("transposed", [False, True], ids=["own weight", "an embedding's"])
@pytest.mark.parametrize("bias", [False, True])
def test_a_head_and_its_loss(monkeypatch: pytest.MonkeyPatch, transposed: bool, bias: bool) -> None:
    monkeypatch.setattr("fastnn.ops.loss.SMALL_BYTES", 1)
    monkeypatch.setattr("fastnn.ops.loss.CHUNK_ROWS", 8)
    x, labels = normal(40, 24), rng.integers(0, 30, 40)
    loss_of = nn.LinearCrossEntropyLoss(24, 30, bias=bias)
    if transposed:
        loss_of.linear.weight = nn.Parameter(normal(30, 24) / 5)
    w = loss_of.linear.weight.numpy().astype(np.float64).T
    b = loss_of.linear.bias.numpy() if bias else np.zeros(30)
    tx = fastnn.tensor(x, requires_grad=True)
    with fastnn.autocast():
        loss = loss_of(tx, labels)
    loss.backward()

    def want(r: Any) -> tuple[Any, ...]:
        z = r(x) @ r(w) + b
        p = np.exp(z - z.max(1, keepdims=True))
        p /= p.sum(1, keepdims=True)
        nll = -np.log(p[np.arange(40), labels]).mean()
        p[np.arange(40), labels] -= 1
        dz = p / 40
        return nll, r(dz) @ r(w).T, r(dz).T @ r(x), dz.sum(0)

    nll, dx, dw, db = want(rounded)
    assert abs(loss.item() - nll) < 1e-5 < 3e-5 < abs(loss.item() - want(np.float64)[0])
    for got, value, other in ((tx.grad, dx, want(np.float64)[1]), (loss_of.linear.weight.grad, dw, want(np.float64)[2])):
        assert got is not None
        error, otherwise = (np.abs(got.numpy() - a).max() / np.abs(value).max() for a in (value, other))
        assert error < 1.5e-3 < otherwise
    if bias:
        check(loss_of.linear.bias.grad, db)


def test_nothing_else_is_rounded() -> None:
    """A step of training with all kinds of operations: the calls are the same but for the precision of products."""
    x, labels = normal(16, 10), rng.integers(0, 4, 16)

    def calls(dtype: str) -> list[tuple[str, tuple[Any, ...]]]:
        fastnn.seed(1)
        model = nn.Sequential(nn.Linear(10, 12), nn.GELU(), nn.Dropout(0.3), nn.Linear(12, 4))
        optimizer = fastnn.optim.Adam(model.parameters(), lr=0.01)
        scale = fastnn.tensor(normal(12, 12), requires_grad=True)
        recorder = Recorder(current())
        with recording(recorder), fastnn.autocast(dtype):
            h = fastnn.softmax(fastnn.matmul(model[0](fastnn.tensor(x)), scale)) * 3 + fastnn.exp(scale.sum(0))
            nn.CrossEntropyLoss()(model[3](model[2](model[1](h))), fastnn.tensor(labels)).backward()
            optimizer.step()
        return recorder.calls

    products = 0
    for (name, plain), (same, args) in zip(calls("float32"), calls("bfloat16"), strict=True):
        assert name == same
        numbers = [[a for a in of if isinstance(a, int | float)] for of in (plain, args)]
        if name.startswith(("matmul", "dense")):
            products += 1
            assert numbers[0].pop() == 0 and numbers[1].pop() == 1
        assert numbers[0] == numbers[1]
        assert [a.dtype for a in plain if hasattr(a, "dtype")] == [a.dtype for a in args if hasattr(a, "dtype")]
    assert products == 3 + 4  # forward and backward


def test_other_operations_keep_their_bits() -> None:
    x = normal(9, 9)

    def compute() -> list[bytes]:
        t = fastnn.tensor(x, requires_grad=True)
        loss = (fastnn.softmax(t * 1.2345) + fastnn.exp(t).mean() - fastnn.gelu(t) / 3).sum()
        return [loss.numpy().tobytes(), gradients(loss, t)[0].tobytes()]

    with fastnn.autocast():
        inside = compute()
    assert inside == compute()


def product_of_third() -> float:
    """1/3 squared, or what is left of it."""
    return fastnn.matmul([[1 / 3]], [[1 / 3]]).item()


PLAIN, SHORT = 1 / 9, 0.333984375**2


def test_blocks_may_be_nested_and_used_again() -> None:
    block = fastnn.autocast("bfloat16")
    assert product_of_third() == pytest.approx(PLAIN)
    with block:
        assert product_of_third() == pytest.approx(SHORT)
        with fastnn.autocast("float32"):
            assert product_of_third() == pytest.approx(PLAIN)
            with block, block:
                assert product_of_third() == pytest.approx(SHORT)
            assert product_of_third() == pytest.approx(PLAIN)
        assert product_of_third() == pytest.approx(SHORT)
    assert product_of_third() == pytest.approx(PLAIN)
    with pytest.raises(KeyError), block:
        raise KeyError
    assert product_of_third() == pytest.approx(PLAIN)


def test_each_thread_has_its_own_blocks() -> None:
    block, barrier, found = fastnn.autocast("bfloat16"), threading.Barrier(3, timeout=30), {}

    def work(number: int) -> None:
        seen = [product_of_third()]
        for turn in range(3):  # the threads go in and out in turn, by the same object
            if number == turn:
                block.__enter__()
            barrier.wait()
            seen.append(product_of_third())
            barrier.wait()
        for turn in range(3):
            if number == turn:
                block.__exit__(None, None, None)
            barrier.wait()
            seen.append(product_of_third())
            barrier.wait()
        found[number] = seen

    with fastnn.autocast("bfloat16"), ThreadPoolExecutor(3) as pool:
        list(pool.map(work, range(3)))
    for number, seen in found.items():
        rounds = [False] + [turn >= number for turn in range(3)] + [turn < number for turn in range(3)]
        assert seen == pytest.approx([SHORT if r else PLAIN for r in rounds])


@pytest.mark.parametrize("dtype", DTYPES)
def test_nan_and_infinity_pass(dtype: str) -> None:
    a, b = normal(5, 40, dtype=dtype), np.abs(normal(40, 7, dtype=dtype))
    a[0, 3], a[1, 4], a[2, :2], a[3, 39] = np.nan, np.inf, (np.inf, -np.inf), -np.inf
    with fastnn.autocast():
        c = fastnn.matmul(a, b).numpy()
        d = fastnn.matmul(np.asarray([[np.finfo(np.float32).max]], dtype), np.asarray([[1.0]], dtype)).item()
    assert np.isnan(c[0]).all() and (c[1] == np.inf).all() and np.isnan(c[2]).all() and (c[3] == -np.inf).all()
    check(c[4:], rounded(a[4:]) @ rounded(b))
    assert d == np.inf  # nearer to 2^128, which is none of its numbers, than to the greatest of them


def test_captured_functions_have_a_recording_for_each_precision() -> None:
    w = nn.Parameter(normal(30, 8))
    x = normal(12, 30)

    @fastnn.capture
    def step(x: Any) -> Any:
        w.zero_grad()
        y = fastnn.matmul(x, w)
        y.sum().backward()
        return y

    want = {"float32": x @ w.numpy(), "bfloat16": rounded(x) @ rounded(w.numpy())}
    for i in range(12):
        dtype = ("float32", "bfloat16")[i % 2]
        with fastnn.autocast(dtype):
            check(step(fastnn.tensor(x)), want[dtype], want["float32" if i % 2 else "bfloat16"])
        assert w.grad is not None
        check(w.grad, (rounded(x) if i % 2 else x).sum(0)[:, None] * np.ones((1, 8)))
    assert step.captured.eager == "" and len(step.captured._steps) == 2  # type: ignore[attr-defined]


def test_blocks_inside_of_captured_functions() -> None:
    w, x = nn.Parameter(normal(30, 8)), normal(12, 30)

    @fastnn.capture
    def both(x: Any) -> Any:
        with fastnn.autocast():
            y = fastnn.matmul(x, w).detach()
        return y, fastnn.matmul(x, w).detach()

    for _ in range(4):
        short, plain = both(fastnn.tensor(x))
        check(short, rounded(x) @ rounded(w.numpy()), x @ w.numpy())
        check(plain, x @ w.numpy())
    assert both.captured._steps  # type: ignore[attr-defined]


# ---- compile ----

X = normal(96, 20)
LABELS = (X @ normal(20, 4)).argmax(1)


def classifier(dtype: str = "bfloat16", **args: Any) -> fastnn.Sequential:
    fastnn.seed(0)
    layers = [fastnn.Dense(40, activation="relu", input_shape=(20,)), fastnn.Dense(30, activation="tanh")]
    model = fastnn.Sequential([*layers, fastnn.Dense(4, activation="softmax")])
    model.compile(fastnn.optim.Adam(lr=0.01), "sparse_categorical_crossentropy", ["accuracy"], dtype=dtype, **args)
    return model


class ByHand(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Linear(20, 30), nn.Linear(30, 4)

    def forward(self, x: Any) -> Any:
        return self.b(fastnn.relu(self.a(x)))


def bits(model: Any) -> list[bytes]:
    return [w.tobytes() for w in model.get_weights()]


def fitted(dtype: str, **args: Any) -> list[bytes]:
    model = classifier(dtype)
    model.fit(X, LABELS, batch_size=16, epochs=2, shuffle=False, verbose=0, **args)
    return bits(model)


def test_fit_does_what_a_loop_under_autocast_does() -> None:
    model = classifier("float32")
    loss_of = fastnn.losses.SparseCategoricalCrossentropy()
    optimizer = fastnn.optim.Adam(model.parameters(), lr=0.01)
    for i in list(range(0, 96, 16)) * 2:
        optimizer.zero_grad()
        with fastnn.autocast():
            y = model(fastnn.tensor(X[i : i + 16]), training=True)
        loss_of(LABELS[i : i + 16], y, None).backward()
        optimizer.step()
    assert fitted("bfloat16") == bits(model)
    assert fitted("float32") != bits(model)


def test_ways_to_train_agree() -> None:
    """Recorded steps, eager ones, and single batches."""
    want = fitted("bfloat16")
    assert fitted("bfloat16", check_finite=True) == want
    model = classifier()
    for i in list(range(0, 96, 16)) * 2:
        model.train_on_batch(X[i : i + 16], LABELS[i : i + 16])
    assert bits(model) == want
    with fastnn.autocast("bfloat16"):  # fit follows compile
        assert fitted("float32") == fitted("float32", check_finite=True) != want


@pytest.mark.parametrize("capture", [False, True])
def test_hand_written_models(capture: bool) -> None:
    results = []
    for dtype in ("bfloat16", "bfloat16", "float32"):
        fastnn.seed(0)
        model = ByHand()
        model.compile("sgd", nn.CrossEntropyLoss(), capture=capture if not results else not capture, dtype=dtype)
        model.fit(X, LABELS, batch_size=16, epochs=2, verbose=0)
        results.append(bits(model))
    assert results[0] == results[1] != results[2]


def test_products_of_a_loss_are_rounded_too() -> None:
    def loss(y: Any, p: Any) -> Any:
        return fastnn.matmul(fastnn.tensor([[1 / 3]]), fastnn.tensor([[1 / 3]])).mean() + (p - y).mean() * 0.0

    for dtype, value in (("bfloat16", SHORT), ("float32", PLAIN)):
        model = fastnn.Sequential([fastnn.Dense(1, input_shape=(20,))])
        model.compile("sgd", loss, dtype=dtype)
        assert model.fit(X, X[:, :1], verbose=0).history["loss"] == pytest.approx([value])


def test_evaluation_and_prediction_are_not_rounded() -> None:
    short, plain = classifier("bfloat16"), classifier("float32")
    history = short.fit(X, LABELS, epochs=2, validation_data=(X, LABELS), verbose=0)
    plain.set_weights(short.get_weights())
    frozen = short.freeze(batch_size=96)
    for _ in range(3):
        np.testing.assert_array_equal(short.predict(X), plain.predict(X))
        np.testing.assert_array_equal(frozen(X), plain.predict(X))
    assert short.evaluate(X, LABELS, verbose=0) == plain.evaluate(X, LABELS, verbose=0)
    assert short.test_on_batch(X, LABELS) == plain.test_on_batch(X, LABELS)
    assert history.history["val_loss"][-1] == plain.evaluate(X, LABELS, verbose=0)[0]


def test_prediction_in_a_block_is_rounded_and_does_not_last() -> None:
    model = classifier()
    plain = model.predict(X)
    for _ in range(2):
        for _ in range(3):
            with fastnn.autocast():
                short = model.predict(X)
            assert 1e-4 < np.abs(short - plain).max() < 1e-1
        for _ in range(3):
            np.testing.assert_array_equal(model.predict(X), plain)
    with fastnn.autocast():
        frozen = model.freeze(batch_size=96)
    for call in (frozen, pickle.loads(pickle.dumps(frozen))):
        np.testing.assert_array_equal(call(X), short)


def test_copies_go_on_in_the_same_precision() -> None:
    model = classifier()
    model.train_on_batch(X, LABELS)
    copies = [copy.deepcopy(model), pickle.loads(pickle.dumps(model))]
    for m in (model, *copies):
        m.train_on_batch(X, LABELS)
    assert bits(copies[0]) == bits(copies[1]) == bits(model)


def test_a_saved_model_trains_in_float32_anywhere(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    model = classifier()
    model.fit(X, LABELS, epochs=2, verbose=0)
    model.save(tmp_path / "model.fastnn")
    request.getfixturevalue("refusable")
    with fastnn.use_backend("numpy"):
        with pytest.warns(UserWarning, match="goes on in float32 here"):
            loaded = fastnn.load(tmp_path / "model.fastnn")
        np.testing.assert_array_equal(loaded.get_weights()[0], model.get_weights()[0])
        loaded.fit(X, LABELS, verbose=0)
        own = copy.deepcopy(model)  # arrays of this backend
        with pytest.raises(RuntimeError, match=r"^fit: dtype 'bfloat16'"):
            own.fit(X, LABELS, verbose=0)


def test_a_profile_tells_what_was_rounded() -> None:
    profile = classifier().profile(X, LABELS, print_fn=None)
    short = {row.kernel for row in profile.rows if row.precision == "bfloat16"}
    assert short == {"dense_forward", "dense_backward"}
    text = str(profile)
    assert "dense_backward bfloat16" in text and "GFLOP/s of float32" in text and f"of the peak of {profile.processor}" in text
    assert "bfloat16" not in str(classifier("float32").profile(X, LABELS, print_fn=None))


@pytest.mark.long
def test_the_digits_are_learnt_as_well() -> None:
    """Mean test accuracies after ten epochs lie within 0.02 of each other, and most is learnt by then."""
    (x, y), (x_test, y_test) = fastnn.datasets.digits(as_float=True)
    means = []
    for dtype in ("float32", "bfloat16"):
        found = []
        for seed in range(3):
            fastnn.seed(seed)
            layers = [fastnn.Dense(n, activation="relu") for n in (32, 32)]
            model = fastnn.Sequential([fastnn.Flatten(input_shape=(400,)), *layers, fastnn.Dense(10, activation="softmax")])
            model.compile("adam", "sparse_categorical_crossentropy", dtype=dtype)
            model.fit(x, y, batch_size=64, epochs=10, verbose=0)
            found.append((model.predict(x_test).argmax(1) == y_test).mean())
        means.append(np.mean(found))
    assert min(means) > 0.85
    assert means[1] == pytest.approx(means[0], abs=0.02)


# ---- tf32 ----


def test_factors_of_tf32_have_11_bits() -> None:
    """To the nearest, ties away from zero; NaN and infinity pass."""
    values = {
        1 + 2**-10: 1 + 2**-10,
        1 + 2**-11: 1 + 2**-10,
        -1 - 2**-11: -1 - 2**-10,
        1 + 2**-12: 1.0,
        3e38: 3e38,
        np.inf: np.inf,
    }
    with fastnn.use_backend("numpy"), fastnn.autocast("tf32"):
        for dtype in DTYPES:
            for value, want in values.items():
                got = fastnn.matmul(np.asarray([[value]], dtype), np.asarray([[1.0]], dtype)).item()
                assert got == pytest.approx(want, rel=2**-11 if abs(value) > 2 else 0)
            assert np.isnan(fastnn.matmul(np.asarray([[np.nan]], dtype), np.asarray([[1.0]], dtype)).item())
        a, b = normal(20, 30), normal(30, 10)
        check(fastnn.matmul(a, b), rounded(a, 11) @ rounded(b, 11), rounded(a) @ rounded(b))
        assert np.abs(fastnn.matmul(a, b).numpy() - a @ b).max() > 1e-4


def test_training_in_tf32() -> None:
    with fastnn.use_backend("numpy"):
        want = {dtype: fitted(dtype) for dtype in ("float32", "bfloat16", "tf32")}
        assert want["tf32"] == fitted("tf32") and len({w[0] for w in want.values()}) == 3


# ---- refusals ----


@pytest.mark.parametrize("dtype", ["float16", "bf16", "", None, np.float32])
def test_unknown_names(dtype: Any) -> None:
    with pytest.raises(ValueError, match=r"^autocast: dtype is .*; there are: float32, bfloat16, tf32$"):
        fastnn.autocast(dtype)
    with pytest.raises(ValueError, match=r"^compile: dtype is .*; there are: float32, bfloat16, tf32$"):
        classifier(dtype)


def refused(why: str) -> None:
    """Everything that is refused, with the reason."""
    for op, call in (("autocast", lambda: fastnn.autocast("bfloat16")), ("compile", classifier)):
        with pytest.raises(RuntimeError, match=rf"^{op}: dtype 'bfloat16' is not available here: .*{why}"):
            call()
    lacking = fastnn.info().precisions["bfloat16"]
    assert why in lacking and f"bfloat16 not available: {lacking}" in str(fastnn.info())
    with fastnn.autocast("float32"):
        assert product_of_third() == pytest.approx(PLAIN)
    classifier("float32").fit(X, LABELS, verbose=0)


def test_the_reference_refuses(refusable: None) -> None:
    with fastnn.use_backend("numpy"):
        refused("the numpy backend has no products of bfloat16")


@pytest.mark.parametrize("backend", ["numpy", pytest.param("cpp", marks=needs_cpp)])
def test_cpus_have_no_tf32(refusable: None, backend: str) -> None:
    """Nor is anything done in float32 instead."""
    with fastnn.use_backend(backend):
        for op, call in (("autocast", fastnn.autocast), ("compile", classifier)):
            with pytest.raises(
                RuntimeError, match=rf"^{op}: dtype 'tf32' is not available here: tf32 is a format of NVIDIA GPUs"
            ):
                call("tf32")
        assert f"tf32     not available: {fastnn.info().precisions['tf32']}" in str(fastnn.info())


@needs_cpp
@pytest.mark.parametrize("isa", ["avx2", "base"])
def test_other_kernels_refuse(refusable: None, isa: str) -> None:
    if isas().get(isa, "not there"):
        isa = "base"  # which every machine has
    use_isa(isa)
    with fastnn.use_backend("cpp"):
        refused(f"AVX512_BF16 and the avx512 kernels; {isa} is in use")


@needs_cpp
def test_where_the_cpu_multiplies_it_nothing_is_refused(refusable: None) -> None:
    with fastnn.use_backend("cpp"):
        use_isa(next(name for name, reason in isas().items() if not reason))
        if fastnn.info().precisions["bfloat16"]:
            refused("need a CPU with AVX512_BF16")
        else:
            with fastnn.autocast():
                assert product_of_third() == pytest.approx(SHORT)
            classifier().fit(X, LABELS, verbose=0)
            assert "bfloat16 available" in str(fastnn.info())


@needs_cpp
@pytest.mark.parametrize("switch", ["numpy", "base"])
def test_a_switch_after_compile_is_refused(refusable: None, switch: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also by the batch steps that were recorded before."""
    from fastnn import _core

    best = next(name for name, reason in isas().items() if not reason)
    monkeypatch.setattr(_core, "bf16", lambda: _core.isa() == best)  # as if this CPU had it
    with fastnn.use_backend("cpp"), ExitStack() as switched:
        use_isa(best)
        model, block = classifier(), fastnn.autocast("bfloat16")
        for _ in range(4):
            model.train_on_batch(X, LABELS)
        before = bits(model)
        if switch == "numpy" or best == "base":
            switched.enter_context(fastnn.use_backend("numpy"))
        else:
            use_isa(switch)
        for call in (
            lambda: model.fit(X, LABELS, verbose=0),
            lambda: model.train_on_batch(X, LABELS),
            lambda: model.profile(X, LABELS, print_fn=None),
        ):
            with pytest.raises(RuntimeError, match=r"^fit: dtype 'bfloat16' is not available here"):
                call()
        with pytest.raises(RuntimeError, match=r"^autocast: "), block:
            pass
        assert product_of_third() == pytest.approx(PLAIN)
        assert bits(model) == before
        model.evaluate(X, LABELS, verbose=0)
        switched.close()
        use_isa(best)
        model.train_on_batch(X, LABELS)
        assert bits(model) != before
