"""Keras's functions that call a merging layer on a list of inputs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..nn.layers import merge


def add(inputs: Sequence[Any], name: str | None = None) -> Any:
    """Return the sum of the inputs."""
    return merge.Add(name=name)(inputs)


def average(inputs: Sequence[Any], name: str | None = None) -> Any:
    """Return the mean of the inputs."""
    return merge.Average(name=name)(inputs)


def concatenate(inputs: Sequence[Any], axis: int = -1, name: str | None = None) -> Any:
    """Return the inputs one after the other along an axis.

    >>> import fastnn.keras as keras
    >>> keras.layers.concatenate([keras.Input((2,)), keras.Input((3,))]).shape
    (None, 5)
    """
    return merge.Concatenate(axis, name=name)(inputs)


def dot(inputs: Sequence[Any], axes: Any = -1, normalize: bool = False, name: str | None = None) -> Any:
    """Return the products of the samples of two inputs."""
    return merge.Dot(axes, normalize, name=name)(inputs)


def maximum(inputs: Sequence[Any], name: str | None = None) -> Any:
    """Return the maximum of the inputs."""
    return merge.Maximum(name=name)(inputs)


def minimum(inputs: Sequence[Any], name: str | None = None) -> Any:
    """Return the minimum of the inputs."""
    return merge.Minimum(name=name)(inputs)


def multiply(inputs: Sequence[Any], name: str | None = None) -> Any:
    """Return the product of the inputs."""
    return merge.Multiply(name=name)(inputs)


def subtract(inputs: Sequence[Any], name: str | None = None) -> Any:
    """Return the difference of two inputs."""
    return merge.Subtract(name=name)(inputs)
