"""How all kernels are compiled, besides ``cache=True``."""

from typing import Any

# No reference counts: kernels allocate nothing, and counting the arrays of a tuple (atomically, at every call)
# took half the time of a small layer. No interpreter lock: kernels touch no Python object.
UNCOUNTED: dict[str, Any] = {"_nrt": False, "nogil": True}

# For what is called in every step with the tuples of a whole network: passing their arrays took longer than the work.
INLINED: dict[str, Any] = {"inline": "always", **UNCOUNTED}

# For loops with a division: 1 / 0 is infinite as in NumPy. Python's check for zero keeps them from being vectorised.
DIVIDING: dict[str, Any] = {"error_model": "numpy", **UNCOUNTED}
