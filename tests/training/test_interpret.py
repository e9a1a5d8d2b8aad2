"""What a network looks at: the arrays of `fastnn.interpret` against differences, loops and the layers themselves."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest

import fastnn
from fastnn import interpret, nn

Array = np.ndarray[Any, Any]
SIDE = 8


def keras_net(last: str | None = "softmax") -> Any:
    fastnn.seed(1)
    return fastnn.Sequential([
        fastnn.Conv2D(3, 3, activation="tanh", input_shape=(SIDE, SIDE, 1), dtype="float64"),
        fastnn.BatchNormalization(dtype="float64"),
        fastnn.AveragePooling2D(2),
        fastnn.Flatten(),
        fastnn.Dropout(0.5),
        fastnn.Dense(4, activation=last, dtype="float64"),
    ])  # fmt: skip


def torch_net() -> Any:
    fastnn.seed(1)
    net = nn.Sequential(
        nn.Conv2d(1, 3, 3), nn.Tanh(), nn.AvgPool2d(2), nn.Flatten(), nn.Dropout(0.5), nn.Linear(27, 4), nn.Softmax(dim=1)
    )
    net.set_dtype("float64")
    return net


def dense_net() -> Any:
    fastnn.seed(1)
    return fastnn.Sequential([fastnn.Dense(5, "tanh", input_shape=(SIDE * SIDE,)), fastnn.Dense(4)], dtype="float64")


def graph_net() -> Any:
    fastnn.seed(1)
    x = fastnn.Input((SIDE, SIDE, 1), dtype="float64")
    a = fastnn.Conv2D(2, 3, padding="same", activation="tanh", name="a")(x)
    b = fastnn.Conv2D(2, 3, padding="same", activation="tanh", name="b")(x)
    y = fastnn.GlobalAveragePooling2D()(fastnn.Add(name="sum")([a, b]))
    return fastnn.Model(x, fastnn.Dense(4, activation="softmax", name="kinds")(y))


class Own(nn.Module):
    """Net with a forward of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.head = nn.Conv2d(1, 3, 3), nn.Linear(3, 4)

    def forward(self, x: Any) -> Any:
        return self.head(self.conv(x).tanh().mean((2, 3)))


def own_net() -> Any:
    fastnn.seed(1)
    net = Own()
    net.set_dtype("float64")
    return net


NETS = {"keras": keras_net, "torch": torch_net, "dense": dense_net, "graph": graph_net, "own": own_net}
IMAGE = np.random.default_rng(0).normal(size=(SIDE, SIDE))


def as_input(name: str, images: Array) -> Array:
    """Return images (n, side, side) as the net takes them."""
    return {
        "keras": lambda x: x[..., None],
        "graph": lambda x: x[..., None],
        "torch": lambda x: x[:, None],
        "own": lambda x: x[:, None],
        "dense": lambda x: x.reshape(len(x), -1),
    }[name](images)


def logits(name: str, net: Any, images: Array) -> Array:
    """Return the scores before the softmax, up to the same number for all classes of an image."""
    p = net.predict(as_input(name, images))
    return np.log(p) if name in ("keras", "torch", "graph") else p


@pytest.mark.parametrize("name", NETS)
def test_saliency_is_the_difference_quotient(name: str) -> None:
    net = NETS[name]()
    found = interpret.saliency(net, IMAGE, 2) - interpret.saliency(net, IMAGE, 0)  # the constant of each image cancels
    step = 1e-5
    moved = IMAGE + step * np.eye(SIDE * SIDE).reshape(-1, SIDE, SIDE)
    back = 2 * IMAGE - moved
    slope = (logits(name, net, moved) - logits(name, net, back)) / (2 * step)
    assert found.shape == IMAGE.shape
    np.testing.assert_allclose(found.ravel(), slope[:, 2] - slope[:, 0], rtol=1e-6, atol=1e-8)
    best = int(net.predict(as_input(name, IMAGE[None])).argmax())
    assert np.array_equal(interpret.saliency(net, IMAGE), interpret.saliency(net, IMAGE, best))


def test_saliency_is_that_of_the_score_before_the_softmax() -> None:
    net, bare = keras_net(), keras_net(None)
    bare.set_weights(net.get_weights())
    np.testing.assert_allclose(interpret.saliency(net, IMAGE, 1), interpret.saliency(bare, IMAGE, 1))
    shapes = [(SIDE, SIDE), (SIDE, SIDE, 1)]
    one, other = (interpret.saliency(net, IMAGE.reshape(shape), 1) for shape in shapes)
    assert [one.shape, other.shape] == shapes and np.array_equal(one, other[..., 0])


