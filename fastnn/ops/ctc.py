"""Connectionist temporal classification (CTC): the loss of labels of which it is not known when each of them comes."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..autograd.tensor import Array, Gradients, Node, Tensor, is_grad_enabled, result
from ..backends import current
from ..core import arrays
from ..core.convert import host_array
from .checks import as_tensor, floating, whole_number, whole_numbers


def ctc_loss(
    log_probs: Tensor, targets: Any, input_lengths: Any, target_lengths: Any, blank: int = 0, op: str = "ctc_loss"
) -> tuple[Tensor, Tensor]:
    """Return the loss of each sample, and the lengths of the targets.

    Args:
        log_probs: logarithms of the probabilities of classes (T, N, C).
        targets: classes of the samples: padded (N, S), or one after the other (sum of the lengths,).
        input_lengths: the number of time steps of each sample (N,).
        target_lengths: the number of labels of each sample (N,).
        blank: the class that stands for no label.
        op: the name that errors have.

    The gradient is that of the loss by log_probs, and 0 for samples whose loss is infinite.

    Raises:
        ValueError, IndexError: shapes do not fit, or a length or a label is out of range. Recorded steps do not check labels and
            lengths: they limit the lengths, and the loss is NaN for labels that are no classes.

    Source: Graves et al., ICML 2006.
    """
    floating(op, log_probs)
    if log_probs.ndim != 3 or not log_probs.shape[2]:
        raise ValueError(f"{op}: log_probs of shape {log_probs.shape}, wanted (time steps, samples, classes)")
    most, n, classes = log_probs.shape
    if not 0 <= whole_number(blank, f"{op}: blank") < classes:
        raise ValueError(f"{op}: blank is {blank}, wanted a class from 0 to {classes - 1}")
    labels = _whole(targets, f"{op}: targets")
    lengths = _lengths(target_lengths, "target_lengths", n, labels.shape[1] if labels.ndim == 2 else labels.size, op)
    steps = _lengths(input_lengths, "input_lengths", n, most, op)
    labels = _padded(labels, lengths, n, classes, op)
    k = current()
    loss, size = k.empty((n,), log_probs.dtype), 2 * labels.shape[1] + 1
    alpha = k.empty((n, most + 2, size), np.float64)
    dx = k.empty(log_probs.shape, log_probs.dtype) if log_probs.requires_grad and is_grad_enabled() else k.absent
    k.ctc_loss(loss, alpha, dx, log_probs.data, labels.data, steps.data, lengths.data, blank)
    attrs = {"blank": blank}
    return result("ctc_loss", loss, _ctc_backward, (log_probs, labels, steps, lengths), (dx,), attrs), lengths


def _ctc_backward(grads: Gradients, node: Node, dy: Array) -> None:
    assert node.saved is not None
    (dx,) = node.saved
    grads.add(node.inputs[0], arrays.binary(grads.k, "mul", dx, dy.reshape(1, -1, 1)))


def _whole(values: Any, name: str) -> Tensor:
    """Return whole numbers as an int64 Tensor; lists of Tensors or of numbers are fine."""
    if isinstance(values, list | tuple):
        values = host_array([int(v) if getattr(v, "ndim", 1) == 0 else v for v in values], np.int64, name)
    return whole_numbers(values, name)


def _lengths(values: Any, name: str, samples: int, most: int, op: str) -> Tensor:
    t = _whole(values, f"{op}: {name}")
    if t.shape != (samples,):
        raise ValueError(f"{op}: {name} of shape {t.shape}, wanted a length for each of the {samples} samples")
    found = current().to_numpy(t.data)
    if (wrong := (found < 0) | (found > most)).any():
        i = int(wrong.argmax())
        raise ValueError(f"{op}: {name}[{i}] is {found[i]}, wanted a length from 0 to {most}")
    return t


def _padded(labels: Tensor, lengths: Tensor, samples: int, classes: int, op: str) -> Tensor:
    """Return targets (N, S), from such or from those that come one after the other, after a check of the labels."""
    k = current()
    own = k.to_numpy(labels.data)
    if labels.ndim == 1:
        k.host_reads("the lengths of targets that come one after the other; pad them to (samples, labels)")
        counts = k.to_numpy(lengths.data)
        if counts.sum() != own.size:
            raise ValueError(f"{op}: {own.size} targets came, but the sum of target_lengths is {counts.sum()}")
        rows = np.zeros((samples, int(counts.max(initial=0))), np.int64)
        rows[np.arange(rows.shape[1]) < counts[:, None]] = own
        own, labels = rows, as_tensor(rows, op)
    if own.ndim != 2 or len(own) != samples:
        raise ValueError(f"{op}: targets of shape {own.shape}, wanted ({samples}, labels), or one axis for all together")
    counted = np.arange(own.shape[1]) < k.to_numpy(lengths.data)[:, None]
    if (wrong := counted & ((own < 0) | (own >= classes))).any():
        i, s = np.unravel_index(int(wrong.argmax()), own.shape)
        raise IndexError(f"{op}: target {own[i, s]} of sample {i}, at position {s}, wanted a class from 0 to {classes - 1}")
    return labels
