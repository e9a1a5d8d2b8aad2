"""Layers that change images at random in training: beside Keras, what they draw, and when they act."""

import os
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fastnn
import fastnn.nn as nn

RNG = np.random.default_rng(0)
X = RNG.random((8, 9, 7, 3)).astype(np.float32)

MAKERS: dict[str, Callable[..., Any]] = {
    "RandomFlip": fastnn.RandomFlip,
    "RandomTranslation": lambda **k: fastnn.RandomTranslation(0.3, (-0.2, 0.4), **k),
    "RandomRotation": lambda **k: fastnn.RandomRotation(0.1, **k),
    "RandomZoom": lambda **k: fastnn.RandomZoom(0.3, **k),
    "RandomCrop": lambda **k: fastnn.RandomCrop(9, 7, padding=2, **k),
    "RandomBrightness": lambda **k: fastnn.RandomBrightness(0.3, (0, 1), **k),
    "RandomContrast": lambda **k: fastnn.RandomContrast(0.5, (0, 1), **k),
    "RandomErasing": lambda **k: fastnn.RandomErasing((1, 1), (0.1, 0.4), value_range=(0, 1), **k),
}


def keras() -> Any:
    os.environ.setdefault("KERAS_BACKEND", "torch" if find_spec("torch") else "jax")
    return pytest.importorskip("keras")


# ---- the same as other libraries ----


@pytest.mark.parametrize("fill_mode", ["constant", "nearest"])
@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
def test_layers_as_in_keras_where_nothing_is_left_to_chance(fill_mode: str, data_format: str) -> None:
    """With PyTorch, Keras has only these two modes."""
    layers = keras().layers
    how: dict[str, Any] = {"fill_mode": fill_mode, "fill_value": 0.25, "data_format": data_format}
    x = X if data_format == "channels_last" else np.ascontiguousarray(X.transpose(0, 3, 1, 2))
    for name, arguments in (
        ("RandomTranslation", ((0.13, 0.13), (-0.21, -0.21))),
        ("RandomRotation", ((0.07, 0.07),)),
        ("RandomRotation", ((-0.31, -0.31),)),
        ("RandomZoom", ((0.17, 0.17),)),
        ("RandomZoom", ((-0.33, -0.33), (0.2, 0.2))),
    ):
        wanted = getattr(layers, name)(*arguments, **how)(x, training=True)
        got = getattr(fastnn, name)(*arguments, **how)(x)
        np.testing.assert_allclose(got.numpy(), np.array(wanted), rtol=0, atol=3e-5, err_msg=f"{name}{arguments}")
    if fill_mode == "constant":
        wanted = layers.RandomBrightness((0.3, 0.3), (0, 1))(x, training=True)
        np.testing.assert_allclose(fastnn.RandomBrightness((0.3, 0.3), (0, 1))(x).numpy(), np.array(wanted), rtol=0, atol=1e-6)


def test_defaults_as_in_keras() -> None:
    layers = keras().layers
    for name, arguments in (
        ("RandomFlip", ()),
        ("RandomTranslation", (0.1, 0.2)),
        ("RandomRotation", (0.1,)),
        ("RandomZoom", (0.1,)),
        ("RandomCrop", (3, 2)),
        ("RandomBrightness", (0.1,)),
        ("RandomContrast", ((0.1, 0.3),)),
        ("RandomErasing", ()),
    ):
        theirs, own = getattr(layers, name)(*arguments).get_config(), getattr(fastnn, name)(*arguments).get_config()
        for key in own.keys() & theirs.keys() - {"seed"}:
            wanted = theirs[key]
            if key in ("height_factor", "width_factor") and wanted is not None:
                wanted = [-wanted, wanted]
            assert own[key] == (list(wanted) if isinstance(wanted, tuple) else wanted), (name, key)
        assert own.keys() - theirs.keys() <= {"padding", "fill_mode", "fill_value"}, name


# ---- what is drawn ----


