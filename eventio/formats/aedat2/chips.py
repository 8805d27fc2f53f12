"""
The chips whose AEDAT 2.0 addresses are understood, and how a header names them.

Source: the address layouts are those of jAER's chip classes (DVS128, DavisBaseCamera), which mirror x and
count y from the bottom row, and CochleaAMS1c.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from eventio.errors import FormatError
from eventio.formats.aedat2._kernels import COCHLEA, DAVIS, DVS128

MAX_HEADER_BYTES = 1 << 22
MAX_LINE_BYTES = 1 << 16
END_OF_HEADER = b"#End Of ASCII Header"
OPTIONS = (
    "format='aedat2-dvs128', 'aedat2-davis240', 'aedat2-davis346', 'aedat2-davis640' or 'aedat2-cochlea'"
)


@dataclass(frozen=True, slots=True)
class Chip:
    """
    A chip and the layout of its addresses.

    Attributes
    ----------
    name : str
        The name in options, such as "davis240".
    aer_name : str
        What the header written for it says.
    width, height : int
        Size of the sensor in pixels.
    starts : tuple of str
        How the last part of the chip's name in a header begins, in lower case.
    layout : int
        How addresses are laid out: DVS128, DAVIS or COCHLEA of the kernels.
    """

    name: str
    aer_name: str
    width: int
    height: int
    starts: tuple[str, ...]
    layout: int

    @property
    def address_space(self) -> str:
        """What the places of its events are: "pixels", or "channels" of a cochlea."""
        return "channels" if self.layout == COCHLEA else "pixels"

    @property
    def conversion(self) -> str:
        """What is done to addresses."""
        if self.layout == COCHLEA:
            return "x is the channel (0: the highest frequency), y the neuron of 16 (see the docs), and all is ON"
        return f"x mirrored and y counted from the top, as pixels of a {self.name}"


CHIPS: tuple[Chip, ...] = (
    Chip("dvs128", "ch.unizh.ini.jaer.chip.retina.DVS128", 128, 128, ("dvs128", "edvs128"), DVS128),
    Chip(
        "davis240",
        "eu.seebetter.ini.chips.davis.DAVIS240C",
        240,
        180,
        ("davis240", "sbret10", "sbret20"),
        DAVIS,
    ),
    Chip("davis346", "eu.seebetter.ini.chips.davis.Davis346B", 346, 260, ("davis346",), DAVIS),
    Chip("davis640", "eu.seebetter.ini.chips.davis.Davis640", 640, 480, ("davis640",), DAVIS),
    Chip("cochlea", "ch.unizh.ini.jaer.chip.cochlea.CochleaAMS1c", 64, 16, ("cochleaams",), COCHLEA),
)


def read_header(path: Path) -> tuple[int, str | None]:
    """
    Read the lines before the data: they start with "#" and hold text only.

    Parameters
    ----------
    path : Path
        The file.

    Returns
    -------
    tuple of (int, str or None)
        The byte at which the data begin, and the chip's name when a line says it.
    """
    n_bytes, chip = 0, None
    with path.open("rb") as file:
        while n_bytes < MAX_HEADER_BYTES:
            line = file.readline(MAX_LINE_BYTES)
            text = line.rstrip(b"\r\n")
            if not line.startswith(b"#") or any(byte < 32 and byte != 9 for byte in text):
                break
            if not line.endswith(b"\n"):
                break
            n_bytes += len(line)
            key, _, value = text[1:].decode("latin-1").partition(":")
            if key.strip() == "AEChip":
                chip = value.strip()
            if text.startswith(END_OF_HEADER):
                break
    return n_bytes, chip


def find_chip(name: str | None, path: Path) -> Chip:
    """
    Find the chip a header names.

    Parameters
    ----------
    name : str or None
        The class name in the header, such as "eu.seebetter.ini.chips.davis.DAVIS240C".
    path : Path
        The file, for messages.

    Returns
    -------
    Chip
        Its row.

    Raises
    ------
    FormatError
        The header names no chip, or one whose addresses are not understood.
    """
    if name is None:
        raise FormatError(
            f"{path}: the header (AEDAT 2) has no line 'AEChip:', and addresses of different chips look alike; say "
            f"which it is: {OPTIONS}"
        )
    last = name.split(".")[-1].lower()
    for chip in CHIPS:
        if last.startswith(chip.starts) and ("cochlea" in last) == (chip.layout == COCHLEA):
            return chip
    raise FormatError(
        f"{path}: the header (AEDAT 2) names the chip {name[:80]!r}, which is not understood; if its addresses are "
        f"those of another chip, say {OPTIONS}"
    )


def find_by_size(width: int, height: int) -> Chip:
    """
    Find the chip with a sensor of this size.

    Parameters
    ----------
    width, height : int
        Size of the sensor in pixels.

    Returns
    -------
    Chip
        Its row.

    Raises
    ------
    FormatError
        There is none.
    """
    for chip in CHIPS:
        if (chip.width, chip.height) == (width, height) and chip.layout != COCHLEA:
            return chip
    sizes = ", ".join(f"{chip.width}x{chip.height}" for chip in CHIPS if chip.layout != COCHLEA)
    raise FormatError(
        f"a {width}x{height} sensor is none of the chips that AEDAT 2 is written for ({sizes}); put the events "
        "into a recording of such a size"
    )
