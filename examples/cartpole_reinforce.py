"""A pole balanced on a cart by REINFORCE, the simplest policy gradient, with a baseline, written out by hand.

The policy is a network that gives the probabilities of pushing left and right. Many carts run at once. After each round, the
logarithm of the probability of every push is raised by how much better the rest of its run was than those of the other carts
at that time (Williams, Machine Learning 8, 1992). A run ends when the pole has fallen, the cart has left, or after 500 steps.
"""

from collections.abc import Callable

import numpy as np

import fastnn

CARTS, LIMIT = 32, 500


def moved(state: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Return the states (x, speed, angle, turning speed) of the carts 0.02 s later; right tells which way each is pushed.

    Barto, Sutton and Anderson, IEEE Transactions on Systems, Man, and Cybernetics 13, 1983, without friction; numbers and
    Euler's method as in CartPole-v1 of Gymnasium.
    """
    gravity, cart, pole, half_length, dt = 9.8, 1.0, 0.1, 0.5, 0.02
    x, speed, angle, turning = state.T
    force = np.where(right, 10.0, -10.0)
    sin, cos = np.sin(angle), np.cos(angle)
    push = (force + pole * half_length * turning**2 * sin) / (cart + pole)
    turn = (gravity * sin - cos * push) / (half_length * (4 / 3 - pole * cos**2 / (cart + pole)))
    speedup = push - pole * half_length * turn * cos / (cart + pole)
    return np.stack([x + dt * speed, speed + dt * speedup, angle + dt * turning, turning + dt * turn], axis=1)


def played(policy: Callable[[np.ndarray], np.ndarray], rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Run every cart; return: states (steps, carts, 4), pushes and whether the cart still ran, (steps, carts)."""
    state = rng.uniform(-0.05, 0.05, (CARTS, 4))
    running = np.ones(CARTS, bool)
    states: list[np.ndarray] = []
    pushes: list[np.ndarray] = []
    ran: list[np.ndarray] = []
    while running.any() and len(states) < LIMIT:
        right = rng.random(CARTS) < policy(state)[:, 1]
        states.append(state)
        pushes.append(right)
        ran.append(running)
        state = moved(state, right)
        running = running & (abs(state[:, 0]) < 2.4) & (abs(state[:, 2]) < np.radians(12))
    return np.array(states), np.array(pushes), np.array(ran)


def advantages(ran: np.ndarray) -> np.ndarray:
    """How many more steps each cart went on from each time than the mean of those that still ran."""
    left = ran[::-1].cumsum(0)[::-1] * ran
    return np.asarray((left - left.sum(1, keepdims=True) / ran.sum(1, keepdims=True))[ran])


fastnn.seed(0)
rng = np.random.default_rng(0)
policy = fastnn.Sequential(
    [
        fastnn.Dense(32, activation="tanh", input_shape=(4,)),
        fastnn.Dense(2, activation="softmax", kernel_initializer="zeros"),  # at first it pushes either way
    ]
)
optimizer = fastnn.optim.Adam(policy.parameters(), lr=0.02)

for round_ in range(1, 41):
    states, pushes, ran = played(policy.freeze(batch_size=CARTS), rng)
    length = ran.sum() / CARTS
    if round_ % 10 == 0:
        print(f"round {round_:3}: {length:5.1f} steps")
    better = advantages(ran)
    scaled = fastnn.tensor((better / (better.std() + 1e-8)).astype(np.float32))
    optimizer.zero_grad()
    chances = policy(states[ran]).gather(1, pushes[ran, None].astype(int))
    loss = -(chances.log() * scaled[:, None]).mean()
    loss.backward()
    optimizer.step()

lengths = played(policy.freeze(batch_size=CARTS), rng)[2].sum(0)
print(f"After training, {CARTS} carts run {lengths.mean():.0f} steps in the mean, of {LIMIT} at most")
assert lengths.mean() > 200
