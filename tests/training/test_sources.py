"""Training, evaluation and prediction with batches from iterables, Sequences, datasets and loaders."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import fastnn
import fastnn.nn as nn
from fastnn.training.data.feed import unpack

RNG = np.random.default_rng(0)
X = RNG.standard_normal((50, 3)).astype(np.float32)
Y = (X.sum(1, keepdims=True) > 0).astype(np.float32)
W = np.linspace(0, 2, 50, dtype=np.float32)
SIZE = 16


def net(metrics: Any = ("accuracy", "auc"), **settings: Any) -> Any:
    fastnn.seed(0)
    model = fastnn.Sequential([fastnn.Dense(4, "tanh", input_shape=(3,)), fastnn.Dropout(0.2), fastnn.Dense(1, "sigmoid")])
    model.compile("adam", "binary_crossentropy", list(metrics), **settings)
    return model


def generate(*arrays: Any, passes: int = 1) -> Iterator[Any]:
    for _ in range(passes):
        for i in range(0, 50, SIZE):
            yield tuple(a[i : i + SIZE] for a in arrays)


class Again:
    """An iterable that begins anew."""

    def __init__(self, *arrays: Any) -> None:
        self.arrays = arrays

    def __iter__(self) -> Iterator[Any]:
        return generate(*self.arrays)


class Sequence:
    """As Keras's: batches by number, and hooks of epochs."""

    def __init__(self, *arrays: Any) -> None:
        self.arrays, self.taken, self.ended = arrays, list[int](), 0

    def __len__(self) -> int:
        return 4

    def __getitem__(self, i: int) -> Any:
        self.taken.append(i)
        return tuple(a[i * SIZE : (i + 1) * SIZE] for a in self.arrays)

    def on_epoch_end(self) -> None:
        self.ended += 1


def run(model: Any, *data: Any, **settings: Any) -> Any:
    history = model.fit(*data, **{"epochs": 3, "verbose": 0, "shuffle": False, **settings}).history
    return history, [w.tolist() for w in model.get_weights()]


@pytest.mark.parametrize(
    "of", ["iterable", "generator", "sequence", "list iterator", "prefetched", "loader", "dataset", "samples"]
)
def test_batches_train_as_arrays_do(of: str) -> None:
    """The same bits in weights and logs, with weights of samples and classes, and validation."""
    weights: dict[int, float] = {0: 0.5, 1: 2.0}
    wanted = run(net(), X, Y, batch_size=SIZE, sample_weight=W, class_weight=weights, validation_data=(X, Y, W))
    settings: dict[str, Any] = {"class_weight": weights}
    validation: Any
    if of in ("loader", "dataset", "samples"):
        data = pytest.importorskip("torch.utils.data")
        torch = pytest.importorskip("torch")
        tensors = data.TensorDataset(*map(torch.from_numpy, (X, Y, W)))
        given = data.DataLoader(tensors, SIZE) if of == "loader" else tensors
        validation = data.DataLoader(tensors, 50)
        settings |= {} if of == "loader" else {"batch_size": SIZE}
        if of == "samples":
            given = data.Subset(tensors, range(50))
    else:
        validation = Again(X, Y, W)
        given = {
            "iterable": lambda: Again(X, Y, W),
            "generator": lambda: generate(X, Y, W, passes=3),
            "sequence": lambda: Sequence(X, Y, W),
            "list iterator": lambda: iter(list(generate(X, Y, W, passes=3))),
            "prefetched": lambda: fastnn.Prefetch(Again(X, Y, W), 2),
        }[of]()
        settings |= {"steps_per_epoch": 4} if "iterator" in of or of == "generator" else {}
    history, trained = run(net(), given, validation_data=validation, **settings)
    assert trained == wanted[1]
    for name, values in wanted[0].items():
        np.testing.assert_allclose(history[name], values, rtol=1e-6)


def test_a_dataset_is_shuffled_as_arrays_are() -> None:
    data, torch = pytest.importorskip("torch.utils.data"), pytest.importorskip("torch")
    tensors = data.TensorDataset(torch.from_numpy(X), torch.from_numpy(Y))
    assert run(net(), X, Y, shuffle=True) == run(net(), tensors, shuffle=True)


def test_tensors_are_not_copied() -> None:
    torch = pytest.importorskip("torch")
    x = torch.zeros(3, 2)
    parts = unpack([x, {"a": x}, None], "fit", "x")
    for part in (parts[0], parts[1]["a"]):
        assert isinstance(part, np.ndarray) and np.shares_memory(part, x.numpy())
    assert unpack((X,), "fit", "x")[0] is X


