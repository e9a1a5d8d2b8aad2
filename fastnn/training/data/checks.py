"""Checks of data: arrays of inputs, targets and weights are checked against each other and against the model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ...autograd.tensor import Array, Tensor, no_grad
from ...backends import current
from ...core.structure import Arrays, Structure, inputs_of, is_array, nested_targets
from ...nn.mode import trying
from ...nn.spec import InputSpec, each
from ..compiled import Compiled
from ..objective import shape_of
from . import arrays as data
from .frames import check_names, names_of

MOST_SHAPES = 256
"""Maximal number of kinds of inputs for which output shapes are stored."""


class DataChecks:
    """Methods of a model that check its data."""

    _compiled: Compiled | None
    _columns: tuple[tuple[str, ...], ...] = ()
    """Names of the columns of each input, if fit had data frames."""

    def _need(self, op: str) -> Compiled:
        if self._compiled is None:
            raise RuntimeError(f"{op}: the model is not compiled yet; call compile(optimizer=..., loss=...) first")
        return self._compiled

    def _inputs(self, op: str, x: Any, name: str, bytes_stay: bool = False) -> tuple[Structure, list[Array]]:
        """Return x as arrays of the right dtypes, one for each of the model's inputs.

        bytes_stay: whether arrays of uint8 stay as they are where the model takes floats.
        """
        model: Any = self
        structure, leaves = inputs_given(model, x, op, name)
        floats, labels = model.dtype, structure.labels(name)
        features = []
        self._check_columns(op, [leaf for leaf, _ in leaves], labels)
        for (leaf, spec), label in zip(leaves, labels, strict=True):
            wanted = spec.wants(floats)
            if bytes_stay and wanted == floats and type(leaf) is np.ndarray and leaf.dtype == np.uint8:
                wanted = leaf.dtype
            a = data.as_features(leaf, wanted or floats, op, label, cast=wanted is not None)
            shape = spec.fitted(a.shape, op, label)
            features.append(a if shape == a.shape else a.reshape(shape))
        return structure, features

    def _check_columns(self, op: str, leaves: list[Any], labels: list[str]) -> None:
        """Raise ValueError if a data frame has other columns than at fit. Arrays have no names, so they are not checked."""
        for leaf, fitted, label in zip(leaves, self._columns, labels, strict=False):
            if fitted and (names := names_of(leaf)):
                check_names(names, fitted, op, label)

    def _remember_columns(self, x: Any) -> None:
        """Store the names of the columns of data frames, if these are the first that the model is trained on."""
        columns = tuple(names_of(leaf) for leaf, _ in inputs_given(self, x, "fit", "x")[1])
        if any(columns) and not any(self._columns):
            object.__setattr__(self, "_columns", columns)

    def _prepare(
        self, op: str, x: Any, y: Any, sample_weight: Any, names: tuple[str, str] = ("x", "y"), bytes_stay: bool = False
    ) -> Arrays:
        """Return the inputs, then the targets of all outputs, then their weights, as NumPy arrays of the right dtypes.

        The arrays are checked against each other and against the model's outputs. Missing arrays have size 0. With bytes_stay,
        inputs of uint8 stay as they are, a quarter of the size; what takes batches of them casts these.
        """
        c = self._need(op)
        model: Any = self
        current().host_reads(op)  # its steps are recorded separately
        inputs, features = self._inputs(op, x, names[0], bytes_stay)
        if c.own is not None and c.loss is None and not (c.given["metrics"] or c.given["weighted_metrics"]):
            return self._as_they_are(op, inputs, features, y, sample_weight, names)
        if y is None and not c.added:
            raise ValueError(f"{op}: {names[1]} is missing")
        rows, dtype, first = len(features[0]), model.dtype, names[0]
        if len(inputs) > 1:
            given = dict(zip(inputs.labels(names[0]), features, strict=True))
            data.check_same_length(op, **given)
            first = next(iter(given))
        self._probe(inputs, features)
        outputs, parts = c.returned, c.objectives
        alone = len(parts) == 1
        ys, ws = self._spread(op, y, sample_weight, names[1])
        targets, weights = [], []
        for i, o in enumerate(parts):
            label = names[1] if alone else f"{names[1]}[{outputs.names[i]!r}]"
            target = o.target(op, ys[i], rows, dtype, label)
            weight = o.weights(op, ws[i], rows, dtype)
            data.check_same_length(op, **{first: features[0], label: target, "sample_weight": weight})
            targets.append(target)
            weights.append(weight)
        return Arrays((*features, *targets, *weights), inputs)

    def _as_they_are(
        self, op: str, inputs: Structure, features: list[Array], y: Any, sample_weight: Any, names: tuple[str, str]
    ) -> Arrays:
        """Return the inputs, targets and weights for custom steps without a loss in compile, which would define their form."""
        c = self._need(op)
        if c.own is None or (op.startswith(("evaluate", "test")) and not c.own.test):
            raise ValueError(f"{op}: the model was compiled without a loss; define test_step(self, data)")
        model: Any = self
        several = isinstance(y, Mapping) or (isinstance(y, list | tuple) and bool(y) and all(map(is_array, y)))
        if several:
            c.targets, leaves = nested_targets(y, "y")
        else:
            c.targets, leaves = Structure("one", [names[1]]), [] if y is None else [y]
        targets = [data.as_targets(leaf, "any", model.dtype, op, names[1]) for leaf in leaves]
        rows = len(features[0])
        weight = data.as_sample_weight(sample_weight, rows, model.dtype, op, (rows, *shape_of(sample_weight)[1:]))
        labelled = {f"{names[1]}[{i}]" if several else names[1]: t for i, t in enumerate(targets)}
        data.check_same_length(op, **{names[0]: features[0], **labelled})
        return Arrays((*features, *targets, weight), inputs)

    def _class_weighted(self, op: str, arrays: Arrays, class_weight: Any) -> Arrays:
        """Return the arrays of `_prepare`, with class weights multiplied into the sample weights."""
        if class_weight is None:
            return arrays
        parts = self._need(op).objectives
        if len(parts) != 1:
            raise ValueError(f"{op}: class_weight is for models with one output; use sample_weight")
        *rest, target, weight = arrays
        weights = parts[0].class_weights(op, class_weight, target, weight)
        return Arrays((*rest, target, weights), arrays.inputs)

    def _spread(self, op: str, y: Any, sample_weight: Any, name: str) -> tuple[list[Any], list[Any]]:
        """Return targets and weights of each output."""
        c = self._need(op)
        outputs, parts = c.returned, c.objectives
        if len(parts) == 1:
            ys = outputs.spread(y, op, name) if isinstance(y, Mapping) else [y]
            weighted = isinstance(sample_weight, Mapping)
            return ys, outputs.spread(sample_weight, op, "sample_weight") if weighted else [sample_weight]
        trained = sum(o.needs_target for o in parts)
        if isinstance(y, list | tuple) and len(y) == trained < len(parts) and len(y) != len(outputs.tree[2]):
            rest = iter(y)
            ys = [next(rest) if o.needs_target else None for o in parts]  # y has only the targets of outputs that need one
        else:
            ys = outputs.spread(y, op, name, optional=True)
        listed = isinstance(sample_weight, list | tuple) and any(w is None or np.ndim(w) for w in sample_weight)
        if listed or isinstance(sample_weight, Mapping):
            return ys, outputs.spread(sample_weight, op, "sample_weight", optional=True)
        return ys, [sample_weight] * len(parts)  # one for all

    def _probe(self, inputs: Structure, features: list[Array]) -> None:
        """Call the model with one sample to find its outputs and their shapes; this also builds the layers."""
        model: Any = self
        c = self._need("fit")
        first = features[0]
        key: Any = (first.shape[1:], first.dtype)
        if inputs.kind != "one":
            key = (inputs.kind, inputs.tree, *inputs.names, *((a.shape[1:], a.dtype) for a in features))
        if c.probed[0] == (*key, model._version):
            return
        if shapes := c.known_shapes.get((*key, model._version)):  # if shapes of batches alternate
            for o, shape in zip(c.objectives, shapes, strict=True):
                o.shape = shape
            c.probed = ((*key, model._version), shapes)
            return
        with no_grad(), trying():
            samples = [Tensor(current().asarray(data.as_floats(a[:1], model.dtype))) for a in features]
            y = inputs.call(model, samples, training=False)
        structure, leaves = Structure.of(y)
        for leaf in leaves or [None]:
            if not isinstance(leaf, Tensor):
                wanted = "a Tensor" if structure.kind == "one" else "Tensors"
                raise TypeError(f"{type(self).__name__}: forward returned a {type(leaf).__name__}, wanted {wanted}")
        names = getattr(model, "output_names", None)
        if names is not None and len(names) == len(structure) and structure.kind != "dict":
            structure.names = list(names)
        c.bind(structure)
        for o, leaf in zip(c.objectives, leaves, strict=True):
            if o.loss is not None and leaf.dtype.kind != "f":
                output = f"the output {o.name}" if o.name else "the output"
                raise TypeError(
                    f"{type(self).__name__}: {output} has the dtype {leaf.dtype}, and losses need floats; give it the loss None"
                )
            o.shape = leaf.shape
        # Use the version after the call, which may have built the layers.
        c.probed = ((*key, model._version), [leaf.shape for leaf in leaves])
        if len(c.known_shapes) >= MOST_SHAPES:
            c.known_shapes.clear()
        c.known_shapes[c.probed[0]] = c.probed[1]


def inputs_given(model: Any, x: Any, op: str, name: str) -> tuple[Structure, list[tuple[Any, InputSpec]]]:
    """Return the structure of a model's inputs, and for each input its data and the model's `InputSpec`."""
    structure = inputs_of(model, x, op)
    alone = structure.kind == "one" and model.input_structure is None
    leaves = [x] if alone else structure.spread(x, op, name)
    return structure, list(zip(leaves, each(model, structure, op), strict=True))
