"""Frozen models: a forward pass recorded for one shape, and called past everything but its kernels."""

from __future__ import annotations

import copy
import operator
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple, NoReturn

import numpy as np

from ..backends import current, recording, spec
from ..backends.base import Backend, Call
from ..backends.spec import LINEAR, PRECISIONS
from ..convert import dtype_of
from ..hostcode import HostCode
from ..ops.door import positive_int, shape_of, whole_number
from ..precision import autocast, precision
from ..recorder import Recorder
from ..seeding import generator, stream
from ..structure import ONE, Structure, inputs_of
from ..tensor import Array, Tensor, no_grad
from ..training import data
from .mode import mode
from .module import Module
from .parameter import Parameter

_values = operator.attrgetter("data")

MOST_PASSES = 3
"""Forward passes in which two in a row must do the same: the first may make what later ones keep."""


def freeze(model: Module, batch_size: int = 1, input_shape: Any = None, input_dtype: Any = None, seed: int | None = None) -> Any:
    """Makes a callable that computes what the model computes now, for batches of a fixed size; see `Module.freeze`."""
    batch_size = positive_int(batch_size, "freeze: batch_size")
    if seed is not None:
        seed = whole_number(seed, "freeze: seed", 0)
    if input_shape is None:
        input_shape = getattr(model, "input_shape", None)
    if not model.built or input_shape is None:
        raise RuntimeError("freeze: no shape is known; give the first layer input_shape, or pass input_shape")
    inputs = _inputs(model, input_shape)
    if inputs.kind == "one":
        leaves = [input_shape]
    elif len(inputs) == 1:
        leaves = Structure.of(input_shape)[1]
    else:
        leaves = inputs.spread(input_shape, "freeze", "input_shape")
    shapes = [(batch_size, *(shape_of(leaf, "freeze: input_shape") or ())) for leaf in leaves]
    dtypes = [np.dtype(d) for d in inputs.dtypes or [model.dtype] * len(shapes)]
    if input_dtype is not None:
        several = isinstance(input_dtype, dict | list | tuple)
        given = inputs.spread(input_dtype, "freeze", "input_dtype") if several else [input_dtype] * len(shapes)
        dtypes = [dtype_of(d, "freeze: input_dtype") for d in given]
    return _freeze(_snapshot(model), inputs, shapes, dtypes, PRECISIONS[precision()], seed)


def _inputs(model: Module, shape: Any) -> Structure:
    """Says how a model takes its inputs, from its shapes: one is a list of sizes, several are a list or dict of shapes."""
    several = isinstance(shape, dict) or (isinstance(shape, list | tuple) and any(isinstance(s, list | tuple) for s in shape))
    if not several and model.input_structure is None:
        return ONE
    like = {key: np.empty((1, 1)) for key in shape} if isinstance(shape, dict) else [np.empty((1, 1))] * len(shape)
    return inputs_of(model, like, "freeze")


def _snapshot(model: Module) -> Module:
    """Copies a model, without what compile was given: later training changes no copy, and other threads may use the model."""
    return copy.deepcopy(model, {id(model._compiled): None} if model._compiled else None)


class _Pass(Recorder):
    """A recorder that also keeps what arrays from outside held before they were written, and what the model returns.

    The stream of random numbers that all threads draw from is left where it is then: another thread may have drawn meanwhile.
    """

    def __init__(self, real: Backend, inputs: tuple[Array, ...]) -> None:
        super().__init__(real, inputs)
        self.before: dict[int, tuple[Array, Any]] = {}
        self._stream = stream(real)
        self.structure = ONE
        self.outs: list[Array] = []

    def __getattr__(self, name: str) -> Callable[..., Any]:
        run = super().__getattr__(name)
        if name not in self.real.table:
            return run
        written = [i for i, arg in enumerate(spec.KERNELS[name].args) if arg.writes]

        def kernel(*args: Any) -> None:
            for a in (args[i] for i in written):
                if a.size and a is not self._stream and id(a) not in self.before and not self.owns(a):
                    self.before[id(a)] = a, np.array(self.real.to_numpy(a))
            run(*args)

        setattr(self, name, kernel)
        return kernel

    def restore(self) -> None:
        """Gives arrays from outside the values that they had before the pass."""
        for a, values in reversed(self.before.values()):
            self.real.write(a, values)


