"""The optional `nir` package, imported only when a network is exchanged."""

from __future__ import annotations

from typing import Any

from neuro.errors import MissingPackageError

__all__ = ["import_nir"]


def import_nir() -> Any:
    """Return the module `nir`, or say how to install it."""
    try:
        import nir
    except ImportError as err:
        raise MissingPackageError(
            "reading and writing NIR networks needs the package nir: pip install 'nir>=1.0.6'"
        ) from err
    return nir
