"""Blocks in which something is another way: their own thread and task alone, and undone whatever interrupts them."""

from __future__ import annotations

import asyncio
import contextvars
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from types import FrameType
from typing import Any

import pytest
from interrupt import run_under

import fastnn
from fastnn.autograd.tape import is_grad_enabled
from fastnn.backends import _local, current, recording
from fastnn.core.block import Block, Finally, PythonBlock
from fastnn.core.precision import precision
from fastnn.nn.mode import mode, mode_override, sampled, sampling
from fastnn.replay.recorder import Recorder

KINDS = list(dict.fromkeys([Block, PythonBlock]))
BLOCKS: dict[str, tuple[Callable[[], Any], Callable[[], Any]]] = {
    "no_grad": (fastnn.no_grad, is_grad_enabled),
    "mode": (lambda: mode(False), mode_override.get),
    "sampling": (sampling, sampled.get),
    "autocast": (lambda: Block(precision.__self__, 1), precision),  # type: ignore[attr-defined]
    "use_backend": (lambda: fastnn.use_backend("numpy"), _local.get),
    "recording": (lambda: recording(Recorder(current())), lambda: type(current())),
}
each_kind = pytest.mark.parametrize("kind", KINDS)
each_block = pytest.mark.parametrize(("block", "state"), BLOCKS.values(), ids=BLOCKS)
needs_core = pytest.mark.skipif(Block is PythonBlock, reason="no compiled core")


@pytest.fixture
def variable() -> contextvars.ContextVar[Any]:
    return contextvars.ContextVar("variable", default=0)


@each_kind
def test_nested_entered_again_and_left_by_an_error(kind: Any, variable: contextvars.ContextVar[Any]) -> None:
    one, two = kind(variable, 1), kind(variable, 2)
    assert not one.entered
    with one:
        assert one.entered
        with two, one:
            with two:
                assert variable.get() == 2
            assert variable.get() == 1
        assert variable.get() == 1
        with pytest.raises(ZeroDivisionError), two:
            _ = 1 // 0
        assert variable.get() == 1
    assert variable.get() == 0
    with pytest.raises(RuntimeError, match="not entered"):
        one.__exit__(None, None, None)


@each_kind
def test_a_check_that_fails_keeps_it_out(kind: Any, variable: contextvars.ContextVar[Any]) -> None:
    checked: list[Any] = []
    with kind(variable, 3, checked.append):
        assert checked == [3]

    def fails(value: Any) -> None:
        raise ValueError("not now")

    block = kind(variable, 3, fails)
    with pytest.raises(ValueError, match="not now"), block:
        raise AssertionError
    assert variable.get() == 0 and not block.entered


@each_kind
def test_one_block_is_shared_by_threads_and_tasks(kind: Any, variable: contextvars.ContextVar[Any]) -> None:
    """Each leaves what it entered itself, in whatever order."""
    shared, entered, left = kind(variable, 1), threading.Barrier(2), threading.Event()

    def first() -> None:
        with shared:
            entered.wait(10)
            assert left.wait(10)
            assert variable.get() == 1
        assert variable.get() == 0

    def second() -> None:
        with shared:
            entered.wait(10)
        assert variable.get() == 0
        left.set()

    with ThreadPoolExecutor(2) as pool:
        for future in [pool.submit(first), pool.submit(second)]:
            future.result(10)

    async def task(turns: int) -> None:
        with shared:
            for _ in range(turns):
                await asyncio.sleep(0)
                assert variable.get() == 1
        assert variable.get() == 0

    async def tasks() -> None:
        await asyncio.gather(task(1), task(4), task(2))
        assert variable.get() == 0

    asyncio.run(tasks())


@each_kind
def test_a_block_that_is_no_one_s_is_collected(kind: Any, variable: contextvars.ContextVar[Any]) -> None:
    code = f"""
import gc, weakref
from contextvars import ContextVar
from fastnn.core.block import {kind.__name__}
class Own({kind.__name__}): pass
v = ContextVar("v")
block = Own(v, value := type("Value", (), {{}})())
block.itself = value.block = block
ref = weakref.ref(block)
with block: pass
del block, value
gc.collect()
print(ref())
"""
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "None\n"


@needs_core
def test_what_is_no_block() -> None:
    with pytest.raises(TypeError):
        Block("no variable", 1)  # type: ignore[arg-type]
    with pytest.raises(RuntimeError, match="not initialised"):
        Block.__new__(Block).__enter__()
    for use in ("__enter__", "__exit__"):
        with pytest.raises(RuntimeError, match="not initialised"):
            getattr(Finally.__new__(Finally), use)()


# Interrupts: Ctrl-C comes where a function begins.


def interrupted(name: str, f: Callable[[], Any]) -> None:
    """Calls f; KeyboardInterrupt is raised where the function of that qualified name begins, as Ctrl-C would."""

    def profile(frame: FrameType, event: str, arg: Any) -> None:
        if event == "call" and frame.f_code.co_qualname == name:  # type: ignore[attr-defined]
            sys.setprofile(None)
            raise KeyboardInterrupt

    run_under(profile, f)


