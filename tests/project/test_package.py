"""What is installed, what importing it costs, and how the build tells no compiler from one that fails."""

import importlib.util
import os
import re
import shutil
import subprocess
import sys
import types
from pathlib import Path

import pytest

import fastnn

ROOT = Path(__file__).parents[2]
PACKAGE = Path(fastnn.__file__).parent
BACKEND = os.environ.get("FASTNN_BACKEND", "cpp")
OPTIONAL = {
    *("click", "tqdm", "safetensors", "matplotlib", "PIL", "torch", "numba", "cupy", "sklearn", "scipy", "jax", "pytest"),
    *("numpy.random", "numpy.typing", "importlib.resources", "tempfile", "hashlib", "json", "inspect", "multiprocessing"),
    *("dataclasses", "csv", "pathlib", "urllib", "asyncio", "subprocess", "logging"),
}


def python(code: str, package: Path | None = None, **env: str) -> str:
    """What the code prints in a process of its own, away from the checkout, without the FASTNN_* variables.

    With package, fastnn is imported from that folder: -S keeps an editable installation from putting itself before it.
    """
    kept = {k: v for k, v in os.environ.items() if not k.startswith("FASTNN_")}
    command = [sys.executable, "-c", code]
    if package:
        kept["PYTHONPATH"] = os.pathsep.join([str(package), *filter(None, sys.path)])
        command.insert(1, "-S")
    done = subprocess.run(command, env={**kept, **env}, capture_output=True, text=True, cwd="/", check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


# Importing.


def test_import_loads_nothing_optional() -> None:
    """And nothing of the standard library that takes long; what an import costs is measured in benches/bench_import.py."""
    built = "[f.rebuild() for f in sys.meta_path if hasattr(f, 'rebuild')]"  # as an editable installation does first
    code = f"import sys, numpy; {built}; before = set(sys.modules); import fastnn; print(*sorted(set(sys.modules) - before))"
    assert not OPTIONAL & set(python(code).split())


# What is installed.


def test_version() -> None:
    (version,) = re.findall(r'^version = "(.+)"', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    assert fastnn.__version__ == version


def test_compiled_kernels_are_there() -> None:
    if BACKEND == "cpp":
        assert fastnn.backends()["cpp"].reason == ""
        assert fastnn.get_backend() == "cpp"


def copy_without_kernels(folder: Path) -> None:
    shutil.copytree(PACKAGE, folder / "fastnn", ignore=shutil.ignore_patterns("*.so", "__pycache__"))


def test_pure_installation_runs_and_says_so(tmp_path: Path) -> None:
    copy_without_kernels(tmp_path)
    code = "import fastnn; print(fastnn.info()); print(fastnn.Dense(2, input_shape=(3,))(fastnn.tensor([[1., 2, 3]])).shape)"
    hidden = "import sys; sys.modules['numba'] = None; "  # also where it is installed
    out = python(hidden + code, tmp_path, CUDA_VISIBLE_DEVICES="")
    assert "backend  numpy" in out
    assert "no C++ compiler was found when it was installed" in out
    assert "runs on the NumPy reference alone" in out
    assert "(1, 2)" in out


def test_pure_installation_takes_numba_where_it_is(tmp_path: Path) -> None:
    pytest.importorskip("numba")
    copy_without_kernels(tmp_path)
    out = python("import fastnn; print(fastnn.info()); print(fastnn.relu([-1.0, 2.0]).numpy())", tmp_path)
    assert "backend  numba" in out and "NumPy reference alone" not in out and "[0. 2.]" in out


def test_source_folder_is_told_from_a_pure_installation(tmp_path: Path) -> None:
    copy_without_kernels(tmp_path)
    (tmp_path / "CMakeLists.txt").touch()
    assert "imports fastnn's source folder" in python("import fastnn; print(fastnn.info())", tmp_path)


def test_cpp_asked_for_by_name_is_refused_without_kernels(tmp_path: Path) -> None:
    copy_without_kernels(tmp_path)
    code = "import fastnn\ntry: fastnn.get_backend()\nexcept RuntimeError as e: print(e)"
    out = python(code, tmp_path, FASTNN_BACKEND="cpp")
    assert out.startswith("FASTNN_BACKEND=cpp: backend 'cpp' is not available: this installation has no compiled kernels")


# The build backend.


@pytest.fixture
def backend(monkeypatch: pytest.MonkeyPatch) -> types.ModuleType:
    """scripts/build_backend.py over a stand-in for scikit-build-core whose hooks give back the settings they get."""
    hooks = {
        "get_requires_for_build_sdist": lambda settings=None: settings,
        "get_requires_for_build_wheel": lambda settings: settings,
        "get_requires_for_build_editable": lambda settings: settings,
        "prepare_metadata_for_build_wheel": lambda folder, settings: settings,
        "prepare_metadata_for_build_editable": lambda folder, settings: settings,
        "build_sdist": lambda folder, settings=None: settings,
        "build_wheel": lambda folder, settings, metadata: settings,
        "build_editable": lambda folder, settings, metadata: settings,
    }
    scikit_build_core = types.ModuleType("scikit_build_core")
    scikit_build_core.build = types.SimpleNamespace(**hooks)  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "scikit_build_core", scikit_build_core)
    spec = importlib.util.spec_from_file_location("build_backend", ROOT / "scripts" / "build_backend.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def programs(folder: Path, *names: str) -> str:
    """A PATH on which these programs are all there is."""
    folder.mkdir()
    for name in names:
        (folder / name).write_text("#!/bin/sh\nexit 1\n")
        (folder / name).chmod(0o755)
    return str(folder)


@pytest.mark.parametrize("name", ["c++", "g++", "clang++"])
def test_compiler_on_the_path(backend: types.ModuleType, tmp_path: Path, name: str) -> None:
    environ = {"PATH": programs(tmp_path / "bin", "cmake", name)}
    assert backend.find_compiler(environ) == name
    # That it does not work is for the build to find out, not a reason for a pure wheel.
    assert backend.wheel_settings({"cmake.build-type": "Debug"}, environ) == {"cmake.build-type": "Debug"}


def test_no_compiler(backend: types.ModuleType, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    environ = {"PATH": programs(tmp_path / "bin", "cmake", "gcc", "ninja")}
    assert backend.find_compiler(environ) is None
    assert backend.wheel_settings(None, environ) == {"wheel.cmake": "false"}
    assert "no C++ compiler" in capfd.readouterr().err
    assert backend.wheel_settings(None, {**environ, "FASTNN_REQUIRE_NATIVE": "0"}) == {"wheel.cmake": "false"}
    with pytest.raises(SystemExit, match="FASTNN_REQUIRE_NATIVE is set, but there is no C"):
        backend.wheel_settings(None, {**environ, "FASTNN_REQUIRE_NATIVE": "1"})


def test_compiler_named_by_cxx(backend: types.ModuleType, tmp_path: Path) -> None:
    path = programs(tmp_path / "bin", "ccache", "mycc")
    assert backend.find_compiler({"PATH": path, "CXX": "mycc"}) == "mycc"
    assert backend.find_compiler({"PATH": path, "CXX": "ccache mycc -m64"}) == "ccache"
    assert backend.find_compiler({"PATH": "", "CXX": str(tmp_path / "bin" / "mycc")}) == str(tmp_path / "bin" / "mycc")
    with pytest.raises(SystemExit, match="CXX=g\\+\\+-99: there is no program"):
        backend.find_compiler({"PATH": path, "CXX": "g++-99"})


def test_hooks_pass_the_decision_on(backend: types.ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CXX", raising=False)
    monkeypatch.delenv("FASTNN_REQUIRE_NATIVE", raising=False)
    for path, wanted in ((programs(tmp_path / "with", "g++"), {}), (programs(tmp_path / "without"), {"wheel.cmake": "false"})):
        monkeypatch.setenv("PATH", path)
        for kind in ("wheel", "editable"):
            assert getattr(backend, f"get_requires_for_build_{kind}")() == wanted
            assert getattr(backend, f"prepare_metadata_for_build_{kind}")("folder") == wanted
            assert getattr(backend, f"build_{kind}")("folder") == wanted


# The objects of the last build from this checkout.


def test_isa_objects_define_no_weak_symbol() -> None:
    if not any((ROOT / "build").glob("*/CMakeFiles/kernels_*.dir/**/*.o")) or not shutil.which("nm"):
        pytest.skip("the objects of a build are not at hand")
    done = subprocess.run([ROOT / "scripts" / "check_symbols", ROOT / "build"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
