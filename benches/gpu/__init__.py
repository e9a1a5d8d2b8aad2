"""fastnn beside PyTorch and JAX on one GPU: a module for each of them, and the rows, measurements and page of bench_gpu.py."""
