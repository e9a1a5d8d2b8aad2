"""Blocks that are undone whatever interrupts them.

- `Block`: a context variable has another value. Modes, `no_grad`, `autocast`, `use_backend` and recordings are such blocks. The
  value is seen by this thread and asyncio task alone; blocks may be nested, entered again, and shared by threads.
- `Finally`: a function is called at the end, and once more where it was interrupted itself. It undoes what the block may have
  changed, all or any part of it, and may be called again when it has: it is made before anything changes.
- `completed`: something of several steps is done as a whole.

Python delivers Ctrl-C where a function written in Python begins. An `__exit__` written in Python can therefore be interrupted
before its first line, and then the block stays on for good; those of `_core` cannot, as they are written in C++. Without it they
are written in Python: a block whose `__exit__` was interrupted is left when the traceback is forgotten that holds it.
"""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar, Token
from typing import TYPE_CHECKING, Any


class PythonBlock:
    """The block of installations without compiled kernels.

    Args:
        variable: the context variable.
        value: what it has in the block.
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
        except KeyboardInterrupt:  # after the call: the block is not going to be entered
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        """Undo the newest entry of this thread and task: others may be inside of the same block."""
        for token in reversed(self._tokens):
            try:
                self._variable.reset(token)
            except ValueError:
                continue  # it was entered in another context
            self._tokens.remove(token)
            return
        raise RuntimeError("a block is left that this thread or task has not entered")

    def __del__(self) -> None:
        for token in reversed(self._tokens):
            try:
                self._variable.reset(token)
            except (ValueError, RuntimeError):
                continue  # of another context, or undone already


class PythonFinally:
    """`Finally` of installations without compiled kernels.

    Args:
        action: what is called at the end, also where before fails.
        before: what is called at the beginning.
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
    except ImportError:  # no compiled kernels; backends/cpp.py says why
        Block, Finally = PythonBlock, PythonFinally


def completed(action: Callable[[], Any]) -> None:
    """Call action, and once more where it is interrupted, so that it comes to its end: it may be called again at any point."""
    with Finally(action):
        pass
