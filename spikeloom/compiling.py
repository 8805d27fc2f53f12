"""A word on the terminal while kernels are compiled: half a minute, once per machine, in which nothing else is seen."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import click

__all__ = ["told_of_compiling"]

_PATIENCE_S = 1.5  # compiling that takes no longer is not worth a word
_LOOK_S = 0.2


class _Teller:
    """Hears of every kernel's compiling from numba; those that a kernel calls are compiled inside its own."""

    def __init__(self) -> None:
        self.has_told = False
        self._seconds, self._start, self._depth = 0.0, 0.0, 0

    @property
    def seconds(self) -> float:
        """Time spent with compiling so far."""
        return self._seconds + (time.perf_counter() - self._start if self._depth > 0 else 0.0)

    def start(self, _: object) -> None:
        """Compiling a kernel begins."""
        if self._depth == 0:
            self._start = time.perf_counter()
        self._depth += 1
        if not self.has_told and self.seconds > _PATIENCE_S:
            self.has_told = True
            click.echo("compiling for this machine: up to a minute, once", err=True)

    def end(self, _: object) -> None:
        """Compiling a kernel ends."""
        if self._depth == 1:
            self._seconds = self.seconds
        self._depth = max(0, self._depth - 1)  # the start may have been before we listened


@contextmanager
def told_of_compiling() -> Iterator[None]:
    """Say on the terminal when the block compiles for long, and at its end how long that was.

    Yields
    ------
    None
        Nothing is said where standard error is no terminal. Numba is not imported for it.
    """
    if not sys.stderr.isatty():
        yield
        return
    teller, is_over = _Teller(), threading.Event()
    threading.Thread(target=_listen, args=(teller, is_over), daemon=True).start()
    try:
        yield
    finally:
        is_over.set()
        if teller.has_told:
            click.echo(f"compiled for {teller.seconds:.0f} s; from now on this is kept", err=True)


def _listen(teller: _Teller, is_over: threading.Event) -> None:
    """Wait until the block has imported numba, then hear of what is compiled."""
    while not is_over.wait(_LOOK_S):
        if hasattr(sys.modules.get("numba"), "njit"):
            from numba.core import event as untyped_event

            event: Any = untyped_event
            listener = type("Listener", (event.Listener,), {"on_start": teller.start, "on_end": teller.end})
            with event.install_listener("numba:compile", listener()):
                is_over.wait()
