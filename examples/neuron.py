"""A single neuron: weighted sum of the inputs, plus a bias, through the sigmoid."""

import fastnn

neuron = fastnn.Dense(1, activation="sigmoid", input_shape=(2,))
neuron.set_weights([[[0.5], [-0.3]], [0.1]])

output = neuron([2.0, 3.0]).item()
print(f"Neuron output: {output:.4f}")
assert round(output, 4) == 0.5498  # sigmoid(2 * 0.5 - 3 * 0.3 + 0.1) = sigmoid(0.2)
