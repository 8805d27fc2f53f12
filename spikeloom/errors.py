"""Errors that a user of the commands can put right."""

from __future__ import annotations


class UserError(Exception):
    """Something asked for cannot be done as asked; the message says what, why and what to do."""


class DamagedRecordingError(UserError):
    """A recording is truncated or its time runs backwards, and nobody said that this is fine."""
