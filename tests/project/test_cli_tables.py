"""The command line with tables: training on a file, evaluation, and predictions for new rows."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result

import fastnn
from fastnn import cli

pd = pytest.importorskip("pandas")


def run(*arguments: object) -> Result:
    return CliRunner().invoke(cli.main, [str(a) for a in arguments])


def good(*arguments: object) -> Result:
    result = run(*arguments)
    assert result.exit_code == 0, result.output
    return result


def bad(*arguments: object) -> str:
    """The error's one line."""
    result = run(*arguments)
    assert result.exit_code in (1, 2) and isinstance(result.exception, SystemExit), result.output
    [error] = [line for line in result.output.splitlines() if line.startswith("Error: ")]
    return error


@pytest.fixture(autouse=True)
def in_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.chdir(tmp_path)
    before = fastnn.get_backend()
    yield tmp_path
    fastnn.set_backend(before)


@pytest.fixture
def flats() -> Any:
    """flats.csv: rent follows from size and balcony."""
    rng = np.random.default_rng(0)
    n = 240
    size, balcony = rng.uniform(20, 120, n), rng.random(n) < 0.5
    frame = pd.DataFrame({"flat_id": range(n), "size": size.round(1), "balcony": balcony, "street": rng.choice(["a", "b"], n)})
    frame["rent"] = (10 * size + 200 * balcony + rng.normal(0, 5, n)).round(2)
    frame["dear"] = np.where(frame.rent > 800, "yes", "no")
    frame.to_csv("flats.csv", index=False)
    return frame


@pytest.fixture
def model(flats: Any) -> str:
    good("train", "flats.csv", "--target", "rent", "--drop", "dear", "--epochs", 60)
    return "flats.fastnn"


def test_train_on_numbers(flats: Any) -> None:
    out = good("train", "flats.csv", "--target", "rent", "--drop", "dear", "--epochs", 60).stdout
    assert "240 rows, 168 for training, 36 for validation, 36 for the test" in out
    assert "note: 'flat_id' is ignored: it numbers the rows" in out
    assert "size (number), balcony (2 categories), street (2 categories)" in out
    r2 = {line.split()[0]: float(line.split()[-1]) for line in out.splitlines() if line.startswith(("  this network", "  mean"))}
    assert r2["this"] > 0.9 > 0.1 > r2["mean"]
    assert Path("flats.fastnn").is_file()


def test_train_on_classes_as_json(flats: Any) -> None:
    pytest.importorskip("sklearn")
    result = good("train", "flats.csv", "--target", "dear", "--drop", "rent", "--json", "-o", "dear.fastnn", "--epochs", 40)
    report = json.loads(result.stdout)
    assert report["task"] == "classes" and report["model"] == "dear.fastnn" and report["columns"]["size"] == "number"
    assert set(report["test"]) == {"this_network", "most_frequent_class", "linear_model"}
    assert report["test"]["this_network"]["accuracy"] > 0.85 and "saved the model" in result.stderr
    again = json.loads(good("train", "table", "flats.csv", "--target=dear", "--drop", "rent", "--json", "--epochs", 40).stdout)
    assert again["test"] == report["test"], "the seed makes training repeatable"


def test_many_columns_are_counted() -> None:
    x = np.random.default_rng(0).random((60, 40))
    frame = pd.DataFrame(x, columns=[f"n{i}" for i in range(40)]).assign(kind=["a", "b"] * 30)
    frame.to_csv("wide.csv", index=False)
    out = good("train", "wide.csv", "--target", "n0", "--epochs", 1).stdout
    assert "inputs: 40 columns, 39 of kind number, 1 of kind category\n" in out


def test_evaluate(model: str, flats: Any) -> None:
    assert "240 rows" in good("evaluate", model, "flats.csv").stdout
    found = json.loads(good("evaluate", model, "flats.csv", "--json").stdout)
    assert found["rows"] == 240 and found["r2"] > 0.9 and found["mae"] <= found["rmse"]


