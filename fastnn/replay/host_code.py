"""Detection of user code in a recorded step whose effects a replay would omit."""

from __future__ import annotations

import dis
import random
import sys
from array import array
from collections.abc import Callable, Iterator
from functools import lru_cache, partial
from types import CodeType, FrameType, FunctionType, MethodType, ModuleType
from typing import Any
from zlib import crc32

import numpy as np

from ..autograd.tensor import Tensor
from ..backends import current

_OWN = __name__.partition(".")[0]
_TRUSTED = frozenset(
    {_OWN, "numpy", "weakref", "_weakrefset", "contextlib", "functools", "typing", "abc", "enum", "importlib", "warnings"}
)
"""Packages whose functions are not inspected: their effects on memory are detected by other means."""
_PURE = frozenset(
    "abs all any ascii bin callable chr divmod format getattr hasattr hash hex id isinstance issubclass iter len max min oct ord "  # noqa: SIM905
    "pow repr round sorted sum vars locals".split()
)
_PLAIN = (int, float, complex, str, bytes, bool, type(None), frozenset, range, slice)
EXACT, MOST = 1 << 16, 1 << 26
"""NumPy arrays of up to EXACT bytes are compared by content, arrays of up to MOST bytes by checksum, larger ones not at all."""
DEPTH = 5
"""Maximal length of a chain of attributes and elements that is followed."""
LONG = 1000
"""Maximal length of a list or dict whose elements are inspected. In longer ones, only replaced elements are detected."""
MOST_OBJECTS = 20_000
"""Maximal number of objects that are inspected."""
_UNKNOWN = object()
_KNOWN = frozenset({"training", "stop_training", "history"})
"""Attributes of modules that fastnn sets."""


