"""The Numba backend beside its kernels: what is compiled when, what is kept on disk, and how long it may be trusted."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("numba")

from numba.core.caching import CacheImpl
from numba.core.compiler_lock import global_compiler_lock

import fastnn
from fastnn.backends import load
from fastnn.backends.numba import cache
from fastnn.backends.numba.functions import forward_loop, in_place_loop
from fastnn.backends.numba.jit import jit
from fastnn.backends.numba.unary import SLOPES, VALUES
from fastnn.backends.spec import ACTIVATION_IDS, activation

CODE = """
import sys, numpy as np
sys.meta_path = [f for f in sys.meta_path if isinstance(f, type)]  # an editable installation's finder comes before PYTHONPATH
from fastnn.backends import load
from fastnn.backends.numba.functions import forward_loop
from fastnn.backends.spec import activation
act = activation("relu")
x, y = np.array([-1, 2], np.float32), np.zeros(2, np.float32)
load("numba").activation_forward(y, x, act)
stats = forward_loop(act.id).stats
print(*y.tolist(), sum(stats.cache_hits.values()), sum(stats.cache_misses.values()))
"""


def run(package: Path, folder: Path) -> list[float]:
    """relu of -1 and 2 by this package in a process of its own; how much machine code was found, and how much was not."""
    env = {**os.environ, "PYTHONPATH": str(package), "NUMBA_CACHE_DIR": str(folder)}
    out = subprocess.run([sys.executable, "-c", CODE], env=env, cwd=package, capture_output=True, text=True, check=True)
    return [float(number) for number in out.stdout.split()]


def test_another_process_compiles_nothing_until_a_source_file_changes(tmp_path: Path) -> None:
    package, folder = tmp_path / "copy", tmp_path / "cache"
    shutil.copytree(Path(fastnn.__file__).parent, package / "fastnn", ignore=shutil.ignore_patterns("__pycache__", "_core*"))
    assert run(package, folder) == [0, 2, 0, 1]
    assert run(package, folder) == [0, 2, 1, 0]
    called = package / "fastnn" / "backends" / "numba" / "vmath.py"  # by the function that is kept, which is elsewhere
    text = called.read_text()
    changed = text.replace("return bottom if x < bottom else x", "return bottom + 5 if x < bottom else x")
    assert changed != text
    called.write_text(changed)
    assert run(package, folder) == [5, 2, 0, 1]
    assert run(package, folder) == [5, 2, 1, 0]


def _double(x: Any) -> Any:
    return x * 2


@pytest.fixture
def own_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Machine code of this test alone: others run at the same time and compile the same function."""
    monkeypatch.setattr(cache.config, "CACHE_DIR", str(tmp_path))


def test_without_a_folder_that_can_be_written_to(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(CacheImpl, "_locator_classes", [])
    double = jit(_double)
    assert double._cache.cache_path is None
    assert double(4) == 8
    double._cache.flush()


@pytest.mark.usefixtures("own_folder")
def test_a_full_disk_stops_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def save(self: Any, key: Any, data: Any) -> None:
        raise OSError(28, "No space left on device")

    double = jit(_double)
    monkeypatch.setattr(cache._File, "save", save)
    assert double(2.5) == 5.0 and double(4) == 8


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda content: b"",
    "cut off": lambda content: content[:100],
    "other": lambda content: bytes(range(255, 0, -1)) * 10,
    "one byte": lambda content: content[:-300] + bytes([content[-300] ^ 1]) + content[-299:],
}


@pytest.mark.usefixtures("own_folder")
@pytest.mark.parametrize(
    ("kind", "damage"), [*(("nbc", d) for d in DAMAGES), ("nbi", "empty"), ("nbi", "cut off"), ("nbi", "other")]
)
def test_damaged_files_are_compiled_anew(kind: str, damage: str) -> None:
    double = jit(_double)
    assert double(4) == 8
    (file,) = Path(double._cache.cache_path).glob(
        f"test_numba._double-{_double.__code__.co_firstlineno}.*{'1.nbc' if kind == 'nbc' else 'nbi'}"
    )
    file.write_bytes(DAMAGES[damage](file.read_bytes()))
    for misses in (1, 0):  # and is whole again
        again = jit(_double)
        assert again(4) == 8 and sum(again.stats.cache_misses.values()) == misses


def test_entries_that_lie_in_each_others_places_are_not_taken(tmp_path: Path) -> None:
    """As two processes can leave them that number their files at the same time."""
    file = cache._File(str(tmp_path), "kernel", "stamp")
    file.save("a", 1)
    file.save("b", 2)
    assert (file.load("a"), file.load("b"), file.load("c")) == (1, 2, None)
    a, b = sorted(tmp_path.glob("*.nbc"))
    kept = a.read_bytes()
    a.write_bytes(b.read_bytes())
    assert file.load("a") is None and file.load("b") == 2
    b.write_bytes(kept)
    assert file.load("b") is None


