"""The figures of `fastnn.plot`, drawn without a display."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fastnn
from fastnn import interpret, nn, plot
from fastnn.callbacks import History


def make_history() -> History:
    h = History()
    for epoch in range(3):
        h.on_epoch_end(epoch, {"loss": 1.0 - epoch / 4, "accuracy": epoch / 4, "val_loss": 1.0, "val_accuracy": 0.5})
    return h


def test_history(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    figure = plot.history(make_history(), tmp_path / "curves.png")
    ax = figure.axes[0]
    assert (tmp_path / "curves.png").read_bytes().startswith(b"\x89PNG")
    legend = figure.axes[1].get_legend()
    assert legend is not None and [t.get_text() for t in legend.get_texts()] == ["loss", "accuracy", "val_loss", "val_accuracy"]
    loss, val_loss = ax.get_lines()
    assert np.array_equal(loss.get_xydata(), [[1, 1.0], [2, 0.75], [3, 0.5]])
    assert loss.get_color() == val_loss.get_color() and val_loss.get_linestyle() == "--"


def test_history_on_given_axes() -> None:
    figure = pytest.importorskip("matplotlib.figure").Figure()
    ax = figure.subplots()
    assert plot.history({"loss": [1.0]}, ax=ax) is figure and len(figure.axes) == 1


@pytest.mark.parametrize("h", [{}, {"loss": []}, [1.0]])
def test_nothing_to_draw(h: object) -> None:
    pytest.importorskip("matplotlib")
    with pytest.raises(ValueError, match=r"plot\.history: there is no epoch"):
        plot.history(h)


def test_without_matplotlib(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ImportError, match="needs Matplotlib, the extra 'plot'"):
        plot.history(make_history())


X = np.random.default_rng(0).uniform(size=(6, 8, 8))
Y = np.array([0, 1, 2, 0, 1, 2])


def net() -> Any:
    fastnn.seed(0)
    return fastnn.Sequential([
        fastnn.Conv2D(2, 3, activation="relu", input_shape=(8, 8, 1)),
        fastnn.Conv2D(4, 3),
        fastnn.Flatten(),
        fastnn.Dense(3, activation="softmax"),
    ])  # fmt: skip


def first_net() -> Any:
    fastnn.seed(0)
    return nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Conv2d(2, 4, 3), nn.Flatten(), nn.Linear(64, 3))


def of_two_features() -> Any:
    return fastnn.Sequential([fastnn.Dense(3, input_shape=(2,))])


FIGURES = {
    "history": lambda path: plot.history({"loss": [1.0, 0.5]}, path),
    "filters": lambda path: plot.filters(net(), path=path),
    "activations": lambda path: plot.activations(net(), X[0], path=path),
    "saliency": lambda path: plot.saliency(net(), X[0], path=path),
    "occlusion": lambda path: plot.occlusion(net(), X[0], path=path, stride=2),
    "maximise": lambda path: plot.maximise(net(), path=path, steps=2),
    "confusion": lambda path: plot.confusion(Y, net().predict(X[..., None]), path=path),
    "misclassified": lambda path: plot.misclassified(X, Y, net().predict(X[..., None]), path=path),
    "network": lambda path: plot.network(net(), path),
    "boundary": lambda path: plot.boundary(of_two_features(), X[:, 0, :2], Y, path=path),
    "weights": lambda path: plot.weights(net(), path=path),
    "attention": lambda path: plot.attention(fastnn.models.GPT(5, context=4, width=4, layers=1, heads=1), [1, 2], path=path),
    "embedding": lambda path: plot.embedding(fastnn.Embedding(5, 4), path=path),
}


def test_every_plot_is_among_them() -> None:
    assert sorted(FIGURES) == plot.__all__


@pytest.mark.parametrize("name", FIGURES)
def test_figures_show_themselves_and_are_written(name: str, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    path = tmp_path / "figure.png"
    figure = FIGURES[name](path)
    assert path.read_bytes().startswith(b"\x89PNG")
    assert figure._repr_png_().startswith(b"\x89PNG")
    with pytest.raises(
        ValueError, match=rf"plot\.{name}: path is 'figure\.jpg'; wanted the name of a \.png, \.pdf or \.svg file"
    ):
        FIGURES[name]("figure.jpg")


@pytest.mark.parametrize(("kind", "start"), [("pdf", b"%PDF"), ("svg", b"<?xml")])
def test_other_formats(kind: str, start: bytes, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    plot.network(net(), tmp_path / f"net.{kind}")
    assert (tmp_path / f"net.{kind}").read_bytes().startswith(start)


def test_no_display_and_no_pyplot() -> None:
    pytest.importorskip("matplotlib")
    code = (
        "import sys, fastnn; from fastnn import plot; assert not any(m.startswith('matplotlib') for m in sys.modules); "
        "net = fastnn.Sequential([fastnn.Dense(2, input_shape=(16,))]); plot.filters(net)._repr_png_(); plot.network(net); "
        "plot.saliency(net, fastnn.rand(4, 4)); plot.confusion([0, 1], [0, 1]); assert 'matplotlib.pyplot' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, env={"PATH": ""})


def image_of(figure: Any, i: int = 0) -> Any:
    return np.ma.getdata(figure.axes[i].get_images()[0].get_array())


@pytest.mark.parametrize("make", [net, first_net])
def test_filters_are_the_kernels(make: Any) -> None:
    pytest.importorskip("matplotlib")
    model = make()
    figure = plot.filters(model, 0)
    kernel = model.layers[0]._kernel.numpy()
    for i in range(2):
        assert np.array_equal(image_of(figure, i), kernel[:, :, 0, i])
    limits = figure.axes[0].get_images()[0].get_clim()
    assert limits == (-np.abs(kernel).max(), np.abs(kernel).max())
    layer = next(m for m in model.layers[1:] if hasattr(m, "_kernel"))
    mosaic = image_of(plot.filters(model, layer))
    assert mosaic.shape == (7, 15) and np.array_equal(mosaic[4:7, 12:15], layer._kernel.numpy()[:, :, 1, 3])
    assert np.array_equal(image_of(plot.filters(layer)), mosaic, equal_nan=True)


def test_filters_of_dense_layers() -> None:
    pytest.importorskip("matplotlib")
    linear = nn.Linear(12, 3)
    assert np.array_equal(image_of(plot.filters(linear, shape=(3, 4)), 1), linear.weight.numpy()[1].reshape(3, 4))
    model = fastnn.Sequential([fastnn.Flatten(input_shape=(3, 4)), fastnn.Dense(2)])
    assert np.array_equal(image_of(plot.filters(model), 1), model.layers[1].kernel.numpy()[:, 1].reshape(3, 4))


def test_activations_draws_the_maps() -> None:
    pytest.importorskip("matplotlib")
    for model in (net(), first_net()):
        found = interpret.activations(model, X[0])
        maps = found["0"] if model.layers[0].__class__.__name__ == "Conv2D" else found["0"].transpose(1, 2, 0)
        figure = plot.activations(model, X[0])
        assert np.array_equal(image_of(figure, 0), X[0])
        assert np.array_equal(image_of(figure, 1)[:, 7:13], maps[:, :, 1])
        titles = [ax.get_title(loc="left") for ax in figure.axes]
        assert (
            titles[1].startswith("0 Conv2")
            and titles[1].endswith(": 2 maps of 6 x 6")
            and not any("Flatten" in t for t in titles)
        )


def test_saliency_occlusion_and_maximise_draw_the_arrays() -> None:
    pytest.importorskip("matplotlib")
    for model in (net(), first_net()):
        assert np.array_equal(image_of(plot.saliency(model, X[0], 1), 1), interpret.saliency(model, X[0], 1))
        assert np.array_equal(
            image_of(plot.occlusion(model, X[0], 1, stride=3), 1), interpret.occlusion(model, X[0], 1, stride=3)
        )
        how = {"shape": (8, 8), "steps": 3}
        figure = plot.maximise(model, 0, [1], **how)
        assert np.allclose(image_of(figure), interpret.maximise(model, 0, 1, **how)) and figure.axes[0].get_title() == "1"
    colours = fastnn.Sequential([fastnn.Conv2D(2, 3, input_shape=(6, 6, 3)), fastnn.Flatten(), fastnn.Dense(2)])
    image = np.random.default_rng(0).uniform(size=(6, 6, 3))
    lens = np.abs(interpret.saliency(colours, image, 0)).max(axis=2)
    assert np.array_equal(image_of(plot.saliency(colours, image, 0), 1), lens)
    assert image_of(plot.maximise(colours, units=1, names=["cat", "dog"], steps=2)).shape == (6, 6, 3)


def test_confusion_counts() -> None:
    pytest.importorskip("matplotlib")
    rng = np.random.default_rng(0)
    y, p = rng.integers(0, 3, 50), rng.uniform(size=(50, 3))
    counts = [[sum((y == i) & (p.argmax(axis=1) == j)) for j in range(3)] for i in range(3)]
    for true, predicted in ((y, p), (np.eye(3)[y], p), (y[:, None], p.argmax(axis=1))):
        figure = plot.confusion(true, predicted)
        assert [[int(t.get_text()) for t in figure.axes[0].texts[3 * i : 3 * i + 3]] for i in range(3)] == counts
    assert np.allclose(image_of(figure), np.array(counts) / np.sum(counts, axis=1, keepdims=True))
    figure = plot.confusion([0, 1, 1], [0.2, 0.9, 0.4], names=["cat", "dog"])
    assert [t.get_text() for t in figure.axes[0].texts] == ["1", "0", "1", "1"]
    assert [t.get_text() for t in figure.axes[0].get_yticklabels()] == ["cat", "dog"]


def test_misclassified_are_the_surest_mistakes() -> None:
    pytest.importorskip("matplotlib")
    p = np.array([[0.9, 0.1, 0.0], [0.6, 0.3, 0.1], [0.05, 0.95, 0.0], [0.2, 0.8, 0.0], [0.1, 0.8, 0.1], [0.2, 0.2, 0.6]])
    figure = plot.misclassified(X, Y, p, count=2)  # wrong: 1, 2 and 3
    assert [ax.get_title() for ax in figure.axes[:2]] == ["2 taken\nfor 1: 95 %", "0 taken\nfor 1: 80 %"]
    for i, image in enumerate((X[2], X[3])):
        assert np.array_equal(image_of(figure, i), image)
    rows = plot.misclassified(X.reshape(6, -1), Y, p, count=1, shape=(4, 16))
    assert np.array_equal(image_of(rows), X[2].reshape(4, 16))
    assert "3 mistakes in 6 images; the worst 2" in figure.get_suptitle()
    assert plot.misclassified(X, Y, np.eye(3)[Y]).axes[0].get_title() == "no mistakes"


def boxes(figure: Any) -> list[tuple[str, float, float, float, float]]:
    """Return the text and the sides of each box."""
    ax = figure.axes[0]
    texts = [t.get_text() for t in ax.texts if ": " in t.get_text()]
    sides = [(p.get_x(), p.get_x() + p.get_width(), p.get_y(), p.get_y() + p.get_height()) for p in ax.patches]
    return [(text, *side) for text, side in zip(texts, sides, strict=True)]


def graph() -> Any:
    a, b = fastnn.Input((8, 8, 3), name="picture"), fastnn.Input((4,), name="extra")
    x = stem = fastnn.Conv2D(4, 3, padding="same", name="stem")(a)
    for i in range(3):
        x = fastnn.Conv2D(4, 3, padding="same", activation="relu", name=f"c{i}")(x)
    x = fastnn.GlobalAveragePooling2D(name="gap")(fastnn.Add(name="sum")([stem, x]))
    y = fastnn.Concatenate(name="cat")([x, b])
    return fastnn.Model([a, b], [fastnn.Dense(5, name="kind")(y), fastnn.Dense(1, name="price")(y)])


def test_the_diagram_of_a_graph() -> None:
    pytest.importorskip("matplotlib")
    figure = plot.network(graph())
    found = boxes(figure)
    names = [text.split(":")[0] for text, *_ in found]
    assert sorted(names) == sorted(["picture", "extra", "stem", "c0", "c1", "c2", "sum", "gap", "cat", "kind", "price"])
    assert "c0: Conv2D\nrelu, 148 parameters" in [text for text, *_ in found]
    shapes = [t.get_text() for t in figure.axes[0].texts if t.get_text().startswith("(None")]
    assert len(shapes) == len(found) and "(None, 8, 8, 4)" in shapes and "(None, 5)" in shapes
    for i, (_, left, right, low, high) in enumerate(found):
        for _, left2, right2, low2, high2 in found[:i]:
            assert right <= left2 or right2 <= left or high <= low2 or high2 <= low
        for line in figure.axes[0].get_lines():  # none crosses a box
            xs, ys = line.get_data()
            for t in np.linspace(0, 1, 50)[1:-1]:
                x, y = xs[:-1] + t * np.diff(xs), ys[:-1] + t * np.diff(ys)
                assert not ((left < x) & (x < right) & (low < y) & (y < high)).any()


def test_the_diagram_of_layers_in_a_row() -> None:
    pytest.importorskip("matplotlib")
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Sequential(nn.ReLU(), fastnn.Residual(nn.BatchNorm2d(2))), nn.Flatten())
    figure = plot.network(model, input_shape=(1, 8, 8))
    names = [
        "input: Input",
        "0: Conv2d\n20 parameters",
        "1.0: ReLU",
        "1.1.0: BatchNorm2d\n4 parameters",
        "1.1: Add",
        "2: Flatten",
    ]
    assert [text for text, *_ in boxes(figure)] == names
    texts = [t.get_text() for t in figure.axes[0].texts]
    assert "(None, 2, 6, 6)" in texts and texts.count("(None, 72)") == 1 and "?" not in texts
    assert [t.get_text() for t in plot.network(model).axes[0].texts].count("?") == 6


def test_boundary_colours_the_predicted_class() -> None:
    pytest.importorskip("matplotlib")
    model = fastnn.Sequential([fastnn.Dense(1, activation="sigmoid", input_shape=(2,))])
    model.set_weights([np.array([[5.0], [0.0]]), np.zeros(1)])  # class 1 where the first feature is positive
    points = np.array([[-1.0, -1.0], [1.0, 1.0], [-0.5, 1.0]])
    figure = plot.boundary(model, points, [0, 1, 0], names=["left", "right"])
    image = image_of(figure)
    assert (image[:, :95].argmin(axis=2) == 0).all() and (image[:, 105:].argmin(axis=2) == 2).all()  # blue and orange
    offsets = [c.get_offsets() for c in figure.axes[0].collections if c.get_label() in ("left", "right")]
    assert [len(o) for o in offsets] == [2, 1]


def test_weights_counts_every_weight() -> None:
    pytest.importorskip("matplotlib")
    model = net()
    figure = plot.weights(model)
    for ax, (name, p) in zip(figure.axes, model.named_parameters(), strict=False):
        assert ax.get_title() == f"{name} {tuple(p.shape)}" and sum(bar.get_height() for bar in ax.patches) == p.size
    assert image_of(plot.weights(model, images=True), 0).shape == (2, 9)


def test_embedding_draws_the_plane_of_the_greatest_variance() -> None:
    pytest.importorskip("matplotlib")
    angles = np.linspace(0, 2 * np.pi, 7)[:-1]
    flat = np.stack([3 * np.cos(angles), np.sin(angles)], 1)
    turned, _ = np.linalg.qr(np.random.default_rng(0).standard_normal((5, 5)))
    table = flat @ turned[:2] + 7  # an ellipse somewhere in five dimensions
    ax = plot.embedding(table, labels="abcdef").axes[0]
    points = np.asarray(ax.collections[0].get_offsets())
    np.testing.assert_allclose(abs(points), abs(flat), atol=1e-9)
    assert [text.get_text() for text in ax.texts] == list("abcdef")
    assert ax.get_xlabel() == "first component, 90% of the variance"
    model = fastnn.Sequential([nn.Embedding(6, 5, _weight=table), fastnn.Dense(1)])
    part = plot.embedding(model, rows=[4, 1]).axes[0]
    assert [text.get_text() for text in part.texts] == ["4", "1"] and len(part.collections[0].get_offsets()) == 2
    assert len(plot.embedding(np.ones((1, 3))).axes[0].texts) == 1 and not plot.embedding(np.ones((0, 3))).axes[0].texts


class Own(nn.Module):
    """Net with a forward of its own."""

    def forward(self, x: Any) -> Any:
        return x


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda: plot.filters(net(), 2), ValueError, r"plot\.filters: the layer '2' is a Flatten"),
        (lambda: plot.filters(fastnn.Sequential([fastnn.Flatten()])), ValueError, "no convolution and no dense layer"),
        (lambda: plot.filters(fastnn.Dense(2)), ValueError, "has no weights yet"),
        (lambda: plot.filters(nn.Linear(12, 3)), ValueError, "has 12 inputs, no image of 3 x 3; wanted shape="),
        (lambda: plot.filters(nn.Conv1d(1, 2, 3)), ValueError, "filters along 1 axes; wanted 2"),
        (lambda: plot.filters("net"), TypeError, r"plot\.filters: model is a str"),
        (lambda: plot.embedding(net()), ValueError, r"plot\.embedding: Sequential has no embedding"),
        (lambda: plot.embedding(np.ones((3, 2)), ["a"]), ValueError, r"plot\.embedding: 1 labels came for 3 rows"),
        (lambda: plot.embedding(np.ones((3, 2)), rows=[1, 3]), ValueError, r"plot\.embedding: rows are 1 to 3, but there are 3"),
        (lambda: plot.embedding(np.ones(3)), TypeError, r"plot\.embedding: an array of shape \(3,\)"),
        (lambda: plot.weights(nn.ReLU()), ValueError, r"plot\.weights: the model has no weights"),
        (lambda: plot.network(Own()), TypeError, r"plot\.network: Own has a hand-written forward"),
        (lambda: plot.network(3), TypeError, r"plot\.network: model is a int"),
        (lambda: plot.saliency(net(), X[0], 5), ValueError, r"plot\.saliency: class_ is 5; the model has 3 classes"),
        (lambda: plot.saliency(net(), X[0], names=["a"]), ValueError, r"plot\.saliency: 1 names came for 3 classes"),
        (lambda: plot.occlusion(net(), X), ValueError, r"shape \(6, 8, 8\) came, with 8 channels; the model takes 1"),
        (
            lambda: plot.confusion(fastnn.Dense(1), [0, 1], [0, 1]),
            TypeError,
            r"wanted the true classes .*: y, model.predict\(x\)",
        ),
        (lambda: plot.confusion([0, 1], [0, 1, 1]), ValueError, "2 true and 3 predicted classes"),
        (lambda: plot.confusion([0, 3], [[0.5, 0.5]] * 2), ValueError, "classes from 0 to 3; wanted 0 to 1"),
        (lambda: plot.confusion([0, 0.5], [0, 1]), ValueError, "the true classes have dtype float64"),
        (lambda: plot.confusion([], np.zeros((0, 2))), ValueError, "there are no samples"),
        (lambda: plot.misclassified(X, Y, np.full((6, 3), 2.0)), ValueError, "has no probabilities in its rows"),
        (lambda: plot.misclassified(X[:2], Y, np.eye(3)[Y]), ValueError, "2 images and 6 classes"),
        (lambda: plot.boundary(of_two_features(), X[:, 0, :3], Y), ValueError, r"x has shape \(6, 3\); wanted points \(n, 2\)"),
    ],
)
def test_errors(call: Any, error: type[Exception], text: str) -> None:
    pytest.importorskip("matplotlib")
    with pytest.raises(error, match=text):
        call()
