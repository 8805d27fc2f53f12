"""
Bags of ROS 1, version 2.0 (.bag), read front to back; no index is needed, so broken-off bags give what is there.

Pieces are plain, or compressed with bz2 or (with the package lz4) with lz4.

Source: the description of the bag format in the ROS wiki.
"""

from __future__ import annotations

from collections.abc import Iterator
from io import BytesIO

from eventio.errors import FormatError
from eventio.ros.compression import unpack
from eventio.ros.messages import Message
from eventio.ros.record_source import RecordSource
from eventio.ros.records import RecordFile, open_records

NAME = "rosbag1"
TITLE = "ROS 1 bags (.bag)"
SUFFIXES = (".bag",)
MAGIC = b"#ROSBAG V2.0\n"
MESSAGE, CHUNK, CONNECTION = 2, 5, 7
Fields = dict[bytes, bytes]


class Rosbag1Source(RecordSource):
    """
    Reader of one bag.

    Parameters
    ----------
    path : Path
        The file.
    decoders : mapping of str to callable
        Decoders of payloads by their encoding.
    topic : str, optional
        Whose events to read.
    """

    first_record = len(MAGIC)

    def find_index(self) -> int:
        """
        Give the byte of the connections at the end of the file.

        Returns
        -------
        int
            As the first record says.
        """
        for file in open_records(self.path, self.first_record):
            fields, _ = read_record(file)
        return int.from_bytes(fields.get(b"index_pos", b""), "little")

    def topics_from(self, start: int) -> Iterator[tuple[str, str]]:
        """
        Yield topics with their types.

        Parameters
        ----------
        start : int
            Byte of the first record to look at.

        Yields
        ------
        tuple of (str, str)
            Of each connection.
        """
        for fields, data in self._records(start):
            if fields.get(b"op") == bytes((CONNECTION,)):
                yield read_connection(fields, data)

    def messages(self, topic: str) -> Iterator[Message]:
        """
        Yield the messages of a topic in file order.

        Parameters
        ----------
        topic : str
            Of which.

        Yields
        ------
        Message
            One after the other.

        Raises
        ------
        FormatError
            The file is damaged.
        """
        connections: dict[bytes, tuple[str, str]] = {}
        self.forget_others()
        for fields, data in self._records():
            kind, number = fields.get(b"op"), fields.get(b"conn", b"")
            if kind == bytes((CONNECTION,)):
                connections[number] = read_connection(fields, data)
            elif kind == bytes((MESSAGE,)):
                if number not in connections:
                    raise FormatError("a message comes before its connection")
                name, message_type = connections[number]
                if name == topic:
                    yield Message(name, message_type, data, is_cdr=False)
                else:
                    self.pass_over(name)

    def _records(self, start: int = len(MAGIC)) -> Iterator[tuple[Fields, bytes]]:
        """Yield the records of the file and of its pieces."""
        for file in open_records(self.path, start):
            while not file.is_at_end:
                fields, data = read_record(file)
                if fields.get(b"op") != bytes((CHUNK,)):
                    yield fields, data
                    continue
                compression = fields.get(b"compression", b"none").decode("ascii", "replace")
                piece = unpack(data, compression, int.from_bytes(fields.get(b"size", b""), "little"))
                inner = RecordFile(BytesIO(piece), len(piece), f"the piece before byte {file.at}")
                while not inner.is_at_end:
                    yield read_record(inner)


def read_record(file: RecordFile) -> tuple[Fields, bytes]:
    """
    Read one record.

    Parameters
    ----------
    file : RecordFile
        At its start.

    Returns
    -------
    tuple of (dict of bytes to bytes, bytes)
        Its fields and its data.

    Raises
    ------
    FormatError
        It is cut short or damaged.
    """
    at = file.at
    header = file.take(file.number(4))
    fields: Fields = {}
    position = 0
    while position < len(header):
        size = int.from_bytes(header[position : position + 4], "little")
        name, mark, value = header[position + 4 : position + 4 + size].partition(b"=")
        if not mark or position + 4 + size > len(header):
            raise FormatError(f"the record at byte {at} has a damaged header")
        fields[name] = value
        position += 4 + size
    return fields, file.take(file.number(4))


def read_connection(fields: Fields, data: bytes) -> tuple[str, str]:
    """
    Read the topic and type of a connection.

    Parameters
    ----------
    fields : dict of bytes to bytes
        Of its record.
    data : bytes
        Its data, fields again.

    Returns
    -------
    tuple of (str, str)
        Topic and type.

    Raises
    ------
    FormatError
        It names no type.
    """
    inner, _ = read_record(RecordFile(BytesIO(frame(data)), len(data) + 8, "a connection"))
    if b"type" not in inner:
        raise FormatError("a connection names no type")
    topic = fields.get(b"topic") or inner.get(b"topic", b"")
    return topic.decode("utf-8", "replace"), inner[b"type"].decode("utf-8", "replace")


def frame(data: bytes) -> bytes:
    """
    Put fields into a record without data.

    Parameters
    ----------
    data : bytes
        The fields.

    Returns
    -------
    bytes
        The record.
    """
    return len(data).to_bytes(4, "little") + data + bytes(4)


def matches(head: bytes) -> bool:
    """
    Say whether a file starts like this format.

    Parameters
    ----------
    head : bytes
        The first bytes of the file.

    Returns
    -------
    bool
        It starts with the name and version of the format.
    """
    return head.startswith(MAGIC)
