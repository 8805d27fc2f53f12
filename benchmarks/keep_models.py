"""Turn trained weights into benchmark models: threshold and temperature are chosen on validation recordings."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from splits import MODELS

from neuro.training import SpikingNetwork, TrainedNetwork
from spikeloom.encoding import Encoding
from spikeloom.frame_sets import FrameSet
from spikeloom.recognizer import Recognizer
from spikeloom.training import finish

if TYPE_CHECKING:
    from train_attention import Job


def keep_all(folder: Path, jobs: Sequence[Job]) -> None:
    """Write a model for every training that is done."""
    for job in jobs:
        if (folder / f"{job.name}.pt").exists():
            keep(folder, job)


def keep(folder: Path, job: Job) -> None:
    """Write one model."""
    values = torch.load(folder / f"{job.name}.pt", map_location="cpu", weights_only=True)
    with np.load(folder / f"{job.source}.npz") as file:
        frames, labels = file["validation_frames"], file["validation_labels"].astype(np.int64)
    config, recipe = job.settings(frames.shape[2:])
    network = SpikingNetwork(replace(config, batch_norm=False))
    network.load_state_dict(values["state"])
    trained = TrainedNetwork(
        network=network.requires_grad_(False).eval(),
        weight_grid=values["grid"],
        config=config,
        recipe=recipe,
        seed=job.seed,
        history=(),
        best_epoch=values["best_epoch"],
        validation_accuracy=values["validation_accuracy"],
        snapped_validation_accuracy=values["after_rounding"],
    )
    encoding, names = encoding_of(job, config.n_frames)
    result = finish(
        trained,
        FrameSet(frames, labels, np.arange(len(labels))),
        encoding=encoding,
        class_names=names,
        dataset=job.data,
    )
    path = MODELS / f"{job.name}.h5"
    result.recognizer.save(path)
    print(
        json.dumps(
            {
                "model": path.name,
                "kilobytes": path.stat().st_size // 1000,
                "validation_accuracy": round(trained.validation_accuracy, 4),
                "threshold": result.chosen.threshold,
                "validation_frames_kept": round(result.chosen.frames_kept, 3),
                "validation_accuracy_there": round(result.chosen.accuracy, 4),
            }
        ),
        flush=True,
    )


def encoding_of(job: Job, n_frames: int) -> tuple[Encoding, tuple[str, ...]]:
    """Give the encoding and class names: those of the plain model of the split, or of the sign-language frames."""
    if job.data == "sign":
        from sign_language import BIN_US, SIDE

        names = tuple(str(k) for k in range(job.network["n_classes"]))
        return Encoding(SIDE, SIDE, n_frames, BIN_US, 0), names
    model = Recognizer.load(MODELS / f"{job.data}-split{job.seed}-plain.h5")
    return model.encoding, model.class_names
