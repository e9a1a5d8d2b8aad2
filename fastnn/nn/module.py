"""Module, the base of all layers and models, and Sequential."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from ..backends import current
from ..ops.door import host_array
from ..tensor import Tensor, no_grad
from ..training.loop import Trainer
from .mode import mode, said
from .parameter import Parameter, stored, structure_changed
from .penalties import Regularized

_FLOAT32 = np.dtype(np.float32)
_UNRECORDED = frozenset({"training", "stop_training", "history", "name"})
"""Attributes of modules that no forward depends on."""


class Module(Trainer, Regularized):
    """A layer or model: parameters, other modules, and a `forward`.

    Attributes that are Parameters or Modules are registered in the order in which they are set. Every Module can be trained by
    hand, as in PyTorch, or by `compile` and `fit`, as in Keras.

    >>> import fastnn
    >>> import fastnn.nn as nn
    >>> class Net(nn.Module):
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.layer = nn.Linear(3, 2)
    ...     def forward(self, x):
    ...         return self.layer(x)
    >>> Net()(fastnn.tensor([1.0, 2.0, 3.0])).shape
    (2,)
    """

    def __init__(self) -> None:
        self._parameters: dict[str, Parameter | None]
        self._modules: dict[str, Module]
        object.__setattr__(self, "_parameters", {})
        object.__setattr__(self, "_modules", {})
        object.__setattr__(self, "_training", True)
        object.__setattr__(self, "_frozen", False)
        self._init_trainer()

    # ---- to be defined by layers ----

    def forward(self, x: Any) -> Any:
        """What the module computes; defined by each layer and model."""
        raise NotImplementedError(f"{type(self).__name__} defines no forward(x)")

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments, for saving; layers that can be saved define it."""
        raise TypeError(
            f"save: {type(self).__name__} is hand-written, so its architecture cannot be put into a file; "
            "use save_weights() and load_weights(), or state_dict()"
        )

    def output_shape(self, input_shape: tuple[int, ...]) -> tuple[int, ...]:
        """The shape of one sample's output, given that of its input; layers that change the shape define it."""
        return input_shape

    @property
    def built(self) -> bool:
        """Whether all parameters have their shapes."""
        return all(m.built for m in self._modules.values())

    # ---- calling ----

    def __call__(self, x: Any, *args: Any, training: bool | None = None) -> Any:
        if not isinstance(x, Tensor):
            x = self._input(x)
        if training is None:
            current().module_called(self)
            return self.forward(x, *args)
        with mode(training):
            current().module_called(self)
            return self.forward(x, *args)

    def _input(self, x: Any) -> Any:
        """Arrays and lists as a Tensor of the model's dtype; whole numbers too."""
        k = current()
        if not isinstance(x, np.ndarray | list | tuple | int | float | np.generic) and not hasattr(x, "__array__"):
            return x
        array = k.asarray(host_array(x, self.dtype, type(self).__name__))
        k.constant_enters(array)
        return Tensor(array)

    @property
    def training(self) -> bool:
        """Whether it is in training mode: as `train` and `eval` set it, but for a call or a fit that says otherwise."""
        block = said.get()
        return bool(self._training) if block is None else block

    @training.setter
    def training(self, value: bool) -> None:
        object.__setattr__(self, "_training", bool(value))

    def train(self, mode: bool = True) -> Module:
        """Sets training mode, in which dropout drops, in this module and all it holds."""
        for m in self.modules():
            m.training = mode
        return self

    def eval(self) -> Module:
        """Sets evaluation mode in this module and all it holds."""
        return self.train(False)

    # ---- what it holds ----

    def __setattr__(self, name: str, value: Any) -> None:
        if isinstance(value, Parameter | Module):
            if "_modules" not in self.__dict__:
                raise AttributeError(f"{type(self).__name__}: call super().__init__() before setting {name}")
            own, other = (self._parameters, self._modules) if isinstance(value, Parameter) else (self._modules, self._parameters)
            cast(dict[str, Any], other).pop(name, None)
            cast(dict[str, Any], own)[name] = self.__dict__[name] = value  # where Python looks first
            if self._frozen and isinstance(value, Parameter):
                value.requires_grad = False
            structure_changed()
        elif name in self.__dict__.get("_parameters", {}) or name in self.__dict__.get("_modules", {}):
            kind = "a parameter" if name in self._parameters else "a layer"
            if value is not None:
                raise TypeError(f"{type(self).__name__}: {name} is {kind}; {type(value).__name__} came, wanted {kind} or None")
            if name in self._parameters:
                self._parameters[name] = None
            else:
                del self._modules[name]
            self.__dict__[name] = None
            structure_changed()
        else:
            # A setting that forward may read (an activation, a factor): recorded steps would go on with the old one.
            known = name.startswith("_") or name in _UNRECORDED or isinstance(getattr(type(self), name, None), property)
            if not known and self.__dict__.get(name) is not value:
                structure_changed()
            object.__setattr__(self, name, value)

    if TYPE_CHECKING:  # the names come from register_parameter and setattr; there are no such methods when it runs, for speed

        def __getattr__(self, name: str) -> Any: ...

    def __delattr__(self, name: str) -> None:
        self._parameters.pop(name, None)
        self._modules.pop(name, None)
        object.__delattr__(self, name)
        structure_changed()

    def register_parameter(self, name: str, value: Parameter | None) -> None:
        """Holds a parameter, or its absence, under a name."""
        if self._frozen and value is not None:
            value.requires_grad = False
        self._parameters[name] = self.__dict__[name] = value
        structure_changed()

    def children(self) -> Iterator[Module]:
        """The modules that this one holds itself."""
        return iter(self._modules.values())

    def named_modules(self, prefix: str = "") -> Iterator[tuple[str, Module]]:
        """This module and all below it, each once, with dotted names."""
        seen: set[Module] = set()
        stack: list[tuple[str, Module]] = [(prefix, self)]
        while stack:
            name, module = stack.pop()
            if module in seen:
                continue
            seen.add(module)
            yield name, module
            dot = f"{name}." if name else ""
            stack += [(dot + child, m) for child, m in reversed(module._modules.items())]

    def modules(self) -> Iterator[Module]:
        """This module and all below it, each once."""
        return (m for _, m in self.named_modules())

    def named_parameters(self) -> Iterator[tuple[str, Parameter]]:
        """The parameters, each once, with dotted names, in order of definition.

        Raises:
            RuntimeError: a layer has no shape yet.
        """
        seen: set[Parameter] = set()
        for prefix, module in self.named_modules():
            if not module._own_built():
                raise RuntimeError(
                    f"parameters: {prefix or type(module).__name__} ({type(module).__name__}) has no shape yet; "
                    "give it input_shape, or call the model once"
                )
            for name, p in module._parameters.items():
                if p is not None and stored(p) not in seen:
                    seen.add(stored(p))
                    yield (f"{prefix}.{name}" if prefix else name), p

    def _own_built(self) -> bool:
        return True

    def parameters(self) -> Iterator[Parameter]:
        """The parameters, each once, in order of definition."""
        return (p for _, p in self.named_parameters())

    @property
    def weights(self) -> list[Parameter]:
        """The stored parameters, weights as (in, out)."""
        return [stored(p) for p in self.parameters()]

    def zero_grad(self) -> None:
        """Forgets the gradients of all parameters."""
        for p in self.parameters():
            stored(p).zero_grad()

    @property
    def trainable(self) -> bool:
        """Whether any parameter is trained; setting it freezes or frees all of them."""
        return any(p.requires_grad for p in self.parameters()) if self.built else not self._frozen

    @trainable.setter
    def trainable(self, value: bool) -> None:
        self.requires_grad_(value)

    def requires_grad_(self, requires_grad: bool = True) -> Module:
        """Freezes (False) or frees all parameters."""
        for m in self.modules():
            object.__setattr__(m, "_frozen", not requires_grad)  # for parameters that are still to come
            for p in m._parameters.values():
                if p is not None:
                    stored(p).requires_grad = bool(requires_grad)
        structure_changed()
        return self

    @property
    def dtype(self) -> np.dtype[Any]:
        """The dtype of the parameters; float32 where there are none."""
        return self._known_dtype() or _FLOAT32

    def _known_dtype(self) -> np.dtype[Any] | None:
        for p in self._parameters.values():
            if p is not None:
                return p.dtype
        if (name := self.__dict__.get("_dtype")) is not None:
            own: np.dtype[Any] = np.dtype(name)
            return own
        for m in self._modules.values():
            if (known := m._known_dtype()) is not None:
                return known
        return None

    # ---- values in and out ----

    def state_dict(self) -> dict[str, np.ndarray[Any, Any]]:
        """Copies of all parameters by name; layers with PyTorch's names have PyTorch's shapes."""
        return {name: np.ascontiguousarray(current().to_numpy(p.data)).copy() for name, p in self.named_parameters()}

    def load_state_dict(self, state: dict[str, Any], strict: bool = True) -> None:
        """Copies values into the parameters by name.

        Raises:
            KeyError: with strict, names that are missing or not known; the message lists them. Nothing is changed.
            ValueError: an array has another shape. Nothing is changed.
        """
        if not isinstance(state, Mapping):
            raise TypeError(f"load_state_dict: {type(state).__name__} came, wanted a dict from names to arrays")
        own = dict(self.named_parameters())
        missing, unknown = [n for n in own if n not in state], [n for n in state if n not in own]
        if strict and (missing or unknown):
            raise KeyError(f"load_state_dict: missing {missing or 'none'}, unknown {unknown or 'none'}")
        arrays = {}
        for name in own.keys() & state.keys():
            arrays[name] = host_array(state[name], own[name].dtype, f"load_state_dict: {name}")
            if arrays[name].shape != own[name].shape:
                raise ValueError(f"load_state_dict: {name} has shape {arrays[name].shape}, wanted {own[name].shape}")
        with no_grad():
            for name, a in arrays.items():
                own[name].copy_(a)

    def get_weights(self) -> list[np.ndarray[Any, Any]]:
        """Copies of the stored parameters in order of definition, weights as (in, out)."""
        return [np.array(current().to_numpy(p.data)) for p in self.weights]

    def set_weights(self, weights: Iterable[Any]) -> None:
        """Copies values into the parameters in order of definition, weights as (in, out)."""
        own, given = self.weights, list(weights)
        if len(own) != len(given):
            raise ValueError(f"set_weights: {len(given)} arrays came, the model has {len(own)} parameters")
        arrays = [host_array(a, p.dtype, "set_weights") for a, p in zip(given, own, strict=True)]
        for i, (a, p) in enumerate(zip(arrays, own, strict=True)):
            if a.shape != p.shape:
                raise ValueError(f"set_weights: array {i} has shape {a.shape}, wanted {p.shape}")
        with no_grad():
            for a, p in zip(arrays, own, strict=True):
                p.copy_(a)

    def freeze(self, batch_size: int = 1, input_shape: Any = None) -> Any:
        """The model as it is now, as a function of arrays for one batch size: no dropout, no tape, no Python but the call itself.

        Args:
            batch_size: the samples in a call.
            input_shape: the shape of one sample, where the first layer does not tell.

        Returns:
            A callable: f(x) gives a new array, f(x, out=y) writes into y. With batch_size 1, x may be a single sample. Several
            threads may call it; it can be pickled. Later training does not change it.

        >>> import fastnn
        >>> model = fastnn.Sequential([fastnn.Dense(2, input_shape=(3,))])
        >>> policy = model.freeze()
        >>> bool((policy([[1.0, 2.0, 3.0]]) == model.predict([[1.0, 2.0, 3.0]])).all())
        True
        """
        from .frozen import freeze

        return freeze(self, batch_size, input_shape)

    def save(self, path: Any) -> None:
        """Writes architecture and weights into one safetensors file; see `fastnn.load`."""
        from ..serialization import save

        save(self, path)

    def save_weights(self, path: Any) -> None:
        """Writes the state_dict into a safetensors file."""
        from ..serialization import save_weights

        save_weights(self, path)

    def load_weights(self, path: Any) -> None:
        """Reads a safetensors file into the parameters by name."""
        from ..serialization import load_weights

        load_weights(self, path)

    # ---- how it looks ----

    def extra_repr(self) -> str:
        """What stands between the parentheses of a layer's repr."""
        return ""

    def __repr__(self) -> str:
        if not self._modules:
            return f"{type(self).__name__}({self.extra_repr()})"
        lines = [f"  ({name}): " + repr(m).replace("\n", "\n  ") for name, m in self._modules.items()]
        return f"{type(self).__name__}(\n" + "\n".join(lines) + "\n)"

    def summary(self, print_fn: Callable[[str], Any] = print) -> None:
        """Prints the layers with their output shapes and numbers of parameters."""
        from .summary import summary

        print_fn(summary(self))

    def __getstate__(self) -> dict[str, Any]:
        return self._trainer_state(dict(self.__dict__))

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        structure_changed()