class HostCode:
    """Context manager that inspects the user functions that run in it for effects that a replay would omit.

    Calls of compiled functions that may have external effects (print, files, clocks, other libraries) are detected when they
    happen. The variables that the functions can reach, and their attributes and elements, are compared before and after.

    Args:
        marks: ignore appending of plain constants to a list. Tests of recording use this to see whether Python ran.
    """

    def __init__(self, marks: bool) -> None:
        self.found = ""
        self.taken = ""  # where code uses `data` of a Tensor
        self._marks = marks
        self.marked: list[list[Any]] = []  # lists to which plain constants were appended
        self.ran: dict[CodeType, dict[str, Any]] = {}  # code that ran -> its global variables
        self._modules: dict[Any, bool] = {}  # name of a module -> whether its package is trusted
        self._kept: dict[int, tuple[Any, Any, str]] = {}  # id -> an object that may change, its old state, its name
        self._cells: dict[tuple[CodeType, str], tuple[Any, Callable[[], Any]]] = {}
        self._walked: set[int] = set()  # ids of objects inspected for the current code
        self._outer: dict[FrameType, dict[str, Any]] = {}  # frame -> variables of outer functions when it was entered
        self._set_outside: set[tuple[CodeType, str]] = set()

    def __enter__(self) -> HostCode:
        xp = current().xp
        self._trusted = _TRUSTED | {_package(xp)}
        self._array = () if xp is np else xp.ndarray  # device arrays: kernels change them, which the recorder detects
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
        for held in (self._kept, self._cells, self._outer):  # free objects that user code can reach, also those made in the step
            held.clear()

    def _event(self, frame: FrameType, event: str, arg: Any) -> None:
        module = frame.f_globals.get("__name__", "")
        if self._modules.get(module) or event not in ("call", "c_call", "return") or self._trusts(module):
            return  # usually by the first test
        code = frame.f_code
        if event == "c_call":
            if not self.found and not _harmless(arg):
                self.found = f"{_name(arg)} is called ({code.co_filename}:{frame.f_lineno})"
            return
        if event == "call" and code not in self.ran:
            self.ran[code] = frame.f_globals
            self._reach(frame)
        if event == "return" and not self.taken and _takes_arrays(code):
            self._look_for_arrays(frame)
        if code.co_freevars:
            now = {name: frame.f_locals.get(name) for name in code.co_freevars}
            if event == "call":
                self._outer[frame] = now
            else:
                before = self._outer.pop(frame, now)
                self._set_outside |= {(code, name) for name in now if not _same_item(before[name], now[name])}

    def _look_for_arrays(self, frame: FrameType) -> None:
        """Check whether the code uses `data` of an object that may be a Tensor. NumPy could then access the Tensor's memory."""
        for names in _takes_arrays(frame.f_code):
            values: Any = {**frame.f_globals, **frame.f_locals}
            for name in names:
                value = values.get(name, _UNKNOWN)
                values = stored_attribute(value, "__dict__", {})
            if not names or value is _UNKNOWN or isinstance(value, (Tensor, np.ndarray, np.generic, self._array)):
                expression = ".".join(names or ("a Tensor",))
                self.found = self.taken = f"{expression}.data is used in {frame.f_code.co_name} ({frame.f_code.co_filename})"

    def _trusts(self, module: Any) -> bool:
        """Return whether the module of this name is in a package that is not inspected."""
        if module not in self._modules:
            package = str(module).partition(".")[0]
            self._modules[module] = package in self._trusted or package.startswith("namedtuple_")
        return self._modules[module]

    def _reach(self, frame: FrameType) -> None:
        """Store the state of all objects that the code of a frame can reach."""
        self._walked = set()
        self._reach_names(frame.f_globals, frame.f_code, "")
        # An argument that one user function passes to another was already reached from the first, or was made in the step.
        from_outside = frame.f_back is None or self._trusts(frame.f_back.f_globals.get("__name__", ""))
        made_inside = {name for code in self.ran for name in code.co_cellvars}
        for name, value in list(frame.f_locals.items()):
            if name not in made_inside if name in frame.f_code.co_freevars else from_outside:
                self._keep(value, name, DEPTH, frame.f_code)

    def _reach_names(self, namespace: dict[str, Any], code: CodeType, before: str) -> None:
        """Store the state of the module's variables that the code uses, also in modules that it imports."""
        if id(namespace) in self._walked:
            return
        self._walked.add(id(namespace))
        for name in code.co_names:
            if name in namespace:
                value = namespace[name]
                self._cells[code, before + name] = value, partial(namespace.get, name)
                if not isinstance(value, ModuleType):
                    self._keep(value, before + name, DEPTH, code)
                elif not self._trusts(value.__name__):
                    self._reach_names(vars(value), code, f"{before}{name}.")

    def _keep(self, value: Any, name: str, depth: int, code: CodeType) -> None:
        if (
            isinstance(value, (*_PLAIN, Tensor, ModuleType, self._array))
            or id(value) in self._walked
            or len(self._kept) > MOST_OBJECTS
        ):
            return
        self._walked.add(id(value))
        if isinstance(value, tuple):
            items: Any = enumerate(value)
        else:
            state = self._kept[id(value)][1] if id(value) in self._kept else _state(value)
            if state is None:
                return
            self._kept[id(value)] = value, state, name
            if isinstance(value, type) or not _has_attributes(value):
                items = state.items() if isinstance(state, dict) else enumerate(state) if isinstance(state, list) else ()
            elif _is_own(value):
                return
            else:
                self._keep(type(value), type(value).__name__, depth, code)
                items = [(k, v) for k, v in state.items() if not k.startswith("_") or k in code.co_names]
                items += _parts(value)
        if depth and (
            not hasattr(type(value), "__len__") or isinstance(value, type) or _has_attributes(value) or len(value) <= LONG
        ):
            dot = _has_attributes(value)
            for key, item in items:
                self._keep(item, f"{name}.{key}" if dot else f"{name}[{key!r}]", depth - 1, code)

    def _compare(self) -> None:
        for (code, name), (given, get) in self._cells.items():
            if not _same_item(given, get()):
                self.found = self.found or f"the global {name} is set in {code.co_name}"
        made_inside = {name for code in self.ran for name in code.co_cellvars}
        for code, name in self._set_outside:
            if name not in made_inside:
                self.found = self.found or f"the variable {name} is set in {code.co_name}"
        stored = {name for code in self.ran for name in _stored(code)}
        named = {name for code in self.ran for name in (*code.co_names, *code.co_freevars)}
        for value, before, name in self._kept.values():
            now = _state(value)
            if isinstance(now, dict) and isinstance(before, dict) and (_has_attributes(value) or isinstance(value, type)):
                own, keys = _is_own(value), before.keys() | now.keys()
                left = {k for k in keys if k not in stored and (own or str(k).startswith("_") or k in _KNOWN)}
                before, now = ({k: v for k, v in d.items() if k not in left} for d in (before, now))
            if isinstance(value, Iterator):
                if name.rpartition(".")[2] in named:
                    self.found = self.found or f"the iterator {name} is used"
                continue
            if _same(before, now):
                continue
            if self._marks and isinstance(value, list) and _marked(before, now):
                self.marked.append(value)
                continue
            if isinstance(now, dict) and isinstance(before, dict):
                changed = next((k for k in {**before, **now} if not _same_item(before.get(k), now.get(k))), "")
                name = f"{name}.{changed}" if _has_attributes(value) else f"{name}[{changed!r}]"
            self.found = self.found or f"{name} is changed"
        now_random = _random_state()
        if self._random != now_random:
            self.found = self.found or "random numbers are drawn on the host; draw them with fastnn.rand, randn or randint"


