"""Files that appear complete or not at all."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from spikeloom.errors import UserError


@contextmanager
def replaced_file(path: str | Path) -> Iterator[Path]:
    """Give a temporary path beside `path` and move it there when the block ends without an error.

    Parameters
    ----------
    path : str or Path
        The file to write. Missing parent folders are not created.

    Yields
    ------
    Path
        A path in the same folder; the caller writes this file.

    Raises
    ------
    UserError
        When the folder does not exist or cannot be written to, or the disk is full.

    Examples
    --------
    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> with replaced_file(folder / "note.txt") as temporary:
    ...     _ = temporary.write_text("complete")
    >>> [p.name for p in folder.iterdir()]
    ['note.txt']
    """
    target = Path(path)
    temporary = _new_file_beside(target)
    try:
        yield temporary
        os.replace(temporary, target)
    except OSError as err:
        if err.filename is not None and Path(err.filename) not in (temporary, target):
            raise
        raise UserError(_cannot_write(target, err)) from err
    finally:
        with suppress(FileNotFoundError):
            temporary.unlink()


def require_writable(path: str | Path) -> None:
    """Raise at once when `path` could not be written later (before hours of work are spent on it).

    Parameters
    ----------
    path : str or Path
        The file that will be written.

    Raises
    ------
    UserError
        When the folder is missing or not writable, or `path` is a folder.

    Examples
    --------
    >>> require_writable("/proc/model.h5")
    Traceback (most recent call last):
    ...
    spikeloom.errors.UserError: cannot write /proc/model.h5: ...
    """
    _new_file_beside(Path(path)).unlink()


def prepared_folder(path: str | Path) -> Path:
    """Create the folder `path` when it is missing and check that files can be made in it.

    Parameters
    ----------
    path : str or Path
        The folder.

    Returns
    -------
    Path
        The folder, existing.

    Raises
    ------
    UserError
        When it cannot be created or written to.

    Examples
    --------
    >>> import tempfile
    >>> prepared_folder(Path(tempfile.mkdtemp()) / "a" / "b").is_dir()
    True
    """
    folder = Path(path)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as err:
        raise UserError(
            f"cannot create the folder {folder}: {_reason(err)}; choose another place with --out"
        ) from err
    require_writable(folder / "probe")
    return folder


def _new_file_beside(target: Path) -> Path:
    if target.is_dir():
        raise UserError(f"cannot write {target}: it is a folder; give the name of a file")
    try:
        descriptor, name = tempfile.mkstemp(prefix=f".{target.name}.", suffix=".part", dir=target.parent)
    except OSError as err:
        raise UserError(_cannot_write(target, err)) from err
    os.close(descriptor)
    umask = os.umask(0)
    os.umask(umask)
    os.chmod(name, 0o666 & ~umask)
    return Path(name)


def _cannot_write(target: Path, err: OSError) -> str:
    return (
        f"cannot write {target}: {_reason(err)} ({target.parent}); create the folder or choose another place"
    )


def _reason(err: OSError) -> str:
    return (err.strerror or str(err)).lower()
