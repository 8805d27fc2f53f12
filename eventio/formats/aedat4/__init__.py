"""iniVation AEDAT 4."""

from eventio.formats.aedat4.codec import NAME, SUFFIXES, TITLE, Aedat4Source, matches

__all__ = ["NAME", "TITLE", "SUFFIXES", "matches", "Aedat4Source"]
