"""Base class of the recurrent cells with Keras's names: one time step of a recurrent layer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, cast

import numpy as np

from ... import activations, initializers
from ...autograd.tensor import Array, Tensor
from ...backends import shared_array
from ...backends.spec import activation
from ...ops.activation import applied
from ...ops.checks import as_tensor, flag, positive_int, shape_of
from ...ops.create import ones, zeros
from ...ops.dense import dense, matmul
from ...ops.elementwise import mul
from ...ops.random import dropout
from ...ops.shape import unsqueeze
from ..dtype import real_dtype
from ..mode import sampled
from ..parameter import Parameter, building, initial
from ..spec import InputSpec
from .normalization import share
from .random import Drawing
from .weighted import named, rules, rules_config

States = list[Tensor]
_TANH, _SIGMOID = activation("tanh"), activation("sigmoid")


class Cell(Drawing):
    """Base of the recurrent cells. `SimpleRNNCell` describes the arguments.

    A subclass computes one step by `step`, or all steps of sequences by `sequence`, both from the products of the inputs.
    """

    _saved_as = ""
    _gates = 1
    _checked_arguments: ClassVar = {
        "units": positive_int,
        **dict.fromkeys(("activation", "recurrent_activation"), named(activations.get)),
        "use_bias": flag,
        **rules("kernel", "recurrent", "bias"),
        "input_shape": shape_of,
    }
    _fixed_arguments: ClassVar[tuple[str, ...]] = (
        *("units", "use_bias", "input_shape"),
        *("kernel_initializer", "recurrent_initializer", "bias_initializer"),
    )
    _ruled_parameters: ClassVar = {"kernel": "kernel", "recurrent": "recurrent_kernel", "bias": "bias"}
    _own_settings: tuple[str, ...] = ()
    """Arguments of the class beyond those of `SimpleRNNCell`."""
    kernel: Parameter
    recurrent_kernel: Parameter
    bias: Parameter | None

    def __init__(self, units: int, dropout: float, recurrent_dropout: float, seed: int | None, **settings: Any) -> None:
        super().__init__(seed, settings.pop("name"))
        self._rates = {"dropout": shared_array([0.0]), "recurrent_dropout": shared_array([0.0])}
        dtype = settings.pop("dtype")
        self._dtype = None if dtype is None else real_dtype(dtype, type(self).__name__)
        self.units = units
        for name, value in settings.items():
            setattr(self, name, value)
        self.dropout, self.recurrent_dropout = dropout, recurrent_dropout
        if self.input_shape is not None:
            self.build(self.input_shape)

    # ---- settings ----

    @property
    def dropout(self) -> float:
        """Return the fraction of the inputs that is dropped in training; it may be changed at any time."""
        return float(self._rates["dropout"][0])

    @dropout.setter
    def dropout(self, value: float) -> None:
        self._set_rate("dropout", value)

    @property
    def recurrent_dropout(self) -> float:
        """Return the fraction of the state that is dropped in training; it may be changed at any time."""
        return float(self._rates["recurrent_dropout"][0])

    @recurrent_dropout.setter
    def recurrent_dropout(self, value: float) -> None:
        self._set_rate("recurrent_dropout", value)

    def _set_rate(self, name: str, value: float) -> None:
        rate = share(value, f"{type(self).__name__}: {name}")
        if (rate > 0) != (self._rates[name][0] > 0):
            self._structure_changed()  # recorded steps draw no mask, or one too many
        self._rates[name][0] = rate

    @property
    def state_size(self) -> Any:
        """Return the number of columns of the state, or a list of them for several arrays."""
        return self.units

    @property
    def output_size(self) -> int:
        """Return the number of columns of the output."""
        return self.units

    @property
    def input_spec(self) -> Any:
        """Return the spec: floats, with the number of inputs as the last size, if it is known."""
        return (InputSpec("float", ndim=2, axes={-1: self._features}),)

    @property
    def _features(self) -> int | None:
        kernel = self._parameters.get("kernel")
        return None if kernel is None else int(kernel.shape[0])

    @property
    def built(self) -> bool:
        return "kernel" in self._parameters

    def _own_built(self) -> bool:
        return self.built

    # ---- parameters ----

    def build(self, input_shape: Sequence[int]) -> None:
        """Make the parameters for inputs of this shape, whose last size is the number of inputs."""
        features = input_shape[-1] if input_shape else None
        if features is None or features < 1:
            raise ValueError(f"{type(self).__name__}: input of shape {tuple(input_shape)}; wanted a number of features")
        wide, dtype = self._gates * self.units, np.dtype(self._dtype or "float32")
        self._hold(
            {
                "kernel": initial(cast(Any, self).kernel_initializer, (int(features), wide), dtype),
                "recurrent_kernel": initial(cast(Any, self).recurrent_initializer, (self.units, wide), dtype),
                "bias": initial(self._bias_values(), self._bias_shape(), dtype) if self.use_bias else None,
            }
        )

    def _bias_shape(self) -> tuple[int, ...]:
        return (self._gates * self.units,)

    def _bias_values(self) -> Any:
        return self.bias_initializer

    def ready(self, features: int) -> None:
        """Make the parameters in the first call, or check that they fit.

        Raises:
            ValueError: the cell was built for another number of inputs.
        """
        if not self.built:
            with building:
                if not self.built:
                    self.build((features,))
        if self._features != features:
            raise ValueError(f"{type(self).__name__}: {features} inputs came, wanted {self._features}")

    # ---- steps ----

    @property
    def fused(self) -> bool:
        """Return whether there are kernels for whole sequences, which there are for the usual activations."""
        cell: Any = self
        return bool(cell.activation == _TANH and cell.recurrent_activation == _SIGMOID)

    def masks(self, n: int) -> tuple[Tensor | None, Tensor | None]:
        """Return the dropout of the inputs, (n, features), and of the state, (n, units); None where there is none.

        They are the same in all steps of a sequence (Gal and Ghahramani, arXiv 1512.05287).
        """
        if not (self.training or sampled.get()):
            return None, None
        return self._mask("dropout", n, self._features or 0), self._mask("recurrent_dropout", n, self.units)

    def _mask(self, name: str, n: int, columns: int) -> Tensor | None:
        rate: Array = self._rates[name]
        return dropout(ones((n, columns), dtype=self.dtype), self._state, rate) if rate[0] else None

    def products(self, x: Tensor) -> Tensor:
        """Return the products of the inputs with the kernel, and the bias: (..., features) becomes (..., gates units)."""
        return dense(x, self.kernel, self._input_bias(), activation("linear"))

    def _input_bias(self) -> Tensor | None:
        return self.bias

    def _recurrent(self, h: Tensor, mask: Tensor | None) -> Tensor:
        """Return the products of the state."""
        return matmul(h if mask is None else mul(h, mask), self.recurrent_kernel)

    def _act(self, which: str, x: Tensor) -> Tensor:
        return applied(getattr(self, which), x, type(self).__name__)

    def step(self, z: Tensor, states: States, mask: Tensor | None) -> States:
        """Return the states after a step, of which the first is the output.

        z: products of the inputs, (N, gates units). mask: factors of the state before its product.
        """
        raise NotImplementedError

    def sequence(self, z: Tensor, states: States, **how: Any) -> tuple[Tensor, ...]:
        """Return the outputs of all steps, and the states after the last one; if the cell is `fused`.

        z: products of the inputs, (N, T, gates units). how: ``mask``, ``lengths`` and ``reverse`` as in `fastnn.ops.recurrent`.
        """
        raise NotImplementedError

    def first(self, n: int) -> States:
        """Return states of zeros for n samples."""
        sizes = self.state_size if isinstance(self.state_size, list) else [self.state_size]
        return [zeros((n, size), dtype=self.dtype) for size in sizes]

    def get_initial_state(self, batch_size: int) -> States:
        """Return states of zeros for so many samples."""
        return self.first(batch_size)

    def forward(self, sequence: Tensor, states: Any) -> tuple[Tensor, Any]:
        if sequence.ndim != 2:
            raise ValueError(f"{type(self).__name__}: x has shape {sequence.shape}, wanted (n, features)")
        self.ready(sequence.shape[1])
        n, several = len(sequence), isinstance(states, list | tuple)
        own = checked_states(states if several else [states], self, n, self.dtype, type(self).__name__)
        inputs, mask = self.masks(n)
        z = self.products(sequence if inputs is None else mul(sequence, inputs))
        if self.fused:
            _, *new = self.sequence(unsqueeze(z, 1), own, mask=mask)
        else:
            new = self.step(z, own, mask)
        return new[0], new if several else new[0]

    def get_config(self) -> dict[str, Any]:
        cell: Any = self
        names = [name for name in ("recurrent_activation",) if hasattr(self, name)]
        rule = rules_config(self, "kernel", "recurrent", "bias")
        rule["recurrent_initializer"] = initializers.written(cell.recurrent_initializer, "orthogonal")
        return {
            "units": self.units,
            **{name: activations.config(getattr(self, name)) for name in ("activation", *names)},
            "use_bias": self.use_bias,
            **rule,
            **{name: getattr(self, name) for name in ("dropout", "recurrent_dropout", *self._own_settings)},
            "seed": self.seed,
            "input_shape": [self._features] if self.built else self.input_shape,
            "dtype": self.dtype.name,
        }

    def extra_repr(self) -> str:
        label = activations.label(cast(Any, self).activation)
        return str(self.units) + ("" if label == "tanh" else f", activation={label!r}")


def checked_states(states: Sequence[Any], cell: Any, n: int, dtype: Any, op: str) -> States:
    """Return the states as Tensors of this dtype.

    Raises:
        ValueError: their number or a shape is not what the cell needs.
    """
    sizes = cell.state_size if isinstance(cell.state_size, list | tuple) else [cell.state_size]
    wanted = " and ".join(f"({n}, {size})" for size in sizes)
    if len(states) != len(sizes):
        raise ValueError(f"{op}: {len(states)} states came, wanted {len(sizes)}: {wanted}")
    own = [t if isinstance(t, Tensor) else as_tensor(np.asarray(t, dtype), op) for t in states]
    if any(t.shape != (n, size) for t, size in zip(own, sizes, strict=True)):
        raise ValueError(f"{op}: states of shapes {' and '.join(str(t.shape) for t in own)} came, wanted {wanted}")
    return own