def _record(model: Module, inputs: Structure, xs: list[Array]) -> _Pass:
    """Records the forward pass from these arrays in evaluation mode, with its outputs."""
    real: Backend = current()
    for x in xs:
        real.fill(x, 0.0)
    recorder = _Pass(real, tuple(xs))
    with recording(recorder), no_grad(), mode(training=False):
        with HostCode(marks=True) as host:
            recorder.structure, ys = Structure.of(inputs.call(model, [Tensor(x) for x in xs]))
        if host.taken:
            recorder.give_up(f"{host.taken}, and what NumPy does there would be left out; use operations on Tensors")
        for name, y in zip(recorder.structure.names, ys, strict=True):
            if not isinstance(y, Tensor):
                what = "output" if len(ys) == 1 else f"output {name!r}"
                raise TypeError(f"freeze: the model's {what} is a {type(y).__name__}, wanted a Tensor")
        # An output that shows an input is read before any is written: an array of out= may be the input's.
        shown = [any(real.xp.may_share_memory(y.data, x) for x in xs) for y in ys]
        sources = [_copied(recorder, y.data) if of_input else y.data for y, of_input in zip(ys, shown, strict=True)]
        recorder.outs = [_copied(recorder, source) for source in sources]
    return recorder


def _copied(k: Recorder, source: Array) -> Array:
    out = k.empty(source.shape, source.dtype)
    if source.dtype.kind == "f":
        k.activation_forward(out, source, LINEAR)
    else:
        k.cast(out, source, spec.DTYPES.index(source.dtype.name))
    return out


def _arrays(calls: Sequence[Call]) -> Iterator[tuple[spec.Arg, Array]]:
    for name, args in calls:
        for arg, value in zip(spec.KERNELS[name].args, args, strict=True):
            if arg.kind == "array" and value.size:
                yield arg, value


def _difference(first: _Pass, second: _Pass) -> str:
    """Says why what two passes recorded is not the same work, in words; empty where it is."""
    if first.signature == second.signature:
        return second.hindrance
    for before, now, place, (name, args) in zip(first.signature, second.signature, second.places, second.calls, strict=False):
        if before[0] != now[0]:
            break
        for arg, a, b, value in zip(spec.KERNELS[name].args, before[1:], now[1:], args, strict=True):
            if a == b or arg.kind != "array":
                continue
            if arg.writes:
                return "what it changes is made anew in each call, as by a random layer; make it once, in __init__"
            if first.owns(value):
                return (
                    "it reads what it computed in the call before, as models with a hidden state do; "
                    "make the state an input and an output, or keep it in a buffer that copy_ changes"
                )
            if a[0] == b[0] == "constant":
                return (
                    f"an array of the host ({place}) differs from call to call; if it is random, draw it with fastnn.rand, "
                    "fastnn.randn or fastnn.randint, or make it an input"
                )
            return "it read other arrays in the second call than in the first"
    return "it did not do the same work in two calls in a row"


class Port(NamedTuple):
    """An input or output: its name, shape and dtype."""

    name: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    def __str__(self) -> str:
        return f"{self.name}: {_described(self.shape, self.dtype)}"


def _described(shape: Any, dtype: Any) -> str:
    return f"{dtype} {tuple(shape)}"


class Door:
    """Checks what comes into a frozen model, and puts together what comes out. Holds nothing that leads to the model."""

    def __init__(self, inputs: Structure, xs: Sequence[Array], outputs: Structure, outs: Sequence[Array]) -> None:
        names = ["x"] if len(xs) == 1 else inputs.names
        self._inputs, self._outputs = inputs, outputs
        self.xs = [Port(name, tuple(x.shape), np.dtype(x.dtype)) for name, x in zip(names, xs, strict=True)]
        self.outs = [Port(name, tuple(y.shape), np.dtype(y.dtype)) for name, y in zip(outputs.names, outs, strict=True)]
        self.alone = outputs.kind == "one"
        self.batch_size = len(xs[0])
        self.build = outputs.build

    def convert(self, args: tuple[Any, ...]) -> tuple[list[Any], bool]:
        """Returns the inputs as arrays that fit, and whether they came as one sample without the dimension of the batch.

        Raises TypeError and ValueError for what does not fit; the message says what came and what is wanted.
        """
        if not args or (self._inputs.kind == "one" and len(args) > 1):
            wanted = ", ".join(port.name for port in self.xs)
            raise TypeError(f"frozen model: {len(args)} arguments came, wanted {wanted} (and out=)")
        x = args[0] if len(args) == 1 else list(args)
        leaves = [x] if self._inputs.kind == "one" else self._inputs.spread(x, "frozen model", "x")
        arrays, single = [], True
        for leaf, (name, shape, dtype) in zip(leaves, self.xs, strict=True):
            a = data.as_features(
                leaf[None] if isinstance(leaf, np.ndarray) and leaf.shape == () else leaf, dtype, "frozen model", name
            )
            alone = shape[0] == 1 and a.shape == (shape[1:] or (1,)) and a.shape != shape
            if alone:
                a = a[None] if len(shape) > 1 else a
            if a.shape != shape:
                raise ValueError(
                    f"frozen model: {name} has shape {a.shape}, but it was frozen for {shape}, {dtype}; freeze takes batch_size"
                )
            arrays.append(a)
            single &= alone
        return arrays, single

    def arrays(self, out: Any) -> list[Any]:
        """Returns the arrays of out=, which several outputs are written to."""
        return self._outputs.spread(out, "frozen model", "out")

    def refuse(self, i: int, out: Any, single: bool) -> NoReturn:
        """Raises ValueError for an array of out= that does not fit the output of this number."""
        name, shape, dtype = self.outs[i]
        what = "out" if self.alone else f"out[{name!r}]"
        wanted = _described(shape[1:] if single else shape, dtype)
        came = f"a {type(out).__name__}"
        if isinstance(out, np.ndarray):
            flags = [
                text
                for flag, text in ((out.flags.c_contiguous, "not C-contiguous"), (out.flags.writeable, "read-only"))
                if not flag
            ]
            came = " and ".join([_described(out.shape, out.dtype), *flags])
        raise ValueError(f"frozen model: {what} is {came}, wanted a C-contiguous, writable array of {wanted}")

    def __str__(self) -> str:
        outs = ", ".join(_described(port.shape, port.dtype) if self.alone else str(port) for port in self.outs)
        return f"FrozenModel({', '.join(map(str, self.xs))} -> {outs})"