def test_flips_and_crops_copy_pixels() -> None:
    x = np.arange(400 * 4 * 6 * 2, dtype=np.float32).reshape(400, 4, 6, 2)
    for mode, turned in (
        ("horizontal", x[:, :, ::-1]),
        ("vertical", x[:, ::-1]),
        ("horizontal_and_vertical", x[:, ::-1, ::-1]),
    ):
        y = fastnn.RandomFlip(mode, seed=1)(x).numpy()
        flipped = np.array([(a == b).all() for a, b in zip(y, turned, strict=True)])
        np.testing.assert_array_equal(y[~flipped], x[~flipped])
        assert 0.4 < flipped.mean() < 0.6
    padded = np.pad(x, ((0, 0), (1, 1), (2, 2), (0, 0)))
    y = fastnn.RandomCrop(4, 5, padding=(1, 2), seed=1)(x).numpy()
    places = {(i, j): padded[:, i : i + 4, j : j + 5] for i in range(3) for j in range(6)}
    found = [next(at for at, part in places.items() if (part[n] == y[n]).all()) for n in range(400)]
    assert set(found) == places.keys()
    assert max(np.unique([i for i, _ in found], return_counts=True)[1]) < 170


def test_steps_and_angles_cover_their_range() -> None:
    """A ramp shows the place that a pixel comes from."""
    n, size = 500, 21
    ramp = np.tile(np.arange(size, dtype=np.float32), (n, size, 1))[..., None]
    middle = size // 2

    def across(layer: Any, x: np.ndarray) -> np.ndarray:
        return layer(x).numpy()[:, :, :, 0]

    right = middle - across(fastnn.RandomTranslation(0.0, (-0.1, 0.3), seed=1), ramp)[:, middle, middle]
    down = middle - across(fastnn.RandomTranslation((0.2, 0.3), 0.0, seed=1), ramp.swapaxes(1, 2))[:, middle, middle]
    y = across(fastnn.RandomRotation(0.05, seed=1), ramp)
    angle = np.arctan2(y[:, middle - 2, middle] - middle, 2) / (2 * np.pi)  # what lay to the right is above now
    zoom = across(fastnn.RandomZoom((0.1, 0.4), (-0.5, -0.1), seed=1), ramp)
    wider = zoom[:, middle, middle + 1] - middle - 1
    taller = across(fastnn.RandomZoom((0.1, 0.4), (-0.5, -0.1), seed=1), ramp.swapaxes(1, 2))[:, middle + 1, middle] - middle - 1
    same = across(fastnn.RandomZoom((0.1, 0.4), seed=1), ramp)[:, middle, middle + 1] - middle - 1
    bright = fastnn.RandomBrightness((-0.2, 0.4), (0, 100), seed=1)(np.full((n, 1, 1, 1), 50, np.float32)).numpy().ravel() - 50
    pair = np.tile(np.array([40.0, 60.0], np.float32), (n, 1)).reshape(n, 1, 2, 1)
    contrast = np.diff(fastnn.RandomContrast((0.3, 0.5), (0, 100), seed=1)(pair).numpy(), axis=2).ravel() / 20
    for values, low, high in (
        (right, -0.1 * size, 0.3 * size),
        (down, 0.2 * size, 0.3 * size),
        (angle, -0.05, 0.05),
        (wider, -0.5, -0.1),
        (taller, 0.1, 0.4),
        (same, 0.1, 0.4),
        (bright, -20, 40),
        (contrast, 0.7, 1.5),
    ):
        width = high - low
        assert low - 1e-4 <= values.min() < low + 0.05 * width < high - 0.05 * width < values.max() <= high + 1e-4
        assert abs(values.mean() - (low + high) / 2) < 0.06 * width
        assert len(np.unique(values)) > 0.95 * n


def test_erased_rectangles() -> None:
    n, height, width = 400, 20, 30
    x = np.ones((n, height, width, 2), np.float32)
    y = fastnn.RandomErasing((1, 1), (0.04, 0.25), fill_value=0.0, seed=1)(x).numpy()
    assert (y[..., 0] == y[..., 1]).all()
    rows, columns = (y[..., 0] == 0).any(2), (y[..., 0] == 0).any(1)
    np.testing.assert_array_equal(y[..., 0] == 0, rows[:, :, None] & columns[:, None])
    for part, length in ((rows, height), (columns, width)):
        count = part.sum(1)
        assert (np.abs(np.diff(np.pad(part, ((0, 0), (1, 1))).astype(int), axis=1)).sum(1) == 2).all()  # one piece
        assert 0.2 * length - 1 < count.min() < 0.3 * length < 0.4 * length < count.max() < 0.5 * length + 1
        assert part.any(0).all()
    some = fastnn.RandomErasing((0.3, 0.3), (0.25, 0.25), fill_value=0.0, seed=1)(x).numpy()
    assert 0.2 < (some == 0).any((1, 2, 3)).mean() < 0.4
    half = fastnn.RandomErasing(seed=1, fill_value=0)(x).numpy()
    assert 0.4 < (half == 0).any((1, 2, 3)).mean() < 0.6  # each image draws its own probability
    noise = fastnn.RandomErasing((1, 1), (1, 1), value_range=(-2, 2), seed=1)(np.full_like(x, 5.0)).numpy()
    assert noise.min() == -2 and noise.max() == 2 and abs(noise.mean()) < 0.05
    colours = fastnn.RandomErasing((1, 1), (1, 1), fill_value=(0.25, 3), value_range=(0, 1))(x).numpy()
    assert (colours == [0.25, 1.0]).all()


