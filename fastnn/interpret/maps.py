"""Maps of one image: the outputs of the layers, the gradient of a score, and the effect of covered places."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..autograd.tensor import Tensor, no_grad
from ..ops.checks import positive_int
from .model import Copy, Output, class_number, class_scores, key_of_call, layer_name
from .pictures import Array, picture_of

_BATCH = 256
"""Number of covered images in a batch."""


def activations(model: Any, image: Any, layers: Sequence[Any] | None = None) -> dict[str, Array]:
    """Return the output of each layer for one image.

    Args:
        model: any model with one input, in which the layers are called on one Tensor or several.
        image: (height, width), (height, width, channels), (channels, height, width) for layers with PyTorch's names, or pixels in
            a row.
        layers: names, numbers or the layers themselves; by default all that contain no other layers.

    Returns:
        The outputs without the batch axis, in the layout of the layer, by the layers' names as in `named_modules`, in the order
        of the calls. Further calls of a shared layer have a number after the name: ``"dense (2)"``.

    Raises:
        ValueError, TypeError: the model has no weights, there is no such layer, or the image does not fit.

    >>> import fastnn
    >>> model = fastnn.Sequential([fastnn.Conv2D(4, 3, input_shape=(8, 8, 1)), fastnn.Flatten(), fastnn.Dense(2)])
    >>> {name: a.shape for name, a in activations(model, fastnn.rand(8, 8)).items()}
    {'0': (6, 6, 4), '1': (144,), '2': (2,)}
    """
    op = "interpret.activations"
    twin = Copy(model, op)
    wanted = None if layers is None else {layer_name(model, layer, op) for layer in layers}
    form, picture = picture_of(twin.model, image, op)
    with no_grad():
        _, seen = twin.run(twin.tensor(form.to_samples(picture[None])))
    found: dict[str, Array] = {}
    for name, layer, value in seen:
        if name in wanted if wanted is not None else not layer._modules or layer._whole:
            found[key_of_call(found, name, layer)] = value.numpy()[0].copy()
    return found


def saliency(model: Any, image: Any, class_: int | None = None) -> Array:
    """Return the gradient of the score of a class by each pixel of an image.

    The score is the output of the model for the class, before a softmax or sigmoid at the end. A single output z stands for two
    classes with the scores 0 and z. Source: Simonyan et al., arXiv 1312.6034.

    Args:
        model: a classifier.
        image: as for `activations`.
        class_: number of the class; by default the one that the model predicts.

    Returns:
        An array of the shape of the image.

    Raises:
        ValueError, TypeError: there is no such class, or the image does not fit the model.

    >>> import fastnn
    >>> model = fastnn.Sequential([fastnn.Dense(2, use_bias=False, activation="softmax", input_shape=(4,))])
    >>> model.set_weights([[[1, 0], [2, 0], [3, 0], [4, 0]]])
    >>> saliency(model, [[1, 1], [1, 1]], class_=0)
    array([[1., 2.],
           [3., 4.]], dtype=float32)
    """
    op = "interpret.saliency"
    twin = Copy(model, op)
    form, picture = picture_of(twin.model, image, op)
    samples = form.to_samples(picture[None])
    twin.without_softmax(samples)
    class_ = class_number(class_, twin.scores(samples)[0], op)

    def score(y: Tensor, seen: list[Output]) -> Tensor:
        return class_scores(y, op)[:, class_]

    _, gradient = twin.gradient(samples, score)
    return gradient.reshape(np.shape(image))


def occlusion(
    model: Any,
    image: Any,
    class_: int | None = None,
    size: int | None = None,
    stride: int | None = None,
    fill: float | None = None,
) -> Array:
    """Return how far the score of a class falls when a patch covers each place of an image.

    The score is that of `saliency`. Source: Zeiler and Fergus, arXiv 1311.2901.

    Args:
        model: a classifier.
        image: as for `activations`.
        class_: number of the class; by default the one that the model predicts.
        size: side of the square patch in pixels; by default about a fifth of the shorter side, an odd number.
        stride: distance of the places; by default 1 up to 32 pixels, more in larger images.
        fill: number that covers the pixels; by default grey, the middle between the least and the largest number of the image.

    Returns:
        An array (rows, columns): the fall with the patch around the pixel (row * stride, column * stride). At the border, the
        patch is cut off.

    Raises:
        ValueError, TypeError: there is no such class, or the image does not fit the model.

    >>> import fastnn
    >>> model = fastnn.Sequential([fastnn.Dense(2, use_bias=False, activation="softmax", input_shape=(4,))])
    >>> model.set_weights([[[1, 0], [2, 0], [3, 0], [4, 0]]])
    >>> occlusion(model, [[1, 1], [1, 1]], class_=0, size=1, fill=0)
    array([[1., 2.],
           [3., 4.]], dtype=float32)
    """
    op = "interpret.occlusion"
    twin = Copy(model, op)
    form, picture = picture_of(twin.model, image, op)
    height, width = picture.shape[:2]
    size = max(min(height, width) // 10, 1) * 2 + 1 if size is None else positive_int(size, f"{op}: size")
    stride = -(-max(height, width) // 32) if stride is None else positive_int(stride, f"{op}: stride")
    grey = (picture.min() + picture.max()) / 2 if fill is None else float(fill)
    samples = form.to_samples(picture[None])
    twin.without_softmax(samples)
    scores = twin.scores(samples)[0]
    class_ = class_number(class_, scores, op)
    places = [(i, j) for i in range(0, height, stride) for j in range(0, width, stride)]
    falls: list[Array] = []
    for start in range(0, len(places), _BATCH):
        part = places[start : start + _BATCH]
        covered = np.repeat(picture[None], len(part), axis=0)
        for one, (i, j) in zip(covered, part, strict=True):
            top, left = i - size // 2, j - size // 2
            one[max(top, 0) : top + size, max(left, 0) : left + size] = grey
        falls.append(scores[class_] - twin.scores(form.to_samples(covered))[:, class_])
    return np.concatenate(falls).reshape(-(-height // stride), -1)
