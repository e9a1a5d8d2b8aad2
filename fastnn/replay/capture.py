"""`capture`: a function whose calls are watched, recorded and replayed."""

from __future__ import annotations

import functools
import itertools
import warnings
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from ..autograd.tensor import Array, Tensor, is_grad_enabled
from ..backends import current, get_isa, recording
from ..backends.base import Backend
from ..core.convert import StepInput
from ..core.locks import rlock
from ..core.precision import precision
from ..core.tree import flatten, replace
from .host_code import HostCode
from .lookups import Bindings
from .plan import Step, copied, give_back, own
from .recorder import PATIENCE, Recorder, Watched, difference

if TYPE_CHECKING:
    from ..nn.module import Module

MOST_PLANS = 32
"""Recordings that one captured function keeps: those that were used last."""


def _array_of(value: Any) -> Array | None:
    """Return the array of an argument whose content may change from call to call; None for all other arguments."""
    if isinstance(value, Tensor):
        return None if value.requires_grad else value.data
    is_array = isinstance(value, np.ndarray) or type(value) is current().xp.ndarray
    return value if is_array and value.dtype.kind in "fiub" else None


class _Object:
    """Stands for an argument that cannot be hashed in a key: it equals itself alone, and no other takes its place."""

    def __init__(self, value: Any) -> None:
        self.value = value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Object) and other.value is self.value

    def __hash__(self) -> int:
        return id(self.value)


def _key(value: Any, arrays: list[Array]) -> Any:
    """Return all that is known of arguments but the content of their arrays, which are put into the list."""
    tree, leaves = flatten(value)
    return tree, *[_key_of(leaf, arrays) for leaf in leaves]


def _key_of(value: Any, arrays: list[Array]) -> Any:
    array = _array_of(value)
    if array is not None:
        arrays.append(array)
        return isinstance(value, Tensor), array.shape, array.dtype
    try:
        hash(value)
    except TypeError:
        return _Object(value)
    # Numbers by their bits: 0.0 and -0.0 are equal, and NaN is not equal to itself.
    return type(value), value.hex() if isinstance(value, float) else value


def _without_shapes(key: Any) -> Any:
    """Return a key with the shapes of arrays left out."""
    if not isinstance(key, tuple):
        return key
    if len(key) == 3 and isinstance(key[0], bool) and isinstance(key[1], tuple):
        return key[0], key[2]
    return tuple(map(_without_shapes, key))


def _leads_back(output: Any) -> bool:
    """Return whether any Tensor of an output has a backward that is still to come."""
    return any(isinstance(t, Tensor) and t.node is not None and t.node.saved is not None for t in flatten(output)[1])


def _modes(modules: Iterable[Module]) -> Iterator[tuple[bool, ...]]:
    """Return the modes of modules, and which of their parameters are trained: what makes calls with equal arguments differ."""
    for m in modules:
        yield m.training, *(p.requires_grad for p in m._parameters.values() if p is not None)


def capture(fn: Callable[..., Any]) -> Callable[..., Any]:
    """Make a function that does what fn does, and after two calls replays the recorded kernels instead of running Python.

    Every call is exactly one step. Call 1 runs as it is, call 2 runs and is recorded, from call 3 on the recording is replayed;
    other shapes, dtypes, Python arguments, modes (train, eval) or frozen parameters have recordings of their own, of which the
    ones used last are kept. Array arguments are copied into the step; what comes out are copies. Several threads may call it: it
    takes one step after the other.

    Two calls in a row must do the same kernels on the same memory: a step that slices another part of a Tensor each time, or
    goes on from a Tensor that the last call made, is no such step. It stays as it is, with one warning that says why; so does
    one that reads a value, keeps a Tensor outside (in a list, an attribute, a global), or returns a Tensor whose backward is
    still to come. What is assigned to a buffer of a module (`register_buffer`) is copied into the buffer, in replays too.

    Args:
        fn: a function of arrays and Tensors; what changes in each call must be among its arguments, or in parameters, buffers,
            optimizers, or Tensors that are changed in place. Variables, attributes and elements that its code reads may be set
            now and then: the call is recorded anew; docs/recording.md says which are looked up.

    >>> import fastnn
    >>> model = fastnn.nn.Linear(2, 1)
    >>> optimizer = fastnn.optim.SGD(model.parameters(), lr=0.1)
    >>> def train_step(x, y):
    ...     optimizer.zero_grad()
    ...     loss = fastnn.nn.MSELoss()(model(x), y)
    ...     loss.backward()
    ...     optimizer.step()
    ...     return loss
    >>> step = fastnn.capture(train_step)
    >>> losses = [step(fastnn.tensor([[1.0, 2.0]]), fastnn.tensor([[3.0]])).item() for _ in range(5)]
    >>> losses[-1] < losses[0]
    True
    """
    state = _Capture(fn)

    @functools.wraps(fn)
    def step(*args: Any, **kwargs: Any) -> Any:
        return state(args, kwargs)

    step.captured = state  # type: ignore[attr-defined]
    return step


