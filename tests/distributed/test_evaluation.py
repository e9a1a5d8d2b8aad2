"""evaluate, predict and validation on several ranks: the results of one process, the same on all ranks."""

from typing import Any

import numpy as np
import pytest
import ranks

import fastnn
from fastnn import metrics


class Largest(fastnn.metrics.Metric):
    """Largest prediction, which cannot be added up over ranks."""

    def __init__(self) -> None:
        super().__init__("largest")
        self.value = self.add_weight()

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        self.value.assign(max(self.value.item(), y_pred.max().item()))

    def result(self) -> Any:
        return self.value

    def merge_state(self, states: Any) -> None:
        self.value.assign(max(value for (value,) in states))


class Bias(fastnn.metrics.Metric):
    """Mean error, from variables and from an inner metric."""

    def __init__(self) -> None:
        super().__init__("bias")
        self.sum, self.rows = self.add_weight(dtype="float64"), fastnn.metrics.Sum()

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        self.sum.assign_add((y_pred - y_true).sum())
        self.rows.update_state(len(y_pred))

    def result(self) -> Any:
        return self.sum / max(self.rows.result(), 1)

    def reset_state(self) -> None:
        super().reset_state()
        self.rows.reset_state()


class Count(fastnn.metrics.Metric):
    """Metric whose state is a plain number."""

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        self.n = len(y_pred)

    def result(self) -> Any:
        return 1.0


def distance(y_true: Any, y_pred: Any) -> Any:
    return abs(y_true - y_pred)


def _numbers(n: int) -> tuple[Any, ...]:
    rng = np.random.default_rng(n)
    return rng.random((n, 4)), rng.random((n, 2)), rng.random(n)


def _values(comm: Any, metrics_: Any = None) -> Any:
    fastnn.seed(0)
    model = fastnn.Sequential([fastnn.Dense(3, "relu", input_shape=(4,), kernel_regularizer="l2"), fastnn.Dense(2)])
    model.to(np.float64)
    given = ["mae", "rmse", "r2_score", metrics.AUC(), metrics.PearsonCorrelation(), distance, Largest(), Bias()]
    model.compile("sgd", "mse", metrics=given if metrics_ is None else metrics_, weighted_metrics=["mape"], distribute=comm)
    return model


def _labels(comm: Any) -> Any:
    fastnn.seed(0)
    model = fastnn.Sequential([fastnn.Dense(3, "softmax", input_shape=(4,))])
    given = [
        "accuracy",
        "perplexity",
        metrics.F1Score(average="macro"),
        metrics.MeanIoU(3, sparse_y_pred=False),
        metrics.Recall(class_id=1),
    ]
    model.compile("sgd", fastnn.losses.SparseCategoricalCrossentropy(reduction="sum"), given, distribute=comm)
    return model


def _results(comm: Any = None) -> list[Any]:
    """Evaluate and predict, with as many rows as ranks, with fewer, and with more."""
    found: list[Any] = []
    values, labels = _values(comm), _labels(comm)
    for n in (11, 3, 1):
        x, y, weight = _numbers(n)
        found.append(values.evaluate(x, (y > 0.5) * 1.0, sample_weight=weight, verbose=0, return_dict=True))
        found.append(values.evaluate(x, (y > 0.5) * 1.0, batch_size=2, steps=2, verbose=0, return_dict=True))
        found.append(labels.evaluate(x, (x.sum(1) * 10).astype(int) % 3, verbose=0, return_dict=True))
        found.append(values.predict(x, verbose=0))
        found.append(values.predict(x, batch_size=2, steps=2, verbose=0))
        found.append(labels.predict_on_batch(x.astype(np.float32)))
    return found


def _of_large_arrays(comm: Any = None) -> list[Any]:
    """The same with arrays that are cast batch by batch, and with a feed of single samples."""
    from fastnn.training.data import large

    x, y, _ = _numbers(11)
    model = _values(comm)
    x, y = x.astype(np.float32), (y > 0.5).astype(np.float32)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(large, "LARGE", 0)
        found = [model.evaluate(x, y, batch_size=b, verbose=0, return_dict=True) for b in (None, 3)]
        found.append(model.evaluate(x, y, steps=2, batch_size=3, verbose=0, return_dict=True))
        return [*found, model.predict(x, verbose=0)]


