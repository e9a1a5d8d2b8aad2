"""Compare fastnn with PyTorch and JAX, if installed, on one NVIDIA GPU.

    python benches/bench_gpu.py                                       all rows, in some minutes
    python benches/bench_gpu.py --only product --seconds 0.1          the rows with "product" in their name
    python benches/bench_gpu.py --markdown docs/performance-gpu.md --json docs/performance-gpu.json

Each row first checks the results against float64, then times all contenders in turn. After all rows, the exit status is 1 if a
result was wrong or fastnn failed. A missed target is not a failure. benches/gpu.sh runs this script after the tests.
"""

import sys

if __name__ == "__main__":
    from peers.command import main

    sys.exit(main("cuda", "benches/bench_gpu.py", __doc__))
