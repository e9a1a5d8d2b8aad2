"""Tables on the command line: `fastnn train FILE --target COLUMN`, and what evaluate and predict do with its models."""

from __future__ import annotations

import json
import time
import warnings
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
import numpy as np

import fastnn

from .. import callbacks, plot
from ..plot.classes import confusion_matrix
from ..tables.encoder import Encoder, with_names
from ..tables.files import check_written, is_table, read, write
from ..tables.networks import MODELS
from ..tables.numbers import NUMERIC
from ..tables.scores import baselines, scores
from ..tables.training import HELD_BACK, MODEL, Job, prepare
from .common import (
    backend_option,
    check_finite,
    check_plot,
    check_targets,
    finite,
    has_bar,
    json_option,
    layers_of,
    names_of,
    optimizer_help,
    show_backend,
    training_ranks,
    use,
)
from .report import class_table, confusion_table

MOST_NAMED = 30
"""Largest number of columns that are shown by their names."""
MOST_SHOWN = 16
"""Largest number of classes whose precision, recall and confusions are shown."""


def goes_here(args: list[str]) -> bool:
    """Return whether the arguments of `fastnn train` are those of a table."""
    return any(a == "--target" or a.startswith("--target=") for a in args) or bool(args and is_table(args[0]))


@click.command("train", short_help="Train on a table: fastnn train FILE --target COLUMN.")
@click.argument("file", metavar="FILE")
@click.option("--target", default=None, metavar="COLUMN", help="The column to predict from the others.")
@click.option("--task", type=click.Choice(["classes", "number"]), help="What the target is.  [default: found from its values]")
@click.option("--test", "test_file", default=None, metavar="FILE", help="Rows for the test.  [default: 15 % of the rows]")
@click.option("--drop", callback=names_of, metavar="A,B", help="Columns to ignore, such as those known only afterwards.")
@click.option("--categories", callback=names_of, metavar="A,B", help="Columns of numbers that are categories: postal codes.")
@click.option("--model", "kind", default=MODEL, show_default=True, type=click.Choice(MODELS), help="Kind of network.")
@click.option("--numeric", type=click.Choice(list(NUMERIC)), help="What numbers become.  [default: by the model]")
@click.option("--layers", callback=layers_of, metavar="64,64", help="Units of the hidden layers.  [default: by number of rows]")
@click.option("--epochs", type=click.IntRange(min=1), help="Largest number of epochs.  [default: 200]")
@click.option("--batch-size", type=click.IntRange(min=1), help="Rows in a step.  [default: 32 to 512, by number of rows]")
@click.option("--lr", default=1e-3, show_default=True, type=click.FloatRange(min=0, min_open=True), callback=finite)
@click.option("--optimizer", default=None, help=f"{optimizer_help()}  [default: adamw, with decay by number of rows]")
@click.option("--seed", default=0, show_default=True, type=click.IntRange(min=0), help="The same seed gives the same model.")
@backend_option
@click.option("--output", "-o", default=None, metavar="MODEL", help="Save the model to this file.  [default: NAME.fastnn]")
@click.option("--plot", "plot_path", default=None, metavar="PICTURE", help="Draw the losses into this file: .png, .pdf, .svg.")
@json_option
def train_table(
    file: str,
    target: str | None,
    task: str | None,
    test_file: str | None,
    drop: list[str],
    categories: list[str],
    kind: str,
    numeric: str | None,
    layers: list[int] | None,
    epochs: int | None,
    batch_size: int | None,
    lr: float,
    optimizer: str | None,
    seed: int,
    backend: str | None,
    output: str | None,
    plot_path: str | None,
    as_json: bool,
) -> None:
    """Train a network that predicts a column of a table from the others, and save it with all that it needs for new rows.

    FILE is a .csv, .tsv, .txt, .parquet, .xlsx or .npz file; text files may be compressed. The first line has the names of the
    columns. The kinds of columns are found from their values: numbers are scaled, categories become columns of 0 and 1 or
    embeddings, dates become places in the year and the week. Values may be missing. Columns that number the rows, texts, and
    columns with one value are ignored.

    15 % of the rows are for validation, which ends training, and 15 % for the test, whose scores are shown beside those of
    simpler models.

    \b
    Examples:
      fastnn train prices.csv --target price
      fastnn train churn.parquet --target left --drop id,reason -o churn.fastnn
      fastnn train train.csv --target label --test test.csv --json > report.json
      fastnn predict prices.fastnn new.csv -o predictions.csv
      mpirun --bind-to none -n 4 fastnn train prices.csv --target price
    """
    with training_ranks() as comm:
        plot_path = None if comm.rank else plot_path
        saved = Path(output or f"{Path(file).name.partition('.')[0]}.fastnn")
        check_targets(file, None, {"--output": str(saved), "--plot": plot_path})
        if plot_path is not None:
            check_plot(plot_path)
        say = _sayer(as_json, comm.rank == 0)
        frame = read(file)
        if target is None:
            raise ValueError(f"{file}: pass --target COLUMN, one of: {', '.join(frame.columns)}")
        test = HELD_BACK if test_file is None else read(test_file)
        use(backend)
        fastnn.seed(seed)
        made = None if optimizer is None else fastnn.optim.get(optimizer, lr=lr)
        job = prepare(frame, target, test, drop, categories, task, layers, made, model=kind, numeric=numeric, distribute=comm)
        if made is None:
            job.model.optimizer.lr = lr
        for line in _data(job, file, len(frame)):
            say(line)
        if not as_json:
            job.model.summary()
            show_backend()
        start = time.perf_counter()
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "TerminateOnNaN", RuntimeWarning)  # it becomes an error below
            verbose = 0 if as_json else 1 if has_bar() else 2
            history = job.fit(epochs, batch_size, verbose, [callbacks.TerminateOnNaN()])
        check_finite(job.model, history.history["loss"], saved)
        seconds = time.perf_counter() - start
        say(f"\ntrained in {seconds:.2f} s, {len(history.epoch)} epochs\n")
        outputs = job.model.predict(job.test.x)
        found = {"this network": scores(job.encoder.target, outputs, job.test.y), **baselines(job)}
        for line in [*_scores(found, f"{len(job.test)} rows of the test"), *_classes(job.encoder, outputs, job.test.y)]:
            say(line)
        if comm.rank == 0:
            job.model.save(saved)
        say(f"\nsaved the model to {saved}")
        if plot_path is not None:
            plot.history(history, plot_path)
            say(f"saved the curves to {plot_path}")
        if as_json:
            click.echo(json.dumps(_as_json(job, found, len(history.epoch), seconds, saved)))


