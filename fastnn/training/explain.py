"""One training step with its numbers, for teaching: sums, activations, loss, gradients, and what the optimizer changes."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .. import activations
from ..autograd.tensor import Array, Tensor
from ..backends import current
from ..backends.spec import LINEAR
from ..core.structure import Structure
from ..nn.layers.dense import Dense
from ..nn.layers.weighted import Weighted
from ..nn.mode import mode
from ..nn.module import Module
from ..ops.activation import applied
from ..optim.sgd import SGD
from .own_step import OwnStep
from .step import observed

SHOWN = 40
"""Largest number of elements of an array that is printed in full."""
WRITTEN_OUT = 4
"""Largest number of inputs of a neuron whose sum is written out."""


@dataclass(frozen=True)
class Change:
    """What the step does to a parameter."""

    name: str
    before: Array
    gradient: Array | None
    """None if the loss does not depend on the parameter, or if the parameter is not trained."""
    after: Array


@dataclass
class LayerStep:
    """What the step does in one call of a layer."""

    name: str
    layer: str
    """The layer, as `repr` shows it."""
    formula: str
    """How the output follows from the input x; "" for layers that are not explained further."""
    x: Array
    z: Array | None = None
    """The weighted sums before the activation; None for layers without an activation."""
    y: Array | None = None
    dz: Array | None = None
    """The gradient of the loss by z."""
    dy: Array | None = None
    """The gradient of the loss by the output; None if the loss takes the last activation and itself as one function."""
    changes: list[Change] = field(default_factory=list)
    sum: str = ""
    """The sum of the first neuron for the first sample, written out; "" for layers with many inputs."""


@dataclass(frozen=True)
class Explanation:
    """Result of `Module.explain`; its text has the numbers of the step in order."""

    model: str
    x: list[Array]
    targets: list[Array]
    layers: list[LayerStep]
    loss: float
    loss_name: str
    optimizer: str
    rate: float | None
    """The learning rate, if a weight changes by rate * gradient alone: SGD without momentum and decay."""
    after: float
    """The loss of the same samples after the step."""

    def __str__(self) -> str:
        rows = len(self.x[0])
        lines = [f"One training step of {self.model} on {rows} sample{'s' * (rows > 1)}", ""]
        for name, arrays in (("x", self.x), ("y", self.targets)):
            for i, a in enumerate(arrays):
                lines += _shown(name if len(arrays) == 1 else f"{name} {i}", a, "")
        lines += ["", "1. Forward: each layer computes its output from the output of the layer before"]
        for s in self.layers:
            lines += [f"  {_label(s)}", *([f"    {s.formula}"] if s.formula else [])]
            lines += [line for c in s.changes for line in _shown(c.name, c.before)]
            lines += _shown("z", s.z) + ([f"      of the first neuron: {s.sum}"] if s.sum else [])
            lines += _shown("output", s.y)
        lines += ["", "2. Loss: how wrong the output is", f"    {self.loss_name} = {self.loss:.4f}"]
        lines += ["", "3. Backward: how the loss changes with each number, from the last layer to the first"]
        for s in reversed(self.layers):
            lines.append(f"  {_label(s)}")
            if s.dy is None and s.dz is not None:
                lines.append("    the loss and this activation are derived as one function, straight to z")
            lines += _shown("d loss / d output", s.dy) + _shown("d loss / d z", s.dz)
            lines += [line for c in s.changes for line in _shown(f"d loss / d {c.name}", c.gradient)]
        lines += ["", f"4. Update: {self.optimizer}"]
        for s in self.layers:
            for c in s.changes:
                lines += _shown(f"{s.name}.{c.name}".lstrip("."), c.after)
                if self.rate is not None and c.gradient is not None and c.before.size <= SHOWN:
                    old, slope, new = (float(a.flat[0]) for a in (c.before, c.gradient, c.after))
                    lines.append(f"      the first number: {old:.4g} - {self.rate:g} * {slope:.4g} = {new:.4g}")
        return "\n".join([*lines, "", f"The loss of the same samples is now {self.after:.4f}; it was {self.loss:.4f}."])


def _label(s: LayerStep) -> str:
    return f"{s.name}: {s.layer}" if s.name else s.layer


def _shown(name: str, a: Array | None, indent: str = "    ") -> list[str]:
    """Return the lines of an array: its numbers, or where they lie if there are many; none for None."""
    if a is None:
        return []
    begin = f"{indent}{name} = "
    if a.size > SHOWN:
        return [f"{begin}{a.size} numbers of shape {a.shape}, from {a.min():.4g} to {a.max():.4g}, mean {a.mean():.4g}"]
    if a.ndim > 1 and len(a) == 1:
        a = a[0]
    digits = 6 if a.size and 0 < abs(a).max() < 0.01 else 4
    width = max((len(f"{v:.{digits}f}") for v in a.flat), default=0)
    text = np.array2string(a, formatter={"float_kind": lambda v: f"{v:{width}.{digits}f}"}, max_line_width=110)
    return (begin + text).replace("\n", "\n" + " " * len(begin)).split("\n")


def explain(model: Any, x: Any, y: Any) -> Explanation:
    """Take a training step on a copy of the model, and return its numbers; see `Module.explain`."""
    model = copy.deepcopy(model)
    k = current()
    arrays = model._prepare("explain", x, y, None).on(k)
    step = model._train_step([a.copy() if a.size else a for a in arrays], None, inputs=arrays.inputs)
    if isinstance(step, OwnStep):
        raise ValueError(f"explain: {type(model).__name__} has a train_step of its own, whose parts are not known")
    if step.optimizer.takes_closure:
        name = type(step.optimizer).__name__
        raise ValueError(f"explain: a step of {name} computes several losses and gradients; compile with another optimizer")
    c = model._compiled
    parts = c.parts(step.buffers)
    seen: list[tuple[str, Any, Array, Tensor | None, Tensor]] = []
    sums: list[tuple[Tensor, Tensor]] = []

    def look(name: str, layer: Any, inputs: tuple[Any, ...], output: Any) -> None:
        leaves = [t for t in Structure.of(output)[1] if isinstance(t, Tensor)]
        if len(leaves) == 1 and inputs and isinstance(inputs[0], Tensor):
            z = next((z for y, z in sums if y is leaves[0]), None)
            seen.append((name, layer, np.array(inputs[0].numpy()), z, _kept(leaves[0])))

    for layer in list(model.modules()):
        if isinstance(layer, Weighted) and layer.activation != LINEAR and not isinstance(layer.activation, Module):
            layer.activation = _noting(layer.activation, sums)
    with mode(training=True), observed(model, look):
        step.optimizer.train()
        loss = step._gradients(*parts)
        own = [p for m in model.modules() for p in m._parameters.values() if p is not None]
        before = {id(p): (_copy(p), _copy(p.grad) if p.requires_grad else None) for p in own}
        calls = [(name, m, x, z, np.array(y.numpy()), _copy(y.grad)) for name, m, x, z, y in seen]  # a second pass follows
        if loss.total.requires_grad:
            step.optimizer.step()
            model.apply_constraints()
        after = step._gradients(*parts).total.item()
    layers = [_layer_step(*call, before) for call in calls]
    names = [type(getattr(o.loss, "loss", o.loss)).__name__ for o in c.objectives if o.loss is not None]
    names += ["penalties"] * isinstance(loss._penalty, Tensor)
    return Explanation(
        type(model).__name__,
        [k.to_numpy(a) for a in parts[0]],
        [k.to_numpy(a) for a in parts[1] if a.size],
        layers,
        loss.total.item(),
        " + ".join(names),
        repr(step.optimizer),
        _rate(step.optimizer, layers),
        after,
    )


def _kept(t: Tensor) -> Tensor:
    if t.requires_grad:
        t.retain_grad()
    return t


def _copy(t: Tensor | None) -> Array | None:
    return None if t is None else np.array(t.numpy())


def _noting(activation: Any, sums: list[tuple[Tensor, Tensor]]) -> Callable[[Tensor], Tensor]:
    """Return the activation as a function that appends its output and its input to sums."""

    def noted(z: Tensor) -> Tensor:
        y = applied(activation, _kept(z), "explain")
        sums.append((y, z))
        return y

    noted.__name__ = activations.label(activation)
    return noted


def _layer_step(
    name: str, layer: Any, x: Array, z: Tensor | None, y: Array, dy: Array | None, before: dict[int, Any]
) -> LayerStep:
    own = {n: p for n, p in layer._parameters.items() if p is not None}
    changes = []
    for n, p in own.items():
        old, gradient = before[id(p)]
        changes.append(Change(n, old, gradient, np.array(p.numpy())))
    s = LayerStep(name, repr(layer), "", x, None if z is None else _copy(z), y, None if z is None else _copy(z.grad), dy, changes)
    if isinstance(layer, Dense):
        s.formula = f"x {'kernel' if 'kernel' in own else 'weight^T'}{' + bias' if layer.use_bias else ''}"
        s.formula = f"output = {s.formula}" if z is None else f"z = {s.formula}, output = {layer.activation.__name__}(z)"
        s.sum = _written_out(s)
    return s


def _written_out(s: LayerStep) -> str:
    """Return the sum of the first neuron of a dense layer for the first sample; "" if it is long."""
    inputs, kernel = s.x.reshape(-1, s.x.shape[-1])[0], s.changes[0].before
    weights = kernel[:, 0] if s.changes[0].name == "kernel" else kernel[0]
    if len(inputs) > WRITTEN_OUT:
        return ""
    terms = [f"{a:.4g} * {w:.4g}" for a, w in zip(inputs, weights, strict=True)] + [f"{c.before[0]:.4g}" for c in s.changes[1:]]
    result: Any = s.y if s.z is None else s.z
    return f"{' + '.join(terms)} = {result.flat[0]:.4f}".replace("+ -", "- ")


def _rate(optimizer: Any, layers: list[LayerStep]) -> float | None:
    """Return the learning rate if weights change by rate * gradient alone."""
    if not isinstance(optimizer, SGD) or not isinstance(optimizer.lr, float):
        return None
    rate = optimizer.lr
    changes = [(c, c.gradient) for s in layers for c in s.changes if c.gradient is not None]
    return rate if all(np.allclose(c.after, c.before - rate * slope, atol=1e-6) for c, slope in changes) else None
