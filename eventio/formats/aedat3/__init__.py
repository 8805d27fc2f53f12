"""AEDAT 3.1 of cAER and libcaer."""

from eventio.formats.aedat3.codec import NAME, SUFFIXES, TITLE, Aedat3Source, encode, matches

__all__ = ["NAME", "TITLE", "SUFFIXES", "matches", "Aedat3Source", "encode"]
