"""Large products of the cupy backend: what cuBLASLt is told, and what own kernels add to it, on the emulated device."""

from __future__ import annotations

import functools
import sys

import emulator
import numpy as np
import pytest
from cases import check, dense
from cases.case import Case
from emulator.cublaslt import CublasLt as Library
from emulator.device import EmulatedDevice

from fastnn.backends import load
from fastnn.backends.base import Backend
from fastnn.backends.cupy import CupyBackend
from fastnn.backends.cupy import dense as cupy_dense
from fastnn.backends.cupy.blas import CublasLt, Product
from fastnn.backends.spec import activation

pytestmark = pytest.mark.skipif(not emulator.runs_here(), reason="needs Linux and a C++ compiler")

ALL = tuple(Library.Epilogue.__members__)
FUNCTIONS = ("relu", "linear", "tanh", "gelu", "gelu_tanh", "sigmoid")
MOST = 100_000
"""Multiply-adds of the cases that are taken."""

CASES = [c for c in dense.CASES if c.test and c.flops < MOST and (not (act := c.scalars.get("act")) or act.name in FUNCTIONS[:4])]


@pytest.fixture(autouse=True)
def large(monkeypatch: pytest.MonkeyPatch) -> None:
    """All products are."""
    monkeypatch.setattr(cupy_dense, "SMALL_PRODUCT", 0)


def backend(epilogues: tuple[str, ...] = ALL, target: str = "emulated") -> tuple[CupyBackend, Library]:
    device = EmulatedDevice(*emulator.TARGETS[target])
    library = Library(device.start, epilogues)
    return CupyBackend(device, cupy_dense.table(device, CublasLt(device, library))), library


@functools.cache
def of_target(target: str) -> Backend:
    """One has all epilogues, the other none."""
    return backend(ALL if target == "emulated" else ("DEFAULT",), target)[0]


@pytest.mark.parametrize("target", emulator.TARGETS)
@pytest.mark.parametrize("case", CASES, ids=str)
def test_agrees_with_the_reference(target: str, case: Case) -> None:
    for dtype in case.dtypes:
        values = case.make(dtype)
        want, allowed = check.expected(case, dtype, values)
        for name, got in check.run(of_target(target), case, values).items():
            if name == "dz" and case.precision == "bfloat16" and dtype == "float32":
                continue  # it holds the numbers of bfloat16
            wrong = check.difference(got, want[name], allowed.get(name))
            assert not wrong, f"{dtype}: {name}: {wrong}"


@pytest.mark.parametrize("act", FUNCTIONS)
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("precision", [0, 1, 2])
def test_a_layer_and_its_gradient(act: str, bias: bool, precision: int) -> None:
    """With what forward leaves for backward, whatever cuBLASLt has epilogues for."""
    rng = np.random.default_rng(0)
    m, n, k, f = 70, 40, 33, activation(act)
    x, w, b, dy = (rng.standard_normal(shape).astype(np.float32) for shape in ((m, k), (k, n), (n,), (m, n)))
    x, w = (np.round(16 * a) / 16 for a in (x, w))  # numbers of few bits, lest relu's slope go to either side of 0
    results = []
    for epilogues in ((), ALL, ("DEFAULT", "BIAS"), ("DEFAULT",)):
        backend_ = backend(epilogues)[0] if epilogues else load("numpy")
        give = backend_.asarray
        y, dz = give(np.full((m, n), np.nan, np.float32)), give(np.full((m, n), np.nan, np.float32))
        aux = backend_.aux("dense_forward", m, n, k, np.dtype(np.float32), f, precision)
        dx, dw, db = give(np.full_like(x, np.nan)), give(np.ones_like(w)), give(np.ones_like(b) if bias else b[:0])
        given_b = give(b) if bias else backend_.absent
        backend_.dense_forward(y, aux, give(x), give(w), given_b, f, precision)
        dz = backend_.absent if act == "linear" else dz
        backend_.dense_backward(dx, dw, db, dz, give(dy), give(x), give(w), y, aux, f, 6 if bias else 0, precision)
        results.append([backend_.to_numpy(a).copy() for a in (y, dx, dw, db)[: 4 if bias else 3]])
    want, *others = results
    for got in others:
        for a, right in zip(got, want, strict=True):
            # A slope that lies between two numbers of few bits may go to either.
            assert np.abs(a - right).max() <= (2e-6, 4e-3, 4e-3)[precision] * np.abs(right).max()


EPILOGUES = [
    ("relu", True, 0, ALL, "BIAS"),  # its own may lose NaN
    ("relu", False, 1, ALL, "DEFAULT"),
    ("relu", True, 0, ("DEFAULT",), "DEFAULT"),
    ("linear", True, 0, ALL, "BIAS"),
    ("tanh", True, 1, ALL, "BIAS"),
    ("tanh", False, 0, ALL, "DEFAULT"),
    ("gelu_tanh", True, 0, ALL, "BIAS"),  # its tanh would be too rough
    ("gelu_tanh", True, 1, ALL, "GELU_AUX_BIAS"),
    ("gelu_tanh", False, 2, ALL, "GELU_AUX"),
]


