"""Keras's loss of sequences of labels."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...autograd.tensor import Array, Tensor
from ...ops import activation, elementwise, logic, shape
from ...ops.checks import as_tensor
from ...ops.create import full
from ...ops.ctc import ctc_loss
from ...ops.reduce import sum as sum_of
from ..base import RowLoss
from ..weights import weighted


class CTC(RowLoss):
    """Connectionist temporal classification of logits: -log of the probability of labels, however they lie in time.

    Class 0 is the blank, and stands for padding at the end of targets, too. All time steps of a prediction count.

    Shapes: y_true (N, S) whole numbers, y_pred (N, T, C) logits; a loss for each sample.

    Source: Graves et al., ICML 2006.

    >>> import fastnn
    >>> round(fastnn.losses.CTC()([[1, 0]], fastnn.zeros(1, 3, 2)).item(), 4)   # 6 of 8 paths
    0.2877
    """

    targets = "any"
    name = "ctc"

    def shape_of_losses(self, output_shape: tuple[int, ...]) -> tuple[int, ...]:
        return output_shape[:1]

    def rows(self, y_true: Any, y_pred: Tensor, sample_weight: Array | None) -> Tensor:
        if y_pred.ndim != 3:
            raise ValueError(f"ctc: predictions of shape {y_pred.shape}, wanted (samples, time steps, classes)")
        labels = as_tensor(y_true, "ctc")
        if labels.dtype.kind == "f":
            labels = elementwise.astype(labels, np.int64)
        if labels.ndim != 2 or labels.shape[0] != y_pred.shape[0]:
            raise ValueError(f"ctc: targets of shape {labels.shape}, wanted ({y_pred.shape[0]}, labels)")
        if sample_weight is not None:  # samples of weight 0 have a gradient of 0, even if their logits are NaN
            y_pred = logic.where(Tensor(sample_weight.reshape(-1, 1, 1)) != 0.0, y_pred, 1.0)
        lengths = sum_of(elementwise.astype(logic.ne(labels, 0), np.int64), 1)
        log_probs = activation.log_softmax(shape.transpose(y_pred, (1, 0, 2)))
        steps = full((y_pred.shape[0],), y_pred.shape[1], np.int64)
        return weighted(ctc_loss(log_probs, labels, steps, lengths, 0, "ctc")[0], sample_weight)