@needs_core
@each_block
def test_between_a_block_and_its_inside_no_function_begins(block: Callable[[], Any], state: Callable[[], Any]) -> None:
    """So there is no place in which Ctrl-C could come when it has been entered but is not going to be left."""
    begun: list[str] = []
    before, own = state(), block()
    current()
    sys.setprofile(lambda frame, event, arg: begun.append(frame.f_code.co_name) if event == "call" else None)
    own.__enter__()
    inside = begun.copy()
    own.__exit__(None, None, None)
    after = begun[len(inside) :]
    sys.setprofile(None)
    assert inside in ([], ["_leaves", "current", "host_reads"]) and not after
    assert state() == before


@pytest.mark.skipif(sys.version_info < (3, 11), reason="frames have no qualified names before Python 3.11")
@pytest.mark.parametrize("where", ["PythonBlock.__enter__", "PythonBlock.__exit__"])
def test_an_interrupted_python_block_is_left_with_its_traceback(where: str, variable: contextvars.ContextVar[Any]) -> None:
    def run() -> None:
        with PythonBlock(variable, 1):
            pass

    interrupted(where, run)
    assert variable.get() == 0


# Threads and tasks.


@each_block
def test_no_other_thread_or_task_sees_a_block(block: Callable[[], Any], state: Callable[[], Any]) -> None:
    before = state()

    async def inside(entered: asyncio.Event, seen: asyncio.Event) -> None:
        with block():
            entered.set()
            await seen.wait()
            assert state() != before

    async def outside(entered: asyncio.Event, seen: asyncio.Event) -> None:
        await entered.wait()
        assert state() == before
        seen.set()

    async def both() -> None:
        events = asyncio.Event(), asyncio.Event()
        await asyncio.gather(inside(*events), outside(*events))

    asyncio.run(both())
    with block(), ThreadPoolExecutor(1) as pool:
        assert state() != before
        assert pool.submit(state).result(10) == before
    assert state() == before


def test_blocks_of_many_threads_never_show_outside() -> None:
    """Not for an instant: use_backend once went by way of the process's own."""
    before, stop, seen = fastnn.get_backend(), threading.Event(), set()

    def enter() -> None:
        while not stop.is_set():
            with fastnn.use_backend("numpy"):
                pass

    with ThreadPoolExecutor(3) as pool:
        for _ in range(2):
            pool.submit(enter)
        for _ in range(3000):
            seen.add(fastnn.get_backend())
        stop.set()
    assert seen == {before} == {fastnn.get_backend()}


# Functions, generators and coroutines inside of no_grad.


def test_no_grad_of_a_function_that_calls_itself() -> None:
    @fastnn.no_grad()
    def depth(n: int) -> bool:
        return is_grad_enabled() or (n > 0 and depth(n - 1))

    assert not depth(3) and is_grad_enabled()


@pytest.mark.parametrize("block", [fastnn.no_grad, fastnn.enable_grad])
def test_without_parentheses(block: Any) -> None:
    class Model:
        @block
        def method(self, n: int = 1) -> Any:
            "Says the mode."
            return is_grad_enabled(), n

    wanted = block is fastnn.enable_grad
    with fastnn.no_grad() if wanted else fastnn.enable_grad():
        assert Model().method(n=3) == (wanted, 3) and Model.method.__doc__ == "Says the mode."
        assert is_grad_enabled() is not wanted
    with pytest.raises(TypeError, match=f"{block.__name__}: bool came, wanted nothing or a function"):
        block(True)


def test_no_grad_of_a_generator_is_inside_alone() -> None:
    seen: list[Any] = []

    @fastnn.no_grad()
    def numbers() -> Iterator[Any]:
        try:
            seen.append((yield is_grad_enabled()))
            try:
                yield is_grad_enabled()
            except KeyError:
                yield "caught", is_grad_enabled()
            return "the end"
        finally:
            seen.append(is_grad_enabled())

    g: Any = numbers()
    assert next(g) is False and is_grad_enabled()
    assert g.send("sent") is False and is_grad_enabled()
    assert g.throw(KeyError()) == ("caught", False) and is_grad_enabled()
    with pytest.raises(StopIteration) as end:
        next(g)
    assert end.value.value == "the end" and seen == ["sent", False]
    g = numbers()
    next(g)
    g.close()
    assert seen == ["sent", False, False] and is_grad_enabled()
    g = numbers()
    next(g)
    with pytest.raises(ZeroDivisionError):
        g.throw(ZeroDivisionError())
    assert is_grad_enabled()


def test_no_grad_of_a_coroutine() -> None:
    @fastnn.no_grad()
    async def inside() -> bool:
        await asyncio.sleep(0)
        return is_grad_enabled()

    async def both() -> None:
        assert await asyncio.gather(inside(), inside()) == [False, False]
        assert is_grad_enabled()

    asyncio.run(both())

    async def values() -> Any:
        yield 1

    with pytest.raises(TypeError, match=r"^no_grad: values is an asynchronous generator"):
        fastnn.no_grad()(values)
