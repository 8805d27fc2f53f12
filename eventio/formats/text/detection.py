"""What the first lines of a text file say about its columns."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np

from eventio.columns import Layout, Wish, guess_layout, order_of_names
from eventio.errors import FormatError

SAMPLE_BYTES = 1 << 16
COMMENTS = ("#", "%")
OWN_LINE = re.compile(r"columns: ([\w\[\], ]+); sensor: (\d{1,5})x(\d{1,5})")
GEOMETRY = re.compile(r"geometry:? *(\d{1,5})[x,](\d{1,5})")
SIZE = re.compile(r"(\d{1,5})[\s,;]+(\d{1,5})")
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
WORDS = {"true": "1", "false": "0", "on": "1", "off": "0"}


@dataclass(frozen=True, slots=True)
class Opening:
    """
    The start of a text file.

    Attributes
    ----------
    start : int
        Byte at which the lines of events begin.
    n_lines : int
        Lines before.
    names : tuple of str
        What the columns are called; empty where the file does not say.
    size : tuple of (int, int) or None
        Width and height of the sensor.
    rows : tuple of tuple of str
        The first lines of events, as fields.
    separator : str
        "," or ";" or " ".
    """

    start: int
    n_lines: int
    names: tuple[str, ...]
    size: tuple[int, int] | None
    rows: tuple[tuple[str, ...], ...]
    separator: str


def split(line: str) -> tuple[str, ...]:
    """
    Cut a line into its fields.

    Parameters
    ----------
    line : str
        Fields between commas, semicolons or blanks.

    Returns
    -------
    tuple of str
        The fields.
    """
    line = line.strip()
    fields = re.split(r"\s*[,;]\s*", line) if re.search(r"[,;]", line) else re.split(r"\s+", line)
    return tuple(fields[:-1] if len(fields) > 1 and not fields[-1] else fields)


def is_numbers(fields: tuple[str, ...]) -> bool:
    """
    Say whether all fields are numbers or words for a polarity.

    Parameters
    ----------
    fields : tuple of str
        Of a line.

    Returns
    -------
    bool
        They are.
    """
    return all(NUMBER.fullmatch(WORDS.get(field.lower(), field)) for field in fields)


def read_opening(head: bytes) -> Opening | None:
    """
    Look at the first lines of a file.

    Parameters
    ----------
    head : bytes
        The first bytes, or all of the file.

    Returns
    -------
    Opening or None
        None when this is no text of numbers.
    """
    if b"\0" in head:
        return None
    names: tuple[str, ...] = ()
    size = None
    rows: list[tuple[str, ...]] = []
    position = start = n_lines = n_headers = 0
    separator = " "
    for number, raw in enumerate(head.split(b"\n")):
        line = raw.decode("latin-1").removeprefix("\xef\xbb\xbf").strip()
        fields = split(line)
        if line.startswith(COMMENTS):
            names, size = read_comment(line, names, size)
        elif line and not is_numbers(fields):
            n_headers += 1
            if rows or n_headers > 1:
                break
            names = fields
        elif line and not rows and size is None and not names and SIZE.fullmatch(line):
            size = (int(fields[0]), int(fields[1]))
        elif line:
            if not rows:
                start, n_lines = position, number
                separator = next((mark for mark in ",;" if mark in line), " ")
            rows.append(fields)
        position += len(raw) + 1
    if len(rows) > 1 and not head.endswith(b"\n"):
        rows.pop()
    if not rows:
        return None
    return Opening(start, n_lines, names, size, tuple(rows), separator)


def read_comment(
    line: str, names: tuple[str, ...], size: tuple[int, int] | None
) -> tuple[tuple[str, ...], tuple[int, int] | None]:
    """
    Look for what a comment says of columns and sensor.

    Parameters
    ----------
    line : str
        The comment.
    names : tuple of str
        Names known so far.
    size : tuple of (int, int) or None
        Size known so far.

    Returns
    -------
    tuple of (tuple of str, tuple of (int, int) or None)
        The same, or what this line says.
    """
    if found := OWN_LINE.search(line):
        return split(found[1]), (int(found[2]), int(found[3]))
    if found := GEOMETRY.search(line):
        return names, (int(found[1]), int(found[2]))
    fields = split(line.lstrip("#% "))
    return (fields if order_of_names(fields)[0] else names), size


def find_layout(opening: Opening, wish: Wish) -> Layout:
    """
    Find out what the columns hold.

    Parameters
    ----------
    opening : Opening
        The start of the file.
    wish : Wish
        What the caller says.

    Returns
    -------
    Layout
        Order, unit and reasons.

    Raises
    ------
    FormatError
        They are ambiguous, or the lines have different numbers of fields.
    """
    n_columns = len(opening.rows[0])
    rows = [row for row in opening.rows if len(row) == n_columns]
    sample = np.array([[float(WORDS.get(field.lower(), field)) for field in row] for row in rows])
    if not np.isfinite(sample).all():
        raise FormatError("its first lines hold numbers beyond the range of a float")
    order, unit = order_of_names(opening.names)
    return guess_layout(sample, wish=wish, order=order, unit=unit)
