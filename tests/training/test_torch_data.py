"""fastnn.utils.data: batches, samplers and data sets as those of torch.utils.data."""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import fastnn
import fastnn.utils.data as own
from fastnn.utils.data import DataLoader, Dataset, IterableDataset, TensorDataset

Point = namedtuple("Point", "x y")


def plain(batch: Any) -> Any:
    """The values and dtypes of a batch."""
    if hasattr(batch, "numpy"):
        return batch.numpy().dtype, batch.tolist()
    if isinstance(batch, dict):
        return {key: plain(value) for key, value in batch.items()}
    return [type(batch), *map(plain, batch)] if isinstance(batch, list | tuple) else batch


SAMPLES: dict[str, Callable[[int], Any]] = {
    "numbers": lambda i: i,
    "floats": lambda i: i / 2,
    "bools": lambda i: i > 2,
    "arrays": lambda i: np.full((2, 3), i, np.float32),
    "scalars": lambda i: np.float64(i),
    "tuples": lambda i: (np.array([i]), i),
    "dicts": lambda i: {"x": np.array([i / 2]), "name": str(i)},
    "named tuples": lambda i: Point(i, float(i)),
    "nested": lambda i: {"a": [i, (i, "b")]},
}


def made(library: Any, sample: Callable[[int], Any]) -> Any:
    class Made(library.Dataset):  # type: ignore[misc]
        def __len__(self) -> int:
            return 7

        def __getitem__(self, index: int) -> Any:
            return sample(index)

    return Made()


@pytest.mark.parametrize("kind", SAMPLES)
def test_batches_of_samples(kind: str) -> None:
    theirs = pytest.importorskip("torch").utils.data
    for settings in ({"batch_size": 3}, {"batch_size": 3, "drop_last": True}, {"batch_size": None}, {}):
        loaders = [t.DataLoader(made(t, SAMPLES[kind]), **settings) for t in (theirs, own)]
        assert len(loaders[0]) == len(loaders[1])
        expected, found = ([plain(batch) for batch in loader] for loader in loaders)
        if settings == {"batch_size": None}:  # PyTorch converts arrays of single samples, too
            assert len(found) == 7
        else:
            assert found == expected


def test_orders() -> None:
    data = TensorDataset(fastnn.arange(10), fastnn.arange(10) * 2)
    fastnn.manual_seed(0)
    loader = DataLoader(data, 4, shuffle=True)
    first, second = ([x.tolist() for x, y in loader if (y == 2 * x).all()] for _ in range(2))
    assert [len(x) for x in first] == [4, 4, 2] and first != second
    assert sorted(i for batch in first for i in batch) == list(range(10))
    fastnn.manual_seed(0)
    assert [x.tolist() for x, _ in loader] == first
    a, b = (DataLoader(data, 4, shuffle=True, generator=fastnn.Generator().manual_seed(3)) for _ in range(2))
    assert [x.tolist() for x, _ in a] == [x.tolist() for x, _ in b]


def test_a_thread_makes_the_same_batches() -> None:
    data = TensorDataset(fastnn.arange(20))
    assert [x.tolist() for (x,) in DataLoader(data, 3, num_workers=2)] == [x.tolist() for (x,) in DataLoader(data, 3)]


def test_samplers() -> None:
    g = fastnn.Generator().manual_seed(1)
    drawn = list(own.WeightedRandomSampler([0.0, 1.0, 3.0], 4000, generator=g))
    assert abs(drawn.count(2) / 4000 - 0.75) < 0.03 and 0 not in drawn
    assert sorted(own.RandomSampler(range(4), num_samples=8, generator=g)) == [0, 0, 1, 1, 2, 2, 3, 3]
    assert len(list(own.RandomSampler(range(4), replacement=True, num_samples=9))) == 9
    assert sorted(own.SubsetRandomSampler([5, 7])) == [5, 7]
    batches = own.BatchSampler(own.SequentialSampler(range(5)), 2, drop_last=True)
    assert list(batches) == [[0, 1], [2, 3]] and len(batches) == 2
    assert [x.tolist() for (x,) in DataLoader(TensorDataset(fastnn.arange(5)), batch_sampler=batches)] == [[0, 1], [2, 3]]
    assert [x.tolist() for (x,) in DataLoader(TensorDataset(fastnn.arange(5)), 2, sampler=[4, 0, 2])] == [[4, 0], [2]]


