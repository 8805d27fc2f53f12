"""HDF5 files that are written all or nothing and checked before they are parsed.

HDF5 itself has no check of a whole file, and its library can crash on a damaged one. So a file begins with a
user block (a place that HDF5 leaves to its users) that holds the SHA-256 of everything behind it.
"""

from __future__ import annotations

import contextlib
import hashlib
import math
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from neuro.errors import GraphError, ModelFileError

if TYPE_CHECKING:
    import h5py  # imported where a file is opened: most runs of a network read none

__all__ = ["opened_file", "replaced_file", "check_format"]

_MAX_BYTES = 2**31
_BLOCK_BYTES = 512
_MAGIC = b"spikeloom model file 1\nsha256 "
_HDF5_SIGNATURE = b"\x89HDF\r\n\x1a\n"
_CHANGED = "is damaged (its content differs from its checksum); get or save it again"
_FOREIGN = (
    "is no readable HDF5 file, expected a model file of `spikeloom train`; it is damaged or of another kind"
)
_PROBE = """
import sys, h5py
def read(name, item):
    list(item.attrs.values())
    if isinstance(item, h5py.Dataset):
        item[()]
with h5py.File(sys.argv[1], "r") as file:
    read("", file)
    file.visititems(read)
"""
# what h5py raises on content that is not as expected
_DAMAGE = (OSError, KeyError, RuntimeError, TypeError, ValueError, AttributeError, MemoryError)


def as_text(value: object) -> str | None:
    """Return an attribute that is text, or None."""
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return value if isinstance(value, str) else None


def member(group: h5py.Group, name: str, place: str) -> object:
    """Return a member that lies in the file itself: no link, and no data in other files."""
    import h5py

    if not isinstance(group.get(name, getlink=True), h5py.HardLink):
        raise ModelFileError(
            f"{place}: {name!r} is missing or a link; the file is damaged or of another kind"
        )
    member = group[name]
    if isinstance(member, h5py.Dataset) and (member.external is not None or member.is_virtual):
        raise ModelFileError(f"{place}: {name!r} points to another file; save the model again")
    return member


def check_size(data: h5py.Dataset, what: str) -> None:
    """Refuse a size that a damaged header invents before memory is asked for it."""
    n_bytes = math.prod(data.shape) * data.dtype.itemsize
    if n_bytes > _MAX_BYTES:
        raise ModelFileError(f"{what} has {n_bytes} bytes, the limit is {_MAX_BYTES}; the file is damaged")


def place_of(group: h5py.Group) -> str:
    """Return how a group is called in messages: file and group."""
    name = os.fsdecode(group.file.filename)
    return name if group.name == "/" else f"{name} {group.name}"


def check_format(group: h5py.Group, place: str, expected: str, newest: int) -> int:
    """Return the version of a group after checking that it has the expected format and is not newer.

    Parameters
    ----------
    group : h5py.Group
        A group with the attributes ``format`` and ``version``.
    place : str
        How the group is called in messages, usually the file.
    expected : str
        The format.
    newest : int
        The newest version that can be read.

    Returns
    -------
    int
        The version found.

    Raises
    ------
    ModelFileError
        If the format is another, or the version is none or newer.
    """
    found = as_text(group.attrs.get("format"))
    if found != expected:
        raise ModelFileError(
            f"{place}: format must be {expected!r}, got {found!r}; this is another kind of file"
        )
    version = group.attrs.get("version")
    if not isinstance(version, (int, np.integer)) or version < 1:
        raise ModelFileError(
            f"{place}: version must be a whole number >= 1, got {version!r}; the file is damaged"
        )
    if version > newest:
        raise ModelFileError(
            f"{place}: {expected} version {version} is newer than {newest}, the newest this program reads; "
            "update spikeloom"
        )
    return int(version)


@contextlib.contextmanager
def naming(place: str) -> Iterator[None]:
    """Turn what a damaged file causes into a ModelFileError that names the file."""
    try:
        yield
    except ModelFileError:
        raise
    except GraphError as err:
        raise ModelFileError(f"{place}: {err}") from err
    except _DAMAGE as err:
        raise ModelFileError(
            f"{place}: is damaged ({type(err).__name__}: {err}); save the model again"
        ) from err


