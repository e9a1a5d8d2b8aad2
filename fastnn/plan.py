"""Recording and replay: a step's kernel calls as a list that runs without Python.

A `Recorder` is a backend that runs each kernel on the real one and writes it down. `capture` makes a step of a function: it
watches the first calls, and once two calls in a row did the same work, replays the list of the second.
"""

from __future__ import annotations

import functools
import operator
import sys
import threading
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from .backends import current, get_isa, recording
from .backends.base import Backend, Call, aligned
from .nn import parameter as parameters_py
from .ops.door import StepInput
from .precision import precision
from .tensor import Array, Tensor, is_grad_enabled

if TYPE_CHECKING:
    from .nn.module import Module

MOST_PLANS = 16
"""Recordings that one captured function keeps; a step that needs more differs from call to call and stays eager."""
PATIENCE = 6
"""Calls in a row that may differ before capture gives up on a function."""


_ARRAYS = frozenset({"wait", "asarray", "constant", "dataset", "numbers", "streams", "to_numpy", "write", "lacks"})
"""What a recorder leaves to the backend that computes."""


class Recorder:
    """A backend that runs kernels on the real one and writes the calls down, with all that a replay depends on.

    Args:
        real: the backend that computes.
        inputs: arrays whose content changes from replay to replay, in place.
    """

    def __init__(self, real: Backend, inputs: tuple[Array, ...] = ()) -> None:
        self.real = real
        self.name = real.name
        self.xp = real.xp
        self.absent = real.absent
        self.calls: list[Call] = []
        self.flags: dict[int, Array] = {}  # by a call's index, the array that says whether it runs
        self.prepare: list[Callable[[int], int]] = []  # asked before n replayed steps: for how many of them are you ready?
        self._flag: Array | None = None  # of the block that is being recorded
        self.asides: set[int] = set()  # the indices of calls that may run beside those that follow
        self._aside = False
        self.signature: list[Any] = []
        self.void = ""  # why the recording cannot be replayed; empty while it can
        self.grads_before: dict[Tensor, bool] = {}
        self.grads_after: dict[Tensor, bool] = {}
        self.modules: dict[Module, bool] = {}
        self.owned: list[Array] = []  # arrays that were made inside
        self._owned: list[tuple[int, int]] = [_extent(a) for a in inputs]

    def __getattr__(self, name: str) -> Callable[..., Any]:
        if name in _ARRAYS:
            return getattr(self.real, name)  # type: ignore[no-any-return]
        if name not in self.real.table:
            raise AttributeError(f"backend {self.name!r} has no kernel {name!r}")
        run, calls, signature = self.real.table[name], self.calls, self.signature

        def kernel(*args: Any) -> None:
            if self._flag is None:
                run(*args)
            else:
                if self._flag[0]:
                    run(*args)
                self.flags[len(calls)] = self._flag
            if self._aside:
                self.asides.add(len(calls))
            calls.append((name, args))
            signature.append((name, *(a.shape if hasattr(a, "shape") else a for a in args)))

        setattr(self, name, kernel)
        return kernel

    @contextmanager
    def when(self, flag: Array) -> Iterator[Recorder]:
        self._flag = flag
        try:
            yield self
        finally:
            self._flag = None

    @contextmanager
    def aside(self) -> Iterator[None]:
        self._aside = True
        try:
            yield
        finally:
            self._aside = False

    def empty(self, shape: int | tuple[int, ...], dtype: Any) -> Array:
        array = aligned(self.xp, shape, dtype)
        self._owned.append(_extent(array))
        self.owned.append(array)
        return array

    def dense_aux(self, shape: tuple[int, int], inputs: int, dtype: Any, act: Any, precision: int) -> Array:
        array = self.real.dense_aux(shape, inputs, dtype, act, precision)
        self._owned.append(_extent(array))
        self.owned.append(array)
        return array

    def value_leaves(self, how: str) -> None:
        self.void = self.void or f"a value was read by Python ({how}, {_caller()}), which a replay would not do again"

    def constant_enters(self, array: Array) -> None:
        begin, end = _extent(array)
        if not any(b <= begin and end <= e for b, e in self._owned):
            import hashlib

            self.signature.append(("constant", hashlib.blake2b(self.real.to_numpy(array).tobytes()).digest()))

    def has_grad(self, leaf: Tensor) -> bool:
        if leaf not in self.grads_after:  # what the step itself sets is no condition of its replay
            self.grads_before.setdefault(leaf, leaf.has_grad)
        return leaf.has_grad

    def set_has_grad(self, leaf: Tensor, value: bool) -> None:
        self.grads_after[leaf] = leaf.has_grad = value

    def module_called(self, module: Module) -> None:
        self.modules.setdefault(module, module.training)

    def prepares(self, prepare: Callable[[int], int]) -> None:
        self.prepare.append(prepare)
        prepare(1)

    def owns(self, array: Array) -> bool:
        """Whether the array lies in memory that the recording made or was given."""
        begin, end = _extent(array)
        return any(b <= begin and end <= e for b, e in self._owned)


