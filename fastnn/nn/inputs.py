"""Conversion of the inputs of a call: arrays and lists become Tensors of the dtypes in the module's `input_spec`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from ..autograd.tensor import Tensor
from ..backends import current
from ..core.arrays import cast as cast_array
from ..core.structure import (
    Structure,
    are_inputs,
    argument_names,
    input_names,
    missing_inputs,
    own_code,
    positional_names,
)
from ..core.tree import first_leaf, replace
from .spec import ANY, FLOATS, InputSpec, as_input, each, of_argument


class Inputs:
    """Methods of `fastnn.nn.Module` that cast the arguments of calls."""

    if TYPE_CHECKING:

        @property
        def dtype(self) -> np.dtype[Any]: ...

    input_structure: Structure | None = None
    """Nesting of the inputs; None if it follows from the arguments and `forward`."""

    input_spec: Any = FLOATS
    """Description of the inputs: an `InputSpec`, or a list, tuple or dict of them, by position or by forward's argument names.

    Layers of fastnn take floats. A custom module takes inputs of any dtype, unless its class or instance sets this attribute.
    """

    @property
    def takes_several(self) -> bool:
        """Return whether a list of arrays with two or more dimensions means several inputs, and not the rows of one."""
        return not own_code(type(self).__module__)

    def _check_container(self, x: Any, keywords: Mapping[str, Any]) -> None:
        """Check that forward does not need more inputs if a list, tuple or dict is the only argument by position.

        Raises:
            TypeError: forward needs more inputs than x and the keywords.
        """
        if isinstance(x, list | tuple | Mapping) and (names := missing_inputs(self, 1, keywords)):
            name, arguments = type(self).__name__, ", ".join(names)
            raise TypeError(
                f"{name}: a {type(x).__name__} of {len(x)} came for {names[0]}, but forward takes {len(names)} inputs: "
                f"{arguments}; call it as layer({arguments})"
            )

    def _input(self, x: Any) -> Any:
        """Convert the first argument to a Tensor of the dtype in input_spec; return lists and dicts of Tensors unchanged."""
        name = type(self).__name__
        if isinstance(x, list | tuple) and isinstance(first_leaf(x), Tensor):
            return x
        if type(x) in (list, tuple) and self.takes_several and type(first_leaf(x)) is np.ndarray and are_inputs(x):
            specs = iter(each(self, Structure.of(x, "input")[0], name))
            return replace(x, lambda a: self._input_tensor(a, next(specs)))  # several inputs, as for fit; not the rows of one
        if not _is_numbers(x):
            return x
        return self._input_tensor(x, self._first_spec() or ANY)

    def _first_spec(self) -> Any:
        """Return the spec of the first argument of forward; None without one."""
        return of_argument(self.input_spec, argument_names(self, 1)[0], 0)

    def _more_inputs(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Cast the arguments after the first one.

        These are the arguments with a spec in a list, tuple or dict; a single spec is that of the first argument.
        """
        spec = self.input_spec
        if isinstance(spec, InputSpec | None):
            return args, kwargs
        positional, inputs = positional_names(self), input_names(self)

        def made(a: Any, name: str, position: int) -> Any:
            one = of_argument(spec, name, position)
            if not isinstance(one, InputSpec) or name == "training":
                return a  # no input, or several that are nested
            if isinstance(a, Tensor):
                return self._as_floats(a, one)
            return self._input_tensor(a, one, name) if _is_numbers(a) else a

        given = []
        for i, a in enumerate(args, 1):
            name = positional[i] if i < len(positional) else f"input_{i + 1}"
            given.append(made(a, name, i - ("training" in positional[:i])))
        last = len(spec)  # beyond the specs of a list
        named = {key: made(a, key, inputs.index(key) if key in inputs else last) for key, a in kwargs.items()}
        return tuple(given), named

    def _input_tensor(self, x: Any, spec: InputSpec, argument: str = "x") -> Tensor:
        k = current()
        array = as_input(k, x, spec, self.dtype, type(self).__name__, argument)
        k.host_wrote(array)
        return Tensor(array)

    def _as_floats(self, x: Tensor, spec: Any) -> Tensor:
        """Cast a Tensor of integers to the dtype of the parameters if the spec takes floats; return other Tensors unchanged."""
        if x.data.dtype.kind == "f" or not isinstance(spec, InputSpec):
            return x
        wanted = spec.wants(self.dtype)
        return x if wanted is None or wanted.kind != "f" else Tensor(cast_array(current(), x.data, wanted))


def _is_numbers(x: Any) -> bool:
    """Return whether x is an array, a list or a number, which can be converted to a Tensor."""
    return isinstance(x, np.ndarray | list | tuple | int | float | np.generic) or hasattr(x, "__array__")
