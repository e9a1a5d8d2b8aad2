"""The digit recogniser 400-15-15-15-10 as Keras users write it; only the import line and the prefixes differ."""

import fastnn

model = fastnn.Sequential([
    fastnn.Dense(15, activation='relu', input_shape=(400,)),
    fastnn.Dense(15, activation='relu'),
    fastnn.Dense(15, activation='relu'),
    fastnn.Dense(10, activation='softmax')
])  # fmt: skip

(x_train, y_train), (x_test, y_test) = fastnn.datasets.digits(as_float=True)
model.compile(optimizer="adam", loss="sparse_categorical_crossentropy", metrics=["accuracy"])
model.fit(x_train, y_train, batch_size=32, epochs=30, validation_data=(x_test, y_test))
loss, accuracy = model.evaluate(x_test, y_test)
print(f"Test accuracy: {accuracy:.3f}")
assert accuracy > 0.82
