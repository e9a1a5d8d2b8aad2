"""Two spirals wound into each other: what a network of two hidden layers says of every point of the plane.

The boundary is drawn with letters; with `--plot FILE` it becomes an image (needs matplotlib).
"""

import argparse

import numpy as np

import fastnn


def spirals(n: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """n points, each on one of two arms of one and a half turns, and the numbers of their arms."""
    arm = np.arange(n) % 2
    t = np.sqrt(rng.uniform(0.02, 1.0, n))  # more points where the arm is longer
    angle = 3 * np.pi * t + np.pi * arm
    points = np.stack([t * np.cos(angle), t * np.sin(angle)], axis=1)
    return points + 0.02 * rng.standard_normal((n, 2)), arm


parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--plot", metavar="FILE", help="writes an image of the plane")
arguments = parser.parse_args()

fastnn.seed(0)
rng = np.random.default_rng(0)
x, y = spirals(600, rng)
x_test, y_test = spirals(400, rng)

model = fastnn.Sequential([
    fastnn.Dense(32, activation="relu", input_shape=(2,)),
    fastnn.Dense(32, activation="relu"),
    fastnn.Dense(1, activation="sigmoid"),
])  # fmt: skip
epochs = 300
model.compile(fastnn.optim.Adam(), loss="binary_crossentropy", metrics=["accuracy"])
falling = fastnn.callbacks.LearningRateScheduler(fastnn.schedules.CosineDecay(0.01, epochs, alpha=0.05))
model.fit(x, y, epochs=epochs, callbacks=[falling], verbose=0)


def plane(columns: int, rows: int) -> np.ndarray:
    """Return the probability of arm 1 at the points of a grid over [-1.1, 1.1] x [-1.1, 1.1], the first row on top."""
    across, down = np.meshgrid(np.linspace(-1.1, 1.1, columns), np.linspace(1.1, -1.1, rows))
    return model.predict(np.stack([across.ravel(), down.ravel()], axis=1)).reshape(rows, columns)


shades = np.array(list(".:*#"))  # from surely arm 0 to surely arm 1
for row in shades[np.minimum((plane(64, 30) * 4).astype(int), 3)]:
    print("".join(row))
_, accuracy = model.evaluate(x_test, y_test)
print(f"Accuracy on {len(x_test)} new points: {accuracy:.3f}")
assert accuracy > 0.98

if arguments.plot:
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot

    pyplot.imshow(plane(300, 300), extent=(-1.1, 1.1, -1.1, 1.1), cmap="RdBu_r", alpha=0.6, vmin=0, vmax=1)
    pyplot.scatter(x[:, 0], x[:, 1], c=y, cmap="RdBu_r", s=6)
    pyplot.savefig(arguments.plot, dpi=120)
    print(f"Image: {arguments.plot}")
