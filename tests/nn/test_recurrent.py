"""Recurrent layers with Keras's names: outputs, states and gradients beside Keras, masks, lengths, states that are kept."""

from typing import Any

import numpy as np
import pytest
from recurrent_peers import HOLES, KINDS, LENGTHS, PADDED, F, H, N, T, X, close, keras_on_torch, pair, rng, same_weights

import fastnn

OPTIONS: list[tuple[str, dict[str, Any]]] = [
    *((kind, {}) for kind in KINDS),
    *((kind, {"activation": "softsign"}) for kind in KINDS),
    *((kind, {"go_backwards": True, "use_bias": False}) for kind in KINDS),
    ("SimpleRNN", {"activation": "relu"}),
    ("SimpleRNN", {"activation": "elu"}),
    ("LSTM", {"recurrent_activation": "hard_sigmoid", "unit_forget_bias": False}),
    ("GRU", {"reset_after": False}),
    ("GRU", {"reset_after": False, "activation": "relu"}),
    ("GRU", {"recurrent_activation": "hard_sigmoid", "use_bias": False}),
]


@pytest.fixture
def keras(monkeypatch: pytest.MonkeyPatch) -> Any:
    return keras_on_torch(monkeypatch)


@pytest.mark.parametrize("mask", [None, HOLES], ids=["all", "holes"])
@pytest.mark.parametrize(("kind", "options"), OPTIONS, ids=[f"{k}-{'-'.join(map(str, o))}" for k, o in OPTIONS])
def test_outputs_states_and_gradients_beside_keras(keras: Any, kind: str, options: dict[str, Any], mask: Any) -> None:
    import torch

    both = [pair(keras, kind, return_sequences=whole, return_state=True, **options) for whole in (True, False)]
    for ours, theirs in both:
        x, x2 = fastnn.tensor(X, requires_grad=True), torch.tensor(X, requires_grad=True)
        got, wanted = ours(x, mask=mask), theirs(x2, mask=mask)
        close(got, wanted)
        factors = [np.random.default_rng(i).standard_normal(t.shape).astype(np.float32) for i, t in enumerate(got)]
        sum((t * f).sum() for t, f in zip(got, factors, strict=True)).backward()
        sum((t * torch.tensor(f)).sum() for t, f in zip(wanted, factors, strict=True)).backward()
        np.testing.assert_allclose(x.grad.numpy(), x2.grad, atol=1e-5)
        for p, v in zip(ours.parameters(), theirs.trainable_variables, strict=True):
            np.testing.assert_allclose(p.grad.numpy(), v.value.grad, atol=2e-5)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("activation", ["tanh", "softsign"])
def test_gradients_in_float64(kind: str, activation: str) -> None:
    layer = getattr(fastnn, kind)(2, activation, return_sequences=True, return_state=True, dtype="float64", input_shape=(3, 2))
    x = fastnn.tensor(rng.standard_normal((3, 3, 2)), requires_grad=True)
    states = [fastnn.tensor(rng.standard_normal((3, 2)), requires_grad=True) for _ in range(1 + (kind == "LSTM"))]

    def value(x: Any, *states: Any, **how: Any) -> Any:
        return fastnn.concatenate([t.reshape(-1) for t in layer(x, list(states), **how)])

    inputs = (x, *states)
    assert fastnn.gradcheck(lambda *a: value(*a, lengths=[3, 1, 0]), inputs)
    assert fastnn.gradcheck(lambda *a: value(*a, mask=[[True, False, True], [False, True, False], [False] * 3]), inputs)


def alone(layer: Any, x: Any, lengths: Any) -> list[Any]:
    """Return the results of each sample by itself, without padding."""
    return [layer(fastnn.tensor(np.ascontiguousarray(row[None, :n]))) for row, n in zip(x, lengths, strict=True)]


