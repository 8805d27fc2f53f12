"""
HDF5 and MATLAB files, read by child processes that go on from file to file.

Beginning a process and loading the libraries takes a tenth of a second and more, reading a small file a few
milliseconds. So a process whose file is closed waits for the next one, unless something was wrong with that file, it
was large, or the process has read many. Processes belong to the one that began them: one that is forked of it begins
its own.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import sys
import threading
import weakref
from pathlib import Path

from eventio.child_process import Answer, BreakdownError, ChildProcess, Request
from eventio.errors import FileAccessError

MOST_IDLE = 4
"""How many processes wait at most."""
MOST_FILES = 1000
"""How many files a process reads at most: what a library forgets to free does not add up for ever."""
MOST_KEPT_BYTES = 1 << 24
"""A process that read a larger file, or more values at once, ends with it: it may hold much memory."""


class ChildFile:
    """
    A file that a child process reads.

    Parameters
    ----------
    path : Path
        The file.

    Attributes
    ----------
    contents : dict
        What there is in it, as `_child_arrays` lists it.
    process : ChildProcess
        Who reads it.

    Raises
    ------
    FormatError
        It cannot be opened.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._owner = os.getpid()
        request = {"open": os.path.abspath(path)}  # the process keeps the folder in which it began
        self.process = take_process()
        try:
            try:
                self.contents, _ = self.process.ask(request)
            except BreakdownError:
                if self.process.n_files == 0:
                    raise
                self.process = begin_process()  # what an earlier file left behind may be why
                self.contents, _ = self.process.ask(request)
        except BaseException:
            self.process.end()
            raise
        self.process.n_files += 1
        is_small = self.contents["n_bytes"] <= MOST_KEPT_BYTES
        self._close = weakref.finalize(self, give_back if is_small else ChildProcess.end, self.process)

    def ask(self, request: Request, *, ahead: Request | None = None) -> Answer:
        """
        Ask for something and wait for the answer.

        Parameters
        ----------
        request : dict
            What the process understands.
        ahead : dict, optional
            What will probably be asked next: the process begins with it while the answer is used.

        Returns
        -------
        tuple of (dict, bytes)
            The answer, and the values behind it.

        Raises
        ------
        FormatError
            The process says so, or it broke down.
        FileAccessError
            This process was forked of the one that opened the file.
        """
        if self._owner != os.getpid():
            raise FileAccessError(
                f"{self._path}: was opened by the process that this one was forked of; open it here again"
            )
        return self.process.ask(request, ahead)

    def close(self) -> None:
        """Let the process go on to other files, or end it."""
        self._close()


begun: weakref.WeakSet[ChildProcess] = weakref.WeakSet()
idle: list[ChildProcess] = []
lock = threading.Lock()
"""Held while a process begins, so that none is forked with pipes half made; never in a finalizer."""


def take_process() -> ChildProcess:
    """
    Take a process that waits, or begin one.

    Returns
    -------
    ChildProcess
        Sound when it was last used.
    """
    with contextlib.suppress(IndexError):
        while True:
            process = idle.pop()
            if process.is_sound:
                return process
            process.end()
    return begin_process()


def begin_process() -> ChildProcess:
    """
    Begin a process.

    Returns
    -------
    ChildProcess
        A new one.
    """
    with lock:
        process = ChildProcess()
        begun.add(process)
    if len(begun) == 1 and (util := sys.modules.get("multiprocessing.util")) is not None:
        util.Finalize(None, end_processes, exitpriority=0)  # its processes end without what atexit knows
    return process


def give_back(process: ChildProcess) -> None:
    """
    Let a process wait for another file, or end it.

    Parameters
    ----------
    process : ChildProcess
        That nobody uses any more.
    """
    is_small = process.memory.n_bytes_held <= MOST_KEPT_BYTES
    if is_small and process.is_sound and process.n_files < MOST_FILES and len(idle) < MOST_IDLE:
        with contextlib.suppress(OSError):
            process.tell({"close": True})
            idle.append(process)
            return
    process.end()


def end_processes() -> None:
    """End all processes, also those of files that are open; the next file begins another."""
    processes = list(begun)
    idle.clear()
    for process in processes:
        process.end()


def disown_processes() -> None:
    """Let go, in a forked process, of the processes of the one that was forked."""
    processes = list(begun)
    idle.clear()
    for process in processes:
        process.disown()
    begun.clear()
    lock.release()


atexit.register(end_processes)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=lock.acquire, after_in_parent=lock.release, after_in_child=disown_processes)
