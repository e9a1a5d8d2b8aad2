"""The kernels of every native backend, and of every instruction set of this machine, against the reference."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from itertools import chain
from pathlib import Path

import emulator
import numpy as np
import pytest
from cases import TESTS, activation, check
from cases.case import FLOATS, Array, Case, Values
from cases.optim import HELD, LION, SETTLED
from engines import engine, engines

import fastnn
from fastnn.backends import backends, get_isa, isas, load, recording, unavailable, use_isa
from fastnn.backends.base import Backend
from fastnn.backends.reference.optim import LEAST, SMALL
from fastnn.backends.spec import ACTIVATIONS, KERNELS, Activation, PointwiseLoss
from fastnn.replay.recorder import Recorder

ISAS = [name for name, lacking in isas().items() if not lacking]
EMULATED = list(emulator.TARGETS) if emulator.runs_here() else []
DEVICE = [] if unavailable("cupy") else ["device"]
ENGINES = {f"cpp-{get_isa()}-{name}": name for name in engines()}
"""Targets with an engine of bfloat16 products, for the cases of this precision."""
TARGETS = {
    **{f"cpp-{isa}": ("cpp", isa) for isa in ISAS},
    **{name: ("cpp", get_isa()) for name in ENGINES},
    **{f"cupy-{how}": ("cupy", how) for how in (*EMULATED, *DEVICE)},
    **{b.name: (b.name, "") for b in backends().values() if b.native and b.name not in ("cpp", "cupy")},
}

SPECIALS = (np.nan, np.inf, -np.inf, -0.0, 1e4, -1e4, 1e-42, -1e-310)
"""Values at the edges; the last two are denormal in float32 and in float64."""


class Targets:
    """Walks native backends, C++ on each of its instruction sets among them; a case is checked on all of them in one test.

    So what is right is computed once for a case. `--targets` chooses, by a part of the name.
    """

    def __init__(self, chosen: str, without: tuple[str, ...] = ()) -> None:
        self._names = [name for name in TARGETS if chosen in name and name not in without]

    def __iter__(self) -> Iterator[tuple[str, Backend]]:
        before = get_isa()
        try:
            for name in self._names:
                backend, how = TARGETS[name]
                if how in EMULATED:
                    yield name, emulator.load(how)
                    continue
                if how in ISAS:
                    use_isa(how)
                with engine(ENGINES[name]) if name in ENGINES else nullcontext():
                    yield name, load(backend)
        finally:
            if ISAS:
                use_isa(before)


@pytest.fixture
def targets(request: pytest.FixtureRequest) -> Targets:
    return Targets(request.config.getoption("--targets"))


def test_a_device_is_a_target_where_one_answers(request: pytest.FixtureRequest) -> None:
    chosen = request.config.getoption("--targets")
    assert any(chosen in name for name in TARGETS), f"no target has {chosen!r} in its name; there are: {', '.join(TARGETS)}"
    assert ("cupy-device" in TARGETS) == (not unavailable("cupy"))


def _offers(target: str, backend: Backend, case: Case) -> bool:
    """Whether it has the case's products: tf32 is an NVIDIA GPU's; all kernels round to bfloat16."""
    if target in ENGINES:
        return case.precision == "bfloat16"
    return case.precision != "tf32" or not backend.why_unavailable("tf32")


def _dtypes(target: str, case: Case) -> tuple[str, ...]:
    """The dtypes that the case is checked with there: all of them, and where each costs a compilation, pairs.

    Numba compiles a kernel anew for each function and dtype. Each function has both dtypes there, one forward and one backward.
    """
    function = next((s.id for s in case.scalars.values() if isinstance(s, Activation | PointwiseLoss)), None)
    if target != "numba" or function is None or case.spec.family == "dense":
        return case.dtypes
    odd = (function + case.kernel.endswith("_backward")) % 2
    return tuple(dtype for dtype in case.dtypes if dtype == FLOATS[odd])


def test_every_kernel_has_a_case() -> None:
    assert {case.kernel for case in TESTS} == set(KERNELS)
    assert {f.act.name for f in activation.FUNCTIONS} == {kind.name for kind in ACTIVATIONS}


@pytest.mark.skipif(not EMULATED, reason="needs Linux and a C++ compiler")
def test_every_kernel_is_one_of_cuda() -> None:
    assert emulator.load("emulated").native == set(KERNELS)


@pytest.mark.parametrize("case", TESTS, ids=str)
def test_agrees_with_the_reference(targets: Targets, case: Case) -> None:
    right = {dtype: (values := case.make(dtype), *check.expected(case, dtype, values)) for dtype in case.dtypes}
    for target, backend in targets:
        for dtype in _dtypes(target, case) if _offers(target, backend, case) else ():
            values, want, allowed = right[dtype]
            for name, got in check.run(backend, case, values).items():
                wrong = check.difference(got, want[name], allowed.get(name))
                assert not wrong, f"{target}: {case} {dtype}: {name}: {wrong}"


IN_PLACE = {
    "softmax_forward": ("y", "x"),
    "sparse_cross_entropy_forward": ("p", "logits"),
    "sparse_cross_entropy_backward": ("dlogits", "p"),
}
"""Kernels that may write over an input, by their documentation: that output, and that input."""


@pytest.mark.parametrize("case", [c for c in TESTS if c.kernel in IN_PLACE], ids=str)
def test_in_place_gives_the_same_bits(targets: Targets, case: Case) -> None:
    _check_in_place("reference", np.copy, check.REFERENCE[case.kernel], case)
    for target, backend in targets:
        _check_in_place(target, backend.asarray, backend.table[case.kernel], case)


def _check_in_place(target: str, put: Callable[[Array], Array], kernel: Callable[..., None], case: Case) -> None:
    output, over = IN_PLACE[case.kernel]
    for dtype in case.dtypes:
        values = case.make(dtype)
        apart, same = (values | {name: put(a) for name, a in check.arrays(case, values).items()} for _ in range(2))
        same[output] = same[over]
        for given in (apart, same):
            kernel(*given.values())
        for arg in (a for a in case.spec.arrays if a.writes):
            assert same[arg.name].tobytes() == apart[arg.name].tobytes(), f"{target}: {arg.name}"


def _at_the_edges(case: Case) -> list[tuple[str, str, Values, Values, Values, Values]]:
    """For each argument and special value: dtype, name, arguments, what is right, the error allowed, and what is not finite."""
    calls = []
    for dtype in (d for d in case.dtypes if d in FLOATS):
        values = case.make(dtype)
        for arg in (a for a in case.spec.arrays if a.reads and a.letter == "T" and values[a.name].size):
            # Weights are finite: in the reference others spread by 0 times NaN to classes that they do not belong to.
            for special in (x for x in SPECIALS if np.isfinite(x) or "weight" not in arg.name):
                values = case.make(dtype, unwritten=777.0, put=(arg.name, special))
                right = (*check.expected(case, dtype, values), check.reference(case, values))
                calls.append((dtype, f"{dtype}: {arg.name} with {special}", values, *right))
    return calls


@pytest.mark.parametrize("case", [c for c in TESTS if c.edges], ids=str)
def test_edges(request: pytest.FixtureRequest, case: Case) -> None:
    """NaN, infinity, negative zero, denormal and large numbers: NaN and infinity come out where the reference has them."""
    calls = _at_the_edges(case)
    # What an element's value does has nothing to do with the order of blocks, so that one emulated device is enough.
    for target, backend in Targets(request.config.getoption("--targets"), without=("cupy-emulated_reversed",)):
        dtypes = _dtypes(target, case) if _offers(target, backend, case) else ()
        for what, values, want, allowed, pattern in (call[1:] for call in calls if call[0] in dtypes):
            for name, got in check.run(backend, case, values).items():
                wrong = check.difference(got, want[name], allowed.get(name), pattern[name])
                assert not wrong, f"{target}: {case} {what}: {name}: {wrong}"


def _step_without_gradients(case: Case, dtype: str) -> Values:
    """Return the arguments of a step in which averages only decay, from values around the bounds and special ones."""
    numbers = np.finfo(dtype)
    seeds = [bound * f for bound in (SMALL[dtype], LEAST[dtype]) for f in (0.3, 0.5, 0.99, 1, 1.2, 2, 4)]
    seeds += [float(numbers.tiny), float(numbers.smallest_subnormal), 5 * float(numbers.smallest_subnormal), 0.0, 1.0, np.inf]
    seeds += [*np.negative(seeds), np.nan]
    values = case.make(dtype)
    signed, squares = SETTLED.get(case.kernel, ()) + LION.get(case.kernel, ()), HELD.get(case.kernel, ())
    for i, arg in enumerate(a for a in case.spec.arrays if a.letter == "T"):
        a = values[arg.name]
        mixed = np.random.default_rng(i).permutation(np.resize(np.array(seeds, dtype), a.size))
        a[...] = mixed if arg.name in signed else np.abs(mixed) if arg.name in squares else 0
    return values


@pytest.mark.parametrize("case", [c for c in TESTS if c.edges and c.kernel in {**SETTLED, **HELD, **LION}], ids=str)
def test_averages_do_not_become_denormal(targets: Targets, case: Case) -> None:
    for dtype in case.dtypes:
        values = _step_without_gradients(case, dtype)
        small, least = (np.array(bounds[dtype], dtype) for bounds in (SMALL, LEAST))
        want = check.reference(case, values)
        for target, backend in chain([("numpy", load("numpy"))], targets):
            for name, got in check.run(backend, case, values).items():
                where = f"{target}: {case} {dtype}: {name}"
                wrong = check.difference(got, want[name], 64 * np.finfo(dtype).eps * np.abs(want[name]))
                assert not wrong, f"{where}: {wrong}"
                if name in SETTLED.get(case.kernel, ()):
                    zeros = got[np.abs(got) < small]
                    assert not zeros.any() and not np.signbit(zeros).any(), where
                elif name in HELD.get(case.kernel, ()):
                    assert not (np.abs(got) < least).any(), where
                elif name in LION.get(case.kernel, ()):
                    assert not got[np.abs(got) < least].any(), where
                    same = np.isnan(got) | (np.sign(got) == np.sign(values[name]))
                    assert same.all(), where


@pytest.mark.skipif(sys.platform == "win32", reason="needs mprotect, which Windows does not have")
@pytest.mark.skipif(not ISAS, reason="no compiled kernels")
@pytest.mark.parametrize("family", dict.fromkeys(case.spec.family for case in TESTS))
def test_touches_nothing_beyond_its_arrays(request: pytest.FixtureRequest, family: str) -> None:
    isas = [isa for isa in ISAS if request.config.getoption("--targets") in f"cpp-{isa}"]
    if not isas:
        pytest.skip("--targets leaves out the compiled kernels")
    path = f"{Path(__file__).parents[1]}{os.pathsep}{Path(fastnn.__file__).parents[1]}"
    runs = {os.environ.get("FASTNN_BF16", ""): isas}
    if family == "dense" and get_isa() in isas:
        runs |= {name: [get_isa()] for name in engines()[1:]}
    for name, these in runs.items():
        env = {**os.environ, "PYTHONPATH": path, "FASTNN_BF16": name}
        command = [sys.executable, "-m", "cases.guard", family, *these]
        done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=300, check=False)
        last = done.stdout.splitlines()[-1:]
        assert done.returncode == 0 and last == ["done"], f"stopped with {done.returncode} at {last}: {done.stderr[-2000:]}"


def _gradient_call(case: Case, inputs: Values, outputs: Values, upstream: Values) -> Values:
    """The arguments of the backward kernel that belongs to a forward call."""
    args: Values = {}
    for arg in KERNELS[case.kernel.replace("forward", "backward")].args:
        if arg.kind == "mask":
            args[arg.name] = 0
        elif arg.writes and arg.optional and arg.dtype == "bool":  # marks
            args[arg.name] = np.empty(0, np.bool_)
        elif arg.writes:
            like = outputs["y"] if arg.name == "dz" else inputs.get(arg.name[1:])
            inside = like is None or (not like.size and not arg.optional)  # the gradient of numbers inside the kernel
            args[arg.name] = np.full(0 if arg.name in case.absent else case.shape(arg) if inside else like.shape, np.nan)
        else:
            args[arg.name] = next(source[arg.name] for source in (upstream, outputs, inputs) if arg.name in source)
    return args


@pytest.mark.parametrize("case", [c for c in TESTS if c.grad and c.kernel.endswith("_forward")], ids=str)
def test_gradients(case: Case) -> None:
    """The derivative in a random direction, by central differences of the forward kernel, is what the backward kernel says.

    This is a test of the reference: the other backends agree with it in both kernels.
    """
    backend = load("numpy")
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
    slope = sum(float((args[f"d{n}"] * d).sum()) for n, d in towards.items() if d.size)

    h = 1e-6

    def at(step: float) -> float:
        moved = check.run(backend, case, inputs | {n: inputs[n] + step * d for n, d in towards.items()})
        return sum(float((d * moved[n[1:]]).sum()) for n, d in upstream.items())

    found = (at(h) - at(-h)) / (2 * h)
    size = sum(float(np.abs(d * outputs[n[1:]]).sum()) for n, d in upstream.items())
    assert abs(slope - found) <= 1e-6 * (abs(found) + size) + 1e-9, f"backward gives {slope}, differences give {found}"


def test_every_gradient_is_checked() -> None:
    pairs = {name for name in KERNELS if name.endswith("_forward") and name.replace("forward", "backward") in KERNELS}
    assert {case.kernel for case in TESTS if case.grad and case.kernel.endswith("_forward")} == pairs


@pytest.mark.skipif(not ISAS, reason="no compiled kernels")
def test_the_first_layer_computes_no_input_gradient() -> None:
    """The tape does not ask for it where the input is data."""
    model = fastnn.Sequential([fastnn.Dense(5, activation="relu", input_shape=(7,)), fastnn.Dense(3)])
    recorder = Recorder(load("cpp"))
    with recording(recorder):
        model(fastnn.tensor(np.ones((4, 7), np.float32))).sum().backward()
    gradients = [args[:3] for name, args in recorder.calls if name == "dense_backward"]
    assert [dx.size > 0 for dx, _, _ in gradients] == [True, False]  # the last layer comes first
    assert all(dw.size and db.size for _, dw, db in gradients)
