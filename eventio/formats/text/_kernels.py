"""Kernels of text: lines of numbers to events and back, exact in whole microseconds."""

from typing import Any

import numba
import numpy as np
import numpy.typing as npt

from eventio._kernels import UNCOUNTED

GOOD, NO_NUMBER, WRONG_COUNT, BAD_TIME, BAD_PIXEL, BAD_POLARITY = 0, 1, 2, 3, 4, 5
IGNORED, TIME, COLUMN, ROW, POLARITY = 0, 1, 2, 3, 4
N_ROLES = 5
MOST_DIGITS = 18
MOST_EVENT_BYTES = 48
TAB, NEWLINE, RETURN, BLANK, HASH, PERCENT = 9, 10, 13, 32, 35, 37
COMMA, MINUS, POINT, ZERO, SEMICOLON = 44, 45, 46, 48, 59
POWERS = np.array([10**k for k in range(19)], np.int64)


@numba.njit(cache=True, **UNCOUNTED)
def skip_blanks(data: npt.NDArray[np.uint8], i: int) -> int:
    """Return the first place from i on that is no blank, tab or carriage return."""
    while data[i] == BLANK or data[i] == TAB or data[i] == RETURN:
        i += 1
    return i


@numba.njit(cache=True, **UNCOUNTED)
def parse_number(data: npt.NDArray[np.uint8], i: int) -> tuple[int, int, int]:
    """Read a decimal number; return its digits as a whole number, the power of ten, and the place behind (-1: none)."""
    sign: int = 1
    mantissa: Any = np.int64(0)
    places, n_digits, n_seen = 0, 0, 0
    if data[i] == MINUS or data[i] == MINUS - 2:
        sign = -1 if data[i] == MINUS else 1
        i += 1
    is_behind_point = False
    while True:
        c = np.int64(data[i])
        if ZERO <= c < ZERO + 10:
            n_seen += 1
            if n_digits < MOST_DIGITS:
                mantissa = mantissa * 10 + (c - ZERO)
                n_digits += 1 if mantissa else 0
                places -= 1 if is_behind_point else 0
            else:
                places += 0 if is_behind_point else 1
        elif c == POINT and not is_behind_point:
            is_behind_point = True
        else:
            break
        i += 1
    if n_seen == 0:
        return 0, 0, -1
    if data[i] | 32 == 101:
        i += 1
        is_small = data[i] == MINUS
        if is_small or data[i] == MINUS - 2:
            i += 1
        if not ZERO <= data[i] < ZERO + 10:
            return 0, 0, -1
        power = 0
        while ZERO <= data[i] < ZERO + 10:
            power = min(power * 10 + int(data[i]) - ZERO, 1000)
            i += 1
        places += -power if is_small else power
    return sign * mantissa, places, i


@numba.njit(cache=True, **UNCOUNTED)
def parse_word(data: npt.NDArray[np.uint8], i: int) -> tuple[int, int, int]:
    """Read true, false, on or off in any case, as `parse_number` reads 1 and 0."""
    stop = i
    while 97 <= data[stop] | 32 <= 122:
        stop += 1
    first, length = data[i] | 32, stop - i
    if (first == 116 and length == 4) or (first == 111 and length == 2):
        return 1, 0, stop
    if (first == 102 and length == 5) or (first == 111 and length == 3):
        return 0, 0, stop
    return 0, 0, -1


