"""Settings of the manual, which scripts/docs builds; the pages of the API reference are written from the public names."""

from __future__ import annotations

import importlib
import inspect
import re
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

import fastnn

project = "fastnn"
copyright = "the authors of fastnn"
release = fastnn.__version__
sys.path.insert(0, str(Path(__file__).parent))
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "figures"]
exclude_patterns = ["templates"]
html_theme = "furo"
html_title = "fastnn"
html_show_sourcelink = False
html_copy_source = False
smartquotes = False
default_role = "code"  # single backticks in docstrings are code
myst_heading_anchors = 3
myst_enable_extensions = ["dollarmath"]
napoleon_custom_sections = [("Returns", "prose")]  # ours begin with no type, so a colon in them is a colon
autodoc_typehints_format = "short"
autodoc_member_order = "bysource"


def _packages(name: str) -> list[str]:
    """Return a package and the public packages in it."""
    modules = {n: getattr(importlib.import_module(name), n) for n in importlib.import_module(name).__all__}
    inside = [n for n, m in modules.items() if getattr(m, "__name__", "") == f"{name}.{n}" and hasattr(m, "__all__")]
    return [name, *(found for n in inside if f"{name}.{n}" != "fastnn.ops" for found in _packages(f"{name}.{n}"))]


def _kind(value: Any) -> str:
    """Return the heading under which a public name stands."""
    if inspect.isclass(value):
        return "Layers" if issubclass(value, fastnn.nn.Module) else "Classes"
    return "Functions" if inspect.isroutine(value) else "Values"  # values, such as registries, have no page


def _options(value: type) -> list[str]:
    """Return the options of a class: base classes show what their subclasses inherit, and named tuples show their docstring."""
    if hasattr(value, "_fields"):
        return []
    return ["   :members:"] + ["   :inherited-members: object"] * (
        value in (fastnn.Module, fastnn.Tensor, fastnn.optim.Optimizer)
    )


def _page(name: str, described: dict[int, str]) -> str:
    """Return the reference page of a package: its public names by kind, each with its docstring.

    described: the names that have been described so far, by the id of their objects. Each object is described once; other names
    of it refer to the first one.
    """
    module = importlib.import_module(name)
    lines = [name, "=" * len(name), "", f".. module:: {name}", "", inspect.getdoc(module) or "", ""]
    own = {n: v for n in sorted(module.__all__, key=str.lower) if not isinstance(v := getattr(module, n), ModuleType)}
    foreign = {n: v for n, v in own.items() if not str(getattr(v, "__module__", "")).startswith("fastnn")}
    others = {n: described[id(v)] for n, v in own.items() if n not in foreign and id(v) in described}
    for kind in ("Classes", "Layers", "Functions"):
        names = [n for n, v in own.items() if _kind(v) == kind and n not in foreign and n not in others]
        if names:
            lines += [kind, "-" * len(kind), ""]
        for n in names:
            if id(own[n]) in described:  # a second name of this page
                others[n] = described[id(own[n])]
                continue
            described[id(own[n])] = f"{name}.{n}"
            if kind == "Functions":
                lines += [f".. autofunction:: {name}.{n}", ""]
            else:
                lines += [f".. autoclass:: {name}.{n}", *_options(own[n]), ""]
    if others:
        lines += ["Other names", "-" * 11, "", ".. list-table::", ""]
        lines += [f"   * - `{name}.{n}`\n     - :any:`{first}`" for n, first in others.items()]
    if named := [f"`{n}`" for n, v in foreign.items() if isinstance(v, type | np.dtype)]:
        lines += ["", "From NumPy and Python", "-" * 21, "", f"These are types of NumPy or Python: {', '.join(named)}.", ""]
    return "\n".join(lines)


def _write_reference(app: Any) -> None:
    """Write api/, one page for each public package; pages that would not change are left alone, so that builds are quick."""
    folder = Path(app.srcdir) / "api"
    folder.mkdir(exist_ok=True)
    names = _packages("fastnn")
    described: dict[int, str] = {}
    pages = {f"{name}.rst": _page(name, described) for name in sorted(names, key=lambda name: name.startswith("fastnn.keras"))}
    contents = "\n".join(f"   {name}" for name in sorted(names))
    pages["index.rst"] = f"API reference\n=============\n\n.. toctree::\n   :maxdepth: 1\n\n{contents}\n"
    for stale in {p.name for p in folder.iterdir()} - set(pages):
        (folder / stale).unlink()
    for name, text in pages.items():
        if not (folder / name).exists() or (folder / name).read_text() != text:
            (folder / name).write_text(text)


def _as_restructured_text(app: Any, what: str, name: str, value: Any, options: Any, lines: list[str]) -> None:
    """Escape what docstrings mean literally, such as a * b and |x|, and join lists of arguments that go over several lines."""
    names, text = r"(?:[\w*]+, )*[\w*]+,", "\n".join(lines)
    text = re.sub(rf"(?m)^    {names}(?:\n {{8}}{names})*\n {{8}}", lambda m: re.sub(r"\n {8}", " ", m[0]), text)
    parts = re.split(r"(``.*?``|`[^`]*`|^ *>>>(?:.+\n?)+)", text, flags=re.M)
    parts[::2] = [re.sub(r"([*|]|(?<=\w)_(?!\w))", r"\\\1", part) for part in parts[::2]]
    lines[:] = "".join(parts).split("\n")


def _skipped(app: Any, what: str, name: str, value: Any, skip: bool, options: Any) -> bool | None:
    """Leave out methods that other packages put into our classes, such as those of scikit-learn's metadata routing."""
    module = getattr(value, "__module__", None) or "fastnn"
    return None if not callable(value) or module.startswith("fastnn") else True


def setup(app: Any) -> None:
    """Let Sphinx write the reference before it reads the pages, and read our docstrings."""
    app.connect("builder-inited", _write_reference)
    app.connect("autodoc-process-docstring", _as_restructured_text, priority=400)  # before napoleon
    app.connect("autodoc-skip-member", _skipped)