def test_contrast_keeps_the_mean_of_each_channel() -> None:
    y = fastnn.RandomContrast(0.9, (-9, 9), seed=1)(X).numpy()
    np.testing.assert_allclose(y.mean((1, 2)), X.mean((1, 2)), atol=1e-5)
    assert np.ptp(y.std((1, 2)) / X.std((1, 2)), axis=0).min() > 0.1
    assert fastnn.RandomContrast(0.9, (0.4, 0.6), seed=1)(X).numpy().max() == np.float32(0.6)


@pytest.mark.parametrize("name", MAKERS)
def test_each_image_has_its_own_and_the_seed_repeats_them(name: str) -> None:
    make = MAKERS[name]
    image = np.tile(X[:1], (8, 1, 1, 1))
    layer = make(seed=5)
    first, second = layer(image).numpy(), layer(image).numpy()
    assert len({a.tobytes() for a in first}) > {"RandomFlip": 1, "RandomCrop": 4}.get(name, 6)
    assert not np.array_equal(first, second)
    np.testing.assert_array_equal(make(seed=5)(image).numpy(), first)
    assert not np.array_equal(make(seed=6)(image).numpy(), first)
    fastnn.seed(3)
    a = make()(image).numpy()
    fastnn.seed(3)
    np.testing.assert_array_equal(make()(image).numpy(), a)


# ---- when they act ----


@pytest.mark.parametrize("name", MAKERS)
def test_evaluation_returns_images_as_they_are(name: str) -> None:
    layer = MAKERS[name](seed=5)
    fastnn.seed(0)
    model = fastnn.Sequential([fastnn.Input((9, 7, 3)), layer, fastnn.Conv2D(2, 3)])
    state = layer._state.tolist()
    assert layer.eval()(X).numpy().tobytes() == X.tobytes()
    wanted = fastnn.Sequential([model.layers[1]]).predict(X)
    np.testing.assert_array_equal(model.predict(X), wanted)
    np.testing.assert_array_equal(model.predict(X, mc=2), [wanted, wanted])
    np.testing.assert_allclose(model.freeze(8)(X), wanted, atol=1e-5)
    assert layer._state.tolist() == state
    assert not np.array_equal(model(X, training=True).numpy(), wanted)


def test_the_middle_is_cut_out_in_evaluation() -> None:
    for size, wanted in (((5, 3), X[:, 2:7, 2:5]), ((8, 7), X[:, 0:8]), ((9, 7), X)):
        layer = fastnn.RandomCrop(*size)
        assert layer.output_shape((9, 7, 3)) == (*size, 3)
        np.testing.assert_array_equal(layer.eval()(X).numpy(), wanted)
        model = fastnn.Sequential([fastnn.Input((9, 7, 3)), layer, fastnn.Flatten(), fastnn.Dense(2)])
        frozen = model.freeze(8)
        np.testing.assert_allclose(frozen(X), model.predict(X), atol=1e-5)
    np.testing.assert_array_equal(
        fastnn.RandomCrop(11, 8, padding=2).eval()(X).numpy(), np.pad(X, ((0, 0), (1, 1), (1, 0), (0, 0)))
    )


@pytest.mark.parametrize("name", MAKERS)
def test_recorded_steps_draw_anew_with_the_bits_of_eager_ones(name: str) -> None:
    image = fastnn.tensor(X)
    for data_format in ("channels_last", "channels_first") if name != "RandomBrightness" else ("",):
        more = {"data_format": data_format} if data_format else {}
        x = image if data_format != "channels_first" else fastnn.tensor(np.ascontiguousarray(X.transpose(0, 3, 1, 2)))
        layers = [MAKERS[name](seed=5, **more) for _ in range(2)]
        step = fastnn.capture(lambda x, layer=layers[1]: layer(x).detach())
        results = [layers[0](x).numpy() for _ in range(5)]
        for wanted in results:
            np.testing.assert_array_equal(step(x).numpy(), wanted)
        assert len({y.tobytes() for y in results}) > 3


