"""MCAP files."""

from eventio.formats.mcap.codec import NAME, SUFFIXES, TITLE, McapSource, matches

__all__ = ["NAME", "TITLE", "SUFFIXES", "matches", "McapSource"]
