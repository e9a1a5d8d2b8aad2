"""Programs of tutorials that make and train networks of several kinds."""

from __future__ import annotations

from typing import Any

import numpy as np

from .side import Side, pictures


def mlp(side: Side) -> dict[str, Any]:
    keras = side.keras
    keras.utils.set_random_seed(1)
    x_train, y_train = pictures(200)
    x_test, y_test = pictures(64, seed=1)
    x_train, x_test = x_train.reshape(-1, 144).astype("float32") / 255, x_test.reshape(-1, 144).astype("float32") / 255
    y_train, y_test = keras.utils.to_categorical(y_train, 4), keras.utils.to_categorical(y_test, 4)
    model = keras.models.Sequential()
    model.add(keras.Input(shape=(144,)))
    model.add(keras.layers.Dense(32, activation="relu", kernel_regularizer=keras.regularizers.l2(1e-3)))
    model.add(keras.layers.Dense(32, activation=keras.activations.tanh, kernel_initializer="he_normal"))
    model.add(keras.layers.Dense(4, activation="softmax", name="classes"))
    side.begin(model)
    model.compile(optimizer=keras.optimizers.SGD(0.1, momentum=0.9), loss="categorical_crossentropy", metrics=["accuracy"])
    history = model.fit(x_train, y_train, batch_size=32, epochs=4, verbose=0, validation_split=0.2, shuffle=False)
    loss, accuracy = model.evaluate(x_test, y_test, verbose=0)
    names = [layer.name for layer in model.layers][-1:]
    return {**history.history, "test": [loss, accuracy], "names": names, "count": model.count_params()}


def cnn(side: Side) -> dict[str, Any]:
    keras, layers = side.keras, side.keras.layers
    x, y = pictures(160)
    model = keras.Sequential(
        [
            keras.Input(shape=(12, 12, 1)),
            layers.Rescaling(1.0 / 255),
            layers.Conv2D(8, kernel_size=(3, 3), activation="relu"),
            layers.MaxPool2D(pool_size=(2, 2)),
            layers.Conv2D(8, 3, padding="same", use_bias=False),
            layers.BatchNormalization(),
            layers.Activation("relu"),
            layers.GlobalAvgPool2D(),
            layers.Dense(4),
        ]
    )
    side.begin(model)
    rate = keras.optimizers.schedules.ExponentialDecay(initial_learning_rate=0.01, decay_steps=5, decay_rate=0.9)
    model.compile(
        optimizer=keras.optimizers.Adam(learning_rate=rate, clipnorm=1.0),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=[keras.metrics.SparseCategoricalAccuracy(name="acc")],
    )
    history = model.fit(x[..., None], y, epochs=3, batch_size=32, shuffle=False, verbose=0)
    features = keras.Model(model.inputs, model.get_layer(index=-2).output)
    return {**history.history, "features": features.predict(x[:8, ..., None], verbose=0)}


def text(side: Side) -> dict[str, Any]:
    keras, layers = side.keras, side.keras.layers
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, 120)
    reviews = [list(rng.integers(2 + 20 * c, 30 + 20 * c, rng.integers(5, 30))) for c in y]
    x = keras.utils.pad_sequences(reviews, maxlen=20, padding="post")
    inputs = keras.Input(shape=(None,), dtype="int32")
    embedded = layers.Embedding(60, 16)(inputs)
    pooled = layers.GlobalAveragePooling1D()(embedded)
    outputs = layers.Dense(1, activation="sigmoid")(layers.Dense(16, activation="relu")(pooled))
    model = keras.Model(inputs, outputs, name="reviews")
    side.begin(model)
    model.compile(optimizer="rmsprop", loss="binary_crossentropy", metrics=["accuracy", keras.metrics.AUC(name="auc")])
    history = model.fit(x, y, epochs=5, batch_size=16, shuffle=False, verbose=0, class_weight={0: 1.0, 1: 2.0})
    return {**history.history, "x": x, "predicted": model.predict(x[:5], verbose=0)}


def regression(side: Side) -> dict[str, Any]:
    keras, layers = side.keras, side.keras.layers
    rng = np.random.default_rng(0)
    x = (rng.standard_normal((200, 5)) * [1, 10, 100, 5, 2] + [0, 50, -100, 3, 1]).astype("float32")
    y = x[:, 0] + 0.1 * x[:, 1] + np.sin(x[:, 3])
    normalizer = layers.Normalization(axis=-1)
    normalizer.adapt(x)
    model = keras.Sequential([normalizer, layers.Dense(32, activation="relu"), layers.Dense(1)])
    model.build((None, 5))
    for layer in model.layers[1:]:  # Keras counts the samples of adapt among the weights
        side.begin(layer)
    model.compile(loss="mean_absolute_error", optimizer=keras.optimizers.Adam(0.01), metrics=["mse"])
    history = model.fit(x, y, validation_split=0.25, epochs=6, shuffle=False, verbose=0, validation_freq=2)
    return {**history.history, "test": model.evaluate(x, y, verbose=0, return_dict=True)["mse"]}


