"""The table of formats, and which of them a file is."""

from __future__ import annotations

import codecs
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from eventio import prophesee_header
from eventio.columns import Wish, parse_wish
from eventio.errors import ArgumentError, FileAccessError, FormatError
from eventio.formats import (
    aedat2,
    aedat3,
    aedat4,
    dat,
    es,
    evt2,
    evt3,
    evt21,
    hdf5,
    mat,
    mcap,
    nmnist,
    npz,
    rosbag1,
    rosbag2,
    text,
)
from eventio.recording import Recording
from eventio.source import Source

HEAD_BYTES = 4096

FILM = b"ftyp"
"""Stands behind four bytes of size."""
FOREIGN_STARTS = (
    (FILM, "an MP4 film"),
    (b"\x89PNG", "a PNG picture"),
    (b"\xff\xd8\xff", "a JPEG picture"),
    (b"GIF8", "a GIF picture"),
    (b"PK\x03\x04", "a ZIP archive without arrays"),
    (b"\x1f\x8b", "gzip data"),
    (b"\x28\xb5\x2f\xfd", "Zstandard data"),
    (b"\x93NUMPY", "a NumPy array"),
    (b"\x7fELF", "a program"),
    (b"%PDF", "a PDF document"),
    (b"#ROSBAG", "a ROS bag of an old version"),
    (b"#!AER-DAT1", "an AEDAT 1 file"),
    (b"spikeloom ", "a network or model file"),
)


@dataclass(frozen=True, slots=True)
class Format:
    """
    One row of the table.

    Attributes
    ----------
    name : str
        What `format=` takes and `Metadata.format` says.
    title : str
        For people.
    suffixes : tuple of str
        Usual endings of file names, in lower case.
    matches : callable
        Takes the first bytes of a file and says whether the file is of this format.
    open_source : callable
        Takes a path, gives a Source.
    encode : callable or None
        Takes a Recording, yields the bytes of a file; None where the format is only read.
    carries : tuple of str
        Which companions a file that is written holds, by the names of `Companions.counts`; such a file may hold these
        alone, without pixel events.
    """

    name: str
    title: str
    suffixes: tuple[str, ...]
    matches: Callable[[bytes], bool]
    open_source: Callable[[Path], Source]
    encode: Callable[[Recording], Iterator[bytes]] | None
    carries: tuple[str, ...] = ()


def never(head: bytes) -> bool:
    """
    Say that no file is found to be of a format by its content; it must be named.

    Parameters
    ----------
    head : bytes
        The first bytes of a file.

    Returns
    -------
    bool
        Always False.
    """
    del head
    return False


PAYLOADS = {"evt3": evt3.Evt3Packets}
"""Decoders of words that cameras send through ROS in a file format's encoding."""

TOPICED: dict[str, Callable[..., Source]] = {
    rosbag1.NAME: partial(rosbag1.Rosbag1Source, decoders=PAYLOADS),
    rosbag2.NAME: partial(rosbag2.Rosbag2Source, decoders=PAYLOADS),
    mcap.NAME: partial(mcap.McapSource, decoders=PAYLOADS),
}
"""Readers of files with topics, one of which may stand behind the format's name: "rosbag1:/camera/events"."""

CAMERA_COMPANIONS = ("frames", "inertial measurements", "triggers")

FORMATS: tuple[Format, ...] = (
    Format(nmnist.NAME, nmnist.TITLE, nmnist.SUFFIXES, nmnist.matches, nmnist.NmnistSource, nmnist.encode),
    Format(evt3.NAME, evt3.TITLE, evt3.SUFFIXES, evt3.matches, evt3.Evt3Source, evt3.encode),
    Format(evt2.NAME, evt2.TITLE, evt2.SUFFIXES, evt2.matches, evt2.Evt2Source, evt2.encode),
    Format(
        aedat4.NAME,
        aedat4.TITLE,
        aedat4.SUFFIXES,
        aedat4.matches,
        aedat4.Aedat4Source,
        aedat4.encode,
        CAMERA_COMPANIONS,
    ),
    *(
        Format(
            f"{aedat4.NAME}-{compression}",
            aedat4.TITLE,
            aedat4.SUFFIXES,
            never,
            aedat4.Aedat4Source,
            partial(aedat4.encode, compression=compression),
            CAMERA_COMPANIONS,
        )
        for compression in aedat4.COMPRESSIONS
    ),
    Format(aedat2.NAME, aedat2.TITLE, aedat2.SUFFIXES, aedat2.matches, aedat2.Aedat2Source, aedat2.encode),
    *(
        Format(
            f"{aedat2.NAME}-{chip.name}",
            aedat2.TITLE,
            aedat2.SUFFIXES,
            never,
            partial(aedat2.Aedat2Source, chip=chip),
            partial(aedat2.encode, chip=chip) if chip.address_space == "pixels" else None,
        )
        for chip in aedat2.CHIPS
    ),
    Format(aedat3.NAME, aedat3.TITLE, aedat3.SUFFIXES, aedat3.matches, aedat3.Aedat3Source, aedat3.encode),
    Format(evt21.NAME, evt21.TITLE, evt21.SUFFIXES, evt21.matches, evt21.Evt21Source, evt21.encode),
    Format(
        evt21.LEGACY,
        evt21.TITLE,
        evt21.SUFFIXES,
        never,
        partial(evt21.Evt21Source, is_legacy=True),
        partial(evt21.encode, is_legacy=True),
    ),
    Format(dat.NAME, dat.TITLE, dat.SUFFIXES, dat.matches, dat.DatSource, dat.encode),
    Format(es.NAME, es.TITLE, es.SUFFIXES, es.matches, es.EsSource, es.encode, tuple(es.STREAMS.values())),
    *(
        Format(bag.NAME, bag.TITLE, bag.SUFFIXES, bag.matches, TOPICED[bag.NAME], None)
        for bag in (rosbag1, rosbag2, mcap)
    ),
    Format(npz.NAME, npz.TITLE, npz.SUFFIXES, npz.matches, npz.NpzSource, npz.encode),
    Format(hdf5.NAME, hdf5.TITLE, hdf5.SUFFIXES, hdf5.matches, hdf5.Hdf5Source, hdf5.encode),
    Format(mat.NAME, mat.TITLE, mat.SUFFIXES, mat.matches, mat.MatSource, mat.encode),
    Format(text.CSV, "text (.csv, .txt)", (".csv",), text.matches_csv, text.TextSource, text.encode_csv),
    Format(text.TXT, "text (.csv, .txt)", (".txt",), text.matches_txt, text.TextSource, text.encode_txt),
)

