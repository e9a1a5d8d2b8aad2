"""What only the cupy backend has: numbers that Python and kernels share, data that are streamed, arrays of CuPy.

Runs on the emulated device, and on a GPU where there is one.
"""

from __future__ import annotations

import copy
import pickle
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any

import emulator
import numpy as np
import pytest

import fastnn
from fastnn.backends import cupy, current
from fastnn.backends.cupy import CupyBackend
from fastnn.backends.cupy.device import CudaDevice
from fastnn.backends.cupy.shared import SharedArray
from fastnn.training.data.source import Batches

TARGETS = [*(emulator.TARGETS if emulator.runs_here() else ()), *(() if emulator.why_no_gpu() else ("gpu",))]

rng = np.random.default_rng(0)
X = rng.uniform(-1, 1, (53, 6)).astype(np.float32)
LABELS = rng.integers(0, 3, 53)


@pytest.fixture(params=TARGETS)
def k(request: pytest.FixtureRequest) -> Iterator[CupyBackend]:
    """The backend that operations run on."""
    target = request.param
    with fastnn.use_backend("cupy") if target == "gpu" else emulator.using(target):
        yield current()


# ---- numbers ----

READS: dict[str, Callable[[Any], Any]] = {
    "element": lambda n: n[0],
    "slice": lambda n: n[:1].tolist()[0],
    "reshaped": lambda n: n.reshape(1, 1)[0, 0],
    "item": lambda n: n.item(),
    "tolist": lambda n: n.tolist()[0],
    "tobytes": lambda n: np.frombuffer(n.tobytes(), np.int64)[0],
    "int": lambda n: int(n.reshape(())),
    "float": lambda n: float(n.reshape(())),
    "iteration": lambda n: next(iter(n)),
    "repr": lambda n: int(repr(n).partition("[")[2].partition("]")[0]),
    "str": lambda n: int(str(n).strip("[]")),
    "sum": lambda n: n.sum(),
    "max": lambda n: n.max(),
    "mean": lambda n: n.mean(),
    "any": lambda n: n.any() * n[0],
    "flatten": lambda n: n.flatten()[0],
    "repeat": lambda n: n.repeat(2)[1],
    "take": lambda n: n.take([0])[0],
    "cumsum": lambda n: n.cumsum()[0],
    "dot": lambda n: n.dot([1]),
    "astype": lambda n: n.astype(np.float64)[0],
    "copy": lambda n: n.copy()[0],
    "arithmetic": lambda n: (n + 0)[0],
    "comparison": lambda n: n[0] if (n != n - 1).all() else None,
    "ufunc": lambda n: np.add(1, n)[0] - 1,
    "function": lambda n: np.concatenate([n, n])[1],
    "copy module": lambda n: copy.copy(n)[0],
    "deepcopy": lambda n: copy.deepcopy(n)[0],
    "pickle": lambda n: pickle.loads(pickle.dumps(n))[0],
    "plain": lambda n: n.plain()[0],
}


@pytest.mark.parametrize("read", READS)
def test_numbers_are_read_when_the_device_is_done(k: CupyBackend, read: str) -> None:
    n = k.shared_array([40], np.int64)
    for count in (41, 42):
        k.advance(n, 1)
        assert READS[read](n) == count
    k.advance(n, 1)
    assert k.to_numpy(n)[0] == 43


WRITES: dict[str, Callable[[Any], Any]] = {
    "element": lambda n: n.__setitem__(0, 9.0),
    "all": lambda n: n.__setitem__(slice(None), 9.0),
    "fill": lambda n: n.fill(9.0),
    "in place": lambda n: n.__iadd__(9.0),
    "out": lambda n: np.multiply(9.0, [1.0], out=n),
    "copyto": lambda n: np.copyto(n, 9.0),
    "put": lambda n: n.put([0], 9.0),
}


@pytest.mark.parametrize("write", WRITES)
def test_numbers_are_written_when_the_device_has_read_them(k: CupyBackend, write: str) -> None:
    x, y, scale = k.asarray(np.ones(3)), k.asarray(np.zeros(3)), k.shared_array([0.5])
    k.accumulate(y, x, scale)
    WRITES[write](scale)
    assert k.to_numpy(y).tolist() == [0.5, 0.5, 0.5] and scale[0] >= 9
    k.accumulate(y, x, scale)
    assert k.to_numpy(y)[0] > 9


