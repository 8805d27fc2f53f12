"""Numba kernels of the engine: numbers and contiguous arrays in and out, nothing else.

Kernels allocate nothing, so they are compiled without reference counts (``_nrt=False``): counting the arrays
of a tuple atomically at every call took half the time of a small layer.
"""
