"""A recording in memory: one packed array of events, the sensor's size, and where it came from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from eventio import _kernels
from eventio.companions import Companions, Frame, StructuredArray
from eventio.errors import ArgumentError, OutOfSensorError

EVENT_DTYPE = np.dtype([("t", "<i8"), ("x", "<u2"), ("y", "<u2"), ("p", "?")])
"""One event: `t` in microseconds, `x` to the right and `y` down from the top-left pixel, `p` True for ON."""

PLACED_DTYPE = np.dtype([("t", "<i8"), ("xy", "<u4"), ("p", "u1")])
"""The same bytes for decoders, which write `x | y << 16` at once."""

EventArray = npt.NDArray[np.void]
MAX_SENSOR_SIDE = 65536


@dataclass(frozen=True, slots=True)
class Metadata:
    """
    Where a recording came from and what was noticed while reading it.

    Attributes
    ----------
    format : str
        Name of the file format (`eventio.format_table.FORMATS`), or "memory".
    path : Path or None
        The file, or None.
    is_size_derived : bool
        The file does not say the sensor's size; it is the smallest usual one that holds all events.
    warnings : tuple of str
        One sentence for each kind of damage found.
    n_backward_steps : int
        How often an event is earlier than the one before it.
    is_truncated : bool
        The file ends within a word, a packet or its header.
    skipped : tuple of (str, int)
        Words of the file that are no pixel events, by kind, and how many there are.
    conversions : tuple of str
        What was done to the file's numbers to fit eventio's conventions: axes turned, clocks continued.
    address_space : str
        What x and y count: "pixels" of a camera, or "channels" of a cochlea.
    """

    format: str = "memory"
    path: Path | None = None
    is_size_derived: bool = False
    warnings: tuple[str, ...] = ()
    n_backward_steps: int = 0
    is_truncated: bool = False
    skipped: tuple[tuple[str, int], ...] = ()
    conversions: tuple[str, ...] = ()
    address_space: str = "pixels"

    @property
    def n_skipped(self) -> int:
        """How many words of the file are no pixel events (triggers, padding, ...)."""
        return sum(n for _, n in self.skipped)


@dataclass(frozen=True, eq=False, slots=True)
class Recording:
    """
    Events of one sensor, in file order.

    Parameters
    ----------
    events : ndarray
        Of EVENT_DTYPE, shape (n_events,). A writeable array is copied; the recording's own is read-only.
    width, height : int
        Size of the sensor in pixels; every event lies inside it.
    metadata : Metadata
        Where the events came from.
    companions : Companions
        What the file holds besides: frames, inertial measurements, triggers and streams of other kinds.

    Raises
    ------
    ArgumentError
        The array is no one-dimensional array of EVENT_DTYPE, or the size is not in 1..65536.
    OutOfSensorError
        An event lies outside the sensor.

    Examples
    --------
    >>> events = make_events(t=[10, 25], x=[0, 3], y=[2, 2], p=[True, False])
    >>> recording = Recording(events, width=4, height=3)
    >>> len(recording), recording.t.tolist(), recording.p.tolist()
    (2, [10, 25], [True, False])
    """

    events: EventArray
    width: int
    height: int
    metadata: Metadata = field(default_factory=Metadata)
    companions: Companions = field(default_factory=Companions)

    def __post_init__(self) -> None:
        events = self.events
        if not isinstance(events, np.ndarray) or events.dtype != EVENT_DTYPE or events.ndim != 1:
            found = (
                f"{events.dtype}, shape {events.shape}" if isinstance(events, np.ndarray) else type(events)
            )
            raise ArgumentError(
                f"events must be a one-dimensional array of eventio.EVENT_DTYPE, got {found}; see make_events"
            )
        check_size(self.width, self.height)
        check_inside(events, width=self.width, height=self.height, source="events")
        if events.flags.writeable or not events.flags.c_contiguous:
            events = join_events([events])
            events.flags.writeable = False
            object.__setattr__(self, "events", events)

    def __len__(self) -> int:
        return len(self.events)

    @property
    def t(self) -> npt.NDArray[np.int64]:
        """Time of each event in microseconds: int64, shape (n_events,), a view."""
        return self.events["t"]

    @property
    def x(self) -> npt.NDArray[np.uint16]:
        """Column of each event from the left: uint16, shape (n_events,), a view."""
        return self.events["x"]

    @property
    def y(self) -> npt.NDArray[np.uint16]:
        """Row of each event from the top: uint16, shape (n_events,), a view."""
        return self.events["y"]

    @property
    def p(self) -> npt.NDArray[np.bool_]:
        """Polarity of each event, True is ON: bool, shape (n_events,), a view."""
        return self.events["p"]

    @property
    def frames(self) -> tuple[Frame, ...]:
        """Pictures taken beside the events."""
        return self.companions.frames

    @property
    def imu(self) -> StructuredArray:
        """Inertial measurements: of `IMU_DTYPE`, shape (n,)."""
        return self.companions.imu

    @property
    def triggers(self) -> StructuredArray:
        """Triggers: of `TRIGGER_DTYPE`, shape (n,)."""
        return self.companions.triggers

    @property
    def is_damaged(self) -> bool:
        """Whether the file was cut short or its time runs backwards."""
        return self.metadata.is_truncated or self.metadata.n_backward_steps > 0


def make_checked(
    events: EventArray, *, width: int, height: int, metadata: Metadata, companions: Companions
) -> Recording:
    """
    Make a recording of events that are known to lie inside the sensor, without looking again.

    Parameters
    ----------
    events : ndarray
        Of EVENT_DTYPE, shape (n_events,), contiguous, nobody else's; made read-only.
    width, height : int
        Size of the sensor in pixels.
    metadata : Metadata
        Where the events came from.
    companions : Companions
        What came along.

    Returns
    -------
    Recording
        With this very array.
    """
    nothing = Recording(np.empty(0, EVENT_DTYPE), width=width, height=height)
    events.flags.writeable = False
    object.__setattr__(nothing, "events", events)
    object.__setattr__(nothing, "metadata", metadata)
    object.__setattr__(nothing, "companions", companions)
    return nothing


def make_events(*, t: Any, x: Any, y: Any, p: Any) -> EventArray:
    """
    Make one event array of four columns.

    Parameters
    ----------
    t, x, y, p : array_like
        Times in microseconds, columns, rows and polarities, each of shape (n_events,).

    Returns
    -------
    ndarray
        Of EVENT_DTYPE, shape (n_events,).

    Raises
    ------
    ArgumentError
        The columns differ in length, or a value does not fit its field.

    Examples
    --------
    >>> make_events(t=[5], x=[1], y=[2], p=[1])["x"].tolist()
    [1]
    """
    columns = {"t": np.asarray(t), "x": np.asarray(x), "y": np.asarray(y), "p": np.asarray(p)}
    shapes = {name: column.shape for name, column in columns.items()}
    if len(set(shapes.values())) != 1 or columns["t"].ndim != 1:
        raise ArgumentError(f"t, x, y and p must have one shape (n_events,), got {shapes}")
    events = np.empty(len(columns["t"]), EVENT_DTYPE)
    for name, column in columns.items():
        with np.errstate(invalid="ignore"):  # NaN: refused in the next line
            events[name] = column
        if not np.array_equal(events[name], column):
            first = int(np.flatnonzero(events[name] != column)[0])
            raise ArgumentError(f"{name}[{first}] = {column[first]} does not fit {EVENT_DTYPE[name]}")
    return events


def join_events(arrays: Sequence[EventArray]) -> EventArray:
    """
    Copy event arrays into one.

    Parameters
    ----------
    arrays : sequence of ndarray
        Of EVENT_DTYPE, shape (n_events,) each.

    Returns
    -------
    ndarray
        A new array; copied as bytes, which is much faster than field by field.
    """
    if not arrays:
        return np.empty(0, EVENT_DTYPE)
    return np.concatenate([np.ascontiguousarray(array).view(np.uint8) for array in arrays]).view(EVENT_DTYPE)


def check_size(width: int, height: int) -> None:
    """
    Refuse a sensor size that no sensor has.

    Parameters
    ----------
    width, height : int
        Size of the sensor in pixels.

    Raises
    ------
    ArgumentError
        A side is not in 1..65536.
    """
    for name, side in (("width", width), ("height", height)):
        if not isinstance(side, int | np.integer) or not 1 <= side <= MAX_SENSOR_SIDE:
            raise ArgumentError(
                f"{name} must be a whole number of pixels in 1..{MAX_SENSOR_SIDE}, got {side!r}"
            )


def check_inside(events: EventArray, *, width: int, height: int, source: str, first_number: int = 0) -> None:
    """
    Refuse events outside the sensor, naming the first.

    Parameters
    ----------
    events : ndarray
        Of EVENT_DTYPE, shape (n_events,).
    width, height : int
        Size of the sensor in pixels.
    source : str
        What the message calls the origin of the events, such as the file's path.
    first_number : int
        Number of the first event of the array within its recording.

    Raises
    ------
    OutOfSensorError
        An event lies outside.
    """
    first = int(_kernels.find_outside(events, width, height))
    if first < 0:
        return
    event = events[first]
    raise OutOfSensorError(
        f"{source}: event {first_number + first} (counted from 0, t = {event['t']} us) lies at "
        f"x = {event['x']}, y = {event['y']}, outside the {width}x{height} sensor; "
        "give the true width and height, or remove the event"
    )


def seal(events: EventArray) -> EventArray:
    """
    Make an array read-only.

    Parameters
    ----------
    events : ndarray
        An array of eventio's own.

    Returns
    -------
    ndarray
        The same array, or its only copy when it is no contiguous one.
    """
    events = np.ascontiguousarray(events)
    events.flags.writeable = False
    return events
