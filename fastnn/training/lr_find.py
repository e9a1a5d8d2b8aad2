"""Learning rate range test: a sweep from small to large rates (Smith, arXiv 1506.01186, section 3.3)."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np

from ..ops.checks import check_number, positive_int
from .data import arrays as data


def lr_find(
    model: Any,
    x: Any,
    y: Any,
    min_lr: float = 1e-6,
    max_lr: float = 10.0,
    steps: int = 100,
    batch_size: int = 32,
) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Return the losses of steps with exponentially growing learning rates, each on another batch.

    A copy of the model is trained: the model, its optimizer and the random number streams do not change. The sweep ends early
    if the loss is not finite or more than four times the least loss so far. At a good rate the loss falls fastest; it is
    somewhat smaller than the rate of the least loss.

    Args:
        model: a compiled model.
        x, y: samples and targets, as for fit.
        min_lr, max_lr: first and last learning rate.
        steps: number of steps.
        batch_size: number of samples in a step.

    Returns:
        The learning rates, and the loss before the step with each of them.

    >>> import fastnn
    >>> model = fastnn.Sequential([fastnn.Dense(1, input_shape=(1,))])
    >>> model.compile("sgd", "mse")
    >>> lrs, losses = fastnn.lr_find(model, [[0.0], [1.0]], [[1.0], [3.0]], steps=20)
    >>> len(lrs) == len(losses) <= 20
    True
    """
    check_number(min_lr, "lr_find: min_lr", 1e-30)
    check_number(max_lr, "lr_find: max_lr", min_lr)
    positive_int(steps, "lr_find: steps")
    twin = copy.deepcopy(model)
    (inputs, arrays), targets = twin._inputs("lr_find", x, "x"), np.asarray(y)
    n = len(arrays[0])
    data.check_same_length("lr_find", **dict(zip(inputs.labels("x"), arrays, strict=True)), y=targets)
    size = min(positive_int(batch_size, "lr_find: batch_size"), n)
    rng = np.random.default_rng(0)
    rates = np.geomspace(min_lr, max_lr, steps)
    losses: list[float] = []
    for group in twin.optimizer.param_groups:
        group.release("lr")
    order = np.empty(0, np.int64)
    for rate in rates:
        if len(order) < size:
            order = rng.permutation(n)
        batch, order = order[:size], order[size:]
        twin.optimizer.lr = float(rate)
        loss = twin.train_on_batch(inputs.build([a[batch] for a in arrays]), targets[batch], return_dict=True)["loss"]
        losses.append(loss)
        if not np.isfinite(loss) or loss > 4 * min(losses):
            break
    return rates[: len(losses)], np.array(losses)
