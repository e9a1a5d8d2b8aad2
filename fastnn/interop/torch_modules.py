"""Makes a model of fastnn from a module of PyTorch."""

from __future__ import annotations

import sys
from typing import Any

from ..nn.graph.sequential import Sequential
from ..nn.module import Module
from .torch_layers import OP, known, layer, put_weights
from .torch_trace import traced


def from_torch(module: Any) -> Module:
    """Return the model of fastnn with the layers and weights of a module of PyTorch.

    A layer becomes the layer of the same name in `fastnn.nn`, and an `nn.Sequential` of layers a `fastnn.Sequential`. The
    forward of another module is recorded by `torch.fx`, as a list of calls of layers, functions and methods of Tensors. The names
    in the state_dict are PyTorch's.

    Args:
        module: an `nn.Module`; it does not change.

    Returns:
        A model with copies of the weights and buffers, in the module's mode of training or evaluation. Frozen parameters are
        frozen. Weights of float64 keep their dtype; other floats become float32.

    Raises:
        TypeError: the argument is no module of PyTorch.
        ValueError: fastnn does not have a layer, a function, or an argument of a layer; the message names it. Or the forward
            depends on values of its inputs (`if x.sum() > 0`), or differs between training and evaluation.

    >>> import torch
    >>> import fastnn
    >>> module = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.ReLU(), torch.nn.Linear(4, 2))
    >>> model = fastnn.from_torch(module)
    >>> import numpy as np
    >>> x = np.ones((1, 3), np.float32)
    >>> bool(np.allclose(model.predict(x), module(torch.from_numpy(x)).detach().numpy(), atol=1e-6))
    True
    """
    torch: Any = sys.modules.get("torch")
    if torch is None or not isinstance(module, torch.nn.Module):
        raise TypeError(f"{OP}: {type(module).__name__} came, wanted a torch.nn.Module")
    model = _made(torch, module, "")
    put_weights(model, module)
    return model


def _made(torch: Any, module: Any, where: str) -> Module:
    if known(module):
        return layer(module, where)
    if type(module) is torch.nn.Sequential and not _has_code(torch, module):
        layers = {name: _made(torch, m, f"{where}.{name}" if where else name) for name, m in module.named_children()}
        numbered = list(layers) == [str(i) for i in range(len(layers))]
        try:
            return Sequential(list(layers.values()) if numbered else layers)
        except ValueError:
            # Sequential takes samples of a Linear to have one axis. In PyTorch they may have more, as for a Conv1d after it.
            return traced(torch, module)
    return traced(torch, module)


def _has_code(torch: Any, module: Any) -> bool:
    """Return whether a Sequential has modules other than Sequentials and layers that fastnn has."""
    return any(not known(m) if type(m) is not torch.nn.Sequential else _has_code(torch, m) for m in module.children())
