"""What happens to events after reading: filters, representations, and how well the filters do.

Speed: a real recording of 521,252 events (Prophesee EVT2, 640x480, 96 ms), repeated to ten million, one thread, million
events per second of processor time, from the array of events to a new array. Without the recording (`SPIKELOOM_DATA`) a
made one takes its place. Peers run in `.venv-peers` (`make peers`) on the same events, on fewer where they are slow.

Quality: ROC areas of the filters on a clean recording with noise put in.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from rows import Row, against_goal, show
from timing import best_seconds

import eventio
from eventio import denoising, representations

ROOT = Path(__file__).resolve().parents[1]
DATA = Path(os.environ.get("SPIKELOOM_DATA", ROOT.parent / "shared" / "data"))
SIZE = {"width": 640, "height": 480}
WINDOW_US, N_BINS = 2_000, 10
GOALS = {
    "background activity": 120.0,
    "correlation, 2 of 8": 120.0,
    "event count": 300.0,
    "frames, 10 bins": 300.0,
    "voxel grid, 10 bins": 100.0,
    "averaged time surfaces": 20.0,
}


def recording(n_events: int) -> eventio.Recording:
    """Repeat the real recording, or a made one, one after the other."""
    path = DATA / "faery_samples" / "evt2.raw"
    if path.is_file():
        one = eventio.read(path)
    else:
        rng = np.random.default_rng(0)
        t = np.sort(rng.integers(0, 100_000, 500_000))
        x = np.clip(t / 100_000 * 600 + rng.normal(20, 3, len(t)), 0, 639).astype(int)
        y, p = rng.integers(0, 480, len(t)), rng.random(len(t)) < 0.5
        one = eventio.Recording(eventio.make_events(t=t, x=x, y=y, p=p), **SIZE)
    parts = []
    span_us = int(one.t[-1] - one.t[0]) + 1
    for k in range(-(-n_events // len(one))):
        part = one.events.copy()
        part["t"] += k * span_us - int(one.t[0])
        parts.append(part)
    return eventio.Recording(np.concatenate(parts)[:n_events].copy(), **SIZE)


def tasks(whole: eventio.Recording) -> dict[str, Any]:
    """Name what is measured."""
    events = whole.events
    span = int(events["t"][-1] - events["t"][0])
    frames = {"bin_us": span // N_BINS + 1, "n_frames": N_BINS}
    filters: dict[str, denoising.Filter] = {
        "background activity": denoising.BackgroundActivity(WINDOW_US),
        "correlation, 2 of 8": denoising.SpatiotemporalCorrelation(WINDOW_US, 2),
        "rows and columns": denoising.RowsAndColumns(WINDOW_US),
        "double window of 36": denoising.DoubleWindow(18, 9),
        "refractory": denoising.Refractory(WINDOW_US),
        "flicker": denoising.Flicker(),
        "hot pixels": denoising.HotPixels(),
    }
    made: dict[str, Any] = {
        name: (lambda one=one: denoising.denoise(whole, one)) for name, one in filters.items()
    }
    made |= {
        "event count": lambda: representations.count_events(events, **SIZE),
        "frames, 10 bins": lambda: eventio.to_frames(events, **SIZE, **frames),
        "frames of 100,000 events": lambda: representations.frames_by_count(events, **SIZE, n_events=100_000),
        "binary frames, 10 bins": lambda: representations.binary_frames(events, **SIZE, **frames),
        "voxel grid, 10 bins": lambda: representations.voxel_grid(events, **SIZE, n_bins=N_BINS),
        "time surface": lambda: representations.time_surface(events, **SIZE, tau_us=50_000),
        "decaying count": lambda: representations.decaying_count(events, **SIZE, tau_us=50_000),
        "last times (TORE)": lambda: representations.last_times(events, **SIZE),
        "averaged time surfaces": lambda: representations.averaged_time_surfaces(events, **SIZE),
        "sparse counts for networks": lambda: eventio.bin_events(events, **SIZE, **frames),
        "radius graph": lambda: representations.radius_graph(events, **SIZE),
    }
    return made


def ask_peers(events: np.ndarray, quick: bool) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Run the peers in their own interpreter; nothing where they are not installed."""
    python = ROOT / ".venv-peers" / "bin" / "python"
    if not python.exists():
        print("peers are not installed (make peers): only goals are compared", file=sys.stderr)
        return {}, {}
    slow, dv = (20_000, 300_000) if quick else (100_000, 1_000_000)
    names = [
        f"tonic:denoise:{slow}", f"tonic:refractory:{slow}", f"tonic:averaged:{slow // 5}",
        "tonic:frames:1000000", "tonic:voxel:1000000",
        f"dv-processing:denoise:{dv}", f"dv-processing:fast decay:{dv}", f"dv-processing:order n:{dv}",
        f"dv-processing:count:{dv}", "faery:hot pixels:1000000", "NumPy:frames", "NumPy:count", "NumPy:voxel",
    ]  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        given, made = Path(folder, "events.npy"), Path(folder, "results.npz")
        np.save(given, events)
        script = Path(__file__).with_name("peers_processing.py")
        done = subprocess.run(
            [python, script, given, made, *names],
            check=True, capture_output=True, text=True, env=os.environ | {"OMP_NUM_THREADS": "1"},
        )  # fmt: skip
        with np.load(made) as file:
            return json.loads(done.stdout.splitlines()[-1]), dict(file)


