"""ONNX Runtime: Gemm and Relu nodes, a fixed batch size, all graph optimizations; threads by the session's options."""

from __future__ import annotations

from typing import Any

import numpy as np

from . import nets
from .job import Job

_threads = 1


def start(threads: int) -> None:
    global _threads
    _threads = threads


def _session(sizes: tuple[int, ...], batch: int) -> Any:
    import onnxruntime
    from onnx import TensorProto, helper, numpy_helper

    nodes, constants, x = [], [], "x"
    for i, (w, b) in enumerate(nets.weights(sizes)):
        constants += [numpy_helper.from_array(w, f"w{i}"), numpy_helper.from_array(b, f"b{i}")]
        last = i == len(sizes) - 2
        nodes.append(helper.make_node("Gemm", [x, f"w{i}", f"b{i}"], ["y" if last else f"z{i}"]))
        if not last:
            nodes.append(helper.make_node("Relu", [f"z{i}"], [f"a{i}"]))
            x = f"a{i}"
    ends = [helper.make_tensor_value_info(n, TensorProto.FLOAT, [batch, s]) for n, s in (("x", sizes[0]), ("y", sizes[-1]))]
    graph = helper.make_graph(nodes, "net", ends[:1], ends[1:], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = _threads, 1
    return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


def predict(sizes: tuple[int, ...], batch: int) -> Job:
    """A NumPy array in, another out."""
    session, feed = _session(sizes, batch), {"x": nets.samples(sizes, batch)[0]}
    return Job(session.run, (["y"], feed), result=lambda: session.run(["y"], feed)[0])


def bound(sizes: tuple[int, ...], batch: int) -> Job:
    """Input and output bound once: each call reads and writes the same memory."""
    from onnxruntime import OrtValue

    session = _session(sizes, batch)
    binding = session.io_binding()
    x = OrtValue.ortvalue_from_numpy(nets.samples(sizes, batch)[0])
    y = OrtValue.ortvalue_from_numpy(np.empty((batch, sizes[-1]), np.float32))
    binding.bind_ortvalue_input("x", x)
    binding.bind_ortvalue_output("y", y)
    run = session.run_with_iobinding
    held = x, y  # the binding does not keep their memory, nor does what numpy() gives

    def result() -> np.ndarray:
        run(binding)
        return held[1].numpy().copy()

    return Job(run, (binding,), result=result)
