"""Train a network on a table."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

import fastnn

from ..core.seeding import generator
from . import networks
from .columns import Array, to_texts
from .encoder import Encoder, with_names
from .files import Frame
from .kinds import is_class

HELD_BACK = 0.15
"""Share of the rows for validation, which stops training, and again for the test, which is reported."""
EPOCHS = 200
FEWEST = 10
"""Smallest number of rows with a target."""
MODEL = "mlp"
"""The model by default."""


@dataclass
class Rows:
    """Encoded rows of a table: inputs of the network and their targets."""

    x: dict[str, Array]
    y: Array

    def __len__(self) -> int:
        return len(self.y)


@dataclass
class Job:
    """Network for a table, with the rows that it is trained, validated and tested on. notes: what a user should know."""

    model: Any
    encoder: Encoder
    train: Rows
    validation: Rows
    test: Rows
    notes: list[str] = field(default_factory=list)

    def fit(self, epochs: int | None, batch_size: int | None, verbose: int | str, callbacks: Sequence[Any] = ()) -> Any:
        """Train until the loss of the validation rows gets no better, keep the best weights, and return the history."""
        stop = fastnn.callbacks.EarlyStopping(
            "val_loss", patience=networks.Size.of(len(self.train)).patience, restore_best_weights=True
        )
        history = self.model.fit(
            self.train.x,
            self.train.y,
            batch_size=batch_size_for(len(self.train)) if batch_size is None else batch_size,
            epochs=EPOCHS if epochs is None else epochs,
            validation_data=(self.validation.x, self.validation.y) if len(self.validation) else None,
            callbacks=[*callbacks, stop] if len(self.validation) else [*callbacks],
            verbose=verbose,
        )
        _fill_unseen(self.model, self.encoder)
        return history


def train(
    frame: Frame,
    target: str,
    *,
    epochs: int | None = None,
    batch_size: int | None = None,
    verbose: int | str = "auto",
    **how: Any,
) -> Any:
    """Train a network that predicts a column of a table from the others.

    The kinds of the columns are found from their values. Numbers are scaled, missing ones become the median, categories become
    columns of 0 and 1 or embeddings, dates become places in the year and the week. 15 % of the rows, of each class if the target
    has classes, are for validation, which ends training. `fastnn.Tabular` does the same, and holds no rows back for a test.

    Args:
        frame: a pandas DataFrame. Rows without a target are left out.
        target: name of the column to predict.
        epochs: largest number of epochs; 200 by default.
        batch_size: number of rows in a step; by default 32 to 512, by the number of rows.
        verbose: as of fit.
        how: test, drop, categories, task, layers, optimizer, model and numeric, as of `prepare`.

    Returns:
        The model. Its ``table_encoder`` is the `Encoder`, ``history`` has the losses of the epochs.

    Raises:
        ValueError: a column is missing, or there are too few rows.

    >>> import numpy as np, pandas as pd
    >>> size = np.random.default_rng(0).uniform(10, 90, 200)
    >>> flats = pd.DataFrame({"size": size, "balcony": size > 50, "rent": 12 * size})
    >>> model = train(flats, "rent", verbose=0)
    >>> new = pd.DataFrame({"balcony": [False], "size": [40.0]})
    >>> rent = model.table_encoder.decode(model.predict(model.table_encoder.encode(new))).prediction[0]
    >>> bool(400 < rent < 560)
    True
    """
    job = prepare(frame, target, **how)
    job.fit(epochs, batch_size, verbose)
    return job.model


def prepare(
    frame: Frame,
    target: str,
    test: Frame | float = HELD_BACK,
    drop: Collection[str] = (),
    categories: Collection[str] = (),
    task: str | None = None,
    layers: Sequence[int] | None = None,
    optimizer: Any = None,
    *,
    model: Any = MODEL,
    numeric: str | None = None,
    validation: Frame | float = HELD_BACK,
    distribute: Any = None,
) -> Job:
    """Return the job of a table: a compiled network and encoded rows.

    `fastnn.seed` makes the choice of the rows that are held back repeatable.

    Args:
        frame: a pandas DataFrame. Rows without a target are left out.
        target: name of the column to predict.
        test: rows to keep for a test, or the share of the rows; 0 keeps none.
        drop: names of columns to ignore.
        categories: names of columns of numbers that are categories, such as postal codes.
        task: "classes" or "number"; by default, the values of the target decide.
        layers: units of the hidden layers; by default larger for more rows.
        optimizer: as of compile; by default AdamW, with more weight decay for fewer rows.
        model: "mlp", "residual", "tabm", or a function of the numbers of features and of outputs that returns a new model of
            logits or numbers.
        numeric: what columns of numbers become, as of `Encoder.fit`; by default what suits the model.
        validation: rows that end training, or the share of the rows.
        distribute: result of `fastnn.distributed.init`, whose ranks train the network together.

    Raises:
        ValueError: a column is missing, there are too few rows, or an argument does not fit.
    """
    frame = with_names(frame, [target], "the table")
    notes: list[str] = []
    frame = _with_target(frame, target, notes)
    if len(frame) < FEWEST:
        raise ValueError(f"the table has {len(frame)} rows with a {target!r}; wanted at least {FEWEST}")
    if task is None:
        task = "classes" if is_class(frame[target]) else "number"
    strata = np.unique(to_texts(frame[target]).astype(str), return_inverse=True)[1] if task == "classes" else np.zeros(len(frame))
    validating = _held_back(strata, validation)
    testing = _held_back(np.where(validating, -1, strata), test)
    training = frame[~(validating | testing)]
    encoder, ignored = Encoder.fit(
        training, target, drop, categories, task, networks.numeric_of(model) if numeric is None else numeric
    )
    notes += ignored
    validated = _rows_of("validation", validation, frame[validating], encoder, notes)
    tested = _rows_of("test", test, frame[testing], encoder, notes)
    size = networks.Size.of(len(training))
    net = networks.network(encoder, model, size, layers)
    net.table_encoder = encoder
    if optimizer is None:
        optimizer = fastnn.optim.AdamW(lr=1e-3, weight_decay=size.weight_decay)
    if encoder.target.values:
        net.compile(optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"], distribute=distribute)
    else:
        net.compile(optimizer, "mse", metrics=["r2_score"], distribute=distribute)
    return Job(net, encoder, _encoded(training, encoder), validated, tested, notes)


def _encoded(frame: Frame, encoder: Encoder) -> Rows:
    return Rows(encoder.encode(frame), encoder.labels(frame))


def _rows_of(what: str, given: Frame | float, chosen: Frame, encoder: Encoder, notes: list[str]) -> Rows:
    """Return the rows that are not trained on: those of a given frame, or those that were chosen."""
    if not isinstance(given, float | int):
        name = encoder.target.name
        chosen = _with_target(with_names(given, [name], f"the {what} table"), name, notes)
        encoder.encode(chosen, lambda text: notes.append(f"in the {what} table, {text}"))
    return _encoded(_known(chosen, encoder, what, notes), encoder)


def batch_size_for(rows: int) -> int:
    """Return the size of a batch: about 100 steps in an epoch, from 32 to 512 rows in each."""
    return min(512, max(32, 1 << (max(rows, 1) // 100).bit_length()))


def _with_target(frame: Frame, target: str, notes: list[str]) -> Frame:
    """Return the rows with a target."""
    lacking = int(frame[target].isna().sum())
    if lacking:
        notes.append(f"{lacking} rows have no {target!r} and are left out")
        frame = frame[frame[target].notna()]
    return frame


def _known(frame: Frame, encoder: Encoder, what: str, notes: list[str]) -> Frame:
    """Return the rows whose class is one of training."""
    target = encoder.target
    if not target.values:
        return frame
    known = np.isin(to_texts(frame[target.name]).astype(str), target.values)
    if not known.all():
        notes.append(f"{int((~known).sum())} rows of the {what} are left out, since no row of training has their class")
    return frame[known]


def _held_back(strata: Array, share: Any) -> Array:
    """Return which rows are held back: this share of each stratum, in a random order. Rows of stratum -1 are not.

    None is held back if the share is 0, or if it is a frame with rows of its own.
    """
    chosen = np.zeros(len(strata), bool)
    if not isinstance(share, float | int) or share == 0:
        return chosen
    if not 0 < share < 1:
        raise ValueError(f"the share of the rows to hold back is {share}; wanted a number from 0 to less than 1")
    order = generator()
    position = np.empty(len(strata))
    for stratum in np.unique(strata[strata >= 0]):
        rows = np.flatnonzero(strata == stratum)
        position[rows] = (order.permutation(len(rows)) + order.random()) / len(rows)
    free = np.flatnonzero(strata >= 0)
    n = max(1, round(share * len(strata)))
    chosen[free[np.argsort(position[free], kind="stable")[:n]]] = True
    return chosen


def _fill_unseen(model: Any, encoder: Encoder) -> None:
    """Give "other" of each embedded column the mean of the column's vectors, where training had no such rows."""
    embedded = encoder.embedded
    if not embedded or all(c.other for c in embedded):
        return
    layer = next(layer for layer in model.modules() if isinstance(layer, fastnn.Embedding))
    [rows] = layer.get_weights()
    start = 0
    for column in embedded:
        if not column.other:
            rows[start] = rows[start + 1 : start + 1 + len(column.values)].mean(axis=0)
        start += column.n_codes
    layer.set_weights([rows])
