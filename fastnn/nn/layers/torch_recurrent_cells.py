"""Recurrent cells with PyTorch's names: one time step of a recurrent layer."""

from __future__ import annotations

from typing import Any, ClassVar, cast

import numpy as np

from ...autograd.tensor import Tensor
from ...backends.spec import activation
from ...core.device import check_device
from ...ops import recurrent as ops
from ...ops.checks import as_tensor, flag, positive_int
from ...ops.dense import dense
from ...ops.elementwise import add
from ...ops.shape import reshape, unsqueeze
from ..dtype import real_dtype
from ..module import Module
from ..spec import InputSpec
from .torch_recurrent import nonlinearity, stored_weight, weights_of


class RNNCellBase(Module):
    """Base of the recurrent cells with PyTorch's names. `RNNCell` describes the arguments."""

    _saved_as = ""
    _gates = 1
    _checked_arguments: ClassVar = {
        **dict.fromkeys(("input_size", "hidden_size"), positive_int),
        "bias": flag,
        "nonlinearity": nonlinearity,
    }
    _fixed_arguments = ("input_size", "hidden_size", "bias")
    _settings: tuple[str, ...] = ("input_size", "hidden_size", "bias")
    _several = False

    def _begin(self, device: Any, dtype: Any, **settings: Any) -> None:
        """Finish a constructor."""
        op = type(self).__name__
        super().__init__()
        check_device(device, op)
        self._dtype = None if dtype is None else real_dtype(dtype, op)
        for name, value in settings.items():
            setattr(self, name, value)
        self.name = op.lower()
        cell: Any = self
        self._hold(weights_of(cell.input_size, cell.hidden_size, self._gates, 0, cell.bias, np.dtype(self._dtype or "float32")))

    @property
    def input_spec(self) -> Any:
        """Return the spec: floats, with the number of features as the last size."""
        return {"input": InputSpec("float", min_ndim=1, max_ndim=2, axes={-1: cast(Any, self).input_size})}

    def _over(self, z: Tensor, u: Tensor, states: list[Tensor]) -> tuple[Tensor, ...]:
        """Return the output of one step, and the states after it."""
        raise NotImplementedError

    def _bias(self) -> Any:
        bias = self._parameters["bias_ih"]
        return None if bias is None else add(bias, self._parameters["bias_hh"])

    def forward(self, input: Tensor, hx: Any = None) -> Any:
        op, cell = type(self).__name__, cast(Any, self)
        if input.ndim not in (1, 2) or input.shape[-1] != cell.input_size:
            raise ValueError(f"{op}: input has shape {input.shape}, wanted (N, {cell.input_size}) or ({cell.input_size},)")
        alone, size = input.ndim == 1, cell.hidden_size
        x = unsqueeze(input, 0) if alone else input
        states: list[Tensor] = []
        if hx is not None:
            given = list(hx) if self._several and isinstance(hx, tuple | list) else [hx]
            states = [t if isinstance(t, Tensor) else as_tensor(np.asarray(t, self.dtype), op) for t in given]
            wanted = (size,) if alone else (len(x), size)
            if len(states) != 1 + self._several or any(t.shape != wanted for t in states):
                came = " and ".join(str(t.shape) for t in states)
                raise ValueError(f"{op}: hx has shape {came}, wanted {' and '.join([str(wanted)] * (1 + self._several))}")
            states = [unsqueeze(t, 0) for t in states] if alone else states
        z = dense(x, stored_weight(self._parameters["weight_ih"]), self._bias(), activation("linear"))
        _, *new = self._over(unsqueeze(z, 1), stored_weight(self._parameters["weight_hh"]), states)
        new = [reshape(t, (size,)) for t in new] if alone else new
        return tuple(new) if self._several else new[0]

    def output_shape(self, input_shape: tuple[int, ...]) -> tuple[int, ...]:
        return (*input_shape[:-1], cast(Any, self).hidden_size)

    def get_config(self) -> dict[str, Any]:
        return {**{name: getattr(self, name) for name in self._settings}, "dtype": self.dtype.name}

    def extra_repr(self) -> str:
        cell: Any = self
        others = "" if cell.bias else ", bias=False"
        others += "" if getattr(self, "nonlinearity", "tanh") == "tanh" else f", nonlinearity={cell.nonlinearity!r}"
        return f"{cell.input_size}, {cell.hidden_size}{others}"


class RNNCell(RNNCellBase):
    """Cell h = tanh(W_ih x + b_ih + W_hh h + b_hh): a call takes x (N, features) and h (N, H), by default 0, and returns h.

    Args:
        input_size: number of features.
        hidden_size: number of units H.
        bias: whether there are biases.
        nonlinearity: "tanh" or "relu".
        device: accepted for compatibility with PyTorch; "cpu" if the backend computes there.
        dtype: "float32" or "float64".

    Parameters: weight_ih (H, features), weight_hh (H, H), bias_ih and bias_hh (H,).

    >>> import fastnn
    >>> fastnn.nn.RNNCell(3, 4)(fastnn.ones(2, 3)).shape
    (2, 4)
    """

    _settings = (*RNNCellBase._settings, "nonlinearity")

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        nonlinearity: str = "tanh",
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        sizes = {"input_size": input_size, "hidden_size": hidden_size}
        self._begin(device, dtype, **sizes, bias=bias, nonlinearity=nonlinearity)

    def _over(self, z: Tensor, u: Tensor, states: list[Tensor]) -> tuple[Tensor, ...]:
        return ops.rnn(z, u, *states, activation=cast(Any, self).nonlinearity)


class LSTMCell(RNNCellBase):
    """Cell of `LSTM`: a call takes x (N, features) and ``(h, c)``, each (N, H), by default 0, and returns ``(h, c)``.

    The arguments are those of `RNNCell`, without nonlinearity. Parameters have 4 H rows.

    >>> import fastnn
    >>> h, c = fastnn.nn.LSTMCell(3, 4)(fastnn.ones(2, 3))
    >>> h.shape, c.shape
    ((2, 4), (2, 4))
    """

    _gates = 4
    _several = True

    def __init__(self, input_size: int, hidden_size: int, bias: bool = True, device: Any = None, dtype: Any = None) -> None:
        self._begin(device, dtype, input_size=input_size, hidden_size=hidden_size, bias=bias)

    def _over(self, z: Tensor, u: Tensor, states: list[Tensor]) -> tuple[Tensor, ...]:
        return ops.lstm(z, u, *states)


class GRUCell(RNNCellBase):
    """Cell of `GRU`: a call takes x (N, features) and h (N, H), by default 0, and returns h.

    The arguments are those of `RNNCell`, without nonlinearity. Parameters have 3 H rows.

    >>> import fastnn
    >>> fastnn.nn.GRUCell(3, 4)(fastnn.ones(2, 3)).shape
    (2, 4)
    """

    _gates = 3

    def __init__(self, input_size: int, hidden_size: int, bias: bool = True, device: Any = None, dtype: Any = None) -> None:
        self._begin(device, dtype, input_size=input_size, hidden_size=hidden_size, bias=bias)

    def _bias(self) -> Any:
        return self._parameters["bias_ih"]

    def _over(self, z: Tensor, u: Tensor, states: list[Tensor]) -> tuple[Tensor, ...]:
        return ops.gru(z, u, self._parameters["bias_hh"], *states, order="rzn")
