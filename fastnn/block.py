"""`Block`: a `with` block in which a context variable has another value, whatever interrupts it.

Modes, `no_grad`, `autocast`, `use_backend` and recordings are such blocks. The value is seen by this thread and asyncio task
alone. Blocks may be nested, entered again, and shared by threads.

Python delivers Ctrl-C where a function written in Python begins. An `__exit__` written in Python can therefore be interrupted
before its first line, and then the block stays on for good; that of `_core.Block` cannot, as it is written in C++. Without
compiled kernels a block is written in Python: one whose `__exit__` was interrupted is left when the traceback is forgotten that
holds it. Code inside of fastnn that has to undo something else does so in a `finally`, by a call that was prepared before.
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
        """Undoes the newest entry of this thread and task: others may be inside of the same block."""
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


if TYPE_CHECKING:
    from ._core import Block as Block
else:
    try:
        from ._core import Block as Block
    except ImportError:  # no compiled kernels; backends/cpp.py says why
        Block = PythonBlock