def test_a_dataset_is_one_batch_for_an_optimizer_that_takes_a_closure() -> None:
    data, torch = pytest.importorskip("torch.utils.data"), pytest.importorskip("torch")
    tensors = data.TensorDataset(torch.from_numpy(X), torch.from_numpy(Y))
    weights = []
    for given in ((X, Y), (tensors,)):
        fastnn.seed(0)
        model = fastnn.Sequential([fastnn.Dense(1, input_shape=(3,))])
        model.compile(fastnn.optim.LBFGS(), "mse")
        assert model.fit(*given, verbose=0).params["steps"] == 1
        weights.append(model.get_weights()[0])
    np.testing.assert_array_equal(*weights)


def test_evaluate_and_predict() -> None:
    model = net()
    logs, outputs = model.evaluate(X, Y, batch_size=SIZE), model.predict(X)
    for given in (Again(X, Y), generate(X, Y), Sequence(X, Y), fastnn.Prefetch(generate(X, Y))):
        assert model.evaluate(given) == logs
    alone = (list(batch) for batch in generate(X)), (batch for (batch,) in generate(X)), Sequence(X, Y), generate(X, Y, W)
    for given in (*alone, Again(X), fastnn.Prefetch(Sequence(X))):
        np.testing.assert_array_equal(model.predict(given), outputs)
    assert model.evaluate(Again(X, Y, W)) == model.evaluate(X, Y, SIZE, sample_weight=W)
    np.testing.assert_array_equal(model.predict(Again(X), steps=2), outputs[: 2 * SIZE])
    np.testing.assert_array_equal(model.predict(X, SIZE, steps=2), outputs[: 2 * SIZE])
    np.testing.assert_array_equal(model.predict(X, steps=1), outputs[:32])
    assert model.evaluate(Sequence(X, Y), steps=2) == model.evaluate(X[:32], Y[:32], SIZE) == model.evaluate(X, Y, SIZE, steps=2)
    assert model.predict(Again(X), mc=2).shape == (2, 50, 1)
    batches = generate(X, Y)
    model.evaluate(batches, steps=1)
    np.testing.assert_array_equal(model.predict(batches), outputs[SIZE:])  # goes on


def test_steps_of_an_epoch() -> None:
    """An epoch goes on where the last one stopped; data that can begin again do, in arrays as in Sequences."""
    for given in (Sequence(X, Y), Again(X, Y)):
        arrays = run(net(), X, Y, batch_size=SIZE, steps_per_epoch=3)
        assert run(net(), given, steps_per_epoch=3)[1] == arrays[1]
    steps: list[int] = []
    counts = fastnn.callbacks.LambdaCallback(on_batch_end=lambda i, logs: steps.append(i))
    sequence = Sequence(X, Y)
    run(net(), sequence, steps_per_epoch=6, epochs=2, callbacks=counts)
    assert steps == [*range(6), *range(6)] and sequence.taken == [0, 1, 2, 3] * 3 and sequence.ended == 2
    model = net()
    run(model, X, Y, batch_size=SIZE, steps_per_epoch=9, epochs=2)
    assert model.optimizer.iterations == 18


@pytest.mark.parametrize("prefetched", [False, True])
def test_a_sequence_is_shuffled_by_batches(prefetched: bool) -> None:
    sequence = Sequence(X, Y)
    draws = fastnn.callbacks.LambdaCallback(on_epoch_begin=lambda epoch, logs: fastnn.seed(0))  # after the order was drawn
    net().fit(fastnn.Prefetch(sequence) if prefetched else sequence, epochs=2, verbose=0, callbacks=draws)
    wanted = np.random.Generator(np.random.Philox(0))
    assert sequence.taken[4:] == wanted.permutation(4).tolist()
    first, second = sequence.taken[:4], sequence.taken[4:]
    assert sorted(first) == sorted(second) == [0, 1, 2, 3] and sequence.taken != [0, 1, 2, 3] * 2


def test_the_number_of_steps_is_found_in_the_first_epoch(capsys: pytest.CaptureFixture[str]) -> None:
    seen: list[Any] = []
    look = fastnn.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: seen.append(look.params["steps"]))
    model = net()
    assert model.fit(Again(X, Y), epochs=2, verbose=1, callbacks=look).params["steps"] == 4
    assert seen == [4, 4]
    assert "8/8" in capsys.readouterr().err
    assert model.fit(Sequence(X, Y), verbose=0, steps_per_epoch=2).params["steps"] == 2


