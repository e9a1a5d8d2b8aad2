"""Every CUDA program, compiled by NVRTC for several generations of GPUs; no GPU is needed."""

from __future__ import annotations

import re
from collections.abc import Iterable

import emulator
import pytest
from emulator.programs import Program, of_kernel

from fastnn.backends.spec import ACTIVATION_IDS, KERNELS

try:
    from cupy_backends.cuda.libs import nvrtc

    nvrtc.getVersion()
except (ImportError, RuntimeError) as error:
    pytest.skip(f"needs the packages cupy and nvidia-cuda-nvrtc: {error}", allow_module_level=True)

ARCHITECTURES = ("sm_80", "sm_90", "sm_100")
FULL = "sm_90"
"""For this one programs of all functions and dtypes are compiled, for the others one of each kernel and dtype."""

STACK = {(name, function) for name in ("activation_forward", "activation_backward") for function in ("sin", "cos")}
"""Whose programs may use local memory: CUDA reduces the largest angles in an array of its own."""

KERNELS_THERE = [name for name in KERNELS if name in emulator.kernels(emulator.EmulatedDevice())]


def compiled(program: Program, architecture: str) -> str:
    """NVRTC's log of a program, with what its assembler says of each entry point."""
    kernel = KERNELS[program.kernel]
    size = 8 * (sum(3 if a.kind in ("act", "loss") else 1 for a in kernel.args) + len(kernel.sizes))
    args = re.search(rf"{program.entry}\(const (\S+_args\S*(?: \S+)?) a\)", program.source)
    assert args, "the entry point takes the arguments of the contract"
    source = f'{program.source}static_assert(sizeof({args[1]}) == {size}, "as launch.py packs it");\n'
    handle = nvrtc.createProgram(source, f"{program.kernel}.cu", (), ())
    try:
        nvrtc.compileProgram(handle, (f"-arch={architecture}", "-std=c++17", "--ptxas-options=-v"))
        assert nvrtc.getCUBIN(handle)
        return str(nvrtc.getProgramLog(handle))
    except nvrtc.NVRTCError:
        pytest.fail(f"{program[:3]} for {architecture}: {nvrtc.getProgramLog(handle)}")
    finally:
        nvrtc.destroyProgram(handle)


def one_of_each_dtype(programs: Iterable[Program]) -> list[Program]:
    return list({program.dtypes: program for program in programs}.values())


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("kernel", KERNELS_THERE)
def test_programs_compile_without_spills(kernel: str, architecture: str) -> None:
    programs = of_kernel(kernel)
    for program in programs if architecture == FULL else one_of_each_dtype(programs):
        log = compiled(program, architecture)
        assert re.findall(r"Compiling entry function '(\w+)'", log) == [program.entry]
        said = re.search(
            rf"properties for {program.entry}\n.*?(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads", log
        )
        assert said, log
        stack, *spills = map(int, said.groups())
        allowed = kernel in {k for k, _ in STACK} and program.function in {ACTIVATION_IDS[f] for _, f in STACK}
        assert not any(spills) and (allowed or not stack), f"{program[:3]} for {architecture}: {log}"
