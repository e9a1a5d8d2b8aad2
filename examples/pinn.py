"""Solve the heat equation by a network that sees no solution: a physics-informed neural network (Raissi et al., 2019).

A rod of length 1 has the temperature sin(pi x) at time 0, and its ends are kept at 0. Heat spreads by u_t = 0.1 u_xx. The network
u(t, x) is trained on the equation itself: the loss is what is left of u_t - 0.1 u_xx at random points, and the error at the
start and at the ends. The derivatives are those of the network, exactly, by create_graph=True. The true solution is
exp(-0.1 pi^2 t) sin(pi x).
"""

import numpy as np

import fastnn
import fastnn.nn as nn

fastnn.seed(0)
rng = np.random.default_rng(0)
u = nn.Sequential(nn.Linear(2, 20), nn.Tanh(), nn.Linear(20, 20), nn.Tanh(), nn.Linear(20, 1))
steps = 3000
optimizer = fastnn.optim.Adam(u.parameters(), lr=fastnn.schedules.CosineDecay(0.01, steps, alpha=0.01))

inside = fastnn.tensor(rng.uniform(0, 1, (200, 2)), dtype="float32", requires_grad=True)  # (t, x)
start = np.stack([np.zeros(50), rng.uniform(0, 1, 50)], axis=1)
ends = np.stack([rng.uniform(0, 1, 50), rng.integers(0, 2, 50)], axis=1)
edge = np.concatenate([start, ends])
known = fastnn.tensor(edge, dtype="float32")
temperature = fastnn.tensor(np.where(edge[:, 0] == 0, np.sin(np.pi * edge[:, 1]), 0)[:, None], dtype="float32")


@fastnn.capture
def step() -> fastnn.Tensor:
    (du,) = fastnn.grad(u(inside).sum(), inside, create_graph=True)
    u_t, u_x = du[:, 0], du[:, 1]
    (ddu,) = fastnn.grad(u_x.sum(), inside, create_graph=True)
    loss = (u_t - 0.1 * ddu[:, 1]).square().mean() + (u(known) - temperature).square().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss


for i in range(steps):
    loss = step().item()
    if i % 1000 == 0:
        print(f"step {i:4d}: loss {loss:.6f}")

print("  t     x   network     true")
for t, x in ((0.25, 0.5), (0.5, 0.3), (1.0, 0.5)):
    print(f"{t:.2f}  {x:.2f}  {u(fastnn.tensor([[t, x]])).item():8.4f} {np.exp(-0.1 * np.pi**2 * t) * np.sin(np.pi * x):8.4f}")

times, places = np.meshgrid(np.linspace(0, 1, 21), np.linspace(0, 1, 21))
found = u(fastnn.tensor(np.stack([times.ravel(), places.ravel()], axis=1), dtype="float32")).numpy()[:, 0]
error = np.abs(found - (np.exp(-0.1 * np.pi**2 * times) * np.sin(np.pi * places)).ravel()).max()
print(f"Largest error of the temperature: {error:.4f}")
assert error < 0.02