@numba.njit(cache=True, **UNCOUNTED)
def scale(mantissa: int, places: int) -> tuple[int, bool]:
    """Return mantissa * 10**places, rounded to the nearest (halves up), and whether it fits 62 bits."""
    limit = np.int64(1) << 62
    if mantissa == 0 or places < -MOST_DIGITS:
        return 0, True
    if places <= 0:
        power = POWERS[-places]
        return (mantissa + power // 2) // power if power > 1 else mantissa, True
    if places > MOST_DIGITS or abs(mantissa) > limit // POWERS[places]:
        return 0, False
    return mantissa * POWERS[places], True


@numba.njit(cache=True, **UNCOUNTED)
def is_whole(mantissa: int, places: int) -> bool:
    """Return whether mantissa * 10**places is a whole number."""
    if places >= 0 or mantissa == 0:
        return True
    return places >= -MOST_DIGITS and mantissa % POWERS[-places] == 0


@numba.njit(cache=True, **UNCOUNTED)
def convert(role: int, mantissa: int, places: int, time_places: int) -> tuple[int, int]:
    """Return the whole number that a field of an event gets, and GOOD or what is wrong."""
    if role == TIME:
        value, is_fit = scale(mantissa, places + time_places)
        return value, GOOD if is_fit else BAD_TIME
    value, is_fit = scale(mantissa, places)
    is_fit = is_fit and is_whole(mantissa, places)
    if role == POLARITY:
        return value, GOOD if is_fit and -1 <= value <= 1 else BAD_POLARITY
    return value, GOOD if is_fit and 0 <= value <= 65535 else BAD_PIXEL


@numba.njit(cache=True, **UNCOUNTED)
def parse_field(data: npt.NDArray[np.uint8], i: int, role: int, time_places: int) -> tuple[int, int, int]:
    """Read one field; return the number for the event, the place behind the field, and GOOD or what is wrong."""
    value: Any = np.int64(0)
    stop = i
    while ZERO <= data[stop] < ZERO + 10:
        value = value * 10 + (np.int64(data[stop]) - ZERO)
        stop += 1
    c = data[stop]
    is_plain = c != POINT and c | 32 != 101 and 0 < stop - i <= MOST_DIGITS
    if is_plain and role >= COLUMN and value <= 65535 and (role != POLARITY or value <= 1):
        return value, stop, GOOD
    if is_plain and role == TIME and time_places == 0:
        return value, stop, GOOD
    mantissa, places, stop = parse_number(data, i)
    if stop < 0 and role == POLARITY:
        mantissa, places, stop = parse_word(data, i)
    if stop < 0:
        return 0, i, NO_NUMBER
    if role == IGNORED:
        return 0, stop, GOOD
    value, status = convert(role, mantissa, places, time_places)
    return value, stop, status


@numba.njit(cache=True, **UNCOUNTED)
def parse_line(
    data: npt.NDArray[np.uint8],
    i: int,
    roles: npt.NDArray[np.int64],
    time_places: int,
    values: npt.NDArray[np.int64],
) -> tuple[int, int]:
    """Read the values of one line, by role; return the place of its newline and GOOD or what is wrong."""
    for column in range(roles.shape[0]):
        if data[i] == NEWLINE:
            return i, WRONG_COUNT
        value, stop, status = parse_field(data, i, roles[column], time_places)
        if status != GOOD:
            return i, status
        values[roles[column]] = value
        i = skip_blanks(data, stop)
        if data[i] == COMMA or data[i] == SEMICOLON:
            i = skip_blanks(data, i + 1)
        elif i == stop and data[i] != NEWLINE:
            return i, NO_NUMBER
    return i, GOOD if data[i] == NEWLINE else WRONG_COUNT


@numba.njit(cache=True, **UNCOUNTED)
def parse(
    data: npt.NDArray[np.uint8],
    roles: npt.NDArray[np.int64],
    time_places: int,
    counts: npt.NDArray[np.int64],
    values: npt.NDArray[np.int64],
    events: Any,
) -> tuple[int, int, int]:
    """Read lines until data or room end; return the place of the next line, the number of events, and the status.

    The data end with a newline. `counts` are lines and comments so far; `values` is room for one number of each role.
    """
    i, n = 0, 0
    while i < data.shape[0] and n < events.shape[0]:
        start = i
        i = skip_blanks(data, i)
        if data[i] == HASH or data[i] == PERCENT:
            counts[1] += 1
            while data[i] != NEWLINE:
                i += 1
        elif data[i] != NEWLINE:
            i, status = parse_line(data, i, roles, time_places, values)
            if status != GOOD:
                return start, n, status
            event = events[n]
            event.t = values[TIME]
            event.x = values[COLUMN]
            event.y = values[ROW]
            event.p = values[POLARITY] == 1
            n += 1
        counts[0] += 1
        i += 1
    return i, n, GOOD


@numba.njit(cache=True, **UNCOUNTED)
def write_number(value: int, n_least: int, out: npt.NDArray[np.uint8], n: int) -> int:
    """Write the digits of a number that is not negative, at least so many; return the place behind."""
    n_digits = 1
    while n_digits < 19 and POWERS[n_digits] <= value:
        n_digits += 1
    n_digits = max(n_digits, n_least)
    for k in range(n + n_digits - 1, n - 1, -1):
        out[k] = ZERO + value % 10
        value //= 10
    return n + n_digits


@numba.njit(cache=True, **UNCOUNTED)
def encode(events: Any, separator: int, is_seconds: bool, out: npt.NDArray[np.uint8]) -> int:
    """Write a line t, x, y, p for each event; return the number of bytes."""
    n = 0
    for i in range(events.shape[0]):
        event = events[i]
        t = np.int64(event.t)
        if t < 0:
            out[n] = MINUS
            n, t = n + 1, -t
        if is_seconds:
            n = write_number(t // 1_000_000, 1, out, n)
            out[n] = POINT
            n = write_number(t % 1_000_000, 6, out, n + 1)
        else:
            n = write_number(t, 1, out, n)
        out[n] = separator
        n = write_number(np.int64(event.x), 1, out, n + 1)
        out[n] = separator
        n = write_number(np.int64(event.y), 1, out, n + 1)
        out[n] = separator
        out[n + 1] = ZERO + np.int64(event.p)
        out[n + 2] = NEWLINE
        n += 3
    return n
