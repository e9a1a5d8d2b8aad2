"""scikit-learn's cross-validation and search, which train the nets of several folds and settings at the same time.

The functions are scikit-learn's: they run with joblib on threads. A net trains in native code, outside Python's lock, so that
threads keep all cores busy, and nothing is copied to other processes.
"""

from __future__ import annotations

import contextvars
import functools
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import joblib
from joblib.parallel import ParallelBackendBase, get_active_backend
from sklearn import model_selection
from sklearn.pipeline import Pipeline

from ..backends import get_backend, get_num_threads, shared_threads
from .base import Estimator


class Threads(ParallelBackendBase):  # type: ignore[misc]
    """Backend of joblib: threads that compute on the caller's backend of fastnn."""

    supports_sharedmem = uses_threads = True
    supports_retrieve_callback = False  # results are awaited; joblib would look for them every 10 ms
    _pool: ThreadPoolExecutor | None = None

    def effective_n_jobs(self, n_jobs: int | None) -> int:
        """Return the number of threads."""
        return get_num_threads() if n_jobs is None or n_jobs < 0 else n_jobs

    def configure(self, n_jobs: int = 1, parallel: Any = None, **kwargs: Any) -> int:
        """Start the threads."""
        self.parallel = parallel
        self._pool = ThreadPoolExecutor(n_jobs)
        return n_jobs

    def submit(self, func: Callable[[], Any], callback: Callable[[Any], Any] | None = None) -> Future[Any]:
        """Run a function in the caller's context."""
        assert self._pool is not None
        future = self._pool.submit(contextvars.copy_context().run, _one_of_several, func)
        if callback is not None:
            future.add_done_callback(callback)
        return future

    def retrieve_result(self, out: Future[Any], timeout: float | None = None) -> Any:
        """Wait for a result."""
        return out.result(timeout)

    def terminate(self) -> None:
        """End the threads."""
        if self._pool is not None:
            self._pool.shutdown()

    def abort_everything(self, ensure_ready: bool = True) -> None:
        """Drop the calls that have not begun."""
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)
        if ensure_ready:
            self.configure(self.parallel.n_jobs, self.parallel)


def _one_of_several(func: Callable[[], Any]) -> Any:
    """Call a function of which several run at the same time, so that each shares its work with fewer threads."""
    with shared_threads():
        return func()


def at_once(estimator: Any, n_jobs: Any) -> AbstractContextManager[Any]:
    """Return a block in which joblib runs on threads, if the fits of this estimator may; else a block without effect."""
    last = estimator
    while isinstance(last, Pipeline):
        last = last.steps[-1][1]
    given, jobs = get_active_backend()
    asked_for = n_jobs is not None or jobs not in (None, 1)
    if asked_for or given.nesting_level or isinstance(given, Threads) or get_num_threads() == 1:
        return nullcontext()
    if not isinstance(last, Estimator) or not last._is_all_ours():
        return nullcontext()
    if (last.backend or get_backend()) != "cpp":
        return nullcontext()
    block: AbstractContextManager[Any] = joblib.parallel_config(backend=Threads(), n_jobs=get_num_threads())
    return block


def _threaded(function: Callable[..., Any], text: str) -> Callable[..., Any]:
    """Return scikit-learn's function with folds at the same time."""

    @functools.wraps(function)
    def called(estimator: Any, X: Any, y: Any = None, **how: Any) -> Any:
        with at_once(estimator, how.get("n_jobs")):
            return function(estimator, X, y, **how)

    called.__doc__ = text
    called.__module__ = __name__
    return called


cross_val_score = _threaded(
    model_selection.cross_val_score,
    """Return the score of each fold, (folds,), as scikit-learn's `cross_val_score` does.

    Arguments and results are scikit-learn's. With an estimator of `fastnn.sklearn`, or a Pipeline that ends with one, and without
    n_jobs, the folds are trained at the same time on threads. All other cases are left to scikit-learn.

    >>> from sklearn.datasets import load_iris
    >>> from fastnn.sklearn import MLPClassifier, cross_val_score
    >>> net = MLPClassifier((16,), learning_rate_init=0.02, max_iter=300, tol=0.01, random_state=0)
    >>> bool(cross_val_score(net, *load_iris(return_X_y=True), cv=5).mean() > 0.9)
    True
    """,
)
cross_validate = _threaded(
    model_selection.cross_validate,
    """Return the scores and times of each fold in a dict, as scikit-learn's `cross_validate` does.

    Arguments and results are scikit-learn's; folds are trained at the same time as by `cross_val_score`.

    >>> from sklearn.datasets import load_iris
    >>> from fastnn.sklearn import MLPClassifier, cross_validate
    >>> net = MLPClassifier((16,), learning_rate_init=0.02, max_iter=300, tol=0.01, random_state=0)
    >>> sorted(cross_validate(net, *load_iris(return_X_y=True), cv=3, return_train_score=True))
    ['fit_time', 'score_time', 'test_score', 'train_score']
    """,
)
cross_val_predict = _threaded(
    model_selection.cross_val_predict,
    """Return for each sample the prediction of the net that has not seen it, as scikit-learn's `cross_val_predict` does.

    Arguments and results are scikit-learn's; folds are trained at the same time as by `cross_val_score`.

    >>> from sklearn.datasets import load_iris
    >>> from fastnn.sklearn import MLPClassifier, cross_val_predict
    >>> net = MLPClassifier((16,), learning_rate_init=0.02, max_iter=300, tol=0.01, random_state=0)
    >>> cross_val_predict(net, *load_iris(return_X_y=True), cv=3, method="predict_proba").shape
    (150, 3)
    """,
)


class GridSearchCV(model_selection.GridSearchCV):  # type: ignore[misc]
    """Search over a grid of parameters, as scikit-learn's `GridSearchCV`, which it is derived from.

    Arguments, attributes and results are scikit-learn's. The nets of all settings and folds are trained at the same time where
    `cross_val_score` trains those of folds so.

    >>> from sklearn.datasets import load_iris
    >>> from fastnn.sklearn import GridSearchCV, MLPClassifier
    >>> net = MLPClassifier((16,), max_iter=300, tol=0.01, random_state=0)
    >>> search = GridSearchCV(net, {"learning_rate_init": [0.02, 0.00001]}, cv=3).fit(*load_iris(return_X_y=True))
    >>> search.best_params_
    {'learning_rate_init': 0.02}
    """

    def fit(self, X: Any, y: Any = None, **params: Any) -> Any:
        """Fit all settings on all folds, and the best setting on all samples; return the search."""
        with at_once(self.estimator, self.n_jobs):
            return super().fit(X, y, **params)
