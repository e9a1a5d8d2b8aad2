"""Programs of tutorials with custom layers, loops and losses, callbacks and files."""

from __future__ import annotations

from typing import Any

import numpy as np

from .side import Side, pictures


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
