"""States of recurrent layers that are kept from call to call: stateful layers, frozen models, states as inputs."""

import itertools
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from recurrent_peers import LENGTHS, F, H, N, T, X, close, keras_on_torch, rng

import fastnn


@pytest.fixture
def keras(monkeypatch: pytest.MonkeyPatch) -> Any:
    return keras_on_torch(monkeypatch)


def test_stateful_layers_beside_keras(keras: Any) -> None:
    ours = fastnn.LSTM(H, stateful=True, return_sequences=True, input_shape=(T, F))
    theirs = keras.layers.LSTM(H, stateful=True, return_sequences=True)
    theirs.build((N, T, F))
    theirs.set_weights(ours.get_weights())
    for _ in range(3):
        close(ours(fastnn.tensor(X)), theirs(X))
    ours.reset_states()
    theirs.reset_state()
    close(ours(fastnn.tensor(X)), theirs(X))


def test_kept_states_end_the_gradient_and_have_one_size() -> None:
    layer = fastnn.GRU(3, stateful=True)
    for _ in range(3):
        layer(fastnn.tensor(X)).sum().backward()  # a graph through the call before would be freed
    assert layer.states[0].node is None and layer.states[0].shape == (N, 3)
    with pytest.raises(ValueError, match=r"GRU: 2 sequences came.*keeps the states of 4; reset_states\(2\) begins anew"):
        layer(fastnn.tensor(X[:2]))
    layer.reset_states(2)
    assert layer(fastnn.tensor(X[:2])).shape == (2, 3)
    assert not list(layer.named_buffers())


def test_kept_states_in_recorded_steps() -> None:
    class Eager(fastnn.callbacks.Callback):
        def on_train_batch_end(self, batch: int, logs: Any = None) -> None: ...

    x = rng.standard_normal((64, T, F)).astype(np.float32)
    found = []
    for callbacks in ([], [Eager()]):
        fastnn.seed(1)
        model = fastnn.Sequential([fastnn.Input((T, F)), fastnn.LSTM(4, stateful=True), fastnn.Dense(1)])
        model.compile("adam", "mse")
        history = model.fit(x, x.sum((1, 2))[:, None], epochs=3, batch_size=8, verbose=0, shuffle=False, callbacks=callbacks)
        found.append([history.history["loss"], *(s.tolist() for s in model.layers[0].states)])
        outputs = [model.predict(x[:8]) for _ in range(4)]  # the third is a recorded pass
        assert all(not np.array_equal(a, b) for a, b in itertools.pairwise(outputs))
        found[-1].append([y.tolist() for y in outputs])
    assert found[0] == found[1]


def test_kept_states_in_captured_functions() -> None:
    def outputs(capture: bool) -> list[Any]:
        fastnn.seed(0)
        layer = fastnn.RNN([fastnn.GRUCell(3), fastnn.LSTMCell(2)], stateful=True, input_shape=(None, F))
        call = fastnn.capture(lambda x: layer(x).detach()) if capture else lambda x: layer(x).detach()
        return [call(fastnn.tensor(x)).tolist() for x in (X, -X, 2 * X, X, X, -X)]

    assert outputs(True) == outputs(False)


@pytest.mark.parametrize("kind", ["LSTM", "stack", "two"])
def test_a_frozen_stateful_model_streams(kind: str) -> None:
    fastnn.seed(0)
    layers: list[Any] = {
        "LSTM": [fastnn.LSTM(4, stateful=True)],
        "stack": [fastnn.RNN([fastnn.GRUCell(4), fastnn.LSTMCell(3, "softsign")], stateful=True)],
        "two": [fastnn.GRU(4, stateful=True, return_sequences=True), fastnn.SimpleRNN(3, stateful=True)],
    }[kind]
    model = fastnn.Sequential([fastnn.Input((None, F)), *layers, fastnn.Dense(2)])
    x = X[:2]
    whole = model(fastnn.tensor(x)).numpy()
    kept = [s.tolist() for s in model.layers[0].states]
    step = model.freeze(batch_size=2, input_shape=(1, F))
    for _ in range(2):
        for t in range(T):
            y = step(np.ascontiguousarray(x[:, t : t + 1]))
        np.testing.assert_allclose(y, whole, atol=1e-6)
        step.reset()
    first = step(x[:, :1])
    state = step.state
    assert all(name.split(".")[-1].startswith("state_") for name in state)
    twin = pickle.loads(pickle.dumps(step))
    second = step(x[:, 1:2])
    assert np.array_equal(twin(x[:, 1:2]), second) and not np.array_equal(first, second)
    step.state = state
    assert np.array_equal(step(x[:, 1:2]), second)
    step.update(model)
    assert [s.tolist() for s in model.layers[0].states] == kept  # the model's own states are left as they were
    with pytest.raises(ValueError, match="state needs a batch_size"):
        model.freeze(batch_size=None, input_shape=(1, F))


