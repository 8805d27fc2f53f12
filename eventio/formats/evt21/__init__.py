"""Prophesee EVT 2.1."""

from eventio.formats.evt21.codec import LEGACY, NAME, SUFFIXES, TITLE, Evt21Source, encode, matches

__all__ = ["NAME", "TITLE", "SUFFIXES", "LEGACY", "matches", "Evt21Source", "encode"]
