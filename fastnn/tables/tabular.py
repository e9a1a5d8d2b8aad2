"""The estimator of tables: data frames in, predictions out."""

from __future__ import annotations

import inspect
import os
import warnings
from collections.abc import Collection, Mapping, Sequence
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

import numpy as np

from ..core.seeding import seeded
from .columns import Array
from .encoder import Encoder, with_names
from .files import Frame, read, require
from .scores import scores
from .training import HELD_BACK, MODEL, prepare

if TYPE_CHECKING:
    from ..nn.module import Module

TASKS = {"auto": None, "classes": "classes", "number": "number"}
TARGET = "target"
"""Name of a target that comes as an array."""


class Reader:
    """Predict the rows of a table with an encoder and a function of encoded rows."""

    encoder: Encoder

    def _outputs(self, inputs: dict[str, Array]) -> Array:
        """Return the outputs of the network for encoded rows."""
        raise NotImplementedError

    def _of(self, frame: Any) -> Array:
        return self._outputs(self.encoder.encode(as_frame(frame), _warn))

    def predict(self, frame: Any) -> Array:
        """Return the predictions (rows,): classes, as the target had them, or numbers in the unit of the target.

        Args:
            frame: rows with the columns of training, in any order: a pandas DataFrame, a dict of columns, or the path of a file.

        Raises:
            ValueError: a column is missing, or a value is no number or no date.
        """
        return self.encoder.predictions(self._of(frame))

    def predict_proba(self, frame: Any) -> Array:
        """Return the probabilities (rows, classes), in the order of ``classes_``.

        Raises:
            AttributeError: the target is a number.
        """
        if not self.encoder.target.values:
            raise AttributeError(f"predict_proba: the target {self.encoder.target.name!r} is a number and has no classes")
        return self._of(frame)