def _extent(array: Array) -> tuple[int, int]:
    if hasattr(array, "__array_interface__"):
        begin = array.__array_interface__["data"][0]
    else:
        begin = array.data.ptr
    return begin, begin + array.nbytes


def _caller() -> str:
    """The line outside of fastnn that is running, as file:line."""
    frame = sys._getframe(1)
    package = __name__.rpartition(".")[0]
    while frame.f_back is not None and str(frame.f_globals.get("__name__", "")).split(".")[0] == package:
        frame = frame.f_back
    return f"{frame.f_code.co_filename}:{frame.f_lineno}"


_training, _requires_grad, _has_grad = map(operator.attrgetter, ("training", "requires_grad", "has_grad"))


class Step:
    """A recording that can be replayed: its plan, what must hold before it, and what holds after it."""

    def __init__(self, recorder: Recorder, buffers: list[Array], output: Any) -> None:
        self.plan = recorder.real.plan(recorder.calls, recorder.flags, recorder.asides)
        self._prepare = Counter(recorder.prepare)  # several times where an optimizer takes several steps in one
        self.recorder = recorder
        self.buffers = buffers
        self.output = output
        self._lock = threading.Lock()
        self.structure = parameters_py.structure_version
        modules, before = recorder.modules, recorder.grads_before
        parameters = dict.fromkeys(parameters_py.stored(p) for m in modules for p in m._parameters.values() if p is not None)
        self._modules, self._modes = tuple(modules), tuple(modules.values())
        self._parameters, self._trained = tuple(parameters), tuple(map(_requires_grad, parameters))
        self._leaves, self._before = tuple(before), tuple(before.values())
        self._after = list(recorder.grads_after.items())

    def fits(self) -> bool:
        """Whether layers, modes, frozen parameters and gradients are as they were when it was recorded."""
        return (
            self.structure == parameters_py.structure_version
            and tuple(map(_training, self._modules)) == self._modes
            and tuple(map(_requires_grad, self._parameters)) == self._trained
            and tuple(map(_has_grad, self._leaves)) == self._before
        )

    def replay(self, inputs: list[Array]) -> Any:
        with self._lock:  # the buffers are one caller's at a time
            for buffer, array in zip(self.buffers, inputs, strict=True):
                self.recorder.real.write(buffer, array)
            self.run(1)
            return _copied(self.output, self.recorder)

    def run(self, n: int) -> None:
        """Runs the plan n times and sets what Python knows of gradients."""
        while n:
            part = min((prepare(times * n) // times for prepare, times in self._prepare.items()), default=n)
            if not part:
                raise RuntimeError("capture: one call takes more steps by a schedule than can be prepared; take fewer in a call")
            self.plan.run(part)
            n -= part
        for leaf, value in self._after:
            leaf.has_grad = value


def _copied(value: Any, recorder: Recorder) -> Any:
    """Outputs are copies: the next replay overwrites the buffers."""
    if isinstance(value, Tensor):
        return Tensor(value.data.copy()) if value.node is not None or recorder.owns(value.data) else value
    if isinstance(value, recorder.xp.ndarray):
        return value.copy() if recorder.owns(value) else value
    if isinstance(value, dict):
        return {k: _copied(v, recorder) for k, v in value.items()}
    if isinstance(value, list | tuple):
        items = [_copied(v, recorder) for v in value]
        return type(value)(*items) if hasattr(value, "_fields") else type(value)(items)
    return value


def _tensors(value: Any) -> list[Tensor]:
    if isinstance(value, Tensor):
        return [value]
    items = value.values() if isinstance(value, dict) else value if isinstance(value, list | tuple) else ()
    return [t for item in items for t in _tensors(item)]


def _array_of(value: Any) -> Array | None:
    """The array of an argument whose content may change from call to call; None for all other arguments."""
    if isinstance(value, Tensor):
        return None if value.requires_grad else value.data
    is_array = isinstance(value, np.ndarray) or type(value) is current().xp.ndarray
    return value if is_array and value.dtype.kind in "fiub" else None


def _key(value: Any, arrays: list[Array]) -> Any:
    """All that is known of an argument but the content of its arrays, which are put into the list."""
    array = _array_of(value)
    if array is not None:
        arrays.append(array)
        return isinstance(value, Tensor), array.shape, array.dtype
    if isinstance(value, dict):
        return ("dict", *[(k, _key(v, arrays)) for k, v in value.items()])
    if isinstance(value, list | tuple) and not hasattr(value, "_fields"):
        return (type(value).__name__, *[_key(v, arrays) for v in value])
    try:
        hash(value)
    except TypeError:
        return "object", id(value)
    # Numbers by their bits: 0.0 and -0.0 are equal, and NaN is not equal to itself.
    return type(value).__name__, value.hex() if isinstance(value, float) else value


def _replaced(value: Any, by: Callable[[Array, bool], Any]) -> Any:
    """The argument with its arrays replaced by what by(array, whether a Tensor) gives."""
    array = _array_of(value)
    if array is not None:
        return by(array, isinstance(value, Tensor))
    if isinstance(value, dict):
        return {k: _replaced(v, by) for k, v in value.items()}
    if isinstance(value, list | tuple) and not hasattr(value, "_fields"):
        return type(value)(_replaced(v, by) for v in value)
    return value


def capture(fn: Callable[..., Any]) -> Callable[..., Any]:
    """A function that does what fn does, and after two calls replays the recorded kernels instead of running Python.

    Every call is exactly one step. Call 1 runs as it is, call 2 runs and is recorded, from call 3 on the recording is replayed;
    other shapes, dtypes, Python arguments, modes (train, eval) or frozen parameters have recordings of their own. Array
    arguments are copied into the step; what comes out are copies. Where fn cannot be replayed (it reads a value, it differs
    from call to call, it returns a Tensor whose backward is still to come), it stays as it is, with one warning that says why.

    Args:
        fn: a function of arrays and Tensors; what changes from call to call must be among its arguments, or in parameters and
            optimizers.

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
        self._watched: dict[Any, list[Any]] = {}
        self._differed = 0

    def __call__(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        real = current()
        if self.eager or isinstance(real, Recorder):
            return self.fn(*args, **kwargs)
        arrays: list[Array] = []
        given = _key(args, arrays), _key(kwargs, arrays) if kwargs else ()
        key = (given, real.name, get_isa() if real.name == "cpp" else "", is_grad_enabled(), precision())
        for step in self._steps.get(key, ()):
            if step.fits():
                return step.replay(arrays)
        return self._watch(key, real, args, kwargs)

    def _watch(self, key: Any, real: Backend, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        buffers: list[Array] = []

        def buffer(array: Array, tensor: bool) -> Any:
            copy = real.xp.array(array, order="C", copy=True)
            buffers.append(copy)
            return Tensor(copy) if tensor else StepInput(copy)

        own_args, own_kwargs = _replaced((args, kwargs), buffer)
        recorder = Recorder(real, tuple(buffers))
        with recording(recorder):
            output = self.fn(*own_args, **own_kwargs)
        if not recorder.void and any(t.node is not None and t.node.saved is not None for t in _tensors(output)):
            recorder.void = "it returns a Tensor whose backward is still to come; call backward inside, or return it detached"
        if recorder.void:
            self._stay_eager(recorder.void)
            return output
        if self._watched.get(key) == recorder.signature:
            self._differed = 0
            current_ones = [s for s in self._steps.get(key, ()) if s.structure == parameters_py.structure_version]
            self._steps[key] = [*current_ones, Step(recorder, buffers, output)]
            if sum(map(len, self._steps.values())) > MOST_PLANS:
                self._stay_eager(f"it needs more than {MOST_PLANS} recordings; pass numbers that change as arrays")
        else:
            self._differed += 1
            if self._differed > PATIENCE:
                self._stay_eager(f"no two calls in a row did the same work ({self._difference(key, recorder.signature)})")
            self._watched[key] = recorder.signature
        return _copied(output, recorder)

    def _difference(self, key: Any, signature: list[Any]) -> str:
        before = self._watched.get(key)
        if before is None:
            return "each has other arguments; pass numbers that change as arrays"
        for a, b in zip(before, signature, strict=False):
            if a != b:
                return (
                    f"{a[0]} was called with other numbers"
                    if a[0] == b[0] and a[0] != "constant"
                    else "an array made inside differs"
                )
        return "the number of operations differs"

    def _stay_eager(self, why: str) -> None:
        self.eager = why
        self._steps.clear()
        self._watched.clear()
        warnings.warn(f"capture: {self.name} is not recorded and runs step by step: {why}", RuntimeWarning, stacklevel=5)
