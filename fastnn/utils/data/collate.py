"""Batches of samples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ...autograd.tensor import Tensor, tensor
from ...ops.shape import stack


def default_collate(batch: Sequence[Any]) -> Any:
    """Make a batch of samples: numbers, arrays and Tensors become one Tensor, with an axis of the samples in front.

    Tuples and lists become lists of batches, dicts dicts of batches, and named tuples named tuples. Texts stay as they are.
    Python's floats become float64, as in PyTorch.

    Raises:
        TypeError: samples are of another type.
        ValueError: the samples have different lengths or shapes, or there are none.

    >>> from fastnn.utils.data import default_collate
    >>> default_collate([(1, "a"), (2, "b")])
    [tensor([1, 2], dtype=int64), ('a', 'b')]
    """
    if not batch:
        raise ValueError("default_collate: no samples came, wanted at least one")
    first = batch[0]
    if isinstance(first, Tensor):
        return stack(list(batch))
    if isinstance(first, np.ndarray | np.generic):
        shapes = {np.shape(sample) for sample in batch}
        if len(shapes) > 1:
            raise ValueError(f"default_collate: samples of shapes {', '.join(map(str, sorted(shapes)))} came, wanted one shape")
        return tensor(np.stack([np.asarray(sample) for sample in batch]))
    if isinstance(first, bool | int | float):
        return tensor(np.asarray(batch))
    if isinstance(first, str | bytes):
        return batch
    if isinstance(first, Mapping):
        return {key: default_collate([sample[key] for sample in batch]) for key in first}
    if isinstance(first, Sequence):
        if any(len(sample) != len(first) for sample in batch):
            raise ValueError(f"default_collate: samples with {sorted({len(s) for s in batch})} parts came, wanted one number")
        parts = [default_collate(part) for part in zip(*batch, strict=True)]
        return type(first)(*parts) if hasattr(first, "_fields") else parts
    raise TypeError(f"default_collate: a {type(first).__name__} came, wanted Tensors, arrays, numbers, texts, or tuples of them")
