"""Embeddings with Keras's names: tables with a row for each token."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from ... import constraints, initializers, regularizers
from ...autograd.tensor import Tensor
from ...core.convert import as_array
from ...ops.activation import tanh
from ...ops.checks import check_number, flag, optional, positive_int
from ...ops.dense import matmul, matmul_transposed
from ...ops.elementwise import astype
from ...ops.embedding import embedding
from ...ops.logic import ne
from ..dtype import real_dtype
from ..masks import masked
from ..module import Module
from ..parameter import Parameter, initial
from ..spec import ANY, InputSpec
from .weighted import rules


class Table(Module):
    """Base class of the layers with a table that has a row for each index."""

    _saved_as = ""
    _name = "embeddings"
    input_spec = InputSpec("int")

    @property
    def _table(self) -> Parameter:
        table = self._parameters[self._name]
        assert table is not None
        return table

    def _make(self, rows: int, columns: int, initializer: Any, values: Any, dtype: Any, name: str | None = None) -> None:
        """Finish a constructor: make the table by an initializer, or of values."""
        self._dtype = None if dtype is None else real_dtype(dtype, type(self).__name__)
        self.name = name or type(self).__name__.lower()
        own = np.dtype(self._dtype or "float32")
        if values is None:
            table = initial(initializer, (rows, columns), own)
        else:
            table = Parameter(as_array(values, own, (rows, columns), f"{type(self).__name__}: the table").copy())
        table.track_rows()  # so that an old gradient is cleared in few rows
        self._hold({self._name: table})

    def output_shape(self, input_shape: tuple[int, ...]) -> tuple[int, ...]:
        return (*input_shape, self._table.shape[1])


class Embedding(Table):
    """Layer that turns whole numbers, such as tokens, into vectors: the rows of a table that is learned.

    Args:
        input_dim: number of rows; indices are 0 to input_dim - 1.
        output_dim: size of a vector.
        embeddings_initializer: a name or object of `fastnn.initializers`.
        embeddings_regularizer: penalty on the table that fit adds to the loss: a name or object of `fastnn.regularizers`, or a
            function.
        embeddings_constraint: constraint that is applied to the table after each step: a name or object of
            `fastnn.constraints`, or a function.
        mask_zero: whether index 0 stands for padding: the output has a mask that is False there, see `fastnn.nn.masks`.
        weights: initial values of the table, (input_dim, output_dim), or a list of one such array.
        dtype: "float32" or "float64".

    Shapes: x any shape, embeddings (input_dim, output_dim), y (*x.shape, output_dim).

    Raises:
        IndexError: an index is out of range. Recorded steps do not check it: there, indices from -input_dim to -1
            count from the end, and others give NaN.

    >>> import fastnn
    >>> layer = fastnn.Embedding(3, 2, weights=[[0.0, 1.0], [2.0, 3.0], [4.0, 5.0]])
    >>> layer([[2, 0]]).tolist()
    [[[4.0, 5.0], [0.0, 1.0]]]
    """

    _saved_as = "keras.Embedding"
    supports_masking = True
    _checked_arguments: ClassVar = {
        **dict.fromkeys(("input_dim", "output_dim"), positive_int),
        **rules("embeddings"),
        "mask_zero": flag,
    }
    _fixed_arguments: ClassVar[tuple[str, ...]] = ("input_dim", "output_dim", "embeddings_initializer", "weights")
    _ruled_parameters: ClassVar = {"embeddings": "embeddings"}

    def __init__(
        self,
        input_dim: int,
        output_dim: int,
        embeddings_initializer: Any = "uniform",
        embeddings_regularizer: Any = None,
        embeddings_constraint: Any = None,
        mask_zero: bool = False,
        weights: Any = None,
        *,
        dtype: Any = None,
        name: str | None = None,
    ) -> None:
        super().__init__()
        self.input_dim = input_dim
        self.output_dim = output_dim
        self.embeddings_initializer = embeddings_initializer
        self.embeddings_regularizer = embeddings_regularizer
        self.embeddings_constraint = embeddings_constraint
        self.mask_zero = mask_zero
        values = weights[0] if isinstance(weights, list | tuple) and len(weights) == 1 and np.ndim(weights[0]) == 2 else weights
        self._make(self.input_dim, self.output_dim, self.embeddings_initializer, values, dtype, name)

    def forward(self, x: Tensor) -> Tensor:
        if x.dtype.kind == "f":
            x = astype(x, np.dtype(np.int64))  # as in Keras, whose Input is of floats by default
        y = embedding(self._table, x, op=type(self).__name__)
        return masked(y, ne(x, 0)) if self.mask_zero else y

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        """Return the mask of indices that are not padding, if index 0 is."""
        return ne(inputs, 0) if self.mask_zero else None

    def get_config(self) -> dict[str, Any]:
        regularizer, constraint = self.embeddings_regularizer, self.embeddings_constraint
        return {
            "input_dim": self.input_dim,
            "output_dim": self.output_dim,
            "embeddings_initializer": initializers.written(self.embeddings_initializer, "uniform"),
            "embeddings_regularizer": None if regularizer is None else regularizers.serialize(regularizer),
            "embeddings_constraint": None if constraint is None else constraints.serialize(constraint),
            "mask_zero": self.mask_zero,
            "dtype": self.dtype.name,
        }

    def extra_repr(self) -> str:
        return f"{self.input_dim}, {self.output_dim}{', mask_zero=True' * self.mask_zero}"


class ReversibleEmbedding(Embedding):
    """Embedding that also computes the logits of tokens, as a dense layer whose matrix is its own table.

    ``layer(h, reverse=True)`` gives h @ embeddings^T. The table is one parameter, which gets both gradients.

    Source: Press, Wolf, arXiv 1608.05859.

    Args:
        tie_weights: whether the logits are computed with the table; otherwise with a second matrix, ``reverse_embeddings``, of
            shape (output_dim, input_dim).
        reverse_dtype: dtype in which logits are computed; by default that of h.
        logit_soft_cap: if given, logits are limited to this number c by c tanh(logits / c).
        input_dim, output_dim, embeddings_initializer, embeddings_regularizer, embeddings_constraint, mask_zero, dtype: as in
            `Embedding`.

    Shapes: as in `Embedding`; with reverse, h (..., output_dim) and logits (..., input_dim).

    >>> import fastnn
    >>> layer = fastnn.ReversibleEmbedding(5, 2)
    >>> h = layer([[1, 2, 3]])
    >>> h.shape, layer(h, reverse=True).shape
    ((1, 3, 2), (1, 3, 5))
    """

    _saved_as = "ReversibleEmbedding"
    _checked_arguments: ClassVar = {
        "tie_weights": flag,
        "reverse_dtype": optional(real_dtype),
        "logit_soft_cap": optional(lambda value, name: check_number(value, name, float(np.finfo(np.float32).tiny))),
    }
    _fixed_arguments = ("tie_weights",)
    input_spec = ANY

    def __init__(
        self,
        input_dim: int,
        output_dim: int,
        tie_weights: bool = True,
        embeddings_initializer: Any = "uniform",
        embeddings_regularizer: Any = None,
        embeddings_constraint: Any = None,
        mask_zero: bool = False,
        reverse_dtype: Any = None,
        logit_soft_cap: float | None = None,
        *,
        dtype: Any = None,
        name: str | None = None,
    ) -> None:
        rules = (embeddings_initializer, embeddings_regularizer, embeddings_constraint)
        super().__init__(input_dim, output_dim, *rules, mask_zero, dtype=dtype, name=name)
        self.tie_weights = tie_weights
        self.reverse_dtype = reverse_dtype
        self.logit_soft_cap = logit_soft_cap
        if not self.tie_weights:
            self.reverse_embeddings = initial(
                self.embeddings_initializer, (self.output_dim, self.input_dim), np.dtype(self._dtype or "float32")
            )

    def forward(self, x: Tensor, reverse: bool = False) -> Tensor:
        if not reverse:
            return super().forward(x)
        if x.ndim == 0 or x.shape[-1] != self.output_dim:
            raise ValueError(f"{type(self).__name__}: h has shape {x.shape}, wanted (..., {self.output_dim}) for reverse=True")
        matrix: Tensor = self._table if self.tie_weights else self.reverse_embeddings
        if self.reverse_dtype is not None:
            x, matrix = astype(x, self.reverse_dtype), astype(matrix, self.reverse_dtype)
        logits = matmul_transposed(x, matrix) if self.tie_weights else matmul(x, matrix)
        cap = self.logit_soft_cap
        return logits if cap is None else tanh(logits * (1 / cap)) * cap

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        """Return the mask of indices, or the mask of what logits are computed from."""
        return super().compute_mask(inputs) if inputs.dtype.kind == "i" else previous_mask

    def get_config(self) -> dict[str, Any]:
        own = {"tie_weights": self.tie_weights, "logit_soft_cap": self.logit_soft_cap}
        return {**super().get_config(), **own, "reverse_dtype": self.reverse_dtype and np.dtype(self.reverse_dtype).name}
