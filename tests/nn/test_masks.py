"""Masks of time steps: where they come from, how they go through layers, and what losses and metrics do with them."""

import os
from typing import Any

import numpy as np
import pytest

import fastnn
import fastnn.nn as nn
from fastnn.nn.masks import masked

rng = np.random.default_rng(0)
X = rng.standard_normal((5, 6, 3)).astype(np.float32)
for _row, _length in enumerate((6, 3, 1, 0, 4)):
    X[_row, _length:] = 0.0
X[4, 1] = 0.0  # a hole
KEPT = (X != 0).any(-1)


@pytest.fixture
def keras(monkeypatch: pytest.MonkeyPatch) -> Any:
    pytest.importorskip("torch")
    if "KERAS_BACKEND" not in os.environ:
        monkeypatch.setenv("KERAS_BACKEND", "torch")
    return pytest.importorskip("keras")


def mask_of(y: Any) -> Any:
    return None if y.keras_mask is None else y.keras_mask.numpy()


def test_masking_sets_steps_to_0_and_their_mask() -> None:
    x = fastnn.tensor(np.where(KEPT[..., None], X, 7.0).astype(np.float32), requires_grad=True)
    y = fastnn.Masking(7.0)(x)
    assert np.array_equal(y.numpy(), X) and np.array_equal(mask_of(y), KEPT) and mask_of(x) is None
    y.sum().backward()
    assert np.array_equal(x.grad.numpy(), np.broadcast_to(KEPT[..., None], X.shape))


def test_embeddings_mask_index_0() -> None:
    ids = [[3, 0, 1], [0, 0, 2]]
    assert mask_of(fastnn.Embedding(4, 2, mask_zero=True)(ids)).tolist() == [[True, False, True], [False, False, True]]
    assert mask_of(fastnn.Embedding(4, 2)(ids)) is None


@pytest.mark.parametrize("shape", [(0, 3, 2), (2, 0, 2), (1, 1, 1)])
def test_masks_of_sizes_0_and_1(shape: tuple[int, ...]) -> None:
    y = fastnn.GlobalAveragePooling1D()(fastnn.Masking()(fastnn.zeros(shape)))
    assert np.array_equal(y.numpy(), np.zeros((shape[0], shape[2])))


@pytest.mark.parametrize(
    "layer",
    [
        fastnn.Dense(4),
        nn.Linear(3, 2),
        fastnn.Activation("relu"),
        nn.GELU(),
        fastnn.Dropout(0.5),
        fastnn.GaussianNoise(0.1),
        fastnn.SpatialDropout1D(0.5),
        fastnn.LayerNormalization(),
        fastnn.BatchNormalization(),
        nn.LayerNorm(3),
        fastnn.ActivityRegularization(),
        fastnn.Identity(),
        fastnn.Rescaling(2.0),
        fastnn.Residual(fastnn.Dense(3)),
        fastnn.Sequential([fastnn.Dense(3), fastnn.ReLU()]),
        fastnn.PReLU(),
        fastnn.Softmax(),
    ],
    ids=lambda layer: type(layer).__name__,
)
@pytest.mark.parametrize("training", [False, True])
def test_layers_of_single_steps_pass_masks_on(layer: Any, training: bool) -> None:
    y = layer(fastnn.Masking()(fastnn.tensor(X)), training=training)
    assert np.array_equal(mask_of(y), KEPT)
    assert mask_of(layer(fastnn.tensor(X), training=training)) is None


@pytest.mark.parametrize("layer", [nn.BatchNorm2d(3), nn.GroupNorm(1, 3), nn.InstanceNorm2d(3)], ids=repr)
def test_images_with_channels_first_carry_masks(layer: Any) -> None:
    mask = np.array([[True, False, True], [True, True, False]])
    x = masked(fastnn.ones(2, 3, 4, 4), fastnn.tensor(mask))
    assert np.array_equal(mask_of(layer(x)), mask) and mask_of(layer(fastnn.ones(2, 3, 4, 4))) is None


def test_merges_join_masks() -> None:
    a, b = fastnn.Masking()(fastnn.tensor(X)), fastnn.Masking(X[0, 0, 0].item())(fastnn.tensor(X[:, :, :1]))
    both = fastnn.tensor(X)
    assert np.array_equal(mask_of(fastnn.Add()([a, b])), KEPT | mask_of(b))
    assert mask_of(fastnn.Add()([a, both])) is None
    assert np.array_equal(mask_of(fastnn.Concatenate()([a, b])), KEPT | mask_of(b))
    ones = np.ones((5, 6), bool)
    assert np.array_equal(mask_of(fastnn.Concatenate(1)([a, both])), np.concatenate([KEPT, ones], 1))


def test_a_layer_without_use_for_masks_warns_once() -> None:
    class Unused(nn.Flatten):
        pass

    x = fastnn.Masking()(fastnn.tensor(X))
    from fastnn.nn import masks

    masks._warned.discard("Flatten")
    with pytest.warns(UserWarning, match="Flatten: the input has a mask of time steps, which this layer does not use"):
        y = fastnn.Flatten()(x)
    assert mask_of(y) is None
    assert mask_of(fastnn.Flatten()(x)) is None  # a second warning would be an error
    assert mask_of(Unused()(x)) is None  # a user's own class decides for itself


