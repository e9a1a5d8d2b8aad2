"""HTML that notebooks show for models, histories and other objects."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from html import escape as escaped

__all__ = ["escaped", "preformatted", "table"]


def table(names: Sequence[str], rows: Iterable[Sequence[object]], left: Collection[int] = (0,)) -> str:
    """Return a table. The columns of these numbers are aligned to the left, the others, of numbers, to the right.

    >>> table(["layer", "size"], [["dense", 4]])
    '<table><thead><tr><th style="text-align:left">layer</th><th style="text-align:right">size</th></tr></thead><tbody><tr>...'
    """
    sides = ["left" if i in left else "right" for i in range(len(names))]

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
