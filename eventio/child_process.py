"""
Reading a file in a process of its own.

Some libraries abort their whole process, or never return, on damaged files, which no `except` can catch; here only
a child ends. It runs a script that serves requests: one line of JSON on its input asks for something, and it answers
with one line of JSON and, where that has an entry "bytes", as many bytes.
"""

from __future__ import annotations

import contextlib
import json
import mmap
import os
import subprocess
import sys
import weakref
from typing import IO, Any

from eventio.errors import FormatError

MAX_LINE_BYTES = 1 << 22
PIPE_BYTES = 1 << 20
"""How much a pipe takes before its writer has to wait, where the system lets us choose."""

Request = dict[str, Any]


class ChildProcess:
    """
    A running script that answers requests.

    Parameters
    ----------
    script : str
        Path of the script; it is run without the current folder on its path.
    *arguments : str
        What it is told, such as the path of a file.
    shares : tuple of int
        File descriptors that it has, too.
    """

    def __init__(self, script: str, *arguments: str, shares: tuple[int, ...] = ()) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-P", script, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            pipesize=PIPE_BYTES,
            pass_fds=shares,
        )
        self._asked: Request | None = None
        self._close = weakref.finalize(self, end, self._process)

    def ask(self, request: Request, *, ahead: Request | None = None) -> tuple[dict[str, Any], bytes]:
        """
        Ask for something and wait for the answer.

        Parameters
        ----------
        request : dict
            What the script understands.
        ahead : dict, optional
            What will probably be asked next: the script begins with it while the answer is used.

        Returns
        -------
        tuple of (dict, bytes)
            The answer.

        Raises
        ------
        FormatError
            The script says so, or it broke down.
        """
        output = self._process.stdout
        assert output is not None
        try:
            if self._asked is not None and self._asked != request:
                read_answer(output)
                self._asked = None
            if self._asked is None:
                self._send(request)
            answer = read_answer(output)
            self._asked = None
            if ahead is not None and "error" not in answer[0]:
                self._send(ahead)
                self._asked = ahead
        except (BrokenPipeError, ValueError) as error:
            raise FormatError("the library that reads it broke down; the file is damaged") from error
        if "error" in answer[0]:
            raise FormatError(str(answer[0]["error"]))
        return answer

    def _send(self, request: Request) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(request).encode() + b"\n")
        self._process.stdin.flush()

    def close(self) -> None:
        """End the script."""
        self._close()


class SharedMemory:
    """
    Memory that a child process writes to and that is only read here, where the system has it.

    Attributes
    ----------
    descriptor : int
        Of its file, for the child; -1 where there is no such memory.
    """

    def __init__(self) -> None:
        self.descriptor = -1
        self._memory: mmap.mmap | None = None
        if hasattr(os, "memfd_create"):
            import fcntl

            with contextlib.suppress(OSError):
                self.descriptor = os.memfd_create("eventio", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
                fcntl.fcntl(self.descriptor, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK)  # reading it never fails
        if self.descriptor >= 0:
            weakref.finalize(self, os.close, self.descriptor)

    def view(self, first: int, stop: int) -> memoryview:
        """
        Give a part of it; the memory is made large enough.

        Parameters
        ----------
        first, stop : int
            Its bytes.

        Returns
        -------
        memoryview
            Read-only; empty where there is no such memory.
        """
        if self.descriptor < 0:
            return memoryview(b"")
        if self._memory is None or len(self._memory) < stop:
            os.ftruncate(self.descriptor, max(stop, os.fstat(self.descriptor).st_size))
            self._memory = mmap.mmap(self.descriptor, 0, prot=mmap.PROT_READ)
        return memoryview(self._memory)[first:stop]


def read_answer(output: IO[bytes]) -> tuple[dict[str, Any], bytes]:
    """
    Read one answer.

    Parameters
    ----------
    output : file
        Of the script.

    Returns
    -------
    tuple of (dict, bytes)
        The line and what follows.

    Raises
    ------
    ValueError
        The script ended before.
    """
    line = output.readline(MAX_LINE_BYTES)
    content: dict[str, Any] = json.loads(line)
    n_bytes = content.get("bytes", 0)
    data = output.read(n_bytes) if n_bytes else b""
    if len(data) != n_bytes:
        raise ValueError("cut short")
    return content, data


def end(process: subprocess.Popen[bytes]) -> None:
    """
    End a process and free what it held.

    Parameters
    ----------
    process : Popen
        Running or not.
    """
    process.kill()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            try:
                pipe.close()
            except BrokenPipeError:
                continue
    process.wait()
