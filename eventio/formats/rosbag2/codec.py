"""
Bags of ROS 2 in SQLite databases (.db3), opened read-only: messages in the order in which they were recorded.

Tables that are no plain tables are refused, so that nothing a stranger wrote into the database is run.
"""

from __future__ import annotations

import sqlite3
import weakref
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

from eventio.errors import FormatError
from eventio.ros.compression import MOST_BYTES
from eventio.ros.messages import Message
from eventio.ros.source import Decoders, RosSource

NAME = "rosbag2"
TITLE = "ROS 2 bags (.db3)"
SUFFIXES = (".db3",)
MAGIC = b"SQLite format 3\0"
ERRORS = (sqlite3.Error, UnicodeError, OverflowError, MemoryError)
"""What the library raises on damaged databases, whose texts it quotes."""
ZSTANDARD = b"\x28\xb5\x2f\xfd"


class Rosbag2Source(RosSource):
    """
    Reader of one database.

    Parameters
    ----------
    path : Path
        The file.
    decoders : mapping of str to callable
        Decoders of payloads by their encoding.
    topic : str, optional
        Whose events to read.
    """

    def __init__(self, path: Path, *, decoders: Decoders, topic: str | None = None) -> None:
        self._types: dict[str, str] = {}
        super().__init__(path, decoders=decoders, topic=topic)

    def _connect(self) -> sqlite3.Connection:
        address = f"file:{quote(str(self.path.absolute()))}?mode=ro&immutable=1"
        connection = sqlite3.connect(address, uri=True, check_same_thread=False)
        connection.text_factory = decode_text
        connection.execute("PRAGMA trusted_schema=OFF")
        connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, MOST_BYTES)
        return connection

    def list_topics(self) -> dict[str, str]:
        """
        Give the type of each topic.

        Returns
        -------
        dict of str to str
            By name.

        Raises
        ------
        FormatError
            The database is damaged, or no bag.
        """
        try:
            self._connection = self._connect()
            weakref.finalize(self, self._connection.close)
            tables = dict(
                self._connection.execute(
                    "SELECT name, sql FROM sqlite_master WHERE type = 'table' AND name IN ('topics', 'messages')"
                )
            )
            if len(tables) != 2 or any("virtual" in str(text).lower() for text in tables.values()):
                raise FormatError("is a SQLite database without the tables of a ROS 2 bag")
            self._types = {
                str(name): str(kind)
                for name, kind in self._connection.execute("SELECT name, type FROM topics")
            }
        except ERRORS as error:
            raise FormatError(f"the database cannot be read ({error}); it is damaged or cut short") from error
        return self._types

    def messages(self, topic: str) -> Iterator[Message]:
        """
        Yield the messages of a topic in the order in which they were recorded.

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
            The database is damaged.
        """
        query = (
            "SELECT messages.data FROM messages WHERE topic_id IN (SELECT id FROM topics WHERE name = ?) "
            "ORDER BY messages.id"
        )
        try:
            for (data,) in self._connection.execute(query, (topic,)):
                if not isinstance(data, bytes):
                    raise FormatError("a message is no sequence of bytes")
                if data.startswith(ZSTANDARD):
                    raise FormatError(
                        "its messages are compressed one by one; decompress the bag with `ros2 bag convert`"
                    )
                yield Message(topic, self._types[topic], data, is_cdr=True)
        except ERRORS as error:
            raise FormatError(f"the database cannot be read ({error}); it is damaged or cut short") from error

    def count_others(self) -> dict[str, int]:
        """
        Give how many messages other topics have.

        Returns
        -------
        dict of str to int
            By name.
        """
        query = "SELECT name, count(*) FROM messages JOIN topics ON topics.id = topic_id GROUP BY name"
        try:
            found = dict(self._connection.execute(query)) if len(self._types) > 1 else {}
        except ERRORS:
            return {}
        return {str(name): int(n) for name, n in found.items() if name != self._topic}


def decode_text(data: bytes) -> str:
    """
    Read a text of the database.

    Parameters
    ----------
    data : bytes
        The text.

    Returns
    -------
    str
        With marks where it is damaged.
    """
    return data.decode("utf-8", "replace")


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
        It is a SQLite database.
    """
    return head.startswith(MAGIC)
