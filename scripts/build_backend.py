"""The build backend: scikit-build-core, told beforehand whether there is a C++ compiler.

Without one, fastnn installs as a pure wheel that runs on the NumPy reference. With one, whatever fails is an error: there is
no way from a failed build to a pure wheel. FASTNN_REQUIRE_NATIVE=1 refuses the pure wheel.
"""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from collections.abc import Mapping
from typing import Any

from scikit_build_core import build

Settings = dict[str, Any]

COMPILERS = ("clang-cl",) if os.name == "nt" else ("c++", "g++", "clang++")


def find_compiler(environ: Mapping[str, str]) -> str | None:
    """Return the C++ compiler that CMake will find: the one that CXX names, or the first of the usual names on the PATH.

    Raises:
        SystemExit: CXX names a program that is not there.
    """
    path = environ.get("PATH")
    if chosen := shlex.split(environ.get("CXX", "")):
        if not shutil.which(chosen[0], path=path):
            raise SystemExit(f"fastnn: CXX={environ['CXX']}: there is no program {chosen[0]}")
        return chosen[0]
    return next((name for name in COMPILERS if shutil.which(name, path=path)), None)


def wheel_settings(settings: Settings | None, environ: Mapping[str, str]) -> Settings:
    """Return the settings of the wheel: the given ones, with the compiled part off where there is no compiler.

    Raises:
        SystemExit: there is no compiler, and FASTNN_REQUIRE_NATIVE is set.
    """
    settings = dict(settings or {})
    if find_compiler(environ):
        return settings
    if environ.get("FASTNN_REQUIRE_NATIVE", "0") not in ("", "0"):
        raise SystemExit(
            f"fastnn: FASTNN_REQUIRE_NATIVE is set, but there is no C++ compiler: none of {', '.join(COMPILERS)} is on the PATH"
        )
    print("fastnn: there is no C++ compiler; installing without compiled kernels, on the NumPy reference alone", file=sys.stderr)
    return {**settings, "wheel.cmake": "false"}


def _prepare(config_settings: Settings | None) -> Settings:
    """Return the wheel's settings; compile on all cores, also where make is the build tool."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    os.environ.setdefault("CMAKE_BUILD_PARALLEL_LEVEL", str(cores))
    if os.name == "nt" and (compiler := find_compiler(os.environ)):  # otherwise CMake would choose Visual C++
        os.environ.setdefault("CXX", compiler)
        os.environ.setdefault("CMAKE_GENERATOR", "Ninja")
    return wheel_settings(config_settings, os.environ)


# The hooks of PEP 517 and PEP 660.

get_requires_for_build_sdist = build.get_requires_for_build_sdist
build_sdist = build.build_sdist


def get_requires_for_build_wheel(config_settings: Settings | None = None) -> list[str]:
    return build.get_requires_for_build_wheel(_prepare(config_settings))


def get_requires_for_build_editable(config_settings: Settings | None = None) -> list[str]:
    return build.get_requires_for_build_editable(_prepare(config_settings))


def prepare_metadata_for_build_wheel(metadata_directory: str, config_settings: Settings | None = None) -> str:
    return build.prepare_metadata_for_build_wheel(metadata_directory, _prepare(config_settings))


def prepare_metadata_for_build_editable(metadata_directory: str, config_settings: Settings | None = None) -> str:
    return build.prepare_metadata_for_build_editable(metadata_directory, _prepare(config_settings))


def build_wheel(wheel_directory: str, config_settings: Settings | None = None, metadata_directory: str | None = None) -> str:
    return build.build_wheel(wheel_directory, _prepare(config_settings), metadata_directory)


def build_editable(wheel_directory: str, config_settings: Settings | None = None, metadata_directory: str | None = None) -> str:
    return build.build_editable(wheel_directory, _prepare(config_settings), metadata_directory)
