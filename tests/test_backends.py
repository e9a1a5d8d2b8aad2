"""The list of backends: which runs, why, and how it is chosen."""

import os
import subprocess
import sys
import threading

import numpy as np
import pytest

import fastnn
from fastnn.backends import get_isa, isas, use_isa

HAS_CPP = fastnn.backends()["cpp"].available
needs_cpp = pytest.mark.skipif(not HAS_CPP, reason="this installation has no compiled kernels")


def test_the_list_and_its_reasons() -> None:
    b = fastnn.backends()
    assert list(b) == ["cpp", "numba", "numpy", "cupy"]
    assert b["numpy"].available and b["numpy"].reason == ""
    for name in ("numba", "cupy"):
        assert not b[name].available and b[name].reason


def test_native_builds_are_native_where_that_is_required() -> None:
    if os.environ.get("FASTNN_REQUIRE_NATIVE") == "1":
        assert HAS_CPP


def test_use_backend_as_function_and_block() -> None:
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
        fastnn.use_backend(before)
        assert fastnn.get_backend() == before
        with fastnn.use_backend("numpy"):
            assert fastnn.get_backend() == "numpy"
        assert fastnn.get_backend() == before
    assert fastnn.get_backend() == before
    try:
        fastnn.use_backend("numpy")
        assert fastnn.get_backend() == "numpy"
    finally:
        fastnn.use_backend(before)


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
    assert run(code, FASTNN_BACKEND="numpy").startswith("numpy")
    assert run(code).startswith("cpp")


def test_importing_reads_no_variable_and_starts_no_thread() -> None:
    code = (
        "import fastnn, threading, os; tasks = '/proc/self/task'; "
        "print(threading.active_count(), len(os.listdir(tasks)) if os.path.isdir(tasks) else 1)"
    )
    with_numpy = run(code.replace("import fastnn,", "import numpy,"))
    assert run(code, FASTNN_BACKEND="nonsense") == with_numpy


def test_info_tells_what_runs() -> None:
    text = str(fastnn.info())
    assert fastnn.get_backend() in text and "numba" in text and "not available" in text


@needs_cpp
def test_threads_can_be_set() -> None:
    before = fastnn.get_num_threads()
    try:
        fastnn.set_num_threads(3)
        assert fastnn.get_num_threads() == 3
    finally:
        fastnn.set_num_threads(before)
