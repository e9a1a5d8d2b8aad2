"""Forecast the electricity that a small town will need in each of the next 24 hours, and say how sure the forecast is.

A GRU reads the series hour by hour. For the next hour it gives a normal distribution: a mean and the logarithm of a variance,
both trained (Nix and Weigend, 1994). For more hours, 500 futures are drawn; each draws the next hour from its distribution
and goes on from there, so that the futures spread as errors add up.
"""

import numpy as np

import fastnn

DAY, WINDOW, FUTURES = 24, 72, 500


def demand(hours: int, rng: np.random.Generator) -> np.ndarray:
    """Return the demand for so many hours: a daily course, noise that lasts for hours, and more of it by day than by night."""
    hour = np.arange(hours) % DAY
    daily = 5 + 2 * np.sin(2 * np.pi * (hour - 9) / DAY)
    noise = np.zeros(hours)
    for t in range(1, hours):
        noise[t] = 0.7 * noise[t - 1] + (0.1 + 0.3 * (8 <= hour[t] < 20)) * rng.standard_normal()
    return daily + noise


def features(values: np.ndarray, first: int) -> np.ndarray:
    """Return the input of each hour: its demand, on a scale for the network, and the time of the day as a point on a circle."""
    angle = 2 * np.pi * (first + np.arange(values.shape[-1])) / DAY
    clock = np.broadcast_to([np.sin(angle), np.cos(angle)], (*values.shape[:-1], 2, values.shape[-1]))
    return np.concatenate([((values - 5) / 2)[..., None], np.moveaxis(clock, -2, -1)], -1).astype("float32")


fastnn.seed(0)
rng = np.random.default_rng(0)
series = demand(200 * DAY, rng)
known = 180 * DAY  # the last 20 days are for the test
x = features(series, 0)
windows = np.arange(0, known - WINDOW, 6)[:, None] + np.arange(WINDOW)
inputs, targets = x[windows], series[windows + 1][..., None]  # in each hour of a window, the next one is predicted

gru = fastnn.GRU(24, return_sequences=True)
model = fastnn.Sequential([fastnn.Input((None, 3)), gru, fastnn.Dense(2)])
epochs = 20
falling = fastnn.schedules.CosineDecay(0.01, epochs * len(inputs) // 32, alpha=0.05)
model.compile(fastnn.optim.Adam(lr=falling), "gaussian_nll")
model.fit(inputs, targets, epochs=epochs, batch_size=32, verbose=0)

# One hour ahead, on days that it has not seen: nine of ten hours should be within the band of 90 %.
y = model.predict(x[None, known - WINDOW : -1])[0, WINDOW - 1 :]
mean, deviation = y[:, 0], np.exp(y[:, 1] / 2)
inside = np.abs(series[known:] - mean) < 1.645 * deviation
night = np.arange(len(inside)) % DAY < 8
print(f"Within the band of 90 %: {inside.mean():.3f} of the hours")
print(f"The band is {3.29 * deviation[night].mean():.2f} wide by night and {3.29 * deviation[~night].mean():.2f} by day")

# The next 24 hours: the frozen model keeps the state of each future, and a call is one hour.
gru.stateful = True
step = model.freeze(batch_size=FUTURES, input_shape=(1, 3))
for t in range(known - WINDOW, known):
    y = step(np.tile(x[None, t : t + 1], (FUTURES, 1, 1)))
futures = []
for t in range(known, known + DAY):
    futures.append(y[:, 0, 0] + np.exp(y[:, 0, 1] / 2) * rng.standard_normal(FUTURES))
    y = step(features(futures[-1][:, None], t))
print("hour   5 %   50 %   95 %   what came")
low, middle, high = np.quantile(futures, (0.05, 0.5, 0.95), axis=1)
for hour in range(0, DAY, 3):
    print(f"{hour:4d} {low[hour]:5.2f}  {middle[hour]:5.2f}  {high[hour]:5.2f}  {series[known + hour]:8.2f}")

assert 0.86 < inside.mean() < 0.94
assert deviation[night].mean() < 0.6 * deviation[~night].mean()
