"""iniVation AEDAT 4."""

from eventio.formats.aedat4.codec import NAME, SUFFIXES, TITLE, Aedat4Source, matches
from eventio.formats.aedat4.encoding import COMPRESSIONS, encode

__all__ = ["NAME", "TITLE", "SUFFIXES", "COMPRESSIONS", "matches", "Aedat4Source", "encode"]
