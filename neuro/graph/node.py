"""The base of all nodes: frozen, compared by value, hashed by content."""

from __future__ import annotations

import hashlib
from dataclasses import fields
from functools import cached_property
from typing import Any

import numpy as np

__all__ = ["Node"]


class Node:
    """Base of all node types: frozen data that is checked once, compared by value and hashed by content."""

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the node's type and all its values, as hexadecimal text."""
        digest = hashlib.sha256(type(self).__name__.encode())
        for field in fields(self):  # type: ignore[arg-type]
            value = getattr(self, field.name)
            if isinstance(value, np.ndarray):
                digest.update(f"|{field.name}:{value.dtype.str}{value.shape}=".encode())
                digest.update(value.tobytes())
            else:
                digest.update(f"|{field.name}={value!r}".encode())
        return digest.hexdigest()

    @property
    def n_parameters(self) -> int:
        """Number of values held in arrays."""
        values = (getattr(self, field.name) for field in fields(self))  # type: ignore[arg-type]
        return sum(value.size for value in values if isinstance(value, np.ndarray))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Node):
            return NotImplemented
        return type(self) is type(other) and self.digest == other.digest

    def __hash__(self) -> int:
        return hash(self.digest)

    def __repr__(self) -> str:
        texts = []
        for field in fields(self):  # type: ignore[arg-type]
            value = getattr(self, field.name)
            if isinstance(value, np.ndarray):
                value = f"float32{list(value.shape)}"
                texts.append(f"{field.name}={value}")
            else:
                texts.append(f"{field.name}={value!r}")
        return f"{type(self).__name__}({', '.join(texts)})"

    def __reduce__(self) -> tuple[Any, ...]:
        values = {field.name: getattr(self, field.name) for field in fields(self)}  # type: ignore[arg-type]
        return rebuild, (type(self), values)

    def _set(self, name: str, value: object) -> None:
        object.__setattr__(self, name, value)


def rebuild(node_type: type[Node], values: dict[str, Any]) -> Node:
    """Make a node from its values, with all checks (used when a node is unpickled)."""
    return node_type(**values)
