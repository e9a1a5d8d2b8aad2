"""Kernels in Numba: compiled at first use, on machines without a C++ compiler too."""
