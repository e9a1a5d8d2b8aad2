"""Layer that runs a recurrent cell over sequences, and base class of the layers that have their cell built in."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import numpy as np

from ... import regularizers
from ...autograd.tensor import Tensor, no_grad
from ...backends import current
from ...core.arguments import errors_of
from ...core.convert import own_array
from ...core.tree import flatten, unflatten
from ...ops.checks import as_tensor, flag, positive_int, whole_number
from ...ops.elementwise import clone
from ...ops.index import flip
from ..carried import carried
from ..containing import Containing
from ..mode import tried
from ..module import Module
from ..parameter import building
from ..spec import InputSpec
from .recurrent_loop import Kept, run
from .recurrent_stack import StackedRNNCells, check_cell, initial_state, output_size, state_sizes
from .weighted import named


def of_cell(name: str) -> Any:
    """Return a property that is an attribute of the layer's cell."""

    def write(layer: Any, value: Any) -> None:
        with errors_of(type(layer).__name__, type(layer.cell).__name__):
            setattr(layer.cell, name, value)

    return property(lambda layer: getattr(layer.cell, name), write, doc=f"{name} of the cell.")


class Recurrent(Module):
    """Base of the layers that run a cell over sequences. `RNN` describes the arguments."""

    _saved_as = ""
    supports_masking = True
    _carries = True
    _flags: ClassVar[tuple[str, ...]] = ("return_sequences", "return_state", "go_backwards", "stateful", "unroll")
    _checked_arguments: ClassVar = {
        **dict.fromkeys((*_flags, "zero_output_for_mask"), flag),
        "activity_regularizer": named(regularizers.get),
    }
    zero_output_for_mask = False
    cell: Any
    return_sequences: bool
    return_state: bool
    go_backwards: bool
    stateful: bool
    unroll: bool
    _input_shape: tuple[Any, ...] | None = None

    def _begin(self, cell: Any, input_shape: Any, name: str | None, **settings: Any) -> None:
        """Finish a constructor."""
        self._kept: list[Tensor] = []
        self._carried: list[Tensor] | None = None
        for key, value in settings.items():
            setattr(self, key, value)
        self.cell = cell
        self.name = name or type(self).__name__.lower()
        if input_shape is not None:
            if not isinstance(input_shape, list | tuple) or len(input_shape) != 2:
                raise ValueError(f"{type(self).__name__}: input_shape is {input_shape!r}, wanted (steps, features)")
            steps, features = input_shape
            op = f"{type(self).__name__}: input_shape"
            self.build((None if steps is None else whole_number(steps, op, 0), positive_int(features, op)))

    @property
    def input_spec(self) -> Any:
        """Return the spec: floats, with the number of features as the last size, if it is known; lengths are whole numbers."""
        features = None if self._input_shape is None else self._input_shape[-1]
        return {"sequences": InputSpec("float", ndim=3, axes={-1: features}), "lengths": InputSpec("int", ndim=1)}

    @property
    def input_shape(self) -> tuple[Any, ...] | None:
        """Return the shape of one sample, with None for an unknown number of steps; None until it is known."""
        return self._input_shape

    def build(self, input_shape: Sequence[Any]) -> None:
        """Make the parameters of the cell for sequences of this shape, (steps, features)."""
        if len(input_shape) != 2 or input_shape[-1] is None:
            raise ValueError(
                f"{type(self).__name__}: sequences of shape {(None, *input_shape)}, wanted (None, steps, features) with a number "
                "of features"
            )
        if hasattr(self.cell, "build") and not self.cell.built:
            self.cell.build((input_shape[-1],))
        self._input_shape = tuple(input_shape)

    # ---- states ----

    @property
    def states(self) -> list[Tensor]:
        """Return the states that a stateful layer keeps from call to call: Tensors that it writes in place; [] at first.

        They are neither weights nor in files.
        """
        return list(self._kept)

    def get_initial_state(self, batch_size: int) -> Any:
        """Return the states before the first step, for so many samples."""
        return initial_state(self.cell, batch_size, self.dtype)

    def reset_states(self, batch_size: int | None = None) -> None:
        """Set the states of a stateful layer to those before the first step; for another number of samples, if it is given."""
        if batch_size is not None:
            self._make_states(positive_int(batch_size, f"{type(self).__name__}: batch_size"))
        elif self._kept:
            for own, t in zip(self._kept, flatten(self.get_initial_state(len(self._kept[0])))[1], strict=True):
                own.copy_(t)

    reset_state = reset_states

    def _make_states(self, n: int) -> None:
        k = current()
        found = flatten(self.get_initial_state(n))[1]
        self._structure_changed()  # recorded steps write to the states before
        self._kept = [Tensor(own_array(k, np.array(k.to_numpy(t.data)), None, "reset_states", True)) for t in found]

    def _change_dtype(self, name: str) -> None:
        super()._change_dtype(name)
        self._kept = []

    @property
    def _keeps(self) -> bool:
        """Return whether the states after this call are kept."""
        return self.stateful and not tried.get() and carried.get() is None

    def _first_states(self, given: Any, n: int) -> Any:
        """Return the states to begin with: those that are given or kept, else None."""
        op = type(self).__name__
        if given is None and not self._keeps:
            return None
        if (sizes := state_sizes(self.cell)) is not None:
            tree, columns = flatten(sizes)
            shapes = [(n, size) for size in columns]
        else:
            tree, default = flatten(self.get_initial_state(n))
            shapes = [t.shape for t in default]
        if given is not None:
            found = [t if isinstance(t, Tensor) else as_tensor(np.asarray(t, self.dtype), op) for t in flatten(given)[1]]
            if [t.shape for t in found] != shapes:
                came, wanted = (" and ".join(map(str, s)) or "none" for s in ([t.shape for t in found], shapes))
                raise ValueError(f"{op}: initial_state has shapes {came}, wanted {wanted}")
        elif self._carried is not None:
            found = self._carried
        else:
            if not self._kept:
                with building:
                    if not self._kept:
                        self._make_states(n)
            self._check_size(n)
            found = [clone(t) for t in self._kept]  # backward reads them after the new ones are written
        made = unflatten(tree, found)
        return list(made) if isinstance(made, list | tuple) else [made]

    def _keep(self, states: list[Any], n: int) -> None:
        """Keep the states after a call for the next one."""
        found = flatten(states)[1]
        if self._carried is not None:
            self._carried = found
            return
        self._check_size(n)
        with no_grad():
            for own, t in zip(self._kept, found, strict=True):
                own.copy_(t.detach())

    def _check_size(self, n: int) -> None:
        if self._kept and len(self._kept[0]) != n:
            raise ValueError(
                f"{type(self).__name__}: {n} sequences came, but the layer is stateful and keeps the states of "
                f"{len(self._kept[0])}; reset_states({n}) begins anew"
            )

    def carry(self, states: list[Tensor] | None) -> list[Tensor] | None:
        """Begin calls with these states instead of those that are kept, in a frozen model; None ends this.

        Return the states after the last call.
        """
        before, self._carried = self._carried, states
        return before

    # ---- calls ----

    def forward(self, sequences: Tensor, initial_state: Any = None, mask: Any = None, lengths: Any = None) -> Any:
        y, states = self.computed(sequences, initial_state, mask, lengths)
        if self.return_sequences and self.go_backwards:
            y = flip(y, 1)
        return (y, *states) if self.return_state else y

    def computed(self, x: Tensor, initial_state: Any, mask: Any, lengths: Any, zero: bool = False) -> tuple[Tensor, list[Any]]:
        """Return the outputs at the places of their inputs, or that of the last step, and the states after it.

        zero: whether outputs are 0 in masked steps, regardless of the layer's setting.
        """
        op = type(self).__name__
        if x.ndim != 3:
            raise ValueError(f"{op}: x has shape {x.shape}, wanted (n, steps, features)")
        if mask is not None and lengths is not None:
            raise ValueError(f"{op}: a mask and lengths came, wanted one of them")
        if self._input_shape is None:
            with building:
                if self._input_shape is None:
                    self.build((None, x.shape[2]))
        held = carried.get() if initial_state is None else None
        if held is not None:
            initial_state, (mask, lengths) = held.first(self), held.counted(mask, lengths, x.shape[1])
        states = self._first_states(initial_state, len(x))
        if mask is not None:
            kept = Kept(mask, x.shape, op)
            y, last, new = run(self.cell, kept.gathered(x), states, kept.lengths, self.go_backwards)
            y = kept.spread(y, self.go_backwards, zero or self.zero_output_for_mask) if self.return_sequences else y
            last = kept.last(last)
        else:
            y, last, new = run(self.cell, x, states, self._lengths(lengths, len(x)), self.go_backwards)
        if held is not None:
            held.keep(self, flatten(new)[1])
        elif self._keeps:
            self._keep(new, len(x))
        y = y if self.return_sequences else last
        if self.__dict__.get("activity_regularizer") is not None:
            self._activity = y
        return y, new

    def _lengths(self, lengths: Any, n: int) -> Tensor | None:
        if lengths is None:
            return None
        own = as_tensor(lengths, f"{type(self).__name__}: lengths")
        if own.shape != (n,) or own.dtype != np.int64:
            raise ValueError(f"{type(self).__name__}: lengths of {own.dtype} {own.shape} came, wanted whole numbers ({n},)")
        return own

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        """Return the mask of the outputs, and None for that of the states; None if only the last output is returned."""
        mask = previous_mask[0] if isinstance(previous_mask, list) else previous_mask
        if mask is not None and self.return_sequences and self.go_backwards:
            mask = flip(mask, 1)
        return [mask if self.return_sequences else None]

    def output_shape(self, input_shape: tuple[int, ...]) -> tuple[int, ...]:
        size = output_size(self.cell)
        return (input_shape[0], size) if self.return_sequences else (size,)

    def _flag_config(self) -> dict[str, Any]:
        shape = self.input_shape
        return {
            **{name: getattr(self, name) for name in self._flags},
            "input_shape": None if shape is None else list(shape),
        }