class Counting(fastnn.Module):
    """A cell that begins to count at 10."""

    state_size = 1

    def get_initial_state(self, batch_size: int) -> Any:
        return [fastnn.full((batch_size, 1), 10.0)]

    def forward(self, x: Any, states: Any) -> Any:  # type: ignore[override]
        y = states[0] + 1.0
        return y, [y]


def test_a_cell_with_an_initial_state_of_its_own() -> None:
    layer = fastnn.RNN(Counting(), stateful=True)
    assert [layer(fastnn.tensor(X)).tolist() for _ in range(2)] == [[[14.0]] * N, [[18.0]] * N]
    layer.reset_states()
    assert layer(fastnn.tensor(X)).tolist() == [[14.0]] * N
    assert layer(fastnn.tensor(X), [np.zeros((N, 1))]).tolist() == [[4.0]] * N
    with pytest.raises(ValueError, match=r"freeze: .* begins with a state that is not 0; pass it as an input"):
        fastnn.Sequential([fastnn.Input((T, F)), layer]).freeze(batch_size=N)


def test_a_layer_with_a_value_that_is_not_finite_is_named() -> None:
    model = fastnn.Sequential([fastnn.Input((T, F)), fastnn.LSTM(3), fastnn.Dense(1)])
    model.compile("sgd", "mse")
    with fastnn.no_grad():
        model.layers[0].cell.kernel.fill_(np.nan)
    with pytest.raises(FloatingPointError, match=r"the output of layer 0 \(LSTM\) is not finite"):
        model.fit(X, X[:, 0, :1], epochs=1, verbose=0, check_finite=True)


def test_a_frozen_model_with_states_as_inputs() -> None:
    class Step(fastnn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = fastnn.LSTM(4, return_state=True, input_shape=(1, F))

        def forward(self, x: Any, h: Any, c: Any) -> Any:
            return self.layer(x, [h, c])

    model = Step()
    step = model.freeze(batch_size=N, input_shape=[(1, F), (4,), (4,)], state={"h": 1, "c": 2})
    for t in range(T):
        y = step(np.ascontiguousarray(X[:, t : t + 1]))
    np.testing.assert_allclose(y, model.layer(fastnn.tensor(X))[0].numpy(), atol=1e-6)


# ---- models, files, errors ----


def test_an_encoder_and_a_decoder_come_back_from_a_file(tmp_path: Path) -> None:
    source, target, lengths = fastnn.Input((None, F)), fastnn.Input((None, 2)), fastnn.Input((), dtype="int64")
    _, h, c = fastnn.LSTM(4, return_state=True)(source, lengths=lengths)
    y = fastnn.LSTM(4, return_sequences=True, dropout=0.1)(target, initial_state=[h, c])
    model = fastnn.Model([source, target, lengths], fastnn.TimeDistributed(fastnn.Dense(1))(y))
    model.save(tmp_path / "m")
    data = [X, X[:, :, :2], LENGTHS]
    np.testing.assert_array_equal(fastnn.load(tmp_path / "m").predict(data), model.predict(data))
    model.compile("adam", "mse")
    assert np.isfinite(model.fit(data, X[:, :, :1], epochs=2, batch_size=2, verbose=0).history["loss"]).all()