def evaluate_table(model: Any, file: str, as_json: bool) -> None:
    """Show how good a model of a table is on the rows of a file."""
    encoder: Encoder = model.table_encoder
    frame = with_names(read(file), [encoder.target.name], file, "which the model predicts")
    frame = frame[frame[encoder.target.name].notna()]
    if not len(frame):
        raise ValueError(f"{file}: no row has a {encoder.target.name!r}")
    x, y = encoder.encode(frame, _warn), encoder.labels(frame)
    outputs = model.predict(x)
    found = scores(encoder.target, outputs, y)
    if as_json:
        click.echo(json.dumps({"rows": len(y), "target": encoder.target.name, **_finite(found)}))
        return
    for line in [*_scores({"this network": found}, f"{len(y)} rows"), *_classes(encoder, outputs, y)]:
        click.echo(line)


def predict_table(model: Any, file: str, output: str | None, keep: list[str], as_json: bool) -> None:
    """Write the predictions for the rows of a file: to a file, or to stdout as CSV or JSON."""
    if output is not None:
        check_written(output)
        check_targets(file, None, {"--output": output})
    encoder: Encoder = model.table_encoder
    frame = with_names(read(file), [name for name in keep if name != "all"], file)
    predicted = encoder.decode(model.predict(encoder.encode(frame, _warn)))
    kept = frame if "all" in keep else frame[keep]
    for name in reversed([name for name in kept.columns if name not in predicted]):
        predicted.insert(0, name, kept[name].to_numpy())
    if output is not None:
        write(predicted, output)
        click.echo(f"saved {len(predicted)} predictions of {encoder.target.name!r} to {output}", err=True)
    elif as_json:
        click.echo(predicted.to_json(orient="records", lines=True).rstrip())
    else:
        click.echo(predicted.to_csv(index=False).rstrip())


