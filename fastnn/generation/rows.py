"""Rows of a batch of texts: their tokens, the text that these stand for, and where it ends."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from ..text.base import Stream


class Stops(NamedTuple):
    """Ends of a text: tokens, and strings in the text."""

    ids: frozenset[int]
    strings: tuple[str, ...]


def stops_of(stop: Any, of_text: bool) -> Stops:
    """Return what ends a text; raise TypeError or ValueError if it is neither tokens nor strings.

    of_text: whether texts are written, in which strings can be found.
    """
    items = [] if stop is None else list(stop) if isinstance(stop, list | tuple | set | frozenset | np.ndarray) else [stop]
    for item in items:
        if isinstance(item, bool) or not isinstance(item, str | int | np.integer):
            raise TypeError(f"generate: stop has {item!r}, wanted tokens (whole numbers) or strings")
        if item == "":
            raise ValueError("generate: stop has an empty string, which is in each text")
    strings = tuple(item for item in items if isinstance(item, str))
    if strings and not of_text:
        raise ValueError(f"generate: stop has the string {strings[0]!r}, but the prompt is token ids; pass text, or tokens")
    return Stops(frozenset(int(item) for item in items if not isinstance(item, str)), strings)


class Row:
    """Text to which tokens are added. A token or string that ends it is no part of it.

    Args:
        stops: what ends it.
        stream: decoder of its tokens; None if there is no text.
    """

    def __init__(self, stops: Stops, stream: Stream | None) -> None:
        self._stops, self._stream = stops, stream
        self._waiting = ""  # text that may be the begin of a stop
        self.tokens: list[int] = []
        self.text = ""
        self.ended = False
        self._cut = False  # whether a string ended it

    def feed(self, token: int) -> str:
        """Add a token, and return the text that is new. After its end, nothing is added."""
        if self.ended:
            return ""
        if token in self._stops.ids:
            self.ended = True
            return ""
        self.tokens.append(token)
        return "" if self._stream is None else self._add(self._stream.feed(token))

    def finish(self) -> str:
        """Return the text that still waited, at the end of all tokens."""
        if self._stream is None or self._cut:
            return ""
        piece = self._add(self._stream.end())
        rest = "" if self._cut else self._waiting
        self.text += rest
        return piece + rest

    def _add(self, new: str) -> str:
        self._waiting += new
        places = [at for stop in self._stops.strings if (at := self._waiting.find(stop)) >= 0]
        if places:
            self.ended = self._cut = True
            piece, self._waiting = self._waiting[: min(places)], ""
        else:
            kept = max((_begun(self._waiting, stop) for stop in self._stops.strings), default=0)
            at = len(self._waiting) - kept
            piece, self._waiting = self._waiting[:at], self._waiting[at:]
        self.text += piece
        return piece


def _begun(text: str, stop: str) -> int:
    """Return how many characters at the end of a text are the begin of a string."""
    return next((n for n in range(min(len(text), len(stop) - 1), 0, -1) if text.endswith(stop[:n])), 0)
