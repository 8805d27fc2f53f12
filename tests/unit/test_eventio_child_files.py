"""Child processes that read HDF5 and MATLAB files: how many there are, when they end, and whose they are."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import eventio
from eventio import child_files, child_process
from tests.event_tables import make_recording

NAMES = ("a.h5", "a.mat")
LONGEST_S = 20.0


@pytest.fixture
def begun(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """The processes that a test begins."""
    numbers: list[int] = []

    class Counted(subprocess.Popen[bytes]):
        def __init__(self, *args: Any, **options: Any) -> None:
            super().__init__(*args, **options)
            numbers.append(self.pid)

    child_files.end_processes()
    monkeypatch.setattr(child_process.subprocess, "Popen", Counted)
    yield numbers
    child_files.end_processes()
    assert not any(Path(f"/proc/{number}").exists() for number in numbers)


def use_script(monkeypatch: pytest.MonkeyPatch, path: Path, text: str) -> None:
    path.write_text(text)
    monkeypatch.setattr(child_process._child_arrays, "__file__", str(path))


def test_one_process_reads_many_files(tmp_path: Path, begun: list[int]) -> None:
    found = []
    for i in range(6):
        recording = make_recording(100 + i, seed=i)
        path = tmp_path / f"{i}{NAMES[i % 2]}"
        eventio.write(path, recording)
        found.append((recording, eventio.read(path)))
    assert len(begun) == 1
    for recording, again in found:  # after all of them: none is a view of memory that others use
        np.testing.assert_array_equal(again.events, recording.events)


def test_a_process_is_used_by_one_open_file_at_a_time(tmp_path: Path, begun: list[int]) -> None:
    recordings = [make_recording(500, seed=i) for i in range(2)]
    for name, recording in zip(NAMES, recordings, strict=True):
        eventio.write(tmp_path / name, recording)
    with eventio.open(tmp_path / NAMES[0]) as first, eventio.open(tmp_path / NAMES[1]) as second:
        pairs = list(zip(first.chunks(n_events=50), second.chunks(n_events=50), strict=True))
    for i, recording in enumerate(recordings):
        np.testing.assert_array_equal(np.concatenate([pair[i] for pair in pairs]), recording.events)
    assert len(begun) == 2
    assert len({process.n_files for process in child_files.idle}) <= 1


def test_threads_share_processes(tmp_path: Path, begun: list[int]) -> None:
    recordings = [make_recording(200, seed=i) for i in range(12)]
    for i, recording in enumerate(recordings):
        eventio.write(tmp_path / f"{i}.h5", recording)
    with ThreadPoolExecutor(3) as pool:
        found = list(pool.map(eventio.read, [tmp_path / f"{i}.h5" for i in range(12)]))
    for recording, again in zip(recordings, found, strict=True):
        np.testing.assert_array_equal(again.events, recording.events)
    assert 1 <= len(begun) <= 3


@pytest.mark.parametrize("name", NAMES)
def test_a_process_that_ended_while_it_waited_is_replaced(
    tmp_path: Path, begun: list[int], name: str
) -> None:
    eventio.write(tmp_path / name, make_recording(10))
    eventio.read(tmp_path / name)
    os.kill(begun[0], signal.SIGKILL)
    assert len(eventio.read(tmp_path / name)) == 10
    assert len(begun) == 2


def test_a_file_that_ends_a_used_process_is_tried_by_a_new_one(
    tmp_path: Path, begun: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    eventio.write(tmp_path / "a.h5", make_recording(10))
    eventio.read(tmp_path / "a.h5")
    ask, n_left = child_process.ChildProcess.ask, [1]

    def kill_first(self: child_process.ChildProcess, *args: Any) -> child_process.Answer:
        if n_left[0]:
            n_left[0] = 0
            os.kill(begun[-1], signal.SIGKILL)
        return ask(self, *args)

    monkeypatch.setattr(child_process.ChildProcess, "ask", kill_first)
    assert len(eventio.read(tmp_path / "a.h5")) == 10
    assert len(begun) == 2


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ("import os\nos.abort()\n", "broke down"),
        ("print('x' * 16, flush=True)\n", "broke down"),
        ("import signal, time\nsignal.alarm(1)\ntime.sleep(9)\n", "did not come to an end within a minute"),
    ],
)
def test_a_breakdown_of_the_library_is_an_error_of_the_file(
    tmp_path: Path, begun: list[int], monkeypatch: pytest.MonkeyPatch, script: str, message: str
) -> None:
    eventio.write(tmp_path / "a.h5", make_recording(10))
    with monkeypatch.context() as patch:
        use_script(patch, tmp_path / "script.py", script)
        with pytest.raises(eventio.FormatError, match=rf"a\.h5: the library that reads it {message}"):
            eventio.read(tmp_path / "a.h5")
    assert len(begun) == 1
    assert len(eventio.read(tmp_path / "a.h5")) == 10


def test_a_process_that_met_damage_reads_no_other_file(tmp_path: Path, begun: list[int]) -> None:
    eventio.write(tmp_path / "a.mat", make_recording(10))
    (tmp_path / "b.mat").write_bytes((tmp_path / "a.mat").read_bytes()[:200])
    with pytest.raises(eventio.FormatError, match="the file is damaged"):
        eventio.read(tmp_path / "b.mat")
    assert not child_files.idle
    assert len(eventio.read(tmp_path / "a.mat")) == 10
    assert len(begun) == 2


@pytest.mark.parametrize(("name", "value"), [("MOST_FILES", 1), ("MOST_KEPT_BYTES", 100), ("MOST_IDLE", 0)])
def test_processes_that_do_not_wait(
    tmp_path: Path, begun: list[int], monkeypatch: pytest.MonkeyPatch, name: str, value: int
) -> None:
    eventio.write(tmp_path / "a.h5", make_recording(10))
    monkeypatch.setattr(child_files, name, value)
    for _ in range(2):
        eventio.read(tmp_path / "a.h5")
    assert len(begun) == 2
    assert not child_files.idle


def test_an_interrupted_answer_is_not_taken_for_the_next(
    tmp_path: Path, begun: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    eventio.write(tmp_path / "a.h5", make_recording(10))

    def interrupt(self: child_process.ChildProcess) -> child_process.Answer:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(child_process.ChildProcess, "_read_answer", interrupt)
        with pytest.raises(KeyboardInterrupt):
            eventio.read(tmp_path / "a.h5")
    assert len(eventio.read(tmp_path / "a.h5")) == 10
    assert len(begun) == 2


def test_a_relative_path_is_of_the_folder_one_is_in(
    tmp_path: Path, begun: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    for i, folder in enumerate(("one", "two")):
        (tmp_path / folder).mkdir()
        monkeypatch.chdir(tmp_path / folder)
        eventio.write("a.h5", make_recording(10 + i))
        assert len(eventio.read("a.h5")) == 10 + i
    assert len(begun) == 1


FORKS = """
import os, sys
import eventio
from eventio import child_files
reader = eventio.open(sys.argv[1])
events = reader.chunks(n_events=4)
n_events = len(next(events))
process = os.fork()
if process == 0:
    try:
        list(events)
    except eventio.FileAccessError as error:
        assert "was opened by the process that this one was forked of" in str(error), error
        assert not child_files.begun
        assert len(eventio.read(sys.argv[1])) == 10
        assert len(child_files.idle) == 1
        child_files.end_processes()
        os._exit(7)
    os._exit(1)
