"""A slow encoder of ECF, Prophesee's codec of events in HDF5, and a file with pieces in it."""

from __future__ import annotations

import itertools
from pathlib import Path

import h5py
import numpy as np

Row = tuple[int, int, int, int]
WAYS = ("all", "columns", "neighbours")
KIND = np.dtype([("x", "<u2"), ("y", "<u2"), ("p", "<i2"), ("t", "<i8")])


def encode(rows: list[Row], way: str) -> bytes:
    """Encode rows (t, x, y, p), times not falling, in one of three ways."""
    head = len(rows) << 2 | {"all": 2, "columns": 1, "neighbours": 0}[way]
    out = head.to_bytes(4, "little") + rows[0][0].to_bytes(8, "little", signed=True)
    now = rows[0][0]
    for t, group in itertools.groupby(rows, key=lambda row: row[0]):
        step, run = t - now, len(list(group))
        now = t
        if step >= 15:
            while step:
                out += bytes((0xF0 | step & 15,))
                step >>= 4
        out += bytes((step << 4 | min(run, 15),)) + (run.to_bytes(2, "little") if run >= 15 else b"")
    if way == "all":
        return out + pack([y << 12 | x << 1 | p for _, x, y, p in rows], 24)
    out += runs([y for _, _, y, _ in rows], 2, 5)
    if way == "columns":
        return out + pack([x << 1 | p for _, x, _, p in rows], 12)
    return out + neighbours([x for _, x, _, _ in rows]) + runs([p for *_, p in rows], 1, 7)


def runs(values: list[int], n_bytes: int, n_bits: int) -> bytes:
    out = b""
    full = (1 << n_bits) - 1
    for value, group in itertools.groupby(values):
        run = len(list(group))
        out += (value << n_bits | min(run, full)).to_bytes(n_bytes, "little")
        out += run.to_bytes(2, "little") if run >= full else b""
    return out


def neighbours(columns: list[int]) -> bytes:
    out, rest = b"", list(columns)
    while rest:
        x = rest.pop(0)
        word = x << 5
        for k in range(1, 6):
            if rest and rest[0] == x + k:
                rest.pop(0)
                word |= 1 << (5 - k)
        out += word.to_bytes(2, "little")
    return out


def pack(values: list[int], n_bits: int) -> bytes:
    out = b""
    for start in range(0, len(values), 4):
        a, b, c, d = [*values[start : start + 4], 0, 0, 0][:4]
        third = n_bits // 3
        low = (1 << third) - 1
        words = (
            a << third | b & low,
            b >> third << 2 * third | c & (1 << 2 * third) - 1,
            c >> 2 * third << n_bits | d,
        )
        out += b"".join(word.to_bytes(n_bits // 6, "little") for word in words)
    return out


def write_file(path: Path, events: np.ndarray, *, way: str = "all", n_rows: int = 64) -> Path:
    """Write a file as Metavision does, with pieces of so many rows, the last one filled up with zeros."""
    table = np.zeros(-(-len(events) // n_rows) * n_rows, KIND)
    for name in "txyp":
        table[name][: len(events)] = events[name]
    with h5py.File(path, "w") as file:
        file.attrs["geometry"] = "1280x720"
        plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        plist.set_chunk((n_rows,))
        plist.set_filter(0x8ECF, h5py.h5z.FLAG_OPTIONAL, ())
        group = file.create_group("CD")
        space = h5py.h5s.create_simple((len(events),))
        made = h5py.h5d.create(group.id, b"events", h5py.h5t.py_create(KIND), space, plist)
        for start in range(0, len(table), n_rows):
            part = table[start : start + n_rows]
            rows = [(int(t), int(x), int(y), int(p)) for x, y, p, t in part.tolist()]
            if start + n_rows > len(events):  # the filling repeats the last time, so that times do not fall
                last = int(events["t"][-1])
                rows = [
                    row if row[0] or start + k < len(events) else (last, 0, 0, 0)
                    for k, row in enumerate(rows)
                ]
            made.write_direct_chunk((start,), encode(rows, way))
    return path
