"""The recurrent operations against PyTorch's cells, with packed sequences where there are lengths, and against differences."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

import fastnn
from fastnn.ops import dense, recurrent

N, T, INPUTS, H = 4, 6, 3, 5
LENGTHS = (6, 1, 4, 6)


def tensor(rng: np.random.Generator, *shape: int, grad: bool = True) -> fastnn.Tensor:
    return fastnn.tensor(rng.uniform(-1, 1, shape), requires_grad=grad)


def peer(kind: str, proj_size: int, batch_first: bool) -> Any:
    torch = pytest.importorskip("torch")
    torch.manual_seed(1)
    more = {"proj_size": proj_size} if proj_size else {}
    make = torch.nn.RNN if kind in ("tanh", "relu") else getattr(torch.nn, kind)
    if kind in ("tanh", "relu"):
        more["nonlinearity"] = kind
    return make(INPUTS, H, batch_first=batch_first, bidirectional=True, dtype=torch.float64, **more)


def weights(cell: Any, suffix: str) -> dict[str, Any]:
    return {name: p for name, p in cell.named_parameters() if name.endswith("_reverse") == bool(suffix)}


@pytest.mark.parametrize("lengths", [None, LENGTHS], ids=["whole", "lengths"])
@pytest.mark.parametrize("batch_first", [True, False], ids=["batch_first", "time_first"])
@pytest.mark.parametrize("kind", ["LSTM", "LSTM-2", "GRU", "tanh", "relu"])
def test_values_and_gradients_are_those_of_pytorch(kind: str, batch_first: bool, lengths: tuple[int, ...] | None) -> None:
    torch = pytest.importorskip("torch")
    kind, _, proj = kind.partition("-")
    columns, states = int(proj or H), 2 if kind == "LSTM" else 1
    cell, rng = peer(kind, int(proj or 0), batch_first), np.random.default_rng(0)
    lead = (N, T) if batch_first else (T, N)
    x = rng.uniform(-1, 1, (*lead, INPUTS))
    initial = [rng.uniform(-1, 1, (2, N, size)) for size in (columns, H)[:states]]
    upstream = [rng.uniform(-1, 1, (*lead, 2 * columns)), *(rng.uniform(-1, 1, a.shape) for a in initial)]

    xt = torch.tensor(x, requires_grad=True)
    initial_t = [torch.tensor(a, requires_grad=True) for a in initial]
    packed = xt if lengths is None else torch.nn.utils.rnn.pack_padded_sequence(xt, lengths, batch_first, enforce_sorted=False)
    out, last = cell(packed, tuple(initial_t) if states == 2 else initial_t[0])
    if lengths is not None:
        out, _ = torch.nn.utils.rnn.pad_packed_sequence(out, batch_first, total_length=T)
    wanted = [out, *(last if states == 2 else (last,))]
    sum((a * torch.tensor(d)).sum() for a, d in zip(wanted, upstream, strict=True)).backward()

    given = fastnn.tensor(x, requires_grad=True)
    for direction, suffix in enumerate(("", "_reverse")):
        own = {
            name.removesuffix(suffix): fastnn.tensor(p.detach().numpy().T.copy(), requires_grad=True)
            for name, p in weights(cell, suffix).items()
        }
        first = [fastnn.tensor(a[direction], requires_grad=True) for a in initial]
        options: dict[str, Any] = {
            "lengths": lengths and np.array(lengths),
            "reverse": bool(direction),
            "batch_first": batch_first,
        }
        u, bias = own["weight_hh_l0"], own["bias_hh_l0"]
        if kind == "GRU":
            z = dense.dense(given, own["weight_ih_l0"], own["bias_ih_l0"])
            made = recurrent.gru(z, u, bias, *first, order="rzn", **options)
        else:
            z = dense.dense(given, own["weight_ih_l0"], own["bias_ih_l0"] + bias)
            if kind == "LSTM":
                made = recurrent.lstm(z, u, *first, projection=own.get("weight_hr_l0"), **options)
            else:
                made = recurrent.rnn(z, u, *first, activation=kind, **options)
        half = slice(direction * columns, (direction + 1) * columns)
        expected = [wanted[0][..., half], *(a[direction] for a in wanted[1:])]
        slopes = [upstream[0][..., half], *(a[direction] for a in upstream[1:])]
        for got, want in zip(made, expected, strict=True):
            np.testing.assert_allclose(got.numpy(), want.detach().numpy(), atol=1e-12)
        sum((a * fastnn.tensor(d.copy())).sum() for a, d in zip(made, slopes, strict=True)).backward()
        for name, p in weights(cell, suffix).items():
            np.testing.assert_allclose(own[name.removesuffix(suffix)].grad.numpy().T, p.grad.numpy(), atol=1e-11, err_msg=name)
        for a, b in zip(first, initial_t, strict=True):
            np.testing.assert_allclose(a.grad.numpy(), b.grad[direction].numpy(), atol=1e-12)
    np.testing.assert_allclose(given.grad.numpy(), xt.grad.numpy(), atol=1e-11)


@pytest.mark.parametrize(
    ("reverse", "batch_first", "lengths"), list(itertools.product((False, True), (False, True), (None, (6, 0, 5, 2))))
)
def test_gradients_with_masks_are_those_of_differences(reverse: bool, batch_first: bool, lengths: Any) -> None:
    rng = np.random.default_rng(2)
    lead = (N, T) if batch_first else (T, N)
    options: dict[str, Any] = {"lengths": lengths and np.array(lengths), "reverse": reverse, "batch_first": batch_first}
    options["mask"] = fastnn.tensor(rng.uniform(0, 2, (N, 3)))
    z, u, state = (lambda gates: tensor(rng, *lead, gates * 3)), (lambda gates: tensor(rng, 3, gates * 3)), tensor(rng, N, 3)
    fastnn.gradcheck(lambda *a: recurrent.rnn(*a, **options), (z(1), u(1), state))
    fastnn.gradcheck(lambda *a: recurrent.lstm(*a, **options), (z(4), u(4), state, tensor(rng, N, 3)))
    for order in ("zrh", "rzn"):
        fastnn.gradcheck(lambda *a, o=order: recurrent.gru(*a, order=o, **options), (z(3), u(3), tensor(rng, 9), state))
        before = {**options, "order": order, "reset_after": False}
        fastnn.gradcheck(lambda a, b, c, o=before: recurrent.gru(a, b, None, c, **o), (z(3), u(3), state))


def test_gradients_of_weights_add_up() -> None:
    """Gradients of two calls with the same weights, one after the other and in one backward."""
    rng = np.random.default_rng(3)
    for call, gates in ((recurrent.rnn, 1), (recurrent.lstm, 4), (recurrent.gru, 3), (_reset_before, 3)):
        z, u = tensor(rng, N, T, gates * H), tensor(rng, H, gates * H)
        call(z, u)[0].sum().backward()
        once = u.grad.numpy().copy()
        call(z, u)[0].sum().backward()
        np.testing.assert_allclose(u.grad.numpy(), 2 * once, rtol=1e-12)
        u.grad = None
        (call(z, u)[0].sum() + call(z, u)[1].sum() * 0.0 + call(z, u)[0].sum()).backward()
        np.testing.assert_allclose(u.grad.numpy(), 2 * once, rtol=1e-12)


def _reset_before(z: fastnn.Tensor, u: fastnn.Tensor) -> Any:
    return recurrent.gru(z, u, reset_after=False)


@pytest.mark.parametrize(("n", "steps", "units"), [(0, 3, 2), (2, 0, 2), (1, 1, 1), (2, 3, 0)])
def test_empty_and_small_sizes(n: int, steps: int, units: int) -> None:
    rng = np.random.default_rng(4)
    for call, gates in ((recurrent.rnn, 1), (recurrent.lstm, 4), (recurrent.gru, 3), (_reset_before, 3)):
        z, u = tensor(rng, n, steps, gates * units), tensor(rng, units, gates * units)
        y, *states = call(z, u)
        assert y.shape == (n, steps, units) and all(s.shape == (n, units) for s in states)
        sum((s.sum() for s in states), y.sum()).backward()
        assert z.grad.shape == z.shape and u.grad.shape == u.shape
        if not steps:
            assert not u.grad.numpy().any() and not states[0].numpy().any()


def test_a_step_at_a_time_gives_the_same() -> None:
    rng = np.random.default_rng(5)
    for units in (3, 40):
        z, u = tensor(rng, 2, T, 4 * units), tensor(rng, units, 4 * units)
        y, h, c = recurrent.lstm(z, u)
        at = None, None
        for step in range(T):
            part, *at = recurrent.lstm(z[:, step : step + 1], u, *at)
            np.testing.assert_allclose(part.numpy()[:, 0], y.numpy()[:, step], atol=1e-12)
        np.testing.assert_allclose(at[0].numpy(), h.numpy(), atol=1e-12)
        np.testing.assert_allclose(at[1].numpy(), c.numpy(), atol=1e-12)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda z, u: recurrent.lstm(z[0], u), r"lstm: z has shape \(5, 12\), wanted \(N, T, 4 H\)"),
        (lambda z, u: recurrent.lstm(z[..., :11], u), r"lstm: z has shape \(2, 5, 11\), wanted \(N, T, 4 H\)"),
        (lambda z, u: recurrent.gru(z, u, batch_first=False, h0=z[0, :, :3]), r"gru: u has shape \(3, 12\), wanted \(4, 12\)"),
        (lambda z, u: recurrent.lstm(z, u[:, :8]), r"lstm: u has shape \(3, 8\), wanted \(H, 12\), as z has shape \(2, 5, 12\)"),
        (lambda z, u: recurrent.lstm(z, u[:2]), r"lstm: u has shape \(2, 12\), wanted \(3, 12\)"),
        (lambda z, u: recurrent.lstm(z, u, u), r"lstm: h0 has shape \(3, 12\), wanted \(2, 3\)"),
        (lambda z, u: recurrent.lstm(z, u, c0=u), r"lstm: c0 has shape \(3, 12\), wanted \(2, 3\)"),
        (lambda z, u: recurrent.lstm(z, u, mask=u), r"lstm: mask has shape \(3, 12\), wanted \(2, 3\)"),
        (lambda z, u: recurrent.lstm(z, u, projection=u), r"lstm: projection has shape \(3, 12\), wanted \(3, 3\)"),
        (lambda z, u: recurrent.lstm(z, u, lengths=[1]), r"lstm: lengths of dtype int64 and shape \(1,\) came, wanted whole"),
        (lambda z, u: recurrent.lstm(z, u, lengths=[0, 99]), r"lstm: lengths\[1\] is 99, wanted 0 to \d+"),
        (lambda z, u: recurrent.lstm(z, u, lengths=[-1, 1]), r"lstm: lengths\[0\] is -1, wanted 0"),
        (lambda z, u: recurrent.lstm(z, u, lengths=[1.0, 2.0]), r"lstm: lengths of dtype float32 and shape \(2,\) came"),
        (lambda z, u: recurrent.rnn(z, u, activation="gelu"), "rnn: activation is 'gelu', wanted one of tanh, relu"),
        (lambda z, u: recurrent.gru(z, u, order="hrz"), "gru: order is 'hrz', wanted one of zrh, rzn"),
        (lambda z, u: recurrent.gru(z, u, u, reset_after=False), "gru: bu came with reset_after=False"),
    ],
)
def test_wrong_arguments(call: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        call(fastnn.zeros((2, 5, 12)), fastnn.zeros((3, 12)))


def test_wrong_dtypes() -> None:
    z, u = fastnn.zeros((2, 5, 12)), fastnn.zeros((3, 12), dtype="float64")
    with pytest.raises(TypeError, match="lstm: Tensors of dtype float32 and float64 came"):
        recurrent.lstm(z, u)
    with pytest.raises(TypeError, match="rnn: a Tensor of dtype int64 came"):
        recurrent.rnn(z.astype("int64"), z.astype("int64"))


class Outputs(fastnn.nn.Module):
    """The outputs of a recurrent layer, without its states."""

    def __init__(self, layer: fastnn.nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: fastnn.Tensor) -> fastnn.Tensor:
        made = self.layer(x)
        return made if isinstance(made, fastnn.Tensor) else made[0]


@pytest.mark.parametrize("steps", [1, 6], ids=["in_place", "packed"])
@pytest.mark.parametrize("batch", [1, 3])
def test_frozen_layers_compute_the_same_bits(batch: int, steps: int) -> None:
    """Frozen models pack the weights once; a few steps read them in place."""
    layers = [
        fastnn.SimpleRNN(40, return_sequences=True),
        fastnn.LSTM(40, return_sequences=True),
        fastnn.GRU(40, return_sequences=True),
        fastnn.GRU(40, return_sequences=True, reset_after=False),
        fastnn.nn.LSTM(40, 19, proj_size=8, batch_first=True),
    ]
    x = np.random.default_rng(6).standard_normal((batch, steps, 40)).astype(np.float32)
    for layer in layers:
        model = Outputs(layer)
        want = model(fastnn.tensor(x)).numpy()
        frozen = model.freeze(batch, input_shape=(steps, 40))
        assert np.array_equal(frozen(x), want), layer
        with fastnn.no_grad():
            for p in model.parameters():
                p.mul_(0.5)
        again = model.freeze(batch, input_shape=(steps, 40))(x)
        assert np.array_equal(again, model(fastnn.tensor(x)).numpy()) and not np.array_equal(again, want), layer
