"""`capture`: records the calls of a function and replays them."""

from __future__ import annotations

import functools
import itertools
import warnings
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, ParamSpec, Protocol, TypeVar

import numpy as np

from ..autograd.tensor import Array, Tensor, is_grad_enabled
from ..backends import current, get_isa, recording
from ..backends.base import Backend
from ..core.convert import StepInput
from ..core.locks import rlock
from ..core.precision import precision
from ..core.tree import flatten, replace
from ..ops.layout import ChannelsFirst
from .host_code import HostCode
from .lookups import Bindings
from .plan import Step, copied, give_back, own
from .recorder import PATIENCE, Recorder, Watched, difference

if TYPE_CHECKING:
    from ..nn.module import Module

MOST_PLANS = 32
"""Maximal number of recordings that a captured function keeps; the ones used last are kept."""


def _array_of(value: Any) -> Array | None:
    """Return the array of an argument whose content may change from call to call; None for all other arguments."""
    if isinstance(value, Tensor):
        return None if value.requires_grad else value.data
    is_array = isinstance(value, np.ndarray) or type(value) is current().xp.ndarray
    return value if is_array and value.dtype.kind in "fiub" else None


class _Object:
    """Key of an argument that cannot be hashed. It is equal only to the key of the same object, which it keeps alive."""

    def __init__(self, value: Any) -> None:
        self.value = value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Object) and other.value is self.value

    def __hash__(self) -> int:
        return id(self.value)


def _key(value: Any, arrays: list[Array]) -> Any:
    """Return a key that describes the arguments except the content of their arrays; append those arrays to the list."""
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
    # Floats are compared by their bits, since 0.0 == -0.0 and NaN != NaN.
    return type(value), value.hex() if isinstance(value, float) else value


def _without_shapes(key: Any) -> Any:
    """Return a key without the shapes of arrays."""
    if not isinstance(key, tuple):
        return key
    if len(key) == 3 and isinstance(key[0], bool) and isinstance(key[1], tuple):
        return key[0], key[2]
    return tuple(map(_without_shapes, key))


def _read(leaf: Any) -> Any:
    """Return an output; images with their channels first are made now, while the step is recorded."""
    return Tensor(leaf.data, leaf.requires_grad, leaf.node, leaf.index) if type(leaf) is ChannelsFirst else leaf


def _leads_back(output: Any) -> bool:
    """Return whether backward can still be called on a Tensor of an output."""
    return any(isinstance(t, Tensor) and t.node is not None and t.node.saved is not None for t in flatten(output)[1])


def _modes(modules: Iterable[Module]) -> Iterator[tuple[bool, ...]]:
    """Yield the mode of each module and `requires_grad` of its parameters; calls with equal arguments may differ by them."""
    for m in modules:
        yield m.training, *(p.requires_grad for p in m._parameters.values() if p is not None)


P = ParamSpec("P")
R = TypeVar("R", covariant=True)


class Captured(Protocol[P, R]):
    """Type of a captured function: that of the function itself, which may be a method, with `captured`."""

    captured: _Capture
    __name__: str

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R: ...
    def __get__(self, instance: Any, owner: Any = None, /) -> Callable[..., R]: ...


