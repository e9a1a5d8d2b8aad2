"""The number of threads by the environment, in worker processes of joblib, and by threadpoolctl."""

import importlib.util
import os
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import fastnn
from fastnn.backends import threads, unavailable
from fastnn.backends.threads import default_threads

pytestmark = pytest.mark.skipif(bool(unavailable("cpp")), reason="no compiled kernels")


def machine_cores() -> int:
    from fastnn import _core

    return _core.cores()


def run(code: str, **variables: str) -> str:
    clean = {k: v for k, v in os.environ.items() if k not in ("FASTNN_NUM_THREADS", "OMP_NUM_THREADS")}
    done = subprocess.run([sys.executable, "-c", code], env={**clean, **variables}, capture_output=True, text=True, check=True)
    return done.stdout.strip()


@pytest.mark.parametrize(
    ("given", "cores", "wanted"),
    [("1", 8, 1), ("3", 8, 3), ("16", 8, 8), ("3,2", 8, 3), (" 2 ", 8, 2), ("", 8, 8)],
)
def test_openmp_s_variable_limits_the_default(monkeypatch: pytest.MonkeyPatch, given: str, cores: int, wanted: int) -> None:
    monkeypatch.delenv("FASTNN_NUM_THREADS", raising=False)
    monkeypatch.setenv("OMP_NUM_THREADS", given)
    assert default_threads(cores) == wanted
    monkeypatch.setenv("FASTNN_NUM_THREADS", "12")
    assert default_threads(cores) == 12


@pytest.mark.parametrize("given", ["many", "0", "-1", "1.5"])
def test_a_bad_variable_of_openmp_is_told(monkeypatch: pytest.MonkeyPatch, given: str) -> None:
    monkeypatch.delenv("FASTNN_NUM_THREADS", raising=False)
    monkeypatch.setenv("OMP_NUM_THREADS", given)
    with pytest.warns(RuntimeWarning, match=f"OMP_NUM_THREADS={given} is no whole number of at least 1; fastnn uses 4 threads"):
        assert default_threads(4) == 4


def test_processes_follow_the_variables() -> None:
    code = "import fastnn; print(fastnn.get_num_threads())"
    assert run(code, OMP_NUM_THREADS="1") == "1"
    assert run(code, OMP_NUM_THREADS="1", FASTNN_NUM_THREADS="3") == "3"
    assert run(code) == str(machine_cores())
    assert "OMP_NUM_THREADS=1" in run("import fastnn; print(fastnn.info())", OMP_NUM_THREADS="1")


def test_workers_of_joblib_have_their_share_of_the_cores() -> None:
    pytest.importorskip("joblib")
    code = """
import joblib, fastnn
with joblib.parallel_config("loky", n_jobs=2, inner_max_num_threads={inner}):
    print(set(joblib.Parallel()(joblib.delayed(fastnn.get_num_threads)() for _ in range(4))))
"""
    assert run(code.format(inner=1)) == "{1}"
    assert run(code.format(inner=None)) == f"{{{max(1, machine_cores() // 2)}}}"


WORKERS = """
import fastnn

def threads(_):
    return fastnn.get_num_threads()  # by the module, which is sent to the workers

def main():
{}

if __name__ == "__main__":
    main()
"""
DASK = """
    from dask.distributed import Client, LocalCluster
    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster, Client(cluster) as client:
        print(set(client.gather(client.map(threads, range(4)))))
"""
RAY = """
    import ray
    ray.init(num_cpus=2, include_dashboard=False, logging_level="ERROR")
    print(set(ray.get([ray.remote(num_cpus=1)(threads).remote(i) for i in range(4)])))
    ray.shutdown()
"""
JOBLIB = """
    import joblib
    with joblib.parallel_config("loky", n_jobs=2, inner_max_num_threads=1):
        print(set(joblib.Parallel()(joblib.delayed(threads)(i) for i in range(4))))
"""


@pytest.mark.parametrize(
    ("package", "program"),
    [
        ("joblib", JOBLIB),
        pytest.param("distributed", DASK, marks=pytest.mark.slow),
        pytest.param("ray", RAY, marks=pytest.mark.slow),
    ],
)
def test_workers_run_functions_of_the_program_on_their_cores(package: str, program: str, tmp_path: Path) -> None:
    if importlib.util.find_spec(package) is None:
        pytest.skip(f"{package} is not installed")
    path = tmp_path / "program.py"
    path.write_text(WORKERS.format(program))
    clean = {k: v for k, v in os.environ.items() if k not in ("FASTNN_NUM_THREADS", "OMP_NUM_THREADS")}
    done = subprocess.run([sys.executable, str(path)], env=clean, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "{1}"


@pytest.mark.parametrize("module", [fastnn, fastnn.autograd], ids=lambda m: str(m.__name__))
def test_modules_are_sent_by_their_name(module: Any) -> None:
    assert pickle.loads(pickle.dumps(module)) is module


def shown(threadpoolctl: Any) -> list[int]:
    return [library["num_threads"] for library in threadpoolctl.threadpool_info() if library["user_api"] == "fastnn"]


def test_threadpoolctl_shows_and_limits_the_threads() -> None:
    threadpoolctl = pytest.importorskip("threadpoolctl")
    before = fastnn.get_num_threads()
    try:
        fastnn.register_threadpoolctl()
        fastnn.register_threadpoolctl()
        fastnn.set_num_threads(3)
        assert shown(threadpoolctl) == [3]
        with threadpoolctl.threadpool_limits(1):
            assert (shown(threadpoolctl), fastnn.get_num_threads()) == ([1], 1)
        with threadpoolctl.threadpool_limits({"fastnn": 2}):
            assert fastnn.get_num_threads() == 2
        with threadpoolctl.threadpool_limits(1, user_api="blas"):
            assert fastnn.get_num_threads() == 3
        assert fastnn.get_num_threads() == 3
    finally:
        fastnn.set_num_threads(before)


def test_threadpoolctl_that_was_imported_before() -> None:
    pytest.importorskip("threadpoolctl")
    code = """
import sys
import fastnn
{}
fastnn.get_num_threads()
{}
import threadpoolctl
print("fastnn" in [library["user_api"] for library in threadpoolctl.threadpool_info()])
"""
    assert run(code.format("import threadpoolctl", "")) == "True"
    assert run(code.format("", "fastnn.register_threadpoolctl()")) == "True"
    assert run(code.format("", "assert 'threadpoolctl' not in sys.modules")) == "False"


@pytest.mark.parametrize("old", [False, True])
def test_without_threadpoolctl_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch, old: bool) -> None:
    monkeypatch.setitem(sys.modules, "threadpoolctl", type(sys)("threadpoolctl") if old else None)  # type: ignore[arg-type]
    threads.register_if_imported()
    with pytest.raises(ImportError, match=r"pip install 'threadpoolctl>=3\.2'"):
        fastnn.register_threadpoolctl()
