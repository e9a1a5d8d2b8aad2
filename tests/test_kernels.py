"""The kernels of every native backend, and of every instruction set of this machine, against the reference."""

from __future__ import annotations

import functools
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import emulator
import numpy as np
import pytest
from cases import TESTS, activation, check, dense
from cases.case import FLOATS, Case, Values

import fastnn
from fastnn.backends import backends, get_isa, isas, load, recording, unavailable, use_isa
from fastnn.backends.base import Backend
from fastnn.backends.spec import ACTIVATIONS, KERNELS, LINEAR, NEED_DB, NEED_DW, NEED_DX
from fastnn.plan import Recorder

ISAS = [name for name, lacking in isas().items() if not lacking]
OTHERS = [b.name for b in backends().values() if b.native and b.name not in ("cpp", "cupy")]
EMULATED = list(emulator.TARGETS) if emulator.runs_here() else []
DEVICE = "device"
TARGETS = [("cpp", isa) for isa in ISAS] + [("cupy", how) for how in (*EMULATED, DEVICE)] + [(name, "") for name in OTHERS]

SPECIALS = (np.nan, np.inf, -np.inf, -0.0, 1e4, -1e4, 1e-42, -1e-310)
"""Values at the edges; the last two are denormal in float32 and in float64."""


@pytest.fixture(params=TARGETS, ids=lambda target: "-".join(filter(None, target)))
def backend(request: pytest.FixtureRequest) -> Iterator[Backend]:
    """A native backend: C++ on one of its instruction sets, CUDA emulated or on a device."""
    name, how = request.param
    if how in EMULATED:
        yield emulator.load(how)
        return
    if how == DEVICE:
        if why := unavailable(name):
            pytest.skip(f"not run on a GPU: {why}")
        yield load(name)
        return
    before = get_isa()
    if how:
        use_isa(how)
    yield load(name)
    if how:
        use_isa(before)


def _offered(backend: Backend, case: Case) -> None:
    """Skips tf32 where there is none; the kernels round to bfloat16 wherever they run."""
    if case.precision == "tf32" and (why := backend.lacks("tf32")):
        pytest.skip(why)


@functools.lru_cache(maxsize=8)
def _expected(case: Case, dtype: str) -> tuple[Values, Values, Values]:
    values = case.make(dtype)
    return values, *check.expected(case, dtype, values)


def test_every_kernel_has_a_case() -> None:
    assert {case.kernel for case in TESTS} == set(KERNELS)
    assert {f.act.name for f in activation.FUNCTIONS} == {kind.name for kind in ACTIVATIONS}


@pytest.mark.skipif(not EMULATED, reason="needs Linux and a C++ compiler")
def test_every_kernel_is_one_of_cuda() -> None:
    assert emulator.load("emulated").native == set(KERNELS)


@pytest.mark.parametrize("case", TESTS, ids=str)
def test_agrees_with_the_reference(backend: Backend, case: Case) -> None:
    _offered(backend, case)
    for dtype in case.dtypes:
        values, want, allowed = _expected(case, dtype)
        for name, got in check.run(backend, case, values).items():
            wrong = check.difference(got, want[name], allowed.get(name))
            assert not wrong, f"{case} {dtype}: {name}: {wrong}"


IN_PLACE = {
    "softmax_forward": ("y", "x"),
    "sparse_cross_entropy_forward": ("p", "logits"),
    "sparse_cross_entropy_backward": ("dlogits", "p"),
}
"""Kernels that may write over an input, by their documentation: that output, and that input."""


@pytest.mark.parametrize("case", [c for c in TESTS if c.kernel in IN_PLACE], ids=str)
def test_in_place_gives_the_same_bits(backend: Backend, case: Case) -> None:
    output, over = IN_PLACE[case.kernel]
    for dtype in case.dtypes:
        values = case.make(dtype)
        for table in (backend.table, check.REFERENCE):
            put = backend.asarray if table is backend.table else np.copy
            apart, same = (values | {name: put(a) for name, a in check.arrays(case, values).items()} for _ in range(2))
            same[output] = same[over]
            for given in (apart, same):
                table[case.kernel](*given.values())
            for arg in (a for a in case.spec.arrays if a.writes):
                assert same[arg.name].tobytes() == apart[arg.name].tobytes(), arg.name


@functools.lru_cache(maxsize=1)
def _at_the_edges(case: Case) -> list[tuple[str, Values, Values, Values, Values]]:
    """For each argument and special value: its name, the arguments, what is right, the error allowed, and what is not finite."""
    calls = []
    for dtype in (d for d in case.dtypes if d in FLOATS):
        values = case.make(dtype)
        for arg in (a for a in case.spec.arrays if a.reads and a.dtype in "TNA" and values[a.name].size):
            # Weights are finite: in the reference others spread by 0 times NaN to classes that they do not belong to.
            for special in (x for x in SPECIALS if np.isfinite(x) or "weight" not in arg.name):
                values = case.make(dtype, unwritten=777.0, put=(arg.name, special))
                right = (*check.expected(case, dtype, values), check.reference(case, values))
                calls.append((f"{dtype}: {arg.name} with {special}", values, *right))
    return calls