class _Capture:
    def __init__(self, fn: Callable[..., Any]) -> None:
        self.fn = fn
        self.name = getattr(fn, "__name__", type(fn).__name__)
        self.eager = ""  # why the function stays eager; empty while it may be recorded
        self._steps: dict[Any, list[Step]] = {}
        self._watched: dict[Any, Watched] = {}
        self._kinds: set[int] = set()  # the hashes of keys without their shapes
        self._new = 0  # calls in a row of a kind that never was there
        self._clock = itertools.count(1)
        self._again = 0  # recordings in a row that were never replayed, as a name stood for something else
        self._crowded = False  # whether recordings had to go
        self._one_at_a_time = rlock()  # gradients and buffers are one call's; a call may call itself

    def __call__(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        real = current()
        if self.eager or isinstance(real, Recorder):
            return self.fn(*args, **kwargs)
        arrays: list[Array] = []
        given = _key(args, arrays), _key(kwargs, arrays) if kwargs else ()
        key = (given, real.name, get_isa() if real.name == "cpp" else "", is_grad_enabled(), precision())
        with self._one_at_a_time:
            for step in self._steps.get(key, ()):
                if step.fits():
                    step.used = next(self._clock)
                    return step.replay(arrays)
            if self.eager:  # since another thread's call
                return self.fn(*args, **kwargs)
            return self._watch(key, real, args, kwargs, arrays)

    def _watch(self, key: Any, real: Backend, args: tuple[Any, ...], kwargs: dict[str, Any], arrays: list[Array]) -> Any:
        buffers = [real.xp.array(array, order="C", copy=True) for array in arrays]
        recorder = Recorder(real, tuple(buffers))
        output, host = self._record(recorder, args, kwargs, arrays, buffers)
        if not recorder.void and _leads_back(output):
            recorder.void = "it returns a Tensor whose backward is still to come; call backward inside, or return it detached"
        if recorder.void:
            self._stay_eager(recorder.void)
            return output
        output = own(output, recorder)
        if not recorder.hindrance:
            recorder.hindrance = recorder.escaped()
        state = key, recorder.mode_override, *_modes(recorder.modules)
        before = self._watched.get(state)
        if before is not None and not recorder.hindrance and before.signature == recorder.signature:
            before.differed = 0
            roots = [self.fn, *(leaf for leaf in flatten((args, kwargs))[1] if _array_of(leaf) is None)]
            bindings = Bindings(roots, host, recorder.uses)
            self._keep(key, Step(recorder, buffers, output, bindings))
        else:
            now = Watched(recorder)
            if before is None:
                self._count(key)
            else:
                now.differed = before.differed + 1
                if recorder.hindrance and before.hindrance:
                    self._stay_eager(recorder.hindrance)
                elif now.differed >= PATIENCE:
                    why = recorder.hindrance or difference(before, now)
                    self._stay_eager(f"no two calls in a row did the same work ({why})")
            if not self.eager:
                self._watched.pop(state, None)
                self._watched[state] = now
                if len(self._watched) > 2 * MOST_PLANS:
                    del self._watched[next(iter(self._watched))]
        return copied(output, recorder)

    def _record(
        self, recorder: Recorder, args: tuple[Any, ...], kwargs: dict[str, Any], arrays: list[Array], buffers: list[Array]
    ) -> tuple[Any, HostCode]:
        rest, seen = iter(buffers), list[StepInput | None]()

        def input_of_the_step(leaf: Any) -> Any:
            if _array_of(leaf) is None:
                return leaf
            array = next(rest).view()  # in the order in which `_key` lists them
            seen.append(None if isinstance(leaf, Tensor) else StepInput(array))
            return Tensor(array) if seen[-1] is None else seen[-1]

        # A list without arrays stays the caller's, so that changes of it reach him.
        own_args, own_kwargs = replace((args, kwargs), input_of_the_step)
        host = HostCode(marks=True)
        try:
            with recording(recorder), host:
                output = self.fn(*own_args, **own_kwargs)
                recorder.carry_buffers()
        finally:
            for i, (array, buffer, step_input) in enumerate(zip(arrays, buffers, seen, strict=True)):
                if step_input is not None and step_input.host is not None:
                    give_back(recorder.real, array, step_input.host)
                elif i in recorder.changed:
                    give_back(recorder.real, array, buffer)
        if host.found:
            recorder.hinder(f"{host.found}, which a replay would leave out")
        return output, host

    def _count(self, key: Any) -> None:
        """Give up where each call has other arguments than all before; other shapes do not count."""
        kind = hash(_without_shapes(key))
        self._new = 0 if kind in self._kinds else self._new + 1
        self._kinds.add(kind)
        if self._new > PATIENCE:
            self._stay_eager(
                "no two calls in a row did the same work (each has other arguments; pass numbers that change as arrays)"
            )

    def _keep(self, key: Any, step: Step) -> None:
        """Keep a recording, in place of those that will never fit again and of the ones whose last use is longest ago."""
        step.used = next(self._clock)
        others = [s for s in self._steps.get(key, ()) if s.bindings and s.bindings.changed and s.lasts()]
        self._again = self._again + 1 if any(s.used == step.used - 1 for s in others) else 0
        if self._again >= PATIENCE:
            name = next(s.bindings.changed for s in reversed(others) if s.bindings)
            self._stay_eager(f"{name} is set between calls, after which the call is recorded anew; pass it as an argument")
            return
        self._steps[key] = [*(s for s in self._steps.get(key, ()) if s.lasts()), step]
        while sum(map(len, self._steps.values())) > MOST_PLANS:
            oldest_key, oldest = min(((k, s) for k, steps in self._steps.items() for s in steps), key=lambda ks: ks[1].used)
            left = [s for s in self._steps[oldest_key] if s is not oldest]
            if left:
                self._steps[oldest_key] = left
            else:
                del self._steps[oldest_key]
            if not self._crowded and oldest.lasts():
                self._crowded = True
                warnings.warn(
                    f"capture: {self.name} needs more than {MOST_PLANS} recordings and keeps those that were used last; "
                    "pass numbers that change as arrays, and batches in few shapes",
                    RuntimeWarning,
                    stacklevel=5,
                )

    def _stay_eager(self, why: str) -> None:
        self.eager = why
        self._steps.clear()
        self._watched.clear()
        warnings.warn(f"capture: {self.name} is not recorded and runs step by step: {why}", RuntimeWarning, stacklevel=5)
