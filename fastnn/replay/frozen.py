"""Frozen models: a forward pass is recorded for one batch size, and a call runs only its kernels."""

from __future__ import annotations

import copy
import weakref
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from ..autograd.tensor import Array, Tensor
from ..backends import current, recording
from ..backends.base import Backend, Call
from ..backends.spec import PRECISIONS
from ..core.convert import dtype_of
from ..core.locks import rlock
from ..core.precision import autocast, precision
from ..core.seeding import generator
from ..core.structure import ONE, Structure, input_names, inputs_of
from ..core.tree import flatten, unflatten
from ..nn.spec import each
from ..ops.checks import positive_int, shape_of, whole_number
from .folding import Folded
from .forward_pass import Pass, arrays_of, difference, record
from .fusion import fused
from .ports import Ports, carried_inputs

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..nn.module import Module


MOST_PASSES = 3
"""Maximal number of recorded forward passes until two in a row are equal. The first may differ, since it sets up state."""


class FrozenModel(Protocol):
    """Type of a frozen model: the compiled one of one batch size, or `FrozenBatches`."""

    @property
    def batch_size(self) -> int | None:
        """The number of samples in a call; None if any number is allowed."""

    state: dict[str, Any]
    """Copies of what is carried from call to call; it can be set."""

    def __call__(self, *x: Any, out: Any = None) -> NDArray[Any] | Any:
        """Compute the outputs: an array, or a list, tuple or dict of arrays if there are several."""

    def update(self, weights: Any) -> None:
        """Copy the weights of a model with the same structure, or of a state_dict."""

    def reset(self) -> None:
        """Set the state to 0."""


def freeze(
    model: Module,
    batch_size: int | None = 1,
    input_shape: Any = None,
    input_dtype: Any = None,
    seed: int | None = None,
    max_batch_size: int | None = None,
    state: Mapping[Any, Any] | None = None,
) -> FrozenModel:
    """Return a callable that computes the same as the model at this moment; see `Module.freeze`."""
    if batch_size is not None:
        batch_size = positive_int(batch_size, "freeze: batch_size")
    if max_batch_size is not None:
        if batch_size is not None:
            raise ValueError(f"freeze: max_batch_size needs batch_size=None, got batch_size={batch_size}")
        max_batch_size = positive_int(max_batch_size, "freeze: max_batch_size")
    if seed is not None:
        seed = whole_number(seed, "freeze: seed", 0)
    if input_shape is None:
        input_shape = getattr(model, "input_shape", None)
    if not model.built or input_shape is None:
        if len(names := input_names(model)) > 1 and model.input_structure is None:
            raise RuntimeError(
                f"freeze: the input shapes are unknown; pass input_shape, a list of one for each of {', '.join(names)}"
            )
        raise RuntimeError("freeze: the input shape is unknown; give the first layer input_shape, or pass input_shape")
    inputs = _inputs(model, input_shape)
    if inputs.kind == "one":
        leaves = [input_shape]
    elif len(inputs) == 1:
        leaves = inputs.flatten(input_shape, "freeze: input_shape")
    else:
        leaves = inputs.spread(input_shape, "freeze", "input_shape")
    if any(isinstance(leaf, list | tuple) and None in leaf for leaf in leaves):
        raise RuntimeError(f"freeze: the shape {input_shape} has unknown sizes; pass input_shape with fixed sizes")
    shapes = [shape_of(leaf, "freeze: input_shape") or () for leaf in leaves]
    dtypes = [spec.wants(model.dtype) or model.dtype for spec in each(model, inputs, "freeze")]
    if input_dtype is not None:
        several = isinstance(input_dtype, dict | list | tuple)
        given = inputs.spread(input_dtype, "freeze", "input_dtype") if several else [input_dtype] * len(shapes)
        dtypes = [dtype_of(d, "freeze: input_dtype") for d in given]
    carried = carried_inputs(inputs, state)
    if batch_size is None and (carried or _stateful(model)):
        raise ValueError("freeze: state needs a batch_size, since a state belongs to the samples of one batch")
    current().host_reads("freeze")
    snapshot = Snapshot(_copied_model(model), inputs, shapes, dtypes, PRECISIONS[precision()], seed, carried)
    frozen: FrozenModel = _frozen(snapshot, batch_size, max_batch_size)
    return frozen


def _frozen(snapshot: Snapshot, batch_size: int | None, max_batch_size: int | None) -> Any:
    if batch_size is not None:
        return snapshot.record(batch_size)
    from .frozen_batches import FrozenBatches

    return FrozenBatches(snapshot, max_batch_size)


