"""
The text at the start of Prophesee .raw files.

Lines start with "% "; the newer style ends with "% end", the older one where the next line does not start so.

Source: Prophesee's public descriptions of the RAW file format and of the EVT 2.0 and EVT 3.0 encodings. A
header without a geometry still names the sensor's generation, and every sensor of a generation has one size.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from eventio.errors import FormatError
from eventio.word_pieces import Layout
from eventio.word_source import State, TriggerRoom, WordSource

MAX_HEADER_BYTES = 1 << 16
MAX_SIDE = 2048
GENERATION_SIZES = (
    (re.compile(r"genx320"), (320, 320)),
    (re.compile(r"imx636|imx646|gen4|^4"), (1280, 720)),
    (re.compile(r"gen3|^3"), (640, 480)),
)
NAMING_FIELDS = ("sensor_name", "sensor_generation", "generation", "plugin_name")


@dataclass(frozen=True, slots=True)
class Header:
    """
    The header of a file.

    Attributes
    ----------
    n_bytes : int
        Its length; the data begin there.
    fields : dict of str to str
        What each line says, by its first word in lower case.
    """

    n_bytes: int
    fields: dict[str, str]

    @property
    def version(self) -> str | None:
        """The encoding, such as "2.0", "2.1" or "3.0"; None when the header names none."""
        if "evt" in self.fields:
            return self.fields["evt"]
        name = self.fields.get("format", "").split(";")[0].upper()
        return {"EVT2": "2.0", "EVT21": "2.1", "EVT3": "3.0", "EVT4": "4.0"}.get(name)


def parse_header(data: bytes) -> Header:
    """
    Read the header at the start of a file.

    Parameters
    ----------
    data : bytes
        The first bytes of the file.

    Returns
    -------
    Header
        Without fields when there is none.

    Examples
    --------
    >>> header = parse_header(b"% evt 3.0\\n% geometry 1280x720\\n% end\\n%data")
    >>> header.version, header.fields["geometry"], header.n_bytes
    ('3.0', '1280x720', 36)
    """
    fields: dict[str, str] = {}
    position = 0
    while data.startswith(b"% ", position):
        stop = data.find(b"\n", position, position + 4096)
        if stop < 0:
            break
        line = data[position:stop].rstrip(b"\r")
        if any(byte < 32 and byte != 9 for byte in line):
            break
        position = stop + 1
        key, _, value = line[2:].decode("utf-8", "replace").strip().partition(" ")
        if key == "end":
            break
        fields[key.lower()] = value.strip()
    return Header(position, fields)


def read_header(path: Path) -> Header:
    """
    Read the header of a file.

    Parameters
    ----------
    path : Path
        The file.

    Returns
    -------
    Header
        Without fields when there is none.
    """
    with path.open("rb") as file:
        return parse_header(file.read(MAX_HEADER_BYTES))


def find_size(header: Header, path: Path) -> tuple[int, int] | None:
    """
    Find the sensor's size in a header.

    Parameters
    ----------
    header : Header
        Of the file.
    path : Path
        The file, for messages.

    Returns
    -------
    tuple of (int, int) or None
        Width and height; None when neither geometry nor sensor is named.

    Raises
    ------
    FormatError
        The header names a size that 11-bit coordinates cannot have.
    """
    fields = header.fields
    options = dict(
        part.strip().lower().split("=", 1) for part in fields.get("format", "").split(";") if "=" in part
    )
    text = fields.get("geometry", f"{options.get('width', '')}x{options.get('height', '')}")
    if text != "x":
        found = re.fullmatch(r"(\d{1,5})x(\d{1,5})", text)
        size = (int(found[1]), int(found[2])) if found else (0, 0)
        if not all(1 <= side <= MAX_SIDE for side in size):
            raise FormatError(
                f"{path}: the header gives the sensor's size as {text!r}, which must be WIDTHxHEIGHT with sides in "
                f"1..{MAX_SIDE}; correct the header"
            )
        return size
    for field in NAMING_FIELDS:
        for pattern, size in GENERATION_SIZES:
            if pattern.search(fields.get(field, "").lower()):
                return size
    return None


def make_header(version: str, name: str, width: int, height: int, *, more: tuple[str, ...] = ()) -> bytes:
    """
    Write a header in the newer style.

    Parameters
    ----------
    version : str
        Of the encoding, such as "3.0".
    name : str
        Its name, such as "EVT3".
    width, height : int
        Size of the sensor in pixels.
    more : tuple of str
        Lines of the encoding's own.

    Returns
    -------
    bytes
        The header.
    """
    lines = (
        f"evt {version}",
        f"format {name};height={height};width={width}",
        f"geometry {width}x{height}",
        "generator spikeloom",
        *more,
        "end",
    )
    return "".join(f"% {line}\n" for line in lines).encode()


class PropheseeSource(WordSource):
    """
    What the readers of Prophesee's .raw files share: the header, the sensor's size, and what they count.

    Parameters
    ----------
    path : Path
        The file.
    usual_sizes : tuple of (int, int)
        Sizes to choose from when the header says none.
    dtype : str
        NumPy's name of a number of the file.
    n_numbers : int
        Numbers in a word.
    """

    def __init__(
        self, path: Path, usual_sizes: tuple[tuple[int, int], ...], dtype: str, n_numbers: int = 1
    ) -> None:
        self.header = read_header(path)
        super().__init__(path, Layout(self.header.n_bytes, dtype, n_numbers), usual_sizes)
        self.triggers = TriggerRoom()
        size = find_size(self.header, path)
        if size is not None:
            self.width, self.height = size

    def add_counts(self, counts: State, kinds: dict[int, str]) -> None:
        """
        Add to the findings how many words of other kinds there were.

        Parameters
        ----------
        counts : ndarray
            int64, shape (16,): by kind.
        kinds : dict of int to str
            What the known ones are.
        """
        for kind in range(16):
            self.findings.add_skipped(kinds.get(kind, "unknown words"), int(counts[kind]))