def test_predict(model: str, flats: Any) -> None:
    flats.drop(columns=["rent", "dear"])[["street", "balcony", "size", "flat_id"]].to_csv("new.csv", index=False)
    result = good("predict", model, "new.csv", "-o", "out.csv", "--keep", "flat_id")
    assert result.stdout == "" and "saved 240 predictions of 'rent' to out.csv" in result.stderr
    out = pd.read_csv("out.csv")
    assert list(out.columns) == ["flat_id", "prediction"] and np.corrcoef(out.prediction, flats.rent)[0, 1] > 0.95
    shown = good("predict", model, "new.csv", "--keep", "all").stdout.splitlines()
    assert shown[0] == "street,balcony,size,flat_id,prediction" and len(shown) == 241
    first = json.loads(good("predict", model, "new.csv", "--json").stdout.splitlines()[0])
    assert first == {"prediction": pytest.approx(out.prediction[0], rel=1e-5)}


def test_probabilities_and_unknown_values(flats: Any) -> None:
    good("train", "flats.csv", "--target", "dear", "--drop", "rent", "--epochs", 5)
    Path("new.csv").write_text("size,balcony,street\n50,True,nowhere\n,False,a\n")
    result = good("predict", "flats.fastnn", "new.csv", "-o", "out.tsv")
    assert "note: 'street' has values that training has not seen: 'nowhere'" in result.stderr
    assert "note: 1 value of 'size' is missing; in training none was. The median is used" in result.stderr
    out = pd.read_csv("out.tsv", sep="\t")
    assert list(out.columns) == ["prediction", "p_no", "p_yes"] and set(out.prediction) <= {"no", "yes"}
    np.testing.assert_allclose(out.p_no + out.p_yes, 1, rtol=1e-5)


def test_what_a_user_can_correct(model: str, flats: Any) -> None:
    assert "flats.csv: pass --target COLUMN, one of: flat_id, size, balcony, street, rent, dear" in bad(
        "train", "table", "flats.csv"
    )
    assert "is a table; pass --target COLUMN" in bad("train", "--epochs", 1, "flats.csv")
    assert "lacks the column 'rents'. Did you mean 'rent'?" in bad("train", "flats.csv", "--target", "rents")
    assert "lacks the column 'zip'; it has" in bad("train", "flats.csv", "--target", "rent", "--drop", "zip")
    assert "there is no file 'none.csv'" in bad("train", "none.csv", "--target", "a")
    assert "is the same file as flats.csv" in bad("train", "flats.csv", "--target", "rent", "-o", "flats.csv")
    assert "is the same file as flats.csv" in bad("predict", model, "flats.csv", "-o", "flats.csv")
    assert "wanted a file that ends with .csv, .tsv" in bad("predict", model, "flats.csv", "-o", "out.doc")
    Path("few.csv").write_text("size,balcony\n50,True\n")
    assert "lacks the column 'street', which the model was trained on; it has size, balcony" in bad("predict", model, "few.csv")
    assert "lacks the column 'rent', which the model predicts" in bad("evaluate", model, "few.csv")
    fastnn.Sequential([fastnn.Dense(2, input_shape=(3,))]).save("plain.fastnn")
    assert "are for models of tables; plain.fastnn is none" in bad("predict", "plain.fastnn", "a.npy", "--json")
    assert "--task" in bad("train", "flats.csv", "--target", "rent", "--task", "words")


def test_python_m_fastnn_and_exit_codes(flats: Any) -> None:
    def code(*arguments: str) -> tuple[int, str, str]:
        done = subprocess.run([sys.executable, "-m", "fastnn", *arguments], capture_output=True, text=True, check=False)
        return done.returncode, done.stdout, done.stderr

    assert code("--version")[0] == 0
    status, out, err = code("train", "flats.csv", "--target", "rents")
    assert (status, out) == (1, "") and err.startswith("Error: the table lacks the column 'rents'")
    status, _, err = code("train", "flats.csv", "--target", "rent", "--epochs", "no")
    assert status == 2 and "python -m fastnn train" in err


def test_help_names_choices_and_examples() -> None:
    out = good("train", "table", "--help").stdout
    assert "[classes|number]" in out and "fastnn train prices.csv --target price" in out and "adamw" in out
    assert "prices.csv --target price" in good("train", "--help").stdout
    assert "..." not in good("--help").stdout.split("Commands:")[1]
