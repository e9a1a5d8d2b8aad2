"""Layers one after the other."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from ...autograd.tensor import Tensor
from ...core.structure import Structure, input_names, missing_inputs
from ..containing import Containing
from ..dtype import offer_dtype
from ..keras_names import Computed
from ..module import Module, tells_shape
from ..spec import ANY, InputSpec, of_argument
from .names import give_name

Known = tuple[Any, Any]
"""Type of known inputs: the shape of one sample, with None for unknown sizes, and the dtype."""


class Sequential(Containing):
    """Sequence of layers, each of which gets the output of the layer before.

    Args:
        layers: a list of layers, the layers as separate arguments, or a dict with their names, which are attributes then. A
            `fastnn.Input` at the front defines the shape. A layer may occur several times.
        dtype: dtype of layers that were made without a dtype.

    >>> import fastnn
    >>> model = fastnn.Sequential([fastnn.Dense(4, activation="relu", input_shape=(3,)), fastnn.Dense(2)])
    >>> model.predict([[1.0, 2.0, 3.0]]).shape
    (1, 2)
    """

    def __init__(self, *layers: Any, dtype: Any = None, name: str | None = None) -> None:
        super().__init__()
        self.name = name or "sequential"
        self._dtype = dtype
        self._given: InputSpec | None = None
        """The spec of an Input at the front."""
        self._names: dict[str, int] = {}
        """Names of the layers."""
        given = layers[0] if len(layers) == 1 else None
        items = list(given) if isinstance(given, list | tuple) else list(layers)
        named = given.items() if isinstance(given, dict) else ((None, layer) for layer in items)
        known: Known | None = None
        for own, layer in named:
            known = self._append(layer, known, own)

    def add(self, layer: Module) -> None:
        """Append a layer, which is built if its input shape is known."""
        self._append(layer, self._known(len(self._modules)))

    def append(self, module: Module) -> Sequential:
        """Append a layer, as `add` does; return the Sequential, as in PyTorch."""
        self.add(module)
        return self

    def add_module(self, name: str, module: Module) -> None:
        """Append a layer, which is an attribute with this name."""
        self._append(module, self._known(len(self._modules)), name)

    def _append(self, layer: Any, known: Known | None, name: str | None = None) -> Known | None:
        """Append a layer, given its input (None if unknown); return its output (None if unknown)."""
        if not self._modules and type(layer).__name__ == "Symbol":
            self._begin(layer)
            return self._known(0)
        if name is not None and (not isinstance(name, str) or not name or "." in name or hasattr(self, name)):
            raise KeyError(f"Sequential: {name!r} cannot be a name: it is empty, has a dot, or is an attribute of modules")
        if not self._modules and type(layer).__name__ == "Symbol":
            self._begin(layer)
            return self._known(0)
        if not self._modules and self._given is None and (first := getattr(layer, "_first_shape", None)) is not None:
            self._begin(_input_of(layer, first))
            known = self._known(0)
        if not isinstance(layer, Module):
            raise TypeError(f"Sequential: {type(layer).__name__} {layer!r} came, wanted a layer")
        if self in layer.modules():
            raise ValueError(f"Sequential: {self.name} cannot be a layer of itself")
        if inputs := missing_inputs(layer, 1):
            raise TypeError(
                f"Sequential: the layer {type(layer).__name__} takes {len(inputs)} inputs ({', '.join(inputs)}), but Sequential "
                "passes one output on to the next layer; make a functional model, whose layers take several: "
                "fastnn.Input for each input, then fastnn.Model(inputs, outputs)"
            )
        if self._dtype is not None:
            offer_dtype(layer, self._dtype, "Sequential")
        known = self._taken(layer, known)
        if known is not None:
            if not layer.built and hasattr(layer, "build"):
                layer.build(known[0])
            known = self._made(layer, known)
        give_name(layer, self._names)
        setattr(self, str(len(self._modules)) if name is None else name, layer)
        return known

    def _begin(self, symbol: Any) -> None:
        """Set the shape and the dtype from an Input at the front."""
        if symbol.dtype == np.float64 and self._dtype is None:
            self._dtype = "float64"  # the layers compute in float64, as in a graph
        kind = "float" if symbol.dtype.kind == "f" else symbol.dtype.name
        if symbol.dtype == np.float64 != np.dtype(self._dtype):
            raise ValueError(f"Sequential: dtype is {self._dtype!r}, but its Input is float64; omit one of them")
        self._given = InputSpec(kind, symbol.shape, allow_last_axis_squeeze=True, name=symbol.name)

    def _taken(self, layer: Module, known: Known | None) -> Known | None:
        """Return the input of a layer: the output of the layers before it if known, else its own input_shape."""
        if known is not None:
            axes = getattr(layer, "_axes", None)  # those of the images that a layer takes
            # A Linear takes more axes than its own input_shape says, and what comes after it shows how many.
            return None if self._given is None and isinstance(axes, int) and axes and len(known[0]) != axes + 1 else known
        own = getattr(layer, "input_shape", None)
        return None if own is None else (own, layer.dtype)

    def _made(self, layer: Module, known: Known) -> Known | None:
        """Return the output of a layer, which after an Input may be found by a trial call; None if it is unknown."""
        shape, dtype = known
        if layer.built and tells_shape(layer):
            return layer.output_shape(shape), dtype if layer._any_dtype else layer.dtype
        if self._given is None:
            return None
        from .symbolic import Input, Symbol

        y = layer(Input(shape, dtype=dtype))
        return (y.sample_shape, y.dtype) if isinstance(y, Symbol) else None

    def _known(self, index: int) -> Known | None:
        """Return the input of the layer with this index."""
        known: Known | None = None
        if self._given is not None:
            known = tuple(self._given.shape[1:]), self._given.wants(np.dtype(self._dtype or "float32"))
        for layer in self.layers[:index]:
            known = self._taken(layer, known)
            known = known and self._made(layer, known)
        return known if index == len(self._modules) else self._taken(self.layers[index], known)

    def _first_known(self) -> Known | None:
        """Return the input of the first layer; None if a later one contradicts it, as Conv1d after Linear does."""
        first = known = self._known(0) if self._modules else None
        for layer in self.layers:
            before, known = known, self._taken(layer, known)
            if before is not None and known is None:
                return None
            known = known and self._made(layer, known)
        return first

    def shapes(self) -> list[Any]:
        """Return the output shapes of the layers for one sample; None for unknown ones."""
        found: list[Any] = []
        known = self._known(0) if self._modules else None
        for layer in self.layers:
            known = self._taken(layer, known)
            known = known and self._made(layer, known)
            found.append(known and known[0])
        return found

    @property
    def input_spec(self) -> Any:
        """Return the spec of an Input at the front, else of the first layer. If a layer takes any dtype, use the next layer's."""
        if self._given is not None:
            return self._given
        first: Any = None
        for layer in self._modules.values():
            spec = layer.input_spec
            if len(names := input_names(layer)) > 1:
                spec = of_argument(spec, names[0], 0) or ANY  # the other inputs have defaults
            if layer._any_dtype and first is None:
                first = spec
            if not layer._any_dtype:
                return spec if first is None else InputSpec(getattr(spec, "dtype", None), first.shape)
        return ANY if first is None else first

    @property
    def input_shape(self) -> tuple[int, ...] | None:
        """Return the shape of one sample, if it is known."""
        known = self._first_known()
        return None if known is None else known[0]

    def output_shape(self, input_shape: tuple[int, ...]) -> tuple[int, ...]:
        for layer in self._modules.values():
            input_shape = layer.output_shape(input_shape)
        return input_shape

    def build(self, input_shape: tuple[int, ...]) -> None:
        """Make the parameters of the layers for samples of this shape, up to the first layer with an unknown input shape."""
        shape: tuple[int, ...] | None = input_shape
        for layer in self._modules.values():
            if shape is None:
                break  # after a custom layer, the first call shows the shape
            if not layer.built and hasattr(layer, "build"):
                layer.build(shape)
            shape = layer.output_shape(shape) if layer.built and tells_shape(layer) else None

    @property
    def input_structure(self) -> Structure | None:  # type: ignore[override]
        return self.layers[0].input_structure if self._modules else None

    @property
    def takes_several(self) -> bool:
        return self.layers[0].takes_several if self._modules else False

    def _input(self, x: Any) -> Any:
        several = self.takes_several or self.input_structure is not None
        return self.layers[0]._input(x) if several else super()._input(x)

    def forward(self, x: Any) -> Tensor | Any:  # of some last layers, several Tensors
        if self._given is not None and isinstance(x, Tensor):
            shape = self._given.fitted(x.shape, type(self).__name__, "x")
            x = x if shape == x.shape else x.reshape(shape)
        for layer in self._modules.values():
            x = layer(x)
        return x

    def pop(self) -> Module:
        """Remove the last layer, and return it.

        >>> import fastnn
        >>> model = fastnn.Sequential([fastnn.Dense(4, input_shape=(3,)), fastnn.Dense(2)])
        >>> model.pop().units, len(model)
        (2, 1)
        """
        if not self._modules:
            raise IndexError(f"Sequential: {self.name} has no layer to remove")
        name, last = list(self._modules.items())[-1]
        delattr(self, name)
        return last

    # ---- symbols ----

    def chain(self) -> list[Any] | None:
        """Return the symbolic input and the symbols that the layers return; None if the shape of the input is unknown."""
        kept = vars(self).get("_chain")
        if kept is not None and kept[0] == len(self._modules):
            return list(kept[1])
        known = self._first_known()
        if known is None:
            return None
        from .symbolic import Input

        symbols: list[Any] = [Input(known[0], dtype=known[1])]
        for layer in self.layers:
            symbols.append(layer(symbols[-1]))
        vars(self)["_chain"] = (len(self._modules), symbols)
        return symbols

    def _symbol(self, index: int) -> Any:
        symbols = self.chain()
        if symbols is None:
            raise AttributeError(f"{self.name}: the shape of its input is unknown; begin with an Input, or give input_shape")
        return symbols[index]

    @Computed
    def input(self) -> Any:
        """Return the symbolic input, to build further models on."""
        return self._symbol(0)

    @Computed
    def output(self) -> Any:
        """Return the symbolic output, to build further models on."""
        return self._symbol(-1)

    @Computed
    def inputs(self) -> list[Any]:
        """Return a list of the symbolic input."""
        return [self._symbol(0)]

    @Computed
    def outputs(self) -> list[Any]:
        """Return a list of the symbolic output."""
        return [self._symbol(-1)]

    @property
    def layers(self) -> list[Module]:
        """Return the layers in order."""
        return list(self._modules.values())

    def __len__(self) -> int:
        return len(self._modules)

    def __getitem__(self, index: int | slice) -> Any:
        return Sequential(dict(list(self._modules.items())[index])) if isinstance(index, slice) else self.layers[index]

    def __iter__(self) -> Iterator[Module]:
        return iter(self.layers)

    def _numbers(self) -> list[str]:
        """Return the names of layers that were given none."""
        return [str(i) for i in range(len(self._modules))]

    def config_by(self, write: Callable[[Module], dict[str, Any]]) -> dict[str, Any]:
        """Return the config, with those of the layers as write gives them."""
        config: dict[str, Any] = {"layers": [write(layer) for layer in self.layers], "name": self.name}
        if (names := list(self._modules)) != self._numbers():
            config["names"] = names
        if self._given is not None:
            config["input_shape"] = list(self._given.shape[1:])
            if self._given.dtype != "float":
                config["input_dtype"] = self._given.dtype
        if self._dtype is not None:
            config["dtype"] = np.dtype(self._dtype).name
        return config

    @classmethod
    def from_config(cls, config: dict[str, Any], make: Callable[[Any], Any] | None = None) -> Sequential:
        """Make the model from the result of get_config; make builds a layer from its config."""
        from ...files.layers import Reader, check_keys

        check_keys(
            config, cls.__name__, layers=list, names=[list], name=[str], input_shape=[list], input_dtype=[str], dtype=[str]
        )
        make = make or Reader().layer
        layers: Any = [make(c) for c in config["layers"]]
        if (names := config.get("names")) is not None:
            layers = dict(zip(names, layers, strict=True))
        if (shape := config.get("input_shape")) is not None:
            from .symbolic import Input

            first = Input(shape, dtype=config.get("input_dtype"))
            layers = {"input": first, **layers} if isinstance(layers, dict) else [first, *layers]
        dtype = config.get("dtype")
        if dtype not in (None, "float32", "float64"):
            raise ValueError(f"Sequential: dtype is {dtype!r}, wanted float32 or float64")
        return cls(layers, dtype=dtype, name=config.get("name"))


def _input_of(layer: Module, shape: tuple[int | None, ...]) -> Any:
    """Return the Input of a layer that was made with input_shape, as in Keras, and that does not need the shape itself."""
    from .symbolic import Input

    return Input(shape, dtype="int64" if getattr(layer.input_spec, "dtype", None) == "int" else None)
