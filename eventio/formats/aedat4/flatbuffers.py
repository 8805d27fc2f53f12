"""
The few parts of FlatBuffers that AEDAT 4 uses: tables of numbers, structs, strings and vectors, read with every
offset checked, and written from the front.

Source: the public description of the FlatBuffers binary format.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any

Field = tuple[str, Any] | None
"""A field of a table to be: codes of `struct` without an order of bytes, and the value or values; None: left out."""


class LayoutError(ValueError):
    """An offset or a length leads out of the buffer."""


class Table:
    """
    One table in a buffer.

    Parameters
    ----------
    data : bytes or memoryview
        The whole buffer.
    position : int
        Byte at which the table begins.

    Raises
    ------
    LayoutError
        The table or its list of fields lies outside the buffer.
    """

    __slots__ = ("_data", "_fields", "_position")

    def __init__(self, data: bytes | memoryview, position: int) -> None:
        self._data = data
        self._position = position
        fields_at = position - read_number(data, position, "<i")
        n_bytes = read_number(data, fields_at, "<H")
        if n_bytes < 4 or n_bytes % 2 or fields_at + n_bytes > len(data):
            raise LayoutError(f"the list of fields at byte {fields_at} leads out of the packet")
        self._fields: tuple[int, ...] = struct.unpack_from(f"<{n_bytes // 2 - 2}H", data, fields_at + 4)

    def _locate(self, field: int) -> int | None:
        if field >= len(self._fields) or not self._fields[field]:
            return None
        return self._position + self._fields[field]

    def number(self, field: int, code: str, default: float = 0) -> float:
        """
        Read a number.

        Parameters
        ----------
        field : int
            Its place in the table's definition.
        code : str
            As `struct` names its kind, such as "<q".
        default : float
            What an absent field means.

        Returns
        -------
        float
            The number; an int where the code is of one.
        """
        at = self._locate(field)
        return default if at is None else read_number(self._data, at, code)

    def vector(self, field: int, item_bytes: int) -> tuple[int, int]:
        """
        Find a vector.

        Parameters
        ----------
        field : int
            Its place in the table's definition.
        item_bytes : int
            Size of an item.

        Returns
        -------
        tuple of (int, int)
            The byte at which its items begin, and their number; 0 and 0 where there is none.

        Raises
        ------
        LayoutError
            The items do not lie in the buffer.
        """
        at = self._locate(field)
        if at is None:
            return 0, 0
        at += read_number(self._data, at, "<I")
        n = read_number(self._data, at, "<I")
        if at + 4 + n * item_bytes > len(self._data):
            raise LayoutError(
                f"a list of {n} items of {item_bytes} bytes at byte {at} leads out of the packet"
            )
        return at + 4, n

    def tables(self, field: int) -> list[Table]:
        """
        Read a vector of tables.

        Parameters
        ----------
        field : int
            Its place in the table's definition.

        Returns
        -------
        list of Table
            All of them.

        Raises
        ------
        LayoutError
            There cannot be as many, or one lies outside.
        """
        start, n = self.vector(field, 4)
        places = (start + 4 * i for i in range(n))
        return [Table(self._data, at + read_number(self._data, at, "<I")) for at in places]


def read_number(data: bytes | memoryview, at: int, code: str) -> int:
    """
    Read a number within a buffer.

    Parameters
    ----------
    data : bytes or memoryview
        The buffer.
    at : int
        Byte at which it begins.
    code : str
        As `struct` names its kind.

    Returns
    -------
    int
        The number (a float where the code is of one).

    Raises
    ------
    LayoutError
        It lies outside.
    """
    if at < 0 or at + struct.calcsize(code) > len(data):
        raise LayoutError(f"an offset leads to byte {at} of {len(data)}")
    number: int = struct.unpack_from(code, data, at)[0]
    return number


def read_root(data: bytes | memoryview, identifier: bytes) -> Table:
    """
    Read the root table of a buffer that begins with its size.

    Parameters
    ----------
    data : bytes or memoryview
        The buffer.
    identifier : bytes
        Four bytes that say what it is.

    Returns
    -------
    Table
        The root.

    Raises
    ------
    LayoutError
        It says to be something else, or to be longer than it is.
    """
    n_bytes = read_number(data, 0, "<I")
    if n_bytes + 4 > len(data):
        raise LayoutError(f"it says to have {n_bytes} bytes, and {len(data) - 4} are there")
    if bytes(data[8:12]) != identifier:
        raise LayoutError(f"it is marked {bytes(data[8:12])!r} instead of {identifier!r}")
    return Table(data, 4 + read_number(data, 4, "<I"))


def pack_table(fields: Sequence[Field]) -> tuple[bytes, bytes]:
    """
    Make a table of numbers.

    Parameters
    ----------
    fields : sequence of Field
        One for each field of the definition.

    Returns
    -------
    tuple of (bytes, bytes)
        The list of fields, of 4 n bytes, and the table, whose 8-byte numbers are aligned where it begins 4 bytes
        behind a multiple of 8.
    """
    present = [(i, *field) for i, field in enumerate(fields) if field is not None]
    present.sort(key=lambda each: -struct.calcsize("<" + each[1]))
    places = [0] * len(fields)
    body = b""
    for i, code, value in present:
        places[i] = 4 + len(body)
        body += struct.pack("<" + code, *(value if isinstance(value, tuple) else (value,)))
    body += bytes(-len(body) % 4)
    listed = struct.pack(f"<{len(fields) + 2}H", 4 + 2 * len(fields), 4 + len(body), *places)
    listed = bytes(-len(listed) % 4) + listed
    return listed, struct.pack("<i", 4 + 2 * len(fields)) + body


def pack_root(identifier: bytes, fields: Sequence[Field], tail: Sequence[bytes]) -> bytes:
    """
    Make a buffer with one table, the last fields of which lead to what follows it.

    Parameters
    ----------
    identifier : bytes
        Four bytes that say what it is.
    fields : sequence of Field
        As for `pack_table`; "I" with value k leads to tail[k].
    tail : sequence of bytes
        Strings and vectors, each with its length in front; placed so that what follows the length lies at a multiple
        of 8.

    Returns
    -------
    bytes
        The buffer, its size in front.
    """
    listed, table = pack_table(fields)
    start = 12 + len(listed)
    padding = -(start + 4) % 8
    start += padding
    data = bytearray(12 + padding) + listed + table
    pointers = [i for i, field in enumerate(fields) if field is not None and field[0] == "I"]
    places = struct.unpack_from(f"<{len(fields)}H", listed, len(listed) - 2 * len(fields))
    for i in pointers:
        data += bytes(-(len(data) + 4) % 8)
        field = fields[i]
        assert field is not None
        at = start + places[i]
        struct.pack_into("<I", data, at, len(data) - at)
        data += tail[int(field[1])]
    data += bytes(-len(data) % 8)
    struct.pack_into("<II4s", data, 0, len(data) - 4, start - 4, identifier)
    return bytes(data)


def pack_tables(tables: Sequence[Sequence[Field]]) -> bytes:
    """
    Make a vector of tables.

    Parameters
    ----------
    tables : sequence of sequence of Field
        Each as for `pack_table`.

    Returns
    -------
    bytes
        Length, offsets and tables; right where it begins 4 bytes before a multiple of 8.
    """
    data = bytearray(struct.pack("<I", len(tables)) + bytes(4 * len(tables)))
    for i, fields in enumerate(tables):
        listed, table = pack_table(fields)
        data += bytes(-(len(data) + len(listed)) % 8) + listed
        at = 4 + 4 * i
        struct.pack_into("<I", data, at, len(data) - at)
        data += table
    return bytes(data)
