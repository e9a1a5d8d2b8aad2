"""Train a network on a table."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

import fastnn

from ..core.seeding import generator
from .columns import Array, to_texts
from .encoder import CODES, NUMBERS, Encoder, with_names
from .files import Frame
from .kinds import is_class

HELD_BACK = 0.15
"""Share of the rows for validation, which stops training, and again for the test, which is reported."""
EPOCHS = 200
FEWEST = 10
"""Smallest number of rows with a target."""
Inputs = dict[str, Array]


@dataclass(frozen=True)
class Size:
    """Settings for a number of rows. The fewer rows, the more a network has to be kept from learning them by heart.

    With 64 units, dropout 0.2 and weight decay 1, networks are as good as linear models on the small tables of scikit-learn.
    """

    units: int
    dropout: float
    weight_decay: float
    patience: int

    @classmethod
    def of(cls, rows: int) -> Size:
        """Return the settings for a number of rows of training."""
        if rows < 2000:
            return cls(64, 0.2, 1.0, 40)
        return cls(128 if rows < 50_000 else 256, 0.1, 0.1, 15)


@dataclass
class Rows:
    """Encoded rows of a table: inputs of the network and their targets."""

    x: Inputs
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
        stop = fastnn.callbacks.EarlyStopping("val_loss", patience=Size.of(len(self.train)).patience, restore_best_weights=True)
        history = self.model.fit(
            self.train.x,
            self.train.y,
            batch_size=batch_size_for(len(self.train)) if batch_size is None else batch_size,
            epochs=EPOCHS if epochs is None else epochs,
            validation_data=(self.validation.x, self.validation.y),
            callbacks=[*callbacks, stop],
            verbose=verbose,
        )
        _fill_unseen(self.model, self.encoder)
        return history


def train(
    frame: Frame,
    target: str,
    test: Frame | None = None,
    drop: Collection[str] = (),
    categories: Collection[str] = (),
    task: str | None = None,
    layers: Sequence[int] | None = None,
    epochs: int | None = None,
    batch_size: int | None = None,
    optimizer: Any = None,
    verbose: int | str = "auto",
) -> Any:
    """Train a network that predicts a column of a table from the others.

    The kinds of the columns are found from their values. Numbers are scaled, missing ones become the median, categories become
    columns of 0 and 1 or embeddings, dates become places in the year and the week. 15 % of the rows, of each class if the target
    has classes, are for validation: training stops when their loss has not become smaller for 15 epochs (40 if
    there are less than 2,000 rows).

    Args:
        frame: a pandas DataFrame. Rows without a target are left out.
        target: name of the column to predict.
        test: rows to keep for a test; by default 15 % of the rows.
        drop: names of columns to ignore.
        categories: names of columns of numbers that are categories, such as postal codes.
        task: "classes" or "number"; by default, the values of the target decide.
        layers: units of the hidden layers; by default two layers, larger for more rows.
        epochs: largest number of epochs; 200 by default.
        batch_size: number of rows in a step; by default 32 to 512, by the number of rows.
        optimizer: as of compile; by default AdamW, with more weight decay for fewer rows.
        verbose: as of fit.

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
    job = prepare(frame, target, test, drop, categories, task, layers, optimizer)
    job.fit(epochs, batch_size, verbose)
    return job.model


def prepare(
    frame: Frame,
    target: str,
    test: Frame | None = None,
    drop: Collection[str] = (),
    categories: Collection[str] = (),
    task: str | None = None,
    layers: Sequence[int] | None = None,
    optimizer: Any = None,
) -> Job:
    """Return the job of a table: a compiled network and encoded rows. The arguments are those of `train`.

    `fastnn.seed` makes the choice of the rows that are held back repeatable.
    """
    frame = with_names(frame, [target], "the table")
    notes: list[str] = []
    frame = _with_target(frame, target, notes)
    if len(frame) < FEWEST:
        raise ValueError(f"the table has {len(frame)} rows with a {target!r}; wanted at least {FEWEST}")
    if task is None:
        task = "classes" if is_class(frame[target]) else "number"
    strata = np.unique(to_texts(frame[target]).astype(str), return_inverse=True)[1] if task == "classes" else np.zeros(len(frame))
    validating = _held_back(strata, HELD_BACK)
    testing = _held_back(np.where(validating, -1, strata), HELD_BACK) if test is None else np.zeros(len(frame), bool)
    training = frame[~(validating | testing)]
    encoder, ignored = Encoder.fit(training, target, drop, categories, task)
    notes += ignored
    if test is None:
        tested = frame[testing]
    else:
        tested = _with_target(with_names(test, [target], "the test table"), target, notes)
        encoder.encode(tested, lambda text: notes.append(f"in the test table, {text}"))
    parts = (training, _known(frame[validating], encoder, notes), _known(tested, encoder, notes))
    size = Size.of(len(training))
    model = network(encoder, [size.units] * 2 if layers is None else layers, size.dropout)
    model.table_encoder = encoder
    if optimizer is None:
        optimizer = fastnn.optim.AdamW(lr=1e-3, weight_decay=size.weight_decay)
    if encoder.target.values:
        model.compile(optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"])
    else:
        model.compile(optimizer, "mse", metrics=["r2_score"])
    train_rows, validation, tested_rows = (Rows(encoder.encode(rows), encoder.labels(rows)) for rows in parts)
    return Job(model, encoder, train_rows, validation, tested_rows, notes)


def network(encoder: Encoder, layers: Sequence[int], dropout: float) -> Any:
    """Return a network of dense layers for the inputs of an encoder, with an embedding if it has codes."""
    inputs, parts = [], []
    if encoder.plain:
        inputs.append(fastnn.Input((len(encoder.features),), name=NUMBERS))
        parts.append(inputs[-1])
    if encoder.embedded:
        codes = fastnn.Input((len(encoder.embedded),), name=CODES, dtype="int64")
        most = max(c.n_codes for c in encoder.embedded)
        width = min(32, round(1.6 * most**0.56))  # the rule of fast.ai, for the largest column
        rows = fastnn.Embedding(sum(c.n_codes for c in encoder.embedded), width)(codes)
        inputs.append(codes)
        parts.append(fastnn.Flatten()(rows))
    h = fastnn.Concatenate()(parts) if len(parts) > 1 else parts[0]
    for units in layers:
        h = fastnn.Dense(units, activation="relu", kernel_initializer="he_uniform")(h)
        h = fastnn.Dropout(dropout)(h)
    n = len(encoder.target.values)
    return fastnn.Model(inputs, fastnn.Dense(n, activation="softmax")(h) if n else fastnn.Dense(1)(h))


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


def _known(frame: Frame, encoder: Encoder, notes: list[str]) -> Frame:
    """Return the rows whose class is one of training."""
    target = encoder.target
    if not target.values:
        return frame
    known = np.isin(to_texts(frame[target.name]).astype(str), target.values)
    if not known.all():
        notes.append(f"{int((~known).sum())} rows are not tested, since no row of training has their class")
    return frame[known]


def _held_back(strata: Array, share: float) -> Array:
    """Return which rows are held back: this share of each stratum, in a random order. Rows of stratum -1 are not."""
    order = generator()
    chosen = np.zeros(len(strata), bool)
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
