"""Headerless 40-bit events."""

from eventio.formats.nmnist.codec import NAME, SUFFIXES, TITLE, NmnistSource, encode, matches

__all__ = ["NAME", "TITLE", "SUFFIXES", "matches", "NmnistSource", "encode"]