@pytest.mark.parametrize("activation", ["tanh", "softsign"])
@pytest.mark.parametrize("kind", [*KINDS, "stack", "Bidirectional"])
def test_padded_sequences_are_as_each_alone(kind: str, activation: str) -> None:
    fastnn.seed(0)
    settings: dict[str, Any] = {"return_sequences": True, "return_state": True}
    layer: Any
    if kind == "stack":
        layer = fastnn.RNN([fastnn.GRUCell(H, activation), fastnn.LSTMCell(2, activation)], **settings)
    elif kind == "Bidirectional":
        layer = fastnn.Bidirectional(fastnn.LSTM(H, activation, **settings))
    else:
        layer = getattr(fastnn, kind)(H, activation, **settings)
    noisy = X.copy()
    noisy[~PADDED] = np.nan  # padding is not read
    for how in ({"lengths": LENGTHS}, {"mask": PADDED}):
        given = noisy if "lengths" in how and activation == "tanh" and kind != "stack" else X
        y, *states = layer(fastnn.tensor(given), **how)
        for i, (one, n) in enumerate(zip(alone(layer, X, LENGTHS), LENGTHS, strict=True)):
            np.testing.assert_allclose(y.numpy()[i, :n], one[0].numpy()[0], atol=1e-6)
            if "lengths" in how:
                assert not y.numpy()[i, n:].any()
            for a, b in zip(fastnn.core.tree.flatten(states)[1], fastnn.core.tree.flatten(list(one[1:]))[1], strict=True):
                np.testing.assert_allclose(a.numpy()[i], b.numpy()[0], atol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("activation", ["tanh", "softsign"])
def test_step_by_step_is_the_whole_sequence(kind: str, activation: str) -> None:
    layer = getattr(fastnn, kind)(H, activation, return_sequences=True, return_state=True)
    whole, *last = layer(fastnn.tensor(X))
    states: Any = None
    cell_states: Any = layer.cell.get_initial_state(N)
    for t in range(T):
        y, *states = layer(fastnn.tensor(np.ascontiguousarray(X[:, t : t + 1])), states)
        np.testing.assert_allclose(y.numpy()[:, 0], whole.numpy()[:, t], atol=1e-6)
        y, cell_states = layer.cell(fastnn.tensor(np.ascontiguousarray(X[:, t])), cell_states)
        np.testing.assert_allclose(y.numpy(), whole.numpy()[:, t], atol=1e-6)
    close(states, [t.numpy() for t in last])
    close(cell_states, [t.numpy() for t in last])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", [(0, 3, 2), (2, 0, 2), (1, 1, 1)])
@pytest.mark.parametrize("activation", ["tanh", "softsign"])
def test_sizes_0_and_1(kind: str, shape: tuple[int, ...], activation: str) -> None:
    n, steps, features = shape
    layer = getattr(fastnn, kind)(3, activation, return_sequences=True, return_state=True, input_shape=(None, features))
    for how in ({}, {"mask": np.ones((n, steps), bool)}, {"lengths": np.full(n, steps)}):
        y, *states = layer(fastnn.zeros(shape), **how)
        assert y.shape == (n, steps, 3) and all(s.shape == (n, 3) for s in states)


# ---- cells ----


class Running(fastnn.Module):
    """Custom cell: the sum of the inputs so far, and the number of steps."""

    state_size = (2, 1)
    output_size = 2

    def call(self, x: Any, states: Any) -> Any:
        total, steps = states
        total, steps = total + x[:, :2], steps + 1.0
        return total / steps, [total, steps]


@pytest.mark.parametrize("go_backwards", [False, True])
def test_a_cell_of_ones_own(go_backwards: bool) -> None:
    layer = fastnn.RNN(Running(), return_sequences=True, return_state=True, go_backwards=go_backwards)
    y, total, steps = layer(fastnn.tensor(X), lengths=LENGTHS)
    assert steps.tolist() == [[float(n)] for n in LENGTHS]
    np.testing.assert_allclose(total.numpy(), (X[..., :2] * PADDED[..., None]).sum(1), atol=1e-6)
    whole = y.numpy()[:, ::-1] if go_backwards else y.numpy()
    for row, kept, n in zip(X, whole, LENGTHS, strict=True):
        part = row[:n, :2][::-1] if go_backwards else row[:n, :2]
        mean = part.cumsum(0) / np.arange(1, n + 1)[:, None]
        np.testing.assert_allclose(kept[:n], mean[::-1] if go_backwards else mean, atol=1e-6)
        assert not kept[n:].any()
    y, _, steps = layer(fastnn.tensor(X), mask=HOLES)
    assert steps.tolist() == [[float(n)] for n in HOLES.sum(1)] and not y.numpy()[2].any()


def test_cells_on_top_of_each_other_beside_keras(keras: Any) -> None:
    def cells(of: Any) -> list[Any]:
        return [of.GRUCell(H, reset_after=False), of.LSTMCell(4, activation="softsign"), of.SimpleRNNCell(3)]

    for mask in (None, HOLES):
        ours = fastnn.RNN(cells(fastnn), return_sequences=True, return_state=True)
        theirs = keras.layers.RNN(cells(keras.layers), return_sequences=True, return_state=True)
        same_weights(ours, theirs)
        close(ours(fastnn.tensor(X), mask=mask), theirs(X, mask=mask))
    zero = fastnn.RNN(ours.cell, return_sequences=True, zero_output_for_mask=True)(fastnn.tensor(X), mask=HOLES)
    whole = ours(fastnn.tensor(X), mask=HOLES)[0].numpy()
    np.testing.assert_allclose(zero.numpy(), np.where(HOLES[..., None], whole, 0.0), atol=1e-7)


def test_one_cell_in_two_places() -> None:
    cell = fastnn.GRUCell(F)
    a, b = fastnn.RNN(cell, return_sequences=True), fastnn.RNN(cell)
    x = fastnn.Input((T, F))
    model = fastnn.Model(x, b(a(x)))
    assert len(model.get_weights()) == 3
    model(fastnn.tensor(X)).sum().backward()
    both = cell.kernel.grad.numpy().copy()
    model.zero_grad()
    z = a(fastnn.tensor(X))
    leaf = fastnn.tensor(z.numpy(), requires_grad=True)
    b(leaf).sum().backward()
    second = cell.kernel.grad.numpy().copy()
    z.backward(leaf.grad.numpy())
    np.testing.assert_allclose(cell.kernel.grad.numpy(), both, atol=1e-5)
    assert not np.allclose(second, both, atol=1e-3)  # it is the sum of both places


def test_initial_values() -> None:
    layer = fastnn.LSTM(8, input_shape=(None, 4))
    u, bias = layer.cell.recurrent_kernel.numpy(), layer.cell.bias.numpy()
    np.testing.assert_allclose(u @ u.T, np.eye(8), atol=1e-5)
    assert bias.tolist() == [0.0] * 8 + [1.0] * 8 + [0.0] * 16
    assert not fastnn.LSTM(8, unit_forget_bias=False, input_shape=(None, 4)).cell.bias.numpy().any()
    assert fastnn.GRU(8, input_shape=(None, 4)).cell.bias.shape == (2, 24)


# ---- dropout ----


@pytest.mark.parametrize("kind", KINDS)
def test_dropout_is_the_same_in_all_steps(kind: str) -> None:
    fastnn.seed(3)
    layer = getattr(fastnn, kind)(64, dropout=0.5, recurrent_dropout=0.25, return_sequences=True, input_shape=(None, 40))
    inputs, state = layer.cell.masks(50)
    assert set(np.unique(inputs.numpy())) == {0.0, 2.0} and inputs.shape == (50, 40)
    assert len(np.unique(state.numpy())) == 2 and abs((state.numpy() == 0).mean() - 0.25) < 0.03
    x = fastnn.tensor(np.random.default_rng(0).standard_normal((2, 5, 40)).astype(np.float32))
    layer.cell.masks = lambda n: (inputs[:n], state[:n])
    y = layer(x)
    layer.cell.masks = lambda n: (None, state[:n])
    np.testing.assert_allclose(layer(x * inputs[:2].reshape(2, 1, 40)).numpy(), y.numpy(), atol=1e-6)
    del layer.cell.masks
    assert not np.array_equal(layer(x).numpy(), layer(x).numpy())
    layer.eval()
    assert np.array_equal(layer(x).numpy(), layer(x).numpy())
    layer.train().dropout = layer.recurrent_dropout = 0.0
    assert np.array_equal(layer(x).numpy(), layer(x).numpy())


def test_steps_with_dropout_are_recorded() -> None:
    class Eager(fastnn.callbacks.Callback):  # a callback between batches keeps the steps from being recorded
        def on_train_batch_end(self, batch: int, logs: Any = None) -> None: ...

    x = rng.standard_normal((48, T, F)).astype(np.float32)
    x[rng.random((48, T)) < 0.3] = 0.0
    histories = []
    for callbacks in ([], [Eager()]):
        fastnn.seed(1)
        layers = [
            fastnn.Masking(),
            fastnn.Bidirectional(fastnn.GRU(4, dropout=0.2, recurrent_dropout=0.2, return_sequences=True)),
        ]
        model = fastnn.Sequential([fastnn.Input((T, F)), *layers, fastnn.LSTM(3, "softsign", dropout=0.1), fastnn.Dense(1)])
        model.compile("adam", "mse")
        histories.append(model.fit(x, x.sum((1, 2))[:, None], epochs=3, batch_size=8, verbose=0, callbacks=callbacks).history)
    assert histories[0] == histories[1]


# ---- directions and steps ----


@pytest.mark.parametrize("merge_mode", ["concat", "sum", "mul", "ave", None])
@pytest.mark.parametrize("whole", [True, False])
@pytest.mark.parametrize("mask", [None, HOLES], ids=["all", "holes"])
def test_both_directions_beside_keras(keras: Any, merge_mode: Any, whole: bool, mask: Any) -> None:
    def both(of: Any) -> Any:
        return of.Bidirectional(of.LSTM(H, return_sequences=whole, return_state=True), merge_mode)

    ours, theirs = same_weights(both(fastnn), both(keras.layers))
    close(ours(fastnn.tensor(X), mask=mask), theirs(X, mask=mask))
    states = [rng.standard_normal((N, H)).astype(np.float32) for _ in range(4)]
    close(ours(fastnn.tensor(X), states), theirs(X, initial_state=list(map(keras.ops.convert_to_tensor, states))))


@pytest.mark.parametrize("whole", [True, False])
def test_both_directions_of_a_backward_layer(keras: Any, whole: bool) -> None:
    def both(of: Any) -> Any:
        layer = of.GRU(H, return_sequences=whole, go_backwards=True)
        return of.Bidirectional(layer, backward_layer=of.GRU(H, return_sequences=whole))

    ours, theirs = same_weights(both(fastnn), both(keras.layers))
    close(ours(fastnn.tensor(X)), theirs(X))


def test_a_backward_layer_of_its_own() -> None:
    layer = fastnn.Bidirectional(
        fastnn.GRU(3, return_sequences=True), backward_layer=fastnn.LSTM(2, return_sequences=True, go_backwards=True)
    )
    y = layer(fastnn.tensor(X), lengths=LENGTHS).numpy()
    assert y.shape == (N, T, 5) and layer.output_shape((T, F)) == (T, 5)
    for i, n in enumerate(LENGTHS):
        row = fastnn.tensor(np.ascontiguousarray(X[i : i + 1, :n]))
        np.testing.assert_allclose(y[i, :n, :3], layer.forward_layer(row).numpy()[0], atol=1e-6)
        np.testing.assert_allclose(y[i, :n, 3:], layer.backward_layer(row).numpy()[0, ::-1], atol=1e-6)


def test_initial_weights_of_both_directions() -> None:
    values = [rng.standard_normal(s).astype(np.float32) for s in ((F, H), (H, H), (H,)) * 2]
    layer = fastnn.Bidirectional(fastnn.SimpleRNN(H), weights=values)
    layer(fastnn.tensor(X))
    for a, b in zip(layer.get_weights(), values, strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_layer_for_each_step(keras: Any) -> None:
    ours, theirs = same_weights(
        fastnn.TimeDistributed(fastnn.Dense(4, "tanh")), keras.layers.TimeDistributed(keras.layers.Dense(4, "tanh"))
    )
    close(ours(fastnn.tensor(X)), theirs(X))
    y = ours(fastnn.Masking()(fastnn.tensor(np.where(HOLES[..., None], X, 0.0).astype(np.float32))))
    assert np.array_equal(y.keras_mask.numpy(), HOLES) and ours.output_shape((None, F)) == (None, 4)
    assert ours(fastnn.zeros(0, 3, F)).shape == (0, 3, 4) and ours(fastnn.zeros(3, 0, F)).shape == (3, 0, 4)
    images = fastnn.Sequential([fastnn.Input((2, 5, 5, 1)), fastnn.TimeDistributed(fastnn.Conv2D(3, 2)), fastnn.Flatten()])
    assert images.predict(np.ones((2, 2, 5, 5, 1), np.float32)).shape == (2, 2 * 4 * 4 * 3)


# ---- states that are kept ----


def test_a_model_of_padded_tokens_beside_keras(keras: Any) -> None:
    def made(model: Any, layers: Any, optimizer: Any) -> Any:
        table, both = layers.Embedding(20, 4, mask_zero=True), layers.Bidirectional(layers.LSTM(H, return_sequences=True))
        own = model(
            [layers.Input((7,), dtype="int64"), table, both, layers.GRU(4, return_sequences=True), layers.Dense(3, "softmax")]
        )
        own.compile(optimizer, loss="sparse_categorical_crossentropy", metrics=["accuracy"])
        return own

    draw = np.random.default_rng(0)
    ids, labels = draw.integers(1, 20, (32, 7)), draw.integers(0, 3, (32, 7))
    ids[np.arange(7) >= draw.integers(0, 8, 32)[:, None]] = 0
    ours = made(fastnn.Sequential, fastnn, fastnn.optim.SGD(lr=0.5))
    theirs = made(keras.Sequential, keras.layers, keras.optimizers.SGD(0.5))
    theirs.set_weights(ours.get_weights())
    np.testing.assert_allclose(ours.evaluate(ids, labels), theirs.evaluate(ids, labels, verbose=0), atol=1e-6)
    for model in (ours, theirs):
        model.fit(ids, labels, epochs=4, batch_size=32, verbose=0)
    for a, b in zip(ours.get_weights(), theirs.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)


def test_keywords_in_a_graph() -> None:
    x, h = fastnn.Input((T, F)), fastnn.Input((H,))
    layer = fastnn.GRU(H)
    y = fastnn.Model([x, h], layer(x, initial_state=h)).predict([X, np.ones((N, H))])
    np.testing.assert_array_equal(y, layer(fastnn.tensor(X), [np.ones((N, H))]).numpy())
    with pytest.raises(TypeError, match="forward takes no argument 'state' by keyword in a call on symbols"):
        layer(x, state=h)


def test_masks_of_outputs() -> None:
    x = fastnn.Masking()(fastnn.tensor(np.where(HOLES[..., None], X, 0.0).astype(np.float32)))
    y, h = fastnn.GRU(3, return_sequences=True, return_state=True)(x)
    assert np.array_equal(y.keras_mask.numpy(), HOLES) and h.keras_mask is None
    assert fastnn.GRU(3)(x).keras_mask is None
    backwards = fastnn.GRU(3, return_sequences=True, go_backwards=True)(x)
    assert np.array_equal(backwards.keras_mask.numpy(), HOLES[:, ::-1])


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: fastnn.LSTM(0), ValueError, "^LSTM: units is 0"),
        (lambda: setattr(fastnn.GRU(3), "dropout", 1.5), ValueError, "^GRU: dropout is 1.5"),
        (lambda: setattr(fastnn.GRU(3, input_shape=(2, 2)), "units", 4), AttributeError, "^GRU: units is fixed"),
        (lambda: fastnn.LSTM(3, dropout=1.5), ValueError, "^LSTM: dropout is 1.5"),
        (lambda: fastnn.LSTM(3, input_shape=(4,)), ValueError, r"LSTM: input_shape is \(4,\), wanted \(steps, features\)"),
        (lambda: fastnn.LSTM(3, use_cudnn="no"), ValueError, "LSTM: use_cudnn is 'no'"),
        (lambda: fastnn.LSTM(3)(X[0]), ValueError, r"LSTM: (x|sequences) has shape \(4, 3\)"),
        (lambda: fastnn.GRU(3, input_shape=(None, 2))(X), ValueError, r"GRU: (x|sequences) has shape \(4, 4, 3\)"),
        (lambda: fastnn.GRU(3)(X, lengths=[1, 2]), ValueError, r"GRU: lengths of int64 \(2,\) came"),
        (lambda: fastnn.GRU(3)(X, lengths=LENGTHS, mask=PADDED), ValueError, "GRU: a mask and lengths came"),
        (lambda: fastnn.GRU(3)(X, mask=PADDED[:, :2]), ValueError, r"GRU: mask has shape \(4, 2\)"),
        (lambda: fastnn.LSTM(3)(X, [np.zeros((4, 3))]), ValueError, r"LSTM: initial_state has shapes \(4, 3\), wanted"),
        (lambda: fastnn.RNN(fastnn.Dense(3)), ValueError, "RNN: the cell Dense has no state_size"),
        (lambda: fastnn.RNN(3), TypeError, "RNN: int came as a cell"),
        (lambda: fastnn.RNN([]), ValueError, "StackedRNNCells: cells is"),
        (lambda: fastnn.GRUCell(3)(X, np.zeros((4, 3))), ValueError, r"GRUCell: (x|sequence) has shape \(4, 4, 3\)"),
        (lambda: fastnn.GRUCell(3)(X[:, 0], [np.zeros((4, 2))]), ValueError, r"GRUCell: states of shapes \(4, 2\) came"),
        (lambda: fastnn.Bidirectional(fastnn.Dense(3)), TypeError, "Bidirectional: layer is a Dense"),
        (lambda: fastnn.Bidirectional(fastnn.GRU(3), "max"), ValueError, "Bidirectional: merge_mode is 'max'"),
        (lambda: fastnn.Bidirectional(fastnn.GRU(3), backward_layer=fastnn.GRU(3)), ValueError, "both layers have go_backwards"),
        (lambda: fastnn.TimeDistributed(fastnn.Dense(2))(X[0]), ValueError, r"TimeDistributed: x has shape \(4, 3\)"),
    ],
)
def test_errors(call: Any, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        call()
