"""Collections of one's own: a folder for each class, a file for each recording."""

from __future__ import annotations

import os
from pathlib import Path

from eventio.datasets.collection import Collection, Sample
from eventio.errors import FileAccessError, FormatError, MissingFileError
from eventio.format_table import FORMATS

_NOTES = {".txt", ".csv"}  # recordings may end so, but so do the notes that come with a collection


def folder(path: str | os.PathLike[str], *, name: str | None = None) -> Collection:
    """
    Take a folder of the form LABEL/recording for a collection.

    Class names are the names of the folders, sorted as text; samples are sorted by class, then file name. Names that
    begin with a dot are passed over, and files beside the class folders that do not end like a recording.

    Parameters
    ----------
    path : str or path-like
        The folder that holds the class folders.
    name : str, optional
        What to call the collection; the folder's name when not given.

    Returns
    -------
    Collection
        Its recordings, not yet read.

    Raises
    ------
    MissingFileError
        There is no such folder.
    FileAccessError
        It is a file, or cannot be read.
    FormatError
        It has no class folder, a class folder is empty or holds folders, or recordings lie beside the class folders.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> with tempfile.TemporaryDirectory() as place:
    ...     for label in ("cup", "hand"):
    ...         Path(place, label).mkdir()
    ...         _ = Path(place, label, "1.bin").write_bytes(bytes(5))
    ...     collection = folder(place, name="things")
    >>> collection.class_names, [sample.label for sample in collection.samples]
    (('cup', 'hand'), [0, 1])
    """
    root = Path(path)
    try:
        class_folders = list_class_folders(root)
        samples = tuple(
            Sample(path=file, label=label)
            for label, class_folder in enumerate(class_folders)
            for file in list_recordings(class_folder)
        )
    except FileNotFoundError as error:
        raise MissingFileError(f"{root}: there is no such folder; check the path") from error
    except NotADirectoryError as error:
        raise FileAccessError(
            f"{root}: is a file; give the folder that holds one folder per class"
        ) from error
    except PermissionError as error:
        raise FileAccessError(f"{root}: cannot be read ({error.strerror}); check its rights") from error
    class_names = tuple(class_folder.name for class_folder in class_folders)
    return Collection(name=name or root.resolve().name, class_names=class_names, samples=samples)


def list_class_folders(root: Path) -> list[Path]:
    """
    List the class folders of a collection.

    Parameters
    ----------
    root : Path
        The collection's folder.

    Returns
    -------
    list of Path
        Sorted by name, at least one.

    Raises
    ------
    FormatError
        There is none, or recordings lie beside them.
    """
    entries = [entry for entry in sorted(root.iterdir()) if not entry.name.startswith(".")]
    suffixes = {suffix for row in FORMATS for suffix in row.suffixes} - _NOTES
    stray = [entry for entry in entries if entry.suffix.lower() in suffixes and not entry.is_dir()]
    if stray:
        raise FormatError(
            f"{stray[0]}: this recording lies in no class folder; the form is LABEL/recording, move it into one"
        )
    class_folders = [entry for entry in entries if entry.is_dir()]
    if not class_folders:
        raise FormatError(f"{root}: holds no class folder; the form is LABEL/recording")
    return class_folders


def list_recordings(class_folder: Path) -> list[Path]:
    """
    List the recordings of one class.

    Parameters
    ----------
    class_folder : Path
        Its folder.

    Returns
    -------
    list of Path
        Sorted by name, at least one.

    Raises
    ------
    FormatError
        There is none, or there are folders.
    """
    files = [entry for entry in sorted(class_folder.iterdir()) if not entry.name.startswith(".")]
    for entry in files:
        if entry.is_dir():
            raise FormatError(
                f"{entry}: is a folder where a recording should be; the form is LABEL/recording, perhaps give the "
                f"folder {class_folder} instead"
            )
    if not files:
        raise FormatError(f"{class_folder}: this class folder holds no recording; add some or remove it")
    return files