def test_threads_may_meet_at_the_first_call() -> None:
    triple = jit(lambda x: x * 3)
    barrier, results = threading.Barrier(4), []

    def call() -> None:
        barrier.wait()
        results.append(triple(7))

    threads = [threading.Thread(target=call) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [21] * 4


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_process_forked_while_another_thread_compiles() -> None:
    begun, go = threading.Event(), threading.Event()

    def compiling() -> None:
        with global_compiler_lock:
            begun.set()
            go.wait(10)

    thread = threading.Thread(target=compiling)
    thread.start()
    begun.wait(10)
    threading.Timer(0.2, go.set).start()
    child = os.fork()
    if not child:
        taken = global_compiler_lock._lock.acquire(timeout=5)
        os._exit(0 if taken else 1)
    thread.join()
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_machine_code_to_look_for_errors_is_kept_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    usual = cache._sources.__wrapped__()
    for name, value in (("OPT", 0), ("BOUNDSCHECK", 1), ("DEBUGINFO_DEFAULT", 1)):
        with monkeypatch.context() as m:
            m.setattr(cache.config, name, value)
            assert cache._sources.__wrapped__() != usual
    assert cache._sources.__wrapped__() == usual


@pytest.mark.usefixtures("own_folder")
def test_long_compilation_is_told_once(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(cache, "compiling", cache._Compiling())
    functions = [jit(_double) for _ in range(3)]
    functions[0](1)
    assert cache.compiling.seconds > 0 and not capsys.readouterr().err
    cache.compiling.seconds = 10.0
    functions[1](1.5)
    functions[1](1j)
    functions[2](True)
    assert capsys.readouterr().err == "fastnn: compiling Numba kernels, once: they are kept on disk\n"


def test_every_activation_has_a_value_and_a_slope() -> None:
    assert set(VALUES) == set(SLOPES) == set(ACTIVATION_IDS)


@pytest.mark.parametrize("name", ["relu", "tanh"])
def test_in_place_gives_the_same_bits(name: str) -> None:
    x = np.random.default_rng(0).uniform(-5, 5, 1001).astype(np.float32)
    y, act = np.empty_like(x), ACTIVATION_IDS[name]
    forward_loop(act)(y, x, 0.0, 0.0)
    in_place_loop(act)(x, 0.0, 0.0)
    assert x.tobytes() == y.tobytes()


@pytest.mark.parametrize("name", ["sin", "cos"])
def test_far_numbers_are_right_and_change_no_others(name: str) -> None:
    act = activation(name)
    near = np.random.default_rng(0).uniform(-900, 900, 101).astype(np.float32)
    far = np.array([1e7, -3e9, 1e30, np.inf], np.float32)
    k = load("numba")

    def call(x: Any) -> tuple[Any, Any]:
        y, dx = np.empty_like(x), np.empty_like(x)
        k.activation_forward(y, x, act)
        k.activation_backward(dx, np.ones_like(x), x, y, act)
        return y, dx

    alone, together = call(near), call(np.concatenate([near, far]))
    for a, b in zip(alone, together, strict=True):
        assert a.tobytes() == b[: len(near)].tobytes()
    with np.errstate(invalid="ignore"):
        value, slope = (np.sin, np.cos) if name == "sin" else (np.cos, lambda x: -np.sin(x))
        np.testing.assert_allclose(together[0][-4:], value(far.astype(np.float64)), rtol=1e-6)
        np.testing.assert_allclose(together[1][-4:], slope(far.astype(np.float64)), rtol=1e-6)


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="no owners and modes of files here")
@pytest.mark.parametrize("kind", ["nbi", "nbc"])
def test_code_that_others_could_have_written_does_not_run(kind: str, tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    umask = os.umask(0)
    try:
        cache._File(str(tmp_path), "kernel", "stamp").save("a", 1)
    finally:
        os.umask(umask)
    (planted,) = tmp_path.glob(f"*.{kind}")
    assert not planted.stat().st_mode & 0o022
    assert cache._File(str(tmp_path), "kernel", "stamp").load("a") == 1
    planted.chmod(0o666)
    assert cache._File(str(tmp_path), "kernel", "stamp").load("a") is None


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="no owners and modes of files here")
def test_a_folder_of_all_users_gets_one_for_each(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    double = jit(_double)
    monkeypatch.setattr(type(double._cache._disk._impl.locator), "get_cache_path", lambda self: str(tmp_path))
    for misses in (1, 0):
        again = jit(_double)
        assert again(4) == 8 and sum(again.stats.cache_misses.values()) == misses
    assert [f.name for f in tmp_path.iterdir()] == [f"fastnn-{os.geteuid()}"]
