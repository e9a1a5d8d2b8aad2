"""Every CUDA program, compiled by NVRTC for several generations of GPUs; no GPU is needed."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from cases import TESTS
from cases.case import Case
from emulator.programs import Program, programs

from fastnn.backends.cupy.nvrtc import machine_code
from fastnn.backends.spec import KERNELS

try:
    from cupy_backends.cuda.libs import nvrtc

    nvrtc.getVersion()
except (ImportError, RuntimeError) as error:
    pytest.skip(f"needs the packages cupy and nvidia-cuda-nvrtc: {error}", allow_module_level=True)

FULL = "sm_90"
"""For this one programs of all dtypes and functions are compiled, for the others one of each kernel."""
OTHERS = ("sm_80", "sm_100")
LOCAL = {"sin", "cos"}
"""Activations whose programs use local memory: CUDA has an array there for angles that are very large."""
FEW = {"linear", "gelu"}
"""Activations of the dense layer that stand for all: their functions are those of the activation family."""

AROUND_CALLS = 32
"""Bytes that the assembler spills at most where CUDA's arithmetic calls its slow paths, as divisions of float64 and int64 do."""


def function(case: Case) -> str:
    """The activation or loss of a case; empty if there is none."""
    return next((s.name for name, s in case.scalars.items() if name in ("act", "fn")), "")


def wrong(program: Program, architecture: str, local: bool) -> str:
    """What is wrong with a program, empty if nothing: it compiles, takes the arguments that the host packs, spills nothing."""
    args = re.search(rf"{program.entry}\(const ([^()]+) a\)", program.source)
    assert args, "an entry point that takes a struct of arguments"
    what = f"{args[1]}, {program.source.splitlines()[0]} for {architecture}"
    source = f'{program.source}static_assert(sizeof({args[1]}) == {program.packed}, "as the host packs it");\n'
    handle = nvrtc.createProgram(source, f"{program.entry}.cu", (), ())
    try:
        nvrtc.compileProgram(handle, (f"-arch={architecture}", "-std=c++17", "-w", "--ptxas-options=-v"))
        log = nvrtc.getProgramLog(handle)
    except nvrtc.NVRTCError:
        return f"{what}: {nvrtc.getProgramLog(handle)}"
    finally:
        nvrtc.destroyProgram(handle)
    assert re.findall(r"Compiling entry function '(\w+)'", log) == [program.entry], log
    frame = re.search(rf"properties for {program.entry}\n\D*(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+)", log)
    assert frame, log
    stack, stores, loads = map(int, frame.groups())
    right = max(stores, loads) <= AROUND_CALLS and (local or stack <= AROUND_CALLS)
    return "" if right else f"{what}: {stack} bytes of stack, {stores} of spills stored, {loads} loaded"


@pytest.mark.parametrize("kernel", KERNELS)
def test_programs_compile_without_spills(kernel: str) -> None:
    cases = [case for case in TESTS if case.kernel == kernel]
    if KERNELS[kernel].family == "dense":
        cases = [case for case in cases if function(case) in FEW | {""}]
    found = [
        wrong(program, FULL, local)
        for local in (False, True)
        for program in programs(case for case in cases if (function(case) in LOCAL) == local)
    ]
    assert not any(found), "\n".join(filter(None, found))


@pytest.mark.parametrize("architecture", OTHERS)
@pytest.mark.parametrize("kernel", KERNELS)
def test_other_generations(kernel: str, architecture: str) -> None:
    case = next(case for case in TESTS if case.kernel == kernel and function(case) not in LOCAL)
    dtype = "float64" if "float64" in case.dtypes else case.dtypes[0]
    found = [wrong(program, architecture, False) for program in programs([case], [dtype])]
    assert not any(found), "\n".join(filter(None, found))


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
