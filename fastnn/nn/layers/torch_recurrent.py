"""Recurrent layers with PyTorch's names: several layers, in one or both directions, over whole sequences."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar, cast

import numpy as np

from ...autograd.tensor import Tensor
from ...backends import shared_array
from ...backends.spec import activation
from ...core.device import check_device
from ...initializers import RandomUniform
from ...ops import recurrent as ops
from ...ops.checks import as_tensor, flag, positive_int, whole_number
from ...ops.data import rows
from ...ops.dense import dense
from ...ops.elementwise import add
from ...ops.index import unbind
from ...ops.random import dropout as dropped
from ...ops.shape import concatenate, reshape, stack, unsqueeze
from ..carried import carried
from ..dtype import real_dtype
from ..mode import sampled
from ..parameter import Parameter, initial
from ..parameter_view import ParameterView, transposed
from ..spec import InputSpec
from ..utils.rnn import Layout, PackedSequence
from .normalization import share
from .random import Drawing

_LINEAR = activation("linear")


def weights_of(inputs: int, hidden: int, gates: int, projected: int, bias: bool, dtype: Any) -> dict[str, Parameter | None]:
    """Return the parameters of one layer and direction, as PyTorch names and initializes them: weights are views (out, in)."""
    make, state = RandomUniform(-(hidden**-0.5), hidden**-0.5), projected or hidden
    found: dict[str, Parameter | None] = {
        "weight_ih": transposed(initial(make, (inputs, gates * hidden), dtype)),
        "weight_hh": transposed(initial(make, (state, gates * hidden), dtype)),
        **{name: initial(make, (gates * hidden,), dtype) if bias else None for name in ("bias_ih", "bias_hh")},
    }
    if projected:
        found["weight_hr"] = transposed(initial(make, (hidden, projected), dtype))
    return found


def stored_weight(p: Any) -> Tensor:
    """Return a weight as (in, out)."""
    return cast(ParameterView, p).base


def nonlinearity(value: Any, name: str) -> str:
    """Check the name of the activation of an RNN."""
    if value not in ("tanh", "relu"):
        raise ValueError(f"{name} is {value!r}, wanted 'tanh' or 'relu'")
    return str(value)


class RNNBase(Drawing):
    """Base of the recurrent layers with PyTorch's names. `LSTM` describes the arguments."""

    _saved_as = ""
    _carries = True
    _gates = 1
    _checked_arguments: ClassVar = {
        **dict.fromkeys(("input_size", "hidden_size", "num_layers"), positive_int),
        **dict.fromkeys(("bias", "batch_first", "bidirectional"), flag),
        "nonlinearity": nonlinearity,
        "proj_size": lambda value, name: whole_number(value, name, 0),
    }
    _fixed_arguments = ("input_size", "hidden_size", "num_layers", "bias", "bidirectional", "proj_size")
    _settings: tuple[str, ...] = ("input_size", "hidden_size", "num_layers", "bias", "batch_first", "dropout", "bidirectional")
    proj_size = 0

    def _begin(self, dropout: float, device: Any, dtype: Any, **settings: Any) -> None:
        """Finish a constructor."""
        op = type(self).__name__
        super().__init__(None, None)
        check_device(device, op)
        self._dtype = None if dtype is None else real_dtype(dtype, op)
        self._rate = shared_array([0.0])
        for name, value in settings.items():
            setattr(self, name, value)
        self.dropout = dropout
        layer: Any = self
        if self.proj_size >= layer.hidden_size:
            raise ValueError(f"{op}: proj_size is {self.proj_size}, wanted less than hidden_size, which is {layer.hidden_size}")
        parameters: dict[str, Parameter | None] = {}
        kind = np.dtype(self._dtype or "float32")
        inputs = layer.input_size
        for i in range(layer.num_layers):
            for end in self._ends:
                own = weights_of(inputs, layer.hidden_size, self._gates, self.proj_size, layer.bias, kind)
                parameters |= {f"{name}_l{i}{end}": p for name, p in own.items()}
            inputs = len(self._ends) * self._width
        self._hold(parameters)

    @property
    def dropout(self) -> float:
        """Return the fraction of the outputs of a layer that the next one does not get in training."""
        return float(self._rate[0])

    @dropout.setter
    def dropout(self, value: float) -> None:
        rate = share(value, f"{type(self).__name__}: dropout")
        if (rate > 0) != (self._rate[0] > 0):
            self._structure_changed()
        self._rate[0] = rate

    @property
    def _ends(self) -> tuple[str, ...]:
        """Return what the names of parameters end with, for each direction."""
        return ("", "_reverse") if self.bidirectional else ("",)

    @property
    def _width(self) -> int:
        """Return the number of columns of h."""
        return self.proj_size or int(cast(Any, self).hidden_size)

    @property
    def all_weights(self) -> list[list[Parameter]]:
        """Return the parameters of each layer and direction."""
        return [[p for p in own.values() if p is not None] for own in self._each()]

    def flatten_parameters(self) -> None:
        """Do nothing: accepted for compatibility with PyTorch."""

    def _each(self) -> Iterator[dict[str, Any]]:
        """Yield the parameters of each layer and direction, by their names without layer and direction."""
        names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh", *(("weight_hr",) if self.proj_size else ()))
        for i in range(cast(Any, self).num_layers):
            for end in self._ends:
                yield {name: self._parameters[f"{name}_l{i}{end}"] for name in names}

    @property
    def input_spec(self) -> Any:
        """Return the spec: floats, with the number of features as the last size; lengths are whole numbers."""
        spec = InputSpec("float", min_ndim=2, max_ndim=3, axes={-1: cast(Any, self).input_size})
        return {"input": spec, "lengths": InputSpec("int", ndim=1)}

    # ---- calls ----

    def _over(self, x: Tensor, own: dict[str, Any], states: list[Tensor], **how: Any) -> tuple[Tensor, ...]:
        """Return the outputs of a layer in one direction, and its states after the last step."""
        raise NotImplementedError

    def _products(self, x: Tensor, own: dict[str, Any], both: bool = True) -> Tensor:
        """Return the products of the inputs and their weights, and the bias; both: that of the state, too."""
        bias = own["bias_ih"]
        if bias is not None and both:
            bias = add(bias, own["bias_hh"])
        return dense(x, stored_weight(own["weight_ih"]), bias, _LINEAR)

    def forward(self, input: Any, hx: Any = None, lengths: Any = None) -> Any:
        if isinstance(input, PackedSequence):
            return self._of_packed(input, hx, lengths)
        op, features = type(self).__name__, cast(Any, self).input_size
        if input.ndim not in (2, 3) or input.shape[-1] != features:
            order = "(N, T, {0}) or (T, {0})" if self.batch_first else "(T, N, {0}) or (T, {0})"
            raise ValueError(f"{op}: input has shape {input.shape}, wanted {order.format(features)}")
        if input.ndim == 3:
            n = input.shape[0 if self.batch_first else 1]
            held = carried.get() if hx is None else None
            first = None if held is None else held.first(self)
            if held is not None:
                _, lengths = held.counted(None, lengths, 0)
            first = self._states(hx, n, False) if first is None else first
            y, states = self._computed(input, first, lengths, self.batch_first)
            if held is not None:
                held.keep(self, states, axis=1)
            return y, states[0] if len(states) == 1 else tuple(states)
        states = self._states(hx, 1, True)
        y, states = self._computed(unsqueeze(input, 0), states, lengths, True)
        alone = [reshape(t, (t.shape[0], t.shape[2])) for t in states]
        return reshape(y, y.shape[1:]), alone[0] if len(alone) == 1 else tuple(alone)

    def _of_packed(self, packed: PackedSequence, hx: Any, lengths: Any) -> Any:
        if lengths is not None:
            raise ValueError(f"{type(self).__name__}: lengths came with a PackedSequence, which has its own")
        layout = Layout(packed)
        states = self._states(hx, layout.n, False)
        if packed.sorted_indices is not None:
            states = [_columns(t, packed.sorted_indices) for t in states]
        y, states = self._computed(layout.padded(packed.data), states, as_tensor(layout.lengths, "lengths"), False)
        if packed.unsorted_indices is not None:
            states = [_columns(t, packed.unsorted_indices) for t in states]
        result = packed._replace(data=layout.packed(y))
        return result, states[0] if len(states) == 1 else tuple(states)

    def _sizes(self) -> list[int]:
        """Return the numbers of columns of the states."""
        return [self._width]

    def _states(self, hx: Any, n: int, alone: bool) -> list[Tensor]:
        """Return the states before the first step, (layers and directions, n, columns); [] for 0.

        Raises:
            ValueError: hx has another shape.
        """
        if hx is None:
            return []
        sizes, op = self._sizes(), type(self).__name__
        given = list(hx) if isinstance(hx, tuple | list) and len(sizes) > 1 else [hx]
        found = [t if isinstance(t, Tensor) else as_tensor(np.asarray(t, self.dtype), op) for t in given]
        count = cast(Any, self).num_layers * len(self._ends)
        wanted = [(count, size) if alone else (count, n, size) for size in sizes]
        if [t.shape for t in found] != wanted:
            came = " and ".join(str(t.shape) for t in found)
            raise ValueError(f"{op}: hx has shape {came}, wanted {' and '.join(map(str, wanted))}")
        return [unsqueeze(t, 1) for t in found] if alone else found

    def _computed(self, x: Tensor, states: list[Tensor], lengths: Any, batch_first: bool) -> tuple[Tensor, list[Tensor]]:
        """Return the outputs of the last layer, and the states of all layers after the last step."""
        firsts = list(zip(*(unbind(t, 0) for t in states), strict=True)) if states else []
        how = {"lengths": lengths, "batch_first": batch_first}
        ends, found = self._ends, []
        outputs: list[Tensor] = []
        for i, own in enumerate(self._each()):
            y, *new = self._over(x, own, list(firsts[i]) if firsts else [], reverse=i % len(ends) == 1, **how)
            found.append(new)
            outputs.append(y)
            if len(outputs) == len(ends):
                x = outputs[0] if len(ends) == 1 else concatenate(outputs, -1)
                outputs = []
                if i + 1 < len(ends) * cast(Any, self).num_layers and self._rate[0] and (self.training or sampled.get()):
                    x = dropped(x, self._state, self._rate)
        return x, [stack(each) for each in zip(*found, strict=True)]

    def output_shape(self, input_shape: tuple[int, ...]) -> tuple[int, ...]:
        return (*input_shape[:-1], len(self._ends) * self._width)

    def get_config(self) -> dict[str, Any]:
        return {**{name: getattr(self, name) for name in self._settings}, "dtype": self.dtype.name}

    def extra_repr(self) -> str:
        layer: Any = self
        text = f"{layer.input_size}, {layer.hidden_size}"
        usual: dict[str, Any] = {"num_layers": 1, "bias": True, "batch_first": False, "dropout": 0.0, "bidirectional": False}
        usual |= {"proj_size": 0, "nonlinearity": "tanh"}
        others = [f", {name}={getattr(self, name)!r}" for name in self._settings[2:] if getattr(self, name) != usual[name]]
        return text + "".join(others)


