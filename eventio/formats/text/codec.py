"""
Events as text: a line for each, its fields between commas, semicolons or blanks; `#` and `%` begin comments.

The order of the columns and the unit of the times come from the caller, else from the names in the header, else
from the numbers; where more than one reading fits, the file is refused with the choices. Decimal times are turned
into whole microseconds from their digits, not by way of floats; halves are rounded up. Polarities are 1 for ON and
0 or -1 for OFF, or true, false, on, off.

Known headers: a comment as written here, `%geometry:WIDTH,HEIGHT`, a line of two numbers (width and height), a
line of names such as `t,x,y,p`.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from eventio.columns import NO_WISH, ROLES, UNITS, USUAL_SIZES, Wish, order_of_names
from eventio.errors import FormatError
from eventio.formats.text import _kernels as kernels
from eventio.formats.text.detection import COMMENTS, SAMPLE_BYTES, find_layout, read_opening, split
from eventio.recording import EVENT_DTYPE, MAX_SENSOR_SIDE, EventArray, Recording
from eventio.source import BLOCK_EVENTS, Findings

CSV = "csv"
TXT = "txt"
PIECE_BYTES = 1 << 21
MOST_SHOWN = 60
PROBLEMS = {
    kernels.NO_NUMBER: "holds something that is no number",
    kernels.WRONG_COUNT: "has another number of fields than the first",
    kernels.BAD_TIME: "has a time beyond 62 bits of microseconds",
    kernels.BAD_PIXEL: "has a coordinate that is no whole number in 0..65535",
    kernels.BAD_POLARITY: "has a polarity that is none of -1, 0 and 1",
}


class TextSource:
    """
    Reader of one text file.

    Parameters
    ----------
    path : Path
        The file.
    wish : Wish
        What the caller says about the columns.

    Raises
    ------
    FormatError
        It holds no lines of numbers, or the meaning of its columns is ambiguous.
    """

    def __init__(self, path: Path, wish: Wish = NO_WISH) -> None:
        self.path = path
        self.usual_sizes = USUAL_SIZES
        self.findings = Findings()
        with path.open("rb") as file:
            head = file.read(SAMPLE_BYTES)
        opening = read_opening(head)
        if opening is None:
            raise FormatError(f"{path}: holds no line of numbers in its first {len(head)} bytes")
        self._opening = opening
        try:
            self._layout = find_layout(opening, wish)
        except FormatError as error:
            raise FormatError(f"{path}: {error}") from error
        self.width: int | None = None
        self.height: int | None = None
        if opening.size is not None and all(1 <= side <= MAX_SENSOR_SIDE for side in opening.size):
            self.width, self.height = opening.size

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
            The first line is no event.
        """
        self.findings = Findings(conversions=self._layout.reasons)
        roles = np.array([1 + ROLES.find(name) for name in self._layout.order], np.int64)
        places = UNITS[self._layout.unit]
        counts = np.array([self._opening.n_lines, 0], np.int64)
        values = np.zeros(kernels.N_ROLES, np.int64)
        room = np.empty(BLOCK_EVENTS, EVENT_DTYPE)
        position = self._opening.start
        is_empty = True
        for piece in self._pieces():
            data = np.frombuffer(piece, np.uint8)
            while len(data):
                used, n_events, status = kernels.parse(data, roles, places, counts, values, room)
                if n_events:
                    is_empty = False
                    yield room[:n_events]
                position += used
                data = data[used:]
                if status != kernels.GOOD:
                    self._note_problem(data.tobytes(), status, int(counts[0]) + 1, position)
                    if is_empty:
                        raise FormatError(f"{self.path}: {self.findings.truncation}")
                    return
        self.findings.add_skipped("comments", int(counts[1]))

    def _pieces(self) -> Iterator[bytes]:
        """Yield whole lines; the last gets a newline where it lacks one."""
        rest = b""
        with self.path.open("rb") as file:
            file.seek(self._opening.start)
            while data := file.read(PIECE_BYTES):
                cut = data.rfind(b"\n") + 1
                if cut:
                    yield rest + data[:cut]
                    rest = data[cut:]
                else:
                    rest += data
                if len(rest) > PIECE_BYTES:
                    break
        if rest:
            yield rest + b"\n"

    def _note_problem(self, data: bytes, status: int, line: int, position: int) -> None:
        text = data.split(b"\n", 1)[0][: MOST_SHOWN + 1].decode("latin-1").strip()
        shown = text if len(text) <= MOST_SHOWN else text[:MOST_SHOWN] + "..."
        self.findings.truncation = f"line {line}, at byte {position}, {PROBLEMS[status]}: {shown!r}"


def matches_csv(head: bytes) -> bool:
    """
    Say whether a file starts like lines of events with commas or semicolons.

    Parameters
    ----------
    head : bytes
        The first bytes of the file.

    Returns
    -------
    bool
        It does.
    """
    return find_separator(head) in (",", ";")


def matches_txt(head: bytes) -> bool:
    """
    Say whether a file starts like lines of events with blanks.

    Parameters
    ----------
    head : bytes
        The first bytes of the file.

    Returns
    -------
    bool
        It does.
    """
    return find_separator(head) == " "


def find_separator(head: bytes) -> str | None:
    """
    Find what stands between the fields of a file of events.

    Parameters
    ----------
    head : bytes
        The first bytes of the file.

    Returns
    -------
    str or None
        None when this is no text with four numbers a line.
    """
    opening = read_opening(head)
    if opening is None or len(opening.rows[0]) < 4:
        return None
    return opening.separator


def is_header(head: bytes) -> bool:
    """
    Say whether bytes are comments, or the names of the columns of events, and nothing else.

    Parameters
    ----------
    head : bytes
        The first bytes of a file.

    Returns
    -------
    bool
        They are.
    """
    lines = [line.strip() for line in head.decode("latin-1").removeprefix("\xef\xbb\xbf").splitlines()]
    lines = [line for line in lines if line and not line.startswith(COMMENTS)]
    if not lines:
        return head.lstrip().startswith(tuple(mark.encode() for mark in COMMENTS))
    return len(lines) == 1 and order_of_names(split(lines[0]))[0] is not None


def encode_csv(recording: Recording) -> Iterator[bytes]:
    """
    Turn a recording into the bytes of a file with commas and whole microseconds.

    Parameters
    ----------
    recording : Recording
        Any.

    Yields
    ------
    bytes
        The file, piece by piece.
    """
    return encode(recording, separator=",", unit="us")


def encode_txt(recording: Recording) -> Iterator[bytes]:
    """
    Turn a recording into the bytes of a file with blanks and seconds of six places.

    Parameters
    ----------
    recording : Recording
        Any.

    Yields
    ------
    bytes
        The file, piece by piece.
    """
    return encode(recording, separator=" ", unit="s")


def encode(recording: Recording, *, separator: str, unit: str) -> Iterator[bytes]:
    """
    Turn a recording into the bytes of a file.

    Parameters
    ----------
    recording : Recording
        Any.
    separator : str
        What stands between fields.
    unit : str
        "s" or "us".

    Yields
    ------
    bytes
        The file, piece by piece.
    """
    yield f"# columns: t[{unit}],x,y,p; sensor: {recording.width}x{recording.height}\n".encode()
    events = recording.events
    out = np.empty(BLOCK_EVENTS * kernels.MOST_EVENT_BYTES, np.uint8)
    for start in range(0, len(events), BLOCK_EVENTS):
        n_bytes = kernels.encode(events[start : start + BLOCK_EVENTS], ord(separator), unit == "s", out)
        yield out[:n_bytes].tobytes()
