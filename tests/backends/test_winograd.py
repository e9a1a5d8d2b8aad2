"""Tests convolutions by Winograd's algorithm: errors, edges, NaN, the same bits everywhere, and when it is used."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest

import fastnn
from fastnn.backends import get_isa, isas, load, unavailable, use_isa
from fastnn.backends.reference.convolution import conv_backward, conv_forward
from fastnn.backends.spec import LINEAR, Activation, activation

pytestmark = pytest.mark.skipif(bool(unavailable("cpp")), reason="no compiled kernels")
ISAS = [name for name, lacking in isas().items() if not lacking]
NEVER, WHERE_FASTER, ALWAYS = 0, 1, 2
RELU, TANH, GELU = (activation(name) for name in ("relu", "tanh", "gelu"))
NONE = np.empty(0, np.float32)
Array = np.ndarray[Any, Any]


@pytest.fixture(autouse=True)
def isa_and_team_of_before() -> Iterator[None]:
    from fastnn import _core

    isa, threads, share, patience = get_isa(), fastnn.get_num_threads(), _core.share(), _core.patience()
    yield
    use_isa(isa)
    fastnn.set_num_threads(threads)
    _core.set_share(share)
    _core.set_patience(patience)


@contextmanager
def winograd(use: int) -> Iterator[None]:
    from fastnn import _core

    before = _core.winograd()
    _core.use_winograd(use)
    try:
        yield
    finally:
        _core.use_winograd(before)


def forward(x: Array, w: Array, b: Array, padding: tuple[int, int, int, int], act: Activation = LINEAR) -> Array:
    """Return the convolution of images (N, H, W, C) with filters (3, 3, C, O); padding: above, below, left, right."""
    y, geometry = _places(x, w, padding)
    aux = np.full_like(y if act.saves_z else NONE, np.nan)
    load("cpp").table["conv_forward"](y, aux, x[:, None], w[None], b, geometry, act, 0)
    return y[:, 0]


def image_gradient(dy: Array, x: Array, w: Array, padding: tuple[int, int, int, int]) -> Array:
    dx, no, geometry = np.full_like(x[:, None], np.nan), NONE, _places(x, w, padding)[1]
    load("cpp").table["conv_backward"](dx, no, no, no, dy[:, None], x[:, None], w[None], no, no, geometry, LINEAR, 0, 0)
    return dx[:, 0]


def filter_gradient(dy: Array, x: Array, w: Array, padding: tuple[int, int, int, int], add_to: Array | None = None) -> Array:
    dw, no, geometry = np.full_like(w, np.nan) if add_to is None else add_to.copy(), NONE, _places(x, w, padding)[1]
    add = 2 * (add_to is not None)
    load("cpp").table["conv_backward"](no, dw[None], no, no, dy[:, None], x[:, None], w[None], no, no, geometry, LINEAR, add, 0)
    return dw


def _places(x: Array, w: Array, padding: tuple[int, int, int, int]) -> tuple[Array, Array]:
    above, below, left, right = padding
    y = np.full((len(x), 1, x.shape[1] + above + below - 2, x.shape[2] + left + right - 2, w.shape[3]), np.nan, x.dtype)
    return y, np.array([[1, 1, 1], [1, 1, 1], [0, above, left]])


def exact(x: Array, w: Array, padding: tuple[int, int, int, int]) -> Array:
    x, w = x.astype(np.longdouble), w.astype(np.longdouble)
    y, geometry = _places(x, w, padding)
    y[...] = 0
    conv_forward(np, y, np.empty(0), x[:, None], w[None], np.empty(0), geometry, LINEAR, 0)
    return y[:, 0]


def exact_filters(dy: Array, x: Array, w: Array, padding: tuple[int, int, int, int]) -> Array:
    no, geometry = np.empty(0, np.longdouble), _places(x, w, padding)[1]
    dy, x, dw = dy[:, None].astype(no.dtype), x[:, None].astype(no.dtype), np.zeros((1, *w.shape), no.dtype)
    conv_backward(np, no, dw, no, no, dy, x, dw, no, no, geometry, LINEAR, 0, 0)
    return dw[0]


OF_PIXELS = np.abs([[1, 0, -1, 0], [0, 1, 1, 0], [0, -1, 1, 0], [0, 1, 0, -1]])
OF_FILTERS = np.abs([[1, 0, 0], [0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0, 0, 1]])
OF_PRODUCTS = np.abs([[1, 1, 1, 0], [0, 1, -1, -1]])
"""The transforms, without signs."""


def _seen(x: Array, height: int, width: int, padding: tuple[int, int, int, int]) -> Array:
    """Return the transformed absolute values of the pixels that each tile sees."""
    above, below, left, right = padding
    padded = np.pad(abs(x.astype(np.float64)), ((0, 0), (above, below + 2), (left, right + 2), (0, 0)))
    seen = np.lib.stride_tricks.sliding_window_view(padded, (4, 4), (1, 2))[:, : height + 1 : 2, : width + 1 : 2]
    seen = seen[:, : -(-height // 2), : -(-width // 2)]
    return np.einsum("ip,jq,nhwcpq->nhwcij", OF_PIXELS, OF_PIXELS, seen, optimize=True)


def allowed(x: Array, w: Array, padding: tuple[int, int, int, int]) -> Array:
    """Return the error allowed in a convolution.

    A place of a tile is a sum of products of sums, of all pixels that the tile sees: the errors are relative to the sums of
    their absolute values. These are 8 times as large as those of the pixels that the place itself sees if all are alike, and
    can be any number of times as large. The error of a sum of n products of one sign grows like the square root of n.
    """
    above, below, left, right = padding
    height, width = x.shape[1] + above + below - 2, x.shape[2] + left + right - 2
    filters = np.einsum("ip,jq,pqco->ijco", OF_FILTERS, OF_FILTERS, abs(w.astype(np.float64)), optimize=True)
    products = np.einsum("nhwcij,ijco->nhwoij", _seen(x, height, width, padding), filters, optimize=True)
    size = np.einsum("ri,sj,nhwoij->nhrwso", OF_PRODUCTS, OF_PRODUCTS, products, optimize=True)
    n, h, _, v, _, outputs = size.shape
    terms = 2 + math.sqrt(w.shape[2]) / 8
    return np.finfo(x.dtype).eps * terms * size.reshape(n, 2 * h, 2 * v, outputs)[:, :height, :width]


def allowed_filters(dy: Array, x: Array, padding: tuple[int, int, int, int]) -> Array:
    """Return the error allowed in the gradient of the filters.

    A product passes through nine roundings of half an eps besides the sums; those of a block of tiles are short.
    """
    n, height, width, outputs = dy.shape
    h, v = -(-height // 2), -(-width // 2)
    whole = np.pad(abs(dy.astype(np.float64)), ((0, 0), (0, 2 * h - height), (0, 2 * v - width), (0, 0)))
    places = np.einsum("ri,sj,nhrwso->nhwoij", OF_PRODUCTS, OF_PRODUCTS, whole.reshape(n, h, 2, v, 2, outputs), optimize=True)
    products = np.einsum("nhwcij,nhwoij->ijco", _seen(x, height, width, padding), places, optimize=True)
    return 4 * np.finfo(x.dtype).eps * np.einsum("ip,jq,ijco->pqco", OF_FILTERS, OF_FILTERS, products, optimize=True)


def made(rng: np.random.Generator, kind: str, shape: tuple[int, ...]) -> Array:
    a = rng.standard_normal(shape)
    if kind == "of one sign":
        a = abs(a)
    if kind == "of many sizes":
        a *= 10 ** rng.uniform(-4, 4, shape)
    return a.astype(np.float32)


def turned(w: Array) -> Array:
    """Return the filters with which the gradient of the image is a convolution of that of the outputs."""
    return w[::-1, ::-1].transpose(0, 1, 3, 2)


def check(rng: np.random.Generator, kind: str, image: tuple[int, ...], outputs: int, before: int, after: int) -> None:
    padding = (before, after, 2 - after, before)
    x, w = made(rng, kind, image), made(rng, kind, (3, 3, image[3], outputs))
    y = forward(x, w, NONE, padding)
    assert (abs(y - exact(x, w, padding)) <= allowed(x, w, padding)).all()
    dy, rest = made(rng, kind, y.shape), tuple(2 - n for n in padding)
    dx = image_gradient(dy, x, w, padding)
    assert (abs(dx - exact(dy, turned(w), rest)) <= allowed(dy, turned(w), rest)).all()
    dw = filter_gradient(dy, x, w, padding)
    assert (abs(dw - exact_filters(dy, x, w, padding)) <= allowed_filters(dy, x, padding)).all()
    np.testing.assert_array_equal(filter_gradient(dy, x, w, padding, add_to=w), dw + w)


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("size", range(1, 10))
def test_all_small_images_and_tails(isa: str, size: int) -> None:
    use_isa(isa)
    rng = np.random.default_rng(size)
    with winograd(ALWAYS):
        for i, (channels, outputs) in enumerate([(1, 1), (3, 17), (16, 5), (33, 66), (7, 130)]):
            before, after = (i + size) % 3, max(i % 3, 2 - size + 1 - (i + size) % 3)
            check(
                rng,
                "normal",
                (1 + i % 3, size, size + i, channels),
                outputs,
                before,
                min(after, 2),
            )


@pytest.mark.parametrize("kind", ["normal", "of one sign", "of many sizes"])
@pytest.mark.parametrize("channels, outputs", [(8, 8), (64, 40), (300, 20)])
def test_errors_are_small(kind: str, channels: int, outputs: int) -> None:
    with winograd(ALWAYS):
        check(np.random.default_rng(0), kind, (2, 11, 10, channels), outputs, 1, 1)


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("act", [LINEAR, RELU, TANH, GELU], ids=lambda act: act.name)
def test_bias_and_activation(isa: str, act: Activation) -> None:
    use_isa(isa)
    rng = np.random.default_rng(0)
    x, w, b = (rng.uniform(-1, 1, shape).astype("float32") for shape in ((2, 7, 9, 12), (3, 3, 12, 70), (70,)))
    results = []
    for use in (NEVER, ALWAYS):
        with winograd(use):
            results.append(forward(x, w, b, (1, 1, 1, 1), act))
    np.testing.assert_allclose(*results, rtol=0, atol=2e-5)


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("size, channels, outputs", [(1, 20, 50), (7, 40, 200), (21, 24, 33)])
def test_same_bits_for_any_threads_caches_and_batches(isa: str, size: int, channels: int, outputs: int) -> None:
    from fastnn import _core

    use_isa(isa)
    _core.set_share(1e-6)
    _core.set_patience(1e9)
    rng, found, same = np.random.default_rng(0), _core.caches(), (1, 1, 1, 1)
    x = rng.standard_normal((5, size, size, channels), np.float32)
    w = rng.standard_normal((3, 3, channels, outputs), np.float32)
    dy = rng.standard_normal((5, size, size, outputs), np.float32)
    results, gradients = [], []
    with winograd(ALWAYS):
        try:
            for caches in (found, (1 << 10, 1 << 14), (1 << 30, 1 << 30)):
                _core.set_caches(*caches)
                for threads in (1, 2, 3, 4):
                    fastnn.set_num_threads(threads)
                    for n in (slice(0, 5), slice(0, 1), slice(4, 5)):
                        both = forward(x[n], w, NONE, same, TANH), image_gradient(dy[n], x[n], w, same)
                        results.append((n, both))
                    gradients.append(filter_gradient(dy, x, w, same))
        finally:
            _core.set_caches(*found)
    want = results[0][1]
    assert all(a.tobytes() == b[n].tobytes() for n, both in results for a, b in zip(both, want, strict=True))
    assert all(dw.tobytes() == gradients[0].tobytes() for dw in gradients)


@pytest.mark.parametrize("isa", ISAS)
def test_what_is_not_finite_stays_where_it_is(isa: str) -> None:
    """An infinite pixel makes those outputs infinite that see it, no others of its tile; so do sums that overflow."""
    use_isa(isa)
    rng = np.random.default_rng(0)
    x, w = rng.standard_normal((1, 9, 9, 20), np.float32), rng.standard_normal((3, 3, 20, 70), np.float32)
    dy = rng.standard_normal((1, 9, 9, 70), np.float32)
    x[0, 1, 1, 3], x[0, 4, 6, 0], x[0, 8, 8, 19], x[0, 8, 0, 4] = np.inf, np.nan, -np.inf, 3e38
    results = []
    for use in (NEVER, ALWAYS):
        with winograd(use):
            dx = image_gradient(x, np.zeros((1, 9, 9, 70), np.float32), np.ascontiguousarray(turned(w)), (1, 1, 1, 1))
            dw = filter_gradient(dy, x, w, (1, 1, 1, 1), add_to=w)
            results.append((forward(x, w, NONE, (1, 1, 1, 1)), dx, dw))
    for plain, fast in zip(*results, strict=True):
        finite = np.isfinite(plain)
        assert 0 < np.count_nonzero(~finite) < plain.size / 2
        np.testing.assert_array_equal(fast[~finite], plain[~finite])
        np.testing.assert_allclose(fast[finite], plain[finite], rtol=1e-4, atol=1e-4)


def net() -> fastnn.Sequential:
    fastnn.seed(0)
    return fastnn.Sequential(
        [
            fastnn.Conv2D(24, 3, activation="relu", padding="same", input_shape=(14, 13, 9)),
            fastnn.Conv2D(70, 3, activation="tanh"),
            fastnn.GlobalAveragePooling2D(),
        ]
    )


@pytest.mark.parametrize("use", [NEVER, WHERE_FASTER])
def test_frozen_models_predict_the_same_bits(use: int) -> None:
    model, x = net(), np.random.default_rng(0).standard_normal((6, 14, 13, 9)).astype("float32")
    with winograd(use), fastnn.use_backend("cpp"):
        want = model.predict(x, verbose=0)
        assert model.predict_on_batch(x[:1]).tobytes() == want[:1].tobytes()
        frozen = model.freeze(batch_size=6)
    for later in (NEVER, WHERE_FASTER):  # it keeps the way for which its filters were packed, until they are new
        with winograd(later), fastnn.use_backend("cpp"):
            assert frozen(x).tobytes() == want.tobytes()
    with winograd(WHERE_FASTER - use), fastnn.use_backend("cpp"):
        model.set_weights([2 * a for a in model.get_weights()])
        frozen.update(model)
        assert frozen(x).tobytes() == model.predict(x, verbose=0).tobytes() != want.tobytes()


def used(image: tuple[int, int, int, int], outputs: int) -> bool:
    """Return whether a convolution of this size is computed by Winograd's algorithm, as its bits tell."""
    rng = np.random.default_rng(0)
    x, w = rng.standard_normal(image, np.float32), rng.standard_normal((3, 3, image[3], outputs), np.float32)
    bits = {}
    for use in (NEVER, WHERE_FASTER, ALWAYS):
        with winograd(use):
            bits[use] = forward(x, w, NONE, (1, 1, 1, 1)).tobytes()
    assert bits[NEVER] != bits[ALWAYS] and bits[WHERE_FASTER] in (bits[NEVER], bits[ALWAYS])
    return bits[WHERE_FASTER] == bits[ALWAYS]


def test_it_is_used_where_it_saves_more_than_it_costs() -> None:
    assert used((1, 56, 56, 64), 64) and used((1, 14, 14, 256), 256) and used((2, 12, 12, 16), 16)
    assert not used((1, 28, 28, 12), 64) and not used((1, 28, 28, 64), 12)  # few channels: few products for a transform
    assert not used((64, 4, 4, 64), 64) and not used((64, 7, 7, 512), 512)  # few tiles for the transforms of the filters


@pytest.mark.parametrize("value, way", [("", 1), ("1", 1), ("0", 0)])
def test_the_environment_variable(value: str, way: int) -> None:
    clean = {k: v for k, v in os.environ.items() if not k.startswith("FASTNN_")}
    code = "import fastnn; fastnn.info(); from fastnn import _core; print(_core.winograd()); print(fastnn.info())"
    env = {**clean, "FASTNN_BACKEND": "cpp"} | ({"FASTNN_WINOGRAD": value} if value else {})
    out = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True).stdout
    assert out.startswith(f"{way}\n") and (f"FASTNN_WINOGRAD={value}" in out) == bool(value)
