"""The machine code of programs: made by NVRTC, and kept on disk beside that of CuPy's own kernels.

CuPy's `RawKernel` would do both, but lets float32 numbers below 1e-38 become 0, which they are nowhere else.
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
    """Return a program's code for a GPU of this compute capability (90 for 9.0).

    Raises:
        RuntimeError: it does not compile.
    """
    import cupy

    nvrtc = cupy.cuda.nvrtc
    known = max(arch for arch in nvrtc.getSupportedArchs() if arch <= capability)
    # A GPU of a later generation than NVRTC knows runs the assembly code of the last one, which its driver translates.
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
    """Return where CuPy keeps its kernels."""
    return Path(os.environ.get("CUPY_CACHE_DIR") or "~/.cupy/kernel_cache").expanduser()


def _keep(file: Path, content: bytes) -> None:
    """Write a file that others see whole or not at all."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=file.parent, delete=False) as part:
        part.write(content)
    os.replace(part.name, file)
