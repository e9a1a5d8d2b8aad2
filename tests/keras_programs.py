"""Programs as tutorials of Keras have them. They take Keras or fastnn.keras, and what differs between the two."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np


class Side(NamedTuple):
    """One of the two libraries."""

    keras: Any
    begin: Any
    """Sets the weights of a model to those that the first side began with."""
    folder: Path
    file: str
    """Ending of files of models."""
    weights_file: str
    """Ending of files of weights."""
    no_grad: type[AbstractContextManager[Any]]


def pictures(n: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return pictures of 12x12 in which the class is the place of a bright square."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 4, n)
    x = rng.integers(0, 80, (n, 12, 12)).astype("uint8")
    for i, c in enumerate(y):
        x[i, 6 * (c // 2) + 1 : 6 * (c // 2) + 5, 6 * (c % 2) + 1 : 6 * (c % 2) + 5] += 150
    return x, y


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


def custom_layer(side: Side) -> dict[str, Any]:
    keras, ops = side.keras, side.keras.ops

    class Linear(keras.layers.Layer):  # type: ignore[name-defined,misc]
        def __init__(self, units: int = 32, factor: float = 1e-2, **kwargs: Any) -> None:
            super().__init__(**kwargs)
            self.units, self.factor = units, factor

        def build(self, input_shape: Any) -> None:
            self.w = self.add_weight(shape=(input_shape[1], self.units), initializer="glorot_uniform", trainable=True, name="w")
            self.b = self.add_weight(shape=(self.units,), initializer="zeros", trainable=True, name="b")

        def call(self, inputs: Any, training: bool = False) -> Any:
            y = ops.matmul(inputs, self.w) + self.b
            self.add_loss(self.factor * ops.mean(ops.square(y)))
            return ops.maximum(y, 0.0)

        def get_config(self) -> dict[str, Any]:
            config = super().get_config()
            config.update({"units": self.units, "factor": self.factor})
            return config

    class Net(keras.Model):  # type: ignore[name-defined,misc]
        def __init__(self, **kwargs: Any) -> None:
            super().__init__(**kwargs)
            self.hidden, self.last = Linear(16, name="hidden"), keras.layers.Dense(2)

        def call(self, inputs: Any) -> Any:
            return self.last(self.hidden(inputs))

    rng = np.random.default_rng(0)
    x = rng.standard_normal((64, 6)).astype("float32")
    y = x[:, :2] * 2
    model = Net(name="net")
    model(x[:1])
    side.begin(model)
    model.compile(keras.optimizers.Adam(0.01), loss="mse", run_eagerly=True)
    history = model.fit(x, y, epochs=4, batch_size=16, shuffle=False, verbose=0)
    again = Linear.from_config(model.hidden.get_config())
    names = [again.name, again.units, len(model.trainable_weights)]
    return {**history.history, "names": names, "losses": [float(v) for v in model.losses]}


def custom_loop(side: Side) -> dict[str, Any]:
    keras = side.keras
    x, y = pictures(128)
    x = x.reshape(-1, 144).astype("float32") / 255
    inputs = keras.Input(shape=(144,), name="digits")
    hidden = keras.layers.Dense(16, activation="relu")(inputs)
    model = keras.Model(inputs=inputs, outputs=keras.layers.Dense(4)(hidden))
    side.begin(model)
    optimizer = keras.optimizers.Adam(learning_rate=1e-2)
    loss_fn = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    accuracy = keras.metrics.SparseCategoricalAccuracy()
    losses, accuracies = [], []
    for _ in range(2):
        for i in range(0, 128, 32):
            targets = keras.ops.convert_to_tensor(y[i : i + 32])
            logits = model(x[i : i + 32], training=True)
            loss = loss_fn(targets, logits)
            model.zero_grad()
            loss.backward()
            weights = list(model.trainable_weights)
            gradients = [w.value.grad for w in weights]
            with side.no_grad():
                optimizer.apply(gradients, weights)
            accuracy.update_state(targets, logits)
            losses.append(float(loss))
        accuracies.append(float(accuracy.result()))
        accuracy.reset_state()
    return {"losses": losses, "accuracies": accuracies}


def callbacks(side: Side) -> dict[str, Any]:
    keras = side.keras
    seen: list[Any] = []

    class Log(keras.callbacks.Callback):  # type: ignore[name-defined,misc]
        def on_train_begin(self, logs: Any = None) -> None:
            seen.append(sorted(logs or ()))

        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            seen.append((epoch, sorted(logs or ())))
            if epoch == 6:
                self.model.stop_training = True

    rng = np.random.default_rng(0)
    x = rng.standard_normal((80, 4)).astype("float32")
    y = (x.sum(1) > 0).astype("int64")
    model = keras.Sequential(
        [keras.layers.Input((4,)), keras.layers.Dense(8, activation="elu"), keras.layers.Dense(1, "sigmoid")]
    )
    side.begin(model)
    model.compile("adam", keras.losses.BinaryCrossentropy(), metrics=[keras.metrics.BinaryAccuracy()])
    best = str(side.folder / f"best{side.file}")
    rates: list[float] = []
    history = model.fit(
        x,
        y,
        epochs=20,
        batch_size=20,
        shuffle=False,
        verbose=0,
        validation_data=(x[:20], y[:20]),
        callbacks=[
            keras.callbacks.LearningRateScheduler(lambda epoch, lr: 0.02 if epoch < 2 else lr * 0.9),
            keras.callbacks.EarlyStopping(monitor="val_loss", patience=5, restore_best_weights=True),
            keras.callbacks.ModelCheckpoint(filepath=best, save_best_only=True, monitor="val_loss"),
            keras.callbacks.LambdaCallback(
                on_epoch_end=lambda e, logs: rates.append(float(np.asarray(model.optimizer.learning_rate)))
            ),
            keras.callbacks.CSVLogger(str(side.folder / "log.csv")),
            keras.callbacks.TerminateOnNaN(),
            Log(),
        ],
    )
    loaded = keras.models.load_model(best)
    return {
        **{key: value for key, value in history.history.items() if key != "learning_rate"},
        "rates": rates,
        "predicted": loaded.predict(x[:5], verbose=0),
        "rows": len((side.folder / "log.csv").read_text().splitlines()),
        "seen": len(seen),
    }


def save_and_load(side: Side) -> dict[str, Any]:
    keras = side.keras

    @keras.saving.register_keras_serializable(package=f"programs{side.file}")
    class Scale(keras.layers.Layer):  # type: ignore[name-defined,misc]
        def __init__(self, factor: float, **kwargs: Any) -> None:
            super().__init__(**kwargs)
            self.factor = factor

        def call(self, inputs: Any) -> Any:
            return inputs * self.factor

        def get_config(self) -> dict[str, Any]:
            return {**super().get_config(), "factor": self.factor}

    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((40, 3)).astype("float32"), rng.standard_normal((40, 1)).astype("float32")
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(8, activation="gelu"), Scale(0.5), keras.layers.Dense(1)])
    side.begin(model)
    model.compile(optimizer="adam", loss="mse")
    model.fit(x, y, epochs=2, shuffle=False, verbose=0)
    path = str(side.folder / f"model{side.file}")
    model.save(path)
    again = keras.models.load_model(path)
    again.fit(x, y, epochs=2, shuffle=False, verbose=0)  # goes on with the state of the optimizer
    weights = str(side.folder / f"model{side.weights_file}")
    again.save_weights(weights)
    model.load_weights(weights)
    clone = keras.models.clone_model(model)
    clone.set_weights(model.get_weights())
    made = keras.Sequential.from_config(model.get_config())
    return {
        "again": again.predict(x[:5], verbose=0),
        "model": model.predict(x[:5], verbose=0),
        "clone": clone.predict(x[:5], verbose=0),
        "made": made.count_params(),
    }


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


def own_loss_and_metric(side: Side) -> dict[str, Any]:
    keras, ops = side.keras, side.keras.ops

    def squared(y_true: Any, y_pred: Any) -> Any:
        return ops.mean(ops.square(y_true - y_pred), axis=-1)

    class Share(keras.losses.Loss):  # type: ignore[name-defined,misc]
        def __init__(self, share: float = 0.9, name: str = "share") -> None:
            super().__init__(name=name)
            self.share = share

        def call(self, y_true: Any, y_pred: Any) -> Any:
            error = y_true - y_pred
            return ops.mean(ops.maximum(self.share * error, (self.share - 1) * error), axis=-1)

    class Positives(keras.metrics.Metric):  # type: ignore[name-defined,misc]
        def __init__(self, name: str = "positives", **kwargs: Any) -> None:
            super().__init__(name=name, **kwargs)
            self.count = self.add_variable(shape=(), initializer="zeros", name="count")

        def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
            self.count.assign(self.count + ops.sum(ops.cast(ops.greater(y_pred, 0.5), "float32")))

        def result(self) -> Any:
            return self.count

        def reset_state(self) -> None:
            self.count.assign(0.0)

    rng = np.random.default_rng(0)
    x = rng.standard_normal((60, 3)).astype("float32")
    y = (x.sum(1, keepdims=True) > 0).astype("int64")  # in a custom Loss, Keras broadcasts (n,) and (n, 1)
    results = {}
    for name, loss in (("function", squared), ("class", Share())):
        model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(4, activation=lambda v: v * 0.5), keras.layers.Dense(1)])
        side.begin(model)
        model.compile(keras.optimizers.SGD(0.1), loss=loss, metrics=[Positives()], run_eagerly=True)
        batches = ((x[i : i + 20], y[i : i + 20]) for _ in range(3) for i in (0, 20, 40))
        history = model.fit(batches, steps_per_epoch=3, epochs=3, shuffle=False, verbose=0)
        results.update({f"{name} {key}": value for key, value in history.history.items()})
    return results


PROGRAMS = [
    *(mlp, cnn, text, regression, two_inputs, custom_layer, custom_loop, callbacks, save_and_load, autoencoder, time_series),
    own_loss_and_metric,
]
