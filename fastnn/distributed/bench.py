"""Measure what data-parallel training costs on a cluster, and predict it for more ranks.

::

    mpirun --bind-to none -n 2 --host first,second python -m fastnn.distributed.bench

It times sums over all ranks (all-reduces), and training steps of three networks with and without them. The times of the sums give
the latency and the rate of the network, and these the efficiency with 2 to 64 ranks. `--latency` and `--rate` predict it for a
network that is not there, also without mpirun.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

import fastnn

from . import average_gradients, init
from .comm import Comm
from .scaling import Network

SIZES = [4, 1024, 4096, 26_620, 131_072, 524_288, 2_678_824, 16_777_216]
"""Bytes of the sums that are timed. Among them are the gradients of the first two networks."""
RANKS = [2, 4, 8, 16, 32, 64]
GOAL = 0.9
"""Efficiency for which the rows are found."""
BUSY = 2
"""Ratio of median to best time above which a machine is not quiet."""


@dataclass(frozen=True)
class Net:
    """Describe a network whose training step is timed."""

    name: str
    shape: tuple[int, ...]
    layers: Callable[[], list[Any]]


NETS = [
    Net("400-15-15-15-10", (400,), lambda: [*(fastnn.Dense(15, "relu") for _ in range(3)), fastnn.Dense(10)]),
    Net("784-512-512-10", (784,), lambda: [fastnn.Dense(512, "relu"), fastnn.Dense(512, "relu"), fastnn.Dense(10)]),
    Net(
        "CNN 28x28, c8-pool-c16-pool-10",
        (28, 28, 1),
        lambda: [
            fastnn.Conv2D(8, 3, activation="relu"),
            fastnn.MaxPooling2D(),
            fastnn.Conv2D(16, 3, activation="relu"),
            fastnn.MaxPooling2D(),
            fastnn.Flatten(),
            fastnn.Dense(10),
        ],
    ),
]


@dataclass(frozen=True)
class Times:
    """Seconds of a training step of a network: alone, and with the gradients of all ranks (None for one rank); their bytes."""

    net: Net
    alone: float
    together: float | None
    bytes_: int


@dataclass(frozen=True)
class Sum:
    """Seconds of a sum of float32 over all ranks, as the slowest rank has them: the median and the best of `count`."""

    bytes_: int
    median: float
    best: float
    count: int


def all_reduce(comm: Comm, bytes_: int, seconds: float) -> Sum:
    """Time sums of an array of so many bytes over all ranks, for so many seconds."""
    array = np.ones(bytes_ // 4, np.float32)

    def once() -> float:
        array[...] = 1.0
        comm.barrier()
        start = time.perf_counter()
        comm.sum(array)
        return time.perf_counter() - start

    once()
    times = _repeated(comm, once, seconds)
    return Sum(bytes_, float(np.median(times)), float(times.min()), len(times))


def training(comm: Comm, net: Net, rows: int, seconds: float) -> Times:
    """Time the training steps of a network, alone and with the gradients of all ranks, in turns."""
    rng = np.random.default_rng(comm.rank)
    x = rng.standard_normal((rows, *net.shape), np.float32)
    y = rng.integers(0, 10, rows)
    alone, _ = _step(net, together=False)
    together, bytes_ = _step(net, together=True)

    def block(step: Callable[[Any, Any], Any], steps: int) -> float:
        comm.barrier()
        start = time.perf_counter()
        for _ in range(steps):
            step(x, y)
        return (time.perf_counter() - start) / steps

    ways = (alone, together) if comm.size > 1 else (alone,)
    for step in ways:
        block(step, 5)  # the first ones are slow: recording, caches
    longest = np.array([block(ways[-1], 3)])
    comm.maximum(longest)
    steps = int(np.clip(0.02 / longest[0], 1, 1000))  # the same on all ranks
    times = _repeated(comm, lambda: [block(step, steps) for step in ways], seconds)
    found = np.median(times, axis=0).tolist()
    return Times(net, found[0], found[1] if comm.size > 1 else None, bytes_)


def _step(net: Net, together: bool) -> tuple[Callable[[Any, Any], Any], int]:
    """Return a training step of a new model, and the bytes of its gradients."""
    fastnn.seed(0)
    model: Any = fastnn.Sequential([fastnn.Input(net.shape), *net.layers()])
    optimizer = fastnn.optim.Adam(model.parameters(), lr=1e-3)
    loss_of = fastnn.nn.CrossEntropyLoss()

    @fastnn.capture
    def step(x: np.ndarray, y: np.ndarray) -> fastnn.Tensor:
        optimizer.zero_grad()
        loss = loss_of(model(x), y)
        loss.backward()
        if together:
            average_gradients(optimizer)
        optimizer.step()
        return loss

    return step, sum(p.data.nbytes for p in model.parameters())


def _repeated(comm: Comm, once: Callable[[], Any], seconds: float) -> np.ndarray:
    """Measure again and again, at least 5 times, while rank 0's clock allows it. Return the maxima over the ranks."""
    end = time.perf_counter() + seconds
    times: list[Any] = []
    while len(times) < 5 or comm.broadcast(time.perf_counter() < end):
        times.append(once())
    array = np.array(times)
    comm.maximum(array)
    return array


