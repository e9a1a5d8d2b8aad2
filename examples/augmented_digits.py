"""Digits that are moved by a pixel at random, new in each epoch: batches from a Sequence, as Keras users write it."""

import numpy as np

import fastnn


class Moved:
    """Batches of images, each moved by up to one pixel up or down and left or right."""

    def __init__(self, images, labels, batch_size, seed):
        self.images, self.labels, self.batch_size = images.reshape(-1, 20, 20), labels, batch_size
        self.rng = np.random.default_rng(seed)

    def __len__(self):
        return len(self.images) // self.batch_size

    def __getitem__(self, i):
        part = slice(i * self.batch_size, (i + 1) * self.batch_size)
        step = self.rng.integers(-1, 2, 2)
        return np.roll(self.images[part], step, (1, 2)).reshape(-1, 400), self.labels[part]


def recogniser():
    fastnn.seed(0)
    model = fastnn.Sequential([fastnn.Dense(32, "relu", input_shape=(400,)), fastnn.Dense(10, "softmax")])
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


(x_train, y_train), (x_test, y_test) = fastnn.datasets.digits(as_float=True)
plain, moved = recogniser(), recogniser()
plain.fit(x_train, y_train, epochs=10, verbose=0)
moved.fit(Moved(x_train, y_train, 32, seed=0), epochs=10, verbose=0)

tests = Moved(x_test, y_test, 10, seed=1)
x_moved, y_moved = map(np.concatenate, zip(*(tests[i] for i in range(len(tests))), strict=True))
accuracies = [model.evaluate(x_moved, y_moved)[1] for model in (plain, moved)]
print("Accuracy on moved digits: {:.3f} after training on digits as they are, {:.3f} on moved ones".format(*accuracies))
assert accuracies[1] > accuracies[0] + 0.02
