"""The base of all nodes: frozen, compared by value, hashed by content."""

from __future__ import annotations

import hashlib
from dataclasses import field, fields
from functools import cached_property
from typing import Any

import numpy as np

__all__ = ["Node", "later"]

# metadata of a field that came later than its node: at its default it stands in no digest and no file
_LATER = {"later": True}


def later(default: object) -> Any:
    """Return a field that came later than its node: at its default it stands in no digest and no file."""
    return field(default=default, metadata=_LATER)


class Node:
    """Base of all node types: frozen data that is checked once, compared by value and hashed by content."""

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the node's type and all its values, as hexadecimal text."""
        digest = hashlib.sha256(type(self).__name__.encode())
        for name, value in self.content().items():
            if isinstance(value, np.ndarray):
                digest.update(f"|{name}:{value.dtype.str}{value.shape}=".encode())
                digest.update(value.reshape(-1).view(np.uint8).data)
            else:
                digest.update(f"|{name}={value!r}".encode())
        return digest.hexdigest()

    def content(self) -> dict[str, Any]:
        """Return the values that make up the node, by field: all but later ones at their default."""
        found: dict[str, Any] = {}
        for each in fields(self):  # type: ignore[arg-type]
            value = getattr(self, each.name)
            is_default = not isinstance(value, np.ndarray) and value == each.default
            if not (each.metadata.get("later") and is_default):
                found[each.name] = value
        return found

    @property
    def n_parameters(self) -> int:
        """Number of values held in arrays."""
        return sum(value.size for value in self.content().values() if isinstance(value, np.ndarray))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Node):
            return NotImplemented
        return type(self) is type(other) and self.digest == other.digest

    def __hash__(self) -> int:
        return hash(self.digest)

    def __repr__(self) -> str:
        texts = []
        for name, value in self.content().items():
            is_array = isinstance(value, np.ndarray)
            texts.append(f"{name}={value.dtype}{list(value.shape)}" if is_array else f"{name}={value!r}")
        return f"{type(self).__name__}({', '.join(texts)})"

    def __reduce__(self) -> tuple[Any, ...]:
        return rebuild, (type(self), self.content())

    def _set(self, name: str, value: object) -> None:
        object.__setattr__(self, name, value)


def rebuild(node_type: type[Node], values: dict[str, Any]) -> Node:
    """Make a node from its values, with all checks (used when a node is unpickled)."""
    return node_type(**values)