def _package(arrays: Any) -> str:
    """Return the package of an array module, or of an object that replaces one."""
    name = arrays.__name__ if isinstance(arrays, ModuleType) else type(arrays).__module__
    return str(name).partition(".")[0]


def users_own(thing: Any) -> bool:
    """Return whether a class or a module is user code."""
    name = thing.__name__ if isinstance(thing, ModuleType) else thing.__module__
    return str(name).partition(".")[0] not in _TRUSTED | sys.stdlib_module_names


def _is_own(value: Any) -> bool:
    """Return whether the class of an object belongs to fastnn."""
    return type(value).__module__.partition(".")[0] == _OWN


def _has_attributes(value: Any) -> bool:
    """Return whether attributes of an object can be set, in a `__dict__` or in slots."""
    return isinstance(value, type) or isinstance(stored_attribute(value, "__dict__"), dict) or bool(slots_of(_class(value)))


def stored_attribute(value: Any, name: str, default: Any = None) -> Any:
    """Return the attribute that an object stores under a name, without running code of its class."""
    try:
        return object.__getattribute__(value, name)
    except AttributeError:
        return default


def _parts(value: Any) -> list[tuple[str, Any]]:
    """Return the values that a function carries: defaults, the object of a bound method, the arguments of a partial."""
    if isinstance(value, FunctionType):
        return [("default", v) for v in (*(value.__defaults__ or ()), *(value.__kwdefaults__ or {}).values())]
    if isinstance(value, MethodType):
        return [("__self__", value.__self__), ("__func__", value.__func__)]
    if isinstance(value, partial):
        return [("func", value.func), *(("args", v) for v in value.args), *value.keywords.items()]
    return []


def _class(value: Any) -> Any:
    return type(value)


@lru_cache(maxsize=1024)
def slots_of(cls: Any) -> tuple[str, ...]:
    """Return the names of the slots of a user's class."""
    if not users_own(cls):
        return ()
    given = [vars(c).get("__slots__", ()) for c in cls.__mro__]
    return tuple(name for names in given for name in ((names,) if isinstance(names, str) else names))


@lru_cache(maxsize=1024)
def _stored(code: CodeType) -> frozenset[str]:
    """Return the names of the attributes that code sets or deletes, on any object."""
    return frozenset(i.argval for i in dis.get_instructions(code) if i.opname in ("STORE_ATTR", "DELETE_ATTR"))


