"""Define the residual net for tables."""

from __future__ import annotations

from typing import Any, ClassVar

from .. import activations
from ..autograd.tensor import Tensor
from ..nn.graph.container import ModuleList
from ..nn.layers.dense import Dense
from ..nn.layers.normalization import BatchNormalization
from ..nn.layers.random import Dropout
from ..nn.layers.sample_normalization import LayerNormalization
from ..nn.module import Module
from ..ops.activation import applied
from ..ops.checks import optional, positive_int
from .parts import Part, TableModel, activation_name, one_of


def _norm(kind: str, width: int, dtype: Any) -> Module:
    make: Any = {"batch": BatchNormalization, "layer": LayerNormalization}[kind]
    layer: Module = make(epsilon=1e-5, input_shape=(width,), dtype=dtype)
    return layer


class ResidualBlock(Part):
    """Block of a residual net for tables: x + dense(dropout(activation(dense(norm(x))))).

    Args:
        width: W, the size of input and output.
        hidden: H, the number of hidden units.
        dropout: fraction of the hidden units that are dropped in training.
        activation: name of the activation.
        norm: "batch" or "layer".
        residual_dropout: fraction of what is added that is dropped in training.
        dtype: "float32" or "float64".

    Shapes: x (B, W), y (B, W); up.kernel (W, H), down.kernel (H, W).
    """

    _checked_arguments: ClassVar = {
        **dict.fromkeys(("width", "hidden"), positive_int),
        "activation": activation_name,
        "norm": one_of("batch", "layer"),
    }
    _fixed_arguments = tuple(_checked_arguments)

    def __init__(
        self,
        width: int,
        hidden: int,
        dropout: float = 0.0,
        activation: str = "relu",
        *,
        norm: str = "batch",
        residual_dropout: float = 0.0,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        self.width, self.hidden, self.activation, self.norm = width, hidden, activation, norm
        self.normalize = _norm(norm, width, dtype)
        self.up = Dense(hidden, activation, input_shape=(width,), dtype=dtype)
        self.dropout = dropout
        self.down = Dense(width, input_shape=(hidden,), dtype=dtype)
        self.last_drop = Dropout(residual_dropout) if residual_dropout else None

    @property
    def residual_dropout(self) -> float:
        """Return the fraction of what is added that is dropped."""
        return 0.0 if self.last_drop is None else self.last_drop.rate

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.down(self._dropped(self.up(self.normalize(x))))
        return x + (y if self.last_drop is None else self.last_drop(y))


class TabularResidual(TableModel):
    """Residual net for tables: a dense layer, blocks that add to their input, and an output layer after a last norm.

    Source: Gorishniy, Rubachev, Khrulkov, Babenko, Revisiting Deep Learning Models for Tabular Data, arXiv 2106.11959.

    Args:
        n_features: F, the number of features: columns of numbers, or of embeddings one after the other.
        n_outputs: C, the number of outputs of a row.
        width: W, the size of what the blocks add to.
        depth: number of blocks.
        dropout: fraction of the hidden units of each block that are dropped in training.
        activation: name of the activation of the blocks.
        hidden: H, the number of hidden units of a block; by default 2 W.
        residual_dropout: fraction that is dropped of what blocks add.
        norm: "batch" or "layer".
        output_activation: name of the activation of the output, such as "softmax" or "sigmoid"; None for none.
        dtype: "float32" or "float64".

    Shapes: x (B, F), y (B, C).

    >>> import fastnn
    >>> model = fastnn.models.TabularResidual(4, 3, width=16, output_activation="softmax")
    >>> model(fastnn.randn(5, 4)).shape
    (5, 3)
    """

    _checked_arguments: ClassVar = {
        "hidden": optional(positive_int),
        "norm": one_of("batch", "layer"),
    }
    _fixed_arguments = tuple(_checked_arguments)

    def __init__(
        self,
        n_features: int,
        n_outputs: int,
        width: int = 192,
        depth: int = 3,
        dropout: float = 0.2,
        activation: str = "relu",
        *,
        hidden: int | None = None,
        residual_dropout: float = 0.0,
        norm: str = "batch",
        output_activation: str | None = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        self.n_features, self.n_outputs, self.width, self.depth = n_features, n_outputs, width, depth
        self.activation, self.norm, self.output_activation = activation, norm, output_activation
        self._act = activations.get(activation)
        self.hidden = 2 * width if hidden is None else hidden
        self.first = Dense(width, input_shape=(n_features,), dtype=dtype)
        own: Any = {"norm": norm, "residual_dropout": residual_dropout, "dtype": dtype}
        self.blocks = ModuleList(ResidualBlock(width, self.hidden, dropout, activation, **own) for _ in range(depth))
        self.last_norm = _norm(norm, width, dtype)
        self.head = Dense(n_outputs, output_activation, input_shape=(width,), dtype=dtype)

    @property
    def dropout(self) -> float:
        """Return the fraction of the hidden units that are dropped; it may be changed at any time."""
        rate: float = self.blocks[0].dropout
        return rate

    @dropout.setter
    def dropout(self, value: float) -> None:
        for block in self.blocks:
            block.dropout = value

    @property
    def residual_dropout(self) -> float:
        """Return the fraction that is dropped of what blocks add."""
        rate: float = self.blocks[0].residual_dropout
        return rate

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x)
        for block in self.blocks:
            x = block(x)
        y: Tensor = self.head(applied(self._act, self.last_norm(x), type(self).__name__))
        return y

    def extra_repr(self) -> str:
        return f"{self.n_features}, {self.n_outputs}, width={self.width}, depth={self.depth}"
