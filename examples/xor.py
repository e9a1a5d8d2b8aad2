"""XOR: the smallest problem that a single neuron cannot solve, and four hidden neurons can."""

import numpy as np

import fastnn

x = np.array([[0, 0], [0, 1], [1, 0], [1, 1]])
y = np.array([0, 1, 1, 0])


def trained(*hidden: fastnn.Layer) -> np.ndarray:
    """Return what a network with these hidden layers outputs for the four inputs after training."""
    fastnn.seed(0)
    model = fastnn.Sequential([*hidden, fastnn.Dense(1, activation="sigmoid")])
    model.compile(fastnn.optim.Adam(lr=0.05), loss="binary_crossentropy")
    model.fit(x, y, epochs=500, verbose=0)
    return model.predict(x)[:, 0]


single = trained()
network = trained(fastnn.Dense(4, activation="tanh"))
print("a b  a xor b  one neuron  with four hidden neurons")
for (a, b), right, p, q in zip(x, y, single, network, strict=True):
    print(f"{a} {b}  {right:7}  {p:10.3f}  {q:24.3f}")
assert (network.round() == y).all() and (single.round() != y).any()
