"""House prices: price = a size + b location + c, with a, b and c found by training a single neuron."""

import numpy as np

import fastnn

fastnn.seed(0)
rng = np.random.default_rng(0)
size = rng.uniform(0.5, 2.0, 500)  # in 100 square metres
location = rng.uniform(0.0, 1.0, 500)  # 0 far out, 1 in the centre
a, b, c = 3.0, 1.5, 0.5  # in 100,000 EUR
price = a * size + b * location + c

model = fastnn.Sequential([fastnn.Dense(1, input_shape=(2,))])
model.compile(optimizer=fastnn.optim.Adam(lr=0.05), loss="mse")
history = model.fit(np.stack([size, location], axis=1), price, epochs=300)

kernel, bias = model.get_weights()
print(f"loss {history.history['loss'][0]:.4f} -> {history.history['loss'][-1]:.2e}")
print(f"price = {kernel[0, 0]:.3f} size + {kernel[1, 0]:.3f} location + {bias[0]:.3f}")
np.testing.assert_allclose([kernel[0, 0], kernel[1, 0], bias[0]], [a, b, c], atol=0.01)
