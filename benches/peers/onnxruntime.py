"""ONNX Runtime: Gemm and Relu nodes, a fixed batch size, all graph optimizations; the session sets the number of threads."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

from . import job, nets
from .job import Calls, Job


class Contender(job.Contender):
    """ONNX Runtime."""

    def predict(self, sizes: tuple[int, ...], batch: int, precision: str, mode: str) -> Job:
        session, x = _session(sizes, batch, self.threads), nets.samples(sizes, batch)[0]
        if mode == "bound":
            return _bound(session, x, np.empty((batch, sizes[-1]), np.float32))
        return Job(session.run, (["y"], {"x": x}), result=lambda: session.run(["y"], {"x": x}))

    def latency(self, sizes: tuple[int, ...], calls: int, precision: str, mode: str) -> Job:
        return Calls(self.predict(sizes, 1, precision, mode), calls)


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
    ends = [helper.make_tensor_value_info(n, TensorProto.FLOAT, [batch, s]) for n, s in (("x", sizes[0]), ("y", sizes[-1]))]
    graph = helper.make_graph(nodes, "net", ends[:1], ends[1:], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
