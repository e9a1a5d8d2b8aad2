"""State of a fit: everything on which its later steps depend. A backup stores it, and another process continues from it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..autograd.tensor import Tensor
from ..backends import current, shared_array
from ..core import seeding
from ..core.structure import own_code
from ..nn.parameter import stored
from .data.order import Place, Resumed, state_from, state_of
from .merging import merged
from .metrics import Metric

if TYPE_CHECKING:
    from .callbacks.base import Callback
    from .compiled import Compiled

Array = np.ndarray[Any, Any]


def fit_state(model: Any, callbacks: list[Callback], logs: dict[str, float] | None, whole: bool) -> dict[str, Any]:
    """Return the state of a running fit as nested dicts and lists of numbers, texts and arrays.

    whole: whether the epoch is complete, so that the sums of its losses and metrics are not needed.
    """
    c = model._compiled
    layers = dict(model.named_modules())
    return {
        "weights": model.state_dict(),
        "frozen": [name for name, p in model.named_parameters() if not p.requires_grad],
        "random": {name: m._state.tolist() for name, m in layers.items() if m._draws},
        "kept": {name: [_host(t) for t in m.states] for name, m in layers.items() if getattr(m, "stateful", False)},
        "optimizer": type(c.optimizer).__name__,
        "optimizer_state": c.optimizer.state_dict(),
        "streams": _streams(),
        "own_order": c.place.order.own,
        "totals": None if whole else _totals(c),
        "callbacks": [[type(callback).__name__, _checked(callback)] for callback in callbacks],
        "logs": logs,
        "stopped": bool(model.stop_training),
    }


OF_RANK = ("random", "kept", "streams", "totals")
"""Entries of the state that may differ by rank."""


def of_all_ranks(model: Any, place: dict[str, Any], state: dict[str, Any]) -> dict[str, Any]:
    """Return the state of a fit on several ranks, for rank 0, from that of each rank. All ranks have to call it together."""
    c = model._compiled
    comm = c.distribute
    if comm is None:
        return state
    own = {name: state[name] for name in OF_RANK}
    ranks = comm.gather({"state": own, "place": {name: place[name] for name in ("stream", "source")}})
    if state["totals"] is not None:  # sums of all ranks, for another number of ranks
        with merged(c):
            state = {**state, "totals": _totals(c)}
    return {**state, "ranks": ranks}


def of_rank(model: Any, place: dict[str, Any], state: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return place and state with which this rank continues a fit, also one on another number of ranks.

    Raises:
        ValueError: the number of ranks differs, and layers keep states of the samples of each rank.
    """
    comm, ranks = model._compiled.distribute, state.get("ranks")
    rank, size = (0, 1) if comm is None else (comm.rank, comm.size)
    before = 1 if ranks is None else len(ranks)
    if size == before:
        return (place, state) if ranks is None else ({**place, **ranks[rank]["place"]}, {**state, **ranks[rank]["state"]})
    if any(state["kept"].values()):
        raise ValueError(f"its stateful layers keep the states of {before} ranks, and there are {size}; wanted as many")
    return place, state if rank == 0 else {**state, "totals": {}}  # rank 0 goes on with the sums of all


def _checked(callback: Callback) -> dict[str, Any]:
    """Return the state of a callback. Raise TypeError if a file cannot hold it."""
    from ..files.training import packed

    state, name = callback.state_dict(), type(callback).__name__
    try:
        packed(state, "", {})
    except TypeError as error:
        raise TypeError(f"BackupAndRestore: the state of the callback {name} {str(error).partition(' state ')[2]}") from None
    return state


def restore(model: Any, callbacks: list[Callback], place: dict[str, Any], state: dict[str, Any]) -> None:
    """Continue a fit that has just begun from the state of another fit. `restore_totals` is called later.

    Raises:
        ValueError: model, optimizer or data are not those of the state.
    """
    c = model._compiled
    kind = type(c.optimizer).__name__
    if state["optimizer"] != kind:
        raise ValueError(f"its optimizer is {str(state['optimizer'])[:40]}, but that of the model is {kind}")
    model.load_state_dict(state["weights"])
    frozen, layers = set(state["frozen"]), dict(model.named_modules())
    for name, p in model.named_parameters():
        stored(p).requires_grad = name not in frozen
    for name, words in state["random"].items():
        layers[name]._state[:] = _words(words)
    for name, values in state["kept"].items():
        if values:
            layers[name]._make_states(len(values[0]))
            for own, value in zip(layers[name].states, values, strict=True):
                own.copy_(Tensor(current().asarray(value)))
    if c.owns_optimizer:
        c.optimizer.add(model.parameters())
    c.optimizer.load_state_dict(state["optimizer_state"])
    _go_on(c.place, place, bool(state["own_order"]))
    c.place.logs = state["logs"]
    given = [*state["callbacks"]]
    for callback in callbacks:
        own = next((item for item in given if item[0] == type(callback).__name__), None)
        if own is not None:
            given.remove(own)
            callback.load_state_dict(own[1])
    restore_streams(state)
    model.stop_training = state["stopped"]


