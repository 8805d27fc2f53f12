"""Train every model that the recognition benchmark needs; those that exist are kept, the shipped one is used as it is.

Test recordings are never read here: validation data choose the epoch, the attention threshold and the temperature.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path

from rich.progress import track
from splits import MODELS, SEEDS, Parts, data_dir, digits_split, nmnist_official, nmnist_split

from neuro.training import NetworkConfig, Recipe
from spikeloom.training import train_recognizer

#: Right early and with few frames: a loss at every step, scores by events, hard masks down to a fifth of the frames.
DYNAMIC = Recipe(
    every_step_weight=0.5,
    by_events=True,
    score_strength=0.3,
    hard_fraction=0.7,
    least_kept=0.2,
    keep_all=0.25,
    validation_kept=(1.0, 0.6, 0.35),
)


def jobs() -> list[tuple[str, Callable[[int], Parts], int, int, bool]]:
    """List (file name, splitting function, split seed, training seed, attention)."""
    found: list[tuple[str, Callable[[int], Parts], int, int, bool]] = []
    for seed in SEEDS:
        if seed:  # seed 0 on split 0 is the shipped model
            found.append((f"digits-seed{seed}", lambda _: digits_split(0), 0, seed, True))
        for attention in (True, False):
            name = "attention" if attention else "plain"
            found.append((f"digits-split{seed}-{name}", digits_split, seed, seed, attention))
            found.append((f"nmnist-split{seed}-{name}", nmnist_split, seed, seed, attention))
        found.append((f"digits-split{seed}-dynamic", digits_split, seed, seed, True))
        found.append((f"nmnist-split{seed}-dynamic", nmnist_split, seed, seed, True))
        found.append((f"nmnist-seed{seed}", nmnist_official, seed, seed, True))
    found.remove(next(job for job in found if job[0] == "digits-split0-attention"))
    return [job for job in found if data_dir() is not None or job[0].startswith("digits")]


def main() -> None:
    """Train what is missing."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="train the models whose name begins with this")
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    MODELS.mkdir(exist_ok=True)
    wanted = [job for job in jobs() if job[0].startswith(arguments.only)]
    for name, split, split_seed, seed, attention in track(wanted, description="models"):
        path = MODELS / f"{name}.h5"
        if not path.exists():
            train_one(path, split(split_seed), seed=seed, attention=attention, threads=arguments.threads)


def train_one(path: Path, parts: Parts, *, seed: int, attention: bool, threads: int) -> None:
    """Train one model, write it and the curve of its threshold on validation data."""
    result = train_recognizer(
        parts.train,
        parts.validation,
        seed=seed,
        threads=threads,
        network=NetworkConfig(attention=attention),
        recipe=DYNAMIC if path.stem.endswith("-dynamic") else None,
    )
    trained = result.trained
    result.recognizer.save(path)
    print(
        json.dumps(
            {
                "model": path.stem,
                "validation_accuracy": trained.validation_accuracy,
                "after_rounding": trained.snapped_validation_accuracy,
                "threshold": result.chosen.threshold,
                "validation_frames_kept": result.chosen.frames_kept,
                "seconds": round(sum(report.seconds for report in trained.history), 1),
            }
        ),
        flush=True,
    )


if __name__ == "__main__":
    main()
