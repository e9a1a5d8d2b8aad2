"""The thread team: the same bits from any number of threads, callers side by side, forks, and silence when idle."""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from cases import TESTS
from cases.case import Case, Values
from cases.check import arrays, copied
from engines import engine, engines

import fastnn
from fastnn.backends import get_isa, isas, load, recording, unavailable, use_isa
from fastnn.backends.spec import KERNELS
from fastnn.replay.recorder import Recorder

pytestmark = pytest.mark.skipif(bool(unavailable("cpp")), reason="no compiled kernels")
ISAS = [name for name, lacking in isas().items() if not lacking]
COUNTS = (1, 2, 3)
PRODUCTS = [(64, 64, 64), (51, 200, 1300), (130, 70, 600), (600, 96, 40), (49, 1024, 128), (1024, 80, 700)]


@pytest.fixture
def all_workers() -> Iterator[None]:
    """Even the smallest call goes to all threads, of the compiled kernels."""
    from fastnn import _core

    threads, share, patience, isa = fastnn.get_num_threads(), _core.share(), _core.patience(), get_isa()
    _core.set_share(1e-6)
    _core.set_patience(1e9)
    with fastnn.use_backend("cpp"):
        yield
    _core.set_share(share)
    _core.set_patience(patience)
    fastnn.set_num_threads(threads)
    use_isa(isa)


def _results(case: Case, dtype: str, made: Values | None = None) -> list[bytes]:
    values = copied(case, made or case.make(dtype))
    load("cpp").table[case.kernel](*values.values())
    return [a.tobytes() for a in arrays(case, values, written=True).values()]


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("kernel", KERNELS)
def test_same_bits_for_any_number_of_threads(all_workers: None, kernel: str, isa: str) -> None:
    use_isa(isa)
    calls = [(case, dtype, case.make(dtype)) for case in TESTS if case.kernel == kernel for dtype in case.dtypes]
    results = []
    for threads in COUNTS:
        fastnn.set_num_threads(threads)
        results.append([_results(*call) for call in calls])
    for threads, result in zip(COUNTS[1:], results[1:], strict=True):
        different = [
            f"{case} {dtype}" for (case, dtype, _), one, many in zip(calls, results[0], result, strict=True) if one != many
        ]
        assert not different, f"{threads} threads give other bits than one: {different[:5]}"


def _numbers(seed: int, shape: tuple[int, int], offset: int) -> np.ndarray:
    """Return random numbers in memory that begins `offset` bytes after a cache line."""
    raw = np.empty(4 * shape[0] * shape[1] + 128, np.uint8)
    start = -raw.ctypes.data % 64 + offset
    a = raw[start : start + 4 * shape[0] * shape[1]].view(np.float32).reshape(shape)
    a[:] = np.random.default_rng(seed).standard_normal(shape, np.float32)
    return a


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("kernel", ["matmul_nn", "matmul_tn", "matmul_nt"])
@pytest.mark.parametrize(
    "m, n, k", [(64, 64, 64), (51, 200, 1300), (130, 70, 600), (600, 96, 40), (49, 1024, 128), (1024, 80, 700)]
)
def test_same_products_for_any_caches_and_addresses(all_workers: None, kernel: str, isa: str, m: int, n: int, k: int) -> None:
    use_isa(isa)
    from fastnn import _core

    table, found, results = load("cpp").table, _core.caches(), []
    shapes = ((k, m) if kernel[-2] == "t" else (m, k)), ((n, k) if kernel[-1] == "t" else (k, n))
    try:
        for caches in (found, (1 << 10, 1 << 14), (1 << 30, 1 << 30)):
            _core.set_caches(*caches)
            for threads, offset in ((1, 0), (2, 4), (3, 16)):
                fastnn.set_num_threads(threads)
                a, b, c = _numbers(0, shapes[0], offset), _numbers(1, shapes[1], offset), np.full((m, n), np.nan, np.float32)
                table[kernel](c, a, b, 1.0, 0.0, 0)
                results.append(c)
    finally:
        _core.set_caches(*found)
    a, b = (x.T if t == "t" else x for x, t in zip((a, b), kernel[-2:], strict=True))
    exact = a.astype(np.float64) @ b.astype(np.float64)
    assert np.abs(results[0] - exact).max() < 1e-5 * k**0.5
    assert all(c.tobytes() == results[0].tobytes() for c in results[1:])


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("batch", [1, 2, 5, 40])
def test_frozen_models_give_the_same_bits(all_workers: None, isa: str, batch: int) -> None:
    """The workers share all layers in one job; a worker that slept joins a later one."""
    use_isa(isa)
    fastnn.seed(0)
    layers = [
        fastnn.Dense(n, activation=f, input_shape=(k,)) for k, n, f in ((33, 300, "relu"), (300, 1100, "tanh"), (1100, 3, None))
    ]
    model = fastnn.Sequential(layers)
    x = np.random.default_rng(0).standard_normal((batch, 33)).astype(np.float32)
    want = model(fastnn.tensor(x), training=False).numpy()
    for threads in COUNTS:
        fastnn.set_num_threads(threads)
        f = model.freeze(batch)
        for pause in (0.0, 0.0, 0.01):
            time.sleep(pause)
            np.testing.assert_array_equal(f(x), want)


