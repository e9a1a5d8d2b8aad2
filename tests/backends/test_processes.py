"""Tests the thread team in processes of their own: forks, silence when idle, the end of a program, and limits of memory."""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
from pathlib import Path

import pytest

import fastnn
from fastnn.backends import unavailable

pytestmark = pytest.mark.skipif(bool(unavailable("cpp")), reason="no compiled kernels")

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
