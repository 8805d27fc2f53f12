"""The exceptions of :mod:`neuro`: one tree, and each class is also the builtin it resembles."""

from __future__ import annotations

__all__ = ["NeuroError", "GraphError", "InputError", "ModelFileError", "MissingPackageError"]


class NeuroError(Exception):
    """Base of every error that :mod:`neuro` raises on purpose.

    Examples
    --------
    >>> issubclass(GraphError, NeuroError) and issubclass(GraphError, ValueError)
    True
    """


class GraphError(NeuroError, ValueError):
    """A network description is wrong: a node's value, a shape, an edge or its timing."""


class InputError(NeuroError, ValueError):
    """What was given to a network to compute is wrong: shape, order, range or a value."""


class ModelFileError(NeuroError, ValueError):
    """A model file is foreign, damaged, or of another version."""


class MissingPackageError(NeuroError, ImportError):
    """An optional package is missing; the message says what for and how to install it."""
