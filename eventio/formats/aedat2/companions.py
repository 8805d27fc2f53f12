"""
Frames, inertial measurements and external inputs out of the words of an AEDAT 2.0 file that are no pixel events.

A frame is read pixel by pixel, once at reset and once as signal, and the picture is the difference. An inertial
measurement is seven words of one time: acceleration x, y, z, temperature, rotation x, y, z. The file does not tell
the scale of either; jAER's usual one is taken.

Source: jAER's chip class DavisBaseCamera (which mirrors x of events but not of frames) and its IMUSample.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from eventio.companions import (
    IMU_DTYPE,
    TRIGGER_DTYPE,
    CompanionCollector,
    Frame,
    StructuredArray,
    TriggerKind,
)
from eventio.formats.aedat2 import _kernels as kernels

OTHER_DTYPE = np.dtype([("t", "<i8"), ("address", "<u4")])
OTHER_ROOM = 1 << 16
IMU_WORDS = 7
G_PER_STEP, DEG_S_PER_STEP = 1 / 8192, 1 / 65.5
C_PER_STEP, C_AT_0 = 1 / 340, 35
SCALE_NOTE = (
    "inertial measurements scaled by 1/8192 g and 1/65.5 deg/s, jAER's usual setting: the file tells none"
)
MAX_GREY = 1023
UNREAD = -1


class Assembler:
    """
    Puts words together as they come.

    Parameters
    ----------
    width, height : int
        Size of the sensor in pixels.

    Attributes
    ----------
    n_unfinished : int
        Frames that were left because reads are missing.
    """

    def __init__(self, width: int, height: int) -> None:
        self._size = width, height
        self._reset = np.zeros((height, width), np.int16)
        self._signal = np.full((height, width), UNREAD, np.int16)
        self._n_signals = 0
        self._exposure: list[int | None] = [None, None]
        self._imu_rest = np.empty(0, OTHER_DTYPE)
        self.n_unfinished = 0

    def add(self, words: StructuredArray, companions: CompanionCollector, layout: int) -> None:
        """
        Take the next words.

        Parameters
        ----------
        words : ndarray
            Of OTHER_DTYPE, shape (n,), in file order.
        companions : CompanionCollector
            Where to put what is finished.
        layout : int
            How addresses are laid out.
        """
        address = words["address"].astype(np.int64)
        if layout != kernels.DAVIS:
            self._add_triggers(words[(address >> 15) == 1], companions)
            return
        is_imu = (address >> 31 == 1) & (address >> 10 & 3 == 3)
        self._add_imu(words[is_imu], companions)
        self._add_triggers(words[address >> 31 == 0], companions)
        self._add_pixels(words[(address >> 31 == 1) & (address >> 10 & 3 < 2)], companions)

    def _add_triggers(self, words: StructuredArray, companions: CompanionCollector) -> None:
        triggers = np.zeros(len(words), TRIGGER_DTYPE)
        triggers["t"], triggers["kind"] = words["t"], TriggerKind.PULSE
        companions.add_triggers(triggers)

    def _add_imu(self, words: StructuredArray, companions: CompanionCollector) -> None:
        """Take the runs of seven words whose codes are 0 to 6."""
        words = np.concatenate([self._imu_rest, words])
        address = words["address"].astype(np.int64)
        code = address >> 28 & 7
        starts = np.flatnonzero(code == 0)
        is_open = starts > len(words) - IMU_WORDS
        self._imu_rest = words[starts[is_open][0] :].copy() if is_open.any() else words[:0].copy()
        at = starts[~is_open][:, None] + np.arange(IMU_WORDS)
        at = at[(code[at] == np.arange(IMU_WORDS)).all(axis=1)]
        steps = (address[at] >> 12 & 0xFFFF).astype(np.int16).astype(np.float32)
        measurements = np.empty(len(at), IMU_DTYPE)
        measurements["t"] = words["t"][at[:, 0]]
        measurements["acceleration_g"] = steps[:, :3] * np.float32(G_PER_STEP)
        measurements["temperature_c"] = steps[:, 3] * np.float32(C_PER_STEP) + np.float32(C_AT_0)
        measurements["rotation_deg_s"] = steps[:, 4:] * np.float32(DEG_S_PER_STEP)
        measurements["magnetic_ut"] = np.nan
        companions.add_imu(measurements)

    def _add_pixels(self, words: StructuredArray, companions: CompanionCollector) -> None:
        """Take reads run by run of one kind: a run of resets after signals begins the next frame."""
        width, height = self._size
        address = words["address"].astype(np.int64)
        x, row = address >> 12 & 0x3FF, address >> 22 & 0x1FF
        is_inside = (x < width) & (row < height)
        words, address, x, row = words[is_inside], address[is_inside], x[is_inside], row[is_inside]
        is_signal = address >> 10 & 1 == 1
        ends = np.flatnonzero(np.diff(is_signal.astype(np.int8))) + 1
        start = 0
        for stop in (*ends.tolist(), len(words)):
            if stop > start:
                run = slice(start, stop)
                self._add_run(
                    words["t"][run], row[run], x[run], address[run] & MAX_GREY, bool(is_signal[start])
                )
                if self._n_signals >= width * height:
                    self._finish(companions)
            start = stop

    def _add_run(
        self,
        t: npt.NDArray[Any],
        row: npt.NDArray[Any],
        x: npt.NDArray[Any],
        grey: npt.NDArray[Any],
        is_signal: bool,
    ) -> None:
        row = self._size[1] - 1 - row
        if is_signal:
            if self._exposure[1] is None:
                self._exposure[1] = int(t[0])
            self._signal[row, x] = grey
            self._n_signals += len(t)
            return
        if self._n_signals and (self._signal[row, x] != UNREAD).any():
            self.n_unfinished += 1
            self._begin()
        if not self._n_signals:
            self._exposure[0] = int(t[-1])
        self._reset[row, x] = grey

    def _finish(self, companions: CompanionCollector) -> None:
        start, stop = self._exposure
        if start is not None and stop is not None and (self._signal != UNREAD).all():
            grey = np.clip(self._reset - self._signal, 0, MAX_GREY).astype(np.uint16)
            companions.add_frame(Frame(stop, grey, exposure_us=(start, stop)))
        else:
            self.n_unfinished += 1
        self._begin()

    def _begin(self) -> None:
        self._signal[:] = UNREAD
        self._n_signals, self._exposure = 0, [None, None]
