"""What people see on a terminal: progress on standard error, tables on standard output."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from spikeloom.interruption import was_interrupted


class Advance(Protocol):
    """Moves a progress bar."""

    def __call__(self, n_done: int, n_all: int | None, what: str | None = None, /) -> None:
        """Say how far it is, and what is being done now when that changes."""


@contextmanager
def progress(what: str) -> Iterator[Advance]:
    """Show a progress bar on standard error while the block runs; nothing where that is no terminal.

    Parameters
    ----------
    what : str
        What is being done, such as "recognising".

    Yields
    ------
    Advance
        To be called with (number done, number in all or None), and with what is being done when that changes.
    """
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(what, total=None)

        def advance(n_done: int, n_all: int | None, now: str | None = None, /) -> None:
            if was_interrupted():
                raise KeyboardInterrupt  # once more: the first was swallowed
            bar.update(task, completed=n_done, total=n_all, description=now)

        yield advance


def print_table(title: str, rows: Sequence[tuple[str, str]]) -> None:
    """Print names and values, one pair per line, to standard output.

    Parameters
    ----------
    title : str
        Heading of the table.
    rows : sequence of (str, str)
        Names and values.
    """
    table = Table(show_header=False)
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    for row in rows:
        table.add_row(*row)
    console = Console(highlight=False, markup=False)
    console.print(title, style="bold", soft_wrap=True)
    console.print(table)


def percent(fraction: float) -> str:
    """Write a fraction as per cent.

    Parameters
    ----------
    fraction : float
        Between 0 and 1.

    Returns
    -------
    str
        With one decimal.

    Examples
    --------
    >>> percent(0.9806)
    '98.1 %'
    """
    return f"{100 * fraction:.1f} %"


def sureness(confidence: float) -> str:
    """Write a confidence as per cent, never as a rounded 100 %.

    Parameters
    ----------
    confidence : float
        Between 0 and 1.

    Returns
    -------
    str
        With one decimal.

    Examples
    --------
    >>> sureness(0.9806), sureness(0.99996)
    ('98.1 %', '> 99.9 %')
    """
    return "> 99.9 %" if confidence >= 0.9995 else percent(confidence)


def short_number(number: float) -> str:
    """Write a large number with three digits and a word for its size.

    Parameters
    ----------
    number : float
        Not negative.

    Returns
    -------
    str
        Such as '12.3 million'.

    Examples
    --------
    >>> short_number(987), short_number(45_600), short_number(12_345_678)
    ('987', '45.6 thousand', '12.3 million')
    """
    return _scaled(number, (" billion", " million", " thousand"))


def compact_number(number: float) -> str:
    """Write a large number with three digits and a letter for its size.

    Parameters
    ----------
    number : float
        Not negative.

    Returns
    -------
    str
        Such as '12.3M'.

    Examples
    --------
    >>> compact_number(987), compact_number(45_600), compact_number(12_345_678)
    ('987', '45.6k', '12.3M')
    """
    return _scaled(number, ("G", "M", "k"))


def _scaled(number: float, units: tuple[str, str, str]) -> str:
    for size, unit in zip((1e9, 1e6, 1e3), units, strict=True):
        if number >= size:
            return f"{number / size:.3g}{unit}"
    return f"{number:.3g}"


def short_time(seconds: float) -> str:
    """Write a duration with a unit that suits it.

    Parameters
    ----------
    seconds : float
        Not negative.

    Returns
    -------
    str
        In seconds, milliseconds or microseconds.

    Examples
    --------
    >>> short_time(12.3), short_time(0.00456), short_time(7.8e-05)
    ('12.3 s', '4.56 ms', '78 us')
    """
    for size, unit in ((1.0, "s"), (1e-3, "ms")):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds * 1e6:.3g} us"
