"""The examples in the docstrings of the package that is installed."""

import doctest
import importlib
import inspect
import re
import sys
from pathlib import Path
from types import ModuleType

import pytest

import fastnn
from fastnn.core.registered import LAYERS

PACKAGE = Path(fastnn.__file__).parent
MODULES = {
    ".".join(("fastnn", *file.relative_to(PACKAGE).with_suffix("").parts)).removesuffix(".__init__"): ">>> " in file.read_text()
    for file in sorted(PACKAGE.rglob("*.py"))
}
"""Every module, and whether its text has an example."""


@pytest.mark.parametrize("name", [name for name, example in MODULES.items() if example])
def test_doctests(name: str) -> None:
    before = set(LAYERS)
    module = _module(name)
    for package in re.findall(r">>> import (\w+)", inspect.getsource(module)):
        pytest.importorskip(package)
    result = doctest.testmod(module, optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
    for key in set(LAYERS) - before:  # layers that an example defines are none of fastnn's
        layer = LAYERS[key]
        if getattr(sys.modules.get(layer.__module__), layer.__name__, None) is not layer:
            del LAYERS[key]
    assert result.attempted, "the example of the text is in no docstring"
    assert result.failed == 0, f"{result.failed} of {result.attempted} examples fail; see the output above"


@pytest.mark.parametrize("name", [name for name, example in MODULES.items() if not example])
def test_modules_can_be_imported(name: str) -> None:
    assert _module(name).__doc__, "what the module is for"


def _module(name: str) -> ModuleType:
    if name.startswith("fastnn.backends.numba"):
        pytest.importorskip("numba")
    if name == "fastnn.text.bpe":
        pytest.importorskip("tokenizers")
    if name.startswith("fastnn.tables."):
        pytest.importorskip("pandas")
    if name.startswith("fastnn.sklearn."):
        pytest.importorskip("sklearn")
    if name.startswith("fastnn.plot"):
        pytest.importorskip("matplotlib")
    return importlib.import_module(name)
