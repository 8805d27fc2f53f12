"""Importing lava-nc 0.10.0 under Python 3.11 and later, without touching the package.

Two things stand in the way: a module gives dataclass fields mutable defaults, which newer Pythons refuse, and an
import sets multiprocessing's start method, which fails where it is set already.
"""

from __future__ import annotations

import copy
import dataclasses
import functools
import inspect
import multiprocessing
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from hw.errors import MissingPackageError

__all__ = ["import_lava"]

_INSTALL = "make lava, or: pip install networkx asteval; pip install --no-deps --ignore-requires-python lava-nc==0.10.0"


def import_lava() -> None:
    """Import what Lava's simulator needs.

    Raises
    ------
    MissingPackageError
        If lava-nc is not installed.
    """
    try:
        with _mutable_defaults(), _start_method_once():
            import lava.magma.compiler.var_model
            import lava.magma.runtime.message_infrastructure.multiprocessing  # noqa: F401
    except ImportError as err:
        raise MissingPackageError(f"Lava's simulator needs lava-nc ({err}): {_INSTALL}") from err


@contextmanager
def _mutable_defaults() -> Iterator[None]:
    """Let `@dataclass` copy a default that is an instance of an unhashable dataclass."""
    original: Callable[..., Any] = dataclasses.dataclass

    def prepared(owner: type) -> type:
        for name in inspect.get_annotations(owner):
            default = owner.__dict__.get(name)
            is_instance = dataclasses.is_dataclass(default) and not isinstance(default, type)
            if is_instance and type(default).__hash__ is None:
                setattr(owner, name, dataclasses.field(default_factory=functools.partial(copy.copy, default)))
        return owner

    def tolerant(owner: type | None = None, /, **settings: Any) -> Any:
        if owner is None:
            return lambda later: original(prepared(later), **settings)
        return original(prepared(owner), **settings)

    dataclasses.dataclass = tolerant
    try:
        yield
    finally:
        dataclasses.dataclass = original


@contextmanager
def _start_method_once() -> Iterator[None]:
    """Let a start method be set again to what it is."""
    original = multiprocessing.set_start_method

    def tolerant(method: str | None, force: bool = False) -> None:
        if multiprocessing.get_start_method(allow_none=True) != method:
            original(method, force=force)

    multiprocessing.set_start_method = tolerant
    try:
        yield
    finally:
        multiprocessing.set_start_method = original