def _sayer(as_json: bool, shows: bool) -> Any:
    """Return what shows a line, on stdout, or with --json on stderr. It shows nothing on ranks other than 0."""
    return lambda line: click.echo(line, err=as_json) if shows else None


def _warn(text: str) -> None:
    click.echo(f"note: {text}", err=True)


def _data(job: Job, file: str, rows: int) -> list[str]:
    """Return lines about the table."""
    target, n = job.encoder.target, len(job.encoder.target.values)
    columns = [f"{c.name} ({_kind(c)})" for c in job.encoder.columns]
    if len(columns) > MOST_NAMED:
        kinds = Counter(c.kind for c in job.encoder.columns)
        columns = [f"{len(columns)} columns", *(f"{count} of kind {kind}" for kind, count in kinds.items())]
    parts = f"{len(job.train)} for training, {len(job.validation)} for validation, {len(job.test)} for the test"
    what = f"one of {n} classes" if n else f"a number, {target.mean:.4g} with deviation {target.scale:.4g}"
    return [
        f"{file}: {rows} rows, {parts}",
        f"target: {target.name}, {what}",
        f"inputs: {', '.join(columns)}",
        *(f"note: {note}" for note in job.notes),
        "",
    ]


def _kind(column: Any) -> str:
    if column.kind != "category":
        return str(column.kind)
    return f"{len(column.values)} categories" + (", embedded" if column.embedded else "")


def _scores(found: Mapping[str, Mapping[str, float]], head: str) -> list[str]:
    """Return a table of the scores of several models."""
    names = list(next(iter(found.values())))
    width = max(len(head), *(len(name) + 2 for name in found))
    lines = [f"{head:{width}}  " + "  ".join(f"{name.replace('_', ' '):>9}" for name in names)]
    for model, own in found.items():
        lines.append(f"  {model:{width - 2}}  " + "  ".join(_number(own.get(name, float("nan"))) for name in names))
    return lines


def _number(x: float) -> str:
    return f"{x:9.4f}" if abs(x) < 1000 else f"{x:9.4g}"


def _classes(encoder: Encoder, outputs: np.ndarray[Any, Any], y: np.ndarray[Any, Any]) -> list[str]:
    """Return the table of classes and their confusions, if there are not too many."""
    names = encoder.target.values
    if not 0 < len(names) <= MOST_SHOWN:
        return []
    confusion = confusion_matrix(y, outputs.argmax(1), len(names))
    return ["", *class_table(confusion, names), "", *confusion_table(confusion, names)]


def _finite(found: Mapping[str, float]) -> dict[str, float | None]:
    """Return scores for JSON, which has no NaN."""
    return {name: x if np.isfinite(x) else None for name, x in found.items()}


def _as_json(job: Job, found: Mapping[str, Mapping[str, float]], epochs: int, seconds: float, saved: Path) -> dict[str, Any]:
    target = job.encoder.target
    return {
        "target": target.name,
        "task": "classes" if target.values else "number",
        "rows": {"train": len(job.train), "validation": len(job.validation), "test": len(job.test)},
        "columns": {c.name: c.kind for c in job.encoder.columns},
        "notes": job.notes,
        "parameters": job.model.count_params(),
        "epochs": epochs,
        "seconds": round(seconds, 3),
        "test": {name.replace(" ", "_"): _finite(own) for name, own in found.items()},
        "model": str(saved),
    }
