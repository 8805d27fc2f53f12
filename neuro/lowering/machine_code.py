"""Machine code as bytes that work at any address: made from an object file once, run by every process after that.

Kernels are compiled for any distance between code and data, so that an object file holds addresses in one way only:
as whole 64-bit numbers. `image_of` puts its sections side by side and lists where such numbers stand. What else an
object file may hold (another machine's format, data that changes, another kind of reference) has no image.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import struct
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

__all__ = ["Image", "image_of", "is_supported", "load"]

_HEADER, _SECTION, _SYMBOL, _REFERENCE = "<16sHHIQQQIHHHHHH", "<IIQQQQIIQQ", "<IBBHQQ", "<QQq"
_X86_64, _WHOLE_ADDRESS = 62, 1
_SYMBOLS, _REFERENCES, _UNWINDING = 2, 4, 0x70000001  # kinds of sections; kernels throw nothing to unwind for
_CHANGES, _IS_LOADED = 1, 2  # their flags
_READ_AND_RUN = 5


@dataclass(frozen=True)
class Image:
    """A function with what it needs.

    Attributes
    ----------
    content : bytes
        Code and constants; the addresses in it count from its first byte.
    addresses : sequence of int
        Where addresses stand in it.
    needs : sequence of (int, str)
        Where the addresses of functions of the process belong, and their names.
    start : int
        Where the function begins.
    """

    content: bytes
    addresses: Sequence[int]
    needs: Sequence[tuple[int, str]]
    start: int


def is_supported() -> bool:
    """Whether images are made and run on this kind of machine."""
    return sys.platform == "linux" and os.uname().machine == "x86_64"


def image_of(code: bytes, name: str) -> Image | None:
    """Return a function of an object file with all that it needs; None where an image cannot hold it."""
    header = struct.unpack_from(_HEADER, code)
    if header[0][:6] != b"\x7fELF\x02\x01" or header[2] != _X86_64:
        return None
    sections = [struct.unpack_from(_SECTION, code, header[6] + k * header[11]) for k in range(header[12])]
    content, place = bytearray(), {}
    for k, (_, kind, flags, _, at, size, _, _, align, _) in enumerate(sections):
        if flags & _IS_LOADED and size and kind != _UNWINDING:
            if flags & _CHANGES or align > mmap.PAGESIZE:
                return None
            content += bytes(-len(content) % align)
            place[k] = len(content)
            content += code[at : at + size]
    symbols = _symbols(code, sections)
    addresses, needs = [], []
    for _, kind, _, _, at, size, _, target, _, _ in sections:
        if kind != _REFERENCES or target not in place:
            continue
        for offset, info, addend in struct.iter_unpack(_REFERENCE, code[at : at + size]):
            symbol, section, value = symbols[info >> 32]
            where = place[target] + offset
            if info & 0xFFFFFFFF != _WHOLE_ADDRESS:
                return None
            if section in place:
                struct.pack_into("<q", content, where, place[section] + value + addend)
                addresses.append(where)
            elif section == 0 and addend == 0:
                needs.append((where, symbol))
            else:
                return None
    starts = [
        place[section] + value for symbol, section, value in symbols if symbol == name and section in place
    ]
    return Image(bytes(content), addresses, needs, starts[0]) if starts else None


def _symbols(code: bytes, sections: Sequence[tuple[Any, ...]]) -> list[tuple[str, int, int]]:
    """Return name, section (0: not in this file) and place in it of every symbol."""
    found = []
    for _, kind, _, _, at, size, names, _, _, _ in sections:
        if kind == _SYMBOLS:
            text = code[sections[names][4] :]
            for name, _, _, section, value, _ in struct.iter_unpack(_SYMBOL, code[at : at + size]):
                found.append((text[name : text.index(b"\0", name)].decode(), section, value))
    return found


def load(image: Image) -> tuple[int, mmap.mmap] | None:
    """Return the address of an image's function, and the memory to be held while it is used; None where that fails."""
    process = ctypes.CDLL(None)
    try:
        needs = [(at, ctypes.cast(getattr(process, name), ctypes.c_void_p).value) for at, name in image.needs]
        memory = mmap.mmap(-1, len(image.content))
    except (AttributeError, OSError):
        return None
    memory[:] = image.content
    base = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    for at in image.addresses:
        struct.pack_into("<q", memory, at, base + struct.unpack_from("<q", memory, at)[0])
    for at, address in needs:
        struct.pack_into("<q", memory, at, address)
    is_refused = process.mprotect(ctypes.c_void_p(base), ctypes.c_size_t(len(memory)), _READ_AND_RUN)
    return None if is_refused else (base + image.start, memory)