COLUMNED: dict[str, Callable[[Path, Wish], Source]] = {
    npz.NAME: npz.NpzSource,
    hdf5.NAME: hdf5.Hdf5Source,
    mat.NAME: mat.MatSource,
    text.CSV: text.TextSource,
    text.TXT: text.TextSource,
}
"""Readers of files with columns, whose order and unit may stand behind the format's name: "csv-xytp-ms"."""


def find_by_name(name: str) -> Format:
    """
    Look a format up by its name.

    Parameters
    ----------
    name : str
        Such as "nmnist".

    Returns
    -------
    Format
        Its row.

    Raises
    ------
    ArgumentError
        There is no such format.
    """
    for row in FORMATS:
        if row.name == name:
            return row
    base, _, wish = name.partition("-")
    if base in COLUMNED:
        named = partial(COLUMNED[base], wish=parse_wish(wish, name))  # type: ignore[call-arg]
        return replace(find_by_name(base), name=name, matches=never, open_source=named)
    base, _, topic = name.partition(":")
    if base in TOPICED and topic:
        return replace(
            find_by_name(base), name=name, matches=never, open_source=partial(TOPICED[base], topic=topic)
        )
    raise ArgumentError(f"there is no format {name!r}; known are {', '.join(row.name for row in FORMATS)}")


def find_by_content(path: Path, head: bytes) -> Format:
    """
    Find out the format of a file: by its first bytes, and by its suffix only where a format has no header.

    Parameters
    ----------
    path : Path
        The file.
    head : bytes
        Its first HEAD_BYTES bytes, or all of it.

    Returns
    -------
    Format
        The row of the format.

    Raises
    ------
    FormatError
        The file is foreign.
    """
    for row in FORMATS:
        if row.matches(head):
            return row
    for start, what in FOREIGN_STARTS:
        if head.startswith(start) or (start == FILM and head[4:8] == start):
            raise FormatError(f"{path}: this is {what}, which eventio does not read; {list_formats()}")
    header = prophesee_header.parse_header(head)
    if header.version is not None:
        raise FormatError(f"{path}: Prophesee EVT {header.version} is not read; {list_formats()}")
    if text.is_header(head):
        raise FormatError(f"{path}: holds a header and no line of events; record or copy it again")
    if len(head) >= 8 and is_text(head):
        raise FormatError(f"{path}: this is a text file without a known header; {list_formats()}")
    for row in FORMATS:
        if path.suffix.lower() in row.suffixes and row is find_headerless():
            return row
    raise FormatError(
        f"{path}: not a known recording (it starts with bytes {head[:8].hex(' ')}); {list_formats()}; "
        "give a headerless 40-bit file the suffix .bin, or say format='nmnist' (--format nmnist)"
    )


def find_headerless() -> Format:
    """
    Give the format that only its suffix betrays.

    Returns
    -------
    Format
        The row of the headerless 40-bit format.
    """
    return find_by_name(nmnist.NAME)


def find_for_writing(path: Path) -> Format:
    """
    Find the format to write by the suffix of the file name.

    Parameters
    ----------
    path : Path
        The file to be.

    Returns
    -------
    Format
        The first row with this suffix that can be written.

    Raises
    ------
    ArgumentError
        No such format.
    FileAccessError
        It is a folder.
    """
    if path.is_dir():
        raise FileAccessError(f"{path}: cannot be written, it is a folder; give the name of a file")
    for row in FORMATS:
        if row.encode is not None and path.suffix.lower() in row.suffixes:
            return row
    usual = {row.suffixes[0]: row.name for row in reversed(FORMATS) if row.encode is not None}
    known = ", ".join(f"{suffix} ({name})" for suffix, name in reversed(usual.items()))
    raise ArgumentError(
        f"{path}: the suffix {path.suffix!r} names no format that can be written; use {known}"
    )


def list_formats() -> str:
    """
    Say which formats are read.

    Returns
    -------
    str
        Half a sentence.
    """
    return "known are " + ", ".join(dict.fromkeys(row.title for row in FORMATS))


def is_text(head: bytes) -> bool:
    """
    Say whether bytes are plain text.

    Parameters
    ----------
    head : bytes
        The first bytes of a file.

    Returns
    -------
    bool
        They are UTF-8, but for the end of a cut one, and all is printable or white space.
    """
    try:
        found = codecs.getincrementaldecoder("utf-8")().decode(head)
    except UnicodeDecodeError:
        return False
    return all(sign.isprintable() or sign in "\t\n\r" for sign in found)
