"""Every CUDA program, compiled by NVRTC for several generations of GPUs; no GPU is needed."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

import pytest
from cases import TESTS
from cases.case import Case
from emulator.programs import Program, programs

from fastnn.backends.cupy.nvrtc import machine_code
from fastnn.backends.spec import FAMILIES, KERNELS

try:
    from cupy_backends.cuda.libs import nvrtc

    nvrtc.getVersion()
except (ImportError, RuntimeError) as error:
    pytest.skip(f"needs the packages cupy and nvidia-cuda-nvrtc: {error}", allow_module_level=True)

FULL = "sm_90"
"""For this one programs of all kernels and functions are compiled, for the others one of each kernel."""
OTHERS = ("sm_80", "sm_100")
LOCAL = {"sin", "cos"}
"""Activations whose programs use local memory: CUDA has an array there for angles that are very large."""
FEW = {"linear", "gelu"}
"""Activations of the dense layer that stand for all: their functions are those of the activation family."""
ALL_DTYPES = {"", "linear", "gelu", "sin", "squared_error", "huber"}
"""Functions whose programs are compiled for all dtypes, others for float32 alone: it is one text."""
PARTS = {"activation": 6, "loss": 3, "dense": 2}
"""Tests that a family's functions are divided into, for several processes."""
AROUND_CALLS = 32
"""Bytes that the assembler spills at most where CUDA's arithmetic calls its slow paths, as divisions of float64 and int64 do."""


def function(case: Case) -> str:
    """The activation or loss of a case; empty if there is none."""
    return next((s.name for name, s in case.scalars.items() if name in ("act", "fn")), "")


def wrong(listed: Iterable[tuple[Program, bool]], architecture: str) -> list[str]:
    """What is wrong with programs: they compile, take the arguments that the host packs, spill nothing.

    Programs that differ in their entry point alone are compiled together, as most of the time goes into what they share.

    Args:
        listed: programs, and whether each may use local memory.
    """
    together: dict[str, list[tuple[Program, bool]]] = {}
    for program, local in listed:
        together.setdefault(program.source[: program.source.rindex('extern "C"')], []).append((program, local))
    return [words for shared, alike in together.items() for words in _wrong(shared, alike, architecture)]


def _wrong(shared: str, alike: list[tuple[Program, bool]], architecture: str) -> list[str]:
    source, entries, what = shared, [], f"{shared.splitlines()[0]} for {architecture}"
    for i, (program, _) in enumerate(alike):
        args = re.search(rf"{program.entry}\(const ([^()]+) a\)", program.source)
        assert args, "an entry point that takes a struct of arguments"
        entries.append(f"{program.entry}_{i}")
        source += program.source[len(shared) :].replace(f" {program.entry}(", f" {entries[-1]}(")
        source += f'static_assert(sizeof({args[1]}) == {program.packed}, "as the host packs it");\n'
    handle = nvrtc.createProgram(source, "programs.cu", (), ())
    try:
        nvrtc.compileProgram(handle, (f"-arch={architecture}", "-std=c++17", "-w", "--ptxas-options=-v"))
        log = nvrtc.getProgramLog(handle)
    except nvrtc.NVRTCError:
        return [f"{what}: {nvrtc.getProgramLog(handle)}"]
    finally:
        nvrtc.destroyProgram(handle)
    assert sorted(re.findall(r"Compiling entry function '(\w+)'", log)) == sorted(entries), log
    found = []
    for entry, (program, local) in zip(entries, alike, strict=True):
        frame = re.search(rf"properties for {entry}\n\D*(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+)", log)
        assert frame, log
        stack, stores, loads = map(int, frame.groups())
        if max(stores, loads) > AROUND_CALLS or (stack > AROUND_CALLS and not local):
            line = program.source[len(shared) :].strip()
            found.append(f"{line}, {what}: {stack} bytes of stack, {stores} of spills stored, {loads} loaded")
    return found


def wanted(case: Case) -> bool:
    return case.spec.family != "dense" or function(case) in FEW | {""}


@pytest.mark.parametrize(("family", "part"), [(family, part) for family in FAMILIES for part in range(PARTS.get(family, 1))])
def test_programs_compile_without_spills(family: str, part: int) -> None:
    cases = [case for case in TESTS if case.spec.family == family and wanted(case)]
    functions = sorted({function(case) for case in cases})[part :: PARTS.get(family, 1)]
    listed: dict[Program, bool] = {}
    for local in (True, False):
        mine = [c for c in cases if function(c) in functions and (function(c) in LOCAL) == local]
        listed |= dict.fromkeys(programs([c for c in mine if function(c) in ALL_DTYPES]), local)
        listed |= dict.fromkeys(programs([c for c in mine if function(c) not in ALL_DTYPES], ["float32"]), local)
    assert listed
    assert not (found := wrong(listed.items(), FULL)), "\n".join(found)


@pytest.mark.parametrize("architecture", OTHERS)
@pytest.mark.parametrize("family", FAMILIES)
def test_other_generations(family: str, architecture: str) -> None:
    listed = []
    for kernel in (k for k in KERNELS if KERNELS[k].family == family):
        case = next(case for case in TESTS if case.kernel == kernel and function(case) not in LOCAL)
        dtype = "float64" if "float64" in case.dtypes else case.dtypes[0]
        listed += [(program, False) for program in programs([case], [dtype])]
    assert not (found := wrong(listed, architecture)), "\n".join(found)


def test_machine_code_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUPY_CACHE_DIR", str(tmp_path / "kernels"))
    source = 'extern "C" __global__ void double_it(float* x) { *x *= 2; }'
    assert machine_code(source, 90)[:4] == b"\x7fELF"
    (file,) = (tmp_path / "kernels").iterdir()
    file.write_bytes(b"what lies there")
    assert machine_code(source, 90) == b"what lies there" != machine_code(source, 80)
    monkeypatch.setenv("CUPY_CACHE_DIR", str(file))  # no folder
    assert machine_code(source, 90)[:4] == b"\x7fELF"
    later = machine_code(source, 10000).decode()  # assembly code for GPUs that NVRTC does not know
    assert ".target sm_" in later and ".ftz" not in later, "numbers near 0 stay what they are"
    with pytest.raises(RuntimeError, match='identifier "nothing" is undefined'):
        machine_code("__device__ int something = nothing;", 90)
