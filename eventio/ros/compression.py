"""Unpacking the pieces of bags, with packages that are there or an error that names them."""

from __future__ import annotations

import bz2
import importlib
from typing import Any

from eventio.errors import FormatError, MissingPackageError

MOST_BYTES = 1 << 28
"""What a piece may unpack to; real ones have less than a megabyte or some."""


def unpack(data: bytes, compression: str, n_bytes: int) -> bytes:
    """
    Unpack a piece.

    Parameters
    ----------
    data : bytes
        As in the file.
    compression : str
        "", "none", "bz2", "lz4" or "zstd".
    n_bytes : int
        What it must unpack to.

    Returns
    -------
    bytes
        The piece.

    Raises
    ------
    FormatError
        The size is absurd or wrong, the piece is damaged, or the compression unknown.
    MissingPackageError
        The compression is in a package that is not installed.
    """
    if compression in ("", "none"):
        piece = data
    elif n_bytes > MOST_BYTES:
        raise FormatError(f"a piece promises {n_bytes} bytes; at most {MOST_BYTES} are unpacked")
    else:
        piece = decompress(data, compression, n_bytes)
    if len(piece) != n_bytes:
        raise FormatError(f"a piece unpacks to {len(piece)} bytes, not {n_bytes}")
    return piece


def decompress(data: bytes, compression: str, n_bytes: int) -> bytes:
    """
    Decompress at most one byte more than expected.

    Parameters
    ----------
    data : bytes
        As in the file.
    compression : str
        "bz2", "lz4" or "zstd".
    n_bytes : int
        What is expected.

    Returns
    -------
    bytes
        What comes out.

    Raises
    ------
    FormatError
        The data are damaged, or the compression unknown.
    MissingPackageError
        The package is not installed.
    """
    if compression == "bz2":
        decoder: Any = bz2.BZ2Decompressor()
        errors: tuple[type[Exception], ...] = (OSError, EOFError, ValueError)
    elif compression == "lz4":
        frame = load("lz4.frame", "lz4", compression)
        decoder, errors = frame.LZ4FrameDecompressor(), (RuntimeError, EOFError, ValueError)
    elif compression == "zstd":
        zstd = load("backports.zstd", "backports.zstd", compression)
        decoder, errors = zstd.ZstdDecompressor(), (zstd.ZstdError, EOFError, ValueError)
    else:
        raise FormatError(f"compression {compression[:20]!r} is unknown; read are bz2, lz4 and zstd")
    try:
        return bytes(decoder.decompress(data, max_length=n_bytes + 1))
    except errors as error:
        raise FormatError(f"a piece cannot be unpacked ({' '.join(str(error).split())[:100]})") from error


def load(module: str, package: str, compression: str) -> Any:
    """
    Import a module that may be missing.

    Parameters
    ----------
    module, package : str
        What to import and to install.
    compression : str
        What for.

    Returns
    -------
    module
        The module.

    Raises
    ------
    MissingPackageError
        It is not installed.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise MissingPackageError(
            f"its messages are compressed with {compression}, which needs a package: pip install {package}"
        ) from error