def test_workers_that_sleep_change_no_bits() -> None:
    """With the usual share and patience, calls after a pause find the workers asleep, and calls in a row wake them."""
    from fastnn import _core

    assert _core.share() > 1 and _core.patience() < 1e6
    model = fastnn.Sequential([fastnn.Dense(700, input_shape=(900,)), fastnn.Dense(700)])
    f, x = model.freeze(1), np.random.default_rng(0).standard_normal((1, 900)).astype(np.float32)
    want = model(fastnn.tensor(x), training=False).numpy()
    for _ in range(5):
        time.sleep(0.01)
        for _ in range(50):
            np.testing.assert_array_equal(f(x), want)


def test_share_is_more_than_nothing() -> None:
    from fastnn import _core

    with pytest.raises(ValueError, match="wanted more than 0"):
        _core.set_share(0.0)
    with pytest.raises(ValueError, match="wanted more than 0"):
        _core.set_patience(0.0)


@pytest.mark.parametrize("batch", [7, 4000])
def test_plans_give_the_same_bits_for_any_number_of_threads(all_workers: None, batch: int) -> None:
    """A recorded training step, three times over."""
    rng = np.random.default_rng(0)
    x, labels = rng.standard_normal((batch, 40)).astype(np.float32), rng.integers(0, 10, batch)
    results = []
    for threads in COUNTS:
        fastnn.set_num_threads(threads)
        fastnn.seed(1)
        layers = [fastnn.Dense(15, activation="tanh", input_shape=(40,)), fastnn.Dropout(0.2), fastnn.Dense(10)]
        model = fastnn.Sequential(layers)
        optimizer = fastnn.optim.Adam(model.parameters(), lr=0.01)
        recorder = Recorder(load("cpp"), (x, labels))
        with recording(recorder):
            optimizer.zero_grad()
            loss = fastnn.nn.CrossEntropyLoss()(model(fastnn.tensor(x)), fastnn.tensor(labels))
            loss.backward()
            optimizer.step()
        assert not recorder.void
        plan = load("cpp").plan(recorder.calls)
        plan.run(3)
        results.append([p.numpy().tobytes() for p in model.parameters()])
    assert all(result == results[0] for result in results[1:])


@pytest.mark.parametrize(("isa", "name"), [*((isa, "") for isa in ISAS), *((get_isa(), name) for name in engines())])
def test_training_in_bfloat16_gives_the_same_bits_for_any_number_of_threads(all_workers: None, isa: str, name: str) -> None:
    """A hundred steps, of which the first run by Python, on every instruction set and with every engine."""
    use_isa(isa)
    with engine(name):
        _check_training_in_bfloat16()


