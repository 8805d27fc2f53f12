"""The command line in processes of its own: interrupts in other packages, names that are no text, a full disk."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.app_models import small_recognizer, write_folder, write_recording, write_truncated


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "model.h5"
    small_recognizer().save(path)
    return path


def run_program(
    folder: Path, code: str, *arguments: object, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run Python code and then the command line, as a module in a process of its own."""
    (folder / "program.py").write_text(f"{code}\nfrom spikeloom.cli import main\nmain()\n")
    paths = os.pathsep.join([str(folder), os.getcwd()])
    return subprocess.run(
        [sys.executable, "-m", "program", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"PYTHONPATH": paths} | environment,
        timeout=120,
    )


SWALLOWED = (
    "import os, signal\nimport spikeloom.recognizer as r\nload = r.Recognizer.load\n"
    "def interrupted(path):\n"
    "    try: os.kill(os.getpid(), signal.SIGINT)\n"
    "    except KeyboardInterrupt: {after}\n"
    "    return load(path)\n"
    "r.Recognizer.load = interrupted\n"
)


@pytest.mark.parametrize("after", ["pass", "raise AttributeError('half imported') from None"])
def test_an_interrupt_that_a_package_swallows(tmp_path: Path, model: Path, after: str) -> None:
    folder = write_folder(tmp_path / "set", labels=("0", "1"))
    done = run_program(tmp_path, SWALLOWED.format(after=after), "evaluate", model, folder, "--json")
    assert (done.returncode, done.stdout) == (130, "")
    assert done.stderr == "interrupted; nothing half-written was left behind\n"


def test_an_interrupt_that_passes_through_c_code(tmp_path: Path, model: Path) -> None:
    code = (
        "import ctypes\nimport spikeloom.recognizer as r\n"
        "def interrupted(path):\n"
        "    run = ctypes.pythonapi.PyRun_String\n"
        "    run.restype, run.argtypes = ctypes.py_object, [ctypes.c_char_p, ctypes.c_int, *[ctypes.py_object] * 2]\n"
        "    run(b'raise KeyboardInterrupt', 257, {}, {})\n"
        "r.Recognizer.load = interrupted\n"
    )
    done = run_program(tmp_path, code, "recognize", write_recording(tmp_path / "a.bin"), "--model", model)
    assert (done.returncode, done.stdout) == (130, "")
    assert done.stderr == "interrupted; nothing half-written was left behind\n"


def test_names_that_the_terminal_cannot_show(tmp_path: Path) -> None:
    path = write_recording(tmp_path / "été 日本.bin")
    done = run_program(tmp_path, "", "info", path, PYTHONIOENCODING="ascii")
    assert (done.returncode, done.stderr) == (0, "")
    assert r"\xe9t\xe9 \u65e5\u672c.bin" in done.stdout


def test_json_with_a_file_name_that_is_no_text(tmp_path: Path) -> None:
    path = write_truncated(tmp_path / os.fsdecode(b"\xe9.bin"))
    done = run_program(tmp_path, "", "info", path, "--json")
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["warnings"][0].startswith(str(path))


def test_a_full_disk_names_the_file(tmp_path: Path) -> None:
    code = (
        "import resource\nfrom spikeloom.storage import replaced_file\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
        "with replaced_file('page.html') as path: path.write_text('x' * 5000)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=os.environ | {"PYTHONPATH": os.getcwd()},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert "UserError: cannot write page.html: file too large (.); create the folder or" in done.stderr
    assert list(tmp_path.iterdir()) == []
