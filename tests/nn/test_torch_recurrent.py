"""Recurrent layers and cells with PyTorch's names, and packed sequences: the same as PyTorch's."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fastnn
import fastnn.nn as nn
from fastnn.core.tree import flatten
from fastnn.nn.utils import rnn

rng = np.random.default_rng(0)
T, N, F, H = 5, 4, 3, 6
X = rng.standard_normal((T, N, F)).astype(np.float32)
LENGTHS = [2, 5, 1, 4]
OPTIONS: list[tuple[str, dict[str, Any]]] = [
    ("RNN", {}),
    ("RNN", {"nonlinearity": "relu", "num_layers": 2, "bias": False}),
    ("LSTM", {"num_layers": 2, "bidirectional": True}),
    ("LSTM", {"batch_first": True, "bias": False}),
    ("LSTM", {"num_layers": 2, "bidirectional": True, "proj_size": 2}),
    ("GRU", {"num_layers": 3, "batch_first": True}),
    ("GRU", {"num_layers": 2, "bidirectional": True}),
    ("GRU", {"bias": False}),
]
# PyTorch warns of its own LSTM, with which these tests compare.
pytestmark = pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN")
CASES = pytest.mark.parametrize(("kind", "options"), OPTIONS, ids=[f"{k}-{'-'.join(o)}" for k, o in OPTIONS])


@pytest.fixture
def torch() -> Any:
    return pytest.importorskip("torch")


def pair(torch: Any, kind: str, *sizes: int, **options: Any) -> tuple[Any, Any]:
    """Return a layer of fastnn and one of PyTorch with the same weights."""
    torch.manual_seed(1)
    ours, theirs = getattr(nn, kind)(*sizes, **options), getattr(torch.nn, kind)(*sizes, **options)
    values = {name: p.detach().numpy() for name, p in theirs.state_dict().items()}
    assert [(n, v.shape) for n, v in ours.state_dict().items()] == [(n, v.shape) for n, v in values.items()]
    ours.load_state_dict(values)
    return ours, theirs


def close(ours: Any, theirs: Any, atol: float = 1e-6) -> None:
    a, b = flatten(ours)[1], flatten(theirs)[1]
    assert len(a) == len(b)
    for one, other in zip(a, b, strict=True):
        np.testing.assert_allclose(one.numpy(), other.detach().numpy(), atol=atol)


def same_gradients(torch: Any, ours: Any, theirs: Any, got: Any, wanted: Any, inputs: Any = ()) -> None:
    """Compare the gradients of the parameters and inputs by a weighted sum of the outputs."""
    a, b = flatten(got)[1], flatten(wanted)[1]
    factors = [np.random.default_rng(i).standard_normal(t.shape).astype(np.float32) for i, t in enumerate(a)]
    sum((t * f).sum() for t, f in zip(a, factors, strict=True)).backward()
    sum((t * torch.tensor(f)).sum() for t, f in zip(b, factors, strict=True)).backward()
    for (name, p), q in zip(ours.named_parameters(), theirs.parameters(), strict=True):
        np.testing.assert_allclose(p.grad.numpy(), q.grad.numpy(), atol=3e-5, err_msg=name)
    for one, other in inputs:
        np.testing.assert_allclose(one.grad.numpy(), other.grad.numpy(), atol=1e-5)


def states(ours: Any, n: int) -> list[np.ndarray]:
    columns = [ours.proj_size or H, H] if isinstance(ours, nn.LSTM) else [H]
    count = ours.num_layers * (1 + ours.bidirectional)
    return [np.random.default_rng(7).standard_normal((count, n, size)).astype(np.float32) for size in columns]


def given(values: list[np.ndarray], make: Any) -> Any:
    made = [make(v) for v in values]
    return tuple(made) if len(made) > 1 else made[0]


@CASES
def test_outputs_states_and_gradients(torch: Any, kind: str, options: dict[str, Any]) -> None:
    ours, theirs = pair(torch, kind, F, H, **options)
    close(ours(X.copy()), theirs(torch.tensor(X)))
    x, y = fastnn.tensor(X, requires_grad=True), torch.tensor(X, requires_grad=True)
    values = states(ours, T if ours.batch_first else N)
    hx = given(values, lambda v: fastnn.tensor(v, requires_grad=True))
    hy = given(values, lambda v: torch.tensor(v, requires_grad=True))
    got, wanted = ours(x, hx), theirs(y, hy)
    close(got, wanted)
    pairs = zip([x, *flatten(hx)[1]], [y, *flatten(hy)[1]], strict=True)
    same_gradients(torch, ours, theirs, got, wanted, pairs)


@CASES
def test_one_sequence_without_a_batch(torch: Any, kind: str, options: dict[str, Any]) -> None:
    ours, theirs = pair(torch, kind, F, H, **options)
    x = np.ascontiguousarray(X[:, 0])
    close(ours(x), theirs(torch.tensor(x)))
    values = [v[:, 0] for v in states(ours, 1)]
    close(ours(x, given(values, fastnn.tensor)), theirs(torch.tensor(x), given(values, torch.tensor)))


@CASES
@pytest.mark.parametrize("ordered", [False, True])
def test_packed_sequences(torch: Any, kind: str, options: dict[str, Any], ordered: bool) -> None:
    from torch.nn.utils import rnn as theirs_rnn

    ours, theirs = pair(torch, kind, F, H, **options)
    lengths = sorted(LENGTHS, reverse=True) if ordered else LENGTHS
    x, y = fastnn.tensor(X, requires_grad=True), torch.tensor(X, requires_grad=True)
    packed = rnn.pack_padded_sequence(x, lengths, enforce_sorted=ordered)
    wanted = theirs_rnn.pack_padded_sequence(y, torch.tensor(lengths), enforce_sorted=ordered)
    close([t for t in packed if t is not None], [t for t in wanted if t is not None])
    values = states(ours, N)
    got, wanted = ours(packed, given(values, fastnn.tensor)), theirs(wanted, given(values, torch.tensor))
    results = rnn.pad_packed_sequence(got[0], padding_value=-1.0), theirs_rnn.pad_packed_sequence(wanted[0], padding_value=-1.0)
    close([results[0], got[1]], [results[1], wanted[1]])
    same_gradients(torch, ours, theirs, [results[0][0], got[1]], [results[1][0], wanted[1]], [(x, y)])
    if not options.get("batch_first"):  # lengths give the same without packing
        z, last = ours(X.copy(), given(values, fastnn.tensor), lengths=lengths)
        close(flatten(last)[1], [torch.tensor(t.numpy()) for t in flatten(got[1])[1]])
        np.testing.assert_allclose(z.numpy(), rnn.pad_packed_sequence(got[0])[0].numpy(), atol=1e-6)


def test_packed_is_each_alone() -> None:
    fastnn.seed(0)
    layer = nn.LSTM(F, H, 2, bidirectional=True)
    rows = [np.ascontiguousarray(X[:n, i]) for i, n in enumerate(LENGTHS)]
    y, (h, c) = layer(rnn.pack_sequence(rows, enforce_sorted=False))
    for i, (row, one) in enumerate(zip(rows, rnn.unpack_sequence(y), strict=True)):
        z, (hi, ci) = layer(row)
        np.testing.assert_allclose(one.numpy(), z.numpy(), atol=1e-6)
        np.testing.assert_allclose(h.numpy()[:, i], hi.numpy(), atol=1e-6)
        np.testing.assert_allclose(c.numpy()[:, i], ci.numpy(), atol=1e-6)


@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("side", ["right", "left"])
def test_padding(torch: Any, batch_first: bool, side: str) -> None:
    from torch.nn.utils import rnn as theirs

    rows = [np.ascontiguousarray(X[:n, i]) for i, n in enumerate(LENGTHS)]
    others = list(map(torch.tensor, rows))
    close(rnn.pad_sequence(rows, batch_first, 2.0, side), theirs.pad_sequence(others, batch_first, 2.0, side))
    padded = rnn.pad_sequence(rows, batch_first)
    for one, row in zip(rnn.unpad_sequence(padded, LENGTHS, batch_first), rows, strict=True):
        np.testing.assert_array_equal(one.numpy(), row)
    packed, wanted = rnn.pack_sequence(rows, False), theirs.pack_sequence(others, False)
    close(list(packed), list(wanted))
    close(rnn.pad_packed_sequence(packed, batch_first, 3.0, 7), theirs.pad_packed_sequence(wanted, batch_first, 3.0, 7))
    again = rnn.pack_padded_sequence(padded, fastnn.tensor(LENGTHS), batch_first, False)
    np.testing.assert_array_equal(again.data.numpy(), packed.data.numpy())
    order = rnn.invert_permutation(packed.sorted_indices)
    assert order is not None and packed.unsorted_indices is not None
    assert order.tolist() == packed.unsorted_indices.tolist() and rnn.invert_permutation(None) is None


@pytest.mark.parametrize(
    ("kind", "options"), [("RNNCell", {}), ("RNNCell", {"nonlinearity": "relu"}), ("LSTMCell", {}), ("GRUCell", {})]
)
@pytest.mark.parametrize("bias", [True, False])
def test_cells(torch: Any, kind: str, options: dict[str, Any], bias: bool) -> None:
    ours, theirs = pair(torch, kind, F, H, bias=bias, **options)
    close(ours(X[0]), theirs(torch.tensor(X[0])))
    close(ours(X[0, 0]), theirs(torch.tensor(X[0, 0])))
    values = [rng.standard_normal((N, H)).astype(np.float32) for _ in range(1 + (kind == "LSTMCell"))]
    x, y = fastnn.tensor(X[0], requires_grad=True), torch.tensor(X[0], requires_grad=True)
    got, wanted = ours(x, given(values, fastnn.tensor)), theirs(y, given(values, torch.tensor))
    close(got, wanted)
    same_gradients(torch, ours, theirs, got, wanted, [(x, y)])
    alone = given([v[0] for v in values], fastnn.tensor), given([v[0] for v in values], torch.tensor)
    close(ours(X[0, 0], alone[0]), theirs(torch.tensor(X[0, 0]), alone[1]))


@pytest.mark.parametrize("kind", ["RNN", "LSTM", "GRU"])
def test_cells_step_by_step_are_the_layer(kind: str) -> None:
    layer, cell = getattr(nn, kind)(F, H), getattr(nn, f"{kind}Cell")(F, H)
    cell.load_state_dict({name.removesuffix("_l0"): v for name, v in layer.state_dict().items()})
    whole, state = layer(X)[0].numpy(), None
    for x, y in zip(X, whole, strict=True):
        state = cell(np.ascontiguousarray(x), state)
        np.testing.assert_allclose((state[0] if kind == "LSTM" else state).numpy(), y, atol=1e-6)


@pytest.mark.parametrize("shape", [(0, 2), (2, 0), (1, 1)])
@pytest.mark.parametrize("kind", ["RNN", "LSTM", "GRU"])
def test_sizes_0_and_1(kind: str, shape: tuple[int, int]) -> None:
    y, state = getattr(nn, kind)(3, 4, 2, bidirectional=True)(fastnn.zeros(*shape, 3))
    assert y.shape == (*shape, 8) and all(t.shape == (4, shape[1], 4) for t in flatten(state)[1])


def test_initial_values() -> None:
    layer = nn.LSTM(F, 25, 2, proj_size=7)
    for name, p in layer.named_parameters():
        assert np.abs(p.numpy()).max() <= 0.2 and np.abs(p.numpy()).max() > 0.15, name
    assert [len(own) for own in layer.all_weights] == [5, 5]


def test_dropout_between_layers() -> None:
    fastnn.seed(0)
    layer, single = nn.GRU(F, 40, 2, dropout=0.5), nn.GRU(F, 40, dropout=0.5)
    y = layer(X)[0].numpy()
    assert not np.array_equal(layer(X)[0].numpy(), y)
    assert np.array_equal(single(X)[0].numpy(), single(X)[0].numpy())  # none after the last layer
    layer.eval()
    assert np.array_equal(layer(X)[0].numpy(), layer(X)[0].numpy())
    layer.train().dropout = 0.0
    assert np.array_equal(layer(X)[0].numpy(), layer(X)[0].numpy())


class Last(nn.Module):
    """The last output of an LSTM, through a dense layer."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm, self.out = nn.LSTM(F, 5, 2, batch_first=True, dropout=0.2, bidirectional=True), nn.Linear(10, 1)

    def forward(self, x: Any) -> Any:
        _, (h, _) = self.lstm(x)
        return self.out(fastnn.concatenate([h[-2], h[-1]], 1))


