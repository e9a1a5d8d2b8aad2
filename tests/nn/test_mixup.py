"""Mixing of pairs of samples and their targets: what is drawn, and mixing in training steps."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fastnn

RNG = np.random.default_rng(0)
X = RNG.random((12, 5)).astype(np.float32)
Y = np.eye(3, dtype=np.float32)[RNG.integers(0, 3, 12)]


@pytest.mark.parametrize("alpha", [0.1, 0.2, 1.0, 5.0])
def test_pairs_and_shares(alpha: float) -> None:
    """The sample of number n is n in x, and the n-th row of the unit matrix in y, which shows the pair and its share."""
    n = 900
    number = np.arange(n, dtype=np.float64).reshape(n, 1)
    x, y = (t.numpy() for t in fastnn.MixUp(alpha, seed=1)(fastnn.tensor(number), fastnn.tensor(np.eye(n))))
    assert x.dtype == y.dtype == np.float64
    np.testing.assert_allclose(y @ number, x, atol=1e-9)
    np.testing.assert_allclose(y.sum(1), 1, atol=1e-12)
    assert ((y > 0).sum(1) <= 2).all()
    assert ((y - np.diag(np.diag(y)) > 0).sum(0) <= 1).all()  # no sample is the partner of two others
    share = np.diag(y)[(y > 0).sum(1) == 2]
    variance = 1 / (4 * (2 * alpha + 1))
    assert abs(share.mean() - 0.5) < 4 * (variance / n) ** 0.5
    assert abs(share.var() / variance - 1) < 0.15
    if alpha >= 0.2:  # the shares of smaller numbers are often 0 or 1 to the last bit
        stats = pytest.importorskip("scipy.stats")
        assert stats.kstest(share, stats.beta(alpha, alpha).cdf).pvalue > 1e-4


def test_every_batch_is_mixed_anew_and_the_seed_repeats_it() -> None:
    image = RNG.random((12, 4, 3, 2)).astype(np.float32)
    mix, again = fastnn.MixUp(1.0, seed=3), fastnn.MixUp(1.0, seed=3)
    first, second = mix(image, Y)[0].numpy(), mix(image, Y)[0].numpy()
    assert first.shape == image.shape and not np.array_equal(first, second)
    np.testing.assert_array_equal(again(image, Y)[0].numpy(), first)
    step = fastnn.capture(lambda x, y: tuple(t.detach() for t in again(x, y)))
    np.testing.assert_array_equal(step(fastnn.tensor(image), fastnn.tensor(Y))[0].numpy(), second)
    results = [step(fastnn.tensor(image), fastnn.tensor(Y))[0].numpy() for _ in range(4)]
    for wanted in results:
        np.testing.assert_array_equal(mix(image, Y)[0].numpy(), wanted)
    x, y = mix.eval()(image, Y)
    assert x.numpy().tobytes() == image.tobytes() and y.numpy().tobytes() == Y.tobytes()
    for n in (0, 1):
        x, y = mix.train()(image[:n], Y[:n])
        np.testing.assert_allclose(x.numpy(), image[:n], rtol=1e-6)


class Net(fastnn.Model):
    """Model that mixes the batches of training."""

    def __init__(self) -> None:
        super().__init__()
        self.body = fastnn.Sequential([fastnn.Dense(3, "softmax", input_shape=(5,))])
        self.mix = fastnn.MixUp(0.4)

    def forward(self, x: Any) -> Any:
        return self.body(x)

    def train_step(self, data: Any) -> Any:
        return super().train_step(self.mix(*data))


def test_a_training_step_that_mixes(tmp_path: Path) -> None:
    fastnn.seed(0)
    net = Net()
    net.compile(fastnn.optim.SGD(lr=0.5), "categorical_crossentropy", ["accuracy"])
    fastnn.seed(1)
    weights, state = net.get_weights(), fastnn.MixUp(0.4, seed=0)
    state._state[:] = net.mix._state
    net.fit(X, Y, epochs=3, batch_size=4, shuffle=False, verbose=0)
    twin = fastnn.Sequential([fastnn.Dense(3, "softmax", input_shape=(5,))])
    twin.set_weights(weights)
    loss, optimizer = fastnn.losses.CategoricalCrossentropy(), fastnn.optim.SGD(twin.parameters(), lr=0.5)
    for i in range(9):
        part = slice(i % 3 * 4, i % 3 * 4 + 4)
        x, y = state(X[part], Y[part])
        optimizer.zero_grad()
        loss(y, twin(x, training=True)).backward()
        optimizer.step()
    for a, b in zip(net.get_weights(), twin.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-6)
    assert net.mix._state.tolist() == state._state.tolist()
    state.save(tmp_path / "mix")
    loaded = fastnn.load(tmp_path / "mix")
    assert loaded.get_config() == {"alpha": 0.4, "seed": 0}
    np.testing.assert_array_equal(loaded.train()(X, Y)[0].numpy(), state(X, Y)[0].numpy())


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: fastnn.MixUp(0.0), "MixUp: alpha is 0.0, wanted a number above 0"),
        (lambda: fastnn.MixUp("x"), "MixUp: alpha is 'x'"),
        (lambda: fastnn.MixUp()(X, np.arange(12)), "MixUp: the targets have dtype int64, wanted floats; .*one_hot"),
        (lambda: fastnn.MixUp()(X, Y[:5]), r"MixUp: x has shape \(12, 5\) and y \(5, 3\), wanted as many targets"),
    ],
)
def test_errors(make: Callable[[], Any], words: str) -> None:
    with pytest.raises((ValueError, TypeError), match=words):
        make()
