"""One recording through one network: what every node did, and what came out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import neuro
import neuro.graph
from spikeloom.encoding import Encoding
from spikeloom.errors import UserError
from spikeloom.networks import frames_for, read_network
from spikeloom.recordings import REFUSE_DAMAGE, DamagePolicy, Window, ordered_chunks, windows
from spikeloom.storage import replaced_file

__all__ = ["SimulatedFile", "simulate_file"]


@dataclass(frozen=True, eq=False)
class SimulatedFile:
    """What a network did with a recording.

    Attributes
    ----------
    outputs : dict of str to array
        Of each output node: spikes, counts or membranes, shape ``(n_steps, *shape)``, float32.
    n_steps, n_windows, n_events : int
        Steps, windows (each from a state of rest), and events that entered.
    spikes, synaptic_operations : dict of str to int
        By node.
    """

    outputs: dict[str, NDArray[np.float32]]
    n_steps: int
    n_windows: int
    n_events: int
    spikes: dict[str, int]
    synaptic_operations: dict[str, int]

    def rows(self) -> list[tuple[str, str]]:
        """Return names and values for a table."""
        found = [
            ("steps", f"{self.n_steps:,} in {self.n_windows:,} windows"),
            ("events", f"{self.n_events:,}"),
        ]
        found += [(f"spikes of {name}", f"{n:,}") for name, n in self.spikes.items()]
        found += [(f"operations of {name}", f"{n:,}") for name, n in self.synaptic_operations.items()]
        for name, output in self.outputs.items():
            total = output.reshape(len(output), -1).sum(axis=0, dtype=np.float64)
            found.append(
                (f"largest sum of {name}", f"{total.max():g} at {int(total.argmax())} of {total.size}")
            )
        return found

    def to_json(self) -> dict[str, Any]:
        """Return the figures as plain data; of the outputs their sums over time."""
        sums = {
            name: [float(value) for value in output.reshape(len(output), -1).sum(axis=0, dtype=np.float64)]
            for name, output in self.outputs.items()
        }
        return {
            "steps": self.n_steps,
            "windows": self.n_windows,
            "events": self.n_events,
            "spikes": self.spikes,
            "synaptic_operations": self.synaptic_operations,
            "output_sums": sums,
        }


def simulate_file(
    network: Path,
    recording: Path,
    *,
    dt_s: float | None = None,
    time_unit_s: float | None = None,
    n_frames: int | None = None,
    out: Path | None = None,
    damage: DamagePolicy = REFUSE_DAMAGE,
) -> SimulatedFile:
    """Run a recording through a network.

    A model file says how its events become frames and how long a window is. For a network that stands alone (a NIR or
    graph file) a frame is a step, and one window holds the whole recording.

    Parameters
    ----------
    network, recording : Path
        The files.
    dt_s, time_unit_s : float, optional
        Of a NIR file, as in `read_network`.
    n_frames : int, optional
        Frames of a window of a network that stands alone.
    out : Path, optional
        Where the outputs are written, as .npz with an array for each output node.
    damage : DamagePolicy
        What to do with damaged recordings.

    Returns
    -------
    SimulatedFile
        Outputs and counts.

    Raises
    ------
    UserError
        If the network does not take events, or `n_frames` is given for a model file.
    """
    graph, recognizer = read_network(network, dt_s=dt_s, time_unit_s=time_unit_s)
    if recognizer is None:
        encoding = frames_for(graph, network, n_frames=1)
        n_frames = _covering(recording, encoding, damage) if n_frames is None else n_frames
        encoding = frames_for(graph, network, n_frames=n_frames)
    elif n_frames is not None:
        raise UserError(
            f"{network}: --frames is for networks that stand alone; a model file says its windows itself"
        )
    else:
        encoding = recognizer.encoding
    outputs: dict[str, list[NDArray[np.float32]]] = {name: [] for name in graph.output_names}
    spikes: Counter[str] = Counter()
    operations: Counter[str] = Counter()
    n_windows = n_events = 0
    for window in _windows(recording, encoding, damage):
        inputs = encoding.spikes(window)
        result = neuro.simulate(graph, inputs)
        for name in graph.output_names:
            outputs[name].append(np.asarray(result.outputs[name], np.float32))
        spikes.update(result.counters.spikes)
        operations.update(result.counters.synaptic_operations)
        n_windows, n_events = n_windows + 1, n_events + int(inputs.value.sum(dtype=np.float64))
    whole = {name: np.concatenate(parts) for name, parts in outputs.items()}
    if out is not None:
        with replaced_file(out) as part, open(part, "wb") as file:
            np.savez_compressed(file, **whole)  # type: ignore[arg-type]
    n_steps = n_windows * encoding.n_frames
    return SimulatedFile(whole, n_steps, n_windows, n_events, dict(spikes), dict(operations))


def _windows(recording: Path, encoding: Encoding, damage: DamagePolicy) -> Iterator[Window]:
    width, height, window_us = encoding.width, encoding.height, encoding.window_us
    return windows(recording, width=width, height=height, window_us=window_us, damage=damage)


def _covering(recording: Path, graph_encoding: Encoding, damage: DamagePolicy) -> int:
    """Return the frames from the first event to the last."""
    first_us = last_us = None
    width, height = graph_encoding.width, graph_encoding.height
    for chunk in ordered_chunks(recording, width=width, height=height, damage=damage):
        first_us = int(chunk["t"][0]) if first_us is None else first_us
        last_us = int(chunk["t"][-1])
    if first_us is None or last_us is None:
        raise UserError(f"{recording}: holds no event")
    return (last_us - first_us) // graph_encoding.bin_us + 1