@pytest.mark.parametrize(("act", "bias", "precision", "there", "want"), EPILOGUES)
def test_epilogues(act: str, bias: bool, precision: int, there: tuple[str, ...], want: str) -> None:
    """As much of a layer as cuBLASLt has, in one product."""
    (k, library), f = backend(there), activation(act)
    x, w, b = (k.asarray(np.ones(shape, np.float32)) for shape in ((24, 16), (16, 32), 32))
    y = k.empty((24, 32), np.float32)
    k.dense_forward(y, k.aux("dense_forward", *y.shape, 16, y.dtype, f, precision), x, w, b if bias else k.absent, f, precision)
    assert library.done == [want]


def test_algorithms_are_asked_for_once() -> None:
    k, library = backend()
    a, b, c = (k.asarray(np.ones((16, 16), np.float32)) for _ in range(3))
    for alpha in (1.0, 2.0, 1.0):
        k.matmul_nn(c, a, b, alpha, 1.0, 0)
    assert len(library.asked) == 1 and len(library.done) == 3
    assert k.to_numpy(c)[0, 0] == 1 + 16 + 32 + 16
    k.matmul_tn(c, a, b, 1.0, 0.0, 0)
    k.matmul_nn(c, a, b, 1.0, 0.0, 2)
    assert len(library.asked) == 3


@pytest.mark.parametrize("precision", [0, 1])
def test_a_recording_asks_for_nothing(precision: int) -> None:
    """What cuBLASLt refuses while a stream is capturing was done by the call before; replays read what is there by then."""
    k, library = backend()
    x, w, b = (k.asarray(np.ones(shape, np.float32)) for shape in ((16, 24), (24, 32), 32))
    y, act = k.empty((16, 32), np.float32), activation("relu")
    aux = k.aux("dense_forward", *y.shape, 24, y.dtype, act, precision)
    k.dense_forward(y, aux, x, w, b, act, precision)
    asked = len(library.asked)
    replay = k.device.capture(lambda: k.dense_forward(y, aux, x, w, b, act, precision))
    for value in (2.0, 3.0):
        k.write(x, np.full(x.shape, value, np.float32))
        replay()
        assert (k.to_numpy(y) == 24 * value + 1).all()
    assert len(library.asked) == asked


def test_what_there_is_no_algorithm_for() -> None:
    device = EmulatedDevice()
    products = CublasLt(device, Library(device.start, ("BIAS",)))
    plain = Product(8, 8, 8, False, False, "float32", 16)
    assert products.offers(plain._replace(epilogue="BIAS")) and not products.offers(plain)
    for unaligned in ({"n": 9}, {"alignment": 8}):
        assert not CublasLt(device, Library(device.start)).offers(plain._replace(**unaligned, epilogue="GELU_AUX"))
    with pytest.raises(RuntimeError, match="cuBLASLt has no algorithm for Product"):
        products.multiply(plain, 16, 16, 16, 1.0, 0.0)


def test_what_older_gpus_lack(monkeypatch: pytest.MonkeyPatch) -> None:
    k, _ = backend()
    assert not any(k.why_unavailable(precision) for precision in ("float32", "bfloat16", "tf32"))
    monkeypatch.setattr(EmulatedDevice, "capability", 75)
    assert k.why_unavailable("tf32") == "products of tf32 need a GPU of compute capability 8.0, this one has 7.5"
    assert "bfloat16" in k.why_unavailable("bfloat16") and not k.why_unavailable("float32")


def test_without_nvmath(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "nvmath.bindings", None)
    with pytest.raises(ImportError, match=r'pip install "fastnn\[cuda\]"'):
        CublasLt(EmulatedDevice()).offers(Product(8, 8, 8, False, False, "float32", 16))


def test_the_names_are_those_of_nvmath() -> None:
    """The library that stands in for cuBLASLt has its numbers."""
    real, library = pytest.importorskip("nvmath.bindings.cublasLt"), backend()[1]
    for kind in ("Epilogue", "MatmulDescAttribute", "MatmulPreferenceAttribute"):
        members = getattr(real, kind).__members__
        assert all(int(members[member.name]) == member for member in getattr(Library, kind))
    assert real.matmul_heuristic_result_dtype == Library.matmul_heuristic_result_dtype
    for of in ("matmul_desc", "matmul_preference"):
        attributes = Library.MatmulDescAttribute if of == "matmul_desc" else Library.MatmulPreferenceAttribute
        for attribute in attributes:
            get = f"get_{of}_attribute_dtype"
            assert getattr(real, get)(attribute) == getattr(library, get)(attribute)
