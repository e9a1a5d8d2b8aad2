"""Writes models as ONNX files, which other programs run. Layers are found by their names in files, so that none is imported."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .. import activations
from ..files.layers import name_of
from ..files.names import name_of as checked_path
from ..files.place import write

OPSET = 18
OP = "export"
_PASSED = frozenset(
    ["Dropout", "Dropout1d", "Dropout2d", "Dropout3d", "AlphaDropout", "GaussianDropout", "GaussianNoise", "Identity"]
    + ["SpatialDropout1D", "SpatialDropout2D", "SpatialDropout3D", "ActivityRegularization"]
)
"""Layers that do nothing in evaluation mode."""
_ELEMENTWISE = {
    "relu": "Relu",
    "sigmoid": "Sigmoid",
    "tanh": "Tanh",
    "softplus": "Softplus",
    "softsign": "Softsign",
    "exponential": "Exp",
    "selu": "Selu",
    "mish": "Mish",
    "softmax": "Softmax",
    "log_softmax": "LogSoftmax",
}
_MERGES = {"Add": "Add", "Multiply": "Mul", "Subtract": "Sub", "Maximum": "Max", "Minimum": "Min"}
_ARITHMETIC = {"add": "Add", "sub": "Sub", "mul": "Mul", "div": "Div", "pow": "Pow"}


class Graph:
    """Nodes and constants of an ONNX graph."""

    def __init__(self, onnx: Any, dtype: Any) -> None:
        self._onnx, self.dtype = onnx, dtype
        self.nodes: list[Any] = []
        self.constants: list[Any] = []

    def add(self, op: str, *inputs: str, **attributes: Any) -> str:
        """Append a node, and return the name of its output."""
        name = f"v{len(self.nodes)}"
        self.nodes.append(self._onnx.helper.make_node(op, list(inputs), [name], **attributes))
        return name

    def constant(self, value: Any, dtype: Any = None) -> str:
        """Add a constant, by default in the dtype of the model, and return its name."""
        name = f"w{len(self.constants)}"
        array = np.ascontiguousarray(np.asarray(value, dtype or self.dtype)).reshape(np.shape(value))
        self.constants.append(self._onnx.numpy_helper.from_array(array, name))
        return name

    def activation(self, x: str, name: Any, where: str) -> str:
        """Append an activation of fastnn."""
        config = activations.config(name)
        kind, p0 = (config, None) if isinstance(config, str) else (config.get("name"), config.get("p0"))
        if kind == "linear":
            return x
        if isinstance(config, str) and kind in _ELEMENTWISE:
            return self.add(_ELEMENTWISE[kind], x, **({"axis": -1} if "softmax" in kind else {}))
        if kind == "silu" and p0 in (None, 1.0):
            return self.add("Mul", x, self.add("Sigmoid", x))
        if kind == "gelu" and p0 is None:
            half = self.add("Mul", x, self.constant(0.5))
            erf = self.add("Erf", self.add("Mul", x, self.constant(0.5**0.5)))
            return self.add("Mul", half, self.add("Add", erf, self.constant(1.0)))
        if kind in ("leaky_relu", "elu"):
            own = activations.get(name).p0
            return self.add("LeakyRelu" if kind == "leaky_relu" else "Elu", x, alpha=float(own))
        raise ValueError(f"{OP}: {where} has the activation {config}, which is not exported")


def export(model: Any, path: Any, input_shape: Sequence[int] | None = None) -> None:
    """Write a model as an ONNX file; `Module.export` describes it."""
    try:
        import onnx
    except ImportError:
        raise ImportError("export: onnx is not installed: pip install 'fastnn[onnx]'") from None

    name = checked_path(path, OP)
    if not name.endswith(".onnx"):
        raise ValueError(f"{OP}: {name}: wanted a name that ends in .onnx")
    if not model.built:
        raise ValueError(f"{OP}: the model has no weights yet; give it input_shape, or call it first")
    helper, graph = onnx.helper, Graph(onnx, model.dtype)
    if model.input_structure is not None and hasattr(model, "calls"):
        if input_shape is not None:
            raise ValueError(f"{OP}: input_shape came, but the model's inputs have shapes")
        given = [(s.name, s.sample_shape, s.dtype) for s in model.inputs]
    else:
        shape = getattr(model, "input_shape", None) if input_shape is None else tuple(input_shape)
        if shape is None:
            raise ValueError(f"{OP}: the shape of the input is unknown; give input_shape, that of one sample")
        integers = getattr(model.input_spec, "dtype", None) == "int"
        given = [("x", shape, np.dtype(np.int64) if integers else model.dtype)]
    results = _append(graph, model, [n for n, _, _ in given], "the model")
    names = [f"y{i}" if len(results) > 1 else "y" for i in range(len(results))]
    for result, own in zip(results, names, strict=True):
        graph.nodes.append(helper.make_node("Identity", [result], [own]))
    inputs = [helper.make_tensor_value_info(n, helper.np_dtype_to_tensor_dtype(np.dtype(d)), ["N", *s]) for n, s, d in given]
    kind = helper.np_dtype_to_tensor_dtype(model.dtype)
    outputs = [helper.make_tensor_value_info(n, kind, None) for n in names]
    whole = helper.make_graph(graph.nodes, "fastnn", inputs, outputs, graph.constants)
    made = helper.make_model(whole, producer_name="fastnn", opset_imports=[helper.make_opsetid("", OPSET)], ir_version=9)
    made = onnx.shape_inference.infer_shapes(made, strict_mode=True)  # the outputs need shapes
    onnx.checker.check_model(made, full_check=True)
    write(name, [made.SerializeToString()], OP, ".onnx")


def _append(graph: Graph, layer: Any, inputs: list[str], where: str) -> list[str]:
    """Append the nodes of a layer or model, and return the names of its outputs."""
    kind = name_of(type(layer)) or type(layer).__name__
    if kind == "Sequential":
        for i, item in enumerate(layer.layers):
            inputs = _append(graph, item, inputs, f"layer {i}")
        return inputs
    if kind == "Model":
        values = dict(zip(layer.inputs, inputs, strict=True))
        for call, name, symbols in layer.calls():
            found = _append(graph, call.module, [values[s] for s in symbols], f"layer {name}")
            values.update(zip(call.outputs, found, strict=True))
        return [values[s] for s in layer.outputs]
    if kind in _PASSED:
        return inputs
    if kind in _MERGES:
        y = inputs[0]
        for other in inputs[1:]:
            y = graph.add(_MERGES[kind], y, other)
        return [y]
    if kind == "Concatenate":
        return [graph.add("Concat", *inputs, axis=layer.axis)]
    if kind == "Arithmetic":
        both = [*inputs, *([graph.constant(layer.value)] if len(inputs) == 1 else [])]
        return [graph.add(_ARITHMETIC[layer.op], *(reversed(both) if layer.reflected else both))]
    function = next((f for names, f in _LAYERS.items() if kind in names), None)
    alone = not any(m._buffers or any(p is not None for p in m._parameters.values()) for m in layer.modules())
    if function is None and alone and ("activation" in vars(layer) or vars(layer).get("_steps")):
        return [graph.activation(inputs[0], vars(layer).get("activation") or _single(layer, where), where)]
    if function is None:
        raise ValueError(f"{OP}: {where} is a {type(layer).__name__}, which is not exported")
    return [function(graph, layer, inputs[0], where)]


def _single(layer: Any, where: str) -> Any:
    if len(layer._steps) != 1:
        raise ValueError(f"{OP}: {where} is a {layer!r}, which is not exported")
    return layer._steps[0]


def _dense(graph: Graph, layer: Any, x: str, where: str) -> str:
    kernel, *bias = layer.get_weights()
    y = graph.add("MatMul", x, graph.constant(kernel))
    return graph.activation(graph.add("Add", y, graph.constant(bias[0])) if bias else y, layer.activation, where)


def _softmax(graph: Graph, layer: Any, x: str, where: str) -> str:
    return graph.add(type(layer).__name__, x, axis=layer.axis)


def _flatten(graph: Graph, layer: Any, x: str, where: str) -> str:
    if (layer.start_dim, layer.end_dim) != (1, -1):
        raise ValueError(f"{OP}: {where} is a Flatten of axes {layer.start_dim} to {layer.end_dim}, which is not exported")
    return graph.add("Flatten", x, axis=1)


def _reshape(graph: Graph, layer: Any, x: str, where: str) -> str:
    return graph.add("Reshape", x, graph.constant([0, *layer.target_shape], np.int64))


def _embedding(graph: Graph, layer: Any, x: str, where: str) -> str:
    return graph.add("Gather", graph.constant(layer.get_weights()[0]), x, axis=0)


def _batch_norm(graph: Graph, layer: Any, x: str, where: str) -> str:
    state = layer.state_dict()
    keras = "moving_mean" in state
    if not keras and "running_mean" not in state:
        raise ValueError(f"{OP}: {where} has no running statistics, and is not exported")
    names = ("gamma", "beta", "moving_mean", "moving_variance") if keras else ("weight", "bias", "running_mean", "running_var")
    mean = state[names[2]].astype("float64")
    scale, shift = (
        state[n].astype("float64") if n in state else np.full_like(mean, v) for n, v in zip(names, (1, 0), strict=False)
    )
    if keras:
        if layer.axis != -1:
            raise ValueError(f"{OP}: {where} is a BatchNormalization of axis {layer.axis}, wanted -1")
        factor = scale / np.sqrt(state[names[3]].astype("float64") + layer.epsilon)
        return graph.add("Add", graph.add("Mul", x, graph.constant(factor)), graph.constant(shift - mean * factor))
    own = [graph.constant(a) for a in (scale, shift, mean, state[names[3]])]
    return graph.add("BatchNormalization", x, *own, epsilon=float(layer.eps))


def _layer_norm(graph: Graph, layer: Any, x: str, where: str) -> str:
    state = layer.state_dict()
    keras = hasattr(layer, "epsilon")
    if keras and layer.axis not in (-1, (-1,), [-1]):
        raise ValueError(f"{OP}: {where} is a LayerNormalization of axis {layer.axis}, wanted -1")
    weight, bias = (state.get(n) for n in (("gamma", "beta") if keras else ("weight", "bias")))
    if weight is None:
        raise ValueError(f"{OP}: {where} has no scale, and is not exported")
    own = [graph.constant(a) for a in (weight, bias) if a is not None]
    return graph.add("LayerNormalization", x, *own, axis=-weight.ndim, epsilon=float(layer.epsilon if keras else layer.eps))


def _channels_first(graph: Graph, layer: Any, x: str, n: int, apply: Callable[[str], str]) -> str:
    """Append nodes that take channels in axis 1; around them, transpositions if the layer has channels last."""
    if getattr(layer, "data_format", "channels_first") != "channels_last":
        return apply(x)
    y = apply(graph.add("Transpose", x, perm=[0, n + 1, *range(1, n + 1)]))
    return graph.add("Transpose", y, perm=[0, *range(2, n + 2), 1])


def _pads(padding: Any, where: str) -> dict[str, Any]:
    if isinstance(padding, str):
        if padding not in ("same", "valid"):
            raise ValueError(f"{OP}: {where} has padding={padding!r}, wanted 'same' or 'valid'")
        return {"auto_pad": "SAME_UPPER" if padding == "same" else "VALID"}
    return {"pads": [*padding, *padding]}


def _conv(graph: Graph, layer: Any, x: str, where: str) -> str:
    n = len(layer.kernel_size)
    if getattr(layer, "padding_mode", "zeros") != "zeros":
        raise ValueError(f"{OP}: {where} has padding_mode={layer.padding_mode!r}, wanted 'zeros'")
    state = layer.state_dict()
    keras = "kernel" in state
    weight = np.moveaxis(state["kernel"], (-1, -2), (0, 1)) if keras else state["weight"]
    own = [graph.constant(a) for a in (weight, state.get("bias")) if a is not None]
    steps = {
        "strides": list(layer.strides if keras else layer.stride),
        "dilations": list(layer.dilation_rate if keras else layer.dilation),
    }
    options = {"group": layer.groups, "kernel_shape": list(layer.kernel_size), **steps, **_pads(layer.padding, where)}
    return graph.activation(
        _channels_first(graph, layer, x, n, lambda v: graph.add("Conv", v, *own, **options)), layer.activation, where
    )


def _pool(graph: Graph, layer: Any, x: str, where: str) -> str:
    keras = hasattr(layer, "pool_size")
    size = layer.pool_size if keras else layer.kernel_size
    stride = (layer.strides if keras else layer.stride) or size
    options: dict[str, Any] = {"kernel_shape": list(size), "strides": list(stride), **_pads(layer.padding, where)}
    average = type(layer).__name__.startswith(("Average", "Avg"))
    if not keras:
        options["ceil_mode"] = int(layer.ceil_mode)
        if average and (layer.ceil_mode or layer.divisor_override):
            raise ValueError(f"{OP}: {where} has ceil_mode or divisor_override, and is not exported")
        options |= (
            {"count_include_pad": int(layer.count_include_pad)}
            if average
            else {"dilations": np.broadcast_to(layer.dilation, len(size)).tolist()}
        )
    op = "AveragePool" if average else "MaxPool"
    return _channels_first(graph, layer, x, len(size), lambda v: graph.add(op, v, **options))


def _global_pool(graph: Graph, layer: Any, x: str, where: str) -> str:
    kind = type(layer).__name__
    n = int(kind[-2])
    if layer.keepdims or getattr(layer, "data_format", "channels_last") != "channels_last":
        raise ValueError(f"{OP}: {where} is a {kind} with keepdims or channels first, and is not exported")
    op = "ReduceMean" if "Average" in kind else "ReduceMax"
    return graph.add(op, x, graph.constant(list(range(1, n + 1)), np.int64), keepdims=0)


_LAYERS: dict[tuple[str, ...], Callable[[Graph, Any, str, str], str]] = {
    ("Dense", "Linear"): _dense,
    ("Softmax", "LogSoftmax"): _softmax,
    ("Flatten",): _flatten,
    ("Reshape",): _reshape,
    ("Embedding", "keras.Embedding"): _embedding,
    ("BatchNormalization", "BatchNorm1d", "BatchNorm2d", "BatchNorm3d"): _batch_norm,
    ("LayerNormalization", "LayerNorm"): _layer_norm,
    tuple(f"Conv{n}{d}" for n in (1, 2, 3) for d in "dD"): _conv,
    tuple(
        f"{k}{n}{d}"
        for k, d in (("MaxPooling", "D"), ("AveragePooling", "D"), ("MaxPool", "d"), ("AvgPool", "d"))
        for n in (1, 2, 3)
    ): _pool,
    tuple(f"Global{k}Pooling{n}D" for k in ("Max", "Average") for n in (1, 2, 3)): _global_pool,
}
"""Functions that append the nodes of layers, by the names of the layers in files."""
