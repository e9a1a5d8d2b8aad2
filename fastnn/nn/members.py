"""Members of a module: its submodules and parameters, by their names."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, cast

from ..core.block import completed
from ..core.device import check_device
from ..ops.convert import destination
from .attributes import Attributes
from .parameter import Parameter, fill_grad, stored

if TYPE_CHECKING:
    from .module import Module


class Members(Attributes):
    """Methods of `Module` that iterate over its submodules and parameters."""

    if TYPE_CHECKING:
        _aliases: Callable[[], dict[str, Parameter]]

    def children(self) -> Iterator[Module]:
        """Return the direct submodules."""
        return iter(self._modules.values())

    def named_children(self) -> Iterator[tuple[str, Module]]:
        """Return the direct submodules with their names."""
        return iter(self._modules.items())

    def apply(self, fn: Callable[[Module], Any]) -> Module:
        """Call fn with each submodule, then with the module itself, as in PyTorch."""
        for m in self.children():
            m.apply(fn)
        fn(cast("Module", self))
        return cast("Module", self)

    def get_parameter(self, name: str) -> Parameter:
        """Return the parameter with a dotted name."""
        found = self._aliases().get(name)
        if found is None:
            raise AttributeError(f"get_parameter: {type(self).__name__} has no parameter {name!r}")
        return found

    def named_modules(self, prefix: str = "") -> Iterator[tuple[str, Module]]:
        """Iterate over this module and all its submodules, each once, with dotted names."""
        seen: set[Module] = set()
        stack: list[tuple[str, Any]] = [(prefix, self)]
        while stack:
            name, module = stack.pop()
            if module in seen:
                continue
            seen.add(module)
            yield name, module
            dot = f"{name}." if name else ""
            stack += [(dot + child, m) for child, m in reversed(module._modules.items())]

    def modules(self) -> Iterator[Module]:
        """Iterate over this module and all its submodules, each once."""
        return (m for _, m in self.named_modules())

    def named_parameters(self) -> Iterator[tuple[str, Parameter]]:
        """Yield the parameters, each once, with dotted names, in order of definition.

        Raises:
            RuntimeError: a layer has no shape yet.
        """
        seen: set[Parameter] = set()
        for name, p in self._all_parameters():
            if stored(p) not in seen:
                seen.add(stored(p))
                yield name, p

    def _all_parameters(self) -> Iterator[tuple[str, Parameter]]:
        """Yield the parameters under all of their names; tied ones appear several times."""
        for prefix, module in self.named_modules():
            if not module._own_built():
                raise RuntimeError(
                    f"parameters: {prefix or type(module).__name__} ({type(module).__name__}) has no shape yet; "
                    "give it input_shape, or call the model once"
                )
            for name, p in module._parameters.items():
                if p is not None:
                    yield (f"{prefix}.{name}" if prefix else name), p

    def parameters(self) -> Iterator[Parameter]:
        """Return the parameters, each once, in order of definition."""
        return (p for _, p in self.named_parameters())

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Clear the gradients of all parameters; set_to_none=False sets them to 0 instead."""
        for p in self.parameters():
            stored(p).zero_grad() if set_to_none else fill_grad(stored(p))

    def get_submodule(self, target: str) -> Module:
        """Return the submodule with a dotted name; the module itself for an empty one."""
        found = dict(self.named_modules()).get(target)
        if found is None:
            raise AttributeError(f"get_submodule: {type(self).__name__} has no submodule {target!r}")
        return found

    def add_module(self, name: str, module: Module) -> None:
        """Set a submodule as an attribute with this name."""
        setattr(self, name, module)

    register_module = add_module

    def to(self, *args: Any, device: Any = None, dtype: Any = None, non_blocking: bool = False) -> Any:
        """Convert the parameters to a dtype; a device must be that of the backend. The arguments are those of `fastnn.Tensor.to`.

        Returns:
            The module itself.

        Raises:
            ValueError: the device is not that of the backend in use.

        >>> import fastnn
        >>> fastnn.nn.Linear(2, 1).to("cpu").to(fastnn.float64).dtype
        dtype('float64')
        """
        device, dtype = destination("to", args, device, dtype)
        check_device(device, f"{type(self).__name__}: to")
        if dtype is not None:
            cast("Module", self).set_dtype(dtype)
        return self

    def cpu(self) -> Any:
        """Return the module itself, on the backends of the host."""
        return self.to("cpu")

    def cuda(self, device: Any = None) -> Any:
        """Return the module itself, on the CuPy backend."""
        return self.to("cuda" if device is None else device)

    def float(self) -> Any:
        """Convert the parameters to float32; return the module itself."""
        return self.to("float32")

    def double(self) -> Any:
        """Convert the parameters to float64; return the module itself."""
        return self.to("float64")

    @property
    def trainable(self) -> bool:
        """Return whether any parameter is trainable; setting it freezes or unfreezes all of them."""
        return any(p.requires_grad for p in self.parameters()) if self.built else not self._frozen

    @trainable.setter
    def trainable(self, value: bool) -> None:
        self.requires_grad_(value)

    def requires_grad_(self, requires_grad: bool = True) -> Module:
        """Freeze (False) or unfreeze all parameters."""
        modules = list(self.modules())

        def set_all() -> None:
            self._structure_changed()
            for m in modules:
                object.__setattr__(m, "_frozen", not requires_grad)  # for parameters that are made later
                for p in m._parameters.values():
                    if p is not None:
                        stored(p).requires_grad = bool(requires_grad)

        completed(set_all)
        return cast("Module", self)
