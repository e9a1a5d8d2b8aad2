"""Functional models: graphs of layers, made by calls of layers on symbolic inputs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ...autograd.tensor import Tensor
from ...backends import current
from ...core.structure import Structure, different
from ..attributes import UNRECORDED
from ..keras_names import Computed
from ..module import Module
from ..spec import ANY, InputSpec, as_input
from .names import own_name, set_name
from .places import Place, located, number, packed, unpacked
from .symbolic import Call, Input, Symbol


class Model(Module):
    """Functional model: a graph of layers from symbolic inputs to symbolic outputs.

    Args:
        inputs: one `fastnn.Input`, or a list, tuple or dict of them. Data have the same form, or are a dict by names.
        outputs: one symbol, or a list, tuple or dict of symbols.
        name: name of the model.

    Layers may be called several times (shared layers), and models can be used like layers. A layer or model that is called with
    `training=True` or `training=False` is always in this mode. For example, dropout can be active in `predict` (Monte Carlo
    dropout), or inactive in a base model. Layers are registered under their names, with a number added to make them unique. The
    names of the output layers are used for the losses and metrics of `fit`. The order of layers is that of Keras. A class that
    is derived from Model, has no inputs and defines `call` or `forward` is a plain `Module`.

    Raises:
        ValueError: an output needs an input that is not among the inputs, or no output depends on an input.

    >>> import fastnn
    >>> a, b = fastnn.Input(shape=(3,), name="a"), fastnn.Input(shape=(2,), name="b")
    >>> x = fastnn.Concatenate()([fastnn.Dense(4, activation="relu")(a), b])
    >>> model = fastnn.Model([a, b], fastnn.Dense(1, name="price")(x))
    >>> model.predict({"a": [[1.0, 2.0, 3.0]], "b": [[4.0, 5.0]]}).shape
    (1, 1)
    """

    _own_spec: Any = ANY

    def __init__(self, inputs: Any = None, outputs: Any = None, name: str | None = None) -> None:
        super().__init__()
        self.name = name or type(self).__name__.lower()
        self._program: list[tuple[str, list[Place], Structure, dict[str, bool]]] | None = None
        """Calls in order: the layer's name, places of its arguments, structure of its outputs, {"training": ...} or {}."""
        self._symbols: tuple[list[Symbol], list[Symbol]] | None = None
        if inputs is None and outputs is None:
            if type(self) is Model:
                raise TypeError("Model: no inputs and outputs are given; wanted both, or a class that defines forward")
            return
        self._set_inputs(inputs)
        self._set_program(outputs)

    def _set_inputs(self, inputs: Any) -> None:
        structure, symbols = Structure.of(inputs, "input")
        for s, place in zip(symbols, structure.places("inputs"), strict=True):
            if not isinstance(s, Symbol):
                raise TypeError(f"Model: {place} is a {type(s).__name__}; wanted a result of fastnn.Input")
        if not symbols or len(set(symbols)) < len(symbols):
            raise ValueError(f"Model: inputs are {[s.name for s in symbols]}; wanted at least one, and each once")
        names = structure.names if structure.kind == "dict" else [s.name for s in symbols]
        if len(set(names)) < len(names):
            raise ValueError(f"Model: inputs have the names {names}; wanted different ones")
        self._takes = Structure(structure.kind, names, structure.tree)
        self._specs = [_spec(s.dtype, s.shape, name) for s, name in zip(symbols, names, strict=True)]
        self._dtype = next((s.dtype.name for s in symbols if s.dtype.kind == "f"), None)
        self._symbols = (symbols, [])

    def _set_program(self, outputs: Any) -> None:
        assert self._symbols is not None
        inputs = self._symbols[0]
        self._outputs, results = Structure.of(outputs)
        for s, place in zip(results, self._outputs.places("outputs"), strict=True):
            if not isinstance(s, Symbol):
                raise TypeError(
                    f"Model: {place} is a {type(s).__name__}; wanted symbols, which are the results of layers called on inputs"
                )
        if not results:
            raise ValueError("Model: there are no outputs")
        self._symbols = (inputs, results)
        slots, count = {s: i for i, s in enumerate(inputs)}, len(inputs)
        program = []
        by_name = sorted(zip(self._outputs.names, results, strict=True), key=lambda item: item[0])  # Keras's order of dicts
        calls, layers = _graph(inputs, [s for _, s in by_name] if self._outputs.kind == "dict" else results)
        for call in calls:
            if call.module is None:
                s = call.outputs[0]
                raise ValueError(f"Model: the outputs need {s!r}, which is not among the inputs {self._takes.names}")
        used = {s for call in calls for s in call.inputs()}
        names = {layer: self._register(layer) for layer in layers}
        for call in calls:
            program.append((names[call.module], [located(a, slots) for a in call.args], call.structure, call.options))
            for i, s in enumerate(call.outputs, count):
                slots.setdefault(s, i)  # a symbol that is a given input keeps its slot, even if a call makes it too
            count += len(call.outputs)
        for s, key in zip(inputs, self._takes.names, strict=True):
            if s not in used and s not in results:
                raise ValueError(f"Model: none of the outputs depends on the input {key!r}")
        self._program = program
        self._results = [slots[s] for s in results]
        if self._outputs.kind != "dict":
            self._outputs.names = different([names.get(s.call.module, s.name) for s in results])

    def _register(self, layer: Module) -> str:
        own = own_name(layer).replace(".", "_")
        name, n = own, 0
        while name in self._modules or name in UNRECORDED or self._has(name):
            n += 1
            name = f"{own}_{n}"
        if not layer._holders:
            set_name(layer, name)
        setattr(self, name, layer)
        if isinstance(getattr(type(self), name, None), Computed):
            del self.__dict__[name]  # model.output remains the symbol if a layer has this name
        return name

    def _has(self, name: str) -> bool:
        return hasattr(self, name) and not isinstance(getattr(type(self), name, None), Computed)

    def _change_dtype(self, name: str) -> None:
        super()._change_dtype(name)
        if self._program is not None:
            inputs = [(key, shape, name if np.dtype(d).kind == "f" else d) for key, shape, d in self._input_list()]
            self._specs = [_spec(d, (None, *shape), key) for key, shape, d in inputs]
            self._symbols = None  # `_graph` makes them again when they are needed

    # ---- properties ----

    @property
    def input_structure(self) -> Structure | None:  # type: ignore[override]
        return self._takes if self._program is not None else None

    @property
    def input_spec(self) -> Any:
        """Return the specs of the graph's inputs; without a graph, the spec that was set, by default ANY."""
        return self._takes.build(self._specs) if self._program is not None else self._own_spec

    @input_spec.setter
    def input_spec(self, spec: Any) -> None:
        if self._program is not None:
            raise AttributeError(f"{self.name}: input_spec is defined by the Inputs of the graph and cannot be set")
        self._structure_changed()
        self._own_spec = spec

    @property
    def input_names(self) -> list[str]:
        """Return the names of the inputs."""
        return list(self._takes.names) if self._program is not None else []

    @property
    def output_names(self) -> list[str] | None:
        """Return the names of the outputs, which are prefixes of their losses and metrics in the logs."""
        return list(self._outputs.names) if self._program is not None else None

    @property
    def input_shape(self) -> Any:
        """Return the shape of one sample; for several inputs, shapes in the structure of the inputs."""
        return self._takes.build([shape for _, shape, _ in self._input_list()]) if self._program is not None else None

    @property
    def inputs(self) -> list[Symbol]:
        """Return the symbolic inputs, to build further models on."""
        return list(self._graph()[0])

    @property
    def outputs(self) -> list[Symbol]:
        """Return the symbolic outputs, to build further models on."""
        return list(self._graph()[1])

    @Computed
    def input(self) -> Any:
        """Return the symbolic inputs in the form in which the model takes data."""
        return self._takes.build(self.inputs)

    @Computed
    def output(self) -> Any:
        """Return the symbolic outputs in the form in which the model returns them."""
        return self._outputs.build(self.outputs)

    def _graph(self) -> tuple[list[Symbol], list[Symbol]]:
        if self._program is None:
            raise AttributeError(f"{type(self).__name__}: a model with a custom forward has no symbolic inputs and outputs")
        if self._symbols is None:  # in a copy
            symbols = [Input(shape, dtype=dtype, name=name) for name, shape, dtype in self._input_list()]
            values: list[Any] = list(symbols)
            for name, args, structure, options in self._program:
                values += structure.flatten(self._modules[name](*(a.filled(values) for a in args), **options))
            object.__setattr__(self, "_symbols", (symbols, [values[i] for i in self._results]))
        assert self._symbols is not None
        return self._symbols

    def _input_list(self) -> list[tuple[str, tuple[int | None, ...], Any]]:
        """Return name, shape of a sample and dtype of each input."""
        return [(name, spec.shape[1:], spec.dtype) for name, spec in zip(self._takes.names, self._specs, strict=True)]

    def calls(self) -> list[tuple[Call, str, list[Symbol]]]:
        """Return the calls in order, with the layer's name and the symbols that are its arguments."""
        inputs, outputs = self._graph()
        names = {m: name for name, m in self._modules.items()}
        calls, _ = _graph(inputs, outputs)
        return [(call, names[call.module], call.inputs()) for call in calls if call.module is not None]

    @property
    def layers(self) -> list[Module]:
        """Return the layers, each once: those farthest from the outputs first, as in Keras."""
        return list(self._modules.values())

    def output_shape(self, input_shape: Any) -> Any:
        if self._program is None:
            return super().output_shape(input_shape)
        return self._outputs.build([s.sample_shape for s in self._graph()[1]])

    # ---- calling ----

    def _input(self, x: Any) -> Any:
        structure = self.input_structure
        if structure is None:
            return super()._input(x)
        leaves = zip(structure.spread(x, self.name, "x"), self._specs, self._labels(), strict=True)
        return structure.build([_tensor(a, spec, self.name, label) for a, spec, label in leaves])

    def _labels(self) -> list[str]:
        """Return the names of the inputs in messages; "x" if there is one."""
        return ["x"] if len(self._specs) == 1 else self._takes.names

    def forward(self, x: Any, *args: Any) -> Any:
        if self._program is None:
            raise NotImplementedError(f"{type(self).__name__} defines no forward(x)")
        values = self._takes.spread([x, *args] if args else x, self.name, "x")
        for i, (name, spec) in enumerate(zip(self._labels(), self._specs, strict=True)):
            came = values[i].shape
            if came[1:] != spec.shape[1:] and (shape := spec.fitted(came, self.name, name)) != came:
                values[i] = values[i].reshape(shape)
        modules = self._modules
        for layer, slots, out, options in self._program:
            y = modules[layer](*[a.filled(values) for a in slots], **options)
            if out.kind == "one":
                values.append(y)
            else:
                values += out.flatten(y, f"{layer}: the output")
        return self._outputs.build([values[i] for i in self._results])

    # ---- saving ----

    def get_config(self) -> dict[str, Any]:
        if self._program is None:
            return super().get_config()
        from ...files.layers import Writer

        return self.config_by(Writer().layer)

    def config_by(self, write: Callable[[Module], dict[str, Any]]) -> dict[str, Any]:
        """Return the config, with those of the layers as write gives them."""
        if self._program is None:
            return super().get_config()
        order = {name: i for i, name in enumerate(self._modules)}
        layers = [write(layer) for layer in self._modules.values()]
        return {
            "name": self.name,
            "input_kind": self._takes.kind if self._takes.flat else packed(self._takes.tree, range(len(self._takes))),
            "inputs": [list(item) for item in self._input_list()],
            "layers": layers,
            "layer_names": list(self._modules),
            "calls": [
                [order[name], [a.packed() for a in args], *([options] if options else [])]
                for name, args, _, options in self._program
            ],
            "outputs": packed(self._outputs.tree, self._results),
        }

    @classmethod
    def from_config(cls, config: dict[str, Any], make: Callable[[Any], Any] | None = None) -> Model:
        """Make the model from the result of get_config; make builds a layer from its config."""
        from ...files.layers import Reader, check_keys

        parts = {"input_kind": object, "inputs": list, "layers": list, "layer_names": list, "calls": list, "outputs": object}
        check_keys(config, "Model", name=[str], **parts)
        if len(set(config["layer_names"])) < len(config["layer_names"]):
            raise ValueError("layer_names has a name twice")
        make = make or Reader().layer
        layers = [make(c) for c in config["layers"]]
        own = [c.get("name") or c["config"].get("name") for c in config["layers"]]
        for layer, name in zip(layers, config["layer_names"], strict=True):
            layer.name = str(name)  # the model will use this name
        symbols = [Input(tuple(shape), None, dtype, str(name)) for name, shape, dtype in config["inputs"]]
        kind = config["input_kind"]
        if isinstance(kind, str):
            if kind not in ("one", "list", "tuple", "dict"):
                raise ValueError(f"input_kind is {kind!r}")
            inputs = Structure(kind, [s.name for s in symbols]).build(symbols)
        else:
            inputs = unpacked(kind, len(symbols)).filled(symbols)
        values: list[Any] = list(symbols)
        for n, (index, args, *more) in enumerate(config["calls"]):
            layer, options = layers[number(index, len(layers))], _options(more, f"calls[{n}]")
            values += Structure.of(layer(*(unpacked(a, len(values)).filled(values) for a in args), **options))[1]
        outputs = unpacked(config["outputs"], len(values)).filled(values)
        model = cls(inputs, outputs, name=config.get("name"))
        for layer, name in zip(layers, own, strict=True):
            layer.name = name or layer.name
        return model

    def __getstate__(self) -> dict[str, Any]:
        return {**super().__getstate__(), "_symbols": None}