class RNN(Containing, Recurrent):
    """Layer that runs a cell over sequences.

    Args:
        cell: a cell, or a list of cells on top of each other: `SimpleRNNCell`, `LSTMCell`, `GRUCell`, or a module of your own
            with a ``state_size``, whose call ``cell(x, states)`` returns the output of a time step and the new states. A cell
            may have an ``output_size``, and ``get_initial_state(batch_size)``.
        return_sequences: whether the layer returns the outputs of all steps, and not only the last one.
        return_state: whether it returns the states after the last step, too: (y, *states).
        go_backwards: whether the steps are computed from the last one to the first. The outputs are in the order in which they
            are computed.
        stateful: whether the states after a batch are those before the next one, where sequence i goes on in sequence i.
            `reset_states` begins anew.
        unroll: accepted for compatibility with Keras; has no effect, since steps are recorded.
        zero_output_for_mask: whether outputs are 0 in masked steps; by default, the output of the step before is repeated.
        activity_regularizer: penalty on the output that fit adds to the loss.
        input_shape: shape of one sample, (steps, features); by default it is known from the first call.

    A call takes x (N, T, features), and by name or position ``initial_state`` (a list), ``mask`` (N, T), True for the steps
    that are data, and ``lengths`` (N,), the number of steps of each sequence. In a step that the mask leaves out, the state
    does not change and the output is that of the step before. With lengths, outputs are 0 beyond them. A Tensor from `Masking`
    or `Embedding(mask_zero=True)` brings its mask along.

    Raises:
        ValueError: a shape does not fit; or a stateful layer gets a batch of another size.

    >>> import fastnn
    >>> class Counter(fastnn.Module):
    ...     state_size = 1
    ...     def forward(self, x, states):
    ...         y = states[0] + x.sum(1, keepdims=True)
    ...         return y, [y]
    >>> layer = fastnn.RNN(Counter(), return_sequences=True)
    >>> layer(fastnn.ones(1, 3, 2)).tolist()
    [[[2.0], [4.0], [6.0]]]
    """

    _saved_as = "keras.RNN"
    _fixed_arguments = ("cell",)

    def __init__(
        self,
        cell: Any,
        return_sequences: bool = False,
        return_state: bool = False,
        go_backwards: bool = False,
        stateful: bool = False,
        unroll: bool = False,
        zero_output_for_mask: bool = False,
        *,
        activity_regularizer: Any = None,
        input_shape: Any = None,
        name: str | None = None,
    ) -> None:
        super().__init__()
        self._begin(
            StackedRNNCells(cell) if isinstance(cell, list | tuple) else check_cell(cell, "RNN"),
            input_shape,
            name,
            return_sequences=return_sequences,
            return_state=return_state,
            go_backwards=go_backwards,
            stateful=stateful,
            unroll=unroll,
            zero_output_for_mask=zero_output_for_mask,
            activity_regularizer=activity_regularizer,
        )

    def config_by(self, write: Callable[[Module], dict[str, Any]]) -> dict[str, Any]:
        """Return the config, with that of the cell as write gives it."""
        rule = self.activity_regularizer
        return {
            "cell": write(self.cell),
            **self._flag_config(),
            "zero_output_for_mask": self.zero_output_for_mask,
            "activity_regularizer": None if rule is None else regularizers.serialize(rule),
            "name": self.name,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any], make: Callable[[Any], Any] | None = None) -> Any:
        """Make the layer from the result of get_config; make builds the cell from its config."""
        from ...files.layers import Reader, check_keys

        flags = {name: [bool] for name in (*cls._flags, "zero_output_for_mask")}
        check_keys(config, "RNN", cell=dict, name=[str], input_shape=[list], activity_regularizer=object, **flags)
        return cls((make or Reader().layer)(config["cell"]), **{key: value for key, value in config.items() if key != "cell"})

    def extra_repr(self) -> str:
        return repr(self.cell)
