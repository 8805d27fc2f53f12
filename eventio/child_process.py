"""
A process of its own that reads HDF5 and MATLAB files.

Some libraries abort their whole process, or never return, on damaged files, which no `except` can catch; here only
a child ends. It runs a script that serves requests, see `_child_arrays` for those, and ends with this process, however
that ends: its input is closed then.
"""

from __future__ import annotations

import contextlib
import json
import mmap
import os
import subprocess
import sys
import weakref
from typing import Any

from eventio import _child_arrays
from eventio.errors import FormatError

MOST_TEXT_BYTES = 1 << 22
PIPE_BYTES = 1 << 20
"""How much a pipe takes before its writer has to wait, where the system lets us choose."""
TOOK_TOO_LONG = -14
"""How it ends by its alarm, as `subprocess` says it."""

Request = dict[str, Any]
Answer = tuple[dict[str, Any], bytes]


class BreakdownError(FormatError):
    """The process ended, or says what makes no sense."""


class ChildProcess:
    """
    A running script that answers requests.

    Attributes
    ----------
    memory : SharedMemory
        What it writes values to.
    n_files : int
        How many files it was asked to open.
    """

    def __init__(self) -> None:
        self.memory = SharedMemory()
        shares = (self.memory.descriptor,) if self.memory.descriptor >= 0 else ()
        self._process: subprocess.Popen[bytes] | None = subprocess.Popen(
            [sys.executable, "-P", _child_arrays.__file__, str(self.memory.descriptor)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            bufsize=0,
            pipesize=PIPE_BYTES,
            pass_fds=shares,
        )
        self.n_files = 0
        self._had_error = False
        self._asked: Request | None = None

    @property
    def is_sound(self) -> bool:
        """Whether it runs, nothing went wrong yet, and no answer is outstanding."""
        process = self._process
        return process is not None and process.poll() is None and not self._had_error and self._asked is None

    def ask(self, request: Request, ahead: Request | None = None) -> Answer:
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
            The answer, and the values behind it.

        Raises
        ------
        FormatError
            The script says so, or took too long and ended.
        BreakdownError
            It ended for another reason.
        """
        try:
            answer = self._exchange(request, ahead)
        except (OSError, ValueError) as error:
            if self.end() == TOOK_TOO_LONG:
                raise FormatError(
                    "the library that reads it did not come to an end within a minute; the file is damaged"
                ) from error
            raise BreakdownError("the library that reads it broke down; the file is damaged") from error
        except BaseException:  # such as a key: whose the next answer is would be unknown
            self.end()
            raise
        if "error" in answer[0]:
            self._had_error = True
            raise FormatError(str(answer[0]["error"]))
        return answer

    def tell(self, request: Request) -> None:
        """
        Ask for something that is not answered.

        Parameters
        ----------
        request : dict
            What the script understands.

        Raises
        ------
        OSError
            It ended.
        """
        process = self._process
        if process is None:
            raise BrokenPipeError
        assert process.stdin is not None
        data = json.dumps(request).encode() + b"\n"
        while data:
            data = data[process.stdin.write(data) :]

    def _exchange(self, request: Request, ahead: Request | None) -> Answer:
        if self._asked is not None and self._asked != request:
            self._read_answer()
            self._asked = None
        if self._asked is None:
            self.tell(request)
        answer = self._read_answer()
        self._asked = None
        if ahead is not None and "error" not in answer[0]:
            self.tell(ahead)
            self._asked = ahead
        return answer

    def _read_answer(self) -> Answer:
        n_text, n_data = _child_arrays.SIZES.unpack(self._read(_child_arrays.SIZES.size))
        content: dict[str, Any] = json.loads(self._read(min(n_text, MOST_TEXT_BYTES)))
        return content, self._read(n_data)

    def _read(self, n_bytes: int) -> bytes:
        process = self._process
        if process is None:
            raise BrokenPipeError
        assert process.stdout is not None
        parts = []
        while n_bytes:
            part = process.stdout.read(min(n_bytes, PIPE_BYTES))
            if not part:
                raise ValueError("cut short")
            parts.append(part)
            n_bytes -= len(part)
        return b"".join(parts)

    def end(self) -> int | None:
        """
        End it and free what it held.

        Returns
        -------
        int or None
            How it ended, as `subprocess` says it; None where `end` or `disown` were called before.
        """
        process, self._process = self._process, None
        if process is None:
            return None
        process.kill()
        close_pipes(process)
        return process.wait()

    def disown(self) -> None:
        """Let go of it in a forked process: it belongs to the process that was forked."""
        if (process := self._process) is not None:
            self._process = None
            close_pipes(process)
            process.returncode = 0  # nobody here waits for it


def close_pipes(process: subprocess.Popen[bytes]) -> None:
    """
    Close the pipes to a process.

    Parameters
    ----------
    process : Popen
        Running or not.
    """
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            pipe.close()


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

    @property
    def n_bytes_held(self) -> int:
        """How many bytes of the system's memory it takes."""
        return os.fstat(self.descriptor).st_blocks * 512 if self.descriptor >= 0 else 0

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
