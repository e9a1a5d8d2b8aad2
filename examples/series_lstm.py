"""Classify series of different lengths by an LSTM: what is a machine about to do, from the sound of its motor?

Each series is a noisy oscillation of 15 to 60 steps. It goes on as it is, or it becomes faster, or it fades. No single step shows
which; the layer has to keep in mind what came before.
"""

import numpy as np

import fastnn

KINDS = ("steady", "faster", "fading")
LONGEST = 60


def series(kind: int, rng: np.random.Generator) -> np.ndarray:
    """Return a series of one of the kinds."""
    n = rng.integers(15, LONGEST + 1)
    share = np.linspace(0, 1, n)  # how much of the series has passed
    speed = rng.uniform(0.6, 0.9) * (1 + share * (kind == 1))
    size = rng.uniform(0.8, 1.2) * (1 - 0.7 * share * (kind == 2))
    return size * np.sin(np.cumsum(speed) + rng.uniform(0, 6)) + 0.1 * rng.standard_normal(n)


def batch(count: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return series as one array, which is 0 beyond their ends, their lengths, and their kinds."""
    kinds = rng.integers(0, len(KINDS), count)
    rows = [series(kind, rng) for kind in kinds]
    x = np.zeros((count, LONGEST, 1), "float32")
    for row, values in zip(x, rows, strict=True):
        row[: len(values), 0] = values
    return x, np.array([len(values) for values in rows]), kinds


fastnn.seed(0)
rng = np.random.default_rng(0)
x, lengths, kinds = batch(2000, rng)

signal, length = fastnn.Input((LONGEST, 1), name="signal"), fastnn.Input((), dtype="int64", name="length")
h = fastnn.LSTM(32)(signal, lengths=length)  # the state after the last step of each series, not after the padding
model = fastnn.Model([signal, length], fastnn.Dense(len(KINDS), activation="softmax")(h))
model.compile(fastnn.optim.Adam(lr=0.01), "sparse_categorical_crossentropy", metrics=["accuracy"])
model.fit([x, lengths], kinds, epochs=15, batch_size=50, verbose=0)

x_new, lengths_new, kinds_new = batch(1000, rng)
accuracy = model.evaluate([x_new, lengths_new], kinds_new)[1]
print(f"Accuracy on 1000 new series: {accuracy:.3f}")

# Padding does not matter: one series by itself, without any, has the same probabilities.
i = int(lengths_new.argmin())
n = int(lengths_new[i])
alone = fastnn.Sequential([fastnn.Input((n, 1)), *model.layers[-2:]]).predict(x_new[i : i + 1, :n])
together = model.predict([x_new[i : i + 1], lengths_new[i : i + 1]])
print(f"A series of {n} steps is {KINDS[int(together.argmax())]}: {together.max():.3f} padded, {alone.max():.3f} alone")

np.testing.assert_allclose(alone, together, atol=1e-5)
assert accuracy > 0.9
