"""The model of a network, and the program that measures it."""

import contextlib
import io
import re
import subprocess
from pathlib import Path

import pytest
import ranks

from fastnn.distributed import bench
from fastnn.distributed.scaling import Network

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("ranks_", [2, 3, 8])
@pytest.mark.parametrize("network", [Network.of(30, 10), Network(0.0, 1e-9), Network(1e-4, 1e-12)])
def test_the_network_of_measured_sums_is_found(network: Network, ranks_: int) -> None:
    times = [network.all_reduce(size, ranks_) for size in bench.SIZES]
    found = Network.fitted(bench.SIZES, times, ranks_)
    assert [found.all_reduce(size, ranks_) for size in bench.SIZES] == pytest.approx(times, rel=1e-6)


def test_no_time_is_negative() -> None:
    found = Network.fitted([4, 1_000_000], [2e-3, 1e-3], 2)  # the large message was quicker
    assert found.latency > 0 and found.per_byte == 0
    found = Network.fitted([4, 1_000_000], [1e-12, 1e-3], 2)
    assert found.latency >= 0 and found.per_byte > 0


def test_small_messages_cost_latency_and_large_ones_bytes() -> None:
    network = Network(1e-5, 1e-9)
    assert network.all_reduce(4, 64) == pytest.approx(6e-5, rel=0.01)  # log2(64) messages
    assert network.all_reduce(10**8, 64) == pytest.approx(2 * 63 / 64 * 0.1, rel=0.01)
    assert network.all_reduce(10**8, 1) == 0 and network.efficiency(1.0, 10**8, 1) == 1
    assert network.efficiency(0.1, 10**8, 64) == pytest.approx(1 / 3, abs=0.01)


def test_networks_that_are_not_possible() -> None:
    with pytest.raises(ValueError, match="latency -1 us and rate 10"):
        Network.of(-1, 10)
    with pytest.raises(ValueError, match="rate 0 Gbit/s"):
        Network.of(30, 0)
    with pytest.raises(ValueError, match="wanted two sizes and two ranks"):
        Network.fitted([4, 4], [1e-6, 1e-6], 2)


def test_one_rank_predicts_for_a_network(capsys: pytest.CaptureFixture[str]) -> None:
    bench.main(["--seconds", "0.01", "--rows", "8", "--latency", "30", "--rate", "10"])
    out = capsys.readouterr().out
    assert "(30.0 us a message, 10.00 Gbit/s)" in out and "Sums of float32" not in out
    shares = [int(n) for n in re.findall(r"(\d+) %", out.split("10.00 Gbit/s")[1].splitlines()[2])]
    assert len(shares) == len(bench.RANKS) and shares == sorted(shares, reverse=True)


@pytest.mark.parametrize("given", [["--rate", "10"], ["--rows", "0"], ["--seconds", "0"]])
def test_arguments_that_are_wrong(given: list[str]) -> None:
    with pytest.raises(SystemExit):
        bench.main(given)


def _measures() -> str:
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        bench.main(["--seconds", "0.01", "--rows", "8"])
    return out.getvalue()


@ranks.needed
def test_two_ranks_measure() -> None:
    first, second = ranks.run(2, __file__, "_measures")
    sums, steps, predicted = re.split("Training steps|Efficiency predicted", first)
    assert first.startswith("ranks: 2, machines: 1") and second == ""
    assert [int(n.replace(",", "")) for n in re.findall(r"^ *([\d,]+) .*\d$", sums, re.M)] == bench.SIZES
    for net in bench.NETS:
        assert re.search(rf"^{net.name} .* B .* %$", steps, re.M) and re.search(rf"^{net.name} ( +\d+ %){{6}}", predicted, re.M)


def test_two_hosts_explains_itself() -> None:
    script = ROOT / "benches" / "two_hosts.sh"
    done = subprocess.run([script], capture_output=True, text=True, check=False)
    assert done.returncode == 2 and "--rate 1gbit" in done.stdout and "set -euo" not in done.stdout
    done = subprocess.run([script, "--speed", "3"], capture_output=True, text=True, check=False)
    assert done.returncode == 2 and "unknown option --speed" in done.stderr
