"""What layers with PyTorch's names return: images with their channels first, which are made when something reads them."""

from __future__ import annotations

import copy
import pickle
import warnings
from typing import Any

import numpy as np

import fastnn
import fastnn.nn as nn
from fastnn.backends import load, recording
from fastnn.replay.recorder import Recorder

RNG = np.random.default_rng(0)


def chain() -> nn.Sequential:
    return nn.Sequential(
        *(nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2), nn.Dropout(0.5, seed=1)),
        *(nn.Conv2d(4, 5, 3), nn.Tanh(), nn.AvgPool2d(2), nn.Flatten(), nn.Linear(5, 2)),
    )


def test_a_chain_with_channels_first_copies_images_at_its_two_ends_only() -> None:
    recorder = Recorder(load("cpp"))
    with recording(recorder):
        chain()(fastnn.tensor(np.ones((2, 3, 8, 8), np.float32))).sum().backward()
    copies = [args for name, args in recorder.calls if name == "strided_copy" and args[0].ndim == 4]
    assert len(copies) == 3  # the images, what Flatten reads, and its gradient
    recorder = Recorder(load("cpp"))
    with recording(recorder), fastnn.no_grad():
        chain().eval()(fastnn.tensor(np.ones((2, 3, 8, 8), np.float32)))
    assert [name for name, args in recorder.calls if args[0].ndim == 4].count("strided_copy") == 2


def test_what_a_layer_returns_can_be_read_and_changed() -> None:
    """Images with their channels first are made when something reads them; what is changed then counts."""
    x = fastnn.tensor(RNG.standard_normal((2, 3, 6, 6)).astype(np.float32))
    conv, pool = nn.Conv2d(3, 4, 3), nn.MaxPool2d(2)
    with fastnn.no_grad():
        y = conv(x)
        assert (y.shape, y.size, y.ndim, y.dtype) == ((2, 4, 4, 4), 128, 4, np.float32)
        want = pool(conv(x)).numpy()
        y.mul_(2.0)
        np.testing.assert_array_equal(pool(y).numpy(), 2 * want)
        y = conv(x)
        y.numpy()[...] = 1
        assert (nn.ReLU()(y).numpy() == 1).all() and (pool(y).numpy() == 1).all()
    y = conv(x)
    z = pool(y) + y[:, :, :2, :2]  # two uses, one of them with channels first
    z.sum().backward()
    gradient = conv.weight.grad.numpy().copy()
    conv.zero_grad()
    y = conv(x).reshape(2, 4, 4, 4)
    (pool(y) + y[:, :, :2, :2]).sum().backward()
    np.testing.assert_allclose(conv.weight.grad.numpy(), gradient, rtol=1e-5, atol=1e-5)
    assert pickle.loads(pickle.dumps(y.detach())).shape == y.shape
    assert copy.deepcopy(conv(x).detach()).shape == y.shape


def images(*shape: int) -> Any:
    return fastnn.tensor(RNG.standard_normal(shape).astype(np.float32))


def test_gradients_of_what_a_layer_returns() -> None:
    """They count all uses, also of the layers that take the images with channels last."""
    conv, more, x = nn.Conv2d(1, 2, 3), nn.Conv2d(2, 2, 3), images(1, 1, 7, 7)

    def of(y: Any) -> Any:
        return (y * y).sum() + (more(y) * 0.5).sum()

    y = conv(x)
    plain = fastnn.tensor(y.numpy(), requires_grad=True)
    of(plain).backward()
    want = plain.grad.numpy()
    for read in (False, True):
        y = conv(x)
        if read:
            y.numpy()
        y.retain_grad()
        of(y).backward()
        np.testing.assert_allclose(y.grad.numpy(), want, rtol=1e-5, atol=1e-6)
        y = conv(x)
        (found,) = fastnn.grad(of(y), y)
        np.testing.assert_allclose(found.numpy(), want, rtol=1e-5, atol=1e-6)
        (found,) = fastnn.grad(nn.ReLU()(y := conv(x)).sum(), y)
        np.testing.assert_array_equal(found.numpy(), (y.numpy() > 0).astype(np.float32))


def test_a_leaf_that_a_layer_returned_gets_a_gradient() -> None:
    conv, more, x = nn.Conv2d(1, 2, 3), nn.Conv2d(2, 2, 3), images(1, 1, 7, 7)
    with fastnn.no_grad():
        y = conv(x)
    y.requires_grad_()
    more(nn.ReLU()(y)).sum().backward()
    plain = fastnn.tensor(y.numpy(), requires_grad=True)
    more(nn.ReLU()(plain)).sum().backward()
    np.testing.assert_allclose(y.grad.numpy(), plain.grad.numpy(), rtol=1e-6)


def test_captured_functions_that_return_images_are_recorded() -> None:
    conv, x = nn.Conv2d(1, 2, 3), images(1, 1, 7, 7)
    run = fastnn.capture(lambda x: {"y": conv(x), "z": [nn.ReLU()(conv(x))]})
    with fastnn.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("error")
        for _ in range(4):
            found = run(x)
        np.testing.assert_array_equal(found["y"].numpy(), conv(x).numpy())
        np.testing.assert_array_equal(found["z"][0].numpy(), np.maximum(conv(x).numpy(), 0))