def sums_table(sums: list[Sum], network: Network, ranks: int) -> str:
    """Write the times of the sums beside those of the model that was fitted to them."""
    lines = [f"{'bytes':>12}{'median':>12}{'best':>12}{'model':>12}{'GB/s':>8}{'times':>8}"]
    for s in sums:
        shown = "".join(f"{_time(t):>12}" for t in (s.median, s.best, network.all_reduce(s.bytes_, ranks)))
        lines.append(f"{s.bytes_:12,}{shown}{s.bytes_ / s.median / 1e9:8.2f}{s.count:8}")
    return "\n".join(lines)


def steps_table(times: list[Times]) -> str:
    """Write the times of the training steps."""
    lines = [f"{'network':32}{'gradients':>12}{'alone':>11}{'together':>11}{'efficiency':>12}"]
    for t in times:
        line = f"{t.net.name:32}{t.bytes_:10,} B{_time(t.alone):>11}"
        lines.append(line + (f"{_time(t.together):>11}{100 * t.alone / t.together:10.0f} %" if t.together else ""))
    return "\n".join(lines)


def prediction_table(times: list[Times], network: Network, rows: int) -> str:
    """Write the efficiency with more ranks, and how many rows each of 64 ranks needs for an efficiency of 90 %."""
    lines = [f"{'network':32}" + "".join(f"{p:>6}" for p in RANKS) + f"{f'rows for {GOAL:.0%}':>15}"]
    for t in times:
        shares = "".join(f"{100 * network.efficiency(t.alone, t.bytes_, p):4.0f} %" for p in RANKS)
        wanted = network.all_reduce(t.bytes_, RANKS[-1]) * GOAL / (1 - GOAL) * rows / t.alone
        lines.append(f"{t.net.name:32}{shares}{wanted:15,.0f}")
    return "\n".join(lines)


def _time(seconds: float) -> str:
    return f"{1e6 * seconds:.1f} us" if seconds < 1e-3 else f"{1e3 * seconds:.2f} ms"


def main(arguments: list[str] | None = None) -> None:
    """Measure and print; rank 0 prints."""
    parser = argparse.ArgumentParser(prog="python -m fastnn.distributed.bench", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--rows", type=int, default=64, help="rows of a batch on each rank (default: 64)")
    parser.add_argument("--seconds", type=float, default=1.0, help="time for each measurement (default: 1)")
    parser.add_argument("--latency", type=float, metavar="US", help="predict for a network with so many microseconds a message")
    parser.add_argument("--rate", type=float, metavar="GBIT", help="and so many Gbit/s")
    given = parser.parse_args(arguments)
    if (given.latency is None) != (given.rate is None):
        parser.error("--latency and --rate are given together")
    if given.rows < 1 or given.seconds <= 0:
        parser.error(f"--rows is {given.rows} and --seconds {given.seconds}; wanted 1 or more, and more than 0")

    comm = init()

    def say(text: str) -> None:
        if comm.rank == 0:
            print(text, flush=True)

    machines = sum(1 for local in comm.all_gather(comm.local_rank) if local == 0)
    say(
        f"ranks: {comm.size}, machines: {machines}, threads of a rank: {fastnn.get_num_threads()}; "
        f"fastnn {fastnn.__version__}, backend {fastnn.get_backend()}"
    )
    networks = {}
    if comm.size > 1:
        sums = [all_reduce(comm, size, given.seconds) for size in SIZES]
        # A sum that takes longer than a larger one was disturbed.
        least = np.minimum.accumulate([s.median for s in reversed(sums)])[::-1]
        network = Network.fitted(SIZES, least.tolist(), comm.size)
        say("\nSums of float32 over all ranks: seconds of the slowest rank, and the model below, which is fitted to the medians")
        say(sums_table(sums, network, comm.size))
        if np.median([s.median / s.best for s in sums]) > BUSY:
            say(f"Medians above {BUSY} times the best: something else uses the cores or the network. Measure again without it.")
        where = "like the memory of this machine; wires are slower" if machines == 1 else "like this one"
        networks[where] = network
    if given.rate is not None:
        networks["as given"] = Network.of(given.latency, given.rate)

    times = [training(comm, net, given.rows, given.seconds) for net in NETS]
    say(f"\nTraining steps with Adam, {given.rows} rows on each rank: alone, and with the gradients of all ranks")
    say(steps_table(times))
    for where, network in networks.items():
        say(f"\nEfficiency predicted for 2 to 64 ranks with {given.rows} rows each, on a network {where}")
        say(f"({_time(network.latency)} a message, {8e-9 / network.per_byte if network.per_byte else np.inf:.2f} Gbit/s)")
        say(prediction_table(times, network, given.rows))
        say(f"rows for {GOAL:.0%}: rows that each of {RANKS[-1]} ranks needs, if computation grows with the rows")
    if networks:
        say("Assumed: as many rows on each rank as here, one rank's computation as here, no other traffic on the network,")
        say("no overlap of sums with computation, and MPI's best algorithm for each size (Rabenseifner, recursive doubling).")
    else:
        say("\nOne rank sends nothing. Run under mpirun on two machines, or give --latency and --rate of a network.")


if __name__ == "__main__":
    main()
