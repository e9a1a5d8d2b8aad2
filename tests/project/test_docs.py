"""The documentation says what the code does."""

import re
import runpy
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def test_the_page_of_kernels_is_up_to_date() -> None:
    script = runpy.run_path(str(ROOT / "scripts" / "kernels_page"))
    assert (ROOT / "docs" / "kernels.md").read_text() == script["page"](), "run scripts/kernels_page"
    assert (ROOT / "fastnn" / "backends" / "kernels.pyi").read_text() == script["stub"](), "run scripts/kernels_page"


def blocks(path: Path) -> list[str]:
    return re.findall(r"```python\n(.*?)```", path.read_text(), re.S)


PROGRAMS = [(page.name, i) for page in (ROOT / "README.md", *sorted(ROOT.glob("docs/*.md"))) for i in range(len(blocks(page)))]


@pytest.mark.parametrize(("page", "number"), PROGRAMS)
def test_the_programs_on_the_pages_run(page: str, number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = next(p for p in (ROOT / page, ROOT / "docs" / page) if p.exists())
    program = blocks(path)[number]
    if "plot." in program:
        pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    for package in re.findall(r"^(?:import|from) (torch|keras|sklearn|h5py|onnx|onnxruntime)\b", program, re.M):
        pytest.importorskip(package)
    exec(compile(program, page, "exec"), {"__name__": "__main__"})


def test_the_manual_has_every_page() -> None:
    index = (ROOT / "docs" / "index.md").read_text()
    listed = re.findall(r"^([\w/]+)$", "".join(re.findall(r"```\{toctree\}(.*?)```", index, re.S)), re.M)
    assert sorted(listed) == sorted(["api/index", *(page.stem for page in ROOT.glob("docs/*.md") if page.stem != "index")])


def test_files_that_the_pages_name_exist() -> None:
    for page in ("README.md", "CONTRIBUTING.md", "csrc/README.md", *(f"docs/{p.name}" for p in ROOT.glob("docs/*.md"))):
        text = (ROOT / page).read_text()
        for link in re.findall(r"\]\(([\w./-]+)\)", text):
            assert ((ROOT / page).parent / link).exists(), f"{page}: {link}"
        for name in re.findall(r"`((?:fastnn|csrc|tests|benches|scripts)/[\w./-]+)`", text):
            assert (ROOT / name).exists(), f"{page}: {name}"