def test_own_layers_get_masks_and_make_them() -> None:
    class Ends(nn.Module):
        supports_masking = True

        def forward(self, x: Any, scale: float = 1.0, mask: Any = None) -> Any:
            self.seen = mask
            return x[:, 1:] * scale

        def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
            return previous_mask[:, 1:]

    layer, x = Ends(), fastnn.Masking()(fastnn.tensor(X))
    assert np.array_equal(mask_of(layer(x)), KEPT[:, 1:]) and np.array_equal(layer.seen.numpy(), KEPT)
    layer(x, 2.0)
    assert np.array_equal(layer.seen.numpy(), KEPT)
    own = fastnn.tensor(~KEPT)
    layer(x, mask=own)
    assert layer.seen is own
    layer(x, 2.0, own)
    assert layer.seen is own
    layer(fastnn.tensor(X))
    assert layer.seen is None
    with pytest.raises(ValueError, match=r"a mask of shape \(5, 6\) for a Tensor of shape \(5, 3\)"):
        masked(fastnn.zeros(5, 3), own)


@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
@pytest.mark.parametrize("keepdims", [False, True])
def test_mean_over_the_steps_that_are_data(keras: Any, data_format: str, keepdims: bool) -> None:
    rows = np.flatnonzero(KEPT.any(1))  # Keras gives NaN for a sample without steps
    x = X if data_format == "channels_last" else np.ascontiguousarray(X.transpose(0, 2, 1))
    layer = fastnn.GlobalAveragePooling1D(data_format, keepdims)
    y = layer(fastnn.tensor(x), mask=fastnn.tensor(KEPT)).numpy()
    wanted = keras.layers.GlobalAveragePooling1D(data_format, keepdims)(x[rows], mask=KEPT[rows])
    assert np.allclose(y[rows], wanted, atol=1e-6) and not y[3].any()
    with pytest.raises(ValueError, match=r"mask has shape \(5, 3\)"):
        layer(fastnn.tensor(x), mask=fastnn.tensor(KEPT[:, :3]))


def sequence_model(functional: bool) -> Any:
    fastnn.seed(1)
    layers = [fastnn.Masking(), fastnn.Dense(4, "tanh"), fastnn.Dense(2, "softmax")]
    if not functional:
        return fastnn.Sequential([fastnn.Input((6, 3)), *layers])
    y = x = fastnn.Input((6, 3))
    for layer in layers:
        y = layer(y)
    return fastnn.Model(x, y)


@pytest.mark.parametrize("functional", [False, True])
def test_fit_and_evaluate_leave_masked_steps_out(keras: Any, functional: bool) -> None:
    labels = rng.integers(0, 2, (5, 6))
    model = sequence_model(functional)
    peer = keras.Sequential([keras.Input((6, 3)), keras.layers.Masking(), keras.layers.Dense(4, "tanh")])
    peer.add(keras.layers.Dense(2, "softmax"))
    peer.set_weights(model.get_weights())
    for m, optimizer in ((model, "sgd"), (peer, "sgd")):
        m.compile(optimizer, loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    ours = [model.evaluate(X, labels), *(model.fit(X, labels, epochs=1, verbose=0, batch_size=5) and () for _ in range(6))]
    theirs = peer.evaluate(X, labels, verbose=0)
    peer.fit(X, labels, epochs=6, batch_size=5, verbose=0)
    assert np.allclose(ours[0], theirs, atol=1e-6)
    for a, b in zip(model.get_weights(), peer.get_weights(), strict=True):
        assert np.allclose(a, b, atol=1e-6)
    noise = np.where(KEPT, labels, 1 - labels)  # labels of padding do not matter
    assert model.evaluate(X, noise) == model.evaluate(X, labels)


def test_recorded_steps_compute_masks_again() -> None:
    histories = []
    data = rng.standard_normal((64, 6, 3)).astype(np.float32)
    data[rng.random((64, 6)) < 0.4] = 0.0
    y = data.sum(-1, keepdims=True)
    for capture in (True, False):
        model = sequence_model(False)
        model.add(fastnn.Dense(1))

        class Eager(fastnn.callbacks.Callback):  # a callback between batches keeps the steps from being recorded
            def on_train_batch_end(self, batch: int, logs: Any = None) -> None: ...

        model.compile("adam", loss="mse", metrics=["mae"])
        callbacks = [] if capture else [Eager()]
        fastnn.seed(2)
        histories.append(model.fit(data, y, epochs=4, batch_size=8, verbose=0, callbacks=callbacks).history)
    assert histories[0] == histories[1]


def test_frozen_models_compute_masks() -> None:
    model = fastnn.Sequential([fastnn.Input((6, 3)), fastnn.Masking(), fastnn.Dense(4), fastnn.GlobalAveragePooling1D()])
    frozen = model.freeze(batch_size=5)
    for x in (X, -X, np.zeros_like(X)):
        assert np.allclose(frozen(x), model.predict(x), atol=1e-6)