def _check_training_in_bfloat16() -> None:
    rng = np.random.default_rng(0)
    x, labels = rng.standard_normal((1000, 70)).astype(np.float32), rng.integers(0, 10, 1000)
    results = []
    for threads in COUNTS:
        fastnn.set_num_threads(threads)
        fastnn.seed(1)
        layers = [fastnn.Dense(130, activation="relu", input_shape=(70,)), fastnn.Dense(65, activation="tanh")]
        model = fastnn.Sequential([*layers, fastnn.Dense(10, activation="softmax")])
        model.compile(fastnn.optim.Adam(lr=0.01), "sparse_categorical_crossentropy", dtype="bfloat16")
        model.fit(x, labels, batch_size=100, epochs=10, verbose=0)
        results.append([w.tobytes() for w in model.get_weights()])
    assert np.isfinite(model.get_weights()[0]).all()
    assert all(result == results[0] for result in results[1:])


def _stress(cases: list[Case], right: list[list[bytes]], wrong: list[str], rounds: int) -> None:
    for _ in range(rounds):
        for case, result in zip(cases, right, strict=True):
            if _results(case, case.dtypes[0]) != result:
                wrong.append(str(case))


@pytest.mark.parametrize("callers", [2, 4])
@pytest.mark.parametrize("threads", [1, 2, 4])
def test_callers_side_by_side(all_workers: None, callers: int, threads: int) -> None:
    """Python threads that call kernels at once get what one alone gets."""
    names = ("dense_forward", "dense_backward", "matmul_nt", "sum_squares", "reduce_forward", "dropout_forward")
    cases = [max((c for c in TESTS if c.kernel == name), key=lambda c: c.bytes(c.dtypes[0])) for name in names]
    fastnn.set_num_threads(1)
    right = [_results(case, case.dtypes[0]) for case in cases]
    fastnn.set_num_threads(threads)
    wrong: list[str] = []
    workers = [threading.Thread(target=_stress, args=(cases, right, wrong, 4)) for _ in range(callers)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
        assert not worker.is_alive(), "a caller hangs"
    assert not wrong, wrong


def test_the_team_may_change_its_size_while_others_call(all_workers: None) -> None:
    case = next(c for c in TESTS if c.kernel == "dense_forward" and c.sizes["M"] == 4000)
    fastnn.set_num_threads(1)
    right = _results(case, "float32")
    wrong: list[str] = []
    worker = threading.Thread(target=_stress, args=([case], [right], wrong, 200))
    worker.start()
    for i in range(200):
        fastnn.set_num_threads(1 + i % 4)
        if _results(case, "float32") != right:
            wrong.append("here")
    worker.join(60)
    assert not worker.is_alive()
    assert not wrong


def test_a_plan_runs_beside_calls(all_workers: None) -> None:
    """Two plans and a kernel at once: whoever finds the team busy computes alone."""
    case = next(c for c in TESTS if c.kernel == "matmul_nn" and c.sizes["M"] == 97)
    fastnn.set_num_threads(3)
    right = _results(case, "float32")
    made = [case.make("float32") for _ in range(2)]
    plans = [load("cpp").plan([(case.kernel, tuple(values.values()))] * 3) for values in made]
    workers = [threading.Thread(target=plan.run, args=(100,)) for plan in plans]
    for worker in workers:
        worker.start()
    assert all(_results(case, "float32") == right for _ in range(50))
    for worker in workers:
        worker.join(60)
        assert not worker.is_alive()
    assert all(values["c"].tobytes() == right[0] for values in made)


SCRIPT = '''
import multiprocessing, os, sys, threading, time
import numpy as np
import fastnn
from fastnn import _core
from fastnn.backends import load

def product(scale=1.0):
    a = np.arange(300 * 200, dtype=np.float32).reshape(300, 200) % 7 * scale
    c = np.empty((300, 300), np.float32)
    load("cpp").matmul_nt(c, a, a, 1.0, 0.0, 0)
    return c.tobytes()

def child(queue):
    queue.put(product())

def forked():
    """The child computes; so does the parent after it."""
    right = product()
    pid = os.fork()
    if pid == 0:
        os._exit(0 if product() == right and product() == right else 3)
    status = os.waitpid(pid, 0)[1]
    assert os.waitstatus_to_exitcode(status) == 0, status
    assert product() == right

def processes(method):
    context = multiprocessing.get_context(method)
    queue = context.Queue()
    workers = [context.Process(target=child, args=(queue,)) for _ in range(2)]
    for worker in workers:
        worker.start()
    found = [queue.get(timeout=60) for _ in workers]
    for worker in workers:
        worker.join(60)
        assert worker.exitcode == 0
    assert all(f == product() for f in found)

def idle():
    product()
    time.sleep(0.1)  # the team spins for a millisecond or two
    before = time.process_time()
    time.sleep(0.3)
    used = time.process_time() - before
    assert used < 0.05, f"an idle process used {used:.3f} s of CPU in 0.3 s"

def fork_beside():
    """Forks while another thread computes."""
    stop = threading.Event()

    def work():
        while not stop.is_set():
            product()

    worker = threading.Thread(target=work)
    worker.start()
    for _ in range(20):
        forked()
    stop.set()
    worker.join()

if __name__ == "__main__":
    threads, used_before, what = int(sys.argv[1]), sys.argv[2] == "after", sys.argv[3]
    load("cpp")
    _core.set_share(1e-6)
    _core.set_patience(1e9)
    fastnn.set_num_threads(threads)
    if used_before:
        product()
        assert len(os.listdir("/proc/self/task")) >= threads or sys.platform != "linux"
    {"fork": forked, "fork_beside": fork_beside, "idle": idle}.get(what, lambda: processes(what))()
    print("done")
'''


@pytest.mark.parametrize("threads", [2, 4])
@pytest.mark.parametrize(
    ("when", "what"),
    [
        ("after", "fork"),
        ("after", "fork_beside"),
        *((when, method) for method in multiprocessing.get_all_start_methods() for when in ("before", "after")),
        ("after", "idle"),
    ],
)
def test_processes(tmp_path: Path, when: str, what: str, threads: int) -> None:
    """Before and after the team's first use: children compute and end, and an idle process takes no CPU time."""
    if what.startswith("fork") and not hasattr(os, "fork"):
        pytest.skip("this system has no fork")
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    done = subprocess.run(
        [sys.executable, str(script), str(threads), when, what],
        env={**os.environ, "PYTHONPATH": str(Path(fastnn.__file__).parents[1])},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.stdout.strip() == "done", f"{done.returncode}: {done.stderr[-2000:]}"


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize(("sizes", "batch"), [((400, 15, 10), 4000), ((400, 15, 15, 15, 10), 32), ((64, 200, 200, 10), 100)])
def test_a_hundred_training_steps_give_the_same_bits(all_workers: None, isa: str, sizes: tuple[int, ...], batch: int) -> None:
    """With small layers and a large batch, the sums over the batch are split; the pieces do not depend on the threads."""
    use_isa(isa)
    rng = np.random.default_rng(0)
    x = rng.standard_normal((batch, sizes[0])).astype(np.float32)
    labels = rng.integers(0, 10, batch)
    results = []
    for threads in COUNTS:
        fastnn.set_num_threads(threads)
        fastnn.seed(0)
        layers = [fastnn.Dense(n, activation="relu", input_shape=(k,)) for k, n in pairwise(sizes[:-1])]
        model = fastnn.Sequential([*layers, fastnn.Dense(10, activation="softmax")])
        model.compile("adam", "sparse_categorical_crossentropy")
        model.fit(x, labels, batch_size=batch, epochs=100, verbose=0)
        results.append(b"".join(w.tobytes() for w in model.get_weights()))
    assert len(set(results)) == 1


def test_the_first_calls_may_come_from_several_threads() -> None:
    """In a fresh process: whatever the first call sets up must not make threads wait for each other."""
    code = """
import threading
import time
import numpy as np
import fastnn
model = fastnn.Sequential([fastnn.Dense(8, "tanh", input_shape=(4,))])
ready = threading.Barrier(4)
def run():
    ready.wait()
    for _ in range(20):
        model.predict(np.ones((3, 4)))
threads = [threading.Thread(target=run) for _ in range(4)]
for t in threads: t.start()
for t in threads: t.join()
"""
    for _ in range(5):
        subprocess.run([sys.executable, "-c", code], check=True, timeout=20)


_LAST_WORDS = """
import threading, time, numpy as np, fastnn
m = fastnn.Sequential([fastnn.Dense(400, input_shape=(400,))])
x = np.ones((256, 400), np.float32)
t, f, begun = fastnn.tensor(x), m.freeze(batch_size=256), threading.Event()
def work():
    while True:
        {call}
        begun.set()
for _ in range(2):
    threading.Thread(target=work, daemon=True).start()
begun.wait()
time.sleep(0.05)
"""


@pytest.mark.parametrize("call", ["t @ t.T", "m.predict(x)", "f(x)"])
def test_a_program_may_end_while_daemon_threads_compute(call: str) -> None:
    ended = subprocess.run([sys.executable, "-c", _LAST_WORDS.format(call=call)], capture_output=True, text=True)
    assert (ended.returncode, ended.stderr) == (0, "")


_NO_ROOM = """
import resource, numpy as np, fastnn
fastnn.set_num_threads(1)
m = fastnn.Sequential([fastnn.Dense(1000, input_shape=(1000,))])
x, out = np.ones((256, 1000), np.float32), np.empty((256, 1000), np.float32)
f = m.freeze(batch_size=256)
wanted = np.array(f(x, out=out))
m.predict(x)
fastnn.set_num_threads(3)
size = int(next(line for line in open("/proc/self/status") if line.startswith("VmSize")).split()[1]) * 1024
resource.setrlimit(resource.RLIMIT_AS, (size + ({room} << 20),) * 2)  # the stack of a thread takes 8 MB
assert f(x, out=out).tobytes() == wanted.tobytes()
assert f(x, out=out).tobytes() == wanted.tobytes()
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
@pytest.mark.parametrize("room", [5, 14])
def test_threads_that_cannot_be_had_leave_the_work_to_the_others(room: int) -> None:
    ended = subprocess.run([sys.executable, "-c", _NO_ROOM.format(room=room)], capture_output=True, text=True)
    assert (ended.returncode, ended.stderr) == (0, "")


_NO_MEMORY = """
import resource, numpy as np, fastnn
from fastnn.backends import load
k = load("cpp")
n = 1 << 21
x = np.zeros((1, n, 1), np.float32)
index = np.zeros((1, n, 1), np.int64)
size = int(next(line for line in open("/proc/self/status") if line.startswith("VmSize")).split()[1]) * 1024
resource.setrlimit(resource.RLIMIT_AS, (size + (4 << 20),) * 2)
for call in (lambda: k.argsort(index, x, 0), k.plan([("argsort", (index, x, 0))]).run):
    for _ in range(2):
        try:
            call()
        except MemoryError:
            continue
        raise SystemExit("no MemoryError")
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
@pytest.mark.parametrize("threads", ["1", "3"])
def test_memory_that_cannot_be_had_is_a_memory_error(threads: str) -> None:
    env = {**os.environ, "FASTNN_NUM_THREADS": threads}
    ended = subprocess.run([sys.executable, "-c", _NO_MEMORY], capture_output=True, text=True, env=env, timeout=60)
    assert (ended.returncode, ended.stderr) == (0, "")
