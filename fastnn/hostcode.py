"""Host code of the user's own in a step that is watched: what a replay would leave out."""

from __future__ import annotations

import random
import sys
from collections.abc import Callable
from functools import partial
from types import CodeType, FrameType, FunctionType, ModuleType
from typing import Any

import numpy as np

from .backends import current
from .tensor import Tensor
from .training.loop import Trainer

_OWN = __name__.partition(".")[0]
_TRUSTED = frozenset(
    {_OWN, "numpy", "weakref", "_weakrefset", "contextlib", "functools", "typing", "abc", "enum", "importlib", "warnings"}
)
"""Packages whose own functions are not looked into: what they do to memory is seen by other means."""
_PURE = frozenset(
    "abs all any ascii bin callable chr divmod format getattr hasattr hash hex id isinstance issubclass iter len max min oct ord "  # noqa: SIM905
    "pow repr round sorted sum vars locals globals".split()
)
_PLAIN = (int, float, complex, str, bytes, bool, type(None), tuple, frozenset, range, slice)
MOST = 1 << 16
"""Bytes of an array of the host whose content is compared."""


class HostCode:
    """A block in which the functions that run, other than fastnn's, are looked at for what a replay would leave out.

    Calls of compiled functions that may act on the world (print, files, clocks, other libraries) are seen as they come. The
    variables that the functions' code can reach, and the attributes and elements of those, are compared before and after.

    Args:
        marks: whether appending plain constants to a list counts as nothing: it says that Python ran, as tests of recording do.
    """

    def __init__(self, marks: bool) -> None:
        self.found = ""
        self._marks = marks
        self._codes: set[CodeType] = set()
        self._modules: dict[Any, bool] = {}  # by a module's name, whether its package is trusted
        self._kept: dict[int, tuple[Any, Any, str]] = {}  # by identity: what may be changed, how it was, what it is called
        self._cells: dict[tuple[CodeType, str], tuple[Any, Callable[[], Any]]] = {}
        self._outer: dict[FrameType, dict[str, Any]] = {}  # of calls that go on: the variables of functions around, as they were

    def __enter__(self) -> HostCode:
        xp = current().xp
        self._trusted = _TRUSTED | {_package(xp)}
        self._array = () if xp is np else xp.ndarray  # of a device: kernels' work, which is seen by other means
        self._before = sys.getprofile()
        self._random = _random_state()
        if self._before is not None and not callable(self._before):  # a profiler in C
            self._before.disable()
        sys.setprofile(self._event)
        return self

    def __exit__(self, *_: object) -> None:
        sys.setprofile(None)
        if self._before is not None and not callable(self._before):
            self._before.enable()
        else:
            sys.setprofile(self._before)
        self._compare()

    def _event(self, frame: FrameType, event: str, arg: Any) -> None:
        if event not in ("call", "c_call"):
            if event == "return" and frame in self._outer:
                self._left(frame)
            return
        module = frame.f_globals.get("__name__", "")
        if module not in self._modules:
            self._modules[module] = str(module).partition(".")[0] in self._trusted
        if self._modules[module]:
            return
        if event == "call":
            if frame.f_code not in self._codes:
                self._codes.add(frame.f_code)
                self._reach(frame)
        elif not self.found and not _harmless(arg):
            self.found = f"{_name(arg)} is called ({frame.f_code.co_filename}:{frame.f_lineno})"

    def _reach(self, frame: FrameType) -> None:
        """Keeps how all is that the code of a frame can reach."""
        code, names = frame.f_code, frame.f_globals
        for name in code.co_names:
            if name in names:
                value = names[name]
                self._cells[code, name] = value, partial(names.get, name)
                self._keep(value, name, 2)
        variables = dict(frame.f_locals)
        for name, value in variables.items():
            self._keep(value, name, 2)
        if outer := {n: variables[n] for n in code.co_freevars if n in variables and not self._of_step(frame, n)}:
            self._outer[frame] = outer

    def _of_step(self, frame: FrameType, name: str) -> bool:
        """Whether the variable is that of a function around that is a part of the step."""
        caller = frame.f_back
        while caller is not None and not (caller.f_code in self._codes and name in caller.f_code.co_cellvars):
            caller = caller.f_back
        return caller is not None

    def _left(self, frame: FrameType) -> None:
        """Compares the variables of functions around with what they were when the call began; Tensors are seen by other means."""
        variables = dict(frame.f_locals)
        for name, before in self._outer.pop(frame).items():
            now = variables.get(name, before)
            if not (_same_item(before, now) or isinstance(now, Tensor)):
                self.found = self.found or f"the variable {name} is set in {frame.f_code.co_name}"

    def _keep(self, value: Any, name: str, depth: int) -> None:
        if isinstance(value, (*_PLAIN, Tensor, ModuleType, self._array)) or id(value) in self._kept:
            return
        state = _state(value)
        if state is None:
            return
        self._kept[id(value)] = value, state, name
        if not isinstance(value, type):
            self._keep(type(value), type(value).__name__, 0)
        if depth and isinstance(state, dict | list):
            items = state.items() if isinstance(state, dict) else enumerate(state)
            dot = "." if hasattr(value, "__dict__") else ""
            for key, item in items:
                self._keep(item, f"{name}{dot}{key}" if dot else f"{name}[{key!r}]", depth - 1)

    def _compare(self) -> None:
        for (code, name), (before, now) in self._cells.items():
            if now() is not before and not _equal_numbers(now(), before):
                self.found = self.found or f"the global {name} is set in {code.co_name}"
        for value, before, name in self._kept.values():
            now = _state(value)
            if _same(before, now) or (self._marks and isinstance(value, list) and _marked(before, now)):
                continue
            if isinstance(now, dict) and isinstance(before, dict):
                changed = next((k for k in {**before, **now} if not _same_item(before.get(k), now.get(k))), "")
                name = f"{name}.{changed}" if hasattr(value, "__dict__") else f"{name}[{changed!r}]"
            self.found = self.found or f"{name} is changed"
        now_random = _random_state()
        if self._random != now_random:
            self.found = self.found or "random numbers are drawn on the host; draw them with fastnn.rand, randn or randint"


