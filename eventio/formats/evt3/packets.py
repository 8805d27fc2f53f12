"""EVT 3.0 words that come in packets of another container."""

from __future__ import annotations

import numpy as np

from eventio import _kernels as common
from eventio.companions import TRIGGER_DTYPE, StructuredArray
from eventio.formats.evt3 import _kernels as kernels
from eventio.formats.evt3.codec import KINDS, LACKS
from eventio.recording import EVENT_DTYPE, PLACED_DTYPE, EventArray
from eventio.ros.messages import Packet
from eventio.source import Findings


class Evt3Packets:
    """Decoder that keeps time, row and column from packet to packet."""

    def __init__(self) -> None:
        self._state = np.zeros(kernels.N_STATE, np.int64)
        self._state[[kernels.HIGH, kernels.ROW, kernels.COLUMN]] = -1
        self._state[common.PREVIOUS_T] = common.NEVER
        self._triggers: list[StructuredArray] = []
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
        room = np.empty(int(kernels.count_events(words)) + kernels.SPARE, EVENT_DTYPE)
        triggers = np.empty(len(words) + 1, TRIGGER_DTYPE)
        _, n_events, n_triggers = kernels.decode(words, self._state, room.view(PLACED_DTYPE), triggers)
        if n_triggers:
            self._triggers.append(triggers[:n_triggers].copy())
        return room[:n_events]

    def conclude(self, findings: Findings, *, keeps_companions: bool) -> None:
        """
        Note what was noticed besides events.

        Parameters
        ----------
        findings : Findings
            Where.
        keeps_companions : bool
            Whether triggers are kept.
        """
        findings.add_skipped("bytes of incomplete words", self._n_odd)
        for kind in range(16):
            findings.add_skipped(KINDS.get(kind, "unknown words"), int(self._state[kernels.COUNTS + kind]))
        for place, name in LACKS.items():
            findings.add_skipped(name, int(self._state[place]))
        findings.add_wraps(int(self._state[kernels.WRAPS]) // kernels.WRAP_US, kernels.WRAP_US)
        for triggers in self._triggers if keeps_companions else ():
            findings.companions.add_triggers(triggers)
