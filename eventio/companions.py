"""What a file holds besides pixel events: frames, inertial measurements, triggers and streams of other kinds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import IntEnum
from typing import Any

import numpy as np
import numpy.typing as npt

IMU_DTYPE = np.dtype(
    [
        ("t", "<i8"),
        ("acceleration_g", "<f4", (3,)),
        ("rotation_deg_s", "<f4", (3,)),
        ("magnetic_ut", "<f4", (3,)),
        ("temperature_c", "<f4"),
    ]
)
"""One inertial measurement: `t` in microseconds, then x, y and z as the chip counts them; NaN: not measured."""

TRIGGER_DTYPE = np.dtype([("t", "<i8"), ("channel", "u1"), ("kind", "u1")])
"""One trigger: `t` in microseconds, the input it came by, and its TriggerKind."""

EXPOSURE_DTYPE = np.dtype([("t", "<i8"), ("x", "<u2"), ("y", "<u2"), ("is_second", "?")])
"""One exposure event: a pixel of an ATIS crosses the first or the second threshold of a measurement of light."""
EXPOSURES = "exposure events"
"""Name of their stream."""

StructuredArray = npt.NDArray[np.void]


class TriggerKind(IntEnum):
    """What a trigger tells; the numbers are those of AEDAT 4."""

    TIME_RESET = 0
    RISING_EDGE = 1
    FALLING_EDGE = 2
    PULSE = 3
    GENERATOR_RISING_EDGE = 4
    GENERATOR_FALLING_EDGE = 5
    FRAME_START = 6
    FRAME_STOP = 7
    EXPOSURE_START = 8
    EXPOSURE_STOP = 9


@dataclass(frozen=True, eq=False, slots=True)
class Frame:
    """
    One picture of a camera that sees both events and frames.

    Attributes
    ----------
    t_us : int
        Time of the frame in microseconds, as the file dates it.
    image : ndarray
        uint8 or uint16, shape (height, width) of greys or (height, width, n_channels) of blue, green, red (and
        alpha); row 0 is the top one. Read-only.
    exposure_us : tuple of (int, int) or None
        Start and stop of the exposure in microseconds where the file tells them.
    origin : tuple of (int, int)
        Column and row of the image's top-left pixel on the sensor.
    """

    t_us: int
    image: npt.NDArray[Any]
    exposure_us: tuple[int, int] | None = None
    origin: tuple[int, int] = (0, 0)


@dataclass(frozen=True, eq=False, slots=True)
class Companions:
    """
    What a file holds besides pixel events, in file order and on the clock of the events.

    Attributes
    ----------
    frames : tuple of Frame
        Pictures.
    imu : ndarray
        Inertial measurements, of IMU_DTYPE, shape (n,).
    triggers : ndarray
        Triggers, of TRIGGER_DTYPE, shape (n,).
    streams : mapping of str to ndarray
        Whatever else there is, by kind: structured arrays whose first field is `t` in microseconds; their other
        fields depend on the kind ("exposure events": EXPOSURE_DTYPE).

    Examples
    --------
    >>> nothing = Companions()
    >>> len(nothing.frames), len(nothing.imu), len(nothing.triggers), bool(nothing)
    (0, 0, 0, False)
    """

    frames: tuple[Frame, ...] = ()
    imu: StructuredArray = field(default_factory=lambda: np.empty(0, IMU_DTYPE))
    triggers: StructuredArray = field(default_factory=lambda: np.empty(0, TRIGGER_DTYPE))
    streams: Mapping[str, StructuredArray] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(len(self.frames) or len(self.imu) or len(self.triggers) or self.streams)

    def describe(self) -> str:
        """
        Say how many there are of each kind.

        Returns
        -------
        str
            Such as "4 frames, 16 inertial measurements"; "nothing" where there is nothing.
        """
        return ", ".join(f"{n} {name}" for name, n in self.counts.items()) or "nothing"

    def moved(self, by_us: int) -> Companions:
        """
        Move all times.

        Parameters
        ----------
        by_us : int
            What is added to them, in microseconds.

        Returns
        -------
        Companions
            Of the same kinds and contents.
        """
        frames = tuple(
            replace(
                each,
                t_us=each.t_us + by_us,
                exposure_us=each.exposure_us and (each.exposure_us[0] + by_us, each.exposure_us[1] + by_us),
            )
            for each in self.frames
        )
        streams = {kind: moved(array, by_us) for kind, array in self.streams.items()}
        return Companions(frames, moved(self.imu, by_us), moved(self.triggers, by_us), streams)

    def between(self, start_us: int, stop_us: int) -> Companions:
        """
        Take what has a time with start_us <= t < stop_us.

        Parameters
        ----------
        start_us, stop_us : int
            From when to when, in microseconds.

        Returns
        -------
        Companions
            In the order in which it came; kinds of which nothing is left are left out.
        """

        def cut(array: StructuredArray) -> StructuredArray:
            part = array[(array["t"] >= start_us) & (array["t"] < stop_us)]
            part.flags.writeable = False
            return part

        streams = {kind: part for kind, array in self.streams.items() if len(part := cut(array))}
        frames = tuple(each for each in self.frames if start_us <= each.t_us < stop_us)
        return Companions(frames, cut(self.imu), cut(self.triggers), streams)

    @property
    def counts(self) -> dict[str, int]:
        """How many there are of each kind, by name; kinds of which there are none are left out."""
        numbers = {
            "frames": len(self.frames),
            "inertial measurements": len(self.imu),
            "triggers": len(self.triggers),
        }
        numbers |= {name: len(array) for name, array in self.streams.items()}
        return {name: n for name, n in numbers.items() if n}


def moved(array: StructuredArray, by_us: int) -> StructuredArray:
    """
    Move the times of a structured array.

    Parameters
    ----------
    array : ndarray
        With a field `t` in microseconds.
    by_us : int
        What is added.

    Returns
    -------
    ndarray
        A new array.
    """
    array = array.copy()
    array["t"] += by_us
    array.flags.writeable = False
    return array


class CompanionCollector:
    """Companions as a reader comes upon them."""

    def __init__(self) -> None:
        self._frames: list[Frame] = []
        self._arrays: dict[str, list[StructuredArray]] = {}

    def add_frame(self, frame: Frame) -> None:
        """
        Keep one frame.

        Parameters
        ----------
        frame : Frame
            Its image is made read-only.
        """
        frame.image.flags.writeable = False
        self._frames.append(frame)

    def add_imu(self, measurements: StructuredArray) -> None:
        """
        Keep inertial measurements.

        Parameters
        ----------
        measurements : ndarray
            Of IMU_DTYPE, shape (n,); not changed afterwards.
        """
        self.add("imu", measurements)

    def add_triggers(self, triggers: StructuredArray) -> None:
        """
        Keep triggers.

        Parameters
        ----------
        triggers : ndarray
            Of TRIGGER_DTYPE, shape (n,); not changed afterwards.
        """
        self.add("triggers", triggers)

    def add(self, kind: str, array: StructuredArray) -> None:
        """
        Keep part of a stream of another kind.

        Parameters
        ----------
        kind : str
            Key in `Companions.streams`.
        array : ndarray
            Structured, of one dtype per kind, shape (n,); not changed afterwards.
        """
        if len(array):
            self._arrays.setdefault(kind, []).append(array)

    def finish(self) -> Companions:
        """
        Hand over everything.

        Returns
        -------
        Companions
            In the order in which it came.
        """
        joined = {kind: np.concatenate(arrays) for kind, arrays in self._arrays.items()}
        for array in joined.values():
            array.flags.writeable = False
        imu = joined.pop("imu", np.empty(0, IMU_DTYPE))
        triggers = joined.pop("triggers", np.empty(0, TRIGGER_DTYPE))
        return Companions(tuple(self._frames), imu, triggers, joined)