def _columns(t: Tensor, order: Tensor) -> Tensor:
    """Return states (layers, n, columns) with their samples in this order."""
    return stack([rows(one, order) for one in unbind(t, 0)])


class RNN(RNNBase):
    """Layers of h = tanh(W_ih x + b_ih + W_hh h + b_hh) over sequences. `LSTM` describes the other arguments, and calls.

    Args:
        nonlinearity: "tanh" or "relu".

    >>> import fastnn
    >>> y, h = fastnn.nn.RNN(3, 4, num_layers=2, bidirectional=True)(fastnn.ones(5, 2, 3))
    >>> y.shape, h.shape
    ((5, 2, 8), (4, 2, 4))
    """

    _settings = (*RNNBase._settings, "nonlinearity")

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        nonlinearity: str = "tanh",
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        sizes = {"input_size": input_size, "hidden_size": hidden_size, "num_layers": num_layers}
        flags = {"bias": bias, "batch_first": batch_first, "bidirectional": bidirectional}
        self._begin(dropout, device, dtype, **sizes, **flags, nonlinearity=nonlinearity)

    def _over(self, x: Tensor, own: dict[str, Any], states: list[Tensor], **how: Any) -> tuple[Tensor, ...]:
        act = cast(Any, self).nonlinearity
        return ops.rnn(self._products(x, own), stored_weight(own["weight_hh"]), *states, activation=act, **how)