def _restored(arguments: tuple[Any, ...], batch_size: int | None, max_batch_size: int | None, state: Any) -> Any:
    frozen = _frozen(Snapshot(*arguments), batch_size, max_batch_size)
    if state:
        frozen.state = state
    return frozen


def _inputs(model: Module, shape: Any) -> Structure:
    """Return the structure of a model's inputs, from the input shape: sizes for one input, a list or dict of shapes for more."""
    tree, leaves = flatten(shape, _is_shape)
    if not tree and model.input_structure is None:
        return ONE
    return inputs_of(model, unflatten(tree, [np.empty((1, 1))] * len(leaves)), "freeze")


def _is_shape(value: Any) -> bool:
    return isinstance(value, list | tuple) and all(n is None or isinstance(n, int | np.integer) for n in value)


def _copied_model(model: Module) -> Module:
    """Copy a model without its `compile` settings. Later training does not change the copy; other threads may use the model."""
    return copy.deepcopy(model, {id(model._compiled): None} if model._compiled else None)


def _weights(model: Module) -> list[Any]:
    """Return the stored parameters and the buffers; those that several layers share are returned once."""
    return list(dict.fromkeys(model.weights))


def _kept_states(model: Module, n: int, k: Backend) -> tuple[list[str], list[tuple[Any, list[Array]]]]:
    """Return the names of the states of stateful layers, and these layers with arrays for them, for batches of n samples."""
    names: list[str] = []
    kept = []
    for name, layer in _stateful(model):
        states = flatten(layer.get_initial_state(n))[1]
        if any(k.to_numpy(t.data).any() for t in states):
            raise ValueError(f"freeze: {name or 'the model'} begins with a state that is not 0; pass it as an input, see state=")
        names += [f"{name}.state_{i}" if name else f"state_{i}" for i in range(len(states))]
        kept.append((layer, [k.empty(t.shape, t.dtype) for t in states]))
    return names, kept


def _stateful(model: Module) -> list[tuple[str, Any]]:
    """Return the recurrent layers that keep their states from call to call, with their names."""
    return [(name, m) for name, m in model.named_modules() if hasattr(m, "carry") and m.stateful]


