"""Compares the figures of a row with its target."""

from __future__ import annotations

from dataclasses import dataclass, field

from .figures import digits, factor, time
from .measure import Measured
from .row import LIBRARIES

PERCENTILES = "p50", "p99", "p99.9"


@dataclass
class _Outcome:
    """Describe a target in words: its parts, those that are missed, and those that were not measured."""

    aims: list[str] = field(default_factory=list)
    missed: list[str] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)


def target(m: Measured) -> tuple[str, str]:
    """Return the target of a row and the outcome: "met", by how much each part is missed, or what was not measured."""
    if m.row.target is None:
        return "", ""
    o = _Outcome()
    _limits(m, o)
    _speedups(m, o)
    _memory(m, o)
    unknown = f"not measured: {', '.join(dict.fromkeys(o.unknown))}" if o.unknown else ""
    if o.missed:
        return "; ".join(o.aims), "; ".join(["missed: " + "; ".join(o.missed), *filter(None, [unknown])])
    return "; ".join(o.aims), unknown or "met"


def _limits(m: Measured, o: _Outcome) -> None:
    t, seconds = m.row.target, m.seconds
    assert t is not None
    if t.seconds is not None:
        o.aims.append(f"<= {time(t.seconds)}")
        if "fastnn" not in seconds:
            o.unknown.append("fastnn")
        elif seconds["fastnn"] > t.seconds:
            o.missed.append(f"{time(seconds['fastnn'])}, {digits(100 * (seconds['fastnn'] / t.seconds - 1))} % over")
    if t.share is not None:
        o.aims.append(f">= {100 * t.share:.0f} % of {m.row.limit_name}")
        if not m.ours or not m.limit:
            o.unknown.append(m.row.limit_name if m.ours else "fastnn")
        elif m.share < t.share:
            o.missed.append(f"{100 * m.share:.1f} %, {100 * (t.share - m.share):.1f} points short")


def _speedups(m: Measured, o: _Outcome) -> None:
    t, seconds = m.row.target, m.seconds
    assert t is not None

    def compare(aim: float, peer: str, ours: str, name: str) -> None:
        if peer not in seconds or ours not in seconds:
            o.unknown.append((peer or name) if ours in seconds else "fastnn")
        elif (found := m.times(peer, ours)) < aim:
            o.missed.append(f"{factor(found)} {peer}, {digits(100 * (1 - found / aim))} % short")

    if t.peers is not None:
        o.aims.append(f">= {t.peers:g}x the best peer")
        compare(t.peers, m.best, m.ours, "a peer")
    for peer, aim in t.times.items():
        o.aims.append(f">= {aim:g}x {peer}")
        compare(aim, peer, "fastnn", peer)
    for peer, aim in t.amx.items():
        o.aims.append(f"with AMX >= {aim:g}x {peer}")
        if m.amx:
            compare(aim, peer, "fastnn", peer)
    for name, aim in t.libraries.items():
        o.aims.append(f">= {aim:g}x {name}'s best")
        compare(aim, m.fastest(LIBRARIES["cpu"][name].module), m.ours, f"{name}'s best")
    for name, aim in t.percentiles.items():
        o.aims.append(f">= {aim:g}x {name}'s best at {', '.join(PERCENTILES)}")
        found = speedups(m, name)
        if not found:
            o.unknown.append(f"{name}'s percentiles")
        short = [f"{factor(x)} at {p}" for p, x in zip(PERCENTILES, found, strict=False) if x < aim]
        o.missed += [", ".join(short)] if short else []


def speedups(m: Measured, library: str = "") -> list[float]:
    """Return how many times as fast as the peers fastnn is at each percentile of single calls, each time at their best.

    Args:
        m: the figures of a row.
        library: compare only with the columns of this library.
    """
    modules = {LIBRARIES["cpu"][library].module} if library else {way.module for way in m.row.columns.values()} - {"fastnn"}
    peers = [found for column, found in m.percentiles.items() if m.row.columns[column].module in modules]
    if not peers or m.ours not in m.percentiles:
        return []
    return [min(theirs) / ours for ours, *theirs in zip(m.percentiles[m.ours], *peers, strict=True)]


def _memory(m: Measured, o: _Outcome) -> None:
    assert m.row.target is not None
    for args in m.row.memory if m.row.target.memory else ():
        found = m.memory.get(args, {})
        for peer, share in m.row.target.memory.items():
            o.aims.append(f"<= {share:g}x the memory of {peer} at {args[-1]} {m.row.counted}")
            if peer not in found or "fastnn" not in found:
                o.unknown.append(f"memory of {peer if 'fastnn' in found else 'fastnn'}")
            elif found["fastnn"] > share * found[peer]:
                o.missed.append(f"{factor(found['fastnn'] / found[peer])} the memory of {peer} at {args[-1]} {m.row.counted}")
