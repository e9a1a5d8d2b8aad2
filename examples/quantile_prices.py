"""House prices with a range: a network that says below which price a tenth, a half and nine tenths of such houses are sold.

The noise of the prices grows with the size of the house, so that one number for the error would be wrong for most of them. The
loss of a quantile q is q e where the price is e above the prediction, and (1 - q) e where it is e below: the pinball loss
(Koenker and Bassett, Econometrica 46(1), 1978).
"""

import numpy as np

import fastnn

QUANTILES = (0.1, 0.5, 0.9)


def houses(n: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Size in 100 square metres and location (1 in the centre) of n houses, and their prices in 100,000 EUR."""
    size, location = rng.uniform(0.5, 2.0, n), rng.uniform(0.0, 1.0, n)
    price = 3.0 * size + 1.5 * location * size + 0.5
    return np.stack([size, location], axis=1), price + 0.4 * size**2 * rng.standard_normal(n)


fastnn.seed(0)
rng = np.random.default_rng(0)
x, price = houses(4000, rng)
x_test, price_test = houses(4000, rng)

model = fastnn.Sequential([
    fastnn.Dense(32, activation="relu", input_shape=(2,)),
    fastnn.Dense(32, activation="relu"),
    fastnn.Dense(len(QUANTILES)),
])  # fmt: skip
epochs = 60
falling = fastnn.schedules.CosineDecay(0.01, epochs * len(x) // 64, alpha=0.01)
model.compile(fastnn.optim.Adam(lr=falling), loss=fastnn.losses.Quantile(QUANTILES))
history = model.fit(x, price, batch_size=64, epochs=epochs, verbose=0)
print(f"loss {history.history['loss'][0]:.4f} -> {history.history['loss'][-1]:.4f}")

print("size  location    10 %    50 %    90 %   right:  10 %    50 %    90 %")
for size, location in ((0.6, 0.5), (1.2, 0.5), (1.9, 0.5)):
    low, middle, high = model.predict([[size, location]])[0]
    right = 3.0 * size + 1.5 * location * size + 0.5 + 0.4 * size**2 * np.array([-1.2816, 0.0, 1.2816])
    print(f"{size:4.1f} {location:9.1f} {low:7.2f} {middle:7.2f} {high:7.2f}  {right[0]:12.2f} {right[1]:7.2f} {right[2]:7.2f}")

below = (price_test[:, None] < model.predict(x_test)).mean(axis=0)
print("Sold below the predicted quantiles:", ", ".join(f"{share:.3f} of {q}" for share, q in zip(below, QUANTILES, strict=True)))
np.testing.assert_allclose(below, QUANTILES, atol=0.03)
