"""Recording and replay: equal to eager to the bit, and each trap of recording."""

import copy
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

import fastnn
import fastnn.nn as nn
from fastnn.backends import current
from fastnn.replay.recorder import Recorder

rng = np.random.default_rng(0)
X = rng.standard_normal((6, 8, 5)).astype(np.float32)
Y = rng.integers(0, 3, (6, 8))


def net(dropout: float = 0.0) -> fastnn.Sequential:
    fastnn.seed(1)
    layers: list[Any] = [nn.Linear(5, 7), nn.GELU(), nn.Linear(7, 6), nn.Sigmoid(), nn.Linear(6, 3)]
    return fastnn.Sequential(layers[:2] + ([fastnn.Dropout(dropout)] if dropout else []) + layers[2:])


OPTIMIZERS: dict[str, Callable[..., Any]] = {
    "sgd": lambda p: fastnn.optim.SGD(p, lr=0.1),
    "nesterov": lambda p: fastnn.optim.SGD(p, lr=0.1, momentum=0.9, nesterov=True),
    "adam": lambda p: fastnn.optim.Adam(p, lr=0.01, weight_decay=0.01),
    "adamw": lambda p: fastnn.optim.AdamW(p, lr=0.01),
    "clipped": lambda p: fastnn.optim.Adam(p, lr=0.01, global_clipnorm=0.1),
}


