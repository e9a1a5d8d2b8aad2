"""Build the networks that `fastnn train` chooses."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any

import fastnn

MOST_WEIGHTS = 1 << 28
"""Largest number of weights of a network, which is a gigabyte of float32."""
Shape = tuple[int, ...]


def dense(shape: Shape, layers: Sequence[int], n_classes: int) -> Any:
    """Return a network of dense layers with ReLU for samples of this shape."""
    widths = [math.prod(shape), *layers, n_classes]
    weights = sum((a + 1) * b for a, b in itertools.pairwise(widths))
    if weights > MOST_WEIGHTS:
        raise ValueError(f"layers of {', '.join(map(str, widths))} have {weights} weights, more than {MOST_WEIGHTS}")
    first = [fastnn.Flatten(input_shape=shape)] if len(shape) > 1 else []
    shapes: list[Shape | None] = [None if first else shape] + [None] * len(layers)  # of the first layer; the others infer it
    hidden = [fastnn.Dense(units, activation="relu", input_shape=shapes[i]) for i, units in enumerate(layers)]
    return fastnn.Sequential([*first, *hidden, fastnn.Dense(n_classes, activation="softmax", input_shape=shapes[-1])])


def lenet(shape: Shape, n_classes: int) -> Any:
    """Return LeNet-5 (LeCun et al., Proc. IEEE 1998) with ReLU and max pooling, as it is built today."""
    return fastnn.Sequential(
        [
            fastnn.Conv2D(6, 5, padding="same", activation="relu", input_shape=shape),
            fastnn.MaxPooling2D(2),
            fastnn.Conv2D(16, 5, activation="relu"),
            fastnn.MaxPooling2D(2),
            fastnn.Flatten(),
            fastnn.Dense(120, activation="relu"),
            fastnn.Dense(84, activation="relu"),
            fastnn.Dense(n_classes, activation="softmax"),
        ]
    )


def residual(shape: Shape, n_classes: int) -> Any:
    """Return a small residual network (He et al., CVPR 2016) for pictures of this shape.

    One block of two convolutions for each size: 16 filters, then twice as many each time that height and width are halved, until
    the shorter side has fewer than 8 pixels, at most three times. Of pictures with a side above 64, the first layer halves them.
    In training, pictures are moved and turned a little; none is flipped, since that may change its class, as of letters.
    """
    first = 2 if max(shape[:2]) > 64 else 1
    halvings = min(3, max(0, int(math.log2(min(shape[:2]) / first / 4))))
    layers = [fastnn.RandomTranslation(0.1, 0.1), fastnn.RandomRotation(0.03), *_convolution(16, first)]
    for i in range(halvings + 1):
        filters = 16 << i
        if i:
            layers += _convolution(filters, 2)
        layers += [fastnn.Residual(*_convolution(filters), *_convolution(filters)[:-1]), fastnn.ReLU()]
    return fastnn.Sequential(
        [fastnn.Input(shape), *layers, fastnn.GlobalAveragePooling2D(), fastnn.Dense(n_classes, activation="softmax")]
    )


def gpt(vocabulary: int, context: int, width: int, layers: int, heads: int, dropout: float) -> Any:
    """Return a small GPT (Radford et al., 2019), which reads windows of `context` tokens."""
    if width % heads:
        raise ValueError(f"--width {width} cannot be divided into --heads {heads}")
    _check_size(vocabulary * width + layers * 12 * width * width)
    return fastnn.models.GPT(vocabulary, context, width, layers, heads, dropout=dropout)


def recurrent(kind: str, vocabulary: int, width: int, layers: int, dropout: float) -> Any:
    """Return a network of LSTM or GRU layers that predicts each next token, with an embedding before and a dense layer after."""
    _check_size(2 * vocabulary * width + layers * 8 * width * width)
    layer = fastnn.LSTM if kind == "lstm" else fastnn.GRU
    hidden = []
    for _ in range(layers):
        hidden += [layer(width, return_sequences=True), *([fastnn.Dropout(dropout)] if dropout else [])]
    return fastnn.Sequential(
        [fastnn.Input((None,), dtype="int64"), fastnn.Embedding(vocabulary, width), *hidden, fastnn.Dense(vocabulary)]
    )


def _check_size(weights: int) -> None:
    if weights > MOST_WEIGHTS:
        raise ValueError(f"the model would have about {weights} weights, more than {MOST_WEIGHTS}; try a smaller --width")


def _convolution(filters: int, strides: int = 1) -> list[Any]:
    """Return a convolution of 3x3, batch norm, and ReLU."""
    convolution = fastnn.Conv2D(filters, 3, strides, padding="same", use_bias=False, kernel_initializer="he_normal")
    return [convolution, fastnn.BatchNormalization(momentum=0.9), fastnn.ReLU()]  # averages that a short epoch can follow