def _on_ranks() -> list[Any]:
    comm = fastnn.distributed.init()
    return [*_results(comm), *_of_large_arrays(comm)]


def _same(a: Any, b: Any, tolerance: float) -> None:
    if isinstance(a, dict):
        assert a.keys() == b.keys()
        a, b = list(a.values()), list(b.values())
    np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance)


@ranks.needed
def test_results_are_those_of_one_process() -> None:
    wanted = [*_results(), *_of_large_arrays()]
    first, *others = ranks.run(3, __file__, "_on_ranks")
    for found, want in zip(first, wanted, strict=True):
        single = np.asarray(found).dtype == np.float32 or "perplexity" in str(found)
        _same(found, want, 1e-6 if single else 1e-12)
    for other in others:
        for found, want in zip(other, first, strict=True):
            _same(found, want, 0)


def _logs_by_batch() -> list[Any]:
    """Train where only rank 0 has a callback of batches, and one that stops training."""
    comm = fastnn.distributed.init()
    seen: list[Any] = []
    callbacks = []
    if comm.rank == 0:
        callbacks = [
            fastnn.callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: seen.append(dict(logs))),
            fastnn.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: setattr(model, "stop_training", epoch == 1)),
        ]
    x, y, _ = _numbers(12)
    model = _values(comm)
    history = model.fit(x, y > 0.5, batch_size=6, epochs=5, verbose=0, callbacks=callbacks, validation_data=(x, y > 0.5))
    return [history.history, seen]


@ranks.needed
def test_logs_and_the_end_are_the_same_on_all_ranks() -> None:
    (first, seen), (second, none) = ranks.run(2, __file__, "_logs_by_batch")
    assert list(first) == list(second) and len(first["loss"]) == 2 and "val_bias" in first
    for name in first:
        _same(first[name], second[name], 0)
    assert len(seen) == 4 and not none
    (one, seen_by_one) = _logs_by_batch()
    for name in one:
        _same(first[name], one[name], 1e-6 if name.endswith("largest") else 1e-9)
    for logs, others in zip(seen, seen_by_one, strict=True):
        _same(logs["loss"], others["loss"], 1e-9)
    assert [logs["loss"] for logs in seen[1::2]] == first["loss"]


def test_metrics_that_cannot_be_added_up() -> None:
    from fastnn.training.merging import merged

    x, y, _ = _numbers(4)
    model = _values(None, [Count()])
    model.evaluate(x, y, verbose=0)
    model._compiled.distribute = fastnn.distributed.Comm()
    with pytest.raises(ValueError, match="metric count: Count has no state that can be added up"), merged(model._compiled):
        pass


def test_states_of_a_metric() -> None:
    parts = [metrics.R2Score(), metrics.R2Score(), metrics.R2Score()]
    rng = np.random.default_rng(0)
    y, p = rng.random((9, 2)) + 1e6, rng.random((9, 2)) + 1e6
    for m, rows in zip(parts[:2], (slice(0, 3), slice(3, 9)), strict=True):
        m.update_state(y[rows], p[rows])
    whole = metrics.R2Score()
    whole.update_state(y, p)
    parts[2].merge_state([m.to_merge() for m in parts])
    assert parts[2].result() == pytest.approx(whole.result(), rel=1e-8)


def test_distribute_wants_ranks() -> None:
    with pytest.raises(TypeError, match=r"distribute is a int, wanted the result of fastnn\.distributed\.init"):
        fastnn.Sequential([fastnn.Dense(1)]).compile("sgd", "mse", distribute=2)


def _own_step() -> str:
    class Own(fastnn.Sequential):
        def train_step(self, data: Any, /) -> dict[str, Any]:
            return super().train_step(data)

    model = Own([fastnn.Dense(2, input_shape=(4,))])
    model.compile("sgd", "mse", distribute=fastnn.distributed.init())
    x, y, _ = _numbers(4)
    with pytest.raises(ValueError) as caught:
        model.fit(x, y, verbose=0)
    return str(caught.value)


@ranks.needed
def test_steps_whose_gradients_are_not_added_up_are_refused() -> None:
    assert all("average_gradients(optimizer)" in message for message in ranks.run(2, __file__, "_own_step"))
