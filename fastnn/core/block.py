"""Context managers that are always undone, even if Ctrl-C interrupts them.

- `Block`: sets a context variable. Modes, `no_grad`, `autocast`, `use_backend` and recordings are such blocks. Only this thread
  and asyncio task see the value. Blocks may be nested, entered again, and shared by threads.
- `Finally`: calls a function at the end, and again if the call is interrupted. The function undoes all or any part of the
  changes that the block may have made. It must allow several calls. Make the object before anything changes.
- `completed`: runs an action of several steps to its end.

Python delivers Ctrl-C at the start of a Python function. An `__exit__` written in Python can therefore be interrupted before
its first line, and then the block would stay active. The `__exit__` methods of `_core` cannot be interrupted, because they are
written in C++. Installations without `_core` use the Python versions. If their `__exit__` is interrupted, the block is undone
by `__del__`, when the traceback that refers to it is freed.
"""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar, Token
from typing import TYPE_CHECKING, Any


class PythonBlock:
    """`Block` of installations without compiled kernels.

    Args:
        variable: the context variable.
        value: its value in the block.
        check: called with the value before the block is entered; may raise.
    """

    entered = False
    """Whether the block was ever entered."""

    def __init__(self, variable: ContextVar[Any], value: Any, check: Callable[[Any], Any] | None = None) -> None:
        self._variable, self._value, self._check = variable, value, check
        self._tokens: list[Token[Any]] = []

    def __enter__(self) -> Any:
        if self._check is not None:
            self._check(self._value)
        self.entered = True
        try:
            self._tokens.append(self._variable.set(self._value))
        except KeyboardInterrupt:  # the variable may be set already, but the block is not entered
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        """Undo the latest entry of this thread and task; others may be inside of the same block."""
        for token in reversed(self._tokens):
            try:
                self._variable.reset(token)
            except ValueError:
                continue  # it was entered in another context
            self._tokens.remove(token)
            return
        raise RuntimeError("this thread or task exits a block that it has not entered")

    def __del__(self) -> None:
        for token in reversed(self._tokens):
            try:
                self._variable.reset(token)
            except (ValueError, RuntimeError):
                continue  # it belongs to another context, or is undone already


class PythonFinally:
    """`Finally` of installations without compiled kernels.

    Args:
        action: function to call at the end, also if `before` fails.
        before: function to call at the beginning.
    """

    def __init__(self, action: Callable[[], Any], before: Callable[[], Any] | None = None) -> None:
        self._action, self._before = action, before
        self._inside = 0

    def __enter__(self) -> Any:
        self._inside += 1
        try:
            if self._before is not None:
                self._before()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self._action()
        except BaseException:
            self._action()
            raise
        finally:
            self._inside -= 1

    def __del__(self) -> None:
        if self._inside > 0:
            self._action()


if TYPE_CHECKING:
    from .._core import Block as Block
    from .._core import Finally as Finally
else:
    try:
        from .._core import Block, Finally
    except ImportError:  # no compiled kernels; backends/cpp.py gives the reason
        Block, Finally = PythonBlock, PythonFinally


def completed(action: Callable[[], Any]) -> None:
    """Call an action, and call it again if it is interrupted. It must allow a new start after an interruption at any point."""
    with Finally(action):
        pass
