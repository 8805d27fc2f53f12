"""
The encodings of the payload of event_camera_msgs/EventPacket that belong to no file format.

"mono": nanoseconds from the packet's time base, x, y and polarity in 64 bits. "libcaer": the words of iniVation's
library, microseconds of 31 bits from the time base. "libcaer_cmp": 16-bit words that each change a part of time,
column and row; time, from the time base, starts anew in each packet.
"""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from eventio.recording import EVENT_DTYPE, EventArray
from eventio.ros import _kernels as kernels
from eventio.ros.messages import Packet
from eventio.source import Findings

ROUNDED = "times in nanoseconds rounded to whole microseconds"


class PayloadDecoder(Protocol):
    """What turns the payloads of one encoding into events, packet after packet."""

    def decode(self, packet: Packet) -> EventArray:
        """Give the events of the next packet."""
        ...

    def conclude(self, findings: Findings, *, keeps_companions: bool) -> None:
        """Note what was noticed besides events."""
        ...


class MonoDecoder:
    """Decoder of the encoding "mono"."""

    word: np.dtype[Any] = np.dtype("<u4")
    n_words = 2

    def __init__(self) -> None:
        self._n_odd = 0
        self._n_invalid = 0
        self._n_unknown = 0

    def decode(self, packet: Packet) -> EventArray:
        """
        Give the events of the next packet.

        Parameters
        ----------
        packet : Packet
            Of this encoding.

        Returns
        -------
        ndarray
            Of EVENT_DTYPE, shape (n_events,).
        """
        size = self.word.itemsize * self.n_words
        n_whole = len(packet.payload) // size * size
        self._n_odd += len(packet.payload) - n_whole
        words = np.frombuffer(packet.payload[:n_whole], self.word)
        return self._events(words, packet.time_base_ns & ((1 << 62) - 1))

    def _events(self, words: npt.NDArray[Any], base_ns: int) -> EventArray:
        events = np.empty(len(words) // 2, EVENT_DTYPE)
        kernels.decode_mono(words, base_ns, events)
        return events

    def conclude(self, findings: Findings, *, keeps_companions: bool) -> None:
        """
        Note what was noticed besides events.

        Parameters
        ----------
        findings : Findings
            Where.
        keeps_companions : bool
            Not used: these encodings have none.
        """
        del keeps_companions
        findings.conversions += (ROUNDED,)
        findings.add_skipped("bytes of incomplete words", self._n_odd)
        findings.add_skipped("invalid events", self._n_invalid)
        findings.add_skipped("unknown words", self._n_unknown)


class LibcaerDecoder(MonoDecoder):
    """Decoder of the encoding "libcaer"."""

    def _events(self, words: npt.NDArray[Any], base_ns: int) -> EventArray:
        events = np.empty(len(words) // 2, EVENT_DTYPE)
        n_events = int(kernels.decode_libcaer(words, base_ns, events))
        self._n_invalid += len(events) - n_events
        return events[:n_events]


class LibcaerCmpDecoder(MonoDecoder):
    """Decoder of the encoding "libcaer_cmp"."""

    word: np.dtype[Any] = np.dtype("<u2")
    n_words = 1

    def __init__(self) -> None:
        super().__init__()
        self._state = np.zeros(3, np.int64)

    def _events(self, words: npt.NDArray[Any], base_ns: int) -> EventArray:
        events = np.empty(len(words) * kernels.MOST_EVENTS_PER_WORD, EVENT_DTYPE)
        n_events, n_unknown = kernels.decode_libcaer_cmp(words, base_ns, self._state, events)
        self._n_unknown += int(n_unknown)
        return events[:n_events]


DECODERS: dict[str, type[MonoDecoder]] = {
    "mono": MonoDecoder,
    "libcaer": LibcaerDecoder,
    "libcaer_cmp": LibcaerCmpDecoder,
}
