"""Reads pickles of plain values: dicts, lists, tuples, numbers, texts, and what a closed list of names makes.

It interprets the instructions itself. Python's unpickler, which can call any function, is not used: nothing is imported, and the
only functions that are called are those that the caller passes.
"""

from __future__ import annotations

import pickletools
from collections.abc import Callable, Mapping
from typing import Any, BinaryIO, NamedTuple

from .tensors import short


class Name(NamedTuple):
    """Hold the name of something in a module that a pickle mentions. It is not imported."""

    module: str
    name: str

    def __str__(self) -> str:
        return f"{self.module}.{self.name}"


class OrderedDict(dict[Any, Any]):
    """Dict that a pickle calls collections.OrderedDict. Attributes that it sets, such as _metadata, are left out."""


_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
_VALUES = frozenset(
    ["INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT"]
    + ["STRING", "BINSTRING", "SHORT_BINSTRING", "UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8"]
    + ["BINBYTES", "SHORT_BINBYTES", "BINBYTES8"]
)
_KEYS = (str, int, float, bool, bytes, type(None))
"""Types of keys. Nested tuples are none of them, because Python computes their hash without a limit on their depth."""
ORDERED = Name("collections", "OrderedDict")


def unpickled(
    f: BinaryIO, functions: Mapping[Name, Callable[..., Any]], names: Callable[[Name], bool], persistent: Callable[[Any], Any]
) -> Any:
    """Return the value of the pickle that begins at the position of a file.

    Args:
        f: the file; afterwards, its position is behind the pickle.
        functions: what may be called, by name.
        names: whether a name that is not called is allowed, as the dtypes of PyTorch.
        persistent: makes the object of a persistent id.

    Raises:
        ValueError: the pickle is damaged, or contains another name or something else than plain values.
    """
    allowed: dict[Name, Callable[..., Any]] = {ORDERED: OrderedDict, **functions}
    stack: list[Any] = []
    marked: list[list[Any]] = []
    memo: dict[int, Any] = {}

    def from_mark() -> list[Any]:
        nonlocal stack
        items, stack = stack, marked.pop()
        return items

    def mention(module: Any, name: Any) -> None:
        if not isinstance(module, str) or not isinstance(name, str):
            raise ValueError("a name that is no text")
        found = Name(module, name)
        if found not in allowed and not names(found):
            raise RefusedError(
                f"it names {short(str(found))}, which is no tensor, dict, list or number: fastnn never runs code of a file"
            )
        stack.append(found)

    def put(target: Any, items: list[Any]) -> None:
        if not isinstance(target, dict) or len(items) % 2 or not all(type(key) in _KEYS for key in items[::2]):
            raise ValueError("a dict with such keys")
        target.update(zip(items[::2], items[1::2], strict=True))

    try:
        arg: Any
        for opcode, arg, _ in pickletools.genops(f):
            op = opcode.name
            if op in _VALUES:
                stack.append(arg)
            elif op in ("BINPUT", "LONG_BINPUT", "PUT"):
                memo[arg] = stack[-1]
            elif op == "MEMOIZE":
                memo[len(memo)] = stack[-1]
            elif op in ("BINGET", "LONG_BINGET", "GET"):
                stack.append(memo[arg])
            elif op == "MARK":
                marked.append(stack)
                stack = []
            elif op in _CONSTANTS:
                stack.append(_CONSTANTS[op])
            elif op == "TUPLE":
                items = from_mark()
                stack.append(tuple(items))
            elif op in ("TUPLE1", "TUPLE2", "TUPLE3", "EMPTY_TUPLE"):
                n = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}.get(op, 0)
                stack[len(stack) - n :] = [tuple(stack[len(stack) - n :])]
            elif op == "EMPTY_DICT":
                stack.append({})
            elif op == "EMPTY_LIST":
                stack.append([])
            elif op == "LIST":
                items = from_mark()
                stack.append(items)
            elif op == "DICT":
                items = from_mark()
                stack.append({})
                put(stack[-1], items)
            elif op == "SETITEM":
                value, key = stack.pop(), stack.pop()
                put(stack[-1], [key, value])
            elif op == "SETITEMS":
                items = from_mark()
                put(stack[-1], items)
            elif op in ("APPEND", "APPENDS"):
                items = [stack.pop()] if op == "APPEND" else from_mark()
                if not isinstance(stack[-1], list):
                    raise ValueError("items without a list")
                stack[-1].extend(items)
            elif op == "GLOBAL":
                mention(*arg.split(" ", 1))
            elif op == "STACK_GLOBAL":
                name, module = stack.pop(), stack.pop()
                mention(module, name)
            elif op == "REDUCE":
                args, function = stack.pop(), stack.pop()
                if not isinstance(function, Name) or not isinstance(args, tuple):
                    raise ValueError("a call of what is no function")
                if function not in allowed:
                    raise RefusedError(
                        f"it calls {short(str(function))}, which makes no tensor: fastnn never runs code of a file"
                    )
                stack.append(OrderedDict() if function == ORDERED and not args else allowed[function](*args))
            elif op == "BUILD":
                stack.pop()
                if not isinstance(stack[-1], OrderedDict):
                    raise RefusedError("it sets attributes of an object, as pickles of whole modules do")
            elif op == "BINPERSID":
                stack.append(persistent(stack.pop()))
            elif op not in ("PROTO", "FRAME", "STOP"):
                raise RefusedError(f"it has the instruction {op}, which fastnn does not need for tensors, and does not run")
        (value,) = stack
    except RefusedError:
        raise
    except (ValueError, IndexError, KeyError, TypeError, OverflowError, RecursionError, AttributeError) as error:
        raise ValueError(f"it is damaged: its pickle makes no sense ({short(str(error))})") from None
    return value


class RefusedError(ValueError):
    """Error: a file contains something that fastnn does not read for safety."""
