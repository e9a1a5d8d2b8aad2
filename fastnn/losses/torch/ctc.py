"""PyTorch's loss of sequences of labels."""

from __future__ import annotations

from typing import Any

from ...autograd.tensor import Tensor
from ...backends import current
from ...ops import elementwise, logic, shape
from ...ops import loss as ops
from ...ops.checks import as_tensor, floating, whole_number
from ...ops.ctc import ctc_loss
from .base import TorchLoss


class CTCLoss(TorchLoss):
    """Connectionist temporal classification: -log of the probability of a sequence of labels, however they lie in time.

    A path has a class for each time step: a label, which may last several steps, or the blank. Equal labels one after the other
    need a blank between them.

    Source: Graves et al., ICML 2006.

    Args:
        blank: the class that stands for no label.
        reduction: "mean" divides each loss by the number of its labels (at least 1) and takes the mean; "sum" or "none".
        zero_infinity: whether infinite losses, of labels that need more time steps than there are, count as 0. Their gradient is
            0 in any case.

    Called as ``loss(log_probs, targets, input_lengths, target_lengths)``. Shapes: log_probs (T, N, C), for example of
    `fastnn.log_softmax`, or (T, C) for one sample; targets (N, S), or all labels one after the other (sum of target_lengths,);
    lengths (N,).

    The gradient is that of the formula. That of PyTorch assumes that log_probs come from a log_softmax, and is the same for what
    the log_softmax is computed from.

    >>> import fastnn
    >>> log_probs = fastnn.log_softmax(fastnn.zeros(3, 1, 2))
    >>> round(fastnn.nn.CTCLoss()(log_probs, [[1]], [3], [1]).item(), 4)   # 6 of 8 paths
    0.2877
    """

    not_in_fit = "takes the lengths of inputs and targets; fastnn.losses.CTC is for fit"

    def __init__(self, blank: int = 0, reduction: str = "mean", zero_infinity: bool = False) -> None:
        super().__init__(reduction)
        self.blank = whole_number(blank, "CTCLoss: blank", 0)
        self.zero_infinity = bool(zero_infinity)

    def __call__(  # type: ignore[override]
        self, log_probs: Any, targets: Any, input_lengths: Any, target_lengths: Any
    ) -> Tensor:
        current().module_called(self)
        return self.forward(floating("CTCLoss", as_tensor(log_probs, "CTCLoss")), targets, input_lengths, target_lengths)

    def forward(  # type: ignore[override]
        self, log_probs: Tensor, targets: Any, input_lengths: Any, target_lengths: Any
    ) -> Tensor:
        single = log_probs.ndim == 2
        if single:
            log_probs = shape.unsqueeze(log_probs, 1)
            targets = shape.reshape(as_tensor(targets, "CTCLoss: targets"), (1, -1))
            input_lengths, target_lengths = (
                shape.reshape(as_tensor(v, "CTCLoss: lengths"), (1,)) for v in (input_lengths, target_lengths)
            )
        losses, lengths = ctc_loss(log_probs, targets, input_lengths, target_lengths, self.blank, "CTCLoss")
        if self.zero_infinity:
            losses = logic.where(logic.isinf(losses), 0.0, losses)
        if self.reduction == "none":
            return shape.squeeze(losses, 0) if single else losses
        if self.reduction == "sum":
            return ops.reduce_loss(losses, "sum")
        counts = elementwise.maximum(elementwise.astype(lengths, losses.dtype), 1.0)
        return ops.reduce_loss(losses / counts)