@lru_cache(maxsize=1024)
def _takes_arrays(code: CodeType) -> tuple[tuple[str, ...], ...]:
    """Return the objects whose attribute `data` the code uses, as chains of names (variable, attributes); () if unknown."""
    found: list[tuple[str, ...]] = []
    names: tuple[str, ...] = ()  # chain of names that was loaded last
    for instruction in dis.get_instructions(code):
        name, argument = instruction.opname, instruction.argval
        if name in ("LOAD_ATTR", "STORE_ATTR") and argument == "data":
            found.append(names)
        if name.startswith(("LOAD_FAST", "LOAD_GLOBAL", "LOAD_NAME", "LOAD_DEREF")):
            names = (argument[-1] if isinstance(argument, tuple) else argument,)
        elif name == "LOAD_ATTR" and names:
            names = (*names, argument)
        elif name not in ("COPY", "DUP_TOP"):
            names = ()
    return tuple(found)


def _random_state() -> tuple[Any, ...]:
    """Return the state of the global generators of Python's `random` and of `numpy.random`."""
    kind, keys, *rest = np.random.get_state()  # noqa: NPY002 (users' code draws from it)
    return random.getstate(), kind, np.asarray(keys).tobytes(), *rest


def _state(value: Any) -> Any:
    """Return a copy of the state of an object that may change; None for objects that are not inspected."""
    if isinstance(value, list):
        return list(value)
    if isinstance(value, dict):
        return dict(value)
    if isinstance(value, set):
        return set(value)
    if isinstance(value, np.ndarray):
        return None if value.nbytes > MOST else value.tobytes() if value.nbytes <= EXACT else crc32(value.tobytes())
    if isinstance(value, np.random.Generator):
        return repr(value.bit_generator.state)
    if isinstance(value, bytearray | array):
        return bytes(value)
    if isinstance(value, type):
        return dict(vars(value)) if users_own(value) else None
    if isinstance(value, Iterator):
        return ()
    if not _has_attributes(value):
        return None
    slots = {name: stored_attribute(value, name) for name in slots_of(_class(value))}
    return {**(stored_attribute(value, "__dict__") or {}), **slots}


def _same(before: Any, now: Any) -> bool:
    if isinstance(before, dict):
        return before.keys() == now.keys() and all(_same_item(before[k], now[k]) for k in before)
    if isinstance(before, list):
        return len(before) == len(now) and all(map(_same_item, before, now))
    return bool(before == now)


def _same_item(a: Any, b: Any) -> bool:
    return a is b or same_number(a, b)


def same_number(a: Any, b: Any) -> bool:
    """Return whether two objects are plain values of the same type and with the same bits."""
    if type(a) is not type(b) or not isinstance(a, int | float | str | bytes):
        return False
    return a.hex() == b.hex() if isinstance(a, float) else bool(a == b)


def _marked(before: list[Any], now: list[Any]) -> bool:
    """Return whether the only change is that plain constants were appended."""
    new = now[len(before) :]
    return len(now) >= len(before) and all(map(_same_item, before, now)) and all(isinstance(v, int | str | None) for v in new)


def _harmless(function: Any) -> bool:
    """Return whether a compiled function only returns a value, or changes only objects that are compared."""
    owner, name = getattr(function, "__self__", None), getattr(function, "__name__", "")
    if isinstance(owner, ModuleType) or owner is None:
        module = str(getattr(function, "__module__", None) or getattr(owner, "__name__", ""))
        if module == "builtins":
            return name in _PURE
        return module.partition(".")[0] in ("math", "numpy", "cupy", "_operator", "_functools", _OWN)
    if isinstance(owner, type):
        return owner.__module__.partition(".")[0] in ("builtins", "numpy", _OWN) or name in ("__init__", "__new__")
    if _is_own(owner):
        return True
    return isinstance(owner, (*_PLAIN, tuple, list, dict, set, np.ndarray, np.generic, np.ufunc)) or name in (
        "__init__",
        "__new__",
    )


def _name(function: Any) -> str:
    module = getattr(function, "__module__", None)
    return (
        f"{module}.{function.__name__}" if module and module != "builtins" else str(getattr(function, "__qualname__", function))
    )
