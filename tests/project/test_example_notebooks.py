"""The notebooks of examples/ have the text of their pages, and run."""

import json
import runpy
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
SCRIPT = runpy.run_path(str(ROOT / "scripts" / "notebooks"))
PAGES: tuple[Path, ...] = SCRIPT["SOURCES"]


def path_of(page: Path) -> Path:
    return ROOT / "examples" / f"{page.stem}.ipynb"


def test_every_notebook_has_a_page() -> None:
    assert {path_of(page) for page in PAGES} == set((ROOT / "examples").glob("*.ipynb"))
    assert len(PAGES) >= 3


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_notebooks_are_those_of_their_pages(page: Path) -> None:
    written = path_of(page).read_text(encoding="utf-8")
    assert written == SCRIPT["notebook"](page), "run scripts/notebooks"
    cells: list[dict[str, Any]] = json.loads(written)["cells"]
    assert cells[0]["cell_type"] == "markdown" and sum(cell["cell_type"] == "code" for cell in cells) > 5
    assert not [cell for cell in cells if "```python" in "".join(cell["source"])]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_notebooks_run(page: Path, tmp_path: Path) -> None:
    nbformat = pytest.importorskip("nbformat")
    nbclient = pytest.importorskip("nbclient")
    pytest.importorskip("ipykernel")
    pytest.importorskip("matplotlib")
    notebook = nbformat.read(path_of(page), as_version=4)
    nbformat.validate(notebook)
    nbclient.NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(tmp_path)}}).execute()
    assert all(cell.execution_count for cell in notebook.cells if cell.cell_type == "code")