def train_step(model: nn.Module, optimizer: Any) -> Callable[..., Any]:
    def step(x: Any, y: Any) -> Any:
        optimizer.zero_grad()
        loss = nn.CrossEntropyLoss()(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    return step


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("dropout", [0.0, 0.3])
def test_replay_equals_eager_to_the_bit(optimizer: str, dropout: float) -> None:
    results = []
    for wrap in (lambda f: f, fastnn.capture):
        model = net(dropout)
        step = wrap(train_step(model, OPTIMIZERS[optimizer](model.parameters())))
        losses = [step(x, y).item() for x, y in zip(X, Y, strict=True)]
        results.append((losses, model.get_weights()))
    assert step.captured.eager == "" and step.captured._steps
    assert results[0][0] == results[1][0]
    for a, b in zip(results[0][1], results[1][1], strict=True):
        np.testing.assert_array_equal(a, b)


def test_each_call_is_one_step() -> None:
    model = net()
    optimizer = fastnn.optim.SGD(model.parameters(), lr=0.1)
    step = fastnn.capture(train_step(model, optimizer))
    for n in range(1, 6):
        step(X[0], Y[0])
        assert optimizer.iterations == n


def test_trap_outputs_are_copies() -> None:
    step = fastnn.capture(fastnn.no_grad()(lambda x: x * 2))
    outs = [step(fastnn.tensor([float(i)])) for i in range(5)]
    assert [o.item() for o in outs] == [0.0, 2.0, 4.0, 6.0, 8.0]


def test_trap_arguments_may_be_reused_and_changed_in_place() -> None:
    step = fastnn.capture(fastnn.no_grad()(lambda x: fastnn.exp(x)))
    buffer = np.zeros(3, np.float32)
    for i in range(5):
        buffer[:] = i
        np.testing.assert_array_equal(step(fastnn.tensor(buffer)).numpy(), fastnn.exp(fastnn.tensor(buffer)).numpy())


def test_trap_aliased_arguments() -> None:
    step = fastnn.capture(fastnn.no_grad()(lambda a, b: a - b))
    same = fastnn.tensor([1.0, 2.0])
    for _ in range(4):
        assert step(same, same).tolist() == [0.0, 0.0]
    assert step(fastnn.tensor([3.0, 3.0]), same).tolist() == [2.0, 1.0]


def test_trap_an_output_that_comes_back_as_input() -> None:
    step = fastnn.capture(fastnn.no_grad()(lambda x: x + 1))
    x = fastnn.tensor([0.0])
    for i in range(6):
        x = step(x)
        assert x.item() == i + 1


def test_trap_learning_rate_is_followed() -> None:
    losses = []
    for wrap in (lambda f: f, fastnn.capture):
        model = net()
        optimizer = fastnn.optim.SGD(model.parameters(), lr=0.1)
        step = wrap(train_step(model, optimizer))
        for i in range(6):
            optimizer.lr = 0.1 / (i + 1)
            step(X[i], Y[i])
        losses.append(model.get_weights()[0])
    np.testing.assert_array_equal(*losses)


def test_trap_dropout_rate_is_followed() -> None:
    layer = fastnn.Dropout(0.5)
    step = fastnn.capture(fastnn.no_grad()(lambda x: layer(x)))
    ones = fastnn.tensor(np.ones(1000, np.float32))
    for _ in range(3):
        assert 0 < (step(ones).numpy() == 0).mean() < 1
    layer.rate = 0.0
    assert (step(ones).numpy() == 1).all()


def test_trap_every_dropout_mask_is_new() -> None:
    layer = fastnn.Dropout(0.5)
    step = fastnn.capture(fastnn.no_grad()(lambda x: layer(x)))
    masks = {step(fastnn.tensor(np.ones(200, np.float32))).numpy().tobytes() for _ in range(6)}
    assert len(masks) == 6


def test_trap_train_and_eval_have_recordings_of_their_own() -> None:
    model = net(dropout=0.5)
    step = fastnn.capture(fastnn.no_grad()(lambda x: model(x)))
    expected = None
    for _ in range(4):
        model.train()
        noisy = [step(X[0]).numpy().tobytes() for _ in range(3)]
        assert len(set(noisy)) == 3
        model.eval()
        quiet = {step(X[0]).numpy().tobytes() for _ in range(3)}
        expected = expected or quiet
        assert len(quiet) == 1 and quiet == expected


def test_modes_that_take_turns_are_recorded() -> None:
    """Also which layers are frozen, as where two models train each other in turn."""
    ran: list[int] = []
    model = net(dropout=0.5)

    @fastnn.capture
    def step(x: Any) -> Any:
        ran.append(1)
        with fastnn.no_grad():
            return model(x)

    for i in range(20):
        model.train(i % 2 == 0)
        model.layers[0].kernel.requires_grad = i % 4 < 2
        step(X[0])
    assert len(ran) == 8 and step.captured.eager == ""


@pytest.mark.parametrize("dtype", [np.float64, np.int64])
def test_array_arguments_of_another_dtype_are_cast_in_the_replay(dtype: type) -> None:
    model = nn.Linear(2, 1)
    step = fastnn.capture(fastnn.no_grad()(lambda x: model(x)))
    for v in range(5):
        x = np.full((3, 2), v, dtype)
        np.testing.assert_array_equal(step(x).numpy(), model(x).numpy())
    assert step.captured._steps


def test_trap_python_numbers_are_part_of_the_key() -> None:
    step = fastnn.capture(lambda x, scale: x * scale)
    x = fastnn.tensor([1.0])
    for scale in (2.0, 2.0, 2.0, 3.0, 3.0, 3.0, 2.0):
        assert step(x, scale).item() == scale


def test_trap_a_replaced_layer_is_noticed() -> None:
    model = net()
    step = fastnn.capture(fastnn.no_grad()(lambda x: model(x)))
    for _ in range(3):
        step(X[0])
    setattr(model, "0", nn.Linear(5, 7))
    np.testing.assert_array_equal(step(X[0]).numpy(), model(X[0]).numpy())


def test_trap_new_values_in_parameters_are_seen() -> None:
    model = net()
    step = fastnn.capture(fastnn.no_grad()(lambda x: model(x)))
    for _ in range(3):
        step(X[0])
    model.set_weights([w * 2 for w in model.get_weights()])
    np.testing.assert_array_equal(step(X[0]).numpy(), model(X[0]).numpy())
    optimizer = fastnn.optim.SGD(model.parameters())  # moves the parameters to their home
    np.testing.assert_array_equal(step(X[0]).numpy(), model(X[0]).numpy())
    model.set_weights([w * 3 for w in model.get_weights()])
    np.testing.assert_array_equal(step(X[0]).numpy(), model(X[0]).numpy())
    assert optimizer.iterations == 0


def test_trap_frozen_parameters_are_noticed() -> None:
    model = net()
    step = fastnn.capture(train_step(model, fastnn.optim.SGD(model.parameters(), lr=0.1)))
    for _ in range(4):
        step(X[0], Y[0])
    first = model.layers[0].kernel
    first.requires_grad = False
    before = first.numpy().copy()
    for _ in range(4):
        step(X[0], Y[0])
    np.testing.assert_array_equal(first.numpy(), before)


def test_trap_gradient_accumulation_over_calls() -> None:
    def run(wrap: Callable[..., Any]) -> list[np.ndarray]:
        model = net()
        optimizer = fastnn.optim.SGD(model.parameters(), lr=0.1)

        def accumulate(x: Any, y: Any) -> Any:
            loss = nn.CrossEntropyLoss()(model(x), y)
            loss.backward()
            return loss

        step = wrap(accumulate)
        for i in range(12):
            step(X[i % 6], Y[i % 6])
            if i % 3 == 2:
                optimizer.step()
                optimizer.zero_grad()
        return model.get_weights()

    for a, b in zip(run(lambda f: f), run(fastnn.capture), strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_graph_that_leaves_is_refused() -> None:
    model = net()
    step = fastnn.capture(lambda x: model(x).sum())
    with pytest.warns(RuntimeWarning, match="backward was not called"):
        step(X[0]).backward()
    for _ in range(3):
        step(X[0]).backward()


def test_other_shapes_and_dtypes_have_recordings_of_their_own() -> None:
    step = fastnn.capture(lambda x: (x * 2).sum())
    for n in (3, 5, 3, 5, 3, 5, 3):
        assert step(fastnn.tensor(np.ones(n, np.float32))).item() == 2 * n
        assert step(fastnn.tensor(np.ones(n))).dtype == np.float64
    assert len(step.captured._steps) == 4


def test_too_many_recordings_stop() -> None:
    step = fastnn.capture(lambda x: x * 2)
    with pytest.warns(RuntimeWarning, match="recordings"):
        for n in range(1, 40):
            for _ in range(3):
                step(fastnn.tensor(np.ones(n, np.float32)))


def test_structures_in_and_out() -> None:
    step = fastnn.capture(
        lambda batch, flag=True: {"sum": batch["a"] + batch["b"][0], "flag": flag, "pair": (batch["a"] * 2, None)}
    )
    for i in range(4):
        out = step({"a": fastnn.tensor([float(i)]), "b": [fastnn.tensor([1.0])]}, flag=False)
        assert out["sum"].item() == i + 1 and out["flag"] is False and out["pair"][0].item() == 2 * i and out["pair"][1] is None


def test_the_plan_runs_many_steps_in_one_call() -> None:
    model = net()
    model.compile("sgd", fastnn.nn.CrossEntropyLoss())
    eager = copy.deepcopy(model)
    kwargs: dict[str, Any] = {"batch_size": 8, "epochs": 3, "shuffle": False, "verbose": 0}
    x, y = X.reshape(48, 5), Y.reshape(48)
    model.fit(x, y, **kwargs)
    for _ in range(3):
        for i in range(6):
            eager.train_on_batch(x[8 * i : 8 * i + 8], y[8 * i : 8 * i + 8])
    for a, b in zip(model.get_weights(), eager.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_index_arguments_are_followed() -> None:
    step = fastnn.capture(lambda x, i: fastnn.tensor(x)[fastnn.tensor(i)] + fastnn.take(fastnn.tensor(x), i, 0))
    x = np.arange(10, dtype=np.float32)
    for first in (1, 1, 1, 4, -2):
        i = np.array([first, 3])
        assert step(x, i).tolist() == (2 * x[i]).tolist()
    assert step.captured._steps


def test_trap_hyper_parameters_set_inside_stay_eager() -> None:
    model = net()
    optimizer = fastnn.optim.SGD(model.parameters(), lr=0.1)
    inner = train_step(model, optimizer)

    def step(x: Any, y: Any) -> Any:
        optimizer.lr = 0.1 / (1 + optimizer.iterations)
        return inner(x, y)

    captured = fastnn.capture(step)
    with pytest.warns(RuntimeWarning, match="learning rate|number of steps"):
        for x, y in zip(X, Y, strict=True):
            captured(x, y)
    assert optimizer.lr == pytest.approx(0.1 / 6)


def test_trap_settings_of_layers_are_followed() -> None:
    layer = fastnn.Dense(3, activation="relu", input_shape=(5,))
    step = fastnn.capture(fastnn.no_grad()(lambda x: layer(x)))
    for _ in range(3):
        step(X[0])
    layer.activation = fastnn.activations.get("tanh")
    np.testing.assert_array_equal(step(X[0]).numpy(), layer(X[0]).numpy())


def test_threads_may_share_a_captured_step() -> None:
    model = fastnn.Sequential([fastnn.Dense(64, input_shape=(16,)), fastnn.Dense(8)])
    step = fastnn.capture(fastnn.no_grad()(lambda x: model(x)))
    inputs = [rng.standard_normal((32, 16)).astype(np.float32) for _ in range(4)]
    expected = [model(x).numpy().copy() for x in inputs]
    for _ in range(3):
        step(inputs[0])
    wrong: list[int] = []

    def call(i: int) -> None:
        for _ in range(200):
            if (step(inputs[i]).numpy() != expected[i]).any():
                wrong.append(i)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(call, range(4)))  # raises what a thread raised
    assert not wrong


@pytest.mark.parametrize("backend", [b.name for b in fastnn.backends().values() if b.available])
def test_a_block_that_runs_by_a_flag(backend: str) -> None:
    """In each third step, also where the plan runs many at once: what eager does."""
    with fastnn.use_backend(backend):
        real = current()
        x = rng.standard_normal(5000)

        def start() -> tuple[Any, ...]:
            return (
                real.shared_array([0], np.int64),
                real.shared_array([0], np.int64),
                real.asarray(x.copy()),
                real.asarray(np.zeros(5000)),
            )

        def step(k: Any, count: Any, flag: Any, a: Any, b: Any) -> None:
            k.advance(count, 1)
            k.every(flag, count, 3)
            k.accumulate(b, a, half)
            with k.when(flag) as block:
                block.accumulate(a, b, half)
                block.fill(b, 0.0)
            k.accumulate(a, b, half)

        half = real.asarray(np.array([0.5]))
        eager = start()
        for _ in range(10):
            step(real, *eager)
        recorded = start()
        recorder = Recorder(real)
        step(recorder, *recorded)  # the flag is 0: the block is written down, and does not run
        assert len(recorder.calls) == 6 and sorted(recorder.flags) == [3, 4]
        plan = real.plan(recorder.calls, recorder.flags)
        plan.run(9)
        assert len(plan.profile(3)) == 6 and recorded[0][0] == 13
        for _ in range(3):
            step(real, *eager)
        for a, b in zip(eager, recorded, strict=True):
            np.testing.assert_array_equal(real.to_numpy(a), real.to_numpy(b))


@pytest.mark.parametrize("backend", [b.name for b in fastnn.backends().values() if b.available])
def test_plans_run_in_turn(backend: str) -> None:
    with fastnn.use_backend(backend):
        real = current()
        numbers = [real.asarray(np.zeros(1, np.int64)) for _ in range(2)]
        first, second = (real.plan([("advance", (a, by))]) for a, by in zip(numbers, (1, 10), strict=True))
        for a in numbers:  # compiled before the plans run
            real.advance(a, 0)
        real.run_in_turn(((first, 3), (second, 1), (first, 1)), 5)
        assert [int(real.to_numpy(a)[0]) for a in numbers] == [20, 50]
        real.run_in_turn(((first, 3),), 0)
        assert int(real.to_numpy(numbers[0])[0]) == 20
