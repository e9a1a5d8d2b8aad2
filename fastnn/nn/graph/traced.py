"""Modules whose forward is a list of steps: calls of layers, functions and methods on values that earlier steps made."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from ...core.convert import dtype_of
from .. import functional
from ..containing import Containing
from ..module import Module
from ..parameter import Parameter, filling
from ..spec import ANY

_OPERATORS = [
    "add",
    "sub",
    "mul",
    "truediv",
    "floordiv",
    "mod",
    "pow",
    "neg",
    "matmul",
    "getitem",
    "eq",
    "ne",
    "lt",
    "le",
    "gt",
    "ge",
]
_RANDOM = ["dropout", "dropout1d", "dropout2d", "dropout3d", "alpha_dropout"]
_ATTRIBUTES = ["shape", "ndim", "dtype", "T", "mT"]
_BOTH = (
    ["abs", "add", "all", "amax", "amin", "any", "argmax", "argmin", "argsort", "bmm", "ceil", "chunk", "clamp", "clip", "clone"]
    + ["cos", "cumsum", "div", "erf", "exp", "expm1", "flatten", "flip", "floor", "gather", "log", "log1p", "log_softmax"]
    + [
        "logical_and",
        "logical_not",
        "logical_or",
        "logsumexp",
        "masked_fill",
        "matmul",
        "max",
        "maximum",
        "mean",
        "min",
        "minimum",
    ]
    + [
        "mul",
        "neg",
        "norm",
        "permute",
        "pow",
        "prod",
        "reciprocal",
        "relu",
        "repeat_interleave",
        "reshape",
        "roll",
        "round",
        "rsqrt",
    ]
    + ["sigmoid", "sign", "sin", "softmax", "split", "sqrt", "square", "squeeze", "std", "sub", "sum", "tanh", "tile", "topk"]
    + ["transpose", "unbind", "unsqueeze", "var"]
)
_FUNCTIONS = ["cat", "concat", "concatenate", "einsum", "outer", "stack", "tril", "triu", "where"]
_METHODS = ["bool", "contiguous", "detach", "dim", "double", "expand", "expand_as", "float", "long", "narrow", "numel", "repeat"]
_METHODS += ["select", "size", "t", "to", "type_as", "view", "view_as"]


class Reference(NamedTuple):
    """The value of a step, in the arguments of a later one."""

    step: int


class Step(NamedTuple):
    """What a step does: "input", "layer", "attribute", "function" or "method", of which name, and its arguments."""

    kind: str
    name: str
    args: Any = ()
    options: Any = None


def function(name: str) -> Callable[..., Any] | None:
    """Return the function of a step by its name in PyTorch; None if fastnn has none."""
    if name in _OPERATORS:
        found: Callable[..., Any] = getattr(operator, name)
        return found
    if name == "getattr":
        return _attribute
    if name in functional.__all__:
        return getattr(functional, name, None)
    return getattr(_package(), name, None) if name in _BOTH or name in _FUNCTIONS else None


def _package() -> Any:
    import fastnn

    return fastnn


def _attribute(value: Any, name: str) -> Any:
    if name not in _ATTRIBUTES:
        raise ValueError(f"a step takes the attribute {name!r}, wanted one of {', '.join(_ATTRIBUTES)}")
    return getattr(value, name)


def method(name: str) -> bool:
    """Return whether a step may call the method of Tensors with this name."""
    from ...autograd.tensor import Tensor

    return (name in _BOTH or name in _METHODS) and hasattr(Tensor, name)


class Part(Containing):
    """Module that only holds others, and parameters and buffers, under their names."""

    _saved_as = "nn.Part"

    def config_by(self, write: Callable[[Module], dict[str, Any]]) -> dict[str, Any]:
        """Return the config, with those of the modules as write gives them."""
        return {
            "modules": [[name, write(m)] for name, m in self._modules.items()],
            "parameters": [[name, list(p.shape), p.dtype.name] for name, p in self._parameters.items() if p is not None],
            "buffers": [[name, list(b.shape), b.dtype.name] for name, b in self._buffers.items()],
        }

    @classmethod
    def from_config(cls, config: dict[str, Any], make: Callable[[Any], Any] | None = None) -> Part:
        """Make the module from the result of get_config; make builds a module from its config."""
        from ...files.layers import Reader, check_keys

        check_keys(config, cls.__name__, modules=list, parameters=list, buffers=list)
        part = cls()
        part._hold_all(config, make or Reader().layer)
        return part

    def _hold_all(self, config: dict[str, Any], make: Callable[[Any], Any]) -> None:
        limit = filling.get()
        for name, entry in config["modules"]:
            self.hold(name, make(entry))
        for key in ("parameters", "buffers"):
            for name, shape, dtype in config[key]:
                sizes, kind = tuple(shape), dtype_of(dtype, "load")
                zeros = np.zeros(sizes, kind) if limit is None else limit.zeros(sizes, kind)
                self.hold(name, Parameter(zeros) if key == "parameters" else zeros)

    def hold(self, name: str, value: Any) -> None:
        """Register a module, a Parameter, or an array as a buffer.

        Raises:
            ValueError: the name is that of an attribute of all modules, such as `fit`.
        """
        if not isinstance(name, str) or hasattr(self, name):
            raise ValueError(f"{name!r} is the name of an attribute of fastnn's modules, and cannot be that of a layer or weight")
        if isinstance(value, Module | Parameter):
            setattr(self, name, value)
        else:
            self.register_buffer(name, value)


class TracedModule(Part):
    """Module of one input whose forward was recorded as steps, as `fastnn.from_torch` makes it.

    Args:
        steps: the steps in order; those of the kind "input" come first.
        outputs: a `Reference`, or References in tuples, lists and dicts.
    """

    _saved_as = "nn.TracedModule"
    input_spec = ANY

    def __init__(self, steps: Any = (), outputs: Any = None) -> None:
        super().__init__()
        self._steps = [Step(*step) for step in steps]
        self._outputs = outputs
        for step in self._steps:
            if step.kind == "function" and function(step.name) is None:
                raise ValueError(f"{type(self).__name__}: there is no function {step.name!r}")
            if step.kind == "method" and not method(step.name):
                raise ValueError(f"{type(self).__name__}: there is no method {step.name!r}")

    def forward(self, x: Any) -> Any:
        return self._follow([x])

    def _follow(self, inputs: list[Any]) -> Any:
        values: list[Any] = []
        for kind, name, args, options in self._steps:
            if kind == "input":
                values.append(inputs[len(values)])
                continue
            given = _filled(args, values)
            named = {} if options is None else _filled(options, values)
            if kind == "layer":
                values.append(_found(self, name)(*given, **named))
            elif kind == "attribute":
                values.append(_found(self, name))
            elif kind == "method":
                values.append(getattr(given[0], name)(*given[1:], **named))
            else:
                if name in _RANDOM:
                    named["training"] = self.training
                own: Any = function(name)
                values.append(own(*given, **named))
        return _filled(self._outputs, values)

    def config_by(self, write: Callable[[Module], dict[str, Any]]) -> dict[str, Any]:
        """Return the config, with those of the modules as write gives them."""
        steps = [[kind, name, _packed(list(args)), _packed(options or {})] for kind, name, args, options in self._steps]
        return {**super().config_by(write), "steps": steps, "outputs": _packed(self._outputs)}

    @classmethod
    def from_config(cls, config: dict[str, Any], make: Callable[[Any], Any] | None = None) -> TracedModule:
        """Make the module from the result of get_config; make builds a module from its config."""
        from ...files.layers import Reader, check_keys

        check_keys(config, cls.__name__, modules=list, parameters=list, buffers=list, steps=list, outputs=object)
        steps = [Step(kind, name, tuple(_unpacked(args)), _unpacked(options)) for kind, name, args, options in config["steps"]]
        module = cls(steps, _unpacked(config["outputs"]))
        module._hold_all(config, make or Reader().layer)
        return module


class TracedModuleOfSeveral(TracedModule):
    """The same, of several inputs."""

    _saved_as = "nn.TracedModuleOfSeveral"

    def forward(self, x: Any, *more: Any) -> Any:
        return self._follow([x, *more])


def _found(module: Any, path: str) -> Any:
    """Return the layer, parameter or buffer of a dotted name."""
    *parts, name = path.split(".")
    for part in parts:
        module = module._modules[part]
    return next(held[name] for held in (module._modules, module._parameters, module._buffers) if name in held)


def _filled(item: Any, values: list[Any]) -> Any:
    """Return arguments with the values of the steps that they refer to."""
    if isinstance(item, Reference):
        return values[item.step]
    if isinstance(item, list | tuple):
        return type(item)(_filled(inner, values) for inner in item)
    if isinstance(item, dict):
        return {key: _filled(inner, values) for key, inner in item.items()}
    if isinstance(item, slice):
        return slice(*(_filled(part, values) for part in (item.start, item.stop, item.step)))
    return item


def _packed(item: Any) -> Any:
    """Return arguments as JSON."""
    if isinstance(item, Reference):
        return {"step": item.step}
    if isinstance(item, tuple):
        return {"tuple": [_packed(inner) for inner in item]}
    if isinstance(item, list):
        return [_packed(inner) for inner in item]
    if isinstance(item, dict):
        return {"dict": [[key, _packed(inner)] for key, inner in item.items()]}
    if isinstance(item, slice):
        return {"slice": [_packed(part) for part in (item.start, item.stop, item.step)]}
    return {"ellipsis": True} if item is ... else item


def _unpacked(item: Any) -> Any:
    if isinstance(item, list):
        return [_unpacked(inner) for inner in item]
    if not isinstance(item, dict):
        return item
    ((kind, inner),) = item.items()
    if kind == "step":
        return Reference(int(inner))
    if kind == "dict":
        return {key: _unpacked(value) for key, value in inner}
    if kind == "tuple":
        return tuple(_unpacked(inner))
    if kind == "slice":
        return slice(*_unpacked(inner))
    if kind != "ellipsis":
        raise ValueError(f"a step has an argument of the kind {kind!r}")
    return ...
