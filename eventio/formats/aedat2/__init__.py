"""AEDAT 2.0 of the DVS128 and the DAVIS cameras."""

from eventio.formats.aedat2.chips import CHIPS, Chip
from eventio.formats.aedat2.codec import NAME, SUFFIXES, TITLE, Aedat2Source, encode, matches

__all__ = ["NAME", "TITLE", "SUFFIXES", "CHIPS", "Chip", "matches", "Aedat2Source", "encode"]