def test_fit_freeze_and_files(tmp_path: Path) -> None:
    class Eager(fastnn.callbacks.Callback):  # a callback between batches keeps the steps from being recorded
        def on_train_batch_end(self, batch: int, logs: Any = None) -> None: ...

    x = rng.standard_normal((48, T, F)).astype(np.float32)
    histories = []
    for callbacks in ([], [Eager()]):
        fastnn.seed(1)
        model = Last()
        model.compile("adam", "mse", capture=True)
        histories.append(model.fit(x, x.sum((1, 2))[:, None], epochs=3, batch_size=8, verbose=0, callbacks=callbacks).history)
    assert histories[0] == histories[1]
    np.testing.assert_allclose(model.freeze(batch_size=8, input_shape=(T, F))(x[:8]), model.predict(x[:8]), atol=1e-6)


@pytest.mark.parametrize(
    "layer",
    [
        nn.LSTM(F, 4, 2, bidirectional=True, proj_size=2),
        nn.RNN(F, 4, nonlinearity="relu", bias=False),
        nn.GRU(F, 4, batch_first=True, dtype="float64"),
        nn.RNNCell(F, 4, nonlinearity="relu"),
        nn.LSTMCell(F, 4),
        nn.GRUCell(F, 4, bias=False),
    ],
    ids=lambda layer: type(layer).__name__,
)
def test_a_layer_comes_back_from_a_file(layer: Any, tmp_path: Path) -> None:
    layer.save(tmp_path / "m")
    twin = fastnn.load(tmp_path / "m")
    assert twin.get_config() == layer.get_config() and repr(twin) == repr(layer)
    x = X[0] if "Cell" in type(layer).__name__ else X
    np.testing.assert_array_equal(flatten(twin(x))[1][0].numpy(), flatten(layer(x))[1][0].numpy())


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: nn.LSTM(3, 4)(X[:, :, :2]), ValueError, r"LSTM: x has shape \(5, 4, 2\), wanted \(n, None, 3\)"),
        (
            lambda: nn.LSTM(3, 4)(X, (np.zeros((1, 4, 4)),)),
            ValueError,
            r"LSTM: hx has shape .*wanted \(1, 4, 4\) and \(1, 4, 4\)",
        ),
        (lambda: nn.GRU(3, 4)(X, np.zeros((2, 4, 4))), ValueError, r"GRU: hx has shape \(2, 4, 4\), wanted \(1, 4, 4\)"),
        (lambda: nn.LSTM(3, 4, proj_size=4), ValueError, "LSTM: proj_size is 4, wanted less than hidden_size"),
        (lambda: nn.RNN(3, 4, nonlinearity="elu"), ValueError, "RNN: nonlinearity is 'elu'"),
        (lambda: nn.GRU(3, 0), ValueError, "GRU: hidden_size is 0"),
        (lambda: nn.GRU(3, 4, dropout=2.0), ValueError, "GRU: dropout is 2.0"),
        (lambda: nn.GRUCell(3, 4)(X), ValueError, r"GRUCell: x has shape \(5, 4, 3\)"),
        (lambda: nn.LSTMCell(3, 4)(X[0], np.zeros((4, 4))), ValueError, r"LSTMCell: hx has shape \(4, 4\)"),
        (
            lambda: rnn.pack_padded_sequence(X, LENGTHS),
            ValueError,
            "are not descending; sort the sequences, or pass enforce_sorted",
        ),
        (lambda: rnn.pack_padded_sequence(X, [5, 3, 2, 0]), ValueError, "lengths go from 0 to 5, wanted .* from 1 to 5"),
        (lambda: rnn.pack_padded_sequence(X, [5, 3]), ValueError, r"lengths of shape \(2,\)"),
        (lambda: rnn.pad_packed_sequence(X), TypeError, "pad_packed_sequence: a ndarray came"),
        (lambda: rnn.pad_packed_sequence(rnn.pack_sequence(X), total_length=2), ValueError, "total_length is 2"),
        (lambda: rnn.pad_sequence([X, X[0]]), ValueError, "pad_sequence: sequences of"),
        (lambda: rnn.pad_sequence([X], padding_side="top"), ValueError, "padding_side is 'top'"),
        (lambda: nn.GRU(3, 4)(rnn.pack_sequence(X), lengths=[4]), ValueError, "lengths came with a PackedSequence"),
    ],
)
def test_errors(call: Any, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        call()
