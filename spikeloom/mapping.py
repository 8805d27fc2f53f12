"""From a network's file to a chip: reading, mapping, proving, writing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import hw
import neuro
import neuro.graph
from hw.reporting import rows
from spikeloom.chip_tuning import TunedNetwork, TuningPlan, tune
from spikeloom.encoding import Encoding
from spikeloom.errors import UserError
from spikeloom.networks import DEFAULT_FRAMES, frames_for, read_network
from spikeloom.recognizer import Recognizer
from spikeloom.recordings import windows
from spikeloom.storage import prepared_folder

__all__ = ["MappedFile", "map_file"]


@dataclass(frozen=True, eq=False)
class MappedFile:
    """What `spikeloom map` did.

    Attributes
    ----------
    mapping : hw.Mapping
        The network on the chip.
    certificate : hw.Certificate or None
        The proof, if there was a recording.
    written : tuple of Path
        Files.
    left_out : tuple of str
        Files that were not written, with the reason.
    tuned : TunedNetwork or None
        The fine-tuning, if one was asked for.
    """

    mapping: hw.Mapping
    certificate: hw.Certificate | None
    written: tuple[Path, ...]
    left_out: tuple[str, ...]
    tuned: TunedNetwork | None = None

    def rows(self) -> list[tuple[str, str]]:
        """Return names and values for a table."""
        found = list(rows(self.mapping))
        if self.tuned is not None:
            found += self.tuned.rows()
        if self.certificate is None:
            found.append(("certificate", "none: give a --recording"))
        else:
            found += _certificate_rows(self.certificate)
        found.append(("written", ", ".join(path.name for path in self.written)))
        return found + [("not written", text) for text in self.left_out]

    def to_json(self) -> dict[str, Any]:
        """Return the figures as plain data."""
        mapping, certificate = self.mapping, self.certificate
        return {
            "target": mapping.target.name,
            "cores": mapping.n_cores,
            "cores_needed_at_least": max(mapping.bound.values()),
            "chips": mapping.placement.n_chips,
            "sequential_cores": mapping.sequential_cores,
            "messages_per_step": mapping.messages_per_step,
            "sequential_messages_per_step": mapping.sequential_messages,
            "messages_are_measured": mapping.is_measured,
            "costs": [
                {
                    "table": cost.table.name,
                    "step_time_s": cost.step_time_s,
                    "step_energy_j": cost.step_energy_j,
                    "inference_time_s": cost.inference_time_s,
                    "inference_energy_j": cost.inference_energy_j,
                    "unpriced": list(cost.unpriced),
                }
                for cost in mapping.costs
            ],
            "notes": list(mapping.fixed.notes),
            "fine_tuning": None if self.tuned is None else self.tuned.to_json(),
            "certificate": None if certificate is None else certificate.to_json(),
            "written": [str(path) for path in self.written],
            "not_written": list(self.left_out),
        }


def _certificate_rows(certificate: hw.Certificate) -> list[tuple[str, str]]:
    found = []
    for engine, version in certificate.engines.items():
        if engine in certificate.n_values:
            differs = certificate.difference is not None and certificate.difference.engine == engine
            verdict = "DIFFERS" if differs else "equal"
            found.append(
                (
                    f"certificate: {engine}",
                    f"{verdict} in {certificate.n_values[engine]:,} values ({version})",
                )
            )
    found += [
        (f"certificate: {engine}", f"not run: {reason}") for engine, reason in certificate.skipped.items()
    ]
    if certificate.difference is not None:
        found.append(("first difference", str(certificate.difference)))
    return found


def map_file(
    path: Path,
    target: str,
    out: Path,
    *,
    recordings: Sequence[Path] = (),
    dt_s: float | None = None,
    time_unit_s: float | None = None,
    n_frames: int | None = None,
    weight_bits: int | None = None,
    partitioner: str = "own",
    with_lava: bool = True,
    tuning: TuningPlan | None = None,
) -> MappedFile:
    """Map a network's file and write what belongs to it into a folder.

    Parameters
    ----------
    path : Path
        The network.
    target : str
        Name of a chip or a TOML file.
    out : Path
        The folder; it is made if it does not exist.
    recordings : sequence of Path
        Calibration recordings; the first one is what the proof runs on.
    dt_s, time_unit_s : float, optional
        Of a NIR file.
    n_frames : int, optional
        Frames of a recording for a network that stands alone, such as a NIR file; 100 if left out.
    weight_bits : int, optional
        1 to 8.
    partitioner : {'own', 'mtkahypar'}
        What shares blocks out to cores.
    with_lava : bool
        Whether the proof compares with Lava's simulator.
    tuning : TuningPlan, optional
        What to train the network further with if it decides too often otherwise than before.

    Returns
    -------
    MappedFile
        The mapping, the certificate, and the files.

    Raises
    ------
    UserError
        If recordings are given for a network that takes no events, `n_frames` is given where it says nothing, the
        folder cannot be made, or the mapped network differs from the one in whole numbers.
    """
    chip = hw.find_target(target)
    graph, recognizer = read_network(path, dt_s=dt_s, time_unit_s=time_unit_s)
    trains = _frames(_encoding(graph, recognizer, path, recordings, n_frames), recordings)
    tuned = None
    if tuning is None:
        fixed = hw.quantize(graph, chip, calibration=trains or None, weight_bits=weight_bits)
    else:
        if recognizer is None:
            raise UserError(
                f"{path}: holds a network only; fine-tuning needs a model file, which says how events come in"
            )
        tuned = tune(recognizer, chip, tuning, calibration=trains, weight_bits=weight_bits)
        trains, fixed = trains or list(tuned.calibration), tuned.tuning.fixed
    mapping = hw.map_fixed(fixed, chip, recordings=trains, graph=graph, partitioner=partitioner)
    certificate = None
    if trains:
        engines = ("whole", "cores", "lava") if with_lava else ("whole", "cores")
        certificate = hw.verify(mapping, trains[0], engines=engines)
    written, left_out = _write(mapping, graph, certificate, out)
    if certificate is not None and not certificate:
        raise UserError(f"the mapped network differs from the one in whole numbers: {certificate.difference}")
    return MappedFile(mapping, certificate, written, left_out, tuned)


def _write(
    mapping: hw.Mapping, graph: neuro.graph.Graph, certificate: hw.Certificate | None, out: Path
) -> tuple[tuple[Path, ...], tuple[str, ...]]:
    """Write all files that can say the network; returns them, and the others with the reason."""
    prepared_folder(out)
    written = [out / "mapping.json", out / "report.html"]
    mapping.save(written[0])
    mapping.report(written[1], certificate=certificate)
    if certificate is not None:
        written.append(out / "certificate.json")
        certificate.save(written[-1])
    left_out = []
    writers: dict[str, Callable[[Path], None]] = {
        "network.net": lambda place: hw.write_net(mapping.fixed, place),
        "network.nir": lambda place: neuro.graph.write_nir(graph, place),
    }
    for name, write in writers.items():
        try:
            write(out / name)
            written.append(out / name)
        except (hw.HardwareError, neuro.NeuroError) as err:
            left_out.append(f"{name}: {err}")
    return tuple(written), tuple(left_out)


def _encoding(
    graph: neuro.graph.Graph,
    recognizer: Recognizer | None,
    path: Path,
    recordings: Sequence[Path],
    n_frames: int | None,
) -> Encoding | None:
    """Return how recordings become frames; None if there are none."""
    if n_frames is not None and (recognizer is not None or not recordings):
        raise UserError(
            f"{path}: --frames is for recordings of networks that stand alone; a model file says its windows itself"
        )
    if not recordings:
        return None
    if recognizer is not None:
        return recognizer.encoding
    return frames_for(graph, path, n_frames=DEFAULT_FRAMES if n_frames is None else n_frames)


def _frames(encoding: Encoding | None, recordings: Sequence[Path]) -> list[neuro.Spikes]:
    if encoding is None:
        return []
    found = []
    for recording in recordings:
        size = encoding.width, encoding.height, encoding.window_us
        parts = windows(recording, width=size[0], height=size[1], window_us=size[2])
        found.append(encoding.spikes(next(parts)))
    return found
