"""The examples in the docstrings of the package that is installed."""

import doctest
import importlib
import pkgutil

import pytest

import fastnn

MODULES = ["fastnn"] + [m.name for m in pkgutil.walk_packages(fastnn.__path__, "fastnn.") if not m.name.endswith("._core")]


@pytest.mark.parametrize("name", MODULES)
def test_doctests(name: str) -> None:
    if name.startswith("fastnn.backends.numba."):
        pytest.importorskip("numba")
    result = doctest.testmod(importlib.import_module(name), optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
    assert result.failed == 0, f"{result.failed} of {result.attempted} examples fail; see the output above"
