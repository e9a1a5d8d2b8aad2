"""Windows of token ids: which there are, where they come from, and what fit makes of them; batches of different lengths."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fastnn
from fastnn.datasets import Windows, buckets, pack, text, tokenize, windows
from fastnn.text import ByteTokenizer, CharTokenizer
from fastnn.training.data.source import InMemory

IDS = np.random.default_rng(0).integers(0, 11, 1003)
LOSS = fastnn.losses.SparseCategoricalCrossentropy(from_logits=True)


def net(context: int = 8, dtype: str = "float32") -> Any:
    fastnn.seed(0)
    model = fastnn.Sequential([fastnn.Input((context,), dtype="int64"), fastnn.Embedding(11, 6), fastnn.Dense(11)])
    model.compile(fastnn.optim.Adam(lr=0.01), LOSS, ["accuracy"])
    return model


def test_the_sample() -> None:
    sample = text()
    assert 200_000 < len(sample.encode()) < 400_000 and sample.startswith("Loomings.\n\nCall me Ishmael. Some years ago")
    assert (
        sample.endswith("blindly plunged like fate into the lone Atlantic.\n") and len(set(sample)) == 75 and "\r" not in sample
    )


@pytest.mark.parametrize("how", [{}, {"stride": 1}, {"stride": 5}, {"samples": 40}, {"streams": 4}])
@pytest.mark.parametrize("memory", [1 << 28, 0])
def test_which_windows_there_are(how: dict[str, int], memory: int) -> None:
    data = windows(IDS, 8, memory=memory, **how)
    x, y = data.arrays()
    assert x.shape == y.shape == (len(data), 8) and x.dtype == y.dtype == np.int64
    starts = data.starts(np.arange(len(data)))
    for i, start in enumerate(starts):
        np.testing.assert_array_equal(x[i], IDS[start : start + 8])
        np.testing.assert_array_equal(y[i], IDS[start + 1 : start + 9])
    np.testing.assert_array_equal(data[-1][0], x[-1])
    if "samples" in how:
        assert len(data) == 40 and starts[0] == 0 and starts[-1] == 1003 - 9 and len(set(np.diff(starts))) <= 2
    elif "streams" in how:
        assert len(data) == 1002 // 4 // 8 * 4
        rows = x.reshape(-1, 4, 8)
        for stream in range(4):
            np.testing.assert_array_equal(rows[:, stream].ravel(), IDS[stream * 250 : stream * 250 + 248])
    else:
        stride = how.get("stride", 8)
        assert starts.tolist() == list(range(0, 1003 - 8, stride))


def test_the_end_is_held_back() -> None:
    training, held_back = windows(IDS, 8, samples=20, validation_split=0.1)
    np.testing.assert_array_equal(np.concatenate([training.ids, held_back.ids]), IDS)
    assert len(held_back.ids) == 100 and len(training) == 20 and len(held_back) == 12 and held_back.samples is None
    assert repr(training) == "Windows(20 windows of 8 tokens from 903, at random places)"
    assert repr(windows(IDS, 8, streams=2)) == "Windows(124 windows of 8 tokens from 1003, 2 streams)"


@pytest.mark.parametrize("how", [{}, {"stride": 3}, {"samples": 50}, {"streams": 16}])
@pytest.mark.parametrize("shuffle", [True, False])
def test_fit_gathers_what_it_streams(how: dict[str, int], shuffle: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """To the bit; and what it does with arrays, where the order is the same."""
    made: list[Any] = []
    init = InMemory.__init__
    monkeypatch.setattr(InMemory, "__init__", lambda self, *args: (made.append(self), init(self, *args))[1])
    results = []
    for memory in (1 << 28, 0):
        training, held_back = windows(IDS, 8, validation_split=0.2, memory=memory, **how)
        model = net()
        history = model.fit(training, validation_data=held_back, epochs=3, batch_size=16, shuffle=shuffle, verbose=0).history
        results.append((history, [w.tobytes() for w in model.get_weights()], model.evaluate(held_back), model.predict(held_back)))
    assert len(made) == 1
    assert results[0][:3] == results[1][:3] and (results[0][3] == results[1][3]).all()
    assert results[0][3].shape == (len(held_back), 8, 11)
    if "samples" not in how or not shuffle:
        model = net()
        model.fit(*training.arrays(), epochs=3, batch_size=16, shuffle=shuffle and "streams" not in how, verbose=0)
        assert [w.tobytes() for w in model.get_weights()] == results[0][1]


def test_each_epoch_has_other_random_windows() -> None:
    taken: list[Any] = []

    class Watch(fastnn.Module):
        def forward(self, x: Any) -> Any:
            if self.training:
                taken.append(x.numpy().copy())
            return x

    for memory in (1 << 28, 0):
        taken.clear()
        fastnn.seed(0)
        model = fastnn.Sequential([fastnn.Input((8,), dtype="int64"), Watch(), fastnn.Embedding(1000, 4), fastnn.Dense(1000)])
        model.compile("sgd", LOSS, capture=False)
        model.fit(windows(np.arange(1000), 8, samples=30, memory=memory), epochs=2, batch_size=10, verbose=0)
        starts = np.concatenate(taken)[:, 0]
        assert len(starts) == 60 and len(set(starts.tolist())) > 50 and starts.max() > 800
        assert (np.concatenate(taken) == starts[:, None] + np.arange(8)).all()


@pytest.mark.parametrize("how", [{}, {"samples": 100}, {"streams": 8}])
@pytest.mark.parametrize("memory", [1 << 28, 0])
def test_training_goes_on_where_the_file_was_written(how: dict[str, int], memory: int, tmp_path: Path) -> None:
    data = windows(IDS, 8, memory=memory, **how)

    class Save(fastnn.callbacks.Callback):
        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            if self.epoch == 1 and batch == 3:
                self.model.save(tmp_path / "m")

        def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
            self.epoch = epoch

    model = net()
    model.fit(data, epochs=3, batch_size=8, verbose=0, callbacks=Save())
    fastnn.seed(5)
    again = fastnn.load(tmp_path / "m")
    again.fit(data, epochs=3, initial_epoch=1, batch_size=8, verbose=0)
    assert [w.tobytes() for w in again.get_weights()] == [w.tobytes() for w in model.get_weights()]


def test_steps_of_an_epoch_and_class_weights() -> None:
    data = windows(IDS, 8)
    model = net()
    history = model.fit(data, epochs=2, steps_per_epoch=3, batch_size=16, verbose=0)
    assert len(history.history["loss"]) == 2
    weighted = net()
    weighted.fit(data, epochs=1, batch_size=16, class_weight={1: 3.0}, shuffle=False, verbose=0)
    same = net()
    same.fit(*data.arrays(), epochs=1, batch_size=16, class_weight={1: 3.0}, shuffle=False, verbose=0)
    assert [w.tobytes() for w in weighted.get_weights()] == [w.tobytes() for w in same.get_weights()]


def test_a_model_of_floats_takes_windows() -> None:
    fastnn.seed(0)
    results = []
    for memory in (1 << 28, 0):
        fastnn.seed(0)
        model = fastnn.Sequential([fastnn.Dense(8, input_shape=(8,))])
        model.compile("sgd", "mse")
        model.fit(windows(IDS, 8, memory=memory), epochs=2, batch_size=16, verbose=0)
        results.append([w.tobytes() for w in model.get_weights()])
    assert results[0] == results[1]


def test_errors_of_windows_in_fit() -> None:
    model = net()
    with pytest.raises(ValueError, match=r"fit: x has 4 streams, which is its batch size, but batch_size is 8"):
        model.fit(windows(IDS, 8, streams=4), batch_size=8, verbose=0)
    with pytest.raises(ValueError, match=r"fit: y of some windows\[\d+, \d\] is 11, but the model has 11 outputs"):
        model.fit(windows(np.append(IDS, 11), 8), verbose=0)
    with pytest.raises(ValueError, match="fit: y is given together with x, a Windows"):
        model.fit(windows(IDS, 8), IDS, verbose=0)


def streamed() -> Any:
    fastnn.seed(0)
    layers = [fastnn.Embedding(11, 4), fastnn.LSTM(5, return_sequences=True, stateful=True), fastnn.Dense(11)]
    model = fastnn.Sequential([fastnn.Input((8,), dtype="int64"), *layers])
    model.compile(fastnn.optim.SGD(lr=0.0), LOSS)
    return model


@pytest.mark.parametrize("memory", [1 << 28, 0])
def test_streams_carry_states(memory: int) -> None:
    """With weights that do not change, the loss of an epoch is that of whole streams, and validation leaves no trace."""
    training, held_back = windows(IDS, 8, streams=4, validation_split=0.3, memory=memory)
    model = streamed()
    history = model.fit(training, validation_data=held_back, epochs=3, verbose=0).history
    whole = fastnn.Sequential([fastnn.Embedding(11, 4), fastnn.LSTM(5, return_sequences=True), fastnn.Dense(11)])
    whole(np.zeros((1, 3), np.int64))
    whole.set_weights(model.get_weights()[: len(whole.get_weights())])
    whole.compile("sgd", LOSS)
    for data, name in ((training, "loss"), (held_back, "val_loss")):
        x, y = (a.reshape(-1, 4, 8).transpose(1, 0, 2).reshape(4, -1) for a in data.arrays())
        expected = whole.evaluate(x, y)
        assert history[name] == pytest.approx([expected] * 3, rel=1e-5)
        state = [s.numpy().copy() for s in model[1].states]
        assert model.evaluate(data) == pytest.approx(expected, rel=1e-5)
        np.testing.assert_allclose(
            model.predict(data).reshape(-1, 4, 8, 11).transpose(1, 0, 2, 3).reshape(4, -1, 11),
            whole.predict(x),
            rtol=1e-4,
            atol=1e-6,
        )
        for kept, now in zip(state, model[1].states, strict=True):
            np.testing.assert_array_equal(kept, now.numpy())


@pytest.mark.parametrize("memory", [1 << 28, 0])
def test_validation_in_the_middle_of_streams(memory: int) -> None:
    training, held_back = windows(IDS, 8, streams=4, validation_split=0.3, memory=memory)
    ends = []
    for validation in (None, held_back):
        model = streamed()
        model.compile(fastnn.optim.SGD(lr=0.1), LOSS)
        model.fit(training, validation_data=validation, epochs=5, steps_per_epoch=5, verbose=0)  # a pass has 21 steps
        ends.append([w.tobytes() for w in model.get_weights()] + [s.numpy().tobytes() for s in model[1].states])
    assert ends[0] == ends[1]


def test_bad_windows(tmp_path: Path) -> None:
    np.save(tmp_path / "f.npy", np.ones(9))
    np.save(tmp_path / "o.npy", np.array([{}]), allow_pickle=True)
    (tmp_path / "short.npy").write_bytes((tmp_path / "f.npy").read_bytes()[:-8])
    (tmp_path / "junk.npy").write_bytes(b"junk")
    (tmp_path / "x.bin").write_bytes(b"abc")
    (tmp_path / "t.txt").write_text("a text")
    cases: list[tuple[Any, dict[str, Any], type[Exception], str]] = [
        ([1, 2], {"context": 2}, ValueError, "source has 2 tokens; wanted at least 3 for a window of 2 and the next"),
        ([], {"context": 1}, TypeError, "float64 of shape"),
        ([[1, 2]], {"context": 1}, TypeError, r"shape \(1, 2\); wanted token ids"),
        ("none.npy", {"context": 1}, FileNotFoundError, "there is no file 'none.npy'"),
        (tmp_path / "f.npy", {"context": 1}, TypeError, "has float64 of shape"),
        (tmp_path / "o.npy", {"context": 1}, ValueError, "no .npy file, or a damaged one"),
        (tmp_path / "short.npy", {"context": 1}, ValueError, "no .npy file, or a damaged one"),
        (tmp_path / "junk.npy", {"context": 1}, ValueError, "no .npy file, or a damaged one"),
        (tmp_path / "x.bin", {"context": 1}, ValueError, "3 bytes, which are no ids of uint16"),
        (tmp_path / "t.txt", {"context": 1}, ValueError, "fastnn.datasets.tokenize writes one"),
        (IDS, {"context": 0}, ValueError, "context"),
        (IDS, {"context": 8, "stride": 1, "samples": 3}, ValueError, "stride and samples are given together"),
        (IDS, {"context": 8, "streams": 500}, ValueError, "at least 4001 for 500 streams"),
        (IDS, {"context": 8, "validation_split": 1.0}, ValueError, "validation_split is 1.0"),
        (IDS, {"context": 200, "validation_split": 0.1}, ValueError, "the part for validation has 100 tokens"),
        (IDS, {"context": 8, "dtype": "uint8"}, ValueError, "dtype is for files"),
    ]
    for source, arguments, kind, words in cases:
        with pytest.raises(kind, match=f"windows: .*{words}"):
            windows(source, **arguments)


def test_files_of_ids(tmp_path: Path) -> None:
    sample = text()[:5000] + "\r\n né—😀"
    (tmp_path / "t.txt").write_bytes(sample.encode())
    for tokenizer, dtype in ((ByteTokenizer(), "uint16"), (CharTokenizer([chr(i) for i in range(1, 0xD000)] + ["😀"]), "uint16")):
        n = tokenize(tmp_path / "t.txt", tokenizer, tmp_path / "t.npy")
        ids = np.load(tmp_path / "t.npy")
        assert ids.dtype == dtype and n == len(ids) and tokenizer.decode(ids) == sample
        data = windows(tmp_path / "t.npy", 10, memory=0)
        assert isinstance(data.ids, np.memmap) and (data[3][0] == ids[30:40]).all() and data[3][0].dtype == np.int64
    many = CharTokenizer([chr(i) for i in range(1, 0xD000)] + [chr(0x1F600 + i) for i in range(0x10000)])
    tokenize(tmp_path / "t.txt", many, tmp_path / "t.npy")
    assert np.load(tmp_path / "t.npy").dtype == np.int32
    ids.astype("<u2").tofile(tmp_path / "t.bin")
    ids.astype("<i4").tofile(tmp_path / "i.bin")
    for name, kind in (("t.bin", None), ("i.bin", "int32")):
        assert (windows(tmp_path / name, 10, dtype=kind).ids == ids).all()
    for bad, kinds, words in (
        ("none.txt", FileNotFoundError, "there is no file"),
        ("t.npy", ValueError, "is no text in UTF-8"),
        ("empty.txt", ValueError, "is empty"),
    ):
        (tmp_path / "empty.txt").write_bytes(b"")
        with pytest.raises(kinds, match=f"tokenize: .*{words}"):
            tokenize(tmp_path / bad, many, tmp_path / "new.npy")
    assert not (tmp_path / "new.npy").exists()
    with pytest.raises(ValueError, match=r"ends in \.npy"):
        tokenize(tmp_path / "t.txt", many, tmp_path / "new.ids")
    with pytest.raises(TypeError, match="tokenizer is a str"):
        tokenize(tmp_path / "t.txt", "char", tmp_path / "new.npy")  # type: ignore[arg-type]


LARGE = """
import resource, sys, numpy as np, fastnn
from fastnn.datasets import windows
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
data = windows(sys.argv[1], 8, samples=64)
assert not data.fits and len(data.ids) == 1 << 28
model = fastnn.Sequential([fastnn.Input((8,), dtype="int64"), fastnn.Embedding(4, 4), fastnn.Dense(4)])
model.compile("sgd", fastnn.losses.SparseCategoricalCrossentropy(from_logits=True))
model.fit(data, epochs=2, batch_size=16, verbose=0)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the file is sparse, and the unit of ru_maxrss is that of Linux")
def test_a_file_that_is_larger_than_what_it_takes(tmp_path: Path) -> None:
    """Half a gigabyte of ids; training on them takes some megabytes."""
    with open(tmp_path / "ids.bin", "wb") as f:
        f.truncate(1 << 29)
    done = subprocess.run([sys.executable, "-c", LARGE, str(tmp_path / "ids.bin")], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < 100_000


def test_windows_have_an_end() -> None:
    data: Windows = windows(IDS, 8)
    assert [x.shape for x, _ in data][-1] == (8,)
    with pytest.raises(IndexError, match="there is no window 125"):
        data[125]


def sequences(n: int = 40, seed: int = 0) -> list[Any]:
    rng = np.random.default_rng(seed)
    return [rng.integers(1, 11, rng.integers(0, 13)) for _ in range(n)]


@pytest.mark.parametrize("multiple", [1, 4])
def test_buckets(multiple: int) -> None:
    given = sequences()
    data = buckets(given, y=np.arange(40), batch_size=7, pad=-1, lengths=True, multiple=multiple)
    assert len(data) == 6
    seen = []
    for i in range(len(data)):
        (x, lengths), y = data[i]
        assert x.shape[1] % multiple == 0 and x.shape[1] - lengths.max() < max(multiple, 2) and len(x) == len(y) == len(lengths)
        for row, length, number in zip(x, lengths, y, strict=True):
            np.testing.assert_array_equal(row[:length], given[number])
            assert (row[length:] == -1).all()
        seen += y.tolist()
    assert sorted(seen) == list(range(40)) and sum(data[i][0][0].size for i in range(6)) < 40 * 13
    steps = buckets(given, y=[s * 2 for s in given], batch_size=40)
    x, y, weights = steps[0]
    assert (y == x * 2).all() and ((x > 0) == (weights == 1)).all() and weights.dtype == np.float32 and x.dtype == np.int64
    series = buckets([np.ones((3, 2), np.float32), np.zeros((5, 2), np.float32)], batch_size=2)
    assert series[0][0].shape == (2, 8, 2) and series[0][0].dtype == np.float32 and series[0][0].sum() == 6


def test_buckets_train() -> None:
    """Train a model that has to count the ones among other numbers."""
    given = sequences(300)
    fastnn.seed(0)
    layers = [fastnn.Embedding(11, 4, mask_zero=True), fastnn.GlobalAveragePooling1D(), fastnn.Dense(1, "sigmoid")]
    model = fastnn.Sequential(layers)
    model.compile(fastnn.optim.Adam(lr=0.05), "binary_crossentropy", ["accuracy"])
    data = buckets(given, y=[float((s > 5).mean() > 0.5) if len(s) else 0.0 for s in given])
    model.fit(data, epochs=20, verbose=0)
    assert model.evaluate(data)[1] > 0.95
    assert model.predict(data).shape == (300, 1)


def test_pack() -> None:
    given = sequences(60)
    packed = pack(given, 16, separator=0, pad=12)
    x, y, weights, segments = packed
    assert x.shape == y.shape == weights.shape == segments.shape and len(x) < 60 and x.dtype == np.int64
    assert ((segments > 0) == (weights == 1)).all() and weights.sum() == sum(len(s) + 1 for s in given)
    found = []
    for row in range(len(x)):
        assert x[row, 0] == 0
        for number in range(1, segments[row].max() + 1):
            part = segments[row] == number
            assert (x[row, part][0], y[row, part][-1]) == (0, 0) and (x[row, part][1:] == y[row, part][:-1]).all()
            found.append(tuple(y[row, part][:-1]))
    assert sorted(found) == sorted(tuple(s) for s in given)
    assert len(x) < 1.25 * weights.sum() / 16
    assert len(pack([[1] * 9] * 5 + [[2] * 5] * 5, 16, 0).x) == 5  # without a gap
    assert (y[weights == 0][1:] == 12).any() and pack([[1]], 4, 5).y.tolist() == [[1, 5, 5, 5]]


def test_bad_sequences() -> None:
    for bad, kind, words in (
        (np.ones((3, 2)), TypeError, "sequences is a ndarray; wanted a list"),
        ([], ValueError, "sequences is an empty list"),
        ([[1], 2], ValueError, r"sequences\[1\] has shape \(\)"),
        ([[[1, 2]], [[1]]], ValueError, r"sequences\[1\] has shape \(1, 1\); wanted \(length, 2\)"),
        (["ab"], (TypeError, ValueError), "sequences"),
    ):
        with pytest.raises(kind, match=words):  # type: ignore[call-overload]
            buckets(bad)
    with pytest.raises(ValueError, match="2 sequences, but y has 1"):
        buckets([[1], [2]], y=[1])
    with pytest.raises(ValueError, match=r"sequences\[1\] has the length 1, but y\[1\] has 2"):
        buckets([[1], [2]], y=[[1], [2, 3]])
    with pytest.raises(ValueError, match=r"pack: sequences\[1\] has 4 tokens; with a separator, at most 3 fit into 4"):
        pack([[1], [1, 2, 3, 4]], 4, 0)
    with pytest.raises(TypeError, match=r"pack: sequences have float64"):
        pack([[0.5]], 4, 0)


def test_writing_leaves_no_files(tmp_path: Path) -> None:
    (tmp_path / "t.txt").write_text("call me Ishmael")
    tokenize(tmp_path / "t.txt", ByteTokenizer(), tmp_path / "t.npy")
    assert sorted(os.listdir(tmp_path)) == ["t.npy", "t.txt"]
