"""Turn the rows of a table into the numbers that a network takes, and its outputs into predictions."""

from __future__ import annotations

import difflib
from collections.abc import Collection
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

import numpy as np

from .columns import Array, Category, Note, codes_of, ordered, to_numbers, to_texts
from .configs import AnyColumn, checked, from_config
from .files import Frame, require
from .kinds import is_class, kind_of
from .numbers import NUMERIC, Number

NUMBERS, CODES = "numbers", "categories"
"""Names of the inputs of a network: the features, and the codes of the columns that become embeddings."""
MOST_CLASSES = 1000


@dataclass(frozen=True)
class Target:
    """The column that is predicted: one of several classes if there are ``values``, else a number."""

    kind: ClassVar[str] = "target"
    name: str
    values: tuple[str, ...]
    mean: float
    scale: float
    type: str = "text"
    """What the classes are in the frames of training: "text", "whole", "number" or "bool"."""

    @classmethod
    def fit(cls, series: Any, task: str | None = None) -> Target:
        """Return the target of a column without missing values. task: "classes", "number", or None, which looks at the values."""
        name = str(series.name)
        if task == "classes" or (task is None and is_class(series)):
            values = tuple(ordered(set(to_texts(series))))
            if len(values) < 2:
                raise ValueError(f"target {name!r}: all rows are {values[0]!r}, so there is nothing to tell apart")
            if len(values) > MOST_CLASSES:
                raise ValueError(
                    f"target {name!r} has {len(values)} different values; wanted numbers, or at most {MOST_CLASSES} classes"
                )
            return cls(name, values, 0.0, 1.0, _type_of(series))
        y = to_numbers(series, name)
        if y.std() == 0:
            raise ValueError(f"target {name!r}: all rows are {y[0]:g}, so there is nothing to predict")
        return cls(name, (), float(y.mean()), float(y.std()))

    def encode(self, series: Any) -> Array:
        """Return class numbers, int64 (rows,), or scaled numbers, float32 (rows, 1).

        Raises:
            ValueError: a value is missing, no number, or no class of training.
        """
        if series.isna().any():
            row = int(np.asarray(series.isna()).argmax())
            raise ValueError(f"target {self.name!r}: row {row + 1} has no value")
        if not self.values:
            y = to_numbers(series, self.name)
            return ((y - self.mean) / self.scale).astype(np.float32)[:, None]
        places, _, unknown = codes_of(series, self.values)
        if unknown:
            raise ValueError(f"target {self.name!r} has the class {unknown[0]!r}; the model knows {_some(self.values)}")
        return places

    def labels(self) -> Array:
        """Return the classes with the type that they had in training."""
        if self.type == "bool":
            return np.array([value == "True" for value in self.values])
        if self.type == "text":
            return np.array(self.values, dtype=object)
        return np.array([float(value) for value in self.values]).astype(np.int64 if self.type == "whole" else np.float64)


@dataclass(frozen=True)
class Inputs:
    """Encoding of the columns that a network sees, fitted to the rows of training; `Encoder` adds the target.

    Columns are found by their names: their order is of no importance, and others are ignored.
    """

    columns: tuple[AnyColumn, ...]

    @staticmethod
    def find(
        frame: Frame, skip: Collection[str] = (), categories: Collection[str] = (), numeric: str = "scaled"
    ) -> tuple[tuple[AnyColumn, ...], list[str]]:
        """Return the columns of a frame, and notes about those that are ignored. The arguments are those of `Encoder.fit`."""
        if numeric not in NUMERIC:
            raise ValueError(f"numeric is {numeric!r}; wanted one of {', '.join(map(repr, NUMERIC))}")
        columns: list[AnyColumn] = []
        notes = []
        for name in frame.columns:
            if name in skip:
                continue
            kind = kind_of(frame[name], categories)
            if isinstance(kind, str):
                notes.append(f"{name!r} is ignored: {kind}")
            else:
                columns.append((NUMERIC[numeric] if kind is Number else kind).fit(frame[name]))
        return tuple(columns), notes

    @property
    def embedded(self) -> list[Category]:
        """Return the columns that become embeddings."""
        return [c for c in self.columns if isinstance(c, Category) and c.embedded]

    @property
    def plain(self) -> list[AnyColumn]:
        """Return the columns that become features."""
        return [c for c in self.columns if not c.n_codes]

    @property
    def features(self) -> list[str]:
        """Return the names of the features, in the order of the input "numbers"."""
        return [name for c in self.plain for name in c.features]

    def encode(self, frame: Frame, note: Note = lambda text: None) -> dict[str, Array]:
        """Return the inputs of the network for the rows of a frame.

        Args:
            frame: a frame with the columns of training; it needs no target.
            note: called with a sentence about values that are not as they were in training.

        Returns:
            "numbers", float32 (rows, features), and "categories", int64 (rows, columns), if there are such columns.

        Raises:
            ValueError: a column is missing, or a value is no number or no date.
        """
        frame = with_names(frame, [c.name for c in self.columns], "the table", "which the model was trained on")
        inputs: dict[str, Array] = {}
        if plain := self.plain:
            inputs[NUMBERS] = np.concatenate([c.encode(frame[c.name], note) for c in plain], axis=1)
        if embedded := self.embedded:
            starts = np.cumsum([0, *(c.n_codes for c in embedded)])[:-1].tolist()
            codes = [c.codes(frame[c.name], note) + start for c, start in zip(embedded, starts, strict=True)]
            inputs[CODES] = np.stack(codes, axis=1).astype(np.int64)
        return inputs

    @property
    def n_codes(self) -> int:
        """Return the number of rows of the embedding: the codes of all columns."""
        return sum(c.n_codes for c in self.embedded)

    def in_columns(self, inputs: dict[str, Array]) -> Array:
        """Return encoded rows as one array, float32, with a column of 0 and 1 for each code of an embedding."""
        parts = [inputs[NUMBERS]] if NUMBERS in inputs else []
        if CODES in inputs:
            ones = np.zeros((len(inputs[CODES]), self.n_codes), np.float32)
            np.put_along_axis(ones, inputs[CODES], 1.0, axis=1)
            parts.append(ones)
        return np.concatenate(parts, axis=1)


