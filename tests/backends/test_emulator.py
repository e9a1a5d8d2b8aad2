"""The emulated device by itself: runs right programs in any order of blocks and threads, says what is wrong with others."""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
import pytest
from emulator.array import DeviceArray
from emulator.device import FORWARD, REVERSED, EmulatedDevice

from fastnn.backends.cupy.source import FOLDER

ORDERS = [FORWARD, REVERSED, 12345]
COMMON = (FOLDER / "common.cuh").read_text(encoding="utf-8")


def launch(device: EmulatedDevice, body: str, *arrays: Any, n: int = 0, blocks: int = 3) -> None:
    """Runs a program whose arguments are arrays of float64, called a, b, c..., and n."""
    names = "abcdef"[: len(arrays)]
    fields = " ".join(f"double* {name};" for name in names)
    source = f'{COMMON}struct Args {{ {fields} i64 n; }};\nextern "C" __global__ void entry(const Args args) {{\n'
    source += "".join(f"  double* {name} = args.{name};\n" for name in names) + f"  const i64 n = args.n;\n{body}\n}}\n"
    packed = struct.pack("Q" * len(arrays) + "q", *(device.pointer(a, "test", "a") for a in arrays), n)
    device.launch(device.compile(source, "entry"), blocks, 256, packed)


@pytest.fixture(params=ORDERS, ids=["forward", "reversed", "shuffled"])
def device(request: pytest.FixtureRequest) -> EmulatedDevice:
    return EmulatedDevice(request.param)


def test_every_element_is_computed_once(device: EmulatedDevice) -> None:
    x = device.xp.asarray(np.arange(5000.0))
    y = device.xp.zeros(5000)
    launch(device, "for (i64 i = first(); i < n; i += stride()) b[i] += 2 * a[i];", x, y, n=5000)
    np.testing.assert_array_equal(y.get(), 2 * np.arange(5000.0))


def test_sums_over_warps_blocks_and_the_grid(device: EmulatedDevice) -> None:
    values = np.random.default_rng(0).integers(-9, 9, 5000).astype(float)
    x, y = device.xp.asarray(values), device.xp.zeros(4)
    body = """
      double mine = 0, total;
      for (i64 i = first(); i < n; i += stride()) mine += a[i];
      double block = block_sum(mine), largest = block_reduce((double)threadIdx.x, Max());
      if (grid_sum(block, total) && threadIdx.x == 0) b[0] = total, b[1] = largest, b[2] += 1;
    """
    for _ in range(2):  # nothing of a launch is left for the next one
        launch(device, body, x, y, n=5000, blocks=7)
    assert y.tolist() == [values.sum(), 255, 2, 0]


