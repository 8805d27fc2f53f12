"""EVT 3.0 words that come in packets of another container."""

from __future__ import annotations

import numpy as np

from eventio.formats.evt3 import _kernels as kernels
from eventio.formats.evt3.codec import KINDS, LACKS
from eventio.recording import EVENT_DTYPE, EventArray
from eventio.ros.messages import Packet
from eventio.source import Findings


class Evt3Packets:
    """Decoder that keeps time, row and column from packet to packet."""

    def __init__(self) -> None:
        self._state = np.array(kernels.START_STATE, np.int64)
        self._counts = np.zeros(kernels.N_COUNTS, np.int64)
        self._n_odd = 0

    def decode(self, packet: Packet) -> EventArray:
        """
        Give the events of the next packet.

        Parameters
        ----------
        packet : Packet
            With EVT 3.0 words.

        Returns
        -------
        ndarray
            Of EVENT_DTYPE, shape (n_events,).
        """
        payload = packet.payload
        self._n_odd += len(payload) % 2
        words = np.frombuffer(payload[: len(payload) // 2 * 2], "<u2")
        room = np.empty((len(words) + 1) * kernels.MOST_EVENTS_PER_WORD, EVENT_DTYPE)
        _, n_events = kernels.decode(words, self._state, self._counts, room)
        return room[:n_events]

    def conclude(self, findings: Findings) -> None:
        """
        Note what was noticed besides events.

        Parameters
        ----------
        findings : Findings
            Where.
        """
        findings.add_skipped("bytes of incomplete words", self._n_odd)
        for kind in range(16):
            findings.add_skipped(KINDS.get(kind, "unknown words"), int(self._counts[kind]))
        for place, name in LACKS.items():
            findings.add_skipped(name, int(self._counts[place]))
