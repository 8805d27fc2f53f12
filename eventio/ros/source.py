"""What the readers of bags share: which topic has the events, and from messages to events."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from pathlib import Path

from eventio.columns import USUAL_SIZES
from eventio.errors import FormatError, MissingPackageError
from eventio.recording import MAX_SENSOR_SIDE, EventArray
from eventio.ros.messages import ARRAYS, PACKETS, Message, plain_type, read_array, read_packet
from eventio.ros.payloads import DECODERS, ROUNDED, PayloadDecoder
from eventio.source import Findings

Decoders = Mapping[str, Callable[[], PayloadDecoder]]


class RosSource(ABC):
    """
    Reader of one bag.

    Parameters
    ----------
    path : Path
        The file.
    decoders : mapping of str to callable
        Decoders of payloads by their encoding, besides those of `eventio.ros.payloads`.
    topic : str, optional
        Whose events to read; needed where several topics have some.

    Raises
    ------
    FormatError
        The bag is damaged or holds no events, or several topics have some.
    """

    def __init__(self, path: Path, *, decoders: Decoders, topic: str | None = None) -> None:
        self.path = path
        self.usual_sizes = USUAL_SIZES
        self.findings = Findings()
        self.width: int | None = None
        self.height: int | None = None
        self.keeps_companions = False
        self._decoders: Decoders = {**DECODERS, **decoders}
        try:
            topics = self.list_topics()
            self._topic = choose_topic(topics, topic)
            self._look_at_first()
        except (FormatError, MissingPackageError) as error:
            raise type(error)(f"{path}: {error}") from error

    @abstractmethod
    def list_topics(self) -> dict[str, str]:
        """Give the type of each topic."""

    @abstractmethod
    def messages(self, topic: str) -> Iterator[Message]:
        """Yield the messages of a topic in file order; raise FormatError where the file is damaged."""

    def _look_at_first(self) -> None:
        """Take the sensor's size from the first message with one."""
        for message in islice(self.messages(self._topic), 1):
            if plain_type(message.type) in ARRAYS:
                width, height, _ = read_array(message)
            else:
                packet = read_packet(message)
                width, height = packet.width, packet.height
            if 1 <= width <= MAX_SENSOR_SIDE and 1 <= height <= MAX_SENSOR_SIDE:
                self.width, self.height = width, height

    def blocks(self) -> Iterator[EventArray]:
        """
        Yield the events in file order.

        Yields
        ------
        ndarray
            Of EVENT_DTYPE, shape (n_events,).

        Raises
        ------
        FormatError
            The first message cannot be read.
        """
        self.findings = Findings()
        used: dict[str, PayloadDecoder] = {}
        n_messages = 0
        try:
            for message in self.messages(self._topic):
                events = self._decode(message, used)
                n_messages += 1
                if len(events):
                    yield events
        except (FormatError, MissingPackageError) as error:
            if n_messages == 0 or isinstance(error, MissingPackageError):
                raise type(error)(f"{self.path}: {error}") from error
            self.findings.truncation = f"behind message {n_messages - 1} of {self._topic}: {error}"
        for decoder in used.values():
            decoder.conclude(self.findings, keeps_companions=self.keeps_companions)
        for name, n in self.count_others().items():
            self.findings.add_skipped(f"messages of {name}", n)

    def count_others(self) -> dict[str, int]:
        """Give how many messages other topics have, as far as the file was read."""
        return {}

    def _decode(self, message: Message, used: dict[str, PayloadDecoder]) -> EventArray:
        if plain_type(message.type) in ARRAYS:
            self.findings.conversions = (ROUNDED,)
            return read_array(message)[2]
        packet = read_packet(message)
        if packet.encoding not in used:
            if packet.encoding not in self._decoders:
                raise FormatError(
                    f"the payload's encoding {packet.encoding[:20]!r} is not read; known are "
                    f"{', '.join(self._decoders)}"
                )
            used[packet.encoding] = self._decoders[packet.encoding]()
        return used[packet.encoding].decode(packet)


def choose_topic(topics: Mapping[str, str], wanted: str | None) -> str:
    """
    Choose the topic whose events are read.

    Parameters
    ----------
    topics : mapping of str to str
        The type of each.
    wanted : str or None
        What the caller says.

    Returns
    -------
    str
        The topic.

    Raises
    ------
    FormatError
        There is none with events, several, or not the wanted one.
    """
    with_events = [name for name, kind in topics.items() if plain_type(kind) in PACKETS + ARRAYS]
    if wanted is not None:
        if wanted in with_events:
            return wanted
        raise FormatError(
            f"has no events on topic {wanted!r}; topics with events: {', '.join(with_events) or 'none'}"
        )
    if len(with_events) == 1:
        return with_events[0]
    if with_events:
        raise FormatError(
            f"has events on {len(with_events)} topics, {', '.join(with_events)}; say which behind the format's "
            f"name, such as format='rosbag1:{with_events[0]}'"
        )
    kinds = ", ".join(sorted(set(topics.values()))[:8]) or "no messages"
    raise FormatError(f"holds no messages with events ({', '.join(PACKETS + ARRAYS)}), only {kinds}")
