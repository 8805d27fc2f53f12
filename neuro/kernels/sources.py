"""The state of the kernels' sources: compiled code that is kept is taken only for the sources it was compiled from."""

import hashlib
from functools import cache as once
from pathlib import Path

__all__ = ["kernels_digest"]


@once
def kernels_digest() -> str:
    """Return the SHA-256 of all sources in this folder, as hexadecimal text."""
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()
