"""Layers beside their namesakes in PyTorch and Keras: outputs, gradients, buffers, configs."""

from __future__ import annotations

import importlib
import inspect
import os
from importlib.util import find_spec
from typing import Any

import numpy as np
import pytest

import fastnn
import fastnn.nn as nn

RNG = np.random.default_rng(0)


def beside_torch(name: str, args: tuple[Any, ...], kwargs: dict[str, Any], shape: tuple[int, ...]) -> None:
    """Compare a layer of `fastnn.nn` with PyTorch's of the same name, arguments and weights, in float64."""
    torch = pytest.importorskip("torch")
    typed = "dtype" in inspect.signature(getattr(nn, name)).parameters
    theirs = getattr(torch.nn, name)(*args, **kwargs, **({"dtype": torch.float64} if typed else {}))
    ours = getattr(nn, name)(*args, **kwargs, **({"dtype": "float64"} if typed else {}))
    assert list(ours.state_dict()) == list(theirs.state_dict())
    ours.load_state_dict({key: value.numpy() for key, value in theirs.state_dict().items()})
    x = RNG.standard_normal(shape)
    a, b = fastnn.tensor(x, requires_grad=True), torch.tensor(x, requires_grad=True)
    y, z = ours(a), theirs(b)
    assert y.shape == tuple(z.shape)
    if hasattr(ours, "_axes") and len(shape) == ours._axes + 2:
        assert ours.output_shape(shape[1:]) == y.shape[1:]
    np.testing.assert_allclose(y.numpy(), z.detach().numpy(), rtol=1e-12, atol=1e-13)
    upstream = RNG.standard_normal(y.shape)
    (y * upstream).sum().backward()
    (z * torch.tensor(upstream)).sum().backward()
    np.testing.assert_allclose(a.grad.numpy(), b.grad.numpy(), rtol=1e-12, atol=1e-12)
    for key, buffer in theirs.named_buffers():
        np.testing.assert_allclose(getattr(ours, key).numpy(), buffer.numpy(), rtol=1e-12, atol=1e-13)
    for key, parameter in theirs.named_parameters():
        np.testing.assert_allclose(getattr(ours, key).grad.numpy(), parameter.grad.numpy(), rtol=1e-11, atol=1e-12)
    again = type(ours)(**ours.get_config())
    again.load_state_dict(ours.state_dict())
    for layer in (ours.eval(), again.eval()):
        y = layer(a)
        np.testing.assert_allclose(y.numpy(), theirs.eval()(b).detach().numpy(), rtol=1e-11, atol=1e-12)
    a.grad = b.grad = None
    (y * upstream).sum().backward()
    (theirs(b) * torch.tensor(upstream)).sum().backward()
    np.testing.assert_allclose(a.grad.numpy(), b.grad.numpy(), rtol=1e-11, atol=1e-12)


def keras() -> Any:
    """Return Keras, on PyTorch or JAX."""
    if not find_spec("keras") or not (find_spec("torch") or find_spec("jax")):
        pytest.skip("needs Keras with PyTorch or JAX")
    os.environ.setdefault("KERAS_BACKEND", "torch" if find_spec("torch") else "jax")
    return importlib.import_module("keras")


def beside_keras(name: str, kwargs: dict[str, Any], shape: tuple[int, ...]) -> None:
    """Compare a layer with Keras's of the same name, arguments and weights; gradients where Keras computes with PyTorch."""
    peer = keras()
    theirs, ours = getattr(peer.layers, name)(**kwargs), getattr(fastnn, name)(**kwargs)
    x = RNG.standard_normal(shape).astype(np.float32)
    want = peer.ops.convert_to_numpy(theirs(x))
    assert ours.output_shape(shape[1:]) == want.shape[1:]
    ours.eval()(x)
    assert [w.shape for w in ours.get_weights()] == [w.shape for w in theirs.get_weights()]
    ours.set_weights([np.asarray(w) for w in theirs.get_weights()])
    np.testing.assert_allclose(ours(x).numpy(), want, rtol=1e-5, atol=1e-5)
    if "Normalization" in name:
        for training in (True, False):
            got, want = ours(x, training=training).numpy(), peer.ops.convert_to_numpy(theirs(x, training=training))
            np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-5)
            for a, b in zip(ours.get_weights(), theirs.get_weights(), strict=True):
                np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)
        return
    if peer.backend.backend() == "torch":
        _same_gradients(ours, theirs, x)
    again = type(ours)(**ours.get_config())
    again(x)
    again.set_weights(ours.get_weights())
    np.testing.assert_array_equal(again(x).numpy(), ours(x).numpy())
    if "data_format" not in inspect.signature(type(ours)).parameters:
        return
    first = np.moveaxis(x, -1, 1)
    turned = type(ours)(**kwargs, data_format="channels_first")
    turned(first)
    turned.set_weights(ours.get_weights())
    got = turned(first).numpy()
    np.testing.assert_allclose(np.moveaxis(got, 1, -1) if got.ndim == len(shape) else got, want, rtol=1e-5, atol=1e-5)
    assert turned.output_shape(first.shape[1:]) == got.shape[1:]


def _same_gradients(ours: Any, theirs: Any, x: np.ndarray[Any, Any]) -> None:
    torch = importlib.import_module("torch")
    a, b = fastnn.tensor(x, requires_grad=True), torch.tensor(x, requires_grad=True)
    y, z = ours(a), theirs(b)
    upstream = RNG.standard_normal(y.shape).astype(np.float32)
    (y * upstream).sum().backward()
    (z * torch.tensor(upstream)).sum().backward()
    np.testing.assert_allclose(a.grad.numpy(), b.grad.numpy(), rtol=1e-4, atol=1e-4)
    for p, q in zip(ours.parameters(), theirs.trainable_weights, strict=True):
        np.testing.assert_allclose(p.grad.numpy(), q.value.grad.numpy(), rtol=1e-4, atol=1e-4)
