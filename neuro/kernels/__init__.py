"""Numba kernels of the engine: numbers and contiguous arrays in and out, nothing else."""