def test_a_single_output_has_two_classes() -> None:
    net = fastnn.Sequential([fastnn.Dense(1, activation="sigmoid", input_shape=(4,))])
    net.set_weights([np.array([[1.0], [2.0], [-3.0], [4.0]]), np.zeros(1)])
    assert interpret.saliency(net, np.ones(4), 1).tolist() == [1, 2, -3, 4]
    assert interpret.saliency(net, np.ones(4)).tolist() == [1, 2, -3, 4]
    assert not interpret.saliency(net, np.ones(4), 0).any()


@pytest.mark.parametrize("name", NETS)
def test_occlusion_is_a_loop_over_patches(name: str) -> None:
    net = NETS[name]()
    falls = [interpret.occlusion(net, IMAGE, c, size=3, stride=2, fill=0.25) for c in (2, 0)]
    expected = np.zeros((4, 4))
    (start,) = logits(name, net, IMAGE[None])
    for i in range(4):
        for j in range(4):
            covered = IMAGE.copy()
            for row in range(2 * i - 1, 2 * i + 2):
                for column in range(2 * j - 1, 2 * j + 2):
                    if 0 <= row < SIDE and 0 <= column < SIDE:
                        covered[row, column] = 0.25
            fall = start - logits(name, net, covered[None])[0]
            expected[i, j] = fall[2] - fall[0]
    np.testing.assert_allclose(falls[0] - falls[1], expected, rtol=1e-8, atol=1e-10)


def test_the_patch_is_grey_and_has_a_sensible_size() -> None:
    net = dense_net()
    image = np.linspace(-1, 3, SIDE * SIDE).reshape(SIDE, SIDE)
    assert np.array_equal(interpret.occlusion(net, image), interpret.occlusion(net, image, size=3, stride=1, fill=1.0))


@pytest.mark.parametrize("name", NETS)
def test_activations_are_the_outputs_of_the_layers(name: str) -> None:
    net = NETS[name]().eval()
    found = interpret.activations(net, IMAGE)
    y = net(as_input(name, IMAGE[None]))
    last = list(found)[-1]
    np.testing.assert_array_equal(found[last], y.numpy()[0])
    if isinstance(net, fastnn.Sequential):
        x = as_input(name, IMAGE[None])
        for key, layer in net.named_children():
            x = layer(x)
            np.testing.assert_array_equal(found[key], np.asarray(x)[0])
    if name == "graph":
        np.testing.assert_array_equal(found["sum"], found["a"] + found["b"])
        assert list(interpret.activations(net, IMAGE, [net.get_layer("sum"), "a"])) == ["a", "sum"]


def test_calls_of_a_shared_layer_are_numbered() -> None:
    x = fastnn.Input((4,))
    layer = fastnn.Dense(4, name="shared")
    found = interpret.activations(fastnn.Model(x, layer(layer(x))), np.ones((2, 2)))
    assert list(found) == ["shared", "shared (2)"] and not np.array_equal(*found.values())


@pytest.mark.parametrize("name", NETS)
def test_maximise_finds_more_than_random_images(name: str) -> None:
    net = NETS[name]()
    usual = np.random.default_rng(3).choice([-1.0, 0.0, 1.0], (200, SIDE, SIDE))
    images = interpret.maximise(net, values=(-1, 1), shape=(SIDE, SIDE), steps=30, jitter=0, blur=0, decay=0)
    assert images.shape == (4, SIDE, SIDE) and images.min() >= -1 and images.max() <= 1
    best, others = (logits(name, net, a) for a in (images, usual))
    if name in ("keras", "torch", "graph"):  # these are log-probabilities, to which the other classes contribute
        best, others = (a - a.mean(axis=1, keepdims=True) for a in (best, others))
    for unit in range(4):
        assert best[unit, unit] > others[:, unit].max()


@pytest.mark.parametrize("place", [None, (0, 4), "mean"])
@pytest.mark.parametrize("name", ["keras", "torch"])
def test_maximise_a_neuron_of_a_convolution_finds_its_largest_value(name: str, place: Any) -> None:
    net = NETS[name]()
    images = interpret.maximise(net, 0, [2, 0], place=place, shape=(SIDE, SIDE), steps=60, step_size=1, jitter=0, blur=0, decay=0)
    maps = [next(iter(interpret.activations(net, a, [0]).values())) for a in images]
    if name == "keras":
        maps = [np.arctanh(a).transpose(2, 0, 1) for a in maps]  # the layer applies tanh itself
    kernel = net.layers[0]._kernel.numpy()[:, :, 0]
    for unit, own, image in zip([2, 0], maps, images, strict=True):
        w, b = kernel[:, :, unit], net.layers[0].bias.numpy()[unit]
        if place != "mean":
            i, j = place or (3, 3)
            np.testing.assert_allclose(own[unit, i, j], np.maximum(w, 0).sum() + b, rtol=1e-6)
            assert np.array_equal(image[i : i + 3, j : j + 3], w > 0)
        else:
            slope = np.zeros((SIDE, SIDE))  # of the sum over the map
            for i, j in np.ndindex(SIDE - 2, SIDE - 2):
                slope[i : i + 3, j : j + 3] += w
            np.testing.assert_allclose(own[unit].mean(), np.maximum(slope, 0).sum() / (SIDE - 2) ** 2 + b, rtol=1e-6)


