"""Recurrent layers with Keras's names, over whole sequences."""

from __future__ import annotations

from typing import Any, ClassVar

from ... import regularizers
from ...core.arguments import arguments, errors_of
from .recurrent_cell import Cell
from .recurrent_cells import GRUCell, LSTMCell, SimpleRNNCell
from .recurrent_layer import Recurrent, of_cell


def _usable(value: Any, name: str) -> Any:
    if value not in ("auto", True, False):
        raise ValueError(f"{name} is {value!r}, wanted 'auto', True or False")
    return value


def of_parameter(begin: str) -> tuple[str, ...]:
    """Return the names of the settings of a parameter."""
    return tuple(f"{begin}_{kind}" for kind in ("initializer", "regularizer", "constraint"))


class _OfOneCell(Recurrent):
    """Base of the layers with a cell built in, whose settings and parameters are those of the cell."""

    _saved_as = ""
    _checked_arguments: ClassVar = {"use_cudnn": _usable}
    cell: Cell
    _whole = True
    units, activation, use_bias = map(of_cell, ("units", "activation", "use_bias"))
    dropout, recurrent_dropout, seed = map(of_cell, ("dropout", "recurrent_dropout", "seed"))
    kernel_initializer, kernel_regularizer, kernel_constraint = map(of_cell, of_parameter("kernel"))
    recurrent_initializer, recurrent_regularizer, recurrent_constraint = map(of_cell, of_parameter("recurrent"))
    bias_initializer, bias_regularizer, bias_constraint = map(of_cell, of_parameter("bias"))

    def _complete(self, cell: type[Cell], given: dict[str, Any]) -> None:
        """Run the constructor: the arguments that are no settings of the layer are those of the cell."""
        super().__init__()
        names = (*self._flags, "activity_regularizer", "use_cudnn", "input_shape", "name")
        own = {name: given.pop(name) for name in names if name in given}
        with errors_of(type(self).__name__, cell.__name__):
            made = cell(**given)
        self._begin(made, **own)

    def get_config(self) -> dict[str, Any]:
        rule, own = self.activity_regularizer, self.cell.get_config()
        settings = {key: value for key, value in own.items() if key not in ("input_shape", "name")}
        activity = {"activity_regularizer": None if rule is None else regularizers.serialize(rule)}
        cudnn = {"use_cudnn": self.use_cudnn} if "use_cudnn" in self.__dict__ else {}
        return {**settings, **activity, **self._flag_config(), **cudnn}

    def extra_repr(self) -> str:
        return str(self.units)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.extra_repr()})"


class SimpleRNN(_OfOneCell):
    """Layer of `SimpleRNNCell` over sequences: h = activation(x kernel + h recurrent_kernel + bias) in each step.

    The arguments are those of `SimpleRNNCell`, which are settings and parameters of ``layer.cell``, and those of `RNN`, which
    also describes its calls.

    Shapes: x (N, T, features), y (N, units), or (N, T, units) with return_sequences.

    >>> import fastnn
    >>> layer = fastnn.SimpleRNN(1, "linear", kernel_initializer="ones", recurrent_initializer="ones", return_sequences=True)
    >>> layer(fastnn.tensor([[[1.0], [2.0], [3.0]]])).tolist()
    [[[1.0], [3.0], [6.0]]]
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
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        recurrent_constraint: Any = None,
        bias_constraint: Any = None,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        return_sequences: bool = False,
        return_state: bool = False,
        go_backwards: bool = False,
        stateful: bool = False,
        unroll: bool = False,
        seed: int | None = None,
        *,
        input_shape: Any = None,
        dtype: Any = None,
        name: str | None = None,
    ) -> None:
        self._complete(SimpleRNNCell, arguments(locals()))


class LSTM(_OfOneCell):
    """Layer of `LSTMCell` over sequences. Its states are h and c, and h is its output.

    The arguments are those of `LSTMCell`, which are settings and parameters of ``layer.cell``, and those of `RNN`, which also
    describes its calls. With the usual activations, one kernel computes all steps; others run step by step.

    Args:
        use_cudnn: accepted for compatibility with Keras; has no effect.

    Shapes: x (N, T, features), y (N, units), or (N, T, units) with return_sequences.

    >>> import fastnn
    >>> y, h, c = fastnn.LSTM(4, return_sequences=True, return_state=True)(fastnn.ones(2, 5, 3))
    >>> y.shape, h.shape, c.shape
    ((2, 5, 4), (2, 4), (2, 4))
    >>> fastnn.LSTM(4)(fastnn.ones(2, 5, 3), lengths=[5, 2]).shape
    (2, 4)
    """

    _saved_as = "keras.LSTM"
    recurrent_activation, unit_forget_bias = map(of_cell, ("recurrent_activation", "unit_forget_bias"))

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
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        recurrent_constraint: Any = None,
        bias_constraint: Any = None,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        seed: int | None = None,
        return_sequences: bool = False,
        return_state: bool = False,
        go_backwards: bool = False,
        stateful: bool = False,
        unroll: bool = False,
        use_cudnn: Any = "auto",
        *,
        input_shape: Any = None,
        dtype: Any = None,
        name: str | None = None,
    ) -> None:
        self._complete(LSTMCell, arguments(locals()))


class GRU(_OfOneCell):
    """Layer of `GRUCell` over sequences.

    The arguments are those of `GRUCell`, which are settings and parameters of ``layer.cell``, and those of `RNN`, which also
    describes its calls. With the usual activations, one kernel computes all steps; others run step by step.

    Args:
        use_cudnn: accepted for compatibility with Keras; has no effect.

    Shapes: x (N, T, features), y (N, units), or (N, T, units) with return_sequences.

    >>> import fastnn
    >>> fastnn.GRU(4)(fastnn.ones(2, 5, 3)).shape
    (2, 4)
    """

    _saved_as = "keras.GRU"
    recurrent_activation, reset_after = map(of_cell, ("recurrent_activation", "reset_after"))

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
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        recurrent_constraint: Any = None,
        bias_constraint: Any = None,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        seed: int | None = None,
        return_sequences: bool = False,
        return_state: bool = False,
        go_backwards: bool = False,
        stateful: bool = False,
        unroll: bool = False,
        reset_after: bool = True,
        use_cudnn: Any = "auto",
        *,
        input_shape: Any = None,
        dtype: Any = None,
        name: str | None = None,
    ) -> None:
        self._complete(GRUCell, arguments(locals()))
