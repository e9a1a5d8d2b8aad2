"""The inputs of a call: arrays and lists become Tensors of the dtypes that the module's `input_spec` gives."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from ..autograd.tensor import Tensor
from ..backends import current
from ..core.arrays import cast as cast_array
from ..core.structure import Structure, are_inputs, argument_names, missing_inputs, own_code
from ..core.tree import first_leaf, replace
from .spec import ANY, FLOATS, InputSpec, as_input, each, of_argument


class Inputs:
    """The part of `fastnn.nn.Module` that casts the arguments of calls."""

    if TYPE_CHECKING:

        @property
        def dtype(self) -> np.dtype[Any]: ...

    input_structure: Structure | None = None
    """The nesting of the inputs; None where arrays and `forward` show it."""

    input_spec: Any = FLOATS
    """What each input is: an `InputSpec`, or a list, tuple or dict of them, by position or by the names of forward's arguments.

    fastnn's layers take floats. A hand-written module takes what comes, unless its class or an instance sets this.
    """

    @property
    def takes_several(self) -> bool:
        """Return whether a list of arrays with two or more dimensions is several inputs, not the rows of one."""
        return not own_code(type(self).__module__)

    def _check_container(self, x: Any, keywords: Mapping[str, Any]) -> None:
        """Refuse a list, tuple or dict as the only argument by position where forward takes several.

        Raises:
            TypeError: forward needs more inputs than x and the keywords give.
        """
        if isinstance(x, list | tuple | Mapping) and (names := missing_inputs(self, 1, keywords)):
            name, arguments = type(self).__name__, ", ".join(names)
            raise TypeError(
                f"{name}: a {type(x).__name__} of {len(x)} came for {names[0]}, but forward takes {len(names)} inputs: "
                f"{arguments}; call it as layer({arguments})"
            )

    def _input(self, x: Any) -> Any:
        """Return the first argument as a Tensor of the dtype that input_spec gives; lists and dicts of Tensors unchanged."""
        name = type(self).__name__
        if isinstance(x, list | tuple) and isinstance(first_leaf(x), Tensor):
            return x
        if type(x) in (list, tuple) and self.takes_several and type(first_leaf(x)) is np.ndarray and are_inputs(x):
            specs = iter(each(self, Structure.of(x, "input")[0], name))
            return replace(x, lambda a: self._input_tensor(a, next(specs)))  # several inputs, as for fit; not the rows of one
        if not _is_numbers(x):
            return x
        return self._input_tensor(x, of_argument(self.input_spec, argument_names(self, 1)[0], 0) or ANY)

    def _more_inputs(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Return the arguments after the first one, cast as the first one is.

        An argument that a list, tuple or dict of specs names is cast whatever it is: array, list or number. One spec for all
        inputs casts arrays only, since a list or a number may be a setting of the forward.
        """
        spec = self.input_spec
        single = isinstance(spec, InputSpec | None)
        if single and (own_code(type(self).__module__) or spec is ANY):
            return args, kwargs
        names = argument_names(self, len(args) + 1 if single or not kwargs else max(len(args) + 1, len(spec)))

        def made(a: Any, name: str, i: int) -> Any:
            one = of_argument(spec, name, i)
            if one is None or (single and not isinstance(a, np.ndarray | Tensor)):
                return a
            if isinstance(a, Tensor):
                return self._as_floats(a, one)
            return self._input_tensor(a, one, name) if _is_numbers(a) else a

        args = tuple(made(a, names[i], i) for i, a in enumerate(args, 1))
        return args, {key: made(a, key, names.index(key) if key in names else len(names)) for key, a in kwargs.items()}

    def _input_tensor(self, x: Any, spec: InputSpec, argument: str = "x") -> Tensor:
        k = current()
        array = as_input(k, x, spec, self.dtype, type(self).__name__, argument)
        k.host_wrote(array)
        return Tensor(array)

    def _as_floats(self, x: Tensor, spec: Any) -> Tensor:
        """Return a Tensor of whole numbers in the dtype of the parameters, where the spec takes floats."""
        if x.data.dtype.kind == "f" or not isinstance(spec, InputSpec):
            return x
        wanted = spec.wants(self.dtype)
        return x if wanted is None or wanted.kind != "f" else Tensor(cast_array(current(), x.data, wanted))


def _is_numbers(x: Any) -> bool:
    """Return whether x is an array, a list or a number, of which a Tensor can be made."""
    return isinstance(x, np.ndarray | list | tuple | int | float | np.generic) or hasattr(x, "__array__")
