"""`fastnn.Tabular`: frames in, predictions out; what its file and its frozen model keep."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fastnn
import fastnn.tables
from fastnn import Tabular

pd = pytest.importorskip("pandas")


def flats(n: int = 300, seed: int = 0) -> Any:
    """A table with columns of all kinds, missing values, and more streets than have a column each."""
    rng = np.random.default_rng(seed)
    size, street = rng.uniform(20, 120, n), rng.integers(0, 20, n)
    frame = pd.DataFrame(
        {
            "size": np.where(rng.random(n) < 0.1, np.nan, size),
            "street": [f"street {i}" for i in street],
            "heating": pd.Series(rng.choice(["gas", "oil"], n)).where(rng.random(n) > 0.1),
            "balcony": rng.random(n) < 0.5,
            "built": pd.Timestamp("2000-01-01") + pd.to_timedelta(rng.integers(0, 7000, n), unit="D"),
        }
    )
    frame["rent"] = 10 * size + 100 * frame.balcony + 10 * street + rng.normal(0, 5, n)
    return frame


NEW = flats(60, 1)
FAST: dict[str, Any] = {"seed": 0, "epochs": 8, "layers": [16, 16]}


@pytest.fixture(scope="module", params=["scaled", "quantile", "piecewise"])
def model(request: pytest.FixtureRequest) -> Tabular:
    return Tabular(model="mlp", numeric=request.param, seed=0, epochs=60).fit(flats(), "rent")


def test_numbers(model: Tabular) -> None:
    scores = model.evaluate(NEW)
    predicted = model.predict(NEW)
    assert scores["r2"] == model.score(NEW) > 0.6
    assert scores["rmse"] == pytest.approx(np.sqrt(np.mean((predicted - NEW.rent) ** 2)), rel=1e-4)
    assert list(model.feature_names_in_) == ["size", "street", "heating", "balcony", "built"]
    with pytest.raises(AttributeError, match="the target 'rent' is a number and has no classes"):
        model.predict_proba(NEW)


def test_the_order_of_columns_and_others_are_of_no_importance(model: Tabular) -> None:
    np.testing.assert_array_equal(model.predict(NEW.iloc[:, ::-1].assign(more=1)), model.predict(NEW))


def test_files_frozen_models_and_the_command_line_have_everything(model: Tabular, tmp_path: Path) -> None:
    new = NEW.assign(street=["nowhere", *NEW.street[1:]], heating=None)
    model.save(tmp_path / "flats.fastnn")
    with pytest.warns(UserWarning, match="'street' has values that training has not seen: 'nowhere'"):
        expected = model.predict(new)
    again, network = Tabular.load(tmp_path / "flats.fastnn"), fastnn.load(tmp_path / "flats.fastnn")
    frozen = model.freeze()
    for rows in (new, dict(new.items()), {name: new[name].to_numpy() for name in new}):
        with pytest.warns(UserWarning, match="nowhere"):
            np.testing.assert_array_equal(again.predict(rows), expected)
        with pytest.warns(UserWarning, match="nowhere"):
            np.testing.assert_allclose(frozen(rows), expected, rtol=1e-5)
    encoder = network.table_encoder
    np.testing.assert_array_equal(encoder.decode(network.predict(encoder.encode(new))).prediction, expected)


def test_paths_and_single_rows(tmp_path: Path) -> None:
    fastnn.tables.write(flats(), tmp_path / "flats.csv")
    model = Tabular(**FAST).fit(tmp_path / "flats.csv", "rent")
    row = {"size": 50, "street": "street 3", "heating": None, "balcony": True, "built": "2010-05-01"}
    assert model.predict(row).shape == model.freeze()(row).shape == (1,)
    assert model.predict(str(tmp_path / "flats.csv")).shape == (300,)


@pytest.mark.parametrize(
    ("labels", "classes"),
    [
        (["low", "high"], ["high", "low"]),
        ([False, True], [False, True]),
        ([3, 10], [3, 10]),
        ([0.5, 2.0], [0.5, 2.0]),
    ],
)
def test_classes_keep_their_type(labels: list[Any], classes: list[Any], tmp_path: Path) -> None:
    frame = flats()
    y = np.array(labels)[(frame.pop("rent") > 800).astype(int)]
    model = Tabular("classes", model="mlp", seed=0, epochs=30).fit(frame, y)
    model.save(tmp_path / "classes.fastnn")
    for m in (model, Tabular.load(tmp_path / "classes.fastnn")):
        predicted, p = m.predict(frame), m.predict_proba(frame)
        assert m.classes_.tolist() == classes and type(predicted.tolist()[0]) is type(classes[0])
        assert predicted.tolist() == m.classes_[p.argmax(axis=1)].tolist()
        np.testing.assert_allclose(p.sum(axis=1), 1, rtol=1e-5)
        assert m.score(frame, y) == np.mean(predicted == y) > 0.85
    assert model.encoder.target.name == "target" and set(model.evaluate(frame, y)) == {"accuracy", "log_loss", "auc"}


@pytest.mark.parametrize("name", ["mlp", "residual", "tabm"])
def test_ready_models(name: str, tmp_path: Path) -> None:
    model = Tabular(model=name, seed=0, epochs=25, layers=[32, 32]).fit(flats(), "rent")
    assert model.score(NEW) > 0.5
    model.save(tmp_path / "flats.fastnn")
    np.testing.assert_array_equal(Tabular.load(tmp_path / "flats.fastnn").predict(NEW), model.predict(NEW))
    np.testing.assert_allclose(model.freeze()(NEW), model.predict(NEW), rtol=1e-4)


def test_own_models() -> None:
    asked = []

    def line(n_features: int, n_outputs: int) -> Any:
        asked.append((n_features, n_outputs))
        return fastnn.Dense(n_outputs)

    frame = flats()
    frame["kind"] = pd.cut(frame.pop("rent"), 3, labels=["a", "b", "c"])
    model = Tabular(model=line, seed=0, epochs=5).fit(frame, "kind")
    n = len(model.encoder.features)
    assert asked[0][0] > n and asked[0][1] == 3, "the features and the embedding of the streets; logits of the classes"
    np.testing.assert_allclose(model.predict_proba(frame).sum(axis=1), 1, rtol=1e-5)


def test_validation_rows_and_seeds() -> None:
    one, two = (Tabular(**FAST).fit(flats(), "rent", validation=NEW) for _ in range(2))
    np.testing.assert_array_equal(one.predict(NEW), two.predict(NEW))
    best = min(one.history.history["val_loss"])
    assert one.evaluate(NEW)["rmse"] / one.encoder.target.scale == pytest.approx(best**0.5, rel=1e-4), "the best weights are kept"
    y = NEW.rent.to_numpy()
    three = Tabular(**FAST).fit(flats().drop(columns="rent"), flats().rent.to_numpy(), validation=(NEW.drop(columns="rent"), y))
    np.testing.assert_array_equal(three.predict(NEW), one.predict(NEW))


def test_scikit_learn_takes_it() -> None:
    pytest.importorskip("sklearn")
    from sklearn.base import clone
    from sklearn.model_selection import GridSearchCV

    frame = flats()
    dear = frame.pop("rent") > 800
    search = GridSearchCV(Tabular("classes", **FAST), {"numeric": ["scaled", "quantile"]}, cv=2).fit(frame, dear)
    assert search.best_score_ > 0.6 and repr(clone(search.best_estimator_)).startswith("Tabular(task='classes', numeric=")


def test_piecewise_encoding() -> None:
    x = np.arange(101.0)
    encoder, _ = fastnn.tables.Encoder.fit(pd.DataFrame({"x": x, "y": x}), "y", numeric="piecewise")
    [column] = encoder.columns
    edges = np.array(column.edges)
    np.testing.assert_allclose(edges, np.linspace(0, 100, len(edges)))
    new = np.array([-5.0, 0.0, 30.0, 100.0, 110.0])
    z = encoder.encode(pd.DataFrame({"x": new}))["numbers"]
    np.testing.assert_allclose(z @ np.diff(edges), new, rtol=1e-5), "a layer with the widths as weights is the identity"
    assert ((z[2] > 0) & (z[2] < 1)).sum() <= 1 and set(z[1]) == {0.0} and set(z[3]) == {1.0}


def test_quantile_encoding() -> None:
    x = np.random.default_rng(0).lognormal(0, 2, 5000)
    encoder, _ = fastnn.tables.Encoder.fit(pd.DataFrame({"x": x, "y": np.arange(5000)}), "y", numeric="quantile")
    z = np.sort(encoder.encode(pd.DataFrame({"x": x}))["numbers"][:, 0])
    assert abs(z.mean()) < 0.02 and abs(z.std() - 1) < 0.03 and abs(np.mean(np.abs(z) < 1) - 0.683) < 0.01
    same, _ = fastnn.tables.Encoder.fit(pd.DataFrame({"x": [0.0] * 50 + [1.0] * 50, "y": x[:100]}), "y", numeric="quantile")
    low, high = same.encode(pd.DataFrame({"x": [0.0, 1.0]}))["numbers"][:, 0]
    assert -1 < low < 0 < high < 1, "equal numbers have the mean of their scores"


@pytest.mark.parametrize(
    ("act", "error", "message"),
    [
        (lambda: Tabular("words").fit(NEW, "rent"), ValueError, "task is 'words'; wanted one of 'auto', 'classes', 'number'"),
        (lambda: Tabular(numeric="log").fit(NEW, "rent"), ValueError, "numeric is 'log'; wanted one of 'scaled', 'quantile'"),
        (lambda: Tabular(model="tree").fit(NEW, "rent"), ValueError, "model is 'tree'; wanted one of 'mlp', 'residual', 'tabm'"),
        (lambda: Tabular(model=lambda i, o: 3).fit(NEW, "rent"), TypeError, r"model\(\d+, 1\) returned a int, wanted a model"),
        (lambda: Tabular(validation=1.5).fit(NEW, "rent"), ValueError, "hold back is 1.5; wanted a number from 0 to less than 1"),
        (lambda: Tabular("number", layers=[8, 4], model="tabm").fit(NEW, "rent"), ValueError, "wants one size for all"),
        (lambda: Tabular().fit(np.ones((3, 2)), "rent"), TypeError, "the table is a ndarray; wanted a data frame, a dict"),
        (lambda: Tabular().fit({"a": [1, 2], "b": [1]}, "b"), ValueError, "different lengths or two axes: a 2, b 1"),
        (lambda: Tabular().fit(pd.DataFrame([[1, 2]], columns=["a", "a"]), "a"), ValueError, "two columns 'a'"),
        (lambda: Tabular().fit(NEW, [1, 2]), ValueError, r"the target has shape \(2,\), and the table 60 rows"),
        (lambda: Tabular().fit(NEW, NEW.rent), ValueError, "has the target's column 'rent', too; pass target='rent'"),
        (lambda: Tabular().fit(NEW, "rents"), ValueError, "lacks the column 'rents'. Did you mean 'rent'"),
        (lambda: Tabular().predict(NEW), AttributeError, "Tabular has no encoder before fit or load"),
        (lambda: Tabular().set_params(depth=3), ValueError, "Tabular has no argument 'depth'; it has task, model"),
    ],
)
def test_bad_arguments_are_named(act: Any, error: Any, message: str) -> None:
    with pytest.raises(error, match=message):
        act()


def test_a_file_of_another_model_is_refused(tmp_path: Path) -> None:
    fastnn.Sequential([fastnn.Dense(2, input_shape=(3,))]).save(tmp_path / "plain.fastnn")
    with pytest.raises(ValueError, match="the Sequential in the file was not trained on a table"):
        Tabular.load(tmp_path / "plain.fastnn")