def test_data_sets() -> None:
    data = TensorDataset(fastnn.arange(10), np.arange(20.0).reshape(10, 2))
    parts = own.random_split(data, [7, 3], generator=fastnn.Generator().manual_seed(0))
    assert sorted(int(x) for part in parts for x, _ in part) == list(range(10))
    assert [len(p) for p in own.random_split(data, [0.5, 0.25, 0.25])] == [6, 2, 2]
    batches = list(DataLoader(parts[0], 4))
    assert [x.tolist() for x, _ in batches] == [[int(parts[0][i][0]) for i in r] for r in (range(4), range(4, 7))]
    joined = data + own.Subset(data, [3])
    assert len(joined) == 11 and int(joined[10][0]) == 3 and int(joined[-2][0]) == 9
    assert own.StackDataset(a=[1, 2], b=[3, 4])[1] == {"a": 2, "b": 4}


def test_a_getitem_of_ones_own_is_called() -> None:
    class Twice(TensorDataset):
        def __getitem__(self, index: Any) -> Any:
            return tuple(2 * t for t in super().__getitem__(index))

    assert next(iter(DataLoader(Twice(fastnn.ones(4)), 2)))[0].tolist() == [2.0, 2.0]
    assert next(iter(DataLoader(own.Subset(Twice(fastnn.ones(4)), [0, 1]), 2)))[0].tolist() == [2.0, 2.0]


def test_iterable_data_sets() -> None:
    class Stream(IterableDataset):
        def __iter__(self) -> Iterator[int]:
            return iter(range(5))

    assert [x.tolist() for x in DataLoader(Stream(), batch_size=2)] == [[0, 1], [2, 3], [4]]
    assert [x.tolist() for x in DataLoader(Stream(), batch_size=2, drop_last=True)] == [[0, 1], [2, 3]]
    assert list(DataLoader(Stream(), batch_size=None)) == [0, 1, 2, 3, 4]


def test_fit_takes_a_loader() -> None:
    x = np.random.default_rng(0).standard_normal((64, 3)).astype(np.float32)
    loader = DataLoader(TensorDataset(x, x @ np.array([[1.0], [2.0], [3.0]], np.float32)), batch_size=16, shuffle=True)
    model = fastnn.Sequential([fastnn.Dense(1, input_shape=(3,))])
    model.compile(fastnn.optim.SGD(lr=0.1), "mse")
    assert model.fit(loader, epochs=20, verbose=0).history["loss"][-1] < 0.01


ERRORS: list[tuple[Callable[[], Any], type[Exception], str]] = [
    (lambda: DataLoader([1], shuffle=True, sampler=[0]), ValueError, "shuffle and a sampler"),
    (lambda: DataLoader([1], 2, batch_sampler=[[0]]), ValueError, "batch_sampler came together"),
    (lambda: DataLoader(IterableDataset(), shuffle=True), ValueError, "order of its own"),
    (lambda: DataLoader([1], batchsize=2), TypeError, "unknown argument 'batchsize'"),
    (lambda: DataLoader([1], 0), ValueError, "batch_size is 0"),
    (lambda: TensorDataset(fastnn.ones(2), fastnn.ones(3)), ValueError, "the same number of rows"),
    (lambda: own.random_split([1, 2], [1, 2]), ValueError, "add up to 3; the data set has 2"),
    (lambda: own.random_split([1, 2], [0.5, 0.4]), ValueError, "add up to 1"),
    (lambda: own.default_collate([object()]), TypeError, "a object came"),
    (lambda: own.default_collate([np.ones(2), np.ones(3)]), ValueError, "wanted one shape"),
    (lambda: own.default_collate([(1,), (1, 2)]), ValueError, r"samples with \[1, 2\] parts"),
    (lambda: Dataset()[0], NotImplementedError, "defines no __getitem__"),
    (lambda: own.WeightedRandomSampler([-1.0], 1), ValueError, "finite weight"),
]


@pytest.mark.parametrize(("f", "error", "words"), ERRORS, ids=[c[2][:20] for c in ERRORS])
def test_errors(f: Callable[[], Any], error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        f()
