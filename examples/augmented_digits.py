"""Digits that are moved and turned a little at random, new in each epoch, by layers that act in training alone."""

import fastnn


def recogniser(*augmentation: fastnn.Layer) -> fastnn.Sequential:
    fastnn.seed(0)
    head = [fastnn.Flatten(), fastnn.Dense(32, "relu"), fastnn.Dense(10, "softmax")]
    model = fastnn.Sequential([fastnn.Input((20, 20, 1)), *augmentation, *head])
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


(x_train, y_train), (x_test, y_test) = fastnn.datasets.digits(as_float=True)
x_train, x_test = x_train.reshape(-1, 20, 20, 1), x_test.reshape(-1, 20, 20, 1)

plain = recogniser()
moved = recogniser(fastnn.RandomCrop(20, 20, padding=1), fastnn.RandomRotation(0.02, fill_mode="constant"))
for model in (plain, moved):
    model.fit(x_train, y_train, epochs=10, verbose=0)

x_moved = fastnn.RandomCrop(20, 20, padding=1, seed=1)(x_test).numpy()
accuracies = [model.evaluate(x_moved, y_test, verbose=0)[1] for model in (plain, moved)]
print("Accuracy on moved digits: {:.3f} after training on digits as they are, {:.3f} on moved ones".format(*accuracies))
assert accuracies[1] > accuracies[0] + 0.02
