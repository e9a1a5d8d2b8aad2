"""Names in the logs: two things never have one."""

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fastnn
from fastnn import metrics

rng = np.random.default_rng(0)
X = rng.normal(size=(60, 3)).astype(np.float32)
Y = (X[:, 0] > 0).astype(int)


def model_of(given: Any, loss: Any = "sparse_categorical_crossentropy") -> Any:
    fastnn.seed(0)
    model = fastnn.Sequential([fastnn.Dense(2, activation="softmax", input_shape=(3,))])
    model.compile("adam", loss, metrics=given)
    return model


def test_metrics_of_one_name_are_numbered_as_in_keras() -> None:
    model = model_of([metrics.Precision(class_id=0), metrics.Precision(class_id=1), "precision", metrics.Precision(name="loss")])
    history = model.fit(X, Y, epochs=2, verbose=0, validation_split=0.2).history
    names = ["loss", "precision", "precision_1", "precision_2", "loss_1"]
    assert list(history) == [*names, *(f"val_{name}" for name in names)]
    assert history["precision"] != history["precision_1"]
    logs = model.evaluate(X, Y, return_dict=True)
    assert list(logs) == names
    assert list(logs.values()) == model.evaluate(X, Y)
    alone = [model_of([metrics.Precision(class_id=i)]) for i in (0, 1)]
    for one, name in zip(alone, ("precision", "precision_1"), strict=True):
        one.set_weights(model.get_weights())
        assert one.evaluate(X, Y)[1] == logs[name]


def test_functions_without_a_name_and_with_the_same() -> None:
    def loss(t: Any, p: Any) -> Any:
        return 0 * abs(p).sum(-1) + 7

    model = model_of([lambda t, p: p[:, 0] * 0 + 1, lambda t, p: p[:, 0] * 0 + 2, loss])
    logs = model.evaluate(X, Y, return_dict=True)
    assert {name: logs[name] for name in ("<lambda>", "<lambda>_1", "loss_1")} == {"<lambda>": 1, "<lambda>_1": 2, "loss_1": 7}
    assert logs["loss"] < 2


def test_names_of_validation_and_of_callbacks_are_kept_free() -> None:
    given = [metrics.SparseCategoricalAccuracy(name=name) for name in ("val_loss", "val_accuracy", "accuracy", "learning_rate")]
    slower = fastnn.callbacks.LearningRateScheduler(lambda epoch, lr: 0.01)
    history = model_of(given).fit(X, Y, verbose=0, validation_split=0.2, callbacks=[slower]).history
    assert "val_loss_1" in history and "learning_rate_1" in history
    assert history["learning_rate"] == [0.01]
    assert 0.3 < history["val_loss"][0] != history["val_loss_1"][0]
    assert len(history) == 2 * 5 + 1


def test_several_outputs_and_prefixes() -> None:
    x = fastnn.Input((3,))
    model = fastnn.Model(x, {"a": fastnn.Dense(1, name="a")(x), "a_b": fastnn.Dense(1, name="a_b")(x)})

    def b_c(t: Any, p: Any) -> Any:
        return abs(t - p)

    def c(t: Any, p: Any) -> Any:
        return 0 * abs(t - p) + 5

    def loss(t: Any, p: Any) -> Any:
        return 0 * abs(t - p) + 6

    model.compile("adam", "mse", metrics={"a": [b_c, loss], "a_b": [c]})
    logs = model.evaluate(X, {"a": X[:, 0], "a_b": X[:, 1]}, return_dict=True)
    assert list(logs) == ["loss", "a_loss", "a_b_loss", "a_b_c", "a_loss_1", "a_b_c_1"]
    assert logs["a_loss_1"] == 6 and logs["a_b_c_1"] == 5
    assert logs["loss"] == pytest.approx(logs["a_loss"] + logs["a_b_loss"])


def test_callbacks_find_numbered_names(tmp_path: Path) -> None:
    model = model_of([metrics.AUC("ROC"), metrics.AUC("PR")])
    best = fastnn.callbacks.ModelCheckpoint(str(tmp_path / "best.fastnn"), monitor="val_auc_1", save_best_only=True)
    stop = fastnn.callbacks.EarlyStopping("auc_1", patience=5)
    log = fastnn.callbacks.CSVLogger(str(tmp_path / "log.csv"))
    history = model.fit(X, Y, epochs=3, verbose=0, validation_split=0.3, callbacks=[best, stop, log]).history
    assert stop.best == max(history["auc_1"])
    with open(tmp_path / "log.csv") as f:
        rows = list(csv.DictReader(f))
    assert [float(row["auc_1"]) for row in rows] == pytest.approx(history["auc_1"])
    assert len(set(rows[0])) == 7
    assert (tmp_path / "best.fastnn").exists()


def test_one_metric_object_has_one_place() -> None:
    m = metrics.AUC()
    with pytest.raises(ValueError, match="'auc' is in metrics twice"):
        model_of([m, m])
    with pytest.raises(ValueError, match="twice"):
        model_of({"a": [m], "b": m})
