"""Compare fastnn with PyTorch, JAX, ONNX Runtime, scikit-learn and NumPy on the CPU, as far as they are installed.

    python benches/bench_peers.py                       all rows, in some minutes
    python benches/bench_peers.py --only inference      the rows with "inference" in their name
    python benches/bench_peers.py --wheel dist/*.whl --write

Each row first checks the results against float64, then times all contenders in turn. After all rows, the exit status is 1 if a
result was wrong or fastnn failed. A missed target is not a failure. --write writes docs/performance.md. The figures are only
meaningful if the machine does no other work.
"""

import sys

if __name__ == "__main__":
    from peers.command import main

    sys.exit(main("cpu", "benches/bench_peers.py", __doc__))