def _spec(dtype: Any, shape: Any, name: str) -> InputSpec:
    return InputSpec(dtype, shape, allow_last_axis_squeeze=True, name=name)


def _tensor(a: Any, spec: InputSpec, op: str, name: str) -> Tensor:
    """Return an input as a Tensor."""
    if isinstance(a, Tensor):
        return a
    k = current()
    array = as_input(k, a, spec, np.dtype(spec.dtype), op, name)
    k.host_wrote(array)
    return Tensor(array)


def _graph(inputs: list[Symbol], outputs: list[Symbol]) -> tuple[list[Call], list[Any]]:
    """Return all calls between the inputs and the outputs, in the order in which they were made, and their layers.

    The layers are in Keras's order, which is also the order of weights. The layers farthest from the outputs come first; layers
    of equal distance are in the order of a search from the outputs.
    """
    given, met, finished = set(inputs), dict[Call, None](), list[Call]()
    stack = [(s.call, False) for s in reversed(outputs) if s not in given]
    while stack:  # depth first: each call is finished after those of its arguments
        call, entered = stack.pop()
        if entered:
            finished.append(call)
        elif call not in met:
            met[call] = None
            stack += [(call, True), *((s.call, False) for s in reversed(call.inputs()) if s not in given)]
    depth: dict[Call, int] = {}
    farthest = dict.fromkeys((call.module for call in met), 0)
    for call in reversed(finished):
        farthest[call.module] = depth[call] = max(depth.get(call, 0), farthest[call.module])
        for s in call.inputs():
            if s not in given:
                depth[s.call] = max(depth.get(s.call, 0), depth[call] + 1)
    calls = sorted(met, key=lambda call: call.number)
    return calls, sorted(farthest, key=lambda layer: -farthest[layer])


def _options(given: list[Any], where: str) -> dict[str, bool]:
    """Return the options of a call from their form in a file."""
    if not given:
        return {}
    if len(given) > 1 or given[0] not in ({"training": True}, {"training": False}) or type(given[0]["training"]) is not bool:
        came = repr(given)[1:-1]
        raise ValueError(f"{where} ends with {came[:80]}; wanted nothing, or {{'training': True}} or {{'training': False}}")
    return dict(given[0])
