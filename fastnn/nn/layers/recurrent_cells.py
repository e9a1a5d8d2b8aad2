"""Recurrent cells with Keras's names."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from ...autograd.tensor import Array, Gradients, Node, Tensor, results
from ...backends.spec import Activation
from ...backends.spec.recurrent import FUNCTIONS
from ...core.arguments import arguments
from ...core.arrays import copy_array
from ...ops import recurrent as ops
from ...ops.checks import flag
from ...ops.dense import matmul
from ...ops.elementwise import add, mul, sub
from ...ops.index import split
from .recurrent_cell import Cell, States


def rows_of(x: Tensor) -> tuple[Tensor, ...]:
    """Return the rows of a parameter, which share its memory, so that a step copies nothing."""
    return results("unbind", tuple(x.data), _rows_backward, (x,))


def _rows_backward(grads: Gradients, node: Node, *dys: Array | None) -> None:
    dx = grads.k.empty(node.inputs[0].shape, node.inputs[0].dtype)
    for row, dy in zip(dx, dys, strict=True):
        if dy is None:
            grads.k.fill(row, 0.0)
        else:
            copy_array(grads.k, row, dy)
    grads.add(node.inputs[0], dx)


class SimpleRNNCell(Cell):
    """Cell of `SimpleRNN`: h = activation(x kernel + h recurrent_kernel + bias), which is its output, too.

    Args:
        units: number of units.
        activation: as of `fastnn.Dense`.
        use_bias: whether there is a bias.
        kernel_initializer, recurrent_initializer, bias_initializer: names or objects of `fastnn.initializers`.
        kernel_regularizer, recurrent_regularizer, bias_regularizer: penalties on weights that fit adds to the loss.
        kernel_constraint, recurrent_constraint, bias_constraint: constraints that are applied to weights after each step.
        dropout, recurrent_dropout: fraction of the inputs and of the state that is dropped in training. In a layer, the same
            elements are dropped in all time steps; a direct call of a cell draws new ones.
        seed: seed of the random number stream; by default it depends on `fastnn.seed`.
        input_shape: shape of one sample, (features,); by default it is known from the first call.
        dtype: "float32" or "float64".

    A call ``cell(x, states)`` returns the output and the new states, as a list if states is one. Shapes: x (N, features), states
    and output (N, units), kernel (features, units), recurrent_kernel (units, units), bias (units,).

    >>> import fastnn
    >>> cell = fastnn.SimpleRNNCell(1, "linear", kernel_initializer="ones", recurrent_initializer="ones")
    >>> y, states = cell(fastnn.tensor([[3.0]]), [fastnn.tensor([[4.0]])])
    >>> y.tolist(), len(states)
    ([[7.0]], 1)
    """

    def __init__(
        self,
        units: int,
        activation: Any = "tanh",
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        recurrent_initializer: Any = "orthogonal",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        recurrent_regularizer: Any = None,
        bias_regularizer: Any = None,
        kernel_constraint: Any = None,
        recurrent_constraint: Any = None,
        bias_constraint: Any = None,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        seed: int | None = None,
        *,
        input_shape: Any = None,
        dtype: Any = None,
        name: str | None = None,
    ) -> None:
        super().__init__(**arguments(locals()))

    @property
    def fused(self) -> bool:
        act: Any = self.activation
        return isinstance(act, Activation) and act == type(act)(act.id) and act.name in FUNCTIONS

    def step(self, z: Tensor, states: States, mask: Tensor | None) -> States:
        return [self._act("activation", add(z, self._recurrent(states[0], mask)))]

    def sequence(self, z: Tensor, states: States, **how: Any) -> tuple[Tensor, ...]:
        return ops.rnn(z, self.recurrent_kernel, *states, activation=self.activation.name, **how)


class LSTMCell(Cell):
    """Cell of `LSTM`, with the states h and c; h is the output.

    i, f, g, o are the four quarters of x kernel + h recurrent_kernel + bias; c = s(f) c + s(i) activation(g) and
    h = s(o) activation(c), where s is the recurrent activation.

    Source: Hochreiter, Schmidhuber, Neural Computation 9, 1997; the forget gate f of Gers et al., Neural Computation 12, 2000.

    Args:
        recurrent_activation: activation of the gates i, f and o.
        unit_forget_bias: whether the bias of f begins as 1, so that the cell keeps its state (Jozefowicz et al., ICML 2015).

    The other arguments are those of `SimpleRNNCell`. Shapes: kernel (features, 4 units), recurrent_kernel (units, 4 units),
    bias (4 units,), each for i, f, g, o.

    >>> import fastnn
    >>> y, (h, c) = fastnn.LSTMCell(3)(fastnn.ones(2, 4), [fastnn.zeros(2, 3), fastnn.zeros(2, 3)])
    >>> y.shape, c.shape
    ((2, 3), (2, 3))
    """

    _saved_as = "keras.LSTMCell"
    _gates = 4
    _checked_arguments: ClassVar = {"unit_forget_bias": flag}
    _fixed_arguments = ("unit_forget_bias",)
    _own_settings = ("unit_forget_bias",)

    def __init__(
        self,
        units: int,
        activation: Any = "tanh",
        recurrent_activation: Any = "sigmoid",
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        recurrent_initializer: Any = "orthogonal",
        bias_initializer: Any = "zeros",
        unit_forget_bias: bool = True,
        kernel_regularizer: Any = None,
        recurrent_regularizer: Any = None,
        bias_regularizer: Any = None,
        kernel_constraint: Any = None,
        recurrent_constraint: Any = None,
        bias_constraint: Any = None,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        seed: int | None = None,
        *,
        input_shape: Any = None,
        dtype: Any = None,
        name: str | None = None,
    ) -> None:
        super().__init__(**arguments(locals()))

    @property
    def state_size(self) -> list[int]:
        return [self.units, self.units]

    def _bias_values(self) -> Any:
        if not self.unit_forget_bias:
            return self.bias_initializer

        def values(shape: tuple[int, ...], dtype: Any, rng: np.random.Generator) -> Any:
            made = np.array(self.bias_initializer(shape, dtype, rng))
            made[self.units : 2 * self.units] = 1.0
            return made

        return values

    def step(self, z: Tensor, states: States, mask: Tensor | None) -> States:
        h, c = states
        i, f, g, o = split(add(z, self._recurrent(h, mask)), self.units, -1)
        i, f, o = (self._act("recurrent_activation", gate) for gate in (i, f, o))
        c = add(mul(f, c), mul(i, self._act("activation", g)))
        return [mul(o, self._act("activation", c)), c]

    def sequence(self, z: Tensor, states: States, **how: Any) -> tuple[Tensor, ...]:
        return ops.lstm(z, self.recurrent_kernel, *states, **how)


class GRUCell(Cell):
    """Cell of `GRU`, whose state h is its output.

    With the thirds z, r and n of x kernel and of h recurrent_kernel, and the recurrent activation s: h becomes
    s(z) h + (1 - s(z)) activation(n). The reset gate s(r) multiplies the state's part of n, or without reset_after, the state
    before its product.

    Source: Cho et al., arXiv 1406.1078.

    Args:
        recurrent_activation: activation of the gates z and r.
        reset_after: whether the reset gate multiplies the product of the state, not the state. There is a second bias then.

    The other arguments are those of `SimpleRNNCell`. Shapes: kernel (features, 3 units), recurrent_kernel (units, 3 units),
    bias (2, 3 units), of which the second row is added to the product of the state, or (3 units,) without reset_after.

    >>> import fastnn
    >>> cell = fastnn.GRUCell(3)
    >>> cell(fastnn.ones(2, 4), fastnn.zeros(2, 3))[0].shape, cell.bias.shape
    ((2, 3), (2, 9))
    """

    _saved_as = "keras.GRUCell"
    _gates = 3
    _checked_arguments: ClassVar = {"reset_after": flag}
    _fixed_arguments = ("reset_after",)
    _own_settings = ("reset_after",)

    def __init__(
        self,
        units: int,
        activation: Any = "tanh",
        recurrent_activation: Any = "sigmoid",
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        recurrent_initializer: Any = "orthogonal",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        recurrent_regularizer: Any = None,
        bias_regularizer: Any = None,
        kernel_constraint: Any = None,
        recurrent_constraint: Any = None,
        bias_constraint: Any = None,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        reset_after: bool = True,
        seed: int | None = None,
        *,
        input_shape: Any = None,
        dtype: Any = None,
        name: str | None = None,
    ) -> None:
        super().__init__(**arguments(locals()))

    def _bias_shape(self) -> tuple[int, ...]:
        wide = 3 * self.units
        return (2, wide) if self.reset_after else (wide,)

    def _biases(self) -> tuple[Tensor | None, Tensor | None]:
        """Return the bias of the inputs, and that of the state."""
        bias = self.bias
        if bias is None or not self.reset_after:
            return bias, None
        of_inputs, of_state = rows_of(bias)
        return of_inputs, of_state

    def _input_bias(self) -> Tensor | None:
        return self._biases()[0]

    def step(self, z: Tensor, states: States, mask: Tensor | None) -> States:
        h, n = states[0], self.units
        inner = bias = self._biases()[1]
        zg, zr, zn = split(z, n, -1)
        if self.reset_after:
            inner = self._recurrent(h, mask) if bias is None else add(self._recurrent(h, mask), bias)
            hg, hr, hn = split(inner, n, -1)
            reset = self._act("recurrent_activation", add(zr, hr))
            new = self._act("activation", add(zn, mul(reset, hn)))
        else:
            kept, u = h if mask is None else mul(h, mask), self.recurrent_kernel
            hg, hr = split(matmul(kept, u[:, : 2 * n]), n, -1)
            reset = self._act("recurrent_activation", add(zr, hr))
            new = self._act("activation", add(zn, matmul(mul(reset, kept), u[:, 2 * n :])))
        update = self._act("recurrent_activation", add(zg, hg))
        return [add(mul(update, h), mul(sub(1.0, update), new))]

    def sequence(self, z: Tensor, states: States, **how: Any) -> tuple[Tensor, ...]:
        return ops.gru(z, self.recurrent_kernel, self._biases()[1], *states, reset_after=self.reset_after, **how)
