"""Interrupts that do not get lost: some packages swallow the exception of Ctrl-C while they are imported."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

import click

_SEEN = "spikeloom.interrupted"


@contextmanager
def remembered_interrupts(ctx: click.Context) -> Iterator[None]:
    """Note in the context that an interrupt came, besides raising KeyboardInterrupt as usual.

    Parameters
    ----------
    ctx : click.Context
        The context of the command.

    Yields
    ------
    None
        Nothing; where interrupts are ignored or handled by somebody else, it stays so.
    """

    def remember(number: int, frame: FrameType | None) -> None:
        ctx.find_root().meta[_SEEN] = True
        raise KeyboardInterrupt

    is_ours = threading.current_thread() is threading.main_thread()
    if not is_ours or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield
        return
    signal.signal(signal.SIGINT, remember)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def was_interrupted() -> bool:
    """Say whether an interrupt came while the present command ran.

    Returns
    -------
    bool
        True even when its exception was swallowed or turned into another.
    """
    ctx = click.get_current_context(silent=True)
    return ctx is not None and bool(ctx.find_root().meta.get(_SEEN, False))


def keep_exit_code() -> None:
    """Shut the door to further interrupts on the way out.

    A second Ctrl-C would end in a traceback. And where KeyboardInterrupt has passed through a package's C code,
    Python ends itself by the signal in place of the exit code, unless the signal is blocked.
    """
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
