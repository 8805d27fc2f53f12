"""
MCAP files (.mcap) with messages of ROS 1 or ROS 2, read front to back; an index is not needed.

Pieces are plain, or compressed with lz4 or zstd (with the packages lz4 and backports.zstd).

Source: the MCAP format specification.
"""

from __future__ import annotations

from collections.abc import Iterator
from io import BytesIO

from eventio.errors import FormatError
from eventio.ros.compression import unpack
from eventio.ros.messages import Message
from eventio.ros.record_source import RecordSource
from eventio.ros.records import RecordFile, open_records

NAME = "mcap"
TITLE = "MCAP (.mcap)"
SUFFIXES = (".mcap",)
MAGIC = b"\x89MCAP0\r\n"
FOOTER, SCHEMA, CHANNEL, MESSAGE, CHUNK = 2, 3, 4, 5, 6
MESSAGE_HEAD_BYTES = 22
FOOTER_BYTES = 29


class McapSource(RecordSource):
    """
    Reader of one MCAP file.

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
        Give the byte of the summary.

        Returns
        -------
        int
            As the last record says; 0 where it is missing.
        """
        with self.path.open("rb") as file:
            n_bytes = file.seek(0, 2)
            file.seek(max(0, n_bytes - len(MAGIC) - FOOTER_BYTES))
            footer = file.read(FOOTER_BYTES)
        return int.from_bytes(footer[9:17], "little") if footer[:1] == bytes((FOOTER,)) else 0

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
            Of each channel.
        """
        schemas: dict[int, str] = {}
        for kind, data in self._records(start):
            if kind == SCHEMA:
                number, name = read_schema(data)
                schemas[number] = name
            elif kind == CHANNEL:
                _, topic, schema, _ = read_channel(data)
                yield topic, schemas.get(schema, "")

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
        schemas: dict[int, str] = {}
        channels: dict[int, tuple[str, int, str]] = {}
        self.forget_others()
        for kind, data in self._records():
            if kind == SCHEMA:
                number, name = read_schema(data)
                schemas[number] = name
            elif kind == CHANNEL:
                number, name, schema, encoding = read_channel(data)
                channels[number] = (name, schema, encoding)
            elif kind == MESSAGE:
                number = int.from_bytes(data[:2], "little")
                if number not in channels or len(data) < MESSAGE_HEAD_BYTES:
                    raise FormatError("a message comes before its channel, or is cut short")
                name, schema, encoding = channels[number]
                if name == topic:
                    if encoding not in ("cdr", "ros1"):
                        raise FormatError(f"messages are encoded as {encoding[:20]!r}; read are cdr and ros1")
                    yield Message(name, schemas.get(schema, ""), data[MESSAGE_HEAD_BYTES:], encoding == "cdr")
                else:
                    self.pass_over(name)

    def _records(self, start: int = len(MAGIC)) -> Iterator[tuple[int, bytes]]:
        """Yield the records of the file and of its pieces."""
        for file in open_records(self.path, start):
            while not file.is_at_end:
                kind, n_bytes = file.number(1), file.number(8)
                if kind == FOOTER:
                    return
                data = file.take(n_bytes)
                if kind != CHUNK:
                    yield kind, data
                    continue
                chunk = RecordFile(BytesIO(data), len(data), f"the piece before byte {file.at}")
                chunk.skip(16)
                size = chunk.number(8)
                chunk.skip(4)
                compression = chunk.take(chunk.number(4)).decode("ascii", "replace")
                piece = unpack(chunk.take(chunk.number(8)), compression, size)
                inner = RecordFile(BytesIO(piece), len(piece), f"the piece before byte {file.at}")
                while not inner.is_at_end:
                    yield inner.number(1), inner.take(inner.number(8))
        raise FormatError("the file ends without its last record")


def read_schema(data: bytes) -> tuple[int, str]:
    """
    Read the number and name of a schema.

    Parameters
    ----------
    data : bytes
        Of its record.

    Returns
    -------
    tuple of (int, str)
        Number and name of the type.
    """
    record = RecordFile(BytesIO(data), len(data), "a schema")
    return record.number(2), record.take(record.number(4)).decode("utf-8", "replace")


def read_channel(data: bytes) -> tuple[int, str, int, str]:
    """
    Read a channel.

    Parameters
    ----------
    data : bytes
        Of its record.

    Returns
    -------
    tuple of (int, str, int, str)
        Number, topic, number of the schema and encoding of the messages.
    """
    record = RecordFile(BytesIO(data), len(data), "a channel")
    number, schema = record.number(2), record.number(2)
    topic = record.take(record.number(4)).decode("utf-8", "replace")
    return number, topic, schema, record.take(record.number(4)).decode("utf-8", "replace")


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
        It starts with MCAP's mark.
    """
    return head.startswith(MAGIC)
