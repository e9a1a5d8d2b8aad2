"""The list of backends: which runs, why, and how it is chosen."""

import importlib.util
import os
import re
import subprocess
import sys
import threading
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from hosts import host_only

import fastnn
from fastnn.backends import _LIST, _Entry, get_isa, isas, load, unavailable, use_isa
from fastnn.backends.spec import ACTIVATIONS, KERNELS, POINTWISE_LOSSES, Activation, PointwiseLoss
from fastnn.backends.warmup import calls

HAS_CPP = fastnn.backends()["cpp"].available
HAS_NUMBA = importlib.util.find_spec("numba") is not None
needs_numba = pytest.mark.skipif(not HAS_NUMBA, reason="numba is not installed")
needs_cpp = pytest.mark.skipif(not HAS_CPP, reason="this installation has no compiled kernels")


def test_the_list_and_its_reasons() -> None:
    b = fastnn.backends()
    assert list(b) == ["cpp", "numba", "numpy", "cupy"]
    assert b["numpy"].available and b["numpy"].reason == ""
    assert all(info.available == (not info.reason) for info in b.values())
    assert b["numba"].available == HAS_NUMBA


def test_native_builds_are_native_where_that_is_required() -> None:
    if os.environ.get("FASTNN_REQUIRE_NATIVE") == "1":
        assert HAS_CPP


def test_use_backend_is_a_block_of_this_thread() -> None:
    before = fastnn.get_backend()
    with fastnn.use_backend("numpy") as block:
        assert fastnn.get_backend() == "numpy"
        with block:
            assert fastnn.get_backend() == "numpy"
        assert fastnn.get_backend() == "numpy"
        seen: list[str] = []
        thread = threading.Thread(target=lambda: seen.append(fastnn.get_backend()))
        thread.start()
        thread.join()
        assert seen == [before]
        with fastnn.use_backend(before):
            assert fastnn.get_backend() == before
        assert fastnn.get_backend() == "numpy"
    assert fastnn.get_backend() == before


def test_set_backend_chooses_for_the_process_and_leaves_blocks_alone() -> None:
    before = fastnn.get_backend()
    seen: list[str] = []
    try:
        with fastnn.use_backend(before):
            fastnn.set_backend("numpy")
            assert fastnn.get_backend() == before
            thread = threading.Thread(target=lambda: seen.append(fastnn.get_backend()))
            thread.start()
            thread.join()
        assert fastnn.get_backend() == "numpy" and seen == ["numpy"]
    finally:
        fastnn.set_backend(before)


def test_a_plain_call_of_use_backend_chooses_nothing_and_says_so() -> None:
    before = fastnn.get_backend()
    with pytest.warns(RuntimeWarning, match=r"use_backend\('numpy'\) chose nothing.*fastnn.set_backend\('numpy'\)") as told:
        fastnn.use_backend("numpy")
    assert told[0].filename == __file__
    assert fastnn.get_backend() == before


@host_only("arrays of the GPU are no other backend's")
def test_host_backends_share_arrays() -> None:
    x = fastnn.tensor([[1.0, 2.0]], requires_grad=True)
    with fastnn.use_backend("numpy"):
        y = (x * x).sum()
    y.backward()
    assert x.grad is not None and x.grad.tolist() == [[2.0, 4.0]]


@needs_cpp
def test_isas_can_be_forced_and_asked() -> None:
    before = get_isa()
    try:
        for name, reason in isas().items():
            if reason:
                with pytest.raises(ValueError, match=name):
                    use_isa(name)
            else:
                use_isa(name)
                assert get_isa() == name
                np.testing.assert_allclose(fastnn.exp(fastnn.tensor([1.0])).numpy(), np.e, rtol=1e-6)
    finally:
        use_isa(before)


def run(code: str, **env: str) -> str:
    clean = {k: v for k, v in os.environ.items() if not k.startswith("FASTNN_")}
    out = subprocess.run([sys.executable, "-c", code], env={**clean, **env}, capture_output=True, text=True, check=True)
    return out.stdout.strip()


@needs_cpp
def test_environment_variables_are_followed() -> None:
    code = "import fastnn; i = fastnn.info(); print(i.backend, i.isa, i.threads)"
    assert run(code, FASTNN_BACKEND="cpp", FASTNN_ISA="base", FASTNN_NUM_THREADS="3") == "cpp base 3"
    engine = "import fastnn; print(fastnn.info().engines['bfloat16'])"
    assert run(engine, FASTNN_BACKEND="cpp", FASTNN_BF16="float32").startswith("float32 on rounded factors; ")
    assert run(code, FASTNN_BACKEND="numpy").startswith("numpy")
    assert run(code).startswith("cpp")


MISSING = "numba is not installed; install it with pip install 'fastnn[numba]'"


def test_a_missing_numba_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "numba", None)
    assert unavailable("numba") == MISSING
    use = "\ntry: fastnn.set_backend('numba')\nexcept RuntimeError as error: print(error)"
    told = run("import sys; sys.modules['numba'] = None; import fastnn" + use)
    assert told.startswith(f"backend 'numba' is not available: {MISSING}. Available: ") and "numpy" in told


def test_a_numba_that_does_not_import_is_told(tmp_path: Path) -> None:
    (tmp_path / "numba").mkdir()
    (tmp_path / "numba" / "__init__.py").write_text("raise ImportError('Numba needs another NumPy')")
    code = "import sys; sys.path.insert(0, %r); import fastnn; print(fastnn.backends()['numba'].reason)"
    assert run(code % str(tmp_path)) == "numba is installed, but does not import: Numba needs another NumPy"


@needs_numba
def test_a_numba_that_is_not_to_compile_is_told() -> None:
    code = "import fastnn; print(fastnn.backends()['numba'].reason)"
    assert run(code, NUMBA_DISABLE_JIT="1") == "NUMBA_DISABLE_JIT is set"