def test_a_generator_that_runs_out() -> None:
    with pytest.warns(RuntimeWarning, match=r"x is a generator.* ended in epoch 1 of 3; training stops. Pass steps_per_epoch"):
        assert len(run(net(), generate(X, Y))[0]["loss"]) == 1
    with pytest.warns(RuntimeWarning, match="epoch 2 of 3, after 1 of 3 steps; training stops"):
        assert len(run(net(), generate(X, Y), steps_per_epoch=3)[0]["loss"]) == 2
    with pytest.warns(RuntimeWarning, match="epoch 2 of 3, after 0 of 4 steps; training stops"):
        assert len(run(net(), generate(X, Y), steps_per_epoch=4)[0]["loss"]) == 1

    class Forgets:
        """Its `__iter__` does not begin anew."""

        def __init__(self) -> None:
            self.batches = generate(X, Y)

        def __iter__(self) -> Iterator[Any]:
            return self.batches

    for steps, wanted in ((None, 1), (3, 2), (4, 1)):
        with pytest.warns(RuntimeWarning, match="x is a Forgets, which returns its batches once, and ended in epoch 2 of 3"):
            assert len(run(net(), Forgets(), steps_per_epoch=steps)[0]["loss"]) == wanted
    run(net(), generate(X, Y, passes=3), steps_per_epoch=4)  # to the last batch
    run(net(), generate(X, Y), epochs=1)
    with pytest.warns(RuntimeWarning) as warned:
        history = run(net(), X, Y, validation_data=generate(X, Y), validation_steps=3, epochs=3)[0]
    ends = [f"validation_data is a generator that ended after {n} batches; wanted 3" for n in (1, 0)]
    assert all(end in str(w.message) for end, w in zip(ends, warned, strict=True))
    assert len(history["val_loss"]) == 2 and len(history["loss"]) == 3


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda m: m.fit(generate(X, Y), Y), ValueError, "fit: y is given together with x, a generator, which holds y in its"),
        (lambda m: m.fit(Again(X, Y), sample_weight=W), ValueError, "fit: sample_weight is given together with x, a Again"),
        (lambda m: m.fit(Again(X, Y), batch_size=2), ValueError, "fit: batch_size is given together with x, a Again"),
        (lambda m: m.fit(Again(X, Y), validation_split=0.5), ValueError, "fit: validation_split .* cannot be divided"),
        (
            lambda m: m.fit(X, Y, validation_data=Again(X, Y), validation_batch_size=2),
            ValueError,
            "fit: validation_batch_size is",
        ),
        (lambda m: m.fit(X, Y, validation_data=3), ValueError, r"fit: validation_data is neither \(x, y\)"),
        (lambda m: m.fit(X, Y, steps_per_epoch=0), ValueError, "fit: steps_per_epoch is 0"),
        (lambda m: m.fit(X, Y, validation_data=(X, Y), validation_steps=-1), ValueError, "fit: validation_steps is -1"),
        (lambda m: m.fit(X, Y, validation_freq="a"), TypeError, "fit: validation_freq is 'a'"),
        (
            lambda m: m.fit(X, Y, validation_data=generate(X, Y), epochs=2),
            ValueError,
            "fit: .* validation runs 2 times; pass validation_steps",
        ),
        (
            lambda m: m.fit(X, Y, validation_data=iter([]), validation_freq=2, epochs=2),
            ValueError,
            "validation_data .* no batches",
        ),
        (lambda m: m.fit(iter([])), ValueError, "fit: x is a list_iterator that returned no batches"),
        (lambda m: m.fit(Again()), ValueError, "fit: a batch of x has 0 parts"),
        (lambda m: m.fit(iter([(X, Y, W, W)])), ValueError, r"fit: a batch of x has 4 parts; wanted \(x, y\)"),
        (lambda m: m.fit(iter([(X, Y), (X, Y[1:])])), ValueError, "fit: batch 1 of x: x has 50 samples, but y has 49"),
        (lambda m: m.fit(iter([(X, Y), (X * np.nan, Y)])), ValueError, r"fit: batch 1 of x: x has 150 values .* x\[0, 0\]"),
        (lambda m: m.fit(iter([(X, None)])), ValueError, "fit: batch 0 of x: y is missing"),
        (lambda m: m.fit(iter([X])), ValueError, "fit: batch 0 of x: y is missing"),
        (lambda m: m.evaluate(Again(X, Y), Y), ValueError, "evaluate: y is given together with x"),
        (lambda m: m.evaluate(Again(X, Y), steps=0), ValueError, "evaluate: steps is 0"),
        (lambda m: m.evaluate(iter([])), ValueError, "evaluate: x is a list_iterator that returned no batches"),
        (lambda m: m.predict(Again(X), batch_size=3), ValueError, "predict: batch_size is given together with x"),
        (lambda m: m.predict(iter([])), ValueError, "predict: x is a list_iterator that returned no batches"),
        (lambda m: m.predict(generate(X), mc=2), ValueError, "predict: x is a generator, which has one pass"),
        (lambda m: m.fit(object()), TypeError, "fit: x is a object; wanted an array"),
    ],
)
def test_what_is_refused(call: Any, error: type[Exception], words: str) -> None:
    model = net()
    with pytest.raises(error, match=words):
        call(model)