def test_channels_first_is_the_same() -> None:
    first = np.ascontiguousarray(X.transpose(0, 3, 1, 2))
    for name, make in MAKERS.items():
        if name not in ("RandomBrightness", "RandomErasing"):
            y = make(seed=5, data_format="channels_first")(first).numpy()
            np.testing.assert_array_equal(y.transpose(0, 2, 3, 1), make(seed=5)(X).numpy(), err_msg=name)
    y = fastnn.RandomErasing((1, 1), (0.1, 0.4), 0.5, (0, 1), seed=5, data_format="channels_first")(first).numpy()
    wanted = fastnn.RandomErasing((1, 1), (0.1, 0.4), 0.5, (0, 1), seed=5)(X).numpy()
    np.testing.assert_array_equal(y.transpose(0, 2, 3, 1), wanted)
    assert fastnn.RandomCrop(4, 5, data_format="channels_first").output_shape((3, 9, 7)) == (3, 4, 5)


def net() -> fastnn.Sequential:
    fastnn.seed(2)
    layers = [make() for make in MAKERS.values()]
    model = fastnn.Sequential([fastnn.Input((9, 7, 3)), *layers, fastnn.Flatten(), fastnn.Dense(2, "softmax")])
    model.compile(fastnn.optim.SGD(lr=0.1), "sparse_categorical_crossentropy")
    return model


