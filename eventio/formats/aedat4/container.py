"""
How AEDAT 4 files hold packets: a header that names the streams, then packets of one stream each, perhaps compressed.

Source: iniVation's description of AEDAT 4.0 and its FlatBuffers definitions.
"""

from __future__ import annotations

import struct
import sys
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

from eventio.errors import FormatError, MissingPackageError
from eventio.formats.aedat4.flatbuffers import LayoutError, read_root

MAGIC = b"#!AER-DAT4.0\r\n"
MAX_HEADER_BYTES = 1 << 24
MAX_PACKET_BYTES = 1 << 28
"""The largest packet, decompressed, that is taken for one."""
PIECE_BYTES = 1 << 22
NONE, LZ4, LZ4_HIGH, ZSTD, ZSTD_HIGH = range(5)
KINDS = {"EVTS": "events", "FRME": "frames", "IMUS": "inertial measurements", "TRIG": "triggers"}


@dataclass(frozen=True, slots=True)
class Stream:
    """
    One stream of a file.

    Attributes
    ----------
    kind : str
        Four letters: "EVTS", "FRME", "IMUS", "TRIG" or others.
    width, height : int
        Size of the sensor, 0 where it is not said.
    """

    kind: str
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class Header:
    """
    What the start of a file says.

    Attributes
    ----------
    start : int
        Byte of the first packet.
    compression : int
        Of the packets.
    table_position : int
        Byte of the table behind the packets; -1 where the recording was never finished.
    streams : dict of int to Stream
        By number.
    """

    start: int
    compression: int
    table_position: int
    streams: dict[int, Stream]


def read_header(path: Path) -> Header:
    """
    Read the header of a file.

    Parameters
    ----------
    path : Path
        The file.

    Returns
    -------
    Header
        What it says.

    Raises
    ------
    FormatError
        It is damaged.
    """
    with path.open("rb") as file:
        head = file.read(len(MAGIC) + 4)
        n_bytes = int.from_bytes(head[len(MAGIC) :], "little")
        rest = file.read(n_bytes) if n_bytes <= MAX_HEADER_BYTES else b""
    try:
        if not head.startswith(MAGIC) or len(rest) < n_bytes or n_bytes == 0:
            raise LayoutError(f"it says to have {n_bytes} bytes")
        root = read_root(head[len(MAGIC) :] + rest, b"IOHE")
        compression = int(root.number(0, "<i"))
        if not NONE <= compression <= ZSTD_HIGH:
            raise LayoutError(f"compression {compression} is unknown")
        start, length = root.vector(2, 1)
        streams = read_streams((head[len(MAGIC) :] + rest)[start : start + length])
        return Header(len(head) + n_bytes, compression, int(root.number(1, "<q", -1)), streams)
    except (LayoutError, UnicodeDecodeError, ElementTree.ParseError, struct.error) as error:
        raise FormatError(
            f"{path}: the AEDAT 4 header cannot be read ({error}); the file is damaged near its start, "
            "copy or export it again"
        ) from error


def read_streams(text: bytes) -> dict[int, Stream]:
    """
    Read the streams that a header describes.

    Parameters
    ----------
    text : bytes
        XML: nodes whose names are numbers, with attributes by key.

    Returns
    -------
    dict of int to Stream
        By number.

    Raises
    ------
    LayoutError
        It holds declarations, which no camera writes.
    """
    if b"<!" in text:
        raise LayoutError("it declares entities")
    streams: dict[int, Stream] = {}
    for node in ElementTree.fromstring(text.rstrip(b"\0").decode()).iter("node"):
        name, kind = node.get("name", ""), find_attribute(node, "typeIdentifier")
        if name.isascii() and name.isdigit() and kind is not None:
            info = next((each for each in node.iter("node") if each.get("name") == "info"), node)
            sides = [find_attribute(info, key) or "0" for key in ("sizeX", "sizeY")]
            width, height = (int(side) if side.isascii() and side.isdigit() else 0 for side in sides)
            streams[int(name)] = Stream(kind, width, height)
    return streams


def find_attribute(node: ElementTree.Element, key: str) -> str | None:
    """
    Find an attribute of a node.

    Parameters
    ----------
    node : Element
        With children `attr`.
    key : str
        What the attribute is called.

    Returns
    -------
    str or None
        Its text.
    """
    for child in node.iterfind("attr"):
        if child.get("key") == key:
            return (child.text or "").strip()
    return None


def decompress(data: bytes, compression: int) -> bytes:
    """
    Decompress a packet.

    Parameters
    ----------
    data : bytes
        As it stands in the file.
    compression : int
        As the header says.

    Returns
    -------
    bytes
        At most MAX_PACKET_BYTES.

    Raises
    ------
    LayoutError
        It is damaged, or larger than any packet.
    MissingPackageError
        The package for this compression is not installed.
    """
    if compression == NONE:
        return data
    try:
        if compression in (LZ4, LZ4_HIGH):
            from lz4.frame import LZ4FrameDecompressor as Decompressor
        elif sys.version_info >= (3, 14):
            from compression.zstd import ZstdDecompressor as Decompressor
        else:
            from backports.zstd import ZstdDecompressor as Decompressor
    except ImportError as error:
        raise MissingPackageError(
            "reading compressed AEDAT 4 needs two packages: pip install lz4 backports.zstd"
        ) from error
    decompressor = Decompressor()
    pieces: list[bytes] = []
    n_bytes = 0
    try:
        while not decompressor.eof:
            piece = decompressor.decompress(b"" if pieces else data, max_length=PIECE_BYTES)
            n_bytes += len(piece)
            if n_bytes > MAX_PACKET_BYTES:
                raise LayoutError(f"it is larger than {MAX_PACKET_BYTES} bytes when decompressed")
            if not piece and not decompressor.eof:
                raise LayoutError("its compressed data end early")
            pieces.append(piece)
    except (RuntimeError, ValueError, EOFError) as error:
        raise LayoutError(str(error)) from error
    except Exception as error:  # ZstdError is no kind of the above
        if type(error).__name__ != "ZstdError":
            raise
        raise LayoutError(str(error)) from error
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)