def test_maximise_classes_of_a_trained_net() -> None:
    """The images that the classes like best, smooth as they are, beat every real image."""
    (x, y), _ = fastnn.datasets.digits(as_float=True)
    fastnn.seed(0)
    net = fastnn.Sequential([fastnn.Dense(30, activation="relu", input_shape=(400,)), fastnn.Dense(10)])
    net.compile("adam", fastnn.losses.SparseCategoricalCrossentropy(from_logits=True))
    net.fit(x, y, epochs=3, verbose=0)
    images = interpret.maximise(net, steps=50)
    best = net.predict(images).diagonal()
    rng = np.random.default_rng(0)
    for others in (x, x.mean(axis=0, keepdims=True), rng.uniform(0, 1, (500, 400))):
        assert (best > net.predict(others.astype(np.float32)).max(axis=0)).all()


def test_an_image_does_not_depend_on_the_other_units_and_the_seed_repeats_it() -> None:
    net = keras_net()
    images = interpret.maximise(net, steps=5, seed=7)
    assert images.shape == (4, SIDE, SIDE, 1)
    np.testing.assert_allclose(interpret.maximise(net, units=2, steps=5, seed=7), images[2], atol=1e-12)
    assert np.array_equal(interpret.maximise(net, steps=5, seed=7), images)
    assert not np.array_equal(interpret.maximise(net, steps=5, seed=8), images)


def test_smoothing_and_moves_make_images_smoother() -> None:
    net = dense_net()

    def roughness(**how: Any) -> float:
        images = interpret.maximise(net, shape=(SIDE, SIDE), steps=40, **how)
        return float(np.abs(np.diff(images, axis=1)).mean() + np.abs(np.diff(images, axis=2)).mean())

    rough = roughness(blur=0, jitter=0)
    assert roughness(blur=1, jitter=0) < 0.7 * rough and roughness(blur=1, jitter=1) < 0.5 * rough


@pytest.mark.parametrize("name", [*NETS, "torch with batch norm"])
def test_the_model_does_not_change(name: str) -> None:
    if name in NETS:
        net = NETS[name]()
    else:
        net = nn.Sequential(nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3), nn.Flatten(), nn.Linear(108, 4), nn.Softmax(dim=1))
        name = "torch"
    net.train()
    x = as_input(name, IMAGE[None].repeat(2, axis=0))
    net(x).sum().backward()
    before = copy.deepcopy(net.state_dict())
    grads = [None if p.grad is None else p.grad.numpy().copy() for p in net.parameters()]
    config = [getattr(m, "activation", None) for m in net.modules()]
    version = net._version
    interpret.activations(net, IMAGE)
    interpret.saliency(net, IMAGE)
    interpret.occlusion(net, IMAGE, stride=4)
    interpret.maximise(net, 0 if name != "own" else "conv", shape=(SIDE, SIDE), steps=2)
    assert all(np.array_equal(np.asarray(before[key]), np.asarray(value)) for key, value in net.state_dict().items())
    for p, grad in zip(net.parameters(), grads, strict=True):
        assert p.requires_grad and (p.grad is None) == (grad is None)
        assert grad is None or np.array_equal(p.grad.numpy(), grad)
    assert all(m.training and "forward" not in vars(m) for m in net.modules())
    assert [getattr(m, "activation", None) for m in net.modules()] == config and net._version == version


def test_no_grad_and_training_blocks_around_do_not_matter() -> None:
    net = keras_net()
    expected = interpret.saliency(net, IMAGE)
    with fastnn.no_grad():
        assert np.array_equal(interpret.saliency(net, IMAGE), expected)


