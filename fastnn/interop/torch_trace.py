"""Records the forward of a module of PyTorch by torch.fx, as the steps of a module of fastnn."""

from __future__ import annotations

import inspect
from typing import Any

from ..nn.graph.traced import Part, Reference, Step, TracedModule, TracedModuleOfSeveral, function, method
from ..nn.module import Module
from ..nn.parameter import Parameter
from .torch_layers import OP, array, known, layer

_NEVER = frozenset(["inplace", "_stacklevel", "training", "out", "memory_format", "non_blocking", "copy"])
"""Options of functions that do not change their results, or that follow from the mode of the model."""
_OTHER_NAMES = {"iadd": "add", "isub": "sub", "imul": "mul", "itruediv": "truediv", "add_": "add", "mul_": "mul", "sub_": "sub"}
_OTHER_NAMES |= {"relu_": "relu", "div_": "div"}


def traced(torch: Any, module: Any) -> Module:
    """Return the module of fastnn with the steps of a module's forward, without its weights.

    Raises:
        ValueError: the forward cannot be recorded, or has a step that fastnn does not have.
    """
    name = type(module).__name__
    modes = {m: m.training for m in module.modules()}
    try:
        module.train()
        graph = _graph(torch, module)
        module.eval()
        same = _graph(torch, module)
    finally:
        for m, mode in modes.items():
            m.training = mode
    kinds = [[(node.op, str(node.target)) for node in g.nodes if node.op != "get_attr"] for g in (graph, same)]
    if kinds[0] != kinds[1]:
        raise ValueError(
            f"{OP}: the forward of {name} takes other steps in training than in evaluation, which fastnn cannot record"
        )
    steps: list[Step] = []
    places: dict[Any, Reference] = {}
    used: dict[str, Any] = {}
    outputs: Any = None
    nodes = [node for node in graph.nodes if getattr(node.target, "__name__", "") != "_assert_is_none"]
    inputs = [node for node in nodes if node.op == "placeholder" and not node.args]
    for node in sorted(nodes, key=lambda node: node not in inputs):
        if node.op == "output":
            outputs = _given(torch, node.args[0], places)
        elif node.op != "placeholder" or node in inputs:
            places[node] = Reference(len(steps))
            steps.append(_step(torch, module, node, places, used))
    model = (TracedModule if len(inputs) == 1 else TracedModuleOfSeveral)(steps, outputs)
    for path, value in used.items():
        _put(torch, model, path, value)
    return model


def _graph(torch: Any, module: Any) -> Any:
    """Return the graph of a forward, whose arguments with defaults are left out."""

    class Tracer(torch.fx.Tracer):  # type: ignore[misc]
        def is_leaf_module(self, m: Any, qualified_name: str) -> bool:
            if not known(m) and _of_torch(torch, m):
                raise ValueError(f"{qualified_name or 'the module'} is a {type(m).__name__}, which fastnn does not have")
            return known(m)

    arguments = inspect.signature(type(module).forward).parameters
    left_out = {name: p.default for name, p in arguments.items() if p.default is not p.empty}
    try:
        return Tracer().trace(module, concrete_args=left_out or None)
    except Exception as error:  # the forward is code of the user, which raises what it likes
        text = " ".join(str(error).split())
        raise ValueError(
            f"{OP}: the forward of {type(module).__name__} cannot be recorded: {text}; a forward that depends on the values of "
            "its inputs has to be written in fastnn, whose load_state_dict takes the weights"
        ) from error


def _of_torch(torch: Any, module: Any) -> bool:
    """Return whether a module is one of PyTorch's layers, and not a list or dict of modules."""
    lists = (torch.nn.Sequential, torch.nn.ModuleList, torch.nn.ModuleDict)
    return type(module).__module__.startswith("torch.nn.modules.") and not isinstance(module, lists)


def _step(torch: Any, module: Any, node: Any, places: dict[Any, Reference], used: dict[str, Any]) -> Step:
    """Return the step of a node. Layers, parameters and buffers are noted in `used`, by their names."""
    if node.op == "placeholder":
        return Step("input", str(node.target))
    options = {
        k: _given(torch, v, places) for k, v in node.kwargs.items() if k not in _NEVER and not (k == "dtype" and v is None)
    }
    args = tuple(_given(torch, v, places) for v in node.args)
    if node.op == "get_attr":
        used[node.target] = _attribute(module, node.target)
        return Step("attribute", node.target)
    if node.op == "call_module":
        used[node.target] = module.get_submodule(node.target)
        return Step("layer", node.target, args, {k: v for k, v in options.items() if v is not None})
    name = node.target if node.op == "call_method" else getattr(node.target, "__name__", str(node.target))
    name = _OTHER_NAMES.get(name, name)
    if options.get("return_indices") is False:
        del options["return_indices"]
    if node.op == "call_method" and method(name):
        return Step("method", name, args, options)
    if node.op == "call_function" and function(name) is not None:
        return Step("function", name, args, options)
    what = "method" if node.op == "call_method" else "function"
    where = f"{type(module).__name__} ({node.name})"
    raise ValueError(f"{OP}: the forward of {where} calls the {what} {name}, for which fastnn has no step")


def _given(torch: Any, value: Any, places: dict[Any, Reference]) -> Any:
    """Return an argument of a node, with References in place of nodes."""
    if isinstance(value, torch.fx.Node):
        return places[value]
    if isinstance(value, list | tuple):
        items = [_given(torch, item, places) for item in value]
        return items if isinstance(value, list) else tuple(items)
    if isinstance(value, dict):
        return {key: _given(torch, item, places) for key, item in value.items()}
    if isinstance(value, slice):
        return slice(*(_given(torch, part, places) for part in (value.start, value.stop, value.step)))
    if isinstance(value, torch.dtype):
        return str(value).removeprefix("torch.")
    if value is None or value is ... or isinstance(value, bool | int | float | str):
        return value
    raise ValueError(f"{OP}: a step has the argument {value!r}, wanted numbers, texts and tensors")


def _attribute(module: Any, path: str) -> Any:
    for name in path.split("."):
        module = getattr(module, name)
    return module


def _put(torch: Any, model: Module, path: str, value: Any) -> None:
    """Put a layer, parameter or buffer into a model under its name in PyTorch."""
    *parents, name = path.split(".")
    holder: Any = model
    own: Any = layer(value, path) if isinstance(value, torch.nn.Module) else array(value).copy()
    try:
        for parent in parents:
            if parent not in holder._modules:
                holder.hold(parent, Part())
            holder = holder._modules[parent]
        holder.hold(name, Parameter(own) if isinstance(value, torch.nn.Parameter) else own)
    except ValueError as error:
        raise ValueError(f"{OP}: {path}: {error}") from None
