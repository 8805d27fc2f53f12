"""MATLAB files."""

from eventio.formats.mat.codec import NAME, SUFFIXES, TITLE, MatSource, encode, matches

__all__ = ["NAME", "TITLE", "SUFFIXES", "matches", "MatSource", "encode"]