PEER_TASKS = {
    "denoise": "background activity",
    "fast decay": "background activity",
    "order n": "rows and columns",
    "refractory": "refractory",
    "hot pixels": "hot pixels",
    "frames": "frames, 10 bins",
    "count": "event count",
    "voxel": "voxel grid, 10 bins",
    "averaged": "averaged time surfaces",
}


def agrees(name: str, found: np.ndarray | None, events: np.ndarray) -> bool:
    """Whether the peer computed the same, where its definition is ours; else ours was compared with the slow one."""
    peer, task, *rest = name.split(":")
    part = eventio.Recording(events[: int(rest[0])] if rest else events, **SIZE)
    if peer != "NumPy" or found is None:
        return equals_slow(part, task)
    if task == "count":
        return np.array_equal(found, representations.count_events(part.events, **SIZE))
    if task == "frames":
        span = int(part.t[-1] - part.t[0])
        ours = eventio.to_frames(part.events, **SIZE, bin_us=span // N_BINS + 1, n_frames=N_BINS)
        return np.array_equal(found, ours)
    ours = representations.voxel_grid(part.events, **SIZE, n_bins=N_BINS)
    # float32 sums of at most n terms of at most 1 against float64 ones
    n = int(representations.count_events(part.events, **SIZE).max())
    return bool(np.abs(found - ours).max() <= n * n * 2.0**-24)


def equals_slow(part: eventio.Recording, task: str) -> bool:
    """Compare ours with the slow ones of the tests on the first events."""
    sys.path.insert(0, str(ROOT / "tests" / "oracle"))  # a package of Lava's is called `tests`, too
    import event_representations as slow_maps
    import event_transforms as slow

    rows = part.events[:4_000].tolist()
    few = eventio.Recording(part.events[:4_000].copy(), **SIZE)
    if task in {"denoise", "fast decay"}:
        expected = slow.keep_supported(rows, WINDOW_US)
        kept = denoising.denoise(few, denoising.BackgroundActivity(WINDOW_US)).recording.events
        return kept.tolist() == [row for row, stays in zip(rows, expected, strict=True) if stays]
    if task == "order n":
        return denoising.RowsAndColumns(WINDOW_US).mark(few).tolist() == slow.keep_in_line(rows, WINDOW_US)
    if task == "refractory":
        return denoising.Refractory(WINDOW_US).mark(few).tolist() == slow.keep_rested(rows, WINDOW_US)
    if task == "hot pixels":
        return denoising.HotPixels().mark(few).tolist() == slow.keep_cool(
            rows, **SIZE, n_deviations=5, times_around=5
        )
    if task == "voxel":
        span = {"start_us": rows[0][0], "stop_us": rows[-1][0]}
        expected_grid = slow_maps.voxel_grid(rows, **SIZE, n_bins=N_BINS, **span)
        return np.array_equal(expected_grid, representations.voxel_grid(few.events, **SIZE, n_bins=N_BINS))
    if task == "averaged":
        found = representations.averaged_time_surfaces(few.events[:1_000], **SIZE)
        wanted = slow_maps.averaged_time_surfaces(
            rows[:1_000], **SIZE, cell=10, radius=3, tau_us=1e9, longest_us=100_000
        )
        return bool(np.allclose(found, wanted, rtol=2**-23, atol=1e6 * 2.0**-51))
    if task == "count":
        slow_counts, _, _ = slow.count_in_bins(rows, start_us=rows[0][0], bin_us=10**9, n_frames=1)
        counted = representations.count_events(few.events, **SIZE)
        return all(counted[place[1:]] == n for place, n in slow_counts.items())
    counts, _, _ = slow.count_in_bins(rows, start_us=rows[0][0], bin_us=10**9, n_frames=1)
    frames = eventio.to_frames(few.events, **SIZE, bin_us=10**9, n_frames=1)
    return all(frames[place] == n for place, n in counts.items()) and int(frames.sum()) == len(rows)


def speed(quick: bool) -> list[Row]:
    """Million events per second of everything, beside goals and peers."""
    whole = recording(2_000_000 if quick else 10_400_000)
    peers, results = ask_peers(whole.events, quick)
    rates: dict[str, float] = {}
    rows = []
    for name, run in tasks(whole).items():
        seconds = best_seconds(run, repeats=3 if quick else 5, budget_s=4 if quick else 15)
        rates[name] = len(whole) / seconds / 1e6
        if name in GOALS:
            rows.append(against_goal(f"{name}, against the goal", rates[name], GOALS[name], "Mev/s"))
        else:
            rows.append(
                Row(name, rates[name], "none", float("nan"), "Mev/s", float("nan"), float("nan"), True)
            )
    for name, rate in peers.items():
        peer, task, *_ = name.split(":")
        if isinstance(rate, str):
            print(f"{name}: {rate}", file=sys.stderr)
            continue
        ours = rates[PEER_TASKS[task]]
        label = f"{PEER_TASKS[task]} ({peer}: {task})"
        same = agrees(name, results.get(name), whole.events)
        rows.append(Row(label, ours, peer, rate, "Mev/s", ours / rate, 1.0, same))
    return rows


def quality(quick: bool) -> list[Row]:
    """ROC areas: real gesture clip, modelled and measured noise; the best filter against background activity."""
    clip_path = DATA / "dvs_gesture_slayer10" / "2.bs2"
    if not clip_path.is_file():
        print(f"{clip_path} is missing: no quality is measured", file=sys.stderr)
        return []
    clip = eventio.sort_by_time(eventio.read(clip_path, width=128, height=128))
    noises: dict[str, Any] = {
        f"{rate} Hz per pixel": denoising.NoiseModel(rate, 0.1) for rate in ((5,) if quick else (1, 3, 5, 10))
    }
    if not quick:
        noises["5 Hz and hot pixels"] = denoising.NoiseModel(5, 0.1, hot_share=0.005)
        folder = DATA / "iebcs_noise"
        for lux in ("0.1lux", "161lux", "3klux"):
            pair = [folder / f"noise_{sign}_{lux}.npy" for sign in ("pos", "neg")]
            noises[f"measured at {lux}"] = denoising.MeasuredNoise.load(*pair)
    settings: dict[str, Any] = dict(denoising.filter_settings())
    weights = DATA / "jaer_mlpf" / "MLPF_2xMSEO1H20_linear_7.pb"
    if weights.is_file():
        settings["perceptron (jAER's weights)"] = denoising.Perceptron.load(weights)
    areas = {
        (each.noise_name, each.filter_name): each.curve.area
        for each in denoising.compare_filters(clip, noises, filters=settings)
    }
    return [
        Row(
            f"ROC area, {noise}: {name}", area, "background activity", areas[noise, "background activity"],
            "1", area / areas[noise, "background activity"], 1.0, True,
        )
        for (noise, name), area in areas.items()
        if name != "background activity"
    ]  # fmt: skip


PARTS = {"speed": speed, "quality": quality}


def main() -> None:
    """Measure, print, and write what was asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="fewer events: under a minute")
    parser.add_argument("--json", type=Path, help="write the rows to this file")
    parser.add_argument("--parts", nargs="+", choices=list(PARTS), default=list(PARTS))
    args = parser.parse_args()
    rows = [row for part in args.parts for row in PARTS[part](args.quick)]
    show(rows, title="Events after reading", json_path=args.json)


if __name__ == "__main__":
    main()
