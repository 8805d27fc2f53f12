"""Slow readers of event formats, word by word in plain Python: what the kernels are compared with."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

Event = tuple[int, int, int, bool]


def decode_nmnist(data: bytes) -> list[Event]:
    """Events (t, x, y, p) of headerless 40-bit words; a rest of under five bytes is left."""
    events: list[Event] = []
    offset = 0
    for start in range(0, len(data) - 4, 5):
        x, y, a, b, c = data[start : start + 5]
        if y == 240:
            offset += 8192
        else:
            events.append((offset + (a % 128) * 65536 + b * 256 + c, x, y, a >= 128))
    return events


def decode_evt2(words: Sequence[int]) -> tuple[list[Event], Counter[str]]:
    """Events of EVT 2.0 words, and what was skipped."""
    events: list[Event] = []
    skipped: Counter[str] = Counter()
    high: int | None = None
    wraps = 0
    for word in words:
        kind = word // 2**28
        if kind in (0, 1):
            if high is None:
                skipped["waiting"] += 1
                continue
            t = wraps * 2**34 + high * 64 + word // 2**22 % 64
            events.append((t, word // 2**11 % 2**11, word % 2**11, kind == 1))
        elif kind == 8:
            new = word % 2**28
            if high is not None and high - new > 2**27:
                wraps += 1
            high = new
        else:
            skipped[f"{kind:x}"] += 1
    return events, skipped


def decode_evt3(words: Sequence[int]) -> tuple[list[Event], Counter[str]]:
    """Events of EVT 3.0 words, and what was skipped."""
    events: list[Event] = []
    skipped: Counter[str] = Counter()
    high: int | None = None
    row: int | None = None
    column: int | None = None
    low = wraps = 0
    polarity = False
    for word in words:
        kind, value = divmod(word, 4096)
        candidates: list[tuple[int | None, bool]] = []
        if kind == 0x0:
            row = value % 2048
        elif kind == 0x2:
            candidates = [(value % 2048, value >= 2048)]
        elif kind == 0x3:
            column, polarity = value % 2048, value >= 2048
        elif kind in (0x4, 0x5):
            width = 12 if kind == 0x4 else 8
            for bit in range(width):
                if value // 2**bit % 2:
                    candidates.append((None if column is None else column + bit, polarity))
            if column is not None:
                column = min(column + width, 0xFFF0)
        elif kind == 0x6:
            low = value
        elif kind == 0x8:
            if high is not None and high - value > 2048:
                wraps += 1
            if high != value:
                low = 0
            high = value
        else:
            skipped[f"{kind:x}"] += 1
        for x, p in candidates:
            if high is None:
                skipped["waiting"] += 1
            elif row is None:
                skipped["rowless"] += 1
            elif x is None:
                skipped["baseless"] += 1
            else:
                events.append((wraps * 2**24 + high * 4096 + low, x, row, p))
    return events, skipped


def decode_aedat2(
    data: bytes, width: int, height: int, *, is_davis: bool
) -> tuple[list[Event], Counter[str]]:
    """Events of AEDAT 2.0 data behind the header, and what was skipped; times fall only by wraps or by a little."""
    events: list[Event] = []
    skipped: Counter[str] = Counter()
    wraps, previous = 0, None
    for start in range(0, len(data) - 7, 8):
        address = int.from_bytes(data[start : start + 4], "big")
        time = int.from_bytes(data[start + 4 : start + 8], "big")
        if previous is not None and previous - time > 2**31:
            wraps += 1
        elif previous is not None and time - previous > 2**31 and wraps:
            wraps -= 1
        previous = time
        if is_davis:
            y, x, on = address // 2**22 % 2**9, address // 2**12 % 2**10, address // 2**11 % 2 == 1
            if address >= 2**31:
                skipped[("aps", "aps", "unknown", "imu")[address // 2**10 % 4]] += 1
                continue
            if address // 2**10 % 2:
                skipped["external"] += 1
                continue
        else:
            y, x, on = address // 2**8 % 2**7, address // 2 % 2**7, address % 2 == 0
            if address >= 2**15:
                skipped["external" if address < 2**16 else "unknown"] += 1
                continue
        x = width - 1 - x if x < width else x
        y = height - 1 - y if y < height else y
        events.append((wraps * 2**32 + time, x, y, on))
    return events, skipped


def decode_dat(data: bytes) -> list[Event]:
    """Events of .dat data behind the header and the two bytes of kind and size."""
    events: list[Event] = []
    wraps, previous = 0, None
    for start in range(0, len(data) - 7, 8):
        time = int.from_bytes(data[start : start + 4], "little")
        word = int.from_bytes(data[start + 4 : start + 8], "little")
        if previous is not None and previous - time > 2**31:
            wraps += 1
        elif previous is not None and time - previous > 2**31 and wraps:
            wraps -= 1
        previous = time
        events.append((wraps * 2**32 + time, word % 2**14, word // 2**14 % 2**14, word // 2**28 % 2 == 1))
    return events


def decode_es(data: bytes, height: int, *, is_atis: bool) -> tuple[list[Event], Counter[str], int]:
    """Events of Event Stream data behind the header, what was skipped, and the bytes of an unfinished event."""
    events: list[Event] = []
    skipped: Counter[str] = Counter()
    t = place = 0
    while place < len(data):
        first = data[place]
        if is_atis and first // 4 == 63:
            t += 63 * (first % 4)
            skipped["padding bytes"] += first % 4 == 0
            place += 1
        elif not is_atis and first >= 254:
            t += 127 if first == 255 else 0
            skipped["padding bytes"] += first == 254
            place += 1
        elif place + 5 > len(data):
            break
        else:
            x, y = (int.from_bytes(data[place + k : place + k + 2], "little") for k in (1, 3))
            y = height - 1 - y if y < height else y
            t += first // 4 if is_atis else first // 2
            if is_atis and first % 2:
                skipped["exposure events"] += 1
            else:
                events.append((t, x, y, first // 2 % 2 == 1 if is_atis else first % 2 == 1))
            place += 5
    return events, +skipped, len(data) - place
