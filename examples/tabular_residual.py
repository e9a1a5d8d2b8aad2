"""A table with numbers and categories: a residual network against a linear model.

Categories come as one-hot columns. A layer without bias turns them into a few numbers each, which is what an embedding is; then
blocks add to what they are given (as the ResNet of Gorishniy et al., arXiv 2106.11959, without normalisation).
"""

import numpy as np

import fastnn
import fastnn.nn as nn

NUMBERS, CITIES, KINDS = 6, 12, 5


def table(n: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """n rows of numbers and one-hot columns, and a target in which they interact; the noise's deviation is 0.3."""
    x = rng.standard_normal((n, NUMBERS))
    city, kind = rng.integers(0, CITIES, n), rng.integers(0, KINDS, n)
    slope, level = np.cos(np.arange(CITIES)), np.array([-1.0, -0.5, 0.0, 0.5, 1.0])
    y = np.sin(2 * x[:, 0]) * x[:, 1] + slope[city] * x[:, 2] + level[kind] + abs(x[:, 3]) + 0.5 * x[:, 4]
    return np.concatenate([x, np.eye(CITIES)[city], np.eye(KINDS)[kind]], axis=1), y + 0.3 * rng.standard_normal(n)


class Block(nn.Module):
    """x + second(relu(first(x)))."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = nn.Linear(width, 2 * width)
        self.second = nn.Linear(2 * width, width)
        self.relu = nn.ReLU()
        self.dropout = nn.Dropout(0.1)

    def forward(self, x: fastnn.Tensor) -> fastnn.Tensor:
        return x + self.second(self.dropout(self.relu(self.first(x))))


class ResidualNet(nn.Module):
    def __init__(self, width: int = 32, embedding: int = 4, blocks: int = 2) -> None:
        super().__init__()
        self.city = nn.Linear(CITIES, embedding, bias=False)
        self.kind = nn.Linear(KINDS, embedding, bias=False)
        self.first = nn.Linear(NUMBERS + 2 * embedding, width)
        self.blocks = nn.Sequential(*(Block(width) for _ in range(blocks)))
        self.relu = nn.ReLU()
        self.last = nn.Linear(width, 1)

    def forward(self, x: fastnn.Tensor) -> fastnn.Tensor:
        numbers, city, kind = x[:, :NUMBERS], x[:, NUMBERS : NUMBERS + CITIES], x[:, NUMBERS + CITIES :]
        z = self.first(fastnn.concatenate([numbers, self.city(city), self.kind(kind)], axis=1))
        return self.last(self.relu(self.blocks(z)))


fastnn.seed(0)
rng = np.random.default_rng(0)
x, y = table(6000, rng)
x_test, y_test = table(3000, rng)

errors = {}
for name, model, epochs in (
    ("linear", fastnn.Sequential([fastnn.Dense(1, input_shape=x.shape[1:])]), 30),
    ("residual", ResidualNet(), 60),
):
    model.compile(fastnn.optim.AdamW(weight_decay=0.1), loss="mse")
    falling = fastnn.callbacks.LearningRateScheduler(fastnn.schedules.CosineDecay(0.005, epochs, alpha=0.01))
    model.fit(x, y, batch_size=128, epochs=epochs, callbacks=[falling], verbose=0)
    errors[name] = np.sqrt(model.evaluate(x_test, y_test))
    parameters = sum(p.size for p in model.parameters())
    print(f"{name:9} {parameters:6} parameters, error {errors[name]:.3f} on new rows")
print(f"{'noise':9} {'':17} error 0.300")
assert errors["residual"] < 0.45 < errors["linear"]
