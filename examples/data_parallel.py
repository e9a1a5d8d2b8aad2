"""Train one network with several processes; each computes the gradients of its part of every batch.

python examples/data_parallel.py
mpirun --bind-to none -n 2 python examples/data_parallel.py
"""

import numpy as np

import fastnn
import fastnn.nn as nn

comm = fastnn.distributed.init()  # one rank without mpirun
(x, y), (x_test, y_test) = fastnn.datasets.digits(as_float=True)
BATCH, EPOCHS = 256, 12
assert BATCH % comm.size == 0, f"{comm.size} ranks do not divide a batch of {BATCH} evenly"

fastnn.seed(0)  # the same weights on all ranks
model = nn.Sequential(nn.Linear(400, 15), nn.ReLU(), nn.Linear(15, 10))
optimizer = fastnn.optim.Adam(model.parameters(), lr=1e-2)
loss_of = nn.CrossEntropyLoss()
order = np.random.default_rng(0)  # the same batches on all ranks


@fastnn.capture
def step(x: np.ndarray, y: np.ndarray) -> fastnn.Tensor:
    optimizer.zero_grad()
    loss = loss_of(model(x), y)
    loss.backward()
    fastnn.distributed.average_gradients(optimizer)  # one message
    optimizer.step()
    return loss


losses: list[fastnn.Tensor] = []
for epoch in range(EPOCHS):
    places = order.permutation(len(x))
    for start in range(0, len(x) - len(x) % BATCH, BATCH):
        rows = places[start : start + BATCH][comm.rank :: comm.size]  # this rank's part of the batch
        losses.append(step(x[rows], y[rows]))
    last = np.array([losses[-1].item()])
    comm.sum(last)
    if comm.rank == 0:
        print(f"epoch {epoch + 1:2}: loss of the last batch {last[0] / comm.size:.4f}")

if comm.rank == 0:
    model.eval()
    with fastnn.no_grad():
        right = model(x_test).numpy().argmax(1) == y_test
    print(f"Accuracy on {len(x_test)} new digits with {comm.size} rank{'s' * (comm.size > 1)}: {right.mean():.3f}")
