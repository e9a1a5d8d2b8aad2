"""Layers around other layers: a recurrent layer in both directions, and any layer for each time step."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ...autograd.tensor import Tensor
from ...backends import current
from ...ops.elementwise import add, mul
from ...ops.index import flip
from ...ops.shape import concatenate, reshape
from ..containing import Containing
from ..module import Module, tells_shape
from ..spec import ANY
from .recurrent_layer import Recurrent

MERGES: dict[Any, Callable[[Tensor, Tensor], Any]] = {
    "sum": add,
    "mul": mul,
    "concat": lambda a, b: concatenate([a, b], -1),
    "ave": lambda a, b: mul(add(a, b), 0.5),
    None: lambda a, b: [a, b],
}


def _merge_mode(value: Any, name: str) -> Any:
    if value not in MERGES:
        raise ValueError(f"{name} is {value!r}, wanted one of {', '.join(map(repr, MERGES))}")
    return value


class Bidirectional(Containing):
    """Layer that runs a recurrent layer from both ends of the sequences, and merges the outputs.

    Source: Schuster, Paliwal, IEEE Transactions on Signal Processing 45, 1997.

    Args:
        layer: a recurrent layer, for the direction from the first step to the last one.
        merge_mode: "concat" (first the forward output, then the backward one), "sum", "mul", "ave", or None for a list of both.
        weights: initial values for the parameters of both layers, in the order of get_weights.
        backward_layer: the layer for the other direction, with go_backwards=True; by default a new one like ``layer``.

    Outputs of both directions are at the places of their inputs. Each sequence is reversed by its own length, or mask; in masked
    steps, outputs are 0. Calls are those of the layer; an ``initial_state`` has the states of the forward layer, then those of
    the backward layer, and so have the outputs with return_state.

    Raises:
        TypeError, ValueError: the layers are no recurrent layers, have the same direction, or return different things.

    >>> import fastnn
    >>> fastnn.Bidirectional(fastnn.LSTM(3, return_sequences=True))(fastnn.ones(2, 5, 4)).shape
    (2, 5, 6)
    """

    supports_masking = True
    _checked_arguments = {"merge_mode": _merge_mode}  # noqa: RUF012
    _fixed_arguments = ("layer", "backward_layer")

    def __init__(
        self, layer: Any, merge_mode: Any = "concat", weights: Any = None, backward_layer: Any = None, *, name: str | None = None
    ) -> None:
        super().__init__()
        self.merge_mode = merge_mode
        for which, one in (("layer", layer), ("backward_layer", backward_layer)):
            if not isinstance(one, Recurrent) and (one is not None or which == "layer"):
                raise TypeError(f"Bidirectional: {which} is a {type(one).__name__}, wanted a recurrent layer with a Keras name")
        if backward_layer is None:
            config = {**layer.get_config(), "go_backwards": not layer.go_backwards}
            backward_layer = type(layer).from_config(config)
            backward_layer.name = f"backward_{layer.name}"
        if layer.go_backwards == backward_layer.go_backwards:
            raise ValueError(f"Bidirectional: both layers have go_backwards={layer.go_backwards}, wanted one of each")
        for key in ("return_sequences", "return_state", "stateful"):
            if getattr(layer, key) != getattr(backward_layer, key):
                raise ValueError(f"Bidirectional: {key} of the layers differs, wanted the same for both")
        self.forward_layer: Any = layer
        self.backward_layer: Any = backward_layer
        self._initial_weights = None if weights is None else list(weights)
        self.name = name or "bidirectional"
        if self.built:
            self._set_initial()

    @property
    def layer(self) -> Any:
        """Return the layer for the direction from the first step to the last one."""
        return self.forward_layer

    @property
    def input_spec(self) -> Any:
        """Return the spec of the forward layer."""
        return self.forward_layer.input_spec

    @property
    def input_shape(self) -> Any:
        """Return the shape of one sample, if it is known."""
        return self.forward_layer.input_shape

    def build(self, input_shape: Sequence[Any]) -> None:
        """Make the parameters of both layers."""
        for one in (self.forward_layer, self.backward_layer):
            if not one.built or one.input_shape is None:
                one.build(input_shape)
        self._set_initial()

    def _set_initial(self) -> None:
        if self._initial_weights is not None:
            self.set_weights(self._initial_weights)
            self._initial_weights = None

    def reset_states(self, batch_size: int | None = None) -> None:
        """Set the states of stateful layers to those before the first step."""
        for one in (self.forward_layer, self.backward_layer):
            one.reset_states(batch_size)

    reset_state = reset_states

    def forward(self, sequences: Tensor, initial_state: Any = None, mask: Any = None, lengths: Any = None) -> Any:
        layers = self.forward_layer, self.backward_layer
        if self.forward_layer.input_shape is None and sequences.ndim == 3:
            self.build((None, sequences.shape[2]))
        halves: list[Any] = [None, None]
        if initial_state is not None:
            states = list(initial_state)
            if not states or len(states) % 2:
                raise ValueError(f"Bidirectional: {len(states)} initial states came, wanted those of both layers")
            halves = [states[: len(states) // 2], states[len(states) // 2 :]]
        found = []
        for one, own in zip(layers, halves, strict=True):
            current().module_called(one)
            found.append(one.computed(sequences, own, mask, lengths, zero=True))
        (a, before), (b, after) = found
        if self.forward_layer.go_backwards and self.forward_layer.return_sequences:  # as in Keras, in the order of computation
            a, b = flip(a, 1), flip(b, 1)
        y = MERGES[self.merge_mode](a, b)
        if not self.forward_layer.return_state:
            return y
        return (*(y if isinstance(y, list) else [y]), *before, *after)

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        """Return the mask of the output; for merge_mode None that of both outputs."""
        found = self.forward_layer.compute_mask(inputs, previous_mask)
        return found * 2 if self.merge_mode is None else found

    def output_shape(self, input_shape: tuple[int, ...]) -> Any:
        one, other = (layer.output_shape(input_shape) for layer in (self.forward_layer, self.backward_layer))
        if self.merge_mode is None:
            return [one, other]
        return (*one[:-1], one[-1] + other[-1]) if self.merge_mode == "concat" else one

    def config_by(self, write: Callable[[Module], dict[str, Any]]) -> dict[str, Any]:
        layers = {"layer": write(self.forward_layer), "backward_layer": write(self.backward_layer)}
        return {**layers, "merge_mode": self.merge_mode, "name": self.name}

    @classmethod
    def from_config(cls, config: dict[str, Any], make: Callable[[Any], Any] | None = None) -> Bidirectional:
        """Make the layer from the result of get_config; make builds the layers from their configs."""
        from ...files.layers import Reader, check_keys

        check_keys(config, "Bidirectional", layer=dict, backward_layer=dict, merge_mode=object, name=[str])
        make = make or Reader().layer
        layer = make(config["layer"])
        return cls(layer, config["merge_mode"], None, make(config["backward_layer"]), name=config.get("name"))

    def extra_repr(self) -> str:
        return f"merge_mode={self.merge_mode!r}"


class TimeDistributed(Containing):
    """Layer that applies a layer to each time step by itself.

    The steps of all sequences are one batch for the layer, so a batch normalization takes its averages over all of them.

    Args:
        layer: any layer of one input and one output.

    Shapes: x (N, T, ...) and y (N, T, ...), with the shapes of the layer for one sample after N and T.

    >>> import fastnn
    >>> fastnn.TimeDistributed(fastnn.Conv2D(2, 3))(fastnn.ones(4, 5, 8, 8, 1)).shape
    (4, 5, 6, 6, 2)
    """

    input_spec = ANY
    supports_masking = True
    _fixed_arguments = ("layer",)

    def __init__(self, layer: Any, *, name: str | None = None) -> None:
        super().__init__()
        if not isinstance(layer, Module):
            raise TypeError(f"TimeDistributed: {type(layer).__name__} came, wanted a layer")
        self.layer: Any = layer
        self.name = name or "time_distributed"

    def build(self, input_shape: Sequence[Any]) -> None:
        """Make the parameters of the layer for its samples, which have this shape without the steps."""
        if hasattr(self.layer, "build") and not self.layer.built:
            self.layer.build(tuple(input_shape[1:]))

    def forward(self, inputs: Tensor) -> Tensor:
        if inputs.ndim < 3:
            raise ValueError(f"TimeDistributed: x has shape {inputs.shape}, wanted (n, steps, ...) with three axes or more")
        n, steps, *sample = inputs.shape
        y = self.layer(reshape(inputs, (n * steps, *sample)))
        if not isinstance(y, Tensor) or y.shape[:1] != (n * steps,):
            came = f"shape {y.shape}" if isinstance(y, Tensor) else f"a {type(y).__name__}"
            raise ValueError(
                f"TimeDistributed: {type(self.layer).__name__} made {came} of {n * steps} samples, wanted a row for each"
            )
        return reshape(y, (n, steps, *y.shape[1:]))

    def output_shape(self, input_shape: tuple[int, ...]) -> tuple[int, ...]:
        if not tells_shape(self.layer):
            raise NotImplementedError(f"TimeDistributed: {type(self.layer).__name__} has no output_shape")
        return (input_shape[0], *self.layer.output_shape(input_shape[1:]))

    def config_by(self, write: Callable[[Module], dict[str, Any]]) -> dict[str, Any]:
        return {"layer": write(self.layer), "name": self.name}

    @classmethod
    def from_config(cls, config: dict[str, Any], make: Callable[[Any], Any] | None = None) -> TimeDistributed:
        """Make the layer from the result of get_config; make builds the inner layer from its config."""
        from ...files.layers import Reader, check_keys

        check_keys(config, "TimeDistributed", layer=dict, name=[str])
        return cls((make or Reader().layer)(config["layer"]), name=config.get("name"))
