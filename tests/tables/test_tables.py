"""Tables: reading files, kinds of columns, encoding, and what a saved model does with new rows."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fastnn

pd = pytest.importorskip("pandas")

from fastnn.tables import Encoder, read, train, write  # noqa: E402
from fastnn.tables.kinds import is_class, kind_of  # noqa: E402
from fastnn.tables.training import prepare  # noqa: E402


def flats(n: int = 300, cities: int = 30) -> Any:
    """A table with columns of all kinds, and missing values."""
    rng = np.random.default_rng(0)
    size = rng.uniform(20, 120, n)
    frame = pd.DataFrame(
        {
            "id": np.arange(n),
            "size": np.where(rng.random(n) < 0.1, np.nan, size),
            "city": [f"city {i}" for i in rng.integers(0, cities, n)],
            "heating": pd.Series(rng.choice(["gas", "oil", "none"], n)).where(rng.random(n) > 0.1),
            "balcony": rng.random(n) < 0.5,
            "built": pd.Timestamp("2000-01-01") + pd.to_timedelta(rng.integers(0, 7000, n), unit="D"),
            "country": "here",
        }
    )
    frame["rent"] = 10 * size + 100 * frame.balcony + rng.normal(0, 5, n)
    return frame


def kinds(encoder: Encoder) -> dict[str, str]:
    return {c.name: c.kind for c in encoder.columns}


def test_kinds_of_columns() -> None:
    encoder, notes = Encoder.fit(flats(), "rent")
    assert kinds(encoder) == {"size": "number", "city": "category", "heating": "category", "balcony": "category", "built": "date"}
    assert notes == ["'id' is ignored: it numbers the rows", "'country' is ignored: all rows have 'here'"]
    assert [c.name for c in encoder.embedded] == ["city"]
    assert "size is missing" in encoder.features and "heating is missing" in encoder.features
    inputs = encoder.encode(flats())
    assert inputs["numbers"].shape == (300, len(encoder.features)) and inputs["numbers"].dtype == np.float32
    assert inputs["categories"].shape == (300, 1) and inputs["categories"].dtype == np.int64
    assert np.isfinite(inputs["numbers"]).all()


def test_numbers_are_scaled_and_missing_ones_become_the_median() -> None:
    frame = pd.DataFrame({"a": [1.0, 2.0, 3.0, np.nan, np.inf], "y": [0.5, 1, 2, 3, 4]})
    encoder, _ = Encoder.fit(frame, "y")
    x = encoder.encode(frame)["numbers"]
    np.testing.assert_allclose(x[:, 0], [-np.sqrt(1.5), 0, np.sqrt(1.5), 0, 0], rtol=1e-6)
    np.testing.assert_array_equal(x[:, 1], [0, 0, 0, 1, 1])


def test_texts_of_numbers_and_dates() -> None:
    n = 40
    frame = pd.DataFrame(
        {
            "number": [f"{i}.5" for i in range(n)],
            "date": [f"2024-{i % 12 + 1:02}-03 10:30" for i in range(n)],
            "words": [f"text number {i}" for i in range(n)],
            "postcode": [10115 + i % 3 for i in range(n)],
            "y": range(n),
        }
    )
    encoder, notes = Encoder.fit(frame, "y", categories=["postcode"])
    assert kinds(encoder) == {"number": "number", "date": "date", "postcode": "category"}
    assert notes == ["'words' is ignored: it is text: 40 different values in 40 rows"]
    assert [name for name in encoder.features if "day" in name] == [
        "date: days",
        "date: sine of the day",
        "date: cosine of the day",
    ]


def test_rare_and_many_categories() -> None:
    values = [f"v{i}" for i in range(20) for _ in range(5)] + ["rare"]
    frame = pd.DataFrame({"c": values, "y": np.arange(101.0)})
    encoder, _ = Encoder.fit(frame, "y")
    [column] = encoder.embedded
    assert column.other and len(column.values) == 20 and "rare" not in column.values
    codes = encoder.encode(pd.DataFrame({"c": ["v0", "rare", "new", None]}))["categories"][:, 0]
    assert codes.tolist() == [1, 0, 0, 0]


def test_what_is_a_class() -> None:
    assert is_class(pd.Series(["a", "b"])) and is_class(pd.Series([True, False])) and is_class(pd.Series([0, 1] * 5))
    assert is_class(pd.Series([3.0, 4.0, 5.0] * 100)) and not is_class(pd.Series(np.arange(100)))
    assert not is_class(pd.Series([0.5, 1.5]))
    assert isinstance(kind_of(pd.Series([None, None], name="a", dtype=object)), str)


@pytest.fixture(scope="module")
def model() -> Any:
    fastnn.seed(0)
    return train(flats(), "rent", epochs=30, verbose=0)


def test_a_saved_model_keeps_its_table(model: Any, tmp_path: Path) -> None:
    model.save(tmp_path / "flats.fastnn")
    again = fastnn.load(tmp_path / "flats.fastnn")
    assert again.table_encoder == model.table_encoder
    new = flats(20).iloc[::-1].drop(columns=["rent", "id"])[["built", "balcony", "heating", "city", "size", "country"]]
    predicted = again.table_encoder.decode(again.predict(again.table_encoder.encode(new)))
    np.testing.assert_array_equal(predicted, model.table_encoder.decode(model.predict(model.table_encoder.encode(new))))
    assert np.corrcoef(predicted.prediction, flats(20).rent[::-1])[0, 1] > 0.8


def test_values_that_training_has_not_seen(model: Any) -> None:
    new = flats(3)
    new["city"] = ["Atlantis", "city 1", "city 2"]
    new.loc[1, "built"] = pd.NaT
    notes: list[str] = []
    inputs = model.table_encoder.encode(new, notes.append)
    assert np.isfinite(model.predict(inputs)).all()
    assert sorted(notes) == [
        "'city' has values that training has not seen: 'Atlantis'. They count as \"other\"",
        "1 value of 'built' is missing; in training none was. The median is used",
    ]
    [column] = model.table_encoder.embedded
    rows = next(layer for layer in model.modules() if isinstance(layer, fastnn.Embedding)).get_weights()[0]
    np.testing.assert_allclose(rows[0], rows[1 : 1 + len(column.values)].mean(axis=0), rtol=1e-5)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda f: f.rename(columns={"size": "sizes"}), r"lacks the column 'size', which .* Did you mean 'sizes'\?"),
        (lambda f: f[["rent"]], "lacks the column 'size' and 4 more, which the model was trained on; it has rent"),
        (lambda f: f.assign(size="wide"), "column 'size', row 1: 'wide' is no number"),
        (lambda f: f.assign(built="soon"), "column 'built', row 1: 'soon' is no date"),
    ],
)
def test_bad_rows_are_named(model: Any, change: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        model.table_encoder.encode(change(flats(3)))


def test_classes() -> None:
    frame = flats(200)
    frame["dear"] = np.where(frame.rent > 800, "yes", "no")
    frame.loc[:4, "dear"] = None
    fastnn.seed(1)
    job = prepare(frame.drop(columns="rent"), "dear")
    assert job.notes[0] == "5 rows have no 'dear' and are left out"
    assert len(job.train) + len(job.validation) + len(job.test) == 195 and len(job.test) == 29
    share = frame.dear.eq("yes").sum() / 195
    assert abs(job.test.y.mean() - share) < 1 / 29, "the split has the classes in their shares"
    job.fit(40, None, 0)
    assert job.model.evaluate(job.test.x, job.test.y, verbose=0)[1] > 0.85
    table = job.encoder.decode(job.model.predict(job.test.x))
    assert list(table.columns) == ["prediction", "p_no", "p_yes"]
    np.testing.assert_allclose(table.p_no + table.p_yes, 1, rtol=1e-5)


@pytest.mark.parametrize(
    ("frame", "target", "message"),
    [
        (pd.DataFrame({"a": range(20), "y": range(20)}), "z", "lacks the column 'z'; it has a, y"),
        (pd.DataFrame({"a": range(5), "y": range(5)}), "y", "has 5 rows with a 'y'; wanted at least 10"),
        (pd.DataFrame({"a": range(20), "y": 1.5}), "y", "all rows are 1.5, so there is nothing to predict"),
        (pd.DataFrame({"a": range(20), "y": "x"}), "y", "all rows are 'x', so there is nothing to tell apart"),
        (pd.DataFrame({"a": 1, "y": np.arange(20.0)}), "y", "no column to predict 'y' from; 'a' is ignored: all rows have"),
    ],
)
def test_tables_that_teach_nothing(frame: Any, target: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        prepare(frame, target)


@pytest.mark.parametrize(
    ("numeric", "changes"),
    [
        (
            "piecewise",
            [{"edges": [1.0]}, {"edges": [2.0, 1.0]}, {"edges": ["a", "b"]}, {"edges": 1}, {"edges": [1.0, float("inf")]}],
        ),
        ("quantile", [{"points": [1.0]}, {"points": []}, {"scores": [1.0, 1.0]}, {"scores": None}]),
    ],
)
def test_damaged_quantiles_are_refused(numeric: str, changes: list[dict[str, Any]]) -> None:
    config = json.loads(json.dumps(Encoder.fit(flats(), "rent", numeric=numeric)[0].get_config()))
    assert Encoder.from_config(config).get_config() == Encoder.fit(flats(), "rent", numeric=numeric)[0].get_config()
    for change in changes:
        damaged = json.loads(json.dumps(config))
        damaged["columns"][0] |= change
        with pytest.raises(ValueError, match="table: "):
            Encoder.from_config(damaged)
    damaged = json.loads(json.dumps(config))
    damaged["target"]["type"] = "colour"
    with pytest.raises(ValueError, match="table: type of a target is 'colour'"):
        Encoder.from_config(damaged)


def test_a_damaged_config_is_refused() -> None:
    encoder, _ = Encoder.fit(flats(), "rent")
    config = json.loads(json.dumps(encoder.get_config()))
    assert Encoder.from_config(config) == encoder
    for change in (
        {"kind": "code"},
        {"kind": ["number"]},
        {"scale": 0},
        {"mean": float("nan")},
        {"mean": "1"},
        {"log": 1},
        {"name": 3},
        {"more": 1},
    ):
        damaged = json.loads(json.dumps(config))
        damaged["columns"][0] |= change
        with pytest.raises(ValueError, match="table: "):
            Encoder.from_config(damaged)
    for damaged in ({}, [], {"columns": 1, "target": {}}, {"columns": [1], "target": config["target"]}):
        with pytest.raises(ValueError, match="table: "):
            Encoder.from_config(damaged)
    with pytest.raises(TypeError, match=r"wanted a fastnn.tables.Encoder"):
        fastnn.Dense(1).table_encoder = 3


@pytest.mark.parametrize(
    "text", ["a,b\n1.5,x\n2,?\n", "a;b\n1,5;x\n2,0;\n", "a\tb\n1.5\tx\n2\t-\n", "\ufeffa, b\n1.5, x\n2.0,\n"]
)
def test_text_files(text: str, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text(text, encoding="utf-8")
    with gzip.open(tmp_path / "t.csv.gz", "wt", encoding="utf-8") as f:
        f.write(text)
    for name in ("t.csv", "t.csv.gz"):
        frame = read(tmp_path / name)
        assert list(frame.columns) == ["a", "b"] and frame.a.tolist() == [1.5, 2.0] and frame.b[0] == "x"
        assert frame.b.isna().tolist() == [False, True]


def test_npz_files(tmp_path: Path) -> None:
    np.savez(tmp_path / "t.npz", x=np.arange(6.0).reshape(3, 2), y=np.array([1, 2, 3]))
    assert read(tmp_path / "t.npz").to_dict("list") == {"x_0": [0, 2, 4], "x_1": [1, 3, 5], "y": [1, 2, 3]}


@pytest.mark.parametrize(("ending", "package"), [(".parquet", "pyarrow"), (".xlsx", "openpyxl")])
def test_parquet_and_excel(ending: str, package: str, tmp_path: Path) -> None:
    frame = flats(5)
    try:
        __import__(package)
    except ImportError:
        with pytest.raises(ImportError, match=f"need {package}: pip install {package}"):
            write(frame, tmp_path / f"t{ending}")
        return
    write(frame, tmp_path / f"t{ending}")
    pd.testing.assert_frame_equal(read(tmp_path / f"t{ending}"), frame, check_dtype=False)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "bytes.csv").write_bytes(b"a,b\n\xff\xfe,1\n")
    (tmp_path / "empty.csv").write_text("")
    (tmp_path / "head.csv").write_text("a,b\n")
    (tmp_path / "t.npz").write_text("no archive")
    for name, error, message in [
        ("missing.csv", FileNotFoundError, "there is no file"),
        ("bytes.csv", ValueError, "is no text in UTF-8"),
        ("empty.csv", ValueError, r"cannot be read as a .csv file: No columns"),
        ("head.csv", ValueError, "has no rows"),
        ("t.npz", ValueError, "cannot be read as an .npz file"),
    ]:
        with pytest.raises(error, match=message):
            read(tmp_path / name)
    (tmp_path / "t.pkl").write_text("")
    with pytest.raises(ValueError, match=r"wanted a file that ends with .csv"):
        read(tmp_path / "t.pkl")
    with pytest.raises(ValueError, match=r"wanted a file that ends with .csv"):
        write(flats(3), tmp_path / "t.pkl")
