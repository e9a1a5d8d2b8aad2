"""Recorded forward passes: the kernel calls from inputs to outputs, for frozen models and for `predict`."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..autograd.tensor import Array, Tensor, no_grad
from ..backends import current, recording, spec
from ..backends.base import Backend, Call
from ..backends.spec import LINEAR
from ..core.seeding import stream
from ..core.structure import ONE, Structure
from ..nn.mode import mode
from .fusion import fused
from .host_code import HostCode
from .ports import Ports, carried_outputs
from .recorder import Recorder

if TYPE_CHECKING:
    from ..nn.module import Module
    from ..nn.parameter import Parameter


_values = operator.attrgetter("data")


class Pass(Recorder):
    """Recorder that also stores the outputs of the model, and the old values of arrays from outside that kernels write to.

    The state of the shared random number stream is not stored: another thread may draw from it at the same time.
    """

    def __init__(self, real: Backend, inputs: tuple[Array, ...]) -> None:
        super().__init__(real, inputs)
        self.before: dict[int, tuple[Array, Any]] = {}
        self._stream = stream(real)
        self.structure = ONE
        self.outs: list[Array] = []
        """Arrays of the outputs, then arrays of the outputs that are carried to the next call."""
        self.carried: dict[int, int] = {}
        """Numbers of the inputs that are carried -> numbers of the outputs that they come from."""

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

    def host_call(self, fn: Callable[[], None]) -> None:
        self.give_up("a frozen model or a replayed prediction has no place for a host call")
        fn()

    def restore(self) -> None:
        """Write the old values back into the arrays from outside that the pass changed."""
        for a, values in reversed(self.before.values()):
            self.real.write(a, values)


def record(
    model: Module,
    inputs: Structure,
    xs: list[Array],
    carried: Mapping[int, Any] | None = None,
    kept: Sequence[tuple[Any, list[Array]]] = (),
) -> Pass:
    """Record the forward pass from these arrays in evaluation mode, with its outputs.

    Args:
        model, inputs: the model and the structure of its inputs.
        xs: arrays of the inputs.
        carried: numbers of the inputs that are carried from call to call -> the outputs that they come from.
        kept: stateful layers, with arrays of the states that they begin with. Their next states are outputs after all others.
    """
    real: Backend = current()
    begun = [*xs, *(a for _, arrays in kept for a in arrays)]
    for x in begun:
        real.fill(x, 0.0)
    recorder = Pass(real, tuple(begun))
    for layer, arrays in kept:
        layer.carry([Tensor(a) for a in arrays])
    with recording(recorder), no_grad(), mode(training=False):
        with HostCode(marks=True) as host:
            recorder.structure, ys = Structure.of(inputs.call(model, [Tensor(x) for x in xs]))
        if host.taken:
            recorder.give_up(f"{host.taken}; a replay would omit what NumPy does with it; use operations on Tensors")
        for name, y in zip(recorder.structure.names, ys, strict=True):
            if not isinstance(y, Tensor):
                what = "output" if len(ys) == 1 else f"output {name!r}"
                raise TypeError(f"freeze: the model's {what} is a {type(y).__name__}, wanted a Tensor")
        # Copy an output that is a view of an input before any output is written, since an array of out= may be the input itself.
        shown = [any(real.xp.may_share_memory(y.data, x) for x in xs) for y in ys]
        sources = [copied(recorder, y.data) if of_input else y.data for y, of_input in zip(ys, shown, strict=True)]
        recorder.carried = carried_outputs(recorder.structure, carried or {})
        hidden = set(recorder.carried.values()) if len(sources) > 1 else set()
        shown_outs = [source for i, source in enumerate(sources) if i not in hidden]
        states = [sources[i] for i in recorder.carried.values()]
        states += [t.data for layer, _ in kept for t in layer.carry(None)]
        for (i, o), source in zip(recorder.carried.items(), states, strict=False):
            if source.shape != xs[i].shape or source.dtype != xs[i].dtype:
                names = inputs.names[i], recorder.structure.names[o]
                raise ValueError(
                    f"freeze: state: the output {names[1]} is {source.dtype} {tuple(source.shape)}, "
                    f"but the input {names[0]} that it is carried to is {xs[i].dtype} {tuple(xs[i].shape)}"
                )
        recorder.outs = [copied(recorder, source) for source in (*shown_outs, *states)]
    return recorder


def copied(k: Recorder, source: Array) -> Array:
    out = k.empty(source.shape, source.dtype)
    if source.dtype.kind == "f":
        k.activation_forward(out, source, LINEAR)
    else:
        k.cast(out, source, spec.TENSOR_DTYPES.index(source.dtype.name))
    return out


def arrays_of(calls: Sequence[Call]) -> Iterator[tuple[spec.Arg, Array]]:
    for name, args in calls:
        for arg, value in zip(spec.KERNELS[name].args, args, strict=True):
            if arg.kind == "array" and value.size:
                yield arg, value


def difference(first: Pass, second: Pass) -> str:
    """Describe the first difference between the work of two recorded passes; return "" if there is no difference."""
    if first.signature == second.signature:
        return second.hindrance
    for before, now, place, (name, args) in zip(first.signature, second.signature, second.places, second.calls, strict=False):
        if before[0] != now[0]:
            break
        for arg, a, b, value in zip(spec.KERNELS[name].args, before[1:], now[1:], args, strict=True):
            if a == b or arg.kind != "array":
                continue
            if arg.writes:
                return "an array that it changes is made again in each call, as by a random layer; make it once, in __init__"
            if first.owns(value):
                return (
                    "it reads a result of the call before, as models with a hidden state do; "
                    "make the state an input and an output, or keep it in a buffer that copy_ changes"
                )
            if a[0] == b[0] == "constant":
                return (
                    f"an array of the host ({place}) differs from call to call; if it is random, draw it with fastnn.rand, "
                    "fastnn.randn or fastnn.randint, or make it an input"
                )
            return "it reads other arrays in the second call than in the first"
    return "it does not do the same work in two calls in a row"


class Forward:
    """Recorded forward pass of a model in evaluation mode for one shape. Unlike a frozen model, it uses the current weights."""

    @classmethod
    def of(cls, model: Module, inputs: Structure, features: Sequence[Array]) -> Forward | None:
        """Record the forward pass of a model for arrays like these; return None if it cannot be replayed."""
        real: Backend = current()
        xs = [real.empty(x.shape, x.dtype) for x in features]
        parameters = tuple(model.weights)
        values = tuple(map(_values, parameters))  # read before recording: another thread that starts to train may move them
        recorded = record(model, inputs, xs)
        recorded.restore()
        return None if recorded.void else cls(parameters, values, inputs, xs, recorded)

    def __init__(
        self, parameters: tuple[Parameter, ...], values: tuple[Array, ...], inputs: Structure, xs: list[Array], recorded: Pass
    ) -> None:
        # No reference may lead back to the model: the garbage collector cannot see cycles through compiled objects.
        ports = Ports(inputs, xs, recorded.structure, recorded.outs, {})
        self.run = recorded.real.freeze(fused(recorded, recorded.outs), xs, recorded.outs, recorded.owned, ports, None)
        self._parameters, self._values = parameters, values

    def fits(self) -> bool:
        """Return whether the weights are still in the same arrays."""
        return all(map(operator.is_, map(_values, self._parameters), self._values))