def test_what_is_made_of_numbers_is_no_memory_of_the_device(k: CupyBackend) -> None:
    n = k.shared_array([1.0, 2.0])
    x = k.asarray(np.ones(1))
    for made in (n.copy(), n + 1, n.astype(np.float64), n.plain(), np.concatenate([n, n]), np.zeros_like(n), np.array(n)):
        assert type(made) is np.ndarray
        with pytest.raises(TypeError, match=r"accumulate: share is a numpy.ndarray, wanted memory of the GPU"):
            k.accumulate(x, x, made[:1])
    with pytest.raises(TypeError, match="SharedArray, wanted memory of the GPU"):
        k.accumulate(x, x, np.ndarray.__new__(SharedArray, 1))
    k.accumulate(x, x, n[1:])  # a part of them is
    assert k.to_numpy(x).tolist() == [3.0]


def test_copies_of_numbers_are_numbers_of_the_backend_in_use(k: CupyBackend) -> None:
    n = k.shared_array([1, 2], np.uint64)
    for made in (copy.deepcopy(n), pickle.loads(pickle.dumps(n))):
        assert type(made) is SharedArray and made.dtype == np.uint64 and made.tolist() == [1, 2]
        made[0] = 7
    assert n[0] == 1
    with fastnn.use_backend("numpy"):
        assert type(pickle.loads(pickle.dumps(n))) is np.ndarray


def test_numbers_of_several_threads(k: CupyBackend) -> None:
    """One waits while another starts kernels: each sees all of its own."""
    barrier = threading.Barrier(3)

    def count(_: int) -> bool:
        n = k.shared_array([0], np.int64)
        barrier.wait()
        for i in range(150):
            k.advance(n, 1)
            if n[0] != i + 1:
                return False
        return True

    with ThreadPoolExecutor(3) as pool:
        assert all(pool.map(count, range(3)))


# ---- data that do not fit ----


def _classifier() -> Any:
    fastnn.seed(2)
    model = fastnn.Sequential([fastnn.Dense(5, "relu", input_shape=(6,)), fastnn.Dropout(0.2), fastnn.Dense(3, "softmax")])
    model.compile("adam", "sparse_categorical_crossentropy", ["accuracy"])
    return model


FITS: dict[str, dict[str, Any]] = {
    "plain": {"shuffle": False, "batch_size": 53},
    "smaller last batch": {"shuffle": False, "batch_size": 20},
    "shuffled": {"batch_size": 20},
    "batch of one": {"batch_size": 26},
    "weights": {"batch_size": 20, "sample_weight": np.linspace(0, 2, 53)},
    "validation": {"batch_size": 16, "validation_split": 0.3, "validation_batch_size": 7},
    "batch by batch": {"batch_size": 20, "callbacks": None},
}


@pytest.mark.parametrize("options", [*FITS, "bytes"])
def test_streamed_data_train_as_resident_ones(k: CupyBackend, monkeypatch: pytest.MonkeyPatch, options: str) -> None:
    x = (np.abs(X) * 9).astype(np.uint8) if options == "bytes" else X
    streamed: list[bool] = []
    make = Batches.__init__

    def spy(self: Batches, arrays: Any, floats: Any, **how: Any) -> None:
        make(self, arrays, floats, **how)
        streamed.append(any(k.is_streamed(a) for a in self.arrays if a.size))

    monkeypatch.setattr(Batches, "__init__", spy)
    given = FITS.get(options, {"batch_size": 20})
    if "callbacks" in given:
        given = {**given, "callbacks": fastnn.callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: None)}
    results = []
    for room in (1 << 40, 0):
        monkeypatch.setattr(cupy, "SURELY_FITS", 0)
        monkeypatch.setattr(k.device, "free", lambda room=room: room)
        model = _classifier()
        history = model.fit(x, LABELS, epochs=5, verbose=0, **given).history
        results.append((history, model.evaluate(X, LABELS, verbose=0), [w.tobytes() for w in model.get_weights()]))
    assert streamed == [False, True]
    assert results[0] == results[1]