def test_training_in_fit_is_that_of_an_eager_loop() -> None:
    y = RNG.integers(0, 2, 8)
    model, twin = net(), net()
    model.fit(X, y, epochs=4, batch_size=4, shuffle=False, verbose=0)
    loss = fastnn.losses.SparseCategoricalCrossentropy()
    optimizer = fastnn.optim.SGD(twin.parameters(), lr=0.1)
    for _ in range(4):
        for part in (slice(0, 4), slice(4, 8)):
            optimizer.zero_grad()
            loss(y[part], twin(X[part], training=True)).backward()
            optimizer.step()
    for a, b in zip(model.get_weights(), twin.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    for a, b in zip(model.layers[:8], twin.layers[:8], strict=True):
        assert a._state.tolist() == b._state.tolist()


def test_training_goes_on_from_a_file(tmp_path: Path) -> None:
    y = RNG.integers(0, 2, 8)
    run: dict[str, Any] = {"batch_size": 3, "verbose": 0}
    model = net()
    model.fit(X, y, epochs=2, **run)
    model.save(tmp_path / "m")
    twin = fastnn.load(tmp_path / "m")
    histories = [m.fit(X, y, epochs=4, initial_epoch=2, **run).history["loss"] for m in (model, twin)]
    assert histories[0] == histories[1]
    for a, b in zip(model.get_weights(), twin.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("name", MAKERS)
def test_configurations_and_files(name: str, tmp_path: Path) -> None:
    layer = MAKERS[name](seed=5)
    again = type(layer).from_config(layer.get_config())
    assert again.get_config() == layer.get_config()
    np.testing.assert_array_equal(again(X).numpy(), layer(X).numpy())
    layer.save(tmp_path / "layer")
    np.testing.assert_array_equal(fastnn.load(tmp_path / "layer").train()(X).numpy(), layer.train()(X).numpy())


@pytest.mark.parametrize("name", MAKERS)
def test_the_same_bits_for_any_number_of_threads(name: str) -> None:
    x = np.tile(X, (16, 3, 3, 1))
    make = {"RandomCrop": lambda **k: fastnn.RandomCrop(27, 21, padding=2, **k)}.get(name, MAKERS[name])
    before, results = fastnn.get_num_threads(), []
    try:
        for threads in (1, 2, 4):
            fastnn.set_num_threads(threads)
            results.append(make(seed=5)(x).numpy().tobytes())
    finally:
        fastnn.set_num_threads(before)
    assert len(set(results)) == 1


# ---- inputs ----


@pytest.mark.parametrize("name", MAKERS)
def test_sizes_dtypes_and_views(name: str) -> None:
    make = MAKERS[name]
    crop = name == "RandomCrop"
    for n, height, width in ((0, 9, 7), (1, 9, 7), (3, 1, 1), (2, 1, 7), (2, 9, 1)):
        layer = fastnn.RandomCrop(height, width, padding=1, seed=1) if crop else make(seed=1)
        y = layer(X[:n, :height, :width] if n else X[:0])
        assert y.shape == (n, height, width, 3) and np.isfinite(y.numpy()).all()
    whole = RNG.integers(0, 2, X.shape)
    for dtype in ("uint8", "int64", "bool", "float64"):
        y = make(seed=1)(whole.astype(dtype))
        assert y.dtype == np.float32
        np.testing.assert_array_equal(y.numpy(), make(seed=1)(whole.astype(np.float32)).numpy())
    assert make(seed=1)(fastnn.tensor(X.astype(np.float64))).dtype == np.float64
    view = np.asfortranarray(X[::2, ::-1])
    np.testing.assert_array_equal(make(seed=1)(view).numpy(), make(seed=1)(np.ascontiguousarray(view)).numpy())


def test_gradients_reach_the_images() -> None:
    x = fastnn.tensor(X[:2].astype(np.float64), requires_grad=True)
    for name, make in MAKERS.items():

        def f(x: Any, make: Any = make) -> Any:
            layer = make(seed=5)
            if isinstance(layer, fastnn.RandomErasing):
                layer.fill_value = 0.5
            return layer(x).square().sum()

        assert fastnn.gradcheck(f, (x,)), name
    flip = fastnn.RandomFlip("horizontal", seed=5)
    x = fastnn.tensor(X, requires_grad=True)
    y = flip(x)
    y.backward(X)
    flipped = [not np.array_equal(a, b) for a, b in zip(y.numpy(), X, strict=True)]
    assert any(flipped)
    for was, gradient, image in zip(flipped, x.grad.numpy(), X, strict=True):
        np.testing.assert_array_equal(gradient, image[:, ::-1] if was else image)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: fastnn.RandomFlip("both"), "RandomFlip: mode is 'both', wanted 'horizontal' or 'vertical' or"),
        (lambda: fastnn.RandomTranslation(2, 0), "RandomTranslation: height_factor is 2, wanted a finite number from -1 to 1"),
        (lambda: fastnn.RandomTranslation(0, (0, 1, 2)), "RandomTranslation: width_factor is .*, wanted a number or two"),
        (lambda: fastnn.RandomTranslation(0, 0, "edge"), "RandomTranslation: fill_mode is 'edge', wanted 'constant' or"),
        (lambda: fastnn.RandomRotation(float("nan")), "RandomRotation: factor is nan"),
        (lambda: fastnn.RandomRotation(0.1, interpolation="cubic"), "RandomRotation: interpolation is 'cubic', wanted 'nearest'"),
        (lambda: fastnn.RandomZoom(-1), "RandomZoom: height_factor is -1"),
        (lambda: fastnn.RandomCrop(0, 3), "RandomCrop: height is 0, wanted a whole number of at least 1"),
        (lambda: fastnn.RandomCrop(3, 3, padding=-1), "RandomCrop: padding is -1"),
        (
            lambda: fastnn.RandomCrop(12, 7)(X),
            r"RandomCrop: x has shape \(8, 9, 7, 3\); images of \(9, 7\) are smaller than \(12, 7\)",
        ),
        (lambda: fastnn.RandomBrightness(0.1, 255), "RandomBrightness: value_range is 255, wanted two numbers"),
        (lambda: fastnn.RandomContrast(1.5), "RandomContrast: factor is 1.5, wanted a finite number from 0 to 1"),
        (lambda: fastnn.RandomErasing(scale=2), "RandomErasing: scale is 2"),
        (lambda: fastnn.RandomErasing(fill_value=(1, 2))(X), "RandomErasing: fill_value has 2 numbers, but .* 3 channels"),
        (lambda: fastnn.RandomFlip()(X[0]), r"RandomFlip.*\(9, 7, 3\)"),
        (lambda: fastnn.RandomRotation(0.1)(X[:, :0]), r"RandomRotation: x has shape \(8, 0, 7, 3\), wanted .* with pixels"),
        (lambda: nn.RandomFlip(data_format="nchw"), "RandomFlip: data_format is 'nchw'"),
    ],
)
def test_errors_name_the_layer(make: Callable[[], Any], words: str) -> None:
    with pytest.raises((ValueError, TypeError), match=words):
        make()
