"""The worker process: reads jobs from a folder, runs them in Lava, leaves the results there."""

from __future__ import annotations

import pickle
import sys
import traceback
from pathlib import Path

__all__ = ["main"]


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
    sys.exit(main(Path(sys.argv[1])))
