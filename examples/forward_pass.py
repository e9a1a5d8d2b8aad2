"""A network of two layers: the forward pass written out in NumPy, and the same network in fastnn."""

import numpy as np

import fastnn


def relu(x: np.ndarray) -> np.ndarray:
    return np.where(x > 0, x, 0)


def softmax(x: np.ndarray) -> np.ndarray:
    e_x = np.exp(x - np.max(x))
    return np.asarray(e_x / e_x.sum())


np.random.seed(42)
W1 = np.random.randn(4, 3)  # 3 inputs -> 4 neurons in the hidden layer
b1 = np.zeros(4)
W2 = np.random.randn(2, 4)  # 4 hidden -> 2 outputs (2 classes)
b2 = np.zeros(2)
x = np.array([1.5, -0.5, 2.0])

a1 = relu(W1 @ x + b1)
output = softmax(W2 @ a1 + b2)
print("NumPy:  class probabilities:", output)

model = fastnn.Sequential(
    [
        fastnn.Dense(4, activation="relu", input_shape=(3,)),
        fastnn.Dense(2, activation="softmax"),
    ]
)
model.set_weights([W1.T, b1, W2.T, b2])  # stored as (inputs, outputs)
same = model(x).numpy()
print("fastnn: class probabilities:", same)
np.testing.assert_allclose(same, output, rtol=1e-5)