def two_inputs(side: Side) -> dict[str, Any]:
    keras, layers = side.keras, side.keras.layers
    rng = np.random.default_rng(0)
    title, tags = rng.integers(0, 50, (96, 6)), rng.integers(0, 2, (96, 8)).astype("float32")
    priority, department = tags[:, :1], rng.integers(0, 3, 96)
    title_input, tags_input = keras.Input((6,), dtype="int32", name="title"), keras.Input((8,), name="tags")
    body = layers.LSTM(12)(layers.Embedding(50, 8)(title_input))
    x = layers.concatenate([body, layers.Dense(8, activation="relu", name="shared")(tags_input)])
    x = keras.ops.relu(layers.Dense(16)(x)) + 0.1
    x = keras.ops.concatenate([x, keras.ops.mean(x, axis=1, keepdims=True)], axis=-1)
    outputs = [layers.Dense(1, name="priority")(x), layers.Dense(3, name="department")(x)]
    model = keras.Model(inputs=[title_input, tags_input], outputs=outputs)
    side.begin(model)
    model.compile(
        optimizer=keras.optimizers.RMSprop(1e-3),
        loss={
            "priority": keras.losses.BinaryCrossentropy(from_logits=True),
            "department": keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        },
        loss_weights={"priority": 1.0, "department": 0.2},
    )
    data = {"title": title, "tags": tags}
    history = model.fit(data, {"priority": priority, "department": department}, epochs=3, verbose=0, shuffle=False)
    return {**history.history, "predicted": model.predict(data, verbose=0)[1]}


def autoencoder(side: Side) -> dict[str, Any]:
    keras, layers = side.keras, side.keras.layers

    class Trained(keras.Model):  # type: ignore[name-defined,misc]
        def __init__(self, encoder: Any, decoder: Any, **kwargs: Any) -> None:
            super().__init__(**kwargs)
            self.encoder, self.decoder = encoder, decoder
            self.loss_tracker = keras.metrics.Mean(name="reconstruction")

        @property
        def metrics(self) -> list[Any]:
            return [self.loss_tracker]

        def call(self, inputs: Any) -> Any:
            return self.decoder(self.encoder(inputs))

        def train_step(self, data: Any) -> dict[str, Any]:
            x = data[0] if isinstance(data, tuple) else data
            self.zero_grad()
            y = self(x, training=True)
            loss = keras.ops.mean(keras.ops.sum(keras.losses.binary_crossentropy(x, y), axis=(1, 2)))
            loss.backward()
            weights = list(self.trainable_weights)
            gradients = [w.value.grad for w in weights]
            with side.no_grad():
                self.optimizer.apply(gradients, weights)
            self.loss_tracker.update_state(loss)
            return {m.name: m.result() for m in self.metrics}

    x = pictures(96)[0][..., None].astype("float32") / 255
    inputs = keras.Input((12, 12, 1))
    h = layers.Conv2D(4, 3, strides=2, padding="same", activation="relu")(inputs)
    encoder = keras.Model(inputs, layers.Dense(6)(layers.Flatten()(h)), name="encoder")
    code = keras.Input((6,))
    h = layers.Reshape((6, 6, 4))(layers.Dense(6 * 6 * 4, activation="relu")(code))
    decoder = keras.Model(code, layers.Conv2DTranspose(1, 3, strides=2, padding="same", activation="sigmoid")(h), name="decoder")
    model = Trained(encoder, decoder)
    model(x[:1])
    side.begin(model)
    model.compile(optimizer=keras.optimizers.Adam(0.005))
    history = model.fit(x, epochs=3, batch_size=32, shuffle=False, verbose=0)
    whole = keras.Model(encoder.input, decoder(encoder.output))
    return {**history.history, "whole": whole.predict(x[:3], verbose=0)}


def time_series(side: Side) -> dict[str, Any]:
    keras, layers = side.keras, side.keras.layers

    class Windows(keras.utils.PyDataset):  # type: ignore[name-defined,misc]
        def __init__(self, series: np.ndarray, steps: int, size: int, **kwargs: Any) -> None:
            super().__init__(**kwargs)
            self.series, self.steps, self.size = series, steps, size

        def __len__(self) -> int:
            return (len(self.series) - self.steps) // self.size

        def __getitem__(self, index: int) -> Any:
            rows = range(index * self.size, (index + 1) * self.size)
            x = np.stack([self.series[i : i + self.steps] for i in rows])
            return x[..., None], self.series[[i + self.steps for i in rows]]

    series = np.sin(np.arange(120) / 5).astype("float32")
    model = keras.Sequential([layers.Input((6, 1)), layers.LSTM(8, return_sequences=True), layers.GRU(6), layers.Dense(1)])
    side.begin(model)
    model.compile(optimizer=keras.optimizers.Adam(0.01), loss=keras.losses.Huber(), metrics=["mae"])
    data = Windows(series, 6, 30)
    history = model.fit(data, epochs=3, shuffle=False, verbose=0, validation_data=data, steps_per_epoch=len(data))
    return {**history.history, "predicted": model.predict(data[0][0], verbose=0)}