def test_what_fits_is_not_streamed(k: CupyBackend, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(k.device, "free", lambda: 0)
    assert not k.is_streamed(k.dataset(X))  # small arrays always fit
    monkeypatch.setattr(cupy, "SURELY_FITS", X.nbytes - 1)
    monkeypatch.setattr(k.device, "free", lambda: 2 * X.nbytes)
    assert not k.is_streamed(k.dataset(X))
    monkeypatch.setattr(k.device, "free", lambda: 2 * X.nbytes - 2)
    assert k.is_streamed(k.dataset(X))


# ---- arrays of CuPy ----


def test_arrays_of_the_device_as_tensors(k: CupyBackend) -> None:
    a = k.asarray(X)
    assert type(a) is k.xp.ndarray
    t = fastnn.tensor(a)
    assert t.dtype == np.float32 and not k.xp.may_share_memory(t.data, a)  # a tensor is a copy, as of NumPy arrays
    np.testing.assert_array_equal((t + a).numpy(), X + X)
    np.testing.assert_array_equal(fastnn.tensor(a[:, 1:3], dtype="float64").numpy(), X[:, 1:3].astype(np.float64))
    np.testing.assert_array_equal(t[k.asarray(np.array([3, -1]))].numpy(), X[[3, -1]])
    with pytest.raises(TypeError, match="float16 is not supported"):
        fastnn.tensor(a.astype("float16"))


def test_arrays_of_the_device_train_a_model(k: CupyBackend) -> None:
    results = []
    for place in (lambda a: a, k.asarray):
        model, x, y = _classifier(), place(X), place(LABELS)
        model.fit(x, y, epochs=2, verbose=0, sample_weight=place(np.linspace(0, 1, 53)))
        losses = [model.train_on_batch(x, y) for _ in range(5)]
        called = model(x).numpy(), model.predict(x), model.predict_on_batch(x)
        results.append((losses, model.evaluate(x, y, verbose=0), *(c.tobytes() for c in called)))
    assert results[0] == results[1]


def test_arrays_of_the_device_elsewhere(k: CupyBackend) -> None:
    layer = fastnn.nn.Linear(6, 3)
    loss = fastnn.nn.CrossEntropyLoss(weight=[1.0, 2.0, 3.0])
    x, y = k.asarray(X), k.asarray(LABELS)
    assert loss(layer(x), y).item() == loss(layer(X), LABELS).item()
    layer.set_weights([k.asarray(w * 2) for w in layer.get_weights()])
    layer.load_state_dict({name: k.asarray(a) for name, a in layer.state_dict().items()})
    metric = fastnn.metrics.SparseCategoricalAccuracy()
    metric.update_state(y, layer(x))
    want = (layer(X).numpy().argmax(1) == LABELS).mean()
    assert metric.result() == pytest.approx(want)


def test_captured_steps_follow_arrays_of_the_device(k: CupyBackend) -> None:
    step = fastnn.capture(lambda x, scale: (fastnn.tensor(x) * fastnn.tensor(scale)).sum())
    x, scale = k.asarray(np.arange(3.0)), k.asarray(np.ones(3))
    for i in range(6):
        k.fill(scale, float(i))
        assert step(x, scale).item() == 3.0 * i
    assert not step.captured.eager


# ---- flags between graphs ----


@pytest.mark.parametrize("steps", [1, 3])
def test_collected_gradients_are_used_by_a_flag(k: CupyBackend, steps: int) -> None:
    results = []
    for replayed in (True, False):
        fastnn.seed(1)
        model = fastnn.Sequential([fastnn.Dense(4, "tanh", input_shape=(6,)), fastnn.Dense(3)])
        model.compile(
            fastnn.optim.Adam(lr=0.05, gradient_accumulation_steps=3, use_ema=True, ema_overwrite_frequency=2),
            fastnn.losses.SparseCategoricalCrossentropy(from_logits=True),
            capture=replayed,
        )
        if not replayed:
            model.__class__ = type("Own", (type(model),), {})  # a class of the user's own, which capture=False leaves eager
        model.fit(X, LABELS, batch_size=8 * steps, epochs=4, verbose=0)
        results.append([w.tobytes() for w in model.get_weights()])
    assert results[0] == results[1]


# ---- errors ----


def test_memory_of_the_host_is_refused(k: CupyBackend) -> None:
    with pytest.raises(TypeError, match=r"fill: y is a numpy.ndarray, wanted memory of the GPU"):
        k.fill(np.zeros(3), 1.0)


def test_a_model_of_the_host_is_told_what_to_do(k: CupyBackend) -> None:
    with fastnn.use_backend("numpy"):
        model = _classifier()
        weights = model.get_weights()
        t = fastnn.tensor([1.0])
    for use in (lambda: model(X), lambda: t + 1, lambda: model.predict(X)):
        with pytest.raises(TypeError, match=r"wanted memory of the GPU.*set_weights\(model.get_weights\(\)\).*t.numpy\(\)"):
            use()
    own = _classifier()
    own.set_weights(model.get_weights())
    for a, b in zip(own.get_weights(), weights, strict=True):
        np.testing.assert_array_equal(a, b)
    with fastnn.use_backend("numpy"):  # and back: values can be read anywhere
        np.testing.assert_array_equal(own.get_weights()[0], weights[0])
        assert fastnn.tensor(own.weights[0].numpy()).shape == (6, 5)


class _FullError(Exception):
    pass


def test_no_room_is_told_in_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    def empty(shape: Any, dtype: Any) -> Any:
        raise _FullError

    runtime = SimpleNamespace(memGetInfo=lambda: (100, 1000))
    stream, memory = SimpleNamespace(null=nullcontext()), SimpleNamespace(OutOfMemoryError=_FullError)
    device = CudaDevice.__new__(CudaDevice)
    device.xp = SimpleNamespace(empty=empty, cuda=SimpleNamespace(Stream=stream, memory=memory, runtime=runtime))
    device._own = threading.local()
    with pytest.raises(MemoryError) as error:
        device.empty((300, 2), np.float64)
    assert "shape (300, 2) and dtype float64: 4800 bytes were asked, 100 of 1000 are free" in str(error.value)


# ---- where there is no GPU ----


def _raises(error: Any) -> Any:
    def call(*args: Any) -> Any:
        raise error

    return call


def test_why_there_is_no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    runtime = pytest.importorskip("cupy").cuda.runtime
    gone = set[str]()
    monkeypatch.setattr(cupy, "find_spec", lambda name: None if name in gone else object())
    monkeypatch.setattr(runtime, "driverGetVersion", lambda: 13010)
    monkeypatch.setattr(runtime, "runtimeGetVersion", lambda: 13000)
    monkeypatch.setattr(runtime, "getDeviceCount", lambda: 1)
    why = emulator.why_no_gpu
    assert why() == ""
    gone.add("nvmath")
    assert why() == 'nvmath-python, which calls cuBLASLt, is not installed; pip install "fastnn[cuda]" installs it'
    monkeypatch.setattr(runtime, "getDeviceCount", _raises(runtime.CUDARuntimeError(100)))
    assert why().startswith("there is no NVIDIA GPU that can be used: cudaErrorNoDevice")
    monkeypatch.setattr(runtime, "getDeviceCount", lambda: 0)
    assert why() == "there is no NVIDIA GPU"
    monkeypatch.setattr(runtime, "driverGetVersion", lambda: 12080)
    assert why().startswith("the NVIDIA driver is of CUDA 12 and CuPy of CUDA 13; ") and "pip install cupy-cuda12x" in why()
    monkeypatch.setattr(runtime, "driverGetVersion", lambda: 0)
    assert why().startswith("there is no NVIDIA driver")
    monkeypatch.setitem(sys.modules, "cupy", None)
    assert why().startswith("CuPy does not load: ")
    gone.add("cupy")
    assert why().startswith("CuPy is not installed; pip install")


def test_a_machine_without_a_gpu_says_so() -> None:
    code = (
        "import os; os.environ['CUDA_VISIBLE_DEVICES'] = ''; os.environ.pop('FASTNN_BACKEND', None)\n"
        "import fastnn\ntry: fastnn.set_backend('cupy')\nexcept RuntimeError as e: print(e)\n"
        "print(fastnn.get_backend() != 'cupy')"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out.startswith("backend 'cupy' is not available: ") and "Available: " in out and out.endswith("True\n")