def _package(arrays: Any) -> str:
    """The package of an array module, or of what stands for one."""
    name = arrays.__name__ if isinstance(arrays, ModuleType) else type(arrays).__module__
    return str(name).partition(".")[0]


def _random_state() -> tuple[Any, ...]:
    """Where the generators of Python's random and of numpy.random are."""
    kind, keys, *rest = np.random.get_state()  # noqa: NPY002 (users' code draws from it)
    return random.getstate(), kind, np.asarray(keys).tobytes(), *rest


def _state(value: Any) -> Any:
    """What may change of an object, as a copy; None for what is not looked at."""
    if isinstance(value, list):
        return list(value)
    if isinstance(value, dict):
        return dict(value)
    if isinstance(value, set):
        return set(value)
    if isinstance(value, np.ndarray):
        return value.tobytes() if value.nbytes <= MOST else None
    if isinstance(value, np.random.Generator):
        return repr(value.bit_generator.state)
    if isinstance(value, FunctionType):
        return dict(vars(value))
    if isinstance(value, type):
        if str(value.__module__).partition(".")[0] in {*_TRUSTED, "builtins"}:
            return None
        return {k: v for k, v in vars(value).items() if not k.startswith("_")}
    if type(value).__module__.partition(".")[0] == _OWN or not isinstance(getattr(value, "__dict__", None), dict):
        return None
    skipped = set(vars(value).get("_buffers") or () if isinstance(value, Trainer) else ()) | {
        "training",
        "stop_training",
        "history",
    }
    return {k: v for k, v in vars(value).items() if not k.startswith("_") and k not in skipped}


def _same(before: Any, now: Any) -> bool:
    if isinstance(before, dict):
        return before.keys() == now.keys() and all(_same_item(before[k], now[k]) for k in before)
    if isinstance(before, list):
        return len(before) == len(now) and all(map(_same_item, before, now))
    return bool(before == now)


def _same_item(a: Any, b: Any) -> bool:
    return a is b or _equal_numbers(a, b)


def _equal_numbers(a: Any, b: Any) -> bool:
    return type(a) is type(b) and isinstance(a, int | float | str | bytes | bool) and bool(a == b)


def _marked(before: list[Any], now: list[Any]) -> bool:
    """Whether plain constants alone were appended."""
    new = now[len(before) :]
    return len(now) >= len(before) and all(map(_same_item, before, now)) and all(isinstance(v, int | str | None) for v in new)


def _harmless(function: Any) -> bool:
    """Whether a compiled function does nothing but give a value, or changes only what is compared."""
    owner, name = getattr(function, "__self__", None), getattr(function, "__name__", "")
    if isinstance(owner, ModuleType) or owner is None:
        module = str(getattr(function, "__module__", None) or getattr(owner, "__name__", ""))
        if module == "builtins":
            return name in _PURE
        return module.partition(".")[0] in ("math", "numpy", "cupy", "_operator", "_functools", _OWN)
    if type(owner).__module__.partition(".")[0] == _OWN:
        return True
    return isinstance(owner, (*_PLAIN, list, dict, set, np.ndarray, np.generic, np.ufunc)) or name in ("__init__", "__new__")


def _name(function: Any) -> str:
    module = getattr(function, "__module__", None)
    return (
        f"{module}.{function.__name__}" if module and module != "builtins" else str(getattr(function, "__qualname__", function))
    )
