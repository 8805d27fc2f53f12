"""Coefficients straight from a JPEG file: its entropy coding is undone, its cosine transform is not."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analog_bridge.errors import MediaError
from analog_bridge.images._kernels import BAD_CODE, DONE, OUT_OF_DATA, Codes, Layout, decode_segment
from analog_bridge.images.transforms import ZIGZAG

__all__ = ["JpegCoefficients", "read_jpeg_coefficients"]

_LARGEST_SIDE = 16384
_REASONS = {OUT_OF_DATA: "it ends too early", BAD_CODE: "a code is not in its table"}


@dataclass(frozen=True)
class JpegCoefficients:
    """What a JPEG file holds.

    Attributes
    ----------
    rows, columns : int
        Size of the picture in pixels.
    quantised : tuple of int32 array, shape (block rows, block columns, 8, 8)
        Coefficients of each component (brightness, then colour differences), in steps of its table.
    tables : tuple of int32 array, shape (8, 8)
        Step of each coefficient, by component.
    """

    rows: int
    columns: int
    quantised: tuple[NDArray[np.int32], ...]
    tables: tuple[NDArray[np.int32], ...]

    def coefficients(self, component: int = 0) -> NDArray[np.float64]:
        """Return a component's coefficients as `block_dct` gives them for pixels of -128..127.

        Parameters
        ----------
        component : int
            0: brightness.

        Returns
        -------
        float64 array, shape (block rows, block columns, 8, 8)
            Of the whole blocks that the picture needs; its last ones may reach past the edge.
        """
        return (self.quantised[component] * self.tables[component]).astype(np.float64)


@dataclass
class _Component:
    number: int
    across: int
    down: int
    table: int
    width: int = 0  # blocks stored in a row
    height: int = 0
    needed: tuple[int, int] = (0, 0)  # blocks that the picture needs
    start: int = 0
    codes: tuple[int, int] = (0, 0)


@dataclass
class _State:
    name: str
    n_bytes: int
    quantisation: dict[int, NDArray[np.int32]] = field(default_factory=dict)
    codes: Codes = field(
        default_factory=lambda: Codes(
            np.zeros((8, 17), np.int64),
            np.full((8, 17), -1, np.int64),
            np.zeros((8, 17), np.int64),
            np.zeros((8, 256), np.uint8),
        )
    )
    components: list[_Component] = field(default_factory=list)
    size: tuple[int, int] = (0, 0)
    interval: int = 0
    blocks: Any = None
    seen: set[int] = field(default_factory=set)

    def fail(self, problem: str) -> MediaError:
        return MediaError(f"{self.name}: {problem}")


def read_jpeg_coefficients(source: str | Path | bytes) -> JpegCoefficients:
    """Read the cosine coefficients of a JPEG file without decoding its pixels.

    Parameters
    ----------
    source : str, Path or bytes
        A file or its content: baseline or extended, 8 bits, Huffman coded. Thumbnails inside are not looked at.

    Returns
    -------
    JpegCoefficients
        Coefficients as they stand in the file.

    Raises
    ------
    MediaError
        The file is missing, damaged, cut off, progressive, or of another kind; nothing of a damaged file is returned.
    """
    name = "bytes" if isinstance(source, bytes) else str(source)
    try:
        data = source if isinstance(source, bytes) else Path(source).read_bytes()
    except OSError as err:
        raise MediaError(f"{name}: cannot be read: {err.strerror}") from err
    state = _State(name, len(data))
    if data[:2] != b"\xff\xd8":
        raise state.fail("this is not a JPEG file")
    place = 2
    while True:
        marker, body, place = _next_marker(state, data, place)
        if marker == 0xD9:
            break
        if marker == 0xDB:
            _read_quantisation(state, body)
        elif marker == 0xC4:
            _read_codes(state, body)
        elif marker in {0xC0, 0xC1}:
            _read_frame(state, body)
        elif marker == 0xDD:
            state.interval = int.from_bytes(_exactly(state, body, 2), "big")
        elif marker == 0xDA:
            place = _read_scan(state, body, data, place)
        elif 0xC2 <= marker <= 0xCF:
            raise state.fail("is progressive, lossless or arithmetic coded; save it as a baseline JPEG")
        if len(state.seen) == len(state.components) > 0:
            break
    return _result(state)


def _next_marker(state: _State, data: bytes, place: int) -> tuple[int, bytes, int]:
    """Return a marker, its segment and the place behind it."""
    while place + 1 < len(data) and data[place] == 0xFF and data[place + 1] == 0xFF:
        place += 1
    if place + 2 > len(data):
        raise state.fail("is cut off before its picture ends")
    if data[place] != 0xFF:
        raise state.fail(f"is damaged: no marker at byte {place}")
    marker = data[place + 1]
    if marker == 0xD9 or 0xD0 <= marker <= 0xD7 or marker == 0x01:
        return marker, b"", place + 2
    length = int.from_bytes(data[place + 2 : place + 4], "big")
    if length < 2 or place + 2 + length > len(data):
        raise state.fail(f"is cut off or damaged in the segment at byte {place}")
    return marker, data[place + 4 : place + 2 + length], place + 2 + length


def _exactly(state: _State, body: bytes, n: int) -> bytes:
    if len(body) < n:
        raise state.fail("is damaged: a segment is too short")
    return body[:n]


def _read_quantisation(state: _State, body: bytes) -> None:
    while body:
        precision, number = body[0] >> 4, body[0] & 15
        if precision > 1:
            raise state.fail("is damaged: a quantisation table has an unknown precision")
        size = 64 * (1 + precision)
        raw = np.frombuffer(_exactly(state, body[1:], size), dtype=">u2" if precision else np.uint8)
        if (raw == 0).any():
            raise state.fail("is damaged: a quantisation step is 0")
        table = np.zeros(64, np.int32)
        table[ZIGZAG] = raw
        state.quantisation[number] = table.reshape(8, 8)
        body = body[1 + size :]


def _read_codes(state: _State, body: bytes) -> None:
    while body:
        kind, number = body[0] >> 4, body[0] & 15
        counts = list(_exactly(state, body[1:], 16))
        n = sum(counts)
        if kind > 1 or number > 3 or n > 256:
            raise state.fail("is damaged: a table of codes is out of range")
        values = np.frombuffer(_exactly(state, body[17:], n), np.uint8)
        table, code, first = 4 * kind + number, 0, 0
        state.codes.values[table, :n] = values
        for length, count in enumerate(counts, 1):
            if code + count > 1 << length:
                raise state.fail("is damaged: a table has more codes than fit")
            state.codes.smallest[table, length] = code
            state.codes.first[table, length] = first
            state.codes.largest[table, length] = code + count - 1 if count else -1
            code, first = (code + count) << 1, first + count
        body = body[17 + n :]


def _read_frame(state: _State, body: bytes) -> None:
    head = _exactly(state, body, 6)
    rows, columns, n = int.from_bytes(head[1:3], "big"), int.from_bytes(head[3:5], "big"), head[5]
    if head[0] != 8:
        raise state.fail(f"has {head[0]} bits per pixel; 8 are read")
    if (
        state.components
        or not (1 <= rows <= _LARGEST_SIDE and 1 <= columns <= _LARGEST_SIDE)
        or n not in {1, 3, 4}
    ):
        raise state.fail(f"says {rows} x {columns} pixels and {n} components, which is not read")
    for i in range(n):
        number, sampling, table = _exactly(state, body[6 + 3 * i :], 3)
        across, down = sampling >> 4, sampling & 15
        if not (1 <= across <= 4 and 1 <= down <= 4):
            raise state.fail("is damaged: a component's sampling is out of range")
        state.components.append(_Component(number, across, down, table))
    state.size = (rows, columns)
    most_across = max(each.across for each in state.components)
    most_down = max(each.down for each in state.components)
    units = (-(-rows // (8 * most_down)), -(-columns // (8 * most_across)))
    start = 0
    for each in state.components:
        each.height, each.width = units[0] * each.down, units[1] * each.across
        needed = (-(-rows * each.down // most_down), -(-columns * each.across // most_across))
        each.needed = (-(-needed[0] // 8), -(-needed[1] // 8))
        each.start, start = start, start + each.height * each.width
    if start > 4 * state.n_bytes:  # a block takes two bits at least
        raise state.fail(
            f"is cut off or damaged: {state.n_bytes} bytes cannot hold {rows} x {columns} pixels"
        )
    state.blocks = np.zeros((start, 64), np.int32)


def _read_scan(state: _State, body: bytes, data: bytes, place: int) -> int:
    """Decode a scan and return the place of the marker behind it."""
    if state.blocks is None:
        raise state.fail("is damaged: a scan comes before its frame")
    n = _exactly(state, body, 1)[0]
    by_number = {each.number: i for i, each in enumerate(state.components)}
    chosen = []
    for i in range(n):
        number, tables = _exactly(state, body[1 + 2 * i :], 2)
        if number not in by_number or by_number[number] in state.seen or by_number[number] in chosen:
            raise state.fail("is damaged: a scan names a component twice or one that is not there")
        if tables >> 4 > 3 or tables & 15 > 3:
            raise state.fail("is damaged: a scan names a table that is not there")
        chosen.append(by_number[number])
        state.components[chosen[-1]].codes = (tables >> 4, 4 + (tables & 15))
    if not chosen:
        raise state.fail("is damaged: a scan without components")
    layout, n_units, per_row = _layout(state, chosen)
    segments, place = _segments(data, place)
    size = state.interval or n_units
    if len(segments) != -(-n_units // size):
        raise state.fail(
            f"is cut off or damaged: {len(segments)} intervals where {-(-n_units // size)} are needed"
        )
    for i, segment in enumerate(segments):
        first, stop = i * size, min((i + 1) * size, n_units)
        status, unit = decode_segment(
            segment, first, stop, per_row, state.codes, layout, ZIGZAG, state.blocks
        )
        if status != DONE:
            reason = _REASONS.get(status, "a coefficient lies outside its block")
            raise state.fail(f"is cut off or damaged in unit {unit} of {n_units}: {reason}")
    state.seen.update(chosen)
    return place


def _layout(state: _State, chosen: list[int]) -> tuple[Layout, int, int]:
    """Return where the blocks of a unit go, the number of units, and those in a row."""
    parts = [state.components[i] for i in chosen]
    is_single = len(parts) == 1
    component, row, column = [], [], []
    for i, each in enumerate(parts):
        for r in range(1 if is_single else each.down):
            for c in range(1 if is_single else each.across):
                component.append(i)
                row.append(r)
                column.append(c)
    first = parts[0]
    rows, per_row = first.needed if is_single else (first.height // first.down, first.width // first.across)
    ones = [1] * len(parts)
    layout = Layout(
        component=np.array(component, np.int64),
        row=np.array(row, np.int64),
        column=np.array(column, np.int64),
        across=np.array(ones if is_single else [each.across for each in parts], np.int64),
        down=np.array(ones if is_single else [each.down for each in parts], np.int64),
        width=np.array([each.width for each in parts], np.int64),
        start=np.array([each.start for each in parts], np.int64),
        table=np.array([each.codes for each in parts], np.int64),
    )
    return layout, rows * per_row, per_row


def _segments(data: bytes, place: int) -> tuple[list[NDArray[np.uint8]], int]:
    """Return the coded bytes of each restart interval, without stuffing, and the place of the next marker."""
    found, start = [], place
    for place, marker in _markers(data, place):  # noqa: B020, PLR1704
        found.append(np.frombuffer(data[start:place].replace(b"\xff\x00", b"\xff"), np.uint8))
        start = place + 2
        if not 0xD0 <= marker <= 0xD7:
            return found, place
    found.append(np.frombuffer(data[start:].replace(b"\xff\x00", b"\xff"), np.uint8))
    return found, len(data)


def _markers(data: bytes, place: int) -> Iterator[tuple[int, int]]:
    """Yield the place and kind of every marker in coded bytes."""
    while True:
        place = data.find(b"\xff", place)
        if place < 0 or place + 1 >= len(data):
            return
        if data[place + 1] not in {0x00, 0xFF}:
            yield place, data[place + 1]
        place += 2 if data[place + 1] == 0x00 else 1


def _result(state: _State) -> JpegCoefficients:
    if not state.components or len(state.seen) != len(state.components):
        raise state.fail("is cut off: not all of its picture is there")
    found, tables = [], []
    for each in state.components:
        if each.table not in state.quantisation:
            raise state.fail("is damaged: a quantisation table is missing")
        blocks = state.blocks[each.start : each.start + each.height * each.width]
        picture = blocks.reshape(each.height, each.width, 8, 8)[: each.needed[0], : each.needed[1]]
        found.append(np.ascontiguousarray(picture))
        tables.append(state.quantisation[each.table])
    return JpegCoefficients(*state.size, tuple(found), tuple(tables))
