"""Prophesee .dat files of pixel events."""

from eventio.formats.dat.codec import NAME, SUFFIXES, TITLE, DatSource, encode, matches

__all__ = ["NAME", "TITLE", "SUFFIXES", "matches", "DatSource", "encode"]