def _freeze(
    model: Module, inputs: Structure, shapes: list[tuple[int, ...]], dtypes: list[Any], rounded: str, seed: int | None
) -> Any:
    real: Backend = current()
    real.value_leaves("freeze")
    xs = [real.empty(shape, dtype) for shape, dtype in zip(shapes, dtypes, strict=True)]
    reduced = (_freeze, (model, inputs, shapes, dtypes, rounded, seed))
    passes: list[_Pass] = []
    with autocast(rounded):
        while len(passes) < 2 or (why := _difference(*passes[-2:])):
            if len(passes) == MOST_PASSES:
                raise RuntimeError(f"freeze: the model cannot be frozen: {why}")
            passes.append(_record(model, inputs, xs))
            if passes[-1].void:
                raise RuntimeError(f"freeze: the model cannot be frozen: {passes[-1].void}")
    for recorded in reversed(passes):
        recorded.restore()
    last = passes[-1]
    door = Door(inputs, xs, last.structure, last.outs)
    return real.freeze(_with_own_streams(real, last.calls, seed), xs, last.outs, last.owned, door, reduced, True)


def _with_own_streams(real: Backend, calls: list[Call], seed: int | None) -> list[Call]:
    """Gives calls streams of random numbers that nothing else draws from, which begin by the seed, or by `fastnn.seed`."""
    shared = {id(a): a for arg, a in _arrays(calls) if arg.dtype == "u64" and arg.reads and arg.writes}
    if not shared:
        return calls
    rng = generator() if seed is None else np.random.Generator(np.random.Philox(seed))
    own = {key: real.numbers(np.array([rng.integers(2**63), 0], np.uint64), np.uint64) for key in shared}
    return [(name, tuple(own.get(id(a), a) for a in args)) for name, args in calls]


class Forward:
    """The forward pass of a model in evaluation mode for one shape, recorded. Unlike a frozen model it follows the weights."""

    @classmethod
    def of(cls, model: Module, inputs: Structure, features: Sequence[Array]) -> Forward | None:
        """Returns the one of a model for arrays like these; None where it cannot be replayed."""
        real: Backend = current()
        xs = [real.empty(x.shape, x.dtype) for x in features]
        parameters = tuple(model.weights)
        values = tuple(map(_values, parameters))  # before: another thread that begins to train the model may move them meanwhile
        recorded = _record(model, inputs, xs)
        recorded.restore()
        return None if recorded.void else cls(parameters, values, inputs, xs, recorded)

    def __init__(
        self, parameters: tuple[Parameter, ...], values: tuple[Array, ...], inputs: Structure, xs: list[Array], recorded: _Pass
    ) -> None:
        # Nothing of this may lead back to the model: the garbage collector does not look into compiled objects.
        door = Door(inputs, xs, recorded.structure, recorded.outs)
        self.run = recorded.real.freeze(recorded.calls, xs, recorded.outs, recorded.owned, door, (), False)
        self._parameters, self._values = parameters, values

    def fits(self) -> bool:
        """Says whether the weights are still in the arrays in which they were."""
        return all(map(operator.is_, map(_values, self._parameters), self._values))
