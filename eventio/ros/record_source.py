"""What bags of records share: topics from the index at the end or from everywhere, and what is passed over."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from pathlib import Path

from eventio.errors import FormatError
from eventio.ros.source import Decoders, RosSource


class RecordSource(RosSource):
    """
    Reader of one bag that is a row of records, with an index of topics at the end unless it broke off.

    Parameters
    ----------
    path : Path
        The file.
    decoders : mapping of str to callable
        Decoders of payloads by their encoding.
    topic : str, optional
        Whose events to read.
    """

    first_record: int
    """Byte at which the records begin."""

    def __init__(self, path: Path, *, decoders: Decoders, topic: str | None = None) -> None:
        self._others: dict[str, int] = {}
        super().__init__(path, decoders=decoders, topic=topic)

    @abstractmethod
    def find_index(self) -> int:
        """Give the byte at which the file says its index begins; 0 where it does not."""

    @abstractmethod
    def topics_from(self, start: int) -> Iterator[tuple[str, str]]:
        """Yield topics with their types from the records behind a byte; raise FormatError where they are damaged."""

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
            The file is damaged before its first topic.
        """
        topics: dict[str, str] = {}
        index = self.find_index()
        for start in (index, self.first_record) if index > self.first_record else (self.first_record,):
            try:
                topics.update(self.topics_from(start))
            except FormatError:
                if not topics and start == self.first_record:
                    raise
            if topics:
                break
        return topics

    def pass_over(self, topic: str) -> None:
        """
        Count a message of another topic.

        Parameters
        ----------
        topic : str
            Which.
        """
        self._others[topic] = self._others.get(topic, 0) + 1

    def forget_others(self) -> None:
        """Count anew."""
        self._others = {}

    def count_others(self) -> dict[str, int]:
        """
        Give how many messages other topics have, as far as the file was read.

        Returns
        -------
        dict of str to int
            By name.
        """
        return self._others
