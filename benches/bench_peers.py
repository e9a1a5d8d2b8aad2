"""fastnn beside PyTorch, JAX, ONNX Runtime, scikit-learn and NumPy on the CPU, as many of them as are installed, in one run.

    python benches/bench_peers.py                       all rows, in some minutes
    python benches/bench_peers.py --only inference      the rows whose name has this in it
    python benches/bench_peers.py --wheel dist/*.whl --write

Each row first checks the results against float64, then times all contenders in turn. It ends with 1 where a result was wrong or
fastnn failed, after all other rows; a missed target is no failure. --write writes docs/performance.md. For figures that mean
something the machine must have nothing else to do.
"""

import sys

if __name__ == "__main__":
    from peers.command import main

    sys.exit(main("cpu", "benches/bench_peers.py", __doc__))
