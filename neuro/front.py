"""Front doors that load a module when one of its names is first asked for: a start pays for what it uses."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from importlib.util import find_spec
from sys import modules
from typing import Any

__all__ = ["on_demand"]


def on_demand(package: str, places: Mapping[str, Sequence[str]]) -> Callable[[str], Any]:
    """Return the ``__getattr__`` of a package whose names are loaded when they are first asked for.

    Parameters
    ----------
    package : str
        The package's ``__name__``.
    places : mapping of str to sequence of str
        The names that each module gives, by module. The package's own modules are found without it.

    Returns
    -------
    callable
        Takes a name, returns its value and keeps it in the package; an AttributeError where there is none.

    Examples
    --------
    >>> find = on_demand("neuro", {"neuro.errors": ["GraphError"]})
    >>> find("GraphError").__module__
    'neuro.errors'
    """
    place_of = {name: module for module, names in places.items() for name in names}

    def find(name: str) -> Any:
        if name not in place_of:
            if name.startswith("_") or find_spec(f"{package}.{name}") is None:
                raise AttributeError(f"module {package!r} has no attribute {name!r}")
            return import_module(f"{package}.{name}")
        value = getattr(import_module(place_of[name]), name)
        setattr(modules[package], name, value)
        return value

    return find