def test_uint8_images_and_colours() -> None:
    net = fastnn.Sequential([fastnn.Conv2D(2, 3, input_shape=(6, 5, 3)), fastnn.Flatten(), fastnn.Dense(2)])
    image = np.random.default_rng(0).integers(0, 256, (6, 5, 3)).astype(np.uint8)
    assert interpret.saliency(net, image).shape == (6, 5, 3)
    assert interpret.occlusion(net, image, stride=2).shape == (3, 3)
    first = nn.Sequential(nn.Conv2d(3, 2, 3), nn.Flatten(), nn.Linear(24, 2))
    assert interpret.saliency(first, image.transpose(2, 0, 1)).shape == (3, 6, 5)
    assert interpret.maximise(first, shape=(3, 6, 5), steps=2).shape == (2, 3, 6, 5)


def test_rows_of_pixels_that_a_convolution_sees_as_images() -> None:
    x = fastnn.Input((64,))
    y = fastnn.Conv2D(2, 3)(fastnn.Reshape((SIDE, SIDE, 1))(x))
    net = fastnn.Model(x, fastnn.Dense(3)(fastnn.Flatten()(y)))
    row = interpret.saliency(net, IMAGE.ravel(), 1)
    assert row.shape == (64,) and np.array_equal(row.reshape(SIDE, SIDE), interpret.saliency(net, IMAGE, 1))
    falls = interpret.occlusion(net, IMAGE.ravel(), 1)
    assert falls.shape == (SIDE, SIDE) and np.array_equal(falls, interpret.occlusion(net, IMAGE, 1))
    assert interpret.maximise(net, steps=2).shape == (3, 64)

    class Rows(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(64, 3)

        def forward(self, x: Any) -> Any:
            return self.layer(x)

    assert interpret.saliency(Rows(), IMAGE.ravel(), 1).shape == (64,)
    assert interpret.maximise(Rows(), shape=(64,), steps=2).shape == (3, 64)


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda net: interpret.saliency(net, IMAGE, 4), ValueError, "saliency: class_ is 4; the model has 4 classes"),
        (lambda net: interpret.saliency(net, IMAGE, 1.5), TypeError, "saliency: class_ is 1.5"),
        (lambda net: interpret.saliency(net, np.zeros((3, 3, 3, 3))), ValueError, "an image has shape"),
        (lambda net: interpret.saliency(net, np.zeros(10)), ValueError, "10 pixels are no square image"),
        (lambda net: interpret.saliency(net, np.array(["a"])), TypeError, "the image has dtype"),
        (lambda net: interpret.saliency("net", IMAGE), TypeError, "saliency: model is a str"),
        (lambda net: interpret.occlusion(net, IMAGE, size=0), ValueError, "occlusion: size is 0"),
        (lambda net: interpret.occlusion(net, IMAGE, stride=0), ValueError, "occlusion: stride is 0"),
        (lambda net: interpret.activations(net, IMAGE, ["x"]), ValueError, "there is no layer 'x'; there are: 0, 1, 2, 3, 4, 5"),
        (lambda net: interpret.activations(net, IMAGE, [6]), ValueError, "layer is 6; the model has 6 layers"),
        (lambda net: interpret.activations(net, IMAGE, [1.5]), TypeError, "layer is a float"),
        (
            lambda net: interpret.activations(net, IMAGE, [fastnn.Dense(1)]),
            ValueError,
            "the layer Dense is not part of the model",
        ),
        (lambda net: interpret.maximise(net, 0, 3), ValueError, "maximise: units are 3; wanted numbers from 0 to 2"),
        (lambda net: interpret.maximise(net, 0, []), ValueError, r"maximise: units are \[\]"),
        (lambda net: interpret.maximise(net, 5, place=(0, 0)), ValueError, "has no maps"),
        (lambda net: interpret.maximise(net, 0, place=(6, 0)), ValueError, "the maps of the layer '0' are 6 x 6"),
        (lambda net: interpret.maximise(net, values=(1, 0)), ValueError, "maximise: values are"),
        (lambda net: interpret.maximise(net, steps=0), ValueError, "maximise: steps is 0"),
        (lambda net: interpret.maximise(torch_net()), ValueError, "does not tell the size of its images; wanted shape="),
        (lambda net: interpret.saliency(nn.Sequential(nn.Conv1d(1, 2, 3)), IMAGE), ValueError, "convolutions along 1 axes"),
        (lambda net: interpret.saliency(fastnn.Sequential([fastnn.Dense(2)]), IMAGE), ValueError, "has no weights yet"),
        (lambda net: interpret.saliency(nn.Sequential(nn.Conv2d(1, 2, 3)), IMAGE), ValueError, "output has shape"),
        (
            lambda net: interpret.saliency(dense_net(), np.zeros((3, 3))),
            ValueError,
            r"shape \(3, 3\) came; the model takes \(64,\)",
        ),
    ],
)
def test_errors(call: Any, error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        call(keras_net())