class Tabular(Reader):
    """Network that predicts a column of a table from the others.

    The columns may be numbers, categories, texts of few values, booleans and dates, and values may be missing. What each column
    needs is found from the rows of training, and is saved with the network: categories become columns of 0 and 1 or embeddings,
    dates become places in the year and the week, missing numbers become the median with a feature that tells so, and categories
    that training has not seen are "other". A part of the rows is held back: training stops when their loss gets no better, and
    the best weights are kept.

    Args:
        task: "classes", "number", or "auto", which looks at the values of the target.
        model: "mlp", dense layers; "residual", `fastnn.models.TabularResidual`; "tabm", `fastnn.models.TabM`; or a function of
            the numbers of features and of outputs that returns a new model of logits, or of numbers.
        numeric: what columns of numbers become: "scaled", to mean 0 and deviation 1; "quantile", moved to a normal distribution;
            "piecewise", places between quantiles (arXiv 2203.05556). By default what suits the model.
        layers: units of the hidden layers; by default larger for more rows.
        categories: names of columns of numbers that are categories, such as postal codes.
        drop: names of columns to ignore.
        epochs: largest number of epochs; 200 by default.
        batch_size: number of rows in a step; by default 32 to 512, by the number of rows.
        optimizer: as of compile; by default AdamW, with more weight decay for fewer rows.
        validation: share of the rows that is held back.
        seed: a whole number makes fit repeatable.
        verbose: as of fit of a model.

    After fit, ``network`` is the model, ``encoder`` the `fastnn.tables.Encoder`, ``history`` the losses of the epochs,
    ``classes_`` the classes of the target, and ``notes`` what a user should know, such as columns that are ignored.

    >>> import numpy as np, pandas as pd
    >>> rng = np.random.default_rng(0)
    >>> flats = pd.DataFrame({"size": rng.uniform(20, 120, 300), "street": rng.choice(["Elm", "Oak"], 300)})
    >>> flats["rent"] = 12 * flats["size"] + 100 * (flats["street"] == "Elm")
    >>> model = Tabular(seed=0).fit(flats[:200], "rent")
    >>> model.score(flats[200:]) > 0.9
    True
    >>> model.predict({"size": [50.0, 80.0], "street": ["Oak", "Elm"]}).shape
    (2,)
    """

    def __init__(
        self,
        task: str = "auto",
        model: Any = MODEL,
        *,
        numeric: str | None = None,
        layers: Sequence[int] | None = None,
        categories: Collection[str] = (),
        drop: Collection[str] = (),
        epochs: int | None = None,
        batch_size: int | None = None,
        optimizer: Any = None,
        validation: float = HELD_BACK,
        seed: int | None = None,
        verbose: int | str = 0,
    ) -> None:
        self.task, self.model, self.numeric, self.layers = task, model, numeric, layers
        self.categories, self.drop = categories, drop
        self.epochs, self.batch_size, self.optimizer = epochs, batch_size, optimizer
        self.validation, self.seed, self.verbose = validation, seed, verbose

    def fit(self, frame: Any, target: Any, validation: Any = None, callbacks: Sequence[Any] = ()) -> Tabular:
        """Train a new network.

        Args:
            frame: the rows: a pandas DataFrame, a dict of columns, or the path of a file. Rows without a target are left out.
            target: name of the column to predict, or its values (rows,), which the frame then does not have.
            validation: rows that end training, in place of a share of the rows: a frame with the target, or (frame, target).
            callbacks: as of fit of a model.

        Returns:
            This object.

        Raises:
            ValueError: a column is missing, there are too few rows, or an argument does not fit.
        """
        if self.task not in TASKS:
            raise ValueError(f"task is {self.task!r}; wanted one of {', '.join(map(repr, TASKS))}")
        table, name = with_target(frame, target)
        held: Any = self.validation
        if validation is not None:
            rows, own = validation if isinstance(validation, tuple) else (validation, name)
            held = with_target(rows, own, name)[0]
        with nullcontext() if self.seed is None else seeded(self.seed):
            job = prepare(
                table,
                name,
                0.0,
                self.drop,
                self.categories,
                TASKS[self.task],
                self.layers,
                self.optimizer,
                model=self.model,
                numeric=self.numeric,
                validation=held,
            )
            self.history = job.fit(self.epochs, self.batch_size, self.verbose, callbacks)
        self.notes = job.notes
        self._take(job.model)
        return self

    def _take(self, network: Module) -> None:
        assert network.table_encoder is not None
        self.network, self.encoder = network, network.table_encoder
        self.feature_names_in_ = np.array([c.name for c in self.encoder.columns], dtype=object)
        if self.encoder.target.values:
            self.classes_ = self.encoder.target.labels()

    def __getattr__(self, name: str) -> Any:
        if name in ("network", "encoder", "history"):
            raise AttributeError(f"Tabular has no {name} before fit or load")
        raise AttributeError(f"Tabular has no attribute {name!r}")

    def _outputs(self, inputs: dict[str, Array]) -> Array:
        outputs: Array = self.network.predict(inputs, verbose=0)
        return outputs

    def evaluate(self, frame: Any, target: Any = None) -> dict[str, float]:
        """Return the scores of the predictions for rows with a target.

        Args:
            frame: the rows, as of fit.
            target: the values of the target (rows,), if the frame does not have them.

        Returns:
            Of classes: "accuracy", "log_loss", and of two classes "auc". Of numbers: "rmse", "mae" and "r2".
        """
        name = self.encoder.target.name
        table, _ = with_target(frame, name if target is None else target, name)
        return scores(self.encoder.target, self._of(table), self.encoder.labels(table))

    def score(self, frame: Any, target: Any = None) -> float:
        """Return the accuracy, or R2 of numbers. The arguments are those of `evaluate`."""
        return self.evaluate(frame, target)["accuracy" if self.encoder.target.values else "r2"]

    def save(self, path: Any) -> None:
        """Save the network with its encoder. `load`, `fastnn.load` and the command `fastnn predict` read the file."""
        self.network.save(path)

    @classmethod
    def load(cls, path: Any) -> Tabular:
        """Return the model in a file of `save` or of the command `fastnn train FILE --target COLUMN`.

        It predicts as the saved one. The arguments of a new fit are the defaults.

        Raises:
            ValueError: the model in the file was not trained on a table.
        """
        from .. import load

        network = load(path)
        if getattr(network, "table_encoder", None) is None:
            raise ValueError(f"{path}: the {type(network).__name__} in the file was not trained on a table; fastnn.load reads it")
        model = cls()
        model._take(network)
        return model

    def freeze(self) -> FrozenTabular:
        """Return what predicts as this model at this moment, by a recorded forward pass (`Module.freeze`)."""
        return FrozenTabular(self.encoder, self.network.freeze(batch_size=None))

    # ---- scikit-learn's tools: clone, cross-validation, searches ----

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return the arguments of the constructor."""
        return {name: getattr(self, name) for name in inspect.signature(Tabular).parameters}

    def set_params(self, **params: Any) -> Tabular:
        """Set arguments of the constructor; return this object."""
        for name, value in params.items():
            if name not in inspect.signature(Tabular).parameters:
                raise ValueError(f"Tabular has no argument {name!r}; it has {', '.join(inspect.signature(Tabular).parameters)}")
            setattr(self, name, value)
        return self

    def __sklearn_tags__(self) -> Any:
        from sklearn.utils import ClassifierTags, InputTags, RegressorTags, Tags, TargetTags

        kind = {"classes": "classifier", "number": "regressor"}.get(self.task)
        return Tags(
            estimator_type=kind,
            target_tags=TargetTags(required=True),
            classifier_tags=ClassifierTags() if kind == "classifier" else None,
            regressor_tags=RegressorTags() if kind == "regressor" else None,
            input_tags=InputTags(allow_nan=True, categorical=True, string=True),
        )

    def __repr__(self) -> str:
        plain = Tabular()
        given = {name: value for name, value in self.get_params().items() if value != getattr(plain, name)}
        return f"Tabular({', '.join(f'{name}={value!r}' for name, value in given.items())})"


class FrozenTabular(Reader):
    """Frozen model of a table: columns in, predictions out. `Tabular.freeze` makes it.

    ``network`` is the frozen network, for rows that ``encoder.encode`` has encoded.
    """

    def __init__(self, encoder: Encoder, network: Any) -> None:
        self.encoder, self.network = encoder, network

    __call__ = Reader.predict

    def _outputs(self, inputs: dict[str, Array]) -> Array:
        outputs: Array = self.network(*inputs.values())
        return outputs


def as_frame(rows: Any) -> Frame:
    """Return rows as a pandas DataFrame: a frame, a dict of columns, or the path of a file.

    Raises:
        TypeError: the rows are none of them.
        ValueError: the columns of a dict have different lengths, or two columns of a frame the same name.
    """
    if isinstance(rows, str | os.PathLike):
        return read(rows)
    pd = require()
    if isinstance(rows, pd.DataFrame):
        if not rows.columns.is_unique:
            name = rows.columns[rows.columns.duplicated()][0]
            raise ValueError(f"the table has two columns {name!r}; wanted a name for each")
        return rows
    if isinstance(rows, Mapping):
        sizes = {str(name): np.size(column) if np.ndim(column) < 2 else -1 for name, column in rows.items()}
        if len(set(sizes.values())) != 1 or -1 in sizes.values():
            shown = ", ".join(f"{name} {'has two axes' if n < 0 else n}" for name, n in sizes.items())
            raise ValueError(f"the columns of the table have different lengths or two axes: {shown[:300]}")
        return pd.DataFrame({name: np.atleast_1d(c) if np.ndim(c) == 0 else c for name, c in rows.items()})
    if hasattr(rows, "to_pandas"):
        return rows.to_pandas()
    raise TypeError(f"the table is a {type(rows).__name__}; wanted a data frame, a dict of columns, or the path of a file")


def with_target(frame: Any, target: Any, name: str | None = None) -> tuple[Frame, str]:
    """Return a table with its target, and the target's name.

    Args:
        frame: the rows, as of `as_frame`.
        target: name of a column, or values (rows,).
        name: the name that values get; by default their own, or "target".
    """
    table = as_frame(frame)
    if isinstance(target, str):
        return with_names(table, [target], "the table"), target
    given = getattr(target, "name", None)
    named = name or (given if isinstance(given, str) else TARGET)
    if np.ndim(target) == 2 and np.shape(target)[1] == 1:
        target = np.asarray(target)[:, 0]
    if np.ndim(target) != 1 or len(target) != len(table):
        raise ValueError(
            f"the target has shape {np.shape(target)}, and the table {len(table)} rows; wanted the name of a column, "
            f"or a value for each row"
        )
    if name is None and named in map(str, table.columns):
        raise ValueError(f"the table has the target's column {named!r}, too; pass target={named!r}, or drop it from the table")
    values = target.array if hasattr(target, "array") else np.asarray(target)
    return table.assign(**{named: values}), named


def _warn(text: str) -> None:
    warnings.warn(text, stacklevel=4)
