"""Sort pictures into ten classes with a small residual net, as PyTorch users write it.

Without an argument it learns the digits that come with fastnn. With a folder of four IDX files, it learns those, which may be
MNIST or Fashion-MNIST: `python residual_digits.py FOLDER`.
"""

import sys
import time

import numpy as np

import fastnn
import fastnn.nn as nn


class Block(nn.Module):
    """relu(x + f(x)): what a block adds is small at first, so that deep nets learn (He et al., arXiv 1512.03385)."""

    def __init__(self, channels: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, outputs, 3, stride, padding=1, bias=False)
        self.second = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.norm1, self.norm2 = nn.BatchNorm2d(outputs), nn.BatchNorm2d(outputs)
        same = stride == 1 and channels == outputs
        self.shortcut = nn.Identity() if same else nn.Conv2d(channels, outputs, 1, stride, bias=False)
        self.relu = nn.ReLU()

    def forward(self, x: fastnn.Tensor) -> fastnn.Tensor:
        y = self.relu(self.norm1(self.first(x)))
        return self.relu(self.norm2(self.second(y)) + self.shortcut(x))


def net() -> nn.Sequential:
    return nn.Sequential(
        *(nn.Conv2d(1, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16), nn.ReLU()),
        *(Block(16, 16, 1), Block(16, 32, 2), Block(32, 64, 2)),
        *(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10)),
    )


train, test = fastnn.datasets.mnist(sys.argv[1]) if len(sys.argv) > 1 else fastnn.datasets.digits()
(x, y), (x_test, y_test) = ((images[:, None].astype(np.float32) / 255, labels) for images, labels in (train, test))

fastnn.seed(0)
model, epochs = net(), 3
rate = fastnn.schedules.OneCycle(0.01, epochs * -(-len(x) // 64))
model.compile(fastnn.optim.AdamW(lr=rate, weight_decay=0.01), nn.CrossEntropyLoss(), ["accuracy"])
start = time.perf_counter()
model.fit(x, y, batch_size=64, epochs=epochs, verbose=0)
seconds = time.perf_counter() - start

policy = model.freeze(batch_size=None, input_shape=x.shape[1:])  # batch norms become part of the convolutions
right = policy(x_test).argmax(1) == y_test
print(f"{len(x)} pictures, {epochs} epochs in {seconds:.1f} s: {right.mean():.1%} of {len(x_test)} new ones are right")