@dataclass(frozen=True)
class Encoder(Inputs):
    """Encoding of the rows of a table, fitted to the rows of training.

    ``columns`` are the columns that the network sees, ``target`` is the one that it predicts. ``encode`` returns the network's
    inputs, ``labels`` its targets, and ``decode`` makes predictions of its outputs. Columns are found by their names: their order
    is of no importance, and others are ignored.

    >>> import pandas as pd
    >>> rooms = pd.DataFrame({"size": [12, 20, 30], "heated": [True, False, True], "rent": [410.5, 505.0, 799.9]})
    >>> encoder, notes = Encoder.fit(rooms, "rent")
    >>> encoder.features
    ['size', 'heated is False', 'heated is True']
    >>> encoder.encode(rooms)["numbers"].shape
    (3, 3)
    """

    target: Target

    @classmethod
    def fit(
        cls,
        frame: Frame,
        target: str,
        drop: Collection[str] = (),
        categories: Collection[str] = (),
        task: str | None = None,
        numeric: str = "scaled",
    ) -> tuple[Encoder, list[str]]:
        """Return the encoder of the rows of a frame, and notes about columns that it ignores.

        Args:
            frame: the rows of training. Rows without a target must have been removed.
            target: name of the column to predict.
            drop: names of columns to ignore.
            categories: names of columns of numbers that are categories.
            task: "classes" or "number"; by default, the values of the target decide.
            numeric: what columns of numbers become: "scaled", to mean 0 and deviation 1; "quantile", moved to a normal
                distribution; "piecewise", places between quantiles.

        Raises:
            ValueError: a column is missing, or no column is left to learn from.
        """
        frame = with_names(frame, [target, *drop, *categories], "the table")
        columns, notes = cls.find(frame, {target, *drop}, categories, numeric)
        if not columns:
            raise ValueError(f"there is no column to predict {target!r} from; " + "; ".join(notes))
        return cls(columns, Target.fit(frame[target], task)), notes

    def labels(self, frame: Frame) -> Array:
        """Return the targets of the rows: class numbers, int64 (rows,), or scaled numbers, float32 (rows, 1)."""
        frame = with_names(frame, [self.target.name], "the table", "the target")
        return self.target.encode(frame[self.target.name])

    def decode(self, outputs: Array) -> Frame:
        """Return the predictions of a network's outputs (rows, classes) or (rows, 1), as a frame.

        Its column ``prediction`` has classes, with their names, or numbers. Of classes, ``p_NAME`` are the probabilities.
        """
        probabilities = {f"p_{name}": outputs[:, i] for i, name in enumerate(self.target.values)}
        return require().DataFrame({"prediction": self.predictions(outputs), **probabilities})

    def predictions(self, outputs: Array) -> Array:
        """Return the predictions (rows,) of a network's outputs: classes, or numbers in the unit of the target."""
        if self.target.values:
            return np.asarray(self.target.labels()[outputs.argmax(axis=1)])
        return np.asarray(outputs[:, 0].astype(np.float64) * self.target.scale + self.target.mean)

    def get_config(self) -> dict[str, Any]:
        """Return the encoder as plain values, for a file."""
        return {"columns": [c.config() for c in self.columns], "target": asdict(self.target)}

    @classmethod
    def from_config(cls, config: Any) -> Encoder:
        """Return the encoder that `get_config` described.

        Raises:
            ValueError: the values describe none.
        """
        if not isinstance(config, dict) or set(config) != {"columns", "target"}:
            raise ValueError(f"table: {str(config)[:60]} came; wanted a dict with the keys columns, target")
        if not isinstance(config["columns"], list) or not isinstance(config["target"], dict):
            raise ValueError("table: columns must be a list, and target a dict")
        return cls(tuple(map(from_config, config["columns"])), Target(**checked(Target, config["target"])))


def _type_of(series: Any) -> str:
    """Return the type of classes, as of `Target`."""
    types = require().api.types
    if types.is_bool_dtype(series.dtype):
        return "bool"
    if types.is_integer_dtype(series.dtype):
        return "whole"
    return "number" if types.is_numeric_dtype(series.dtype) else "text"


def with_names(frame: Any, names: Collection[str], what: str, why: str = "") -> Frame:
    """Return a frame with texts as names of its columns; ValueError unless it has columns of these names."""
    if not hasattr(frame, "columns"):
        raise TypeError(f"{what} is a {type(frame).__name__}; wanted a pandas DataFrame, as of fastnn.tables.read")
    own = list(map(str, frame.columns))
    lacking = [name for name in names if name not in own]
    if not lacking:
        return frame if own == list(frame.columns) else frame.set_axis(own, axis=1)
    near = difflib.get_close_matches(lacking[0], own, 1)
    hint = f". Did you mean {near[0]!r}?" if near else f"; it has {_some(own)}"
    reason = f", {why}" if why else ""
    more = f" and {len(lacking) - 1} more" if len(lacking) > 1 else ""
    raise ValueError(f"{what} lacks the column {lacking[0]!r}{more}{reason}{hint}")


def _some(names: Collection[str]) -> str:
    shown = list(map(str, names))
    return ", ".join(shown[:20]) + (f", ... ({len(shown)} in all)" if len(shown) > 20 else "")