class Snapshot:
    """Private copy of a model, from which frozen models are recorded. It can take new weights.

    Frozen models refer to their snapshot. A snapshot does not refer to frozen models, because the garbage collector cannot see
    cycles through compiled objects.

    Args:
        model: the copy.
        inputs: structure of its inputs.
        shapes, dtypes: shape and dtype of one sample of each input.
        rounded: precision of matrix products.
        seed: seed of the random number stream, or None.
        carried: numbers of the inputs that are carried from call to call -> the outputs that they come from.
    """

    def __init__(
        self,
        model: Module,
        inputs: Structure,
        shapes: Sequence[tuple[int, ...]],
        dtypes: Sequence[Any],
        rounded: str,
        seed: int | None,
        carried: Mapping[int, Any],
    ) -> None:
        self._arguments = inputs, shapes, dtypes, rounded, seed, carried
        self.model = model
        self.real: Backend = current()
        self.lock = rlock()
        """Held while passes are recorded or weights change."""
        self.weights: list[Tensor] = _weights(model)
        self.folded = Folded(self.real, self.weights)
        self.ports: Ports | None = None
        """Ports of the last recording."""
        self._streams: dict[int, Any] = {}
        self._known: tuple[Any, int, list[weakref.ref[Tensor]]] = (None, 0, [])
        """Weak reference to the last source of new weights, its version, and weak references to its weights."""

    def record(self, batch_size: int, any_rows: bool = False) -> Any:
        """Record forward passes for this batch size and return the frozen model.

        Raises RuntimeError if the passes cannot be replayed.

        any_rows: whether the model takes any batch size; messages then name no fixed size.
        """
        inputs, shapes, dtypes, rounded, seed, carried = self._arguments
        with self.lock, recording(self.real), autocast(rounded):  # type: ignore[arg-type]
            xs = [self.real.empty((batch_size, *shape), dtype) for shape, dtype in zip(shapes, dtypes, strict=True)]
            names, kept = _kept_states(self.model, batch_size, self.real)
            passes: list[Pass] = []
            while len(passes) < 2 or (why := difference(*passes[-2:])):
                if len(passes) == MOST_PASSES:
                    raise RuntimeError(f"freeze: the model cannot be frozen: {why}")
                passes.append(record(self.model, inputs, xs, carried, kept))
                if passes[-1].void:
                    raise RuntimeError(f"freeze: the model cannot be frozen: {passes[-1].void}")
            for recorded in reversed(passes):
                recorded.restore()
            last = passes[-1]
            xs = [*(x for i, x in enumerate(xs) if i not in carried), *(xs[i] for i in carried)]
            xs += [a for _, arrays in kept for a in arrays]
            self.ports = ports = Ports(inputs, xs, last.structure, last.outs, last.carried, names, any_rows)
            calls = self.folded.take(fused(last, last.outs, fold=True), last, last.outs)
            return self.real.freeze(self._with_own_streams(calls, seed), xs, last.outs, last.owned, ports, self)

    def _with_own_streams(self, calls: list[Call], seed: int | None) -> list[Call]:
        """Give the calls separate random number streams. Their seeds come from `seed`, or if it is None, from `generator()`."""
        shared = {id(a): a for arg, a in arrays_of(calls) if arg.dtype == "u64" and arg.reads and arg.writes}
        rng = generator() if seed is None else np.random.Generator(np.random.Philox(seed))
        for key in shared:
            if key not in self._streams:
                self._streams[key] = self.real.shared_array(np.array([rng.integers(2**63), 0], np.uint64), np.uint64)
        return [(name, tuple(self._streams.get(id(a), a) for a in args)) for name, args in calls] if shared else calls

    # ---- new weights ----

    def update(self, models: Sequence[Any], source: Any) -> None:
        """Set the weights of frozen models from a model with the same structure, or from a state_dict.

        `FrozenModel.update` calls this method.

        Raises:
            TypeError: the source is neither a model of the same class nor a dict.
            ValueError: the structure, or the shape or dtype of a weight, differs. The message names the first difference.
        """
        if isinstance(source, Mapping):
            with self.lock:
                twin = _copied_model(self.model)
            twin.load_state_dict(dict(source))
            source = twin
        if type(source) is not type(self.model):
            wanted = type(self.model).__name__
            raise TypeError(f"update: got a {type(source).__name__}, wanted a {wanted} like the frozen one, or its state_dict")
        arrays = [t.data for t in self._weights_of(source)]
        for i, (own, a) in enumerate(zip(self.weights, arrays, strict=True)):
            if own.data.shape != a.shape or own.data.dtype != a.dtype:
                came = f"{a.dtype} {tuple(a.shape)}, wanted {own.data.dtype} {tuple(own.data.shape)}"
                raise ValueError(f"update: {self._name(i)} is {came} like the frozen one; freeze the model again")
        to_numpy, real = current().to_numpy, self.real
        with self.lock:
            values = [to_numpy(a) for a in arrays]
            folded = self.folded.computed([real.asarray(a) for a in values]) if self.folded.tensors else []
            real.set_weights(models, self.constants, values + [real.to_numpy(a) for a in folded])

    @property
    def constants(self) -> list[Tensor]:
        """Return the weights, and what is computed from them alone."""
        return [*self.weights, *self.folded.tensors]

    def _weights_of(self, source: Module) -> list[Tensor]:
        """Return the weights of a model, after a check that it has the same structure as this one."""
        known, version, held = self._known
        if known is not None and known() is source and version == source._version:
            return [t for t in (ref() for ref in held) if t is not None]
        version, weights = source._version, _weights(source)
        from .same_structure import structure_difference

        if why := structure_difference(self.model, source):
            raise ValueError(f"update: {why} like the frozen one; freeze the model again")
        self._known = weakref.ref(source), version, [weakref.ref(t) for t in weights]
        return weights

    def _name(self, i: int) -> str:
        """Return the name of a weight by its number."""
        from ..nn.parameter import stored

        named = [*((stored(p), name) for name, p in self.model.named_parameters())]
        named += [(b, name) for name, b in self.model.named_buffers()]  # type: ignore[misc]
        return next(name for t, name in named if t is self.weights[i])

    # ---- copies ----

    def reduce(self, frozen: Any) -> Any:
        """Return the value of `__reduce__` of a frozen model: a function and its arguments, with a copy of the model.

        The lock keeps another thread from setting new weights during the copy.
        """
        with self.lock:
            state = frozen.state
            arguments = _copied_model(self.model), *self._arguments
        return _restored, (arguments, frozen.batch_size, getattr(frozen, "max_batch_size", None), state)