def test_auto_takes_the_fastest_there_is() -> None:
    code = "import sys; sys.modules.update(dict.fromkeys(%r)); import fastnn; print(fastnn.get_backend())"
    assert run(code % (["fastnn._core"],)) == ("numba" if HAS_NUMBA else "numpy")
    assert run(code % (["fastnn._core", "numba"],)) == "numpy"


@needs_numba
def test_numba_is_chosen_like_the_others() -> None:
    code = "import fastnn; x = fastnn.tensor([-1.0, 2.0]); print(fastnn.get_backend(), fastnn.relu(x).tolist())"
    assert run(code, FASTNN_BACKEND="numba") == "numba [0.0, 2.0]"


@needs_cpp
def test_numba_is_not_imported_before_it_is_wanted() -> None:
    code = """
import sys, numpy as np, fastnn
model = fastnn.Sequential([fastnn.Dense(3, activation="relu", input_shape=(4,)), fastnn.Dense(2, activation="softmax")])
model.compile(optimizer="adam", loss="sparse_categorical_crossentropy")
model.fit(np.ones((8, 4), np.float32), np.zeros(8, np.int64), epochs=2, verbose=0)
print(fastnn.get_backend(), "numba" in sys.modules)
"""
    assert run(code) == "cpp False"


@pytest.mark.parametrize("name", [n for n in ("cpp", "numpy") if not unavailable(n)])
def test_what_warmup_calls_is_of_the_contract(name: str) -> None:
    """The binding of the C++ kernels refuses any other arguments; the reference stumbles over some."""
    backend = load(name)
    called = set()
    for kernel, args in calls(backend):
        backend.table[kernel](*args)
        called.add((kernel, *(a for a in args if isinstance(a, Activation | PointwiseLoss))))
    assert {kernel for kernel, *_ in called} == set(KERNELS)
    assert {fn.id for kernel, *fns in called for fn in fns if kernel == "glu_backward"} == set(range(len(ACTIVATIONS)))
    assert {fn.id for kernel, *fns in called for fn in fns if kernel == "pointwise_loss_forward"} == set(
        range(len(POINTWISE_LOSSES))
    )


def test_importing_reads_no_variable_and_starts_no_thread() -> None:
    code = (
        "import fastnn, threading, os; tasks = '/proc/self/task'; "
        "print(threading.active_count(), len(os.listdir(tasks)) if os.path.isdir(tasks) else 1)"
    )
    threads, tasks = map(int, run(code, FASTNN_BACKEND="nonsense").split())
    with_numpy = int(run(code.replace("import fastnn,", "import numpy,")).split()[1])
    assert threads == 1 and tasks <= with_numpy  # NumPy itself may be loaded later


def test_info_tells_what_runs() -> None:
    text = str(fastnn.info())
    assert f"backend  {fastnn.get_backend()}" in text
    for b in fastnn.backends().values():
        assert re.search(f"^  {b.name} +{'available: ' if b.available else f'not available: {re.escape(b.reason)}$'}", text, re.M)


def test_info_names_the_instructions_of_base_on_arm(monkeypatch: pytest.MonkeyPatch) -> None:
    for machine, shown in (("aarch64", "base (NEON)"), ("arm64", "base (NEON)"), ("x86_64", "base")):
        monkeypatch.setattr("platform.machine", lambda m=machine: m)
        text = str(fastnn.info()._replace(isa="base", isas={"base": ""}))
        assert f"\nISA      {shown}\n" in text and re.search(f"^  {re.escape(shown)} +available$", text, re.M)


def test_a_backend_that_is_not_available_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    abacus = SimpleNamespace(unavailable=lambda: "it has no beads")
    monkeypatch.setitem(_LIST, "abacus", _Entry(lambda: abacus))
    with pytest.raises(RuntimeError, match=r"'abacus' is not available: it has no beads\. Available: .*numpy"):
        fastnn.use_backend("abacus")
    assert "  abacus   not available: it has no beads" in str(fastnn.info())


@needs_cpp
def test_threads_can_be_set() -> None:
    before = fastnn.get_num_threads()
    try:
        fastnn.set_num_threads(3)
        assert fastnn.get_num_threads() == 3
    finally:
        fastnn.set_num_threads(before)


def test_warmup_follows_the_lines_of_kernels(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sizes come from their formulas, arrays of a backend's own dtype from the forward kernel's rule, whatever its arguments."""
    from fastnn.backends import warmup
    from fastnn.backends.spec.grammar import read

    lines = (
        "pool_forward y:T[B,O] aux:own[*L]? <- x:T[B,N] width:int stride:1|2 | O=(N-width)/stride+1",
        "pool_backward dx:T[B,N] <- dy:T[B,O] aux:own[*L]? width:int stride:1|2 | O=(N-width)/stride+1",
    )
    monkeypatch.setattr(warmup, "KERNELS", {k.name: k for k in (read("pool", line, {}) for line in lines)})
    asked = []

    class Pool:
        absent = np.empty(0)
        asarray = staticmethod(np.asarray)

        def aux(self, *args: object) -> object:
            asked.append(args)
            return np.empty(7)

    calls = list(warmup.calls(Pool(), ["pool_forward", "pool_backward"]))  # type: ignore[arg-type]
    assert {name: args[0].shape for name, args in calls if args[-1] == 1} == {"pool_forward": (2, 2), "pool_backward": (2, 2)}
    assert {args[0].shape for name, args in calls if name == "pool_forward" and args[-1] == 2} == {(2, 1)}
    assert {len(args) for args in asked} == {7} and asked[0] == ("pool_forward", 2, 2, 2, "float32", 1, 1)
