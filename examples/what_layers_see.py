"""Draw what the layers of a network see: train a small convolutional network on handwritten digits, and look at it from inside.

The textbook says: layer 1 sees edges, the layers after it see shapes and parts. The program draws that (needs matplotlib), and
measures how far it is true here, beside the same network before training.

    python examples/what_layers_see.py [--mnist FOLDER] [--to FOLDER]
"""

import argparse
from pathlib import Path

import numpy as np

import fastnn
from fastnn import interpret, plot

parser = argparse.ArgumentParser(description="Draws what the layers of a network for digits see.")
parser.add_argument("--mnist", metavar="FOLDER", help="takes MNIST from this folder instead of the 20x20 digits of fastnn")
parser.add_argument("--to", metavar="FOLDER", default="what_layers_see", help="folder for the pictures")
arguments = parser.parse_args()
folder = Path(arguments.to)
folder.mkdir(parents=True, exist_ok=True)

(x, y), (x_test, y_test) = fastnn.datasets.mnist(arguments.mnist) if arguments.mnist else fastnn.datasets.digits()
x, y = x[:20000, ..., None] / np.float32(255), y[:20000]
x_test = x_test[..., None] / np.float32(255)
side = x.shape[1]

fastnn.seed(0)
model = fastnn.Sequential([
    fastnn.Conv2D(12, 5, activation="relu", input_shape=(side, side, 1), name="layer_1"),
    fastnn.MaxPooling2D(2),
    fastnn.Conv2D(24, 3, activation="relu", name="layer_2"),
    fastnn.MaxPooling2D(2),
    fastnn.Conv2D(32, 3, activation="relu", name="layer_3"),
    fastnn.Flatten(),
    fastnn.Dropout(0.3),
    fastnn.Dense(10, activation="softmax"),
])  # fmt: skip
CONVOLUTIONS = [0, 2, 4]


def edge_likeness(filters: np.ndarray) -> np.ndarray:
    """Return for each filter (height, width, filters) the share of its contrast that a slope in one direction explains.

    1 is a perfect edge: dark on one side, bright on the other. Noise has 2 / (pixels - 1) on average.
    """
    height, width, count = filters.shape
    rows, columns = np.meshgrid(np.linspace(-1, 1, height), np.linspace(-1, 1, width), indexing="ij")
    plane = np.stack([rows.ravel(), columns.ravel()], axis=1)
    contrast = filters.reshape(-1, count) - filters.reshape(-1, count).mean(axis=0)
    explained = plane @ np.linalg.lstsq(plane, contrast, rcond=None)[0]
    return np.asarray((explained**2).sum(axis=0) / (contrast**2).sum(axis=0))


def picky(layer: int) -> float:
    """Return the share of the variance of a layer's answers, the maxima of its maps, that the digit explains (eta squared)."""
    maps = fastnn.Sequential(model.layers[: layer + 1]).predict(x_test)
    answers = maps.max(axis=(1, 2))
    groups = [answers[y_test == digit] for digit in range(10)]
    between = np.sum([len(g) * (g.mean(axis=0) - answers.mean(axis=0)) ** 2 for g in groups], axis=0)
    total = ((answers - answers.mean(axis=0)) ** 2).sum(axis=0)
    return float(np.mean(between[total > 0] / total[total > 0]))


def seen_pixels() -> list[int]:
    """Return the side of the square of the image that one place of each layer sees."""
    reach, step, sides = 1, 1, []
    for layer in model.layers[: CONVOLUTIONS[-1] + 1]:
        size, stride = (layer.kernel_size[0], 1) if isinstance(layer, fastnn.Conv2D) else (2, 2)
        reach, step = reach + (size - 1) * step, step * stride
        sides.append(reach)
    return [sides[i] for i in CONVOLUTIONS]


before_edges = edge_likeness(model.layers[0].kernel.numpy()[:, :, 0])
before_picky = [picky(i) for i in CONVOLUTIONS]
model.compile("adam", "sparse_categorical_crossentropy", ["accuracy"])
model.fit(x, y, batch_size=32, epochs=5 if len(x) < 10000 else 2, verbose=0)
p = model.predict(x_test)
accuracy = float((p.argmax(axis=1) == y_test).mean())
print(f"The network reads {accuracy:.1%} of {len(y_test)} digits that it has not seen in training.\n")

# The pictures.
example = int(np.flatnonzero((y_test == 7) & (p.argmax(axis=1) == 7))[0])
plot.network(model, folder / "network.png")
plot.filters(model, 0, path=folder / "layer_1_filters.png")
plot.activations(model, x_test[example], path=folder / "activations_of_a_7.png")
plot.saliency(model, x_test[example], path=folder / "saliency_of_a_7.png")
plot.occlusion(model, x_test[example], path=folder / "occlusion_of_a_7.png")
for number, layer in enumerate(CONVOLUTIONS, 1):
    plot.maximise(model, layer, path=folder / f"layer_{number}_likes.png")
plot.maximise(model, path=folder / "classes_like.png")
plot.confusion(y_test, p, path=folder / "confusion.png")
plot.misclassified(x_test, y_test, p, path=folder / "worst_mistakes.png")
print(f"Pictures: {', '.join(sorted(file.name for file in folder.glob('*.png')))}\n  in the folder {folder}\n")

# What is there, in numbers.
edges = edge_likeness(model.layers[0].kernel.numpy()[:, :, 0])
many, noise = int((edges > 0.5).sum()), 2 / (5 * 5 - 1)
print("Layer 1: edges?")
print(f"  A slope in one direction explains {edges.mean():.0%} of the contrast of a filter.")
print(f"  Before training it was {before_edges.mean():.0%}, in noise it is {noise:.0%}.")
print(f"  {many} of {len(edges)} filters are mostly such an edge (above 50%).")
print("  The picture of the others shows lines, spots and remains of the random start.")

print("Layers 2 and 3: parts?")
now = [picky(i) for i in CONVOLUTIONS]
for number, (share, before, pixels) in enumerate(zip(now, before_picky, seen_pixels(), strict=True), 1):
    print(f"  A place of layer {number} sees {pixels} x {pixels} pixels. How strongly its channels answer")
    print(f"    depends by {share:.0%} on which digit it is; before training by {before:.0%}.")
if now == sorted(now):
    print("  So each layer sees larger pieces, and its answers depend more on the digit.")
else:
    print("  Each layer sees larger pieces, but its answers do not always depend more on the digit.")
print("  No number says that a channel stands for a part with a name, such as the loop of a 6.")
print("  Judge by layer_2_likes.png and layer_3_likes.png. They show bars, bows and corners,")
print("  and also channels without a form.")

liked = model.predict(interpret.maximise(model)).diagonal().mean()
real = p[np.arange(len(p)), y_test].mean()
print("Classes:")
print(f"  For the network, the images in classes_like.png belong to their classes with {liked:.0%},")
print(f"  and real digits with {real:.0%}. Yet some of the images are no digits to us: the network")
print("  has learned what tells digits apart, not what they look like.")