def test_datasets_of_pytorch_that_are_refused() -> None:
    data, torch = pytest.importorskip("torch.utils.data"), pytest.importorskip("torch")

    class Stream(data.IterableDataset):  # type: ignore[name-defined, misc]
        def __iter__(self) -> Any:
            return iter(zip(torch.from_numpy(X), torch.from_numpy(Y), strict=True))

    with pytest.raises(TypeError, match="x is an IterableDataset of single samples; wanted DataLoader"):
        net().fit(Stream())
    run(net(), data.DataLoader(Stream(), SIZE))

    class Ragged(data.Dataset):  # type: ignore[name-defined, misc]
        def __len__(self) -> int:
            return 4

        def __getitem__(self, i: int) -> Any:
            return np.zeros(i + 1), 0.0

    with pytest.raises(ValueError, match=r"samples of x have different shapes, \(1,\) and \(2,\)"):
        run(net(), Ragged())
    grows = torch.ones(2, 3, requires_grad=True)
    with pytest.raises(TypeError, match="x is a Tensor that cannot be converted to a NumPy array"):
        net().predict(iter([grows]))


def test_errors_of_the_iterator_come_out() -> None:
    def bad() -> Iterator[Any]:
        yield X, Y
        raise OSError("the disk is gone")

    for given in (bad(), fastnn.Prefetch(bad())):
        with pytest.raises(OSError, match="the disk is gone") as caught:
            run(net(), given)
        assert "bad" in [entry.name for entry in caught.traceback]


def test_several_inputs_and_outputs() -> None:
    a, b = fastnn.Input((3,), name="a"), fastnn.Input((1,), name="b")
    h = fastnn.Concatenate()([a, b])

    def make() -> Any:
        fastnn.seed(0)
        model = fastnn.Model([a, b], {"p": fastnn.Dense(1)(h), "q": fastnn.Dense(2)(h)})
        model.compile("sgd", {"p": "mse", "q": "mae"})
        return model

    x, y = {"a": X, "b": Y}, {"p": Y, "q": X[:, :2]}

    def batches() -> Iterator[Any]:
        for i in range(0, 50, SIZE):
            yield tuple({k: v[i : i + SIZE] for k, v in part.items()} for part in (x, y))

    first, second = make(), make()
    second.set_weights(first.get_weights())
    assert run(first, x, y, batch_size=SIZE, epochs=1) == run(second, batches(), epochs=1)
    np.testing.assert_array_equal(first.predict(x, SIZE)["q"], first.predict(batches())["q"])


