"""Define TabM: a net for tables that is an ensemble of nets with shared weights."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from .. import activations, initializers
from ..autograd.tensor import Tensor
from ..backends import current
from ..nn.dtype import real_dtype
from ..nn.graph.container import ModuleList
from ..nn.parameter import initial
from ..nn.spec import InputSpec, features
from ..ops.activation import applied
from ..ops.checks import positive_int
from ..ops.dense import dense, matmul
from ..ops.members import mean_of_members
from ..ops.normalization import normalize_by
from ..ops.shape import reshape, transpose
from .parts import Part, TableModel, activation_name


def _signs(shape: tuple[int, ...], dtype: Any, rng: np.random.Generator) -> Any:
    """Draw 1 or -1 for each element."""
    return (2 * rng.integers(0, 2, shape) - 1).astype(dtype)


class SharedDense(Part):
    """Dense layer of K members, which share the kernel: y = activation(((x r) kernel) s + bias).

    Each member has scales r of its inputs, scales s of its outputs, and a bias. The product of all members is one product.

    Source: Wen, Tran, Ba, BatchEnsemble, arXiv 2002.06715.

    Args:
        inputs, units: I and U, the sizes of input and output.
        k: K, the number of members.
        activation: name of the activation.
        signs: whether r begins as random signs; else as ones.
        dtype: "float32" or "float64".

    Shapes: x (B, I), which all members see, or (B, K, I); y (B, K, U); kernel (I, U), r (K, I), s and bias (K, U).
    """

    _checked_arguments: ClassVar = {
        **dict.fromkeys(("inputs", "units", "k"), positive_int),
        "activation": activation_name,
    }
    _fixed_arguments = tuple(_checked_arguments)

    def __init__(
        self, inputs: int, units: int, k: int, activation: str = "relu", *, signs: bool = False, dtype: Any = None
    ) -> None:
        super().__init__()
        self.inputs, self.units, self.k, self.activation, self.signs = inputs, units, k, activation, signs
        self._act = activations.get(activation)
        real = real_dtype(dtype or "float32", "SharedDense")
        self.kernel = initial(initializers.LinearWeight(), (inputs, units), real)
        self.r = initial(_signs if signs else initializers.Ones(), (k, inputs), real)
        self.s = initial(initializers.Ones(), (k, units), real)
        self.bias = initial(initializers.LinearBias(inputs), (k, units), real)

    @property
    def input_spec(self) -> InputSpec:
        """Return the spec: floats, with I as the last size."""
        return features(self.inputs)

    def forward(self, x: Tensor) -> Tensor:
        h = x.reshape(len(x), 1, -1) * self.r if x.ndim == 2 else _scaled(x, self.r)
        y = _scaled(dense(h, self.kernel), self.s, self.bias)
        return applied(self._act, y, type(self).__name__)


def _scaled(x: Tensor, scale: Tensor, shift: Tensor | None = None) -> Tensor:
    """Return x scale + shift, for x (B, K, N). The sums over the batch of its gradients are in one kernel."""
    columns = scale.size
    zeros, ones = (Tensor(current().constant(np.full(columns, value, x.dtype))) for value in (0.0, 1.0))
    of_columns = None if shift is None else reshape(shift, (columns,))
    y = normalize_by(reshape(x, (-1, columns)), zeros, ones, reshape(scale, (columns,)), of_columns, 0.0, "TabM")
    return reshape(y, x.shape)


class TabM(TableModel):
    """Net for tables: K nets in one, which share most weights. A prediction is the mean of what the members predict.

    The members share the kernels of their layers. Each has its own scales, biases and output layer, so it learns another
    function, and their mean is better than one net of this size. `fit` trains each member on its own: the loss of a batch is the
    mean of the members' losses. Metrics, `evaluate` and `predict` see the mean of the outputs. Each operation is one kernel call
    for all members.

    Source: Gorishniy, Kotelnikov, Babenko, TabM, arXiv 2410.24210.

    Args:
        n_features: F, the number of features: columns of numbers, or of embeddings one after the other.
        n_outputs: C, the number of outputs of a row.
        k: K, the number of members.
        width: W, the number of units of a layer.
        depth: number of layers before the output layer.
        dropout: fraction of the units that are dropped in training, for each member on its own.
        activation: name of the activation of the layers.
        output_activation: name of the activation of the output: "softmax" for classes, "sigmoid" for two classes in one column.
            The mean is then of probabilities. With None it is of the numbers or logits that the output layer computes.
        dtype: "float32" or "float64".

    Shapes: x (B, F), y (B, C).

    >>> import fastnn
    >>> model = fastnn.models.TabM(4, 3, k=8, width=16, output_activation="softmax")
    >>> model.compile("adam", "sparse_categorical_crossentropy")
    >>> x = fastnn.randn(5, 4)
    >>> model(x).shape, model.members(x).shape
    ((5, 3), (8, 5, 3))
    """

    _checked_arguments: ClassVar = {"k": positive_int}
    _fixed_arguments = tuple(_checked_arguments)

    def __init__(
        self,
        n_features: int,
        n_outputs: int,
        k: int = 32,
        width: int = 512,
        depth: int = 3,
        dropout: float = 0.1,
        activation: str = "relu",
        *,
        output_activation: str | None = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        self.n_features, self.n_outputs, self.k, self.width, self.depth = n_features, n_outputs, k, width, depth
        self.activation, self.output_activation = activation, output_activation
        self._act = activations.get(self.output_activation)
        self.dropout = dropout
        self.layers = ModuleList(
            SharedDense(width if i else n_features, width, k, activation, signs=not i, dtype=dtype) for i in range(depth)
        )
        real = real_dtype(dtype or "float32", "TabM")
        bound = initializers.LinearBias(width)  # each member has an output layer of its own
        self.kernel = initial(bound, (k, width, n_outputs), real)
        self.bias = initial(bound, (k, 1, n_outputs), real)

    def _rows(self, x: Tensor) -> Tensor:
        """Return the outputs of all members, (K B, C), those of one member after the other."""
        for layer in self.layers:
            x = self._dropped(layer(x))
        z = matmul(transpose(x, (1, 0, 2)), self.kernel) + self.bias
        return applied(self._act, reshape(z, (-1, self.n_outputs)), type(self).__name__)

    def members(self, x: Any) -> Tensor:
        """Return the outputs of each member, (K, B, C), in the mode of the model.

        A custom training loop computes the loss of each of them.
        """
        return reshape(self._rows(x if isinstance(x, Tensor) else self._input(x)), (self.k, -1, self.n_outputs))

    def forward(self, x: Tensor) -> Tensor:
        return mean_of_members(self._rows(x), self.k, kept=self.training)

    def extra_repr(self) -> str:
        return f"{self.n_features}, {self.n_outputs}, k={self.k}, width={self.width}, depth={self.depth}"