def _go_on(place: Place, config: dict[str, Any], own_order: bool) -> None:
    """Move the data to the place of another fit."""
    Resumed(config)  # checks the numbers
    source = place.source
    found = source.resume(config)
    if not found and (source.size or config["size"]):
        was, now = ((size, "samples, batches of") for size in (config["size"], source.size))
        raise ValueError(f"its data have {_sizes(was[0])}, but x has {_sizes(now[0])}, with {source.steps} steps in an epoch")
    if not found and (config["steps"] or config["at"]):
        from .data.feed import warn

        feed = getattr(source, "feed", None)
        name = "the data" if feed is None else f"{feed.name}, a {feed.kind},"
        warn(f"fit: the position in {name} is unknown; epoch {config['epoch'] + 1} begins with the data from their start")
    if found:
        place.order.go_on(config["stream"], own_order, config["at"] > 0)
    place.epoch, place.steps = config["epoch"], config["steps"] if found else 0


def _sizes(size: list[int]) -> str:
    return f"{size[0]} samples in batches of {size[1]}" if len(size) == 2 else "no known size"


# ---- random numbers ----


def _streams() -> dict[str, Any]:
    """Return the states of all streams of random numbers, with that of `numpy.random`."""
    legacy: Any = np.random.get_state()  # noqa: NPY002 (users draw from it)
    return {
        "host": state_of(seeding.generator()),
        "kernels": seeding.stream(current()).tolist(),
        "numpy": [legacy[1].astype(np.uint32), int(legacy[2]), int(legacy[3]), float(legacy[4])],
    }


def restore_streams(state: dict[str, Any]) -> None:
    """Set all streams of random numbers to their states at the time of the backup."""
    streams = state["streams"]
    host, (words, position, has, cached) = state_from(streams["host"]), streams["numpy"]
    if words.shape != (624,) or words.dtype != np.uint32 or type(position) is not int or not 0 <= position <= 624:
        raise ValueError("the state of numpy.random is damaged")
    seeding.generator().bit_generator.state = host
    seeding.stream(current())[:] = _words(streams["kernels"])
    np.random.set_state(("MT19937", words, position, int(bool(has)), float(cached)))  # noqa: NPY002


def _words(given: Any) -> list[int]:
    if not isinstance(given, list) or len(given) != 2 or not all(type(n) is int and 0 <= n < 1 << 64 for n in given):
        raise ValueError(f"a random state is {str(given)[:40]}, wanted two whole numbers")
    return given


# ---- sums of the epoch so far ----


def _totals(c: Compiled) -> dict[str, Any]:
    own = c.own
    return {
        "sums": [total.tolist() for total in c.totals()],
        "penalised": c.penalised,
        "metrics": [_metric(m) for m in c.metrics],
        "own": None if own is None else [own._means, own._latest, sorted(own._averaged), [_metric(m) for m in own.others()]],
    }


def restore_totals(c: Compiled, state: dict[str, Any]) -> None:
    """Set losses and metrics to those of the epoch so far. Call this before the first step of the epoch, when they are known."""
    totals = state["totals"]
    if not totals:  # another rank has them
        return
    for total, values in zip(c.totals(), totals["sums"], strict=True):
        total[:] = values
    c.penalised = bool(totals["penalised"])
    for m, given in zip(c.metrics, totals["metrics"], strict=True):
        _restore_metric(m, given)
    if c.own is not None and totals["own"] is not None:
        means, latest, averaged, others = totals["own"]
        c.own._means = {name: (total, count) for name, (total, count) in means.items()}
        c.own._latest, c.own._averaged = dict(latest), set(averaged)
        for m, given in zip(c.own.others(), others, strict=True):
            _restore_metric(m, given)


def _metric(m: Metric) -> dict[str, Any]:
    """Return the state of a metric: its arrays, its variables, its inner metrics, and attributes that are numbers or texts."""
    values = {name: value for name, value in vars(m).items() if name not in (*m.arrays, "_variables")}
    return {
        "arrays": {name: np.asarray(a.copy()) for name in m.arrays if (a := getattr(m, name)) is not None},
        "variables": [_host(v) for v in m.variables],
        "inner": {name: _metric(value) for name, value in values.items() if isinstance(value, Metric)},
        "numbers": {name: value for name, value in values.items() if type(value) in (bool, int, float, str)},
        "values": {name: value for name, value in values.items() if _plain(value)},
    }


def _restore_metric(m: Metric, given: dict[str, Any]) -> None:
    for name, values in given["arrays"].items():
        if name not in m.arrays:
            raise ValueError(f"the metric {m.name} has no array {name[:40]!r}")
        own = getattr(m, name)
        if own is not None and own.shape == values.shape:
            own[...] = values
        else:
            object.__setattr__(m, name, shared_array(values, values.dtype))
    for variable, value in zip(m.variables, given["variables"], strict=True):
        variable.assign(value)
    for name, value in given["inner"].items():
        if not isinstance(own := getattr(m, name), Metric):
            raise ValueError(f"the metric {m.name} has no inner metric {name[:40]!r}")
        _restore_metric(own, value)
    for name, value in {**given["numbers"], **given["values"]}.items():
        own = vars(m).get(name)
        if name == "_variables" or (own_code(type(m).__module__) and _kind(own) not in (_kind(value), type(None))):
            raise ValueError(f"the metric {m.name} has {name[:40]}={str(own)[:40]}, but the backup {str(value)[:40]}")
        object.__setattr__(m, name, value)


def _kind(value: Any) -> type:
    return float if type(value) is int else type(value)


def _plain(value: Any) -> bool:
    """Return whether a custom metric's attribute is an array, or a list of numbers and arrays."""
    if type(value) is list:
        return all(type(v) in (bool, int, float, str) or _plain(v) for v in value)
    return isinstance(value, np.ndarray) and value.dtype.kind in "biuf"


def _host(t: Any) -> Array:
    return np.array(current().to_numpy(t.data))
