"""The documentation says what the code does."""

import contextlib
import io
import re
import runpy
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def test_the_page_of_kernels_is_up_to_date() -> None:
    script = runpy.run_path(str(ROOT / "scripts" / "kernels_page"))
    assert (ROOT / "docs" / "kernels.md").read_text() == script["page"](), "run scripts/kernels_page"
    assert (ROOT / "fastnn" / "backends" / "kernels.pyi").read_text() == script["stub"](), "run scripts/kernels_page"


CONTINUED = "<!-- The programs of this page continue each other. -->"


def programs(path: Path) -> list[list[tuple[str, str]]]:
    """List the programs of a page: each a list of blocks, and the output that the page shows after each block."""
    text = path.read_text()
    blocks = re.findall(r"```python\n(.*?)```\n(?:\n?```text\n(.*?)```)?", text, re.S)
    return [blocks] if CONTINUED in text else [[block] for block in blocks]


NUMBER = re.compile(r"-?\d+\.\d+")


OPTIONAL = re.compile(r"^(?:import|from) (keras|matplotlib|onnx|onnxruntime|pandas|sklearn|tensorboard|torch)\b", re.M)


def alike(shown: str, printed: str) -> bool:
    """Compare outputs up to blanks. Numbers may differ in the last of several digits, and by 0.05 if they show at most two.

    Pages show at most two digits of what training finds, since rounding differs between instruction sets.
    """
    texts = [NUMBER.sub("#", text).split() for text in (shown, printed)]
    numbers = [NUMBER.findall(text) for text in (shown, printed)]
    digits = [len(a.split(".")[1]) for a in numbers[0]]
    allowed = [0.05 if n <= 2 else 2 * 0.1**n for n in digits]
    return texts[0] == texts[1] and all(abs(float(a) - float(b)) <= d for a, b, d in zip(*numbers, allowed, strict=True))


def test_outputs_are_compared() -> None:
    assert alike("loss 0.51\n[1.2345 2]", "loss  0.49 [1.2346 2]")
    assert not alike("loss 0.51", "loss 0.61") and not alike("1.2345", "1.2349") and not alike("a 7", "a 8")


PROGRAMS = [(page.name, i) for page in (ROOT / "README.md", *sorted(ROOT.glob("docs/*.md"))) for i in range(len(programs(page)))]


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")  # a page shows workers that are forked
@pytest.mark.parametrize(("page", "number"), PROGRAMS)
def test_the_programs_on_the_pages_run(page: str, number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = next(p for p in (ROOT / page, ROOT / "docs" / page) if p.exists())
    names = {"__name__": "__main__"}
    for program, shown in programs(path)[number]:
        for package in OPTIONAL.findall(program.replace("plot.", "\nimport matplotlib\n")):
            pytest.importorskip(package, reason=f"{package} is not installed")
        out = io.StringIO()
        with contextlib.redirect_stdout(out) if shown else contextlib.nullcontext():
            exec(compile(program, page, "exec"), names)
        if shown:
            assert alike(shown, out.getvalue()), f"{page} shows\n{shown}\nthe program printed\n{out.getvalue()}"


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
