"""Compiles programs by NVRTC, and keeps the machine code on disk beside that of CuPy's kernels.

CuPy's `RawKernel` would do both, but it flushes float32 numbers below 1e-38 to 0, which no other backend does.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any

from .. import private

OPTIONS = ("-std=c++17", "-w")


def machine_code(source: str, capability: int) -> bytes:
    """Return the machine code of a program for a GPU of this compute capability (90 for 9.0).

    Raises:
        RuntimeError: the program cannot be compiled.
    """
    import cupy

    nvrtc = cupy.cuda.nvrtc
    known = max(arch for arch in nvrtc.getSupportedArchs() if arch <= capability)
    # For a GPU of a later generation than NVRTC supports, the driver translates the assembly code for the last supported one.
    kind, code = ("sm", nvrtc.getCUBIN) if known // 10 == capability // 10 else ("compute", nvrtc.getPTX)
    options = (f"-arch={kind}_{known}", *OPTIONS)
    key = hashlib.sha256("\0".join((source, *options, str(nvrtc.getVersion()))).encode()).hexdigest()
    file = Path(private.folder(_folder())) / f"fastnn-{key}.{kind}"
    with suppress(OSError):
        if (kept := private.read(file)) is not None:
            return kept
    made = _compiled(nvrtc, source, options, code)
    with suppress(OSError):
        _keep(file, made)
    return made


def _compiled(nvrtc: Any, source: str, options: tuple[str, ...], code: Any) -> bytes:
    program = nvrtc.createProgram(source, "fastnn.cu", (), ())
    try:
        nvrtc.compileProgram(program, options)
        made = code(program)
    except nvrtc.NVRTCError as error:
        raise RuntimeError(f"NVRTC: {error}: {nvrtc.getProgramLog(program)}") from None
    finally:
        nvrtc.destroyProgram(program)
    return made if isinstance(made, bytes) else bytes(made, "utf-8")


def _folder() -> Path:
    """Return the folder in which CuPy keeps its kernels."""
    return Path(os.environ.get("CUPY_CACHE_DIR") or "~/.cupy/kernel_cache").expanduser()


def _keep(file: Path, content: bytes) -> None:
    """Write a file so that other processes never see an incomplete one."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=file.parent, delete=False) as part:
        part.write(content)
    os.replace(part.name, file)