assert os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) == 7
assert n_events + sum(map(len, events)) == 10
reader.close()
"""
ENDS = """
import multiprocessing, os, sys
import eventio
from eventio import child_files
def work():
    eventio.read(sys.argv[1])
    print(child_files.idle[0]._process.pid, flush=True)
if sys.argv[2] == "worker":
    process = multiprocessing.get_context("fork").Process(target=work)
    process.start()
    process.join()
else:
    work()
if sys.argv[2] == "killed":
    os.kill(os.getpid(), 9)
"""


def test_a_forked_process_has_processes_of_its_own(tmp_path: Path) -> None:
    eventio.write(tmp_path / "a.h5", make_recording(10))
    block = "from eventio import array_files\narray_files.ArrayFileSource.block_rows = 4\n"
    subprocess.run([sys.executable, "-c", block + FORKS, tmp_path / "a.h5"], check=True)


@pytest.mark.parametrize("how", ["ended", "worker", "killed"])
def test_a_process_ends_with_the_one_that_began_it(tmp_path: Path, how: str) -> None:
    eventio.write(tmp_path / "a.h5", make_recording(10))
    script = [sys.executable, "-c", ENDS, tmp_path / "a.h5", how]
    done = subprocess.run(script, capture_output=True, text=True, check=False)
    assert done.returncode == (-signal.SIGKILL if how == "killed" else 0), done.stderr
    process = Path(f"/proc/{int(done.stdout)}")
    if how != "killed":
        assert not process.exists()  # it was waited for
    last = time.monotonic() + LONGEST_S
    while is_alive(process) and time.monotonic() < last:
        time.sleep(0.01)
    assert not is_alive(process)


def is_alive(process: Path) -> bool:
    """Say whether a process runs; one that ended and that nobody has waited for yet does not."""
    try:
        return "(zombie)" not in (process / "status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