class LSTM(RNNBase):
    """Layers of LSTM cells over sequences.

    i, f, g, o are the quarters of W_ih x + b_ih + W_hh h + b_hh; c = s(f) c + s(i) tanh(g) and h = s(o) tanh(c), with the
    sigmoid s.

    Source: Hochreiter, Schmidhuber, Neural Computation 9, 1997; projections: Sak, Senior, Beaufays, arXiv 1402.1128.

    Args:
        input_size: number of features.
        hidden_size: number of units H.
        num_layers: number of layers L on top of each other.
        bias: whether there are biases.
        batch_first: whether sequences are (N, T, features), and not (T, N, features).
        dropout: fraction of the outputs of a layer that the next layer does not get in training.
        bidirectional: whether each layer runs in both directions, D = 2.
        proj_size: number P of columns of h, if it is the product of weight_hr with s(o) tanh(c); 0 for none.
        device: accepted for compatibility with PyTorch; "cpu" if the backend computes there.
        dtype: "float32" or "float64".

    A call takes sequences (T, N, features), or one (T, features), or a `fastnn.nn.utils.rnn.PackedSequence`; then ``(h_0, c_0)``,
    by default 0; and by name ``lengths`` (N,) of padded sequences, beyond which outputs are 0. It returns y (T, N, D H) and
    ``(h_n, c_n)``, each (D L, N, H), of the last step of each sequence. Parameters: weight_ih_l0 (4 H, features),
    weight_hh_l0 (4 H, H), bias_ih_l0 and bias_hh_l0 (4 H,), weight_hr_l0 (P, H); l1 for the second layer, and names with
    "_reverse" for the other direction.

    >>> import fastnn
    >>> y, (h, c) = fastnn.nn.LSTM(3, 4, batch_first=True)(fastnn.ones(2, 5, 3))
    >>> y.shape, h.shape, c.shape
    ((2, 5, 4), (1, 2, 4), (1, 2, 4))
    """

    _gates = 4
    _settings = (*RNNBase._settings, "proj_size")

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        proj_size: int = 0,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        sizes = {"input_size": input_size, "hidden_size": hidden_size, "num_layers": num_layers, "proj_size": proj_size}
        flags = {"bias": bias, "batch_first": batch_first, "bidirectional": bidirectional}
        self._begin(dropout, device, dtype, **sizes, **flags)

    def _sizes(self) -> list[int]:
        return [self._width, cast(Any, self).hidden_size]

    def _over(self, x: Tensor, own: dict[str, Any], states: list[Tensor], **how: Any) -> tuple[Tensor, ...]:
        projection = stored_weight(own["weight_hr"]) if self.proj_size else None
        return ops.lstm(self._products(x, own), stored_weight(own["weight_hh"]), *states, projection=projection, **how)


class GRU(RNNBase):
    """Layers of GRU cells over sequences. `LSTM` describes arguments and calls; there is one state, h.

    With the thirds r, z, n of W_ih x + b_ih and of W_hh h + b_hh, and the sigmoid s: h becomes s(z) h + (1 - s(z)) tanh(n), where
    s(r) multiplies the state's part of n.

    >>> import fastnn
    >>> y, h = fastnn.nn.GRU(3, 4)(fastnn.ones(5, 2, 3))
    >>> y.shape, h.shape
    ((5, 2, 4), (1, 2, 4))
    """

    _gates = 3

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        sizes = {"input_size": input_size, "hidden_size": hidden_size, "num_layers": num_layers}
        flags = {"bias": bias, "batch_first": batch_first, "bidirectional": bidirectional}
        self._begin(dropout, device, dtype, **sizes, **flags)

    def _over(self, x: Tensor, own: dict[str, Any], states: list[Tensor], **how: Any) -> tuple[Tensor, ...]:
        z = self._products(x, own, both=False)
        return ops.gru(z, stored_weight(own["weight_hh"]), own["bias_hh"], *states, order="rzn", **how)
