"""Prophesee EVT 3.0."""

from eventio.formats.evt3.codec import NAME, SUFFIXES, TITLE, Evt3Source, encode, matches
from eventio.formats.evt3.packets import Evt3Packets

__all__ = ["NAME", "TITLE", "SUFFIXES", "matches", "Evt3Source", "encode", "Evt3Packets"]
