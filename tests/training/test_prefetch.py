"""Batches that a thread fetches: their order, their end, and the thread's."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import fastnn

X = np.ones((4, 2), np.float32)


def threads() -> list[str]:
    return [t.name for t in threading.enumerate() if t.name == "fastnn-prefetch"]


def net() -> Any:
    model = fastnn.Sequential([fastnn.Dense(1, input_shape=(2,))])
    model.compile("sgd", "mse")
    return model


def endless(taken: list[int]) -> Iterator[Any]:
    while True:
        taken.append(len(taken))
        yield X, X[:, :1]


@pytest.mark.parametrize("ahead", [1, 3])
def test_so_many_batches_are_fetched_before_they_are_asked_for(ahead: int) -> None:
    taken: list[int] = []
    batches = iter(fastnn.Prefetch(endless(taken), ahead))
    next(batches)
    for _ in range(100):
        if len(taken) == 1 + ahead:
            break
        time.sleep(0.01)
    time.sleep(0.02)
    assert len(taken) == 1 + ahead
    batches.close()  # type: ignore[attr-defined]
    assert not threads()


def test_no_thread_is_left() -> None:
    class Stop(fastnn.callbacks.Callback):
        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            if batch == 2:
                self.model.stop_training = True

    class Fail(fastnn.callbacks.Callback):
        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            raise KeyboardInterrupt

    model = net()
    model.fit(fastnn.Prefetch(endless([])), verbose=0, callbacks=Stop())
    assert not threads()
    try:
        model.fit(fastnn.Prefetch(endless([])), verbose=0, callbacks=Fail())
    except KeyboardInterrupt as error:
        assert error.__traceback__ is not None and not threads()  # also while the traceback is there
    model.fit(X, X[:, :1], validation_data=fastnn.Prefetch(endless([])), validation_steps=2, epochs=2, verbose=0)
    model.evaluate(fastnn.Prefetch(endless([])), steps=2)
    assert not threads()
    try:
        model.evaluate(fastnn.Prefetch(iter([(X, X[:, :1]), (X, X[:2, :1])] * 9)))
    except ValueError as error:
        assert "batch 1 of x" in str(error) and not threads()


def test_a_generator_goes_on_with_what_was_fetched() -> None:
    """No batch is lost between epochs."""
    values = (np.full((1, 2), i, np.float32) for i in range(9))
    seen: list[Any] = []
    model = net()
    look = fastnn.callbacks.LambdaCallback(on_train_batch_begin=lambda i, logs: seen.append(i))
    batches = fastnn.Prefetch((x, x[:, :1]) for x in values)
    model.fit(batches, epochs=3, steps_per_epoch=3, verbose=0, callbacks=look)
    assert seen == [0, 1, 2] * 3


def test_blocks_of_the_caller_hold_in_the_thread() -> None:
    def batches() -> Iterator[Any]:
        yield fastnn.get_backend(), threading.current_thread().name

    with fastnn.use_backend("numpy"):
        assert list(fastnn.Prefetch(batches())) == [("numpy", "fastnn-prefetch")]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_forked_process_fetches_too() -> None:
    batches = iter(fastnn.Prefetch(endless([])))
    next(batches)
    if (pid := os.fork()) == 0:
        try:
            net().fit(fastnn.Prefetch(endless([])), steps_per_epoch=3, verbose=0)
            os._exit(0)
        finally:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    batches.close()  # type: ignore[attr-defined]


def test_arguments() -> None:
    with pytest.raises(TypeError, match="Prefetch: data is a ndarray; wanted an iterable of batches"):
        fastnn.Prefetch(X)
    with pytest.raises(ValueError, match="Prefetch: ahead is 0"):
        fastnn.Prefetch(iter([]), 0)
