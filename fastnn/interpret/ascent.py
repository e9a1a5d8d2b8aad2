"""Images that a neuron, a channel or a class likes best, by gradient ascent."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal, cast

import numpy as np

from ..autograd.tensor import Tensor, no_grad
from ..ops.checks import check_number, positive_int, whole_number
from .model import Copy, Output, class_scores, layer_name
from .pictures import Array, Pictures


def maximise(
    model: Any,
    layer: Any = None,
    units: int | Sequence[int] | None = None,
    *,
    place: tuple[int, int] | Literal["mean"] | None = None,
    shape: tuple[int, ...] | None = None,
    values: tuple[float, float] = (0.0, 1.0),
    steps: int = 100,
    step_size: float = 0.05,
    decay: float = 0.05,
    blur: float = 1.0,
    jitter: int = 1,
    seed: int = 0,
) -> Array:
    """Return images that raise the outputs of units as far as possible: classes, neurons, or channels of a convolution.

    Gradient ascent from faint noise around the middle of the allowed numbers. Without regularisation it ends in noise that the
    network happens to like. So each step looks at the image moved by a few pixels, smooths the gradient, and pulls the image back
    towards the middle. Edges and strokes remain. Source: Yosinski et al., arXiv 1506.06579; Olah et al., Distill 2017.

    Args:
        model: a model of images.
        layer: name, number or layer whose outputs are raised, before its own activation; None for the scores of the classes,
            before a softmax or sigmoid at the end.
        units: numbers of neurons, channels or classes; by default all.
        place: (row, column) of the place in a channel's map whose neuron is raised; by default the middle. "mean" raises the mean
            over the map, which gives a texture.
        shape: shape of an image, as for `activations`; needed if the model does not know it.
        values: least and largest number in an image, as in the training data.
        steps: number of steps.
        step_size: change of a pixel in a step, as a share of the range of values, on average (root mean square).
        decay: share of the distance to the middle that is lost in each step.
        blur: standard deviation, in pixels, of the smoothing of the gradient; it falls to half of it in the last steps.
        jitter: largest movement of the image in pixels.
        seed: seed of noise and movements; the same seed gives the same images.

    Returns:
        An array (units, *shape) with an image for each unit, of the shape that is given or that the model knows; for a single
        number (*shape).

    Raises:
        ValueError, TypeError: there is no such layer or unit, or the shape of the images is unknown.

    >>> import fastnn
    >>> model = fastnn.Sequential([fastnn.Conv2D(4, 3, input_shape=(8, 8, 1)), fastnn.Flatten(), fastnn.Dense(2)])
    >>> maximise(model, steps=5).shape, maximise(model, layer=0, units=3, steps=5).shape
    ((2, 8, 8, 1), (8, 8, 1))
    """
    op = "interpret.maximise"
    low, high = (check_number(v, f"{op}: values", -np.inf) for v in values)
    if not low < high:
        raise ValueError(f"{op}: values are {values}; wanted the least and the largest number of a pixel")
    positive_int(steps, f"{op}: steps")
    check_number(step_size, f"{op}: step_size", 0.0)
    check_number(decay, f"{op}: decay", 0.0)
    check_number(blur, f"{op}: blur", 0.0)
    whole_number(jitter, f"{op}: jitter", 0)
    twin = Copy(model, op)
    form = Pictures(twin.model, shape, op)
    name = None if layer is None else layer_name(model, layer, op)
    first = form.to_samples(np.full((1, *form.size), (low + high) / 2))
    if name is None:
        twin.without_softmax(first)
    else:
        twin.linear(name)
    goal = _Goal(name, place, form.first, op)
    count = goal.count(twin, first)
    chosen = _units(units, count, op)
    goal.units = np.asarray(chosen)

    rng = np.random.default_rng(seed)
    # All start from the same noise and move alike, so that an image does not depend on the other units.
    middle, span = (low + high) / 2, high - low
    x = np.repeat(middle + span * rng.normal(0, 0.02, (1, *form.size)), len(chosen), axis=0)
    for step in range(steps):
        moves = rng.integers(-jitter, jitter + 1, 2)
        samples = form.to_samples(np.roll(x, moves, (1, 2)))
        _, g = twin.gradient(samples, goal)
        g = np.roll(form.to_pictures(g.astype(np.float64)), -moves, (1, 2))
        g = smoothed(g, blur * (1 - 0.5 * step / steps))
        scale = np.sqrt(np.mean(g * g, axis=(1, 2, 3), keepdims=True))
        x += step_size * span * g / np.maximum(scale, np.finfo(np.float32).tiny)
        x = np.clip(x - decay * (x - middle), low, high)
    result = form.to_samples(x).reshape(len(x), *(shape or form.sample)).astype(twin.model.dtype)
    return result[0] if isinstance(units, int | np.integer) else result


class _Goal:
    """Objective of the ascent: for sample i, the output of unit i."""

    def __init__(self, name: str | None, place: tuple[int, int] | str | None, first: bool, op: str) -> None:
        self.name, self.place, self.first, self.op = name, place, first, op
        self.units: Array = np.zeros(0, np.int64)

    def outputs(self, y: Tensor, seen: list[Output]) -> Tensor:
        """Return the outputs of all units, (n, units)."""
        if self.name is None:
            return class_scores(y, self.op)
        found = next((o for o in seen if o.name == self.name), None)
        if found is None:
            raise ValueError(f"{self.op}: the model does not call the layer {self.name!r}")
        value = found.value
        if value.ndim == 2:
            if self.place is not None:
                raise ValueError(f"{self.op}: place is {self.place}, but the layer {self.name!r} has no maps")
            return value
        if value.ndim != 4:
            raise ValueError(f"{self.op}: the layer {self.name!r} has outputs of shape {value.shape}; wanted maps or neurons")
        if self.place == "mean":
            return value.mean((2, 3) if self.first else (1, 2))
        height, width = value.shape[2:] if self.first else value.shape[1:3]
        i, j = (height // 2, width // 2) if self.place is None else cast(tuple[int, int], self.place)
        if not (0 <= i < height and 0 <= j < width):
            raise ValueError(f"{self.op}: place is {self.place}; the maps of the layer {self.name!r} are {height} x {width}")
        return value[:, :, i, j] if self.first else value[:, i, j, :]

    def count(self, twin: Copy, samples: Array) -> int:
        """Return the number of units; samples are a batch, on which the model is tried."""
        with no_grad():
            return self.outputs(*twin.run(twin.tensor(samples))).shape[1]

    def __call__(self, y: Tensor, seen: list[Output]) -> Tensor:
        outputs = self.outputs(y, seen)
        own = np.zeros(outputs.shape, outputs.dtype)
        own[np.arange(len(self.units)), self.units] = 1
        return (outputs * own).sum(1)


def _units(units: Any, count: int, op: str) -> list[int]:
    given = range(count) if units is None else [units] if isinstance(units, int | np.integer) else list(units)
    chosen = [whole_number(u, f"{op}: units", 0) for u in given]
    if not chosen or max(chosen) >= count:
        raise ValueError(f"{op}: units are {units}; wanted numbers from 0 to {count - 1}")
    return chosen


def smoothed(pictures: Array, sigma: float) -> Array:
    """Return pictures (n, height, width, channels) convolved with a Gaussian; zeros are around them."""
    if sigma < 0.1:
        return pictures
    reach = math.ceil(3 * sigma)
    weights = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
    weights /= weights.sum()
    for axis in (1, 2):
        n = pictures.shape[axis]
        sides = [(0, 0)] * 4
        sides[axis] = reach, reach
        padded = np.pad(pictures, sides)
        pictures = sum(w * padded.take(range(i, i + n), axis) for i, w in enumerate(weights))
    return pictures
