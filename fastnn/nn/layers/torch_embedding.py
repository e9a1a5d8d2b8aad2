"""Embeddings with PyTorch's names."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np

from ...autograd.tensor import Tensor
from ...core.convert import host_array
from ...ops.checks import check_device, check_number, flag, optional, positive_int, whole_number
from ...ops.embedding import embedding
from .embedding import Table


def _normal_rows(padding: int | None) -> Callable[..., Any]:
    """Return PyTorch's initial values of a table: numbers of a normal distribution, and 0 in the row of the padding."""

    def make(shape: tuple[int, ...], dtype: Any, rng: np.random.Generator) -> np.ndarray[Any, Any]:
        values = rng.normal(0.0, 1.0, shape)
        if padding is not None:
            values[padding] = 0.0
        return values.astype(dtype)

    return make


def row_of(padding: int | None, rows: int, name: str) -> int | None:
    """Return the number of a row, which may count from the end, from the start; None stays None."""
    if padding is not None and not -rows <= padding < rows:
        raise ValueError(f"{name} is {padding}, wanted a row from {-rows} to {rows - 1}")
    return None if padding is None else padding % rows


def norm_order(value: Any, name: str) -> float:
    """Check the order of a norm: a positive number, or infinity."""
    return float("inf") if value == float("inf") else check_number(value, name, np.finfo(np.float64).tiny)


class Embedding(Table):
    """Layer that turns whole numbers, such as tokens, into vectors: the rows of a table that is learned.

    Args:
        num_embeddings: number of rows; indices are 0 to num_embeddings - 1.
        embedding_dim: size of a vector.
        padding_idx: a row that begins as 0 and gets no gradient; -1 is the last one.
        max_norm: if given, rows that are looked up and whose norm is greater are scaled to this norm, in the table.
        norm_type: p of this p-norm.
        scale_grad_by_freq: whether the gradient of a row is divided by the number of times that its index occurs in the input.
        sparse: accepted for compatibility with PyTorch; has no effect: the table always marks the rows that have a gradient
            (`Parameter.track_rows`), and `fastnn.optim.SparseAdam` changes only these.
        device: accepted for compatibility with PyTorch; "cpu" if the backend computes there.
        dtype: "float32" or "float64".

    Shapes: x any shape, weight (num_embeddings, embedding_dim), y (*x.shape, embedding_dim).

    Raises:
        IndexError: an index is out of range. Recorded steps do not check it, and give NaN.

    >>> import fastnn
    >>> layer = fastnn.nn.Embedding.from_pretrained([[0.0, 1.0], [2.0, 3.0], [4.0, 5.0]])
    >>> layer([[2, 0]]).tolist()
    [[[4.0, 5.0], [0.0, 1.0]]]
    """

    _saved_as = "Embedding"
    _name = "weight"
    _checked_arguments: ClassVar = {
        **dict.fromkeys(("num_embeddings", "embedding_dim"), positive_int),
        "padding_idx": optional(whole_number),
        "max_norm": optional(lambda value, name: check_number(value, name, 0.0)),
        "norm_type": norm_order,
        **dict.fromkeys(("scale_grad_by_freq", "sparse"), flag),
    }
    _fixed_arguments = ("num_embeddings", "embedding_dim", "padding_idx", "max_norm", "norm_type")

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        padding_idx: int | None = None,
        max_norm: float | None = None,
        norm_type: float = 2.0,
        scale_grad_by_freq: bool = False,
        sparse: bool = False,
        _weight: Any = None,
        _freeze: bool = False,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        check_device(device, "Embedding")
        self.num_embeddings = num_embeddings
        self.embedding_dim = embedding_dim
        self.padding_idx = row_of(padding_idx, self.num_embeddings, "Embedding: padding_idx")
        if max_norm is not None:
            raise NotImplementedError("Embedding: max_norm is not supported yet")
        self.max_norm = max_norm
        self.norm_type = norm_type
        self.scale_grad_by_freq = scale_grad_by_freq
        self.sparse = sparse
        self._make(self.num_embeddings, self.embedding_dim, _normal_rows(self.padding_idx), _weight, dtype)
        self._table.requires_grad = not _freeze

    @classmethod
    def from_pretrained(
        cls,
        embeddings: Any,
        freeze: bool = True,
        padding_idx: int | None = None,
        max_norm: float | None = None,
        norm_type: float = 2.0,
        scale_grad_by_freq: bool = False,
        sparse: bool = False,
    ) -> Embedding:
        """Make the layer from the values of its table, which training does not change if it is frozen."""
        values = table_of(embeddings, "Embedding.from_pretrained")
        rows, columns = values.shape
        settings = (padding_idx, max_norm, norm_type, scale_grad_by_freq, sparse)
        return cls(rows, columns, *settings, _weight=values, _freeze=freeze, dtype=values.dtype)

    def forward(self, x: Tensor) -> Tensor:
        return embedding(self._table, x, self.padding_idx, self.scale_grad_by_freq, "Embedding")

    def get_config(self) -> dict[str, Any]:
        names = ("num_embeddings", "embedding_dim", "padding_idx", "max_norm", "norm_type", "scale_grad_by_freq", "sparse")
        return {**{name: getattr(self, name) for name in names}, "dtype": self.dtype.name}

    def extra_repr(self) -> str:
        return described(self, f"{self.num_embeddings}, {self.embedding_dim}")


def table_of(values: Any, op: str) -> np.ndarray[Any, Any]:
    """Return the values of a table as an array of two dimensions."""
    table = host_array(values.numpy() if isinstance(values, Tensor) else values, None, op)
    if table.ndim != 2 or table.dtype.kind != "f":
        raise ValueError(f"{op}: embeddings of shape {table.shape} and dtype {table.dtype}, wanted a matrix of floats")
    return table


def described(layer: Any, sizes: str) -> str:
    """Return the settings of a table with PyTorch's names that are not the usual ones, for its repr."""
    usual = {"padding_idx": None, "max_norm": None, "norm_type": 2.0, "scale_grad_by_freq": False, "sparse": False}
    return ", ".join(
        [sizes, *(f"{name}={getattr(layer, name)}" for name, value in usual.items() if getattr(layer, name) != value)]
    )