def capture(fn: Callable[P, R]) -> Captured[P, R]:
    """Make a function that does what fn does, and after two calls replays the recorded kernels instead of running Python.

    Every call is exactly one step. Calls 1 and 2 run normally, and call 2 is recorded. From call 3 on, the recording is
    replayed. Other shapes, dtypes, Python arguments, modes (train, eval) or frozen parameters need separate recordings. The
    recordings that were used last are kept. Array arguments are copied into the step, and outputs are copies. Several threads
    may call the function: it runs one step after the other.

    Two calls in a row must run the same kernels on the same memory. A step cannot be recorded if it slices another part of a
    Tensor in each call, or continues from a Tensor that the last call made. Nor can it if it reads a value, keeps a Tensor
    outside (in a list, an attribute, a global), or returns a Tensor on which backward can still be called. Such a step runs
    normally, and one warning gives the reason. A Tensor assigned to a buffer of a module (`register_buffer`) is copied into
    the buffer, in replays too.

    Args:
        fn: a function of arrays and Tensors. Values that change in each call must be arguments, or be in parameters, buffers,
            optimizers, or Tensors that are changed in place. Variables, attributes and elements that its code reads may be set
            now and then: the call is then recorded again. docs/recording.md lists the names that are looked up.

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
    return step  # type: ignore[return-value]


class _Capture:
    def __init__(self, fn: Callable[..., Any]) -> None:
        self.fn = fn
        self.name = getattr(fn, "__name__", type(fn).__name__)
        self.eager = ""  # why the function is not recorded; "" while it may be
        self._steps: dict[Any, list[Step]] = {}
        self._watched: dict[Any, Watched] = {}
        self._kinds: set[int] = set()  # hashes of keys without shapes
        self._new = 0  # number of consecutive calls whose kind is new
        self._clock = itertools.count(1)
        self._again = 0  # consecutive recordings that were never replayed, since a name got another value
        self._crowded = False  # whether a usable recording was deleted because there were too many
        self._one_at_a_time = rlock()  # calls share gradients and buffers; reentrant, since the function may call itself

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
            if self.eager:  # set by another thread's call
                return self.fn(*args, **kwargs)
            return self._watch(key, real, args, kwargs, arrays)

    def _watch(self, key: Any, real: Backend, args: tuple[Any, ...], kwargs: dict[str, Any], arrays: list[Array]) -> Any:
        buffers = [real.xp.array(array, order="C", copy=True) for array in arrays]
        recorder = Recorder(real, tuple(buffers), guarded=True)
        output, host = self._record(recorder, args, kwargs, arrays, buffers)
        if not recorder.void and _leads_back(output):
            recorder.void = "it returns a Tensor on which backward was not called; call backward inside, or return it detached"
        if recorder.void:
            self._stay_eager(recorder.void)
            return output
        output = own(output, recorder)
        result = copied(output, recorder)
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
                    self._stay_eager(f"no two calls in a row do the same work ({why})")
            if not self.eager:
                self._watched.pop(state, None)
                self._watched[state] = now
                if len(self._watched) > 2 * MOST_PLANS:
                    del self._watched[next(iter(self._watched))]
            recorder.forget()
        return result

    def _record(
        self, recorder: Recorder, args: tuple[Any, ...], kwargs: dict[str, Any], arrays: list[Array], buffers: list[Array]
    ) -> tuple[Any, HostCode]:
        rest, seen = iter(buffers), list[StepInput | None]()

        def input_of_the_step(leaf: Any) -> Any:
            if _array_of(leaf) is None:
                return leaf
            array = next(rest).view()  # in the order of `_key`
            seen.append(None if isinstance(leaf, Tensor) else StepInput(array))
            return Tensor(array) if seen[-1] is None else seen[-1]

        # A list without arrays is passed on as the same object, so that the caller sees changes of it.
        own_args, own_kwargs = replace((args, kwargs), input_of_the_step)
        host = HostCode(marks=True)
        try:
            with recording(recorder), host:
                output = replace(self.fn(*own_args, **own_kwargs), _read)
                recorder.carry_buffers()
        finally:
            for i, (array, buffer, step_input) in enumerate(zip(arrays, buffers, seen, strict=True)):
                if step_input is not None and step_input.host is not None:
                    give_back(recorder.real, array, step_input.host)
                elif i in recorder.changed:
                    give_back(recorder.real, array, buffer)
        if recorder.guard is not None:
            recorder.guard.check()
        if host.found:
            recorder.hinder(f"{host.found}, which a replay would omit")
        return output, host

    def _count(self, key: Any) -> None:
        """Stop recording if each call has arguments that never came before. Shapes are not compared."""
        kind = hash(_without_shapes(key))
        self._new = 0 if kind in self._kinds else self._new + 1
        self._kinds.add(kind)
        if self._new > PATIENCE:
            self._stay_eager(
                "no two calls in a row do the same work (each has other arguments; pass numbers that change as arrays)"
            )

    def _keep(self, key: Any, step: Step) -> None:
        """Store a recording. Delete those that never fit again, and if there are too many, the least recently used ones."""
        step.used = next(self._clock)
        others = [s for s in self._steps.get(key, ()) if s.bindings and s.bindings.changed and s.lasts()]
        self._again = self._again + 1 if any(s.used == step.used - 1 for s in others) else 0
        if self._again >= PATIENCE:
            name = next(s.bindings.changed for s in reversed(others) if s.bindings)
            self._stay_eager(f"{name} is set between calls, and each time the call is recorded again; pass it as an argument")
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
                    f"capture: {self.name} needs more than {MOST_PLANS} recordings; only the ones used last are kept; "
                    "pass numbers that change as arrays, and batches in few shapes",
                    RuntimeWarning,
                    stacklevel=5,
                )

    def _stay_eager(self, why: str) -> None:
        self.eager = why
        self._steps.clear()
        self._watched.clear()
        warnings.warn(f"capture: {self.name} is not recorded and runs step by step: {why}", RuntimeWarning, stacklevel=5)
