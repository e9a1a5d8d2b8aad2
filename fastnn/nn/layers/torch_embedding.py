"""Embeddings with PyTorch's names."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np

from ...autograd.tensor import Tensor
from ...backends import current
from ...core.convert import host_array
from ...core.device import check_device
from ...ops.checks import as_tensor, check_number, flag, optional, positive_int, whole_number
from ...ops.create import full
from ...ops.data import as_index, take
from ...ops.elementwise import astype, maximum
from ...ops.embedding import bag_sum, bags_of, embedding, limit_norms
from ...ops.logic import logical_and, ne, where
from ...ops.reduce import any as any_of
from ...ops.reduce import max as max_of
from ...ops.shape import reshape, unsqueeze
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


class TorchTable(Table):
    """Base class of the tables with PyTorch's names."""

    _saved_as = ""
    _name = "weight"
    padding_idx: int | None
    max_norm: float | None
    norm_type: float
    scale_grad_by_freq: bool
    _checked_arguments: ClassVar = {
        **dict.fromkeys(("num_embeddings", "embedding_dim"), positive_int),
        "padding_idx": optional(whole_number),
        "max_norm": optional(lambda value, name: check_number(value, name, 0.0)),
        "norm_type": norm_order,
        **dict.fromkeys(("scale_grad_by_freq", "sparse"), flag),
    }
    _fixed_arguments = ("num_embeddings", "embedding_dim", "padding_idx")

    def _rows(self, index: Tensor) -> Tensor:
        """Return the rows by index, after their norms are limited."""
        table, name = self._table, type(self).__name__
        if self.max_norm is not None:
            index = as_index(index, name, table.shape[0], 0)
            limit_norms(table, index, self.max_norm, self.norm_type)
        return embedding(table, index, self.padding_idx, self.scale_grad_by_freq, name)

    def extra_repr(self) -> str:
        usual: dict[str, Any] = {
            "padding_idx": None,
            "max_norm": None,
            "norm_type": 2.0,
            "scale_grad_by_freq": False,
            "sparse": False,
        }
        usual |= {"mode": "mean", "include_last_offset": False}
        special = [f"{name}={getattr(self, name)!r}" for name, value in usual.items() if getattr(self, name, value) != value]
        return ", ".join(map(str, [*self._table.shape, *special]))