def test_inputs_that_differ_in_their_nesting_alone() -> None:
    class Sums(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.w = nn.Parameter(np.ones((1, 1), np.float32))

        def forward(self, x: Any) -> Any:
            parts = x["s"] if "s" in x else (x["s_1"] * 2, x["s_2"])
            return (parts[0] + parts[1]).sum(1, True) * self.w

    batches = [({"s": (X, X)}, Y), ({"s_1": X, "s_2": X}, Y)] * 4
    models = [Sums() for _ in range(3)]
    for model, capture in zip(models, (True, True, False), strict=True):
        model.compile("sgd", "mse", capture=capture)
    models[0].fit(iter(batches), verbose=0)
    models[2].fit(iter(batches), verbose=0)
    for batch in batches:
        models[1].train_on_batch(*batch)
    assert models[0].get_weights() == models[1].get_weights() == models[2].get_weights() != [1.0]


class Mean(nn.Module):
    """Takes sequences of any length."""

    def __init__(self) -> None:
        super().__init__()
        self.out = nn.Linear(3, 1)

    def forward(self, x: Any) -> Any:
        return self.out(x.mean(1))


def test_lengths_that_vary() -> None:
    lengths = [*range(1, 20), 4, 4, 4, 2, 2, 2]
    batches = [(RNG.standard_normal((4, n, 3)).astype(np.float32), np.ones((4, 1), np.float32)) for n in lengths]
    models = [Mean(), Mean()]
    models[1].set_weights(models[0].get_weights())
    for model in models:
        model.compile("sgd", "mse", capture=True)
    models[0].fit(iter(batches), verbose=0)
    for x, y in batches:
        models[1].train_on_batch(x, y)
    np.testing.assert_array_equal(models[0].get_weights()[0], models[1].get_weights()[0])
    np.testing.assert_array_equal(
        models[0].predict(x for x, _ in batches), np.concatenate([models[0].predict(x) for x, _ in batches])
    )


def test_steps_of_a_models_own() -> None:
    class Own(fastnn.Sequential):
        def train_step(self, data: Any) -> Any:
            self.rows.append(len(data[0]))
            return super().train_step(data)

    models = [Own([fastnn.Dense(1, input_shape=(3,))]) for _ in range(2)]
    models[1].set_weights(models[0].get_weights())
    for model in models:
        model.rows = []
        model.compile("adam", "mse")
    assert run(models[0], X, Y, batch_size=SIZE) == run(models[1], Again(X, Y))
    assert models[0].rows == models[1].rows == [16, 16, 16, 2] * 3

    class Alone(fastnn.Sequential):
        def train_step(self, data: Any) -> Any:
            return {"rows": len(data)}

    model = Alone([fastnn.Dense(1, input_shape=(3,))])
    model.compile("adam")
    assert run(model, (x for (x,) in generate(X)), epochs=1)[0] == run(model, X, batch_size=SIZE, epochs=1)[0]


def test_own_code_is_not_recorded_beside_an_iterable() -> None:
    """It may change what the layer depends on, unless the user says that it does not."""
    state = {"scale": 1.0}

    class Scaled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.w = nn.Parameter(np.ones(3, np.float32))

        def forward(self, x: Any) -> Any:
            return (x * self.w).sum(1, True) * state["scale"]

    def batches() -> Iterator[Any]:
        for i in range(8):
            state["scale"] = float(i)
            yield X[:4], Y[:4]

    model = Scaled()
    model.compile("sgd", "mse")
    with pytest.warns(RuntimeWarning, match="the batches come from x, a generator, .*compile with capture=True"):
        model.fit(batches(), verbose=0)
    other = Scaled()
    other.compile("sgd", "mse", capture=False)
    other.fit(batches(), verbose=0)
    np.testing.assert_array_equal(model.get_weights()[0], other.get_weights()[0])


def test_one_array_that_is_written_again() -> None:
    def batches() -> Iterator[Any]:
        x, y = np.empty((10, 3), np.float32), np.empty((10, 1), np.float32)
        for i in range(0, 50, 10):
            x[:], y[:] = X[i : i + 10], Y[i : i + 10]
            yield x, y

    wanted = run(net(), X, Y, batch_size=10, epochs=1)[1]
    assert run(net(), batches(), epochs=1)[1] == run(net(), fastnn.Prefetch(batches(), 3), epochs=1)[1] == wanted
    model = net()
    for given in (batches, lambda: fastnn.Prefetch(batches(), 3)):
        np.testing.assert_array_equal(model.predict(given()), model.predict(X))


def test_validation_now_and_then() -> None:
    model = net()
    assert len(run(model, X, Y, validation_data=Again(X, Y), validation_freq=2, epochs=5)[0]["val_loss"]) == 2
    assert len(run(model, X, Y, validation_data=(X, Y), validation_freq=[1, 5], epochs=5)[0]["val_loss"]) == 2
    once = model.fit(X, Y, validation_data=(X, Y), validation_steps=1, validation_batch_size=10, verbose=0).history
    assert once["val_loss"][0] == pytest.approx(model.evaluate(X[:10], Y[:10])[0])
    endless = generate(X, Y, passes=100)
    assert len(run(model, X, Y, validation_data=endless, validation_steps=3, epochs=5)[0]["val_loss"]) == 5


def test_scores_are_kept_where_nobody_knows_how_many_come() -> None:
    model = net(["auc"])
    wanted = net(["auc"])
    x, y = np.tile(X, (20, 1)), np.tile(Y, (20, 1))
    batches = [(x[i : i + 8], y[i : i + 8]) for i in range(0, len(x), 8)]
    assert model.fit(iter(batches), verbose=0).history["auc"] == run(wanted, x, y, batch_size=8, epochs=1)[0]["auc"]
