"""Train models of the attention benchmark: causal attention, and all forms for the sign-language set.

Three steps, so that the training can run on another machine (it needs torch, norse and this package alone):

    python benchmarks/train_attention.py frames FOLDER            recordings -> frames (training and validation parts)
    python benchmarks/train_attention.py train FOLDER [--device cuda] [--workers 6]
    python benchmarks/train_attention.py keep FOLDER              threshold and temperature -> benchmarks/models/

Test recordings are never read here. The sign-language set is the DVS_Sign recordings of Chen et al., "Sign Language
Gesture Recognition and Classification Based on Event Camera with Spiking Neural Networks", Electronics 12 (2023) 786.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import subprocess
import sys
import time
from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from neuro.training import NetworkConfig, Recipe

MODELS = Path(__file__).resolve().parent / "models"
SEEDS = (0, 1, 2)
FORMS = {"plain": "window", "dynamic": "window", "causal": "causal", "moving": "moving"}
SIGN_CLASSES = 15
SIGN_FRAMES, SIGN_BIN_US, SIGN_SIDE, SIGN_MOST = 20, 200_000, 32, 15  # as in sign_language.py
RECIPE: dict[str, Any] = {
    "by_events": True,
    "every_step_weight": 0.5,
    "score_strength": 0.3,
    "hard_fraction": 0.7,
    "least_kept": 0.2,
    "keep_all": 0.25,
    "mean_score": 0.4,
    "validation_kept": (1.0, 0.6, 0.35),
}
SIGN_AUGMENTATION = {"shift_px": 2, "rotation_deg": 5.0, "scale": 0.05}


@dataclasses.dataclass(frozen=True)
class Job:
    """One training: a set and split, a form of attention ('plain': none), settings."""

    data: str
    seed: int
    form: str
    epochs: int
    network: dict[str, Any]
    recipe: dict[str, Any]

    @property
    def name(self) -> str:
        """Name of the model."""
        return f"{self.data}-split{self.seed}-{self.form}"

    @property
    def source(self) -> str:
        """Name of the frames."""
        return f"{self.data}-{self.seed}"

    def settings(self, input_shape: tuple[int, ...]) -> tuple[NetworkConfig, Recipe]:
        """Return what is trained and how."""
        from neuro.training import Augmentation, NetworkConfig, Recipe

        network = {**self.network, "input_shape": input_shape}
        config = NetworkConfig(**network, attention=self.form != "plain", attention_form=FORMS[self.form])
        recipe = dict(self.recipe)
        if "augmentation" in recipe:
            recipe["augmentation"] = Augmentation(**recipe["augmentation"])
        return config, Recipe(**recipe)


def jobs() -> list[Job]:
    """List all trainings, the most wanted first."""
    found = []
    sign = {
        "input_shape": (2, SIGN_SIDE, SIGN_SIDE),
        "n_classes": SIGN_CLASSES,
        "n_frames": SIGN_FRAMES,
        "dt_s": SIGN_BIN_US / 1e6,
        "tau_mem_s": 0.4,
        "tau_readout_s": 1.0,
        "dropout": 0.3,
        "max_count": SIGN_MOST,
    }
    for seed in SEEDS:
        for form in FORMS:
            recipe = {**RECIPE, "augmentation": SIGN_AUGMENTATION}
            found.append(Job("sign", seed, form, 80, sign, recipe))
        for data, n_frames in (("nmnist", 21), ("digits", 20)):
            for form in ("causal", "moving"):
                found.append(Job(data, seed, form, 40, {"n_frames": n_frames}, RECIPE))
    return found


# --- frames


def write_frames(folder: Path) -> None:
    """Bring the training and validation recordings of every set and split into frames."""
    from splits import data_dir, digits_split, nmnist_split

    from spikeloom.frame_sets import choose_encoding, load_frames
    from spikeloom.training import DEFAULT_BIN_US, DEFAULT_FILTER_WINDOW_US

    for seed in SEEDS:
        for name, split in (("digits", digits_split), ("nmnist", nmnist_split)):
            if name == "nmnist" and data_dir() is None:
                continue
            parts = split(seed)
            encoding = choose_encoding(
                parts.train, bin_us=DEFAULT_BIN_US, filter_window_us=DEFAULT_FILTER_WINDOW_US
            )
            train, validation = load_frames(parts.train, encoding), load_frames(parts.validation, encoding)
            write(
                folder / f"{name}-{seed}.npz",
                train.frames[:],
                train.labels,
                validation.frames[:],
                validation.labels,
            )
        root = data_dir()
        if root is not None and (root / "dvs_sign").is_dir():
            from sign_language import sign_split

            sign = sign_split(seed)
            write(folder / f"sign-{seed}.npz", *sign.train, *sign.validation)


def write(path: Path, *arrays: np.ndarray) -> None:
    """Write the parts of a set."""
    names = ("frames", "labels", "validation_frames", "validation_labels")
    np.savez_compressed(path, **dict(zip(names, arrays, strict=True)))  # type: ignore[arg-type]
    print(path, arrays[0].shape, arrays[2].shape, flush=True)


# --- training


def train_one(folder: Path, job: Job, device: str) -> None:
    """Train one network and write its weights and history."""
    import torch

    from neuro.training import train

    with np.load(folder / f"{job.source}.npz") as file:
        parts = [file[name] for name in ("frames", "labels", "validation_frames", "validation_labels")]
    config, recipe = job.settings(parts[0].shape[2:])
    start = time.perf_counter()
    trained = train(
        *parts,
        config=config,
        epochs=job.epochs,
        seed=job.seed,
        recipe=recipe,
        device=device,
        threads=1,
    )
    values = {
        "state": trained.network.state_dict(),
        "grid": trained.weight_grid,
        "best_epoch": trained.best_epoch,
        "validation_accuracy": trained.validation_accuracy,
        "after_rounding": trained.snapped_validation_accuracy,
        "seconds": time.perf_counter() - start,
    }
    torch.save(values, folder / f"{job.name}.pt")
    last = trained.history[-1]
    print(
        json.dumps(
            {
                "model": job.name,
                "validation_accuracy": round(trained.validation_accuracy, 4),
                "after_rounding": round(trained.snapped_validation_accuracy, 4),
                "best_epoch": trained.best_epoch,
                "mean_score": round(last.mean_score, 3),
                "spike_rate": round(last.spike_rate, 4),
                "seconds": round(values["seconds"], 1),
            }
        ),
        flush=True,
    )


def train_all(folder: Path, device: str, workers: int, only: str) -> None:
    """Train what is missing, several at a time, each in a process of its own."""
    waiting = deque(
        job
        for job in jobs()
        if job.name.startswith(only)
        and not (MODELS / f"{job.name}.h5").exists()
        and (folder / f"{job.source}.npz").exists()
        and not (folder / f"{job.name}.pt").exists()
    )
    running: list[subprocess.Popen[bytes]] = []
    while waiting or running:
        running = [process for process in running if process.poll() is None]
        while waiting and len(running) < workers:
            job = waiting.popleft()
            command = [sys.executable, __file__, "train", str(folder), "--device", device, "--job", job.name]
            running.append(subprocess.Popen(command))
        time.sleep(0.2)


# --- models


def main() -> None:
    """Run one step."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("step", choices=("frames", "train", "keep"))
    parser.add_argument("folder", type=Path)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--only", default="", help="the models whose name begins with this")
    parser.add_argument("--job", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    if arguments.step == "frames":
        write_frames(arguments.folder)
    elif arguments.step == "keep":
        from keep_models import keep_all

        keep_all(arguments.folder, [job for job in jobs() if job.name.startswith(arguments.only)])
    elif arguments.job:
        job = next(job for job in jobs() if job.name == arguments.job)
        train_one(arguments.folder, job, arguments.device)
    else:
        train_all(arguments.folder, arguments.device, arguments.workers, arguments.only)


if __name__ == "__main__":
    main()