class Embedding(TorchTable):
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
        IndexError: an index is out of range. Recorded steps do not check it: there, indices from -num_embeddings to -1
            count from the end, and others give NaN.

    >>> import fastnn
    >>> layer = fastnn.nn.Embedding.from_pretrained([[0.0, 1.0], [2.0, 3.0], [4.0, 5.0]])
    >>> layer([[2, 0]]).tolist()
    [[[4.0, 5.0], [0.0, 1.0]]]
    """

    _saved_as = "Embedding"

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
        return self._rows(x)

    def get_config(self) -> dict[str, Any]:
        names = ("num_embeddings", "embedding_dim", "padding_idx", "max_norm", "norm_type", "scale_grad_by_freq", "sparse")
        return {**{name: getattr(self, name) for name in names}, "dtype": self.dtype.name}


def table_of(values: Any, op: str) -> np.ndarray[Any, Any]:
    """Return the values of a table as an array of two dimensions."""
    table = host_array(values.numpy() if isinstance(values, Tensor) else values, None, op)
    if table.ndim != 2 or table.dtype.kind != "f":
        raise ValueError(f"{op}: embeddings of shape {table.shape} and dtype {table.dtype}, wanted a matrix of floats")
    return table


MODES = ("sum", "mean", "max")


def mode_of(value: Any, name: str) -> str:
    """Check the name of what a bag is reduced to."""
    if value not in MODES:
        raise ValueError(f"{name} is {value!r}, wanted {', '.join(map(repr, MODES[:-1]))} or {MODES[-1]!r}")
    return str(value)


class EmbeddingBag(TorchTable):
    """Layer that turns bags of whole numbers into vectors: the sum, mean or maximum of rows of a table. An empty bag gives 0.

    Args:
        num_embeddings, embedding_dim, max_norm, norm_type, scale_grad_by_freq, sparse, padding_idx, device, dtype: as in
            `Embedding`. Items with padding_idx do not count.
        mode: "sum", "mean" or "max".
        include_last_offset: whether offsets end with the end of the last bag.

    Called as ``layer(input, offsets=None, per_sample_weights=None)``. Shapes: input (N, L), bags of L items; or (J,), all items
    one after the other, with offsets (N,), the position of the first item of each bag. per_sample_weights, for mode "sum", has
    the shape of input and multiplies the rows. y (N, embedding_dim). With offsets, mode "max" reads them in Python, so that a
    recorded step with it runs step by step.

    >>> import fastnn
    >>> layer = fastnn.nn.EmbeddingBag.from_pretrained([[0.0, 1.0], [2.0, 3.0], [4.0, 5.0]], mode="sum")
    >>> layer([0, 1, 2, 2], offsets=[0, 2]).tolist()
    [[2.0, 4.0], [8.0, 10.0]]
    """

    _checked_arguments: ClassVar = {"mode": mode_of, "include_last_offset": flag}

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        max_norm: float | None = None,
        norm_type: float = 2.0,
        scale_grad_by_freq: bool = False,
        mode: str = "mean",
        sparse: bool = False,
        _weight: Any = None,
        include_last_offset: bool = False,
        padding_idx: int | None = None,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        check_device(device, "EmbeddingBag")
        self.num_embeddings = num_embeddings
        self.embedding_dim = embedding_dim
        self.max_norm = max_norm
        self.norm_type = norm_type
        self.scale_grad_by_freq = scale_grad_by_freq
        self.mode = mode
        self.sparse = sparse
        self.include_last_offset = include_last_offset
        self.padding_idx = row_of(padding_idx, self.num_embeddings, "EmbeddingBag: padding_idx")
        self._make(self.num_embeddings, self.embedding_dim, _normal_rows(self.padding_idx), _weight, dtype)

    @classmethod
    def from_pretrained(
        cls,
        embeddings: Any,
        freeze: bool = True,
        max_norm: float | None = None,
        norm_type: float = 2.0,
        scale_grad_by_freq: bool = False,
        mode: str = "mean",
        sparse: bool = False,
        include_last_offset: bool = False,
        padding_idx: int | None = None,
    ) -> EmbeddingBag:
        """Make the layer from the values of its table, which training does not change if it is frozen."""
        values = table_of(embeddings, "EmbeddingBag.from_pretrained")
        rows, columns = values.shape
        settings = (max_norm, norm_type, scale_grad_by_freq, mode, sparse, values, include_last_offset, padding_idx)
        layer = cls(rows, columns, *settings, dtype=values.dtype)
        layer._table.requires_grad = not freeze
        return layer

    def forward(self, input: Tensor, offsets: Any = None, per_sample_weights: Any = None) -> Tensor:
        index = as_index(input, "EmbeddingBag", self._table.shape[0], 0)
        if per_sample_weights is not None and self.mode != "sum":
            raise ValueError(f"EmbeddingBag: per_sample_weights came for mode {self.mode!r}, wanted mode 'sum'")
        if self.mode == "max" and self.scale_grad_by_freq:
            raise ValueError("EmbeddingBag: scale_grad_by_freq=True with mode 'max', which does not count items")
        if index.ndim == 1 and offsets is not None:
            begins = self._begins(offsets, index.size)
        elif index.ndim == 2 and offsets is None:
            begins = None
        else:
            came = "without" if offsets is None else "with"
            raise ValueError(
                f"EmbeddingBag: input of shape {index.shape} {came} offsets; wanted (bags, items) without them, or (items,)"
            )
        if self.mode == "max":
            return self._greatest(index, begins)
        count = index.shape[0] if begins is None else begins.size - self.include_last_offset
        if begins is None:
            bags = Tensor(current().constant(np.repeat(np.arange(count), index.shape[1])))
        else:
            bags = bags_of(begins, index.size)
        flat = reshape(index, (-1,))
        rows = self._rows(flat)
        if per_sample_weights is not None:
            weights = as_tensor(per_sample_weights, "EmbeddingBag: per_sample_weights", rows)
            if weights.shape != index.shape:
                raise ValueError(f"EmbeddingBag: per_sample_weights of shape {weights.shape} for input of shape {index.shape}")
            rows = rows * reshape(weights, (-1, 1))
        if self.padding_idx is not None:
            rows = where(unsqueeze(ne(flat, self.padding_idx), 1), rows, 0.0)
        total = bag_sum(rows, bags, count)
        if self.mode == "sum":
            return total
        counted = full((flat.size, 1), 1.0, rows.dtype)
        if self.padding_idx is not None:
            counted = astype(unsqueeze(ne(flat, self.padding_idx), 1), rows.dtype)
        return total / maximum(bag_sum(counted, bags, count), 1.0)

    def _begins(self, offsets: Any, items: int) -> Tensor:
        """Return the offsets as int64 after a check."""
        begins = as_tensor(
            np.asarray(offsets, np.int64) if isinstance(offsets, list | tuple) else offsets, "EmbeddingBag: offsets"
        )
        found = current().to_numpy(begins.data)
        if begins.ndim != 1 or begins.dtype != np.int64:
            raise ValueError(
                f"EmbeddingBag: offsets of shape {begins.shape} and dtype {begins.dtype}, wanted whole numbers (bags,)"
            )
        if found.size and (found[0] != 0 or (np.diff(found) < 0).any() or found[-1] > items):
            raise ValueError(f"EmbeddingBag: offsets are {found.tolist()}, wanted positions from 0 to {items} in ascending order")
        return begins

    def _greatest(self, index: Tensor, begins: Tensor | None) -> Tensor:
        padding = self.padding_idx
        counts = None if padding is None else ne(index, padding)
        if begins is not None:
            k = current()
            k.host_reads("the offsets of bags")
            ends = [*k.to_numpy(begins.data).tolist(), *([] if self.include_last_offset else [index.size])]
            sizes = np.diff(np.array(ends, np.int64))
            places = np.array(ends[:-1])[:, None] + np.arange(sizes.max(initial=0))
            inside = np.arange(places.shape[1]) < sizes[:, None]
            index = take(index, Tensor(k.asarray(np.where(inside, places, 0))))
            there = Tensor(k.asarray(inside))
            counts = there if padding is None else logical_and(there, ne(index, padding))
        if not index.shape[1]:
            return full((index.shape[0], self._table.shape[1]), 0.0, self._table.dtype)
        rows = self._rows(index)
        if counts is not None:
            rows = where(unsqueeze(counts, 2), rows, float("-inf"))
        top, _ = max_of(rows, dim=1)
        return top if counts is None else where(any_of(counts, axis=1, keepdims=True), top, 0.0)

    def output_shape(self, input_shape: tuple[int, ...]) -> tuple[int, ...]:
        return (self._table.shape[1],)

    def get_config(self) -> dict[str, Any]:
        names = ("num_embeddings", "embedding_dim", "max_norm", "norm_type", "scale_grad_by_freq", "mode", "sparse")
        more = ("include_last_offset", "padding_idx")
        return {**{name: getattr(self, name) for name in (*names, *more)}, "dtype": self.dtype.name}
