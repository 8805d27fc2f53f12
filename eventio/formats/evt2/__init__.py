"""Prophesee EVT 2.0."""

from eventio.formats.evt2.codec import NAME, SUFFIXES, TITLE, Evt2Source, encode, matches

__all__ = ["NAME", "TITLE", "SUFFIXES", "matches", "Evt2Source", "encode"]
