"""Models with several inputs and outputs, which tests share."""

from typing import Any

import numpy as np

import fastnn
import fastnn.nn as nn

rng = np.random.default_rng(0)
A = rng.standard_normal((20, 3)).astype(np.float32)
B = rng.standard_normal((20, 2)).astype(np.float32)
VALUES = rng.standard_normal((20, 1)).astype(np.float32)
LABELS = np.arange(20) % 3


def two_by_two(dtype: str = "float32") -> fastnn.Model:
    """Two inputs, two outputs, a layer used twice, a nested model and arithmetic."""
    a, b = fastnn.Input(shape=(3,), name="a", dtype=dtype), fastnn.Input(shape=(2,), name="b", dtype=dtype)
    shared = fastnn.Dense(4, activation="tanh", name="shared")
    inner_in = fastnn.Input(shape=(4,), dtype=dtype)
    inner = fastnn.Model(inner_in, fastnn.Residual(fastnn.Dense(4))(inner_in), name="inner")
    x = fastnn.Concatenate(name="joined")([inner(shared(a)), 2 * b - 1])
    price = fastnn.Dense(1, name="price")(x)
    kind = fastnn.Dense(3, activation="softmax", name="kind")(fastnn.Add()([x[:, :4], shared(a)]))
    return fastnn.Model([a, b], [price, kind])


def by_hand(m: fastnn.Model, a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The same in NumPy."""
    w = {k: v.astype(np.float64) for k, v in m.state_dict().items()}
    h = np.tanh(a @ w["shared.kernel"] + w["shared.bias"])
    x = np.concatenate([h + h @ w["inner.residual.0.kernel"] + w["inner.residual.0.bias"], 2 * b - 1], 1)
    z = (x[:, :4] + h) @ w["kind.kernel"] + w["kind.bias"]
    e = np.exp(z - z.max(1, keepdims=True))
    return x @ w["price.kernel"] + w["price.bias"], e / e.sum(1, keepdims=True)


def compiled(m: Any, **kwargs: Any) -> Any:
    losses = {"price": "mse", "kind": "sparse_categorical_crossentropy"}
    m.compile(**{"optimizer": fastnn.optim.Adam(lr=0.01), "loss": losses, "metrics": {"kind": ["accuracy"]}, **kwargs})
    return m


class Pair(nn.Module):
    """A hand-written module with two inputs and two outputs."""

    def __init__(self, kind: Any) -> None:
        super().__init__()
        self.left, self.right, self.kind = nn.Linear(3, 1), nn.Linear(2, 3), kind

    def forward(self, a: Any, b: Any) -> Any:
        y = self.left(a), self.right(b)
        return dict(zip(("price", "kind"), y, strict=True)) if self.kind is dict else self.kind(y)
