"""ONNX Runtime: a fixed batch size, all graph optimizations; the session sets the number of threads."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

from . import cnn, job, nets
from .job import Calls, Job


class Contender(job.Contender):
    """ONNX Runtime."""

    def predict(self, sizes: tuple[int, ...], batch: int, precision: str, mode: str) -> Job:
        return _job(_session(sizes, batch, self.threads), nets.samples(sizes, batch)[0], (batch, sizes[-1]), mode)

    def cnn_predict(self, batch: int, precision: str, mode: str) -> Job:
        """Return a job of the convolutional net, with channels first: one channel is both orders."""
        return _job(_cnn(batch, self.threads), cnn.data(batch)[0][0].reshape(batch, 1, 28, 28), (batch, 10), mode)

    def latency(self, sizes: tuple[int, ...], calls: int, precision: str, mode: str) -> Job:
        return Calls(self.predict(sizes, 1, precision, mode), calls)


def _job(session: Any, x: np.ndarray, shape: tuple[int, int], mode: str) -> Job:
    """Return a job of a session with an output of this shape."""
    if mode == "bound":
        return _bound(session, x, np.empty(shape, np.float32))
    return Job(session.run, (["y"], {"x": x}), result=lambda: session.run(["y"], {"x": x}))


def _bound(session: Any, *arrays: np.ndarray) -> Job:
    """Return a job with bound input and output: each call reads and writes the same memory."""
    binding = session.io_binding()
    x, y = map(onnxruntime.OrtValue.ortvalue_from_numpy, arrays)
    binding.bind_ortvalue_input("x", x)
    binding.bind_ortvalue_output("y", y)
    held = x, y  # keeps their memory alive: neither the binding nor the array of numpy() does

    def result() -> list[np.ndarray]:
        session.run_with_iobinding(binding)
        return [held[1].numpy().copy()]

    return Job(session.run_with_iobinding, (binding,), result=result)


def _session(sizes: tuple[int, ...], batch: int, threads: int) -> Any:
    nodes, constants, x = [], [], "x"
    for i, (w, b) in enumerate(nets.weights(sizes)):
        constants += [numpy_helper.from_array(w, f"w{i}"), numpy_helper.from_array(b, f"b{i}")]
        last = i == len(sizes) - 2
        nodes.append(helper.make_node("Gemm", [x, f"w{i}", f"b{i}"], ["y" if last else f"z{i}"]))
        if not last:
            nodes.append(helper.make_node("Relu", [f"z{i}"], [f"a{i}"]))
            x = f"a{i}"
    return _loaded(nodes, constants, ([batch, sizes[0]], [batch, sizes[-1]]), threads)


def _cnn(batch: int, threads: int) -> Any:
    """Return the convolutional net; its output are probabilities."""
    constants = [numpy_helper.from_array(w, f"w{i}") for i, w in enumerate(cnn.channels_first())]
    window = {"kernel_shape": [2, 2], "strides": [2, 2]}
    steps: list[tuple[str, list[str], dict[str, Any]]] = [
        *(("Conv", ["w0", "w1"], {"pads": [1] * 4}), ("Relu", [], {}), ("MaxPool", [], window)),
        *(("Conv", ["w2", "w3"], {"pads": [1] * 4}), ("Relu", [], {}), ("MaxPool", [], window)),
        *(("Flatten", [], {}), ("Gemm", ["w4", "w5"], {"transB": 1}), ("Relu", [], {})),
        *(("Gemm", ["w6", "w7"], {"transB": 1}), ("Softmax", [], {"axis": 1})),
    ]
    names = ["x", *(f"a{i}" for i in range(1, len(steps))), "y"]
    nodes = [helper.make_node(kind, [names[i], *more], [names[i + 1]], **how) for i, (kind, more, how) in enumerate(steps)]
    return _loaded(nodes, constants, ([batch, 1, 28, 28], [batch, 10]), threads)


def _loaded(nodes: list[Any], constants: list[Any], shapes: tuple[list[int], list[int]], threads: int) -> Any:
    """Return a session with the input x and the output y of these shapes."""
    x, y = (helper.make_tensor_value_info(n, TensorProto.FLOAT, shape) for n, shape in zip("xy", shapes, strict=True))
    graph = helper.make_graph(nodes, "net", [x], [y], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
