"""HTML that notebooks show for models, histories and other objects."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape as escaped

__all__ = ["escaped", "preformatted", "table"]


def table(names: Sequence[str], rows: Iterable[Sequence[object]], left: int = 1) -> str:
    """Return a table. The first columns, as many as `left`, are aligned to the left, the others to the right.

    >>> table(["layer", "size"], [["dense", 4]])
    '<table><thead><tr><th style="text-align:left">layer</th><th style="text-align:right">size</th></tr></thead><tbody><tr>...'
    """
    sides = ["left"] * left + ["right"] * (len(names) - left)

    def cells(tag: str, row: Sequence[object]) -> str:
        pairs = zip(sides, row, strict=True)
        return (
            "<tr>" + "".join(f'<{tag} style="text-align:{side}">{escaped(str(cell))}</{tag}>' for side, cell in pairs) + "</tr>"
        )

    body = "".join(cells("td", row) for row in rows)
    return f"<table><thead>{cells('th', names)}</thead><tbody>{body}</tbody></table>"


def preformatted(text: str) -> str:
    """Return text in a font of fixed width.

    >>> preformatted("a < b")
    '<pre style="line-height:1.25">a &lt; b</pre>'
    """
    return f'<pre style="line-height:1.25">{escaped(text)}</pre>'