@contextlib.contextmanager
def opened_file(path: str | os.PathLike[str]) -> Iterator[h5py.File]:
    """Open an HDF5 file for reading; what goes wrong becomes a ModelFileError that names the file.

    A file of :func:`replaced_file` is compared with its checksum before it is parsed. If they differ, a child
    process reads the whole file first, because the HDF5 library may crash on it; if that goes well, the file
    is opened so that the reader can name what is wrong, and refused afterwards in any case. A plain HDF5 file
    is opened as it is.

    Parameters
    ----------
    path : path
        The file.

    Yields
    ------
    h5py.File
        The open file.

    Raises
    ------
    ModelFileError
        If the file is missing, is no HDF5 file, differs from its checksum, or turns out to be damaged while
        it is read.
    """
    import h5py

    path = Path(path)
    if not path.is_file():
        found = "is a folder" if path.is_dir() else "does not exist"
        raise ModelFileError(f"{path}: {found}, expected a model file (HDF5); check the name")
    with naming(str(path)):
        is_intact = _matches_seal(path)
        if not (is_intact or _can_be_parsed(path)):
            raise ModelFileError(f"{path}: {_CHANGED}")
        try:
            file = h5py.File(path, "r")
        except OSError as err:
            raise ModelFileError(f"{path}: {_FOREIGN}") from err
        with file:
            yield file
        if not is_intact:  # and the reader found nothing wrong that it could name better
            raise ModelFileError(f"{path}: {_CHANGED}")


@contextlib.contextmanager
def replaced_file(path: str | os.PathLike[str]) -> Iterator[h5py.File]:
    """Write an HDF5 file all or nothing: it is built in memory, because the HDF5 library can crash on a full disk.

    The file begins with a user block of 512 bytes that holds a SHA-256 of the rest.

    Parameters
    ----------
    path : path
        The file to write; an existing one stays as it is until the new one is complete.

    Yields
    ------
    h5py.File
        The file in memory, open for writing.

    Raises
    ------
    ModelFileError
        If the folder is missing or not writable, or the disk is full.
    """
    import h5py

    path = Path(path)
    with h5py.File(path, "w", driver="core", backing_store=False, userblock_size=_BLOCK_BYTES) as file:
        yield file
        file.flush()
        content = file.id.get_file_image()
    replace_bytes(path, _seal(hashlib.sha256(content).hexdigest()) + content)


def replace_bytes(path: Path, content: bytes | memoryview) -> None:
    """Write a file all or nothing: into a temporary file beside it, which then takes its name.

    Parameters
    ----------
    path : Path
        The file to write; an existing one stays as it is until the new one is complete.
    content : bytes or memoryview
        All of the file.

    Raises
    ------
    ModelFileError
        If the folder is missing or not writable, or the disk is full.
    """
    temporary = None
    try:
        handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        os.chmod(temporary, 0o666 & ~_umask())
        os.replace(temporary, path)
    except OSError as err:
        raise ModelFileError(
            f"{path}: cannot be written ({err.strerror or err}); choose another place"
        ) from err
    finally:
        if temporary is not None:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(temporary)


def _umask() -> int:
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


def _seal(digest: str) -> bytes:
    """Return the user block that goes with content of this SHA-256."""
    return (_MAGIC + digest.encode("ascii") + b"\n").ljust(_BLOCK_BYTES, b"\0")


def _matches_seal(path: Path) -> bool:
    """Say whether a file has the content of its checksum (a plain HDF5 file has none and passes)."""
    try:
        with open(path, "rb") as file:
            block = file.read(_BLOCK_BYTES)
            digest = hashlib.file_digest(file, "sha256").hexdigest() if block.startswith(_MAGIC) else ""
    except OSError as err:
        raise ModelFileError(f"{path}: cannot be read ({err.strerror or err})") from err
    if block.startswith(_HDF5_SIGNATURE):
        return True
    if not block.startswith(_MAGIC) or len(block) < _BLOCK_BYTES:
        raise ModelFileError(f"{path}: {_FOREIGN}")
    return block == _seal(digest)


def _can_be_parsed(path: Path) -> bool:
    """Read everything in a file in a child process, which may crash or hang without harm."""
    try:
        probe = subprocess.run(
            [sys.executable, "-P", "-c", _PROBE, str(path)], capture_output=True, timeout=60, check=False
        )
    except subprocess.TimeoutExpired:
        return False
    return probe.returncode == 0