def test_warp_operations(device: EmulatedDevice) -> None:
    y = device.xp.zeros((6, 32))
    body = """
      if (blockIdx.x || threadIdx.x >= 32) return;
      int lane = threadIdx.x;
      a[lane] = __shfl_sync(0xffffffffu, lane, 3, 8);
      a[32 + lane] = __shfl_xor_sync(0xffffffffu, (double)lane, 5);
      a[64 + lane] = __shfl_up_sync(0xffffffffu, (float)lane, 2u);
      a[96 + lane] = __shfl_down_sync(0xffffffffu, (i64)lane, 2u, 16);
      a[128 + lane] = __ballot_sync(0xffffffffu, lane % 3 == 0);
      a[160 + lane] = __popc(__match_any_sync(0xffffffffu, lane / 5));
    """
    launch(device, body, y)
    lane = np.arange(32)
    down = np.where(lane % 16 + 2 < 16, lane + 2, lane)
    matches = np.bincount(lane // 5)[lane // 5]
    ballot = sum(1 << i for i in range(0, 32, 3))
    want = [lane // 8 * 8 + 3, lane ^ 5, np.where(lane >= 2, lane - 2, lane), down, np.full(32, ballot), matches]
    np.testing.assert_array_equal(y.get(), want)


def test_shared_memory_begins_as_garbage(device: EmulatedDevice) -> None:
    y = device.xp.zeros(3)
    body = "__shared__ double s[4]; if (threadIdx.x == 0) { a[blockIdx.x] = s[1]; s[1] = 1; }"
    launch(device, body, y)
    assert np.isnan(y.get()).all()


def test_a_missing_barrier_shows() -> None:
    """In one of the orders at least."""
    body = "__shared__ double s[256]; s[threadIdx.x] = threadIdx.x; if (!blockIdx.x) a[threadIdx.x] = s[threadIdx.x ^ 1];"
    right = []
    for order in (FORWARD, REVERSED):
        device = EmulatedDevice(order)
        y = device.xp.zeros(256)
        launch(device, body, y)
        right.append((y.get() == (np.arange(256) ^ 1)).all())
    assert not all(right)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("if (threadIdx.x < 100) __syncthreads();", "stuck: 100 threads wait at __syncthreads, 0 for their warp, 156 have ret"),
        ("if (threadIdx.x % 32 < 9) __syncwarp();", "stuck: .* 72 for their warp"),
        ("if (threadIdx.x % 2) __syncwarp(); else __any_sync(0xffffffffu, 1);", "meet at different warp operations"),
        ("if (threadIdx.x % 2) __syncwarp(1u);", "whose mask 0x1 lacks the lane itself"),
        ("a[1ll << 40] = 1;", "touches address .* which belongs to no array"),
        ("a[n] = 1;", "wrote beyond an array"),
        ("a[-1] = 1;", "touches address"),
        ("((Pack<double>*)(a + 1))->value[0] = 1;", "which is not aligned"),
        ("double local[4] = {}; local[n + threadIdx.x] = 1; a[0] = local[1];", "index .* is beyond its array"),
        ("a[0] = n / (i64)threadIdx.x;", "division by zero"),
        ("__trap();", "__trap"),
    ],
)
def test_what_is_wrong_is_told(device: EmulatedDevice, body: str, message: str) -> None:
    y = device.xp.zeros(8)
    with pytest.raises(AssertionError, match=message):
        launch(device, body, y, n=8)
        device.wait()


def test_a_program_that_does_not_compile(device: EmulatedDevice) -> None:
    with pytest.raises(RuntimeError, match=r"entry\.cu.*undeclared_name"):
        launch(device, "undeclared_name = 1;")


HOST = np.ones(3)


@pytest.mark.parametrize(
    ("act", "error"),
    [
        (lambda a: np.asarray(a), TypeError),
        (lambda a: a + HOST, TypeError),
        (lambda a: HOST * a, TypeError),
        (lambda a: np.add(HOST, HOST, out=a), TypeError),
        (lambda a: np.concatenate([a, HOST]), TypeError),
        (lambda a: HOST.__setitem__(..., a), TypeError),
        (lambda a: a.__setitem__(..., HOST), ValueError),
        (lambda a: a.set(HOST.astype(np.float32)), TypeError),
        (lambda a: a.set(np.ones(4)), ValueError),
        (lambda a: a.set([1.0, 2.0, 3.0]), TypeError),
    ],
)
def test_arrays_do_not_mix_with_those_of_numpy(act: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        act(EmulatedDevice().xp.zeros(3))


def test_arrays_are_views_and_copies_as_numpys_are() -> None:
    xp = EmulatedDevice().xp
    a = xp.asarray(np.arange(6.0))
    a.reshape(2, 3)[1] = 7.0
    a[:2] = a[4:]
    b = a + 1
    a[0] = np.float64(5)
    assert type(b) is DeviceArray and a.tolist() == [5, 7, 2, 7, 7, 7] and b.tolist() == [8, 8, 3, 8, 8, 8]
    assert xp.asarray(a) is a and xp.array(a) is not a and xp.asarray(a, np.float32).dtype == np.float32
    assert a[1].shape == () and float(a[1]) == 7 and a[3:].data.ptr == a.data.ptr + 24 and np.isnan(xp.empty(2).get()).all()


def test_a_capture_records_launches_and_runs_none() -> None:
    device = EmulatedDevice()
    y = device.xp.zeros(1)
    add = "if (first() == 0) a[0] += 1;"
    with pytest.raises(RuntimeError, match="a program is loaded while a stream is capturing"):
        device.capture(lambda: launch(device, add, y))
    launch(device, add, y)
    y.fill(0)
    replay = device.capture(lambda: launch(device, add, y))
    assert y.tolist() == [0]
    replay()
    replay()
    assert y.tolist() == [2]
    with pytest.raises(RuntimeError, match="while a stream is capturing"):
        device.capture(y.get)
