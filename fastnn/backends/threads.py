"""Find the number of threads that the environment asks for, and show fastnn's threads to threadpoolctl.

The variables are FASTNN_NUM_THREADS and, where it is not set, OMP_NUM_THREADS, by which joblib, Ray and Dask divide the cores
among their processes.
"""

from __future__ import annotations

import os
import sys
import warnings
from functools import cache
from types import ModuleType

MOST_THREADS = 1024


def cores() -> int:
    """Return the number of cores that this process may use: by its affinity and, if there are compiled kernels, its quota."""
    from . import unavailable

    if not unavailable("cpp"):
        from .. import _core

        return _core.cores()
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def default_threads(cores: int) -> int:
    """Return FASTNN_NUM_THREADS, or the number of cores, of which OMP_NUM_THREADS may allow fewer.

    Raises:
        ValueError: FASTNN_NUM_THREADS is no whole number from 1 to `MOST_THREADS`.
    """
    if threads := os.environ.get("FASTNN_NUM_THREADS", ""):
        if not threads.isdigit() or not 1 <= int(threads) <= MOST_THREADS:
            raise ValueError(f"FASTNN_NUM_THREADS={threads}: wanted a whole number from 1 to {MOST_THREADS}")
        return int(threads)
    given = os.environ.get("OMP_NUM_THREADS", "")
    outermost = given.split(",")[0].strip()  # OpenMP allows a number for each level of nested parallel regions
    if outermost.isdigit() and int(outermost) > 0:
        return min(cores, int(outermost))
    if given:
        warnings.warn(
            f"OMP_NUM_THREADS={given} is no whole number of at least 1; fastnn uses {cores} threads", RuntimeWarning, stacklevel=2
        )
    return cores


def register_threadpoolctl() -> None:
    """Show fastnn's threads to threadpoolctl, by which programs limit the threads of all libraries.

    `threadpool_info()` then has an entry for them, with the API "fastnn", and `threadpool_limits(1)` limits them. The number
    applies to the whole process. If threadpoolctl is imported before fastnn computes anything, as by scikit-learn, this happens
    without a call. Only the compiled kernels are shown, as threadpoolctl looks for the files of compiled libraries.

    Raises:
        ImportError: threadpoolctl 3.2 or newer is not installed.

    Source: https://github.com/joblib/threadpoolctl

    >>> import fastnn
    >>> import threadpoolctl
    >>> fastnn.register_threadpoolctl()
    >>> with threadpoolctl.threadpool_limits(1):
    ...     fastnn.get_num_threads()
    1
    """
    from . import load, unavailable

    try:
        import threadpoolctl

        _register(threadpoolctl)
    except (ImportError, AttributeError) as error:
        raise ImportError("register_threadpoolctl needs threadpoolctl 3.2 or newer: pip install 'threadpoolctl>=3.2'") from error
    if not unavailable("cpp"):
        load("cpp")


def register_if_imported() -> None:
    """Register with threadpoolctl if the program has imported it, and if it is new enough."""
    module = sys.modules.get("threadpoolctl")
    if module is not None and hasattr(module, "register"):
        _register(module)


@cache
def _register(threadpoolctl: ModuleType) -> None:
    from . import get_num_threads, set_num_threads

    class Controller(threadpoolctl.LibController):  # type: ignore[name-defined,misc]
        """fastnn's threads; the symbol tells its module from others of the name `_core`."""

        user_api = internal_api = "fastnn"
        filename_prefixes = ("_core",)
        check_symbols = ("fastnn_num_threads",)

        def get_num_threads(self) -> int:
            return get_num_threads()

        def set_num_threads(self, num_threads: int) -> None:
            set_num_threads(num_threads)

        def get_version(self) -> str:
            from .._version import __version__

            return __version__

    threadpoolctl.register(Controller)
