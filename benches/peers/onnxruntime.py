"""ONNX Runtime: a fixed batch size, all graph optimizations; the session sets the number of threads."""

from __future__ import annotations

from collections.abc import Callable
from itertools import cycle
from typing import Any

import numpy as np
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

from . import cnn, job, nets, sequences
from .job import Calls, Job


class Contender(job.Contender):
    """ONNX Runtime."""

    def predict(self, sizes: tuple[int, ...], batch: int, precision: str, mode: str) -> Job:
        return _job(_session(sizes, batch, self.threads), nets.samples(sizes, batch)[0], (batch, sizes[-1]), mode)

    def cnn_predict(self, batch: int, precision: str, mode: str) -> Job:
        """Return a job of the convolutional net, with channels first: one channel is both orders."""
        return _job(_cnn(batch, self.threads), cnn.data(batch)[0][0].reshape(batch, 1, 28, 28), (batch, 10), mode)

    def text_predict(self, net: str, batch: int, precision: str, mode: str) -> Job:
        """Return a job of the logits of whole sequences by the operator LSTM."""
        of, x = sequences.NETS[net], np.ascontiguousarray(sequences.data(net, batch)[0][0].T)
        session = _lstm(net, of.length, batch, self.threads)
        state = np.zeros((1, batch, of.units), np.float32)
        inputs = {"x": x, "h": state, "c": state}
        if mode == "eager":
            return Job(session.run, (["y"], inputs), result=lambda: [session.run(["y"], inputs)[0].swapaxes(0, 1)])
        values = {name: onnxruntime.OrtValue.ortvalue_from_numpy(a) for name, a in inputs.items()}
        y = onnxruntime.OrtValue.ortvalue_from_numpy(np.empty((of.length, batch, of.tokens), np.float32))
        call = _steps(session, [(values, {"y": y})])
        return Job(call, result=lambda: [call() or y.numpy().swapaxes(0, 1).copy()])

    def stream(self, net: str, precision: str, mode: str) -> Job:
        """Return a job of one token after another by the operator LSTM. Its state goes out and in again: as arrays, or bound to
        two pairs of arrays that take turns."""
        of, tokens = sequences.NETS[net], sequences.prompt(net, sequences.STREAMED)
        session, shape = _lstm(net, 1, 1, self.threads), (1, 1, of.units)
        following = cycle(tokens.reshape(-1, 1, 1))
        state = [np.zeros(shape, np.float32)] * 2
        if mode == "eager":

            def call() -> np.ndarray:
                y, *state[:] = session.run(["y", "hn", "cn"], {"x": next(following), "h": state[0], "c": state[1]})
                return np.asarray(y[0])

            return Job(call, result=lambda: [np.concatenate([call() for _ in tokens])])
        x, y, *pairs = (
            onnxruntime.OrtValue.ortvalue_from_numpy(a)
            for a in (
                np.zeros((1, 1), np.int64),
                np.empty((1, 1, of.tokens), np.float32),
                *(np.zeros(shape, np.float32) for _ in range(4)),
            )
        )
        a, b = pairs[:2], pairs[2:]
        turns = [({"x": x, "h": h[0], "c": h[1]}, {"y": y, "hn": n[0], "cn": n[1]}) for h, n in ((a, b), (b, a))]
        step = _steps(session, turns)

        def bound() -> None:
            x.update_inplace(next(following))
            step()

        return Job(bound, result=lambda: [np.concatenate([bound() or y.numpy()[0].copy() for _ in tokens])])

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


def _steps(session: Any, turns: list[tuple[dict[str, Any], dict[str, Any]]]) -> Callable[[], None]:
    """Return a function that runs a session with bound inputs and outputs; the pairs of them take turns."""
    bindings = []
    for inputs, outputs in turns:
        binding = session.io_binding()
        for name, value in inputs.items():
            binding.bind_ortvalue_input(name, value)
        for name, value in outputs.items():
            binding.bind_ortvalue_output(name, value)
        bindings.append(binding)
    following, held = cycle(bindings), turns  # the values stay alive with the function: bindings do not keep them

    def call() -> None:
        assert held
        session.run_with_iobinding(next(following))

    return call


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


def _lstm(net: str, length: int, batch: int, threads: int) -> Any:
    """Return the net of characters: tokens x (length, batch), states h and c, logits y and the states hn and cn."""
    of, w = sequences.NETS[net], sequences.weights(net)

    def gates(name: str) -> np.ndarray:
        """Return the rows in ONNX's order i, o, f, g."""
        return w[f"lstm.{name}_l0"].reshape(4, of.units, -1)[[0, 3, 1, 2]].reshape(1, 4 * of.units, -1)

    biases = np.concatenate([gates("bias_ih"), gates("bias_hh")], 1)[..., 0]
    arrays = w["embedding.weight"], gates("weight_ih"), gates("weight_hh"), biases, w["head.weight"].T, w["head.bias"]
    names = "table", "w", "r", "b", "head", "offset"
    constants = [numpy_helper.from_array(np.ascontiguousarray(a), name) for name, a in zip(names, arrays, strict=True)]
    constants.append(numpy_helper.from_array(np.array([1]), "direction"))
    nodes = [
        helper.make_node("Gather", ["table", "x"], ["e"]),
        helper.make_node("LSTM", ["e", "w", "r", "b", "", "h", "c"], ["all", "hn", "cn"], hidden_size=of.units),
        helper.make_node("Squeeze", ["all", "direction"], ["a"]),
        helper.make_node("MatMul", ["a", "head"], ["z"]),
        helper.make_node("Add", ["z", "offset"], ["y"]),
    ]
    state = [1, batch, of.units]
    inputs = _values(h=state, c=state) + [helper.make_tensor_value_info("x", TensorProto.INT64, [length, batch])]
    return _started(nodes, constants, inputs, _values(y=[length, batch, of.tokens], hn=state, cn=state), threads)


def _loaded(nodes: list[Any], constants: list[Any], shapes: tuple[list[int], list[int]], threads: int) -> Any:
    """Return a session with the input x and the output y of these shapes."""
    return _started(nodes, constants, _values(x=shapes[0]), _values(y=shapes[1]), threads)


def _values(**shapes: list[int]) -> list[Any]:
    """Return the descriptions of inputs or outputs of float32."""
    return [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in shapes.items()]


def _started(nodes: list[Any], constants: list[Any], inputs: list[Any], outputs: list[Any], threads: int) -> Any:
    graph = helper.make_graph(nodes, "net", inputs, outputs, constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