class Sequential(Module):
    """Layers one after the other.

    Args:
        layers: a list of layers, or the layers themselves.
        dtype: the dtype of layers that have none of their own.

    >>> import fastnn
    >>> model = fastnn.Sequential([fastnn.Dense(4, activation="relu", input_shape=(3,)), fastnn.Dense(2)])
    >>> model.predict([[1.0, 2.0, 3.0]]).shape
    (1, 2)
    """

    def __init__(self, *layers: Any, dtype: Any = None, name: str | None = None) -> None:
        super().__init__()
        self.name = name or "sequential"
        self._dtype = dtype
        items = list(layers[0]) if len(layers) == 1 and isinstance(layers[0], list | tuple) else list(layers)
        for layer in items:
            self.add(layer)

    def add(self, layer: Module) -> None:
        """Appends a layer, which is built if its input shape is known."""
        if not isinstance(layer, Module):
            raise TypeError(f"Sequential: {type(layer).__name__} {layer!r} came, wanted a layer")
        if self._dtype is not None:
            for m in layer.modules():
                if hasattr(m, "set_dtype"):
                    m.set_dtype(self._dtype)
        setattr(self, str(len(self._modules)), layer)
        shape = self._known_shape(len(self._modules) - 1)
        if shape is not None and not layer.built:
            cast(Any, layer).build(shape)

    def _known_shape(self, index: int) -> tuple[int, ...] | None:
        """The input shape of the layer at this place, where the layers before it tell."""
        layers = list(self._modules.values())
        shape: tuple[int, ...] | None = None
        for i, layer in enumerate(layers[: index + 1]):
            own = getattr(layer, "input_shape", None)
            shape = own if own is not None else shape
            if i == index or shape is None:
                continue
            shape = layer.output_shape(shape) if layer.built else None
        return shape

    @property
    def input_shape(self) -> tuple[int, ...] | None:
        """The shape of one sample, where the first layer tells."""
        return self._known_shape(0) if self._modules else None

    def output_shape(self, input_shape: tuple[int, ...]) -> tuple[int, ...]:
        for layer in self._modules.values():
            input_shape = layer.output_shape(input_shape)
        return input_shape

    def build(self, input_shape: tuple[int, ...]) -> None:
        """Gives all layers their parameters for samples of this shape."""
        for layer in self._modules.values():
            if not layer.built:
                cast(Any, layer).build(input_shape)
            input_shape = layer.output_shape(input_shape)

    def forward(self, x: Any) -> Any:
        for layer in self._modules.values():
            x = layer(x)
        return x

    @property
    def layers(self) -> list[Module]:
        """The layers in order."""
        return list(self._modules.values())

    def __len__(self) -> int:
        return len(self._modules)

    def __getitem__(self, index: int | slice) -> Any:
        return Sequential(self.layers[index]) if isinstance(index, slice) else self.layers[index]

    def __iter__(self) -> Iterator[Module]:
        return iter(self.layers)

    def get_config(self) -> dict[str, Any]:
        from ..serialization import layer_config

        return {"layers": [layer_config(layer) for layer in self.layers], "name": self.name}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Sequential:
        """The model that get_config told of."""
        from ..serialization import layer_from_config

        return cls([layer_from_config(c) for c in config["layers"]], name=config.get("name"))