@pytest.mark.parametrize("case", [c for c in TESTS if c.edges], ids=str)
def test_edges(backend: Backend, case: Case) -> None:
    """NaN, infinity, negative zero, denormal and large numbers: NaN and infinity come out where the reference has them."""
    _offered(backend, case)
    for what, values, want, allowed, pattern in _at_the_edges(case):
        for name, got in check.run(backend, case, values).items():
            wrong = check.difference(got, want[name], allowed.get(name), pattern[name])
            assert not wrong, f"{case} {what}: {name}: {wrong}"


@pytest.mark.skipif(sys.platform == "win32", reason="mprotect")
@pytest.mark.parametrize("isa", ISAS)
def test_touches_nothing_beyond_its_arrays(isa: str) -> None:
    path = f"{Path(__file__).parent}{os.pathsep}{Path(fastnn.__file__).parents[1]}"
    command = [sys.executable, "-m", "cases.guard", isa]
    env = {**os.environ, "PYTHONPATH": path}
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=300, check=False)
    last = done.stdout.splitlines()[-1:]
    assert done.returncode == 0 and last == ["done"], f"stopped with {done.returncode} at {last}: {done.stderr[-2000:]}"


def _gradient_call(case: Case, inputs: Values, outputs: Values, upstream: Values) -> Values:
    """The arguments of the backward kernel that belongs to a forward call."""
    args: Values = {}
    for arg in KERNELS[case.kernel.replace("forward", "backward")].args:
        if arg.name == "need":
            args[arg.name] = NEED_DX | NEED_DW | NEED_DB
        elif arg.name == "add":
            args[arg.name] = 0
        elif arg.writes:
            like = outputs["y"] if arg.name == "dz" else inputs[arg.name[1:]]
            args[arg.name] = np.full_like(like, np.nan)
        else:
            args[arg.name] = next(source[arg.name] for source in (upstream, outputs, inputs) if arg.name in source)
    return args


@pytest.mark.parametrize("case", [c for c in TESTS if c.grad and c.kernel.endswith("_forward")], ids=str)
def test_gradients(backend: Backend, case: Case) -> None:
    """The derivative in a random direction, by central differences of the forward kernel, is what the backward kernel says."""
    rng = np.random.default_rng(1)
    inputs = case.make("float64")
    outputs = check.run(backend, case, inputs)
    backward = KERNELS[case.kernel.replace("forward", "backward")]
    takes = {a.name for a in backward.args if not a.writes}
    upstream = {f"d{n}": rng.uniform(-1, 1, a.shape) for n, a in outputs.items() if f"d{n}" in takes}
    args = _gradient_call(case, inputs, outputs, upstream)
    args = check.call(backend, backward, args)
    by = [a.name[1:] for a in backward.args if a.writes and a.name[1:] in inputs]
    towards = {name: rng.uniform(-1, 1, inputs[name].shape) for name in by}
    assert towards, "nothing to differentiate by"
    told = sum(float((args[f"d{n}"] * d).sum()) for n, d in towards.items() if d.size)

    h = 1e-6

    def at(step: float) -> float:
        moved = check.run(backend, case, inputs | {n: inputs[n] + step * d for n, d in towards.items()})
        return sum(float((d * moved[n[1:]]).sum()) for n, d in upstream.items())

    found = (at(h) - at(-h)) / (2 * h)
    size = sum(float(np.abs(d * outputs[n[1:]]).sum()) for n, d in upstream.items())
    assert abs(told - found) <= 1e-6 * (abs(found) + size) + 1e-9, f"backward says {told}, differences say {found}"


def test_every_gradient_is_checked() -> None:
    pairs = {name for name in KERNELS if name.endswith("_forward") and name.replace("forward", "backward") in KERNELS}
    assert {case.kernel for case in TESTS if case.grad and case.kernel.endswith("_forward")} == pairs


@pytest.mark.parametrize("need", dense.NEEDS)
@pytest.mark.parametrize("act", [dense.RELU, LINEAR], ids=lambda act: act.name)
def test_what_is_not_needed_stays(backend: Backend, need: int, act: Any) -> None:
    scalars = {"act": act, "need": need, "precision": 0}
    case = next(c for c in TESTS if c.kernel == "dense_backward" and c.note == "need" and c.scalars == scalars)
    values = case.make("float32")
    written = check.run(backend, case, values)
    for name, bit in (("dx", NEED_DX), ("dw", NEED_DW), ("db", NEED_DB)):
        assert (written[name].tobytes() != values[name].tobytes()) == bool(need & bit), name


@pytest.mark.skipif(not ISAS, reason="no compiled kernels")
def test_the_first_layer_computes_no_input_gradient() -> None:
    """Neither does the kernel write it (above), nor does the tape ask for it where the input is data."""
    model = fastnn.Sequential([fastnn.Dense(5, activation="relu", input_shape=(7,)), fastnn.Dense(3)])
    recorder = Recorder(load("cpp"))
    with recording(recorder):
        model(fastnn.tensor(np.ones((4, 7), np.float32))).sum().backward()
    needs = [args[10] for name, args in recorder.calls if name == "dense_backward"]
    assert [bool(need & NEED_DX) for need in needs] == [True, False]  # the last layer comes first
    assert all(need & NEED_DW and need & NEED_DB for need in needs)
