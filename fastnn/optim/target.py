"""Soft updates: a target network follows the trained network."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from ..autograd.tape import changed
from ..autograd.tensor import Array, Tensor
from ..backends import current
from ..core.arrays import arranged, copy_array, store_arranged
from ..core.layout import Order
from ..nn.parameter import Parameter, flatten_parameters, stored
from ..nn.parameter_view import order_of
from ..ops.checks import check_number

if TYPE_CHECKING:
    from ..backends.base import Backend
    from ..nn.module import Module

_Named = list[tuple[str, Any]]


def soft_update(target: Module | Iterable[Parameter], source: Module | Iterable[Parameter], tau: float) -> None:
    """Move the target's parameters towards the source's: target += tau (source - target). Buffers are copied.

    Use it for the target network of DQN, DDPG, TD3 and SAC, or for a running mean of a model. For models with the same
    structure, one kernel call updates all parameters. Inside of `fastnn.capture` the update is recorded. Frozen parameters of
    the target (``requires_grad_(False)``) are updated too. No operation is recorded on the tape.

    Args:
        target: a Module, or a list of parameters.
        source: a Module, or a list of parameters, of the same number, shapes and dtypes, in the same order.
        tau: fraction of the source, from 0 to 1; with 1 its values are copied exactly.

    Raises:
        ValueError: shapes or dtypes differ, a parameter is in both or twice in the target, or tau is out of range.
        TypeError: an object is not a parameter.

    >>> import fastnn
    >>> source, target = fastnn.nn.Linear(2, 1), fastnn.nn.Linear(2, 1)
    >>> with fastnn.no_grad():
    ...     _ = source.bias.fill_(1.0), target.bias.fill_(0.0)
    >>> fastnn.soft_update(target, source, 0.25)
    >>> target.bias.tolist()
    [0.25]
    """
    share = check_number(tau, "soft_update: tau", 0, 1)
    pairs = _matched("parameter", _parameters(target, "target"), _parameters(source, "source"))
    own = {stored(p) for p, _ in pairs}
    if len(own) < len(pairs):
        raise ValueError("soft_update: a parameter stands twice in the target; wanted each once")
    if not own.isdisjoint(stored(p) for _, p in pairs):
        raise ValueError("soft_update: a parameter is in both the target and the source; wanted parameters of each alone")
    buffers = _matched("buffer", _buffers(target), _buffers(source))

    k = current()
    flatten_parameters(p for p, _ in pairs)
    flatten_parameters(p for _, p in pairs)
    weight = _number(k.name, share)
    k.host_wrote(weight)
    for x, y in _flat(k, pairs):
        if share == 1:
            copy_array(k, x, y)
        else:
            k.lerp(x, y, weight)
    for to, values in buffers:
        if to is not values:
            copy_array(k, to.data, values.data)
    changed(*own, *(b for b, _ in buffers))


@lru_cache(64)
def _number(backend: str, value: float) -> Array:
    """Return an array with the number, for kernels that only read it; it is cached, so that recordings use the same array."""
    return current().shared_array([value])


def _parameters(given: Any, name: str) -> _Named:
    if hasattr(given, "named_parameters"):
        return list(given.named_parameters())
    if isinstance(given, Tensor) or not isinstance(given, Iterable):
        raise TypeError(f"soft_update: {name} is a {type(given).__name__}, wanted a Module or a list of parameters")
    members = list(given)
    for p in members:
        if not isinstance(p, Parameter):
            raise TypeError(f"soft_update: {name} holds a {type(p).__name__}, wanted parameters only")
    return [(f"[{i}]", p) for i, p in enumerate(members)]


def _buffers(given: Any) -> _Named:
    return list(given.named_buffers()) if hasattr(given, "named_buffers") else []


def _matched(kind: str, target: _Named, source: _Named) -> list[tuple[Any, Any]]:
    """Return the pairs of target and source, after a check of shapes and dtypes."""
    if len(target) != len(source):
        raise ValueError(f"soft_update: the target has {len(target)} {kind}s, the source {len(source)}; wanted equally many")
    for (name, x), (other, y) in zip(target, source, strict=True):
        if x.shape != y.shape or x.dtype != y.dtype:
            raise ValueError(
                f"soft_update: {kind} {name} of the target has shape {x.shape} and dtype {x.dtype}, "
                f"{other} of the source {y.shape} and {y.dtype}; wanted the same"
            )
    return [(x, y) for (_, x), (_, y) in zip(target, source, strict=True)]


def _flat(k: Backend, pairs: list[tuple[Parameter, Parameter]]) -> list[tuple[Array, Array]]:
    """Return pairs of views of the flat buffers: one for parameters that are adjacent in both models, and one for each weight
    that is stored in another order."""
    views: list[tuple[Array, Array]] = []
    runs: list[list[tuple[Parameter, Parameter]]] = []
    for one, other in pairs:
        x, y = stored(one), stored(other)
        if order_of(one) != order_of(other):
            views.append((x.data, _stored_as(k, y.data, order_of(one), order_of(other))))
        elif runs and _follow(runs[-1][-1][0], x) and _follow(runs[-1][-1][1], y):
            runs[-1].append((x, y))
        else:
            runs.append([(x, y)])
    for run in runs:
        (x, y), (last_x, last_y) = run[0], run[-1]
        assert x.flat is not None and y.flat is not None
        size = last_x.start + last_x.size - x.start
        views.append((x.flat.values[x.start : x.start + size], y.flat.values[y.start : last_y.start + last_y.size]))
    return views


def _stored_as(k: Backend, y: Array, order: Order | None, own: Order | None) -> Array:
    """Convert a stored array y from its own order to the stored form of another order."""
    values = y if own is None else arranged(k, y, own)
    if order is None:
        return values
    stored_shape = tuple(n for _, n in sorted(zip(order.axes, values.shape, strict=True)))
    x = k.empty(stored_shape, values.dtype)
    store_arranged(k, x, values, order)
    return x


def _follow(a: Parameter, b: Parameter) -> bool:
    """Return whether b follows a in the same flat buffer."""
    return a.flat is b.flat and a.end == b.start
