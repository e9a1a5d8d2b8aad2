"""What all tests share."""

from __future__ import annotations

import os
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import emulator
import numpy as np
import pytest

import fastnn
from fastnn.backends.base import Backend
from fastnn.backends.cpp import CppBackend
from fastnn.losses.torch import classes as class_loss

os.environ.setdefault("KERAS_BACKEND", "torch" if find_spec("torch") else "jax")  # it chooses TensorFlow otherwise


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--emulated", action="store_true", help="the cupy backend is an emulated device; FASTNN_BACKEND=cupy to run on it"
    )
    parser.addoption(
        "--targets", default="", help="the backends of the kernel tests, by a part of their names; all of them if left out"
    )
    parser.addoption(
        "--every", type=int, default=1, metavar="N", help="runs every Nth of the tests that would run, the same ones each time"
    )
    parser.addoption("--every-from", type=int, default=0, metavar="K", help="begins with test K mod N of those of --every")
    parser.addoption(
        "--note-skipped", metavar="FILE", help="writes down which tests were skipped, for a later pytest @FILE with more packages"
    )


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "long: takes minutes where the device is an emulated one, and is skipped there")
    if config.getoption("--emulated"):
        emulator.install()
    if config.getoption("--note-skipped") and not hasattr(config, "workerinput"):  # the process that all reports come to
        config.pluginmanager.register(NoteSkipped(Path(config.getoption("--note-skipped"))))


class NoteSkipped:
    """Writes down the tests, or whole files, of which anything was skipped."""

    def __init__(self, file: Path) -> None:
        self.file, self.found = file.absolute(), dict[str, None]()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.skipped:  # with more packages, a test without parameters may have some
            empty = "empty parameter set" in str(report.longrepr)
            self.found[report.nodeid.partition("[")[0] if empty else report.nodeid] = None

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.skipped:
            self.found[report.nodeid] = None

    def pytest_sessionfinish(self) -> None:
        self.file.write_text("".join(f"{name}\n" for name in self.found))


@pytest.hookimpl(trylast=True)  # after -k and -m have chosen
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if (n := config.getoption("--every")) > 1:
        first = config.getoption("--every-from") % n
        config.hook.pytest_deselected(items=[item for i, item in enumerate(items) if i % n != first])
        items[:] = items[first::n]
    if config.getoption("--emulated"):
        for item in items:
            if item.get_closest_marker("long"):
                item.add_marker(pytest.mark.skip(reason="takes minutes on an emulated device"))


@pytest.fixture(scope="session", autouse=True)
def other_processes_have_no_emulated_device(request: pytest.FixtureRequest) -> None:
    """Those that tests start choose a backend of their own."""
    if request.config.getoption("--emulated") and (name := os.environ.pop("FASTNN_BACKEND", "")):
        fastnn.set_backend(name)


@pytest.fixture(scope="session", autouse=True)
def away_from_the_checkout(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Tests run in another folder: the processes that they start import the package that is installed, not the checkout's."""
    before = os.getcwd()
    os.chdir(tmp_path_factory.mktemp("away"))
    yield
    os.chdir(before)


@pytest.fixture(autouse=True)
def seeded(request: pytest.FixtureRequest) -> None:
    """The same random numbers in every run, also of a test module's own `rng`, whichever tests ran before in its process: by
    chance, two classes of a fresh network tie about once in a hundred runs."""
    fastnn.seed(0)
    module = request.node.getparent(pytest.Module)  # none around a doctest
    rng = getattr(module.obj, "rng", None) if module else None
    if isinstance(rng, np.random.Generator):
        rng.bit_generator.state = np.random.default_rng(0).bit_generator.state


@pytest.fixture
def every_precision(monkeypatch: pytest.MonkeyPatch) -> None:
    """All precisions are available: kernels round on any CPU, only the permission depends on it. `monkeypatch.undo` ends this."""
    for backend in (Backend, CppBackend):
        monkeypatch.setattr(backend, "why_unavailable", lambda self, precision: "")


@pytest.fixture(autouse=True)
def warnings_come_again() -> None:
    """What warns once in a process warns in each test, so that no test depends on those before it."""
    class_loss._warned.clear()
