"""The worker process: reads jobs from a folder, runs them in Lava, leaves the results there; ends with its parent."""

from __future__ import annotations

import os
import pickle
import signal
import sys
import threading
import traceback
from pathlib import Path

__all__ = ["main", "end_with_parent"]


def end_with_parent() -> None:
    """End this process and all that it started as soon as nobody holds the other end of its input any more."""

    def wait() -> None:
        while os.read(0, 1):
            pass
        os.killpg(0, signal.SIGKILL)

    threading.Thread(target=wait, daemon=True).start()


def main(folder: Path) -> int:
    """Run all jobs of a folder; what goes wrong is left in the file `error`."""
    from hw.fixed import FixedGraph
    from hw.lava.building import run

    try:
        for job in pickle.loads((folder / "jobs.pickle").read_bytes()):
            place = folder / job["place"]
            place.mkdir()
            run(FixedGraph(**job["fixed"]), job["inputs"], job["n_steps"], place)
            (place / "done").touch()
    except BaseException:
        (folder / "error").write_text(traceback.format_exc())
        return 1
    return 0


if __name__ == "__main__":
    end_with_parent()
    sys.exit(main(Path(sys.argv[1])))
