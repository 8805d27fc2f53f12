"""Writing Event Stream files, of the kind that the recording asks for."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from eventio.companions import EXPOSURE_DTYPE, StructuredArray
from eventio.errors import FormatError
from eventio.formats.es import _kernels as kernels
from eventio.formats.es.codec import ATIS, COLOUR, DVS, GENERIC, START
from eventio.formats.es.streams import COLOUR_DTYPE, KINDS
from eventio.recording import EVENT_DTYPE, EventArray, Recording
from eventio.source import BLOCK_EVENTS

MAX_OVERFLOWS = 1 << 28
MAX_SIDE = 65535
MOST_OVERFLOW_US = {DVS: kernels.DVS_OVERFLOW_US, ATIS: kernels.ATIS_OVERFLOW_US}


def encode(recording: Recording) -> Iterator[bytes]:
    """
    Turn a recording into the bytes of a file.

    A recording with a stream of exposure events becomes the file of an ATIS, one without pixel events but colour or
    generic ones a file of those, any other that of a DVS.

    Parameters
    ----------
    recording : Recording
        Times from 0 on that never step back, up to about 9 hours; a sensor of at most 65535 by 65535 pixels.

    Yields
    ------
    bytes
        The file, piece by piece.

    Raises
    ------
    FormatError
        An event does not fit, or the recording holds kinds of events that no file can hold together.
    """
    kind = choose_kind(recording)
    if max(recording.width, recording.height) > MAX_SIDE:
        raise FormatError(
            f"a {recording.width}x{recording.height} sensor does not fit Event Stream ({MAX_SIDE}x{MAX_SIDE} at most)"
        )
    yield START + bytes((2, 0, 0, kind))
    if kind != GENERIC:
        yield recording.width.to_bytes(2, "little") + recording.height.to_bytes(2, "little")
    streams = recording.companions.streams
    if kind == GENERIC:
        yield from encode_generic(streams[KINDS[GENERIC]])
        return
    if kind == COLOUR:
        events = np.asarray(streams[KINDS[COLOUR]]).astype(COLOUR_DTYPE, copy=False)
        is_exposure = None
    elif kind == ATIS:
        events, is_exposure = merge_exposures(recording)
    else:
        events, is_exposure = recording.events, None
    check_times(events["t"], MOST_OVERFLOW_US.get(kind, kernels.OTHER_OVERFLOW_US))
    if kind != DVS:
        check_places(events, recording)
    yield from encode_blocks(events, is_exposure, kind, recording.height)


def choose_kind(recording: Recording) -> int:
    """
    Choose the kind of file a recording needs.

    Parameters
    ----------
    recording : Recording
        What is to be written.

    Returns
    -------
    int
        As the header says it.

    Raises
    ------
    FormatError
        No file can hold its kinds of events together.
    """
    kinds = [kind for kind, name in KINDS.items() if len(recording.companions.streams.get(name, ()))]
    if kinds == [ATIS]:
        return ATIS
    if kinds and (len(kinds) > 1 or len(recording)):
        names = ", ".join(KINDS[kind] for kind in kinds) + (" and pixel events" if len(recording) else "")
        raise FormatError(f"an Event Stream file cannot hold {names} together; write one file for each")
    return kinds[0] if kinds else DVS


def merge_exposures(recording: Recording) -> tuple[EventArray, npt.NDArray[np.bool_]]:
    """
    Put pixel events and exposure events of an ATIS in one order of time.

    Parameters
    ----------
    recording : Recording
        With a stream of exposure events.

    Returns
    -------
    tuple of (ndarray, ndarray)
        Events of EVENT_DTYPE, `p` of exposures being `is_second`; and which are exposures, bool.
    """
    exposures = recording.companions.streams[KINDS[ATIS]].astype(EXPOSURE_DTYPE, copy=False)
    both = np.concatenate([recording.events, exposures.view(EVENT_DTYPE)])
    is_exposure = np.arange(len(both)) >= len(recording)
    order = np.argsort(both["t"], kind="stable")
    is_in_order = np.all(np.diff(recording.t) >= 0) and np.all(np.diff(exposures["t"]) >= 0)
    return (both[order], is_exposure[order]) if is_in_order else (both, is_exposure)


def check_times(t: npt.NDArray[Any], overflow_us: int) -> None:
    """
    Refuse times that differences cannot say.

    Parameters
    ----------
    t : ndarray
        int64, shape (n,).
    overflow_us : int
        What one overflow byte adds.

    Raises
    ------
    FormatError
        A time is negative, too late, or steps back.
    """
    longest = MAX_OVERFLOWS * overflow_us
    is_bad = (t < 0) | (t > longest)
    is_bad[1:] |= np.diff(t) < 0
    if is_bad.any():
        first = int(np.flatnonzero(is_bad)[0])
        raise FormatError(
            f"event {first}: t = {t[first]} does not fit Event Stream (0..{longest} us, never stepping back); shift "
            "or sort the times"
        )


def check_places(events: StructuredArray, recording: Recording) -> None:
    """
    Refuse companions outside the sensor, which nobody has looked at.

    Parameters
    ----------
    events : ndarray
        With fields x and y.
    recording : Recording
        Whose sensor it is.

    Raises
    ------
    FormatError
        One lies outside.
    """
    is_bad = (events["x"] >= recording.width) | (events["y"] >= recording.height)
    if is_bad.any():
        first = int(np.flatnonzero(is_bad)[0])
        x, y = events["x"][first], events["y"][first]
        raise FormatError(
            f"event {first} in order of time lies at x = {x}, y = {y}, outside the {recording.width}x"
            f"{recording.height} sensor; remove it"
        )


def encode_blocks(
    events: StructuredArray, is_exposure: npt.NDArray[np.bool_] | None, kind: int, height: int
) -> Iterator[bytes]:
    """
    Write events block by block.

    Parameters
    ----------
    events : ndarray
        Of EVENT_DTYPE or COLOUR_DTYPE, checked.
    is_exposure : ndarray or None
        bool, shape (n,), of an ATIS.
    kind : int
        DVS, ATIS or COLOUR.
    height : int
        Rows of the sensor.

    Yields
    ------
    bytes
        The events, piece by piece.
    """
    overflow_us = MOST_OVERFLOW_US.get(kind, kernels.OTHER_OVERFLOW_US)
    previous_t = 0
    for start in range(0, len(events), BLOCK_EVENTS):
        block = events[start : start + BLOCK_EVENTS]
        last_t = int(block["t"][-1])
        room = 8 * len(block) + (last_t - previous_t) // overflow_us + 1
        data = np.empty(room, np.uint8)
        if is_exposure is not None:
            part = is_exposure[start : start + BLOCK_EVENTS]
            n_bytes = kernels.encode_atis(block, part, previous_t, height, data)
        elif kind == COLOUR:
            n_bytes = kernels.encode_colour(block, previous_t, height, data)
        else:
            n_bytes = kernels.encode(block, previous_t, height, data)
        previous_t = last_t
        yield data[:n_bytes].tobytes()


def encode_generic(events: StructuredArray) -> Iterator[bytes]:
    """
    Write generic events.

    Parameters
    ----------
    events : ndarray
        Fields `t`, `size` and `data`.

    Yields
    ------
    bytes
        The events, piece by piece.

    Raises
    ------
    FormatError
        A time or a size does not fit.
    """
    check_times(events["t"], kernels.OTHER_OVERFLOW_US)
    longest = min(events["data"].shape[1], (1 << 7 * kernels.MOST_SIZE_BYTES) - 1)
    if len(events) and int(events["size"].max()) > longest:
        raise FormatError(
            f"a generic event is said to have {events['size'].max()} bytes, of at most {longest}"
        )
    previous_t = 0
    for i in range(len(events)):
        t, size = int(events["t"][i]), int(events["size"][i])
        n_overflows, rest = divmod(t - previous_t, kernels.OTHER_OVERFLOW_US)
        previous_t = t
        head = bytearray(b"\xff" * n_overflows + bytes((rest,)))
        left = size
        while True:
            low, left = left & 0x7F, left >> 7
            head.append(low << 1 | (left > 0))
            if not left:
                break
        yield bytes(head) + events["data"][i, :size].tobytes()
