"""Find the beats of a simulated heart that come too early, with a convolutional net on the signal."""

import numpy as np

import fastnn

rng = np.random.default_rng(0)
N, LENGTH = 1200, 160


def beat(t: np.ndarray, at: float) -> np.ndarray:
    """Return a spike at a time, with a dip after it and a slow wave."""
    return np.exp(-(((t - at) / 2) ** 2)) - 0.3 * np.exp(-(((t - at - 4) / 2) ** 2)) + 0.2 * np.exp(-(((t - at - 14) / 5) ** 2))


def signal(early: bool) -> np.ndarray:
    """Return regular beats with drift and noise; with early, one of them comes too early."""
    t, period = np.arange(LENGTH), rng.uniform(28, 36)
    times = np.arange(rng.uniform(0, period), LENGTH, period)
    if early:
        times[rng.integers(1, len(times) - 1)] -= rng.uniform(0.3, 0.45) * period
    drift = 0.3 * np.sin(t / rng.uniform(20, 60) + rng.uniform(0, 6))
    return sum(beat(t, at) for at in times) * rng.uniform(0.7, 1.3) + drift + rng.normal(0, 0.08, LENGTH)


y = rng.integers(0, 2, N)
x = np.stack([signal(early) for early in y])[..., None].astype("float32")  # samples, time, channels

fastnn.seed(0)
model = fastnn.Sequential(
    [
        fastnn.Conv1D(8, 9, activation="relu", input_shape=(LENGTH, 1)),
        fastnn.MaxPooling1D(4),
        fastnn.Conv1D(16, 9, activation="relu"),  # looks at 44 points: a beat and the one before it
        fastnn.GlobalMaxPooling1D(),
        fastnn.Dense(1, activation="sigmoid"),
    ]
)
model.compile(fastnn.optim.Adam(lr=5e-3), "binary_crossentropy", metrics=["accuracy"])
model.fit(x[:1000], y[:1000], epochs=20, verbose=0)
accuracy = model.evaluate(x[1000:], y[1000:])[1]
print(f"Accuracy on 200 signals that it has not seen: {accuracy:.3f}")
assert accuracy > 0.9
