"""fastnn beside PyTorch and JAX on one NVIDIA GPU, as many of them as are installed, in one run.

    python benches/bench_gpu.py                                       all rows, in some minutes
    python benches/bench_gpu.py --only product --seconds 0.1          the rows whose name has this in it
    python benches/bench_gpu.py --markdown docs/performance-gpu.md --json docs/performance-gpu.json

Each row first checks the results against float64, then times all contenders in turn. It ends with 1 where a result was wrong or
fastnn failed, after all other rows; a missed target is no failure. benches/gpu.sh runs it after the tests.
"""

import sys

if __name__ == "__main__":
    from peers.command import main

    sys.exit(main("cuda", "benches/bench_gpu.py", __doc__))
