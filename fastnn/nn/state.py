"""State of a module: copies of its parameters and buffers, in Python and in files."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from ..autograd.tensor import Tensor, no_grad
from ..backends import current
from ..core.block import completed
from ..core.convert import host_array
from .members import Members
from .parameter import Parameter, stored

if TYPE_CHECKING:
    from ..replay.frozen import FrozenModel


class State(Members):
    """Methods of `Module` that get and set its state, save it, and freeze the model."""

    _loadable: int | None = None
    """Hash of the last structure for which `save` checked that `load` can make it again."""

    def named_buffers(self) -> Iterator[tuple[str, Tensor]]:
        """Return the buffers, each once, with dotted names."""
        seen: set[Tensor] = set()
        for prefix, module in self.named_modules():
            for name, b in module._buffers.items():
                if b not in seen:
                    seen.add(b)
                    yield (f"{prefix}.{name}" if prefix else name), b

    def buffers(self) -> Iterator[Tensor]:
        """Return the buffers, each once."""
        return (b for _, b in self.named_buffers())

    @property
    def weights(self) -> list[Parameter]:
        """Return the stored parameters, weights as (in, out); the buffers of each layer follow its parameters."""
        own: dict[Any, None] = {}
        list(self._all_parameters())  # raises an error if a layer has no shape yet
        for m in self.modules():
            own.update(dict.fromkeys(stored(p) for p in m._parameters.values() if p is not None))
            own.update(dict.fromkeys(m._buffers.values()))
        return list(own)

    def _aliases(self) -> dict[str, Parameter]:
        """Return the parameters by all of their names, also those of layers that are used in several places."""
        found, stack = {}, [("", self)]
        while stack:
            prefix, module = stack.pop()
            found.update({prefix + name: p for name, p in module._parameters.items() if p is not None})
            stack += [(f"{prefix}{name}.", m) for name, m in reversed(module._modules.items())]
        return found

    def state_dict(self) -> dict[str, np.ndarray[Any, Any]]:
        """Return copies of all parameters and buffers by name, tied ones once. Layers with PyTorch's names have its shapes."""
        values = dict([*self.named_parameters(), *self.named_buffers()])
        return {name: np.array(current().to_numpy(t.data), order="C") for name, t in values.items()}

    def load_state_dict(self, state: dict[str, Any], strict: bool = True) -> None:
        """Copy values into the parameters and buffers by name. A tied parameter may have any of its names.

        Raises:
            KeyError: with strict, names are missing or unknown; the message lists them. Nothing is changed.
            ValueError: an array has another shape, or numbers that the parameter's dtype cannot represent. Nothing is changed.
        """
        if not isinstance(state, Mapping):
            raise TypeError(f"load_state_dict: {type(state).__name__} came, wanted a dict from names to arrays")
        own: dict[str, Tensor] = dict([*self.named_parameters(), *self.named_buffers()])
        first = {stored(p): name for name, p in self.named_parameters()}
        also = {name: first[stored(p)] for name, p in self._aliases().items() if name not in own}
        state = {**{also[n]: v for n, v in state.items() if n in also}, **{n: v for n, v in state.items() if n not in also}}
        missing, unknown = [n for n in own if n not in state], [n for n in state if n not in own]
        if strict and (missing or unknown):
            raise KeyError(f"load_state_dict: missing {missing or 'none'}, unknown {unknown or 'none'}")
        arrays = {}
        for name in own.keys() & state.keys():
            arrays[name] = _values(state[name], own[name].dtype, f"load_state_dict: {name}")
            if arrays[name].shape != own[name].shape:
                raise ValueError(f"load_state_dict: {name} has shape {arrays[name].shape}, wanted {own[name].shape}")
        _put([(own[name], a) for name, a in arrays.items()])

    def get_weights(self) -> list[np.ndarray[Any, Any]]:
        """Return copies of the stored parameters and buffers in order of definition, weights as (in, out)."""
        return [np.array(current().to_numpy(p.data)) for p in self.weights]

    def set_weights(self, weights: Iterable[Any]) -> None:
        """Copy values into the parameters and buffers in order of definition, weights as (in, out)."""
        own, given = self.weights, list(weights)
        if len(own) != len(given):
            raise ValueError(f"set_weights: {len(given)} arrays came, the model has {len(own)} parameters and buffers")
        arrays = [_values(a, p.dtype, f"set_weights: array {i}") for i, (a, p) in enumerate(zip(given, own, strict=True))]
        for i, (a, p) in enumerate(zip(arrays, own, strict=True)):
            if a.shape != p.shape:
                raise ValueError(f"set_weights: array {i} has shape {a.shape}, wanted {p.shape}")
        _put(list(zip(own, arrays, strict=True)))

    def freeze(
        self,
        batch_size: int | None = 1,
        input_shape: Any = None,
        input_dtype: Any = None,
        seed: int | None = None,
        *,
        max_batch_size: int | None = None,
        state: Mapping[Any, Any] | None = None,
    ) -> FrozenModel:
        """Return a snapshot of the model as a fast function of arrays, without a tape and with almost no Python code.

        Later training does not change the snapshot; `update` copies new weights into it. It runs in evaluation mode, without
        dropout. Random numbers that `forward` draws by `fastnn.randn` and similar functions are new in each call, from a
        separate stream.

        Args:
            batch_size: number of samples in a call. With None, any number is allowed: each batch size is recorded at its first
                call, which takes about a millisecond, and the 32 sizes that were recorded last are kept.
            input_shape: shape of one sample, if the first layer does not define it; a list or dict of shapes for several inputs.
            input_dtype: dtype of the inputs, or a list or dict of dtypes; by default that of `Input`, else that of the model.
            seed: seed of the random number stream. Models that were frozen with the same seed, and copies of them, then draw the
                same numbers in the same order. Without it, `fastnn.seed` before `freeze` makes the numbers repeatable, and a
                copy draws other numbers.
            max_batch_size: with batch_size None, the greatest number of samples in a call.
            state: inputs that are carried from call to call: a dict from inputs to the outputs that are their next values, by
                names or numbers. An argument or item of several arrays is carried as a whole. Calls have only the other inputs
                and outputs, but a single output is always returned. The state is 0 at first.

        Returns:
            A callable: f(x) returns a new array, f(x, out=y) writes into y. With batch_size 1, x may be a single sample without
            the batch axis; then the output has none either. Several inputs or outputs are passed and returned as in `predict`;
            out is then a list or dict like the outputs. Inputs are cast to the dtypes of the frozen model, and outputs have the
            dtypes that `forward` returns. Several threads may call it, unless `forward` changes buffers; calls that carry a
            state take turns. It can be pickled.

            f.update(model) copies the weights of a model with the same structure, or of a state_dict, without a new recording.
            Each call sees only old or only new weights, in other threads too. Random numbers and the state continue. f.state is
            a dict of copies, and can be set; f.reset() sets the state to 0.

        Raises:
            RuntimeError: the input shape is unknown, or forward cannot be replayed. This happens if it reads a value, or does
                different work in each call, for example with random numbers of NumPy or a hidden state in an attribute. The
                message gives the reason.
            ValueError: an input of state and its output differ in shape or dtype.

        >>> import fastnn
        >>> model = fastnn.Sequential([fastnn.Dense(2, input_shape=(3,))])
        >>> policy = model.freeze()
        >>> policy
        FrozenModel(x: float32 (1, 3) -> float32 (1, 2))
        >>> bool((policy([[1.0, 2.0, 3.0]]) == model.predict([[1.0, 2.0, 3.0]])).all())
        True
        >>> model.set_weights([[[1.0, 0.0], [0.0, 1.0], [0.0, 0.0]], [0.0, 0.0]])
        >>> policy.update(model)
        >>> policy([1.0, 2.0, 3.0])
        array([1., 2.], dtype=float32)
        >>> model.freeze(batch_size=None)
        FrozenModel(x: float32 (None, 3) -> float32 (None, 2))
        """
        from ..replay.frozen import freeze

        model: Any = self
        return freeze(model, batch_size, input_shape, input_dtype, seed, max_batch_size, state)

    def save(self, path: Any, include_optimizer: bool = True, *, overwrite: bool = True) -> None:
        """Save the model in one safetensors file, from which `fastnn.load` makes it again.

        The file contains the architecture, the weights, the frozen parameters, the streams of random layers, the settings of
        compile, the state of the optimizer, and a checksum. Custom classes and functions are saved by the names that
        `fastnn.register` gave them. If a loss, metric or schedule is not registered, the file has no training settings, and a
        warning says so.

        Args:
            path: path of the file. An existing file is replaced only after the new one is complete; symbolic links are followed.
            include_optimizer: False omits the optimizer's state, which is up to twice as large as the weights.
            overwrite: False refuses to replace a file.

        Raises:
            FileExistsError: the file exists, and overwrite is False.
            OSError: the file cannot be written: the folder does not exist, or the path is a folder, a pipe or a device.
            RuntimeError: the input shape is unknown, so there are no weights yet.
            TypeError: a layer neither belongs to fastnn nor is registered, an argument of it cannot be read, or its forward was
                replaced.
            ValueError: the suffix is that of another library's files, such as .keras, .h5 or .pt; or layers were changed so that
                their arguments do not describe them, and `load` could not make them again.
        """
        from ..files.models import save

        self._may_write(path, overwrite, "save")
        save(self, path, include_optimizer)

    def export(self, path: Any, input_shape: Any = None) -> None:
        """Write the model as an ONNX file, for other programs; the extra `onnx` installs what writes it.

        Sequential and functional models of dense, convolution, pooling, normalization, embedding, merging and activation layers
        are written, in evaluation mode, for batches of any size.

        Args:
            path: path of the file, which ends in .onnx.
            input_shape: shape of one sample, if the first layer does not define it.

        Raises:
            ImportError: onnx is not installed.
            OSError: the file cannot be written.
            ValueError: a layer or a setting of it is not exported, which the message names; or the input shape is unknown.

        >>> import onnx
        >>> import fastnn, tempfile, os
        >>> model = fastnn.Sequential([fastnn.Dense(2, "relu", input_shape=(3,))])
        >>> path = os.path.join(tempfile.mkdtemp(), "model.onnx")
        >>> model.export(path)
        >>> [node.op_type for node in onnx.load(path).graph.node]
        ['MatMul', 'Add', 'Relu', 'Identity']
        """
        from ..interop.onnx_export import export

        export(self, path, input_shape)

    def save_weights(self, path: Any, *, overwrite: bool = True) -> None:
        """Write the state_dict into a safetensors file; overwrite=False refuses to replace a file."""
        from ..files.models import save_weights

        self._may_write(path, overwrite, "save_weights")
        save_weights(self, path)

    @staticmethod
    def _may_write(path: Any, overwrite: bool, op: str) -> None:
        if not overwrite and os.path.exists(path):
            raise FileExistsError(f"{op}: {path} exists, and overwrite is False")

    def load_weights(self, path: Any) -> None:
        """Read a file of weights: safetensors, a saved model, PyTorch (.pt, .pth), or Keras (.keras, .weights.h5, .h5).

        Weights are found by name; those of Keras by the classes and the order of the layers, as in Keras. A checkpoint of PyTorch
        may hold the weights under a key such as "state_dict". Prefixes that its wrappers put before all names are removed. Files
        of Keras are read by h5py, which the extra `h5` installs.

        Raises:
            ImportError: the file is one of Keras, and h5py is not installed.
            FileNotFoundError, IsADirectoryError, PermissionError: the file does not exist or cannot be read.
            KeyError: names are missing or unknown. Nothing is changed.
            ValueError: the file is damaged or has another format, or an array has another shape. Nothing is changed.
        """
        from ..files.models import load_weights

        load_weights(self, path)


def _values(data: Any, dtype: Any, op: str) -> np.ndarray[Any, Any]:
    """Convert values to an array of a parameter's dtype; fractions are rounded.

    Raises:
        ValueError: a number is too large for the dtype, or an integer is not exact in it.
    """
    with np.errstate(over="ignore"):
        array = host_array(data, dtype, op)
    data = data.data if isinstance(data, Tensor) else data
    came = np.asarray(current().to_numpy(data) if type(data) is current().xp.ndarray else data)
    if came.dtype == array.dtype or came.shape != array.shape or came.dtype.kind not in "fiu":
        return array
    lost = np.isinf(array) & np.isfinite(came) if came.dtype.kind == "f" else array.astype(object) != came.astype(object)
    if not np.can_cast(came.dtype, array.dtype, "safe") and lost.any():
        raise ValueError(f"{op}: {came[lost][0]} came, which {array.dtype} cannot hold")
    return array


def _put(values: list[tuple[Tensor, np.ndarray[Any, Any]]]) -> None:
    """Copy each array into its Tensor; all are copied, also after Ctrl-C."""

    def put() -> None:
        with no_grad():
            for t, a in values:
                t.copy_(a)

    completed(put)
