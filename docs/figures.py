"""Directive of the manual that draws: the programs of a page run while it is built, and the figure is put where it stands.

    ```{drawn} Caption of the figure
    fastnn.plot.history(history)
    ```

The code sees what the Python blocks before it have made, and changes nothing of it. Its last line is a figure of Matplotlib. The
page shows the code, the figure and the caption. On a page that is read as plain Markdown, the code is a block like others.
"""

from __future__ import annotations

import ast
import contextlib
import io
import re
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.util.docutils import SphinxDirective


class Drawn(SphinxDirective):
    """Run the blocks of the page up to this one, and show the figure that it makes."""

    has_content = True
    required_arguments = 1
    final_argument_whitespace = True

    def run(self) -> list[nodes.Node]:
        """Return the code and its figure."""
        page = self.env.docname
        names, number = self.env.temp_data.setdefault("drawn", ({"__name__": "__main__"}, [0]))
        parts = Path(self.env.doc2path(page)).read_text(encoding="utf-8").split("```{drawn}")
        before = parts[number[0]]
        number[0] += 1
        with contextlib.redirect_stdout(io.StringIO()):
            for program in re.findall(r"```python\n(.*?)```\n", before, re.S):
                exec(compile(program, page, "exec"), names)
        code = "\n".join(self.content)
        file = Path(self.env.srcdir) / "figures" / f"{page}_{number[0]}.svg"
        file.parent.mkdir(exist_ok=True)
        figure(code, dict(names)).savefig(file, bbox_inches="tight", metadata={"Date": None})
        text = nodes.literal_block(code, code, language="python")
        image = nodes.image(uri=f"figures/{file.name}", alt=self.arguments[0])
        shown = nodes.figure("", image, nodes.caption("", *self.parse_inline(self.arguments[0])[0]))
        return [text, shown]


def figure(code: str, names: dict[str, Any]) -> Any:
    """Return what the last expression of the code is."""
    *lines, last = ast.parse(code).body
    if not isinstance(last, ast.Expr):
        raise ValueError("drawn: the last line is not a figure")
    exec(compile(ast.Module(lines, []), "drawn", "exec"), names)
    return eval(compile(ast.Expression(last.value), "drawn", "eval"), names)


def setup(app: Any) -> None:
    """Add the directive to Sphinx."""
    app.add_directive("drawn", Drawn)
