"""Accuracy against cost: attention threshold times exit threshold, measured on one part of the data."""

from __future__ import annotations

import csv
import io
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, fields, replace

import numpy as np
from numpy.typing import NDArray

import neuro
from eventio.datasets import Collection
from neuro.dynamics import Dynamics, ExitRule, exit_steps, fit_exit_temperature, running_certainty
from spikeloom.errors import UserError
from spikeloom.recognizer import Recognizer
from spikeloom.recordings import REFUSE_DAMAGE, DamagePolicy, excerpts, windows

Progress = Callable[[int, int, str | None], None]

#: The costs that accuracy is drawn against: name of the field, label.
COSTS = (
    ("frames", "frames computed"),
    ("events", "events computed"),
    ("spike_driven_operations", "spike-driven operations"),
    ("milliseconds", "milliseconds per recording"),
)


@dataclass(frozen=True)
class ParetoPoint:
    """One pair of thresholds, measured on every recording.

    Attributes
    ----------
    attention_threshold : float
        Frames with a lower score are dropped; 0 keeps every frame.
    exit_threshold : float or None
        Certainty at which a run ends; None runs to the end.
    accuracy : float
        Fraction of the recordings that are recognised.
    loss, loss_error : float
        Accuracy with nothing left out minus `accuracy`, paired by recording, and its standard error.
    frames, steps, events : float
        Fractions of the frames computed, of the steps run, of the events in computed frames.
    spike_driven_operations, synaptic_operations : float
        Per recording: events times fan-out, and accumulations executed.
    neuron_updates, bytes_moved : float
        Per recording; bytes of weights, states and activations (`neuro.costs`).
    milliseconds : float
        Processor time of the network per recording, one thread, scoring and checking included.
    is_efficient : bool
        Whether no other point has at least this accuracy with fewer spike-driven operations.
    """

    attention_threshold: float
    exit_threshold: float | None
    accuracy: float
    loss: float
    loss_error: float
    frames: float
    steps: float
    events: float
    spike_driven_operations: float
    synaptic_operations: float
    neuron_updates: float
    bytes_moved: float
    milliseconds: float
    is_efficient: bool = False


@dataclass(frozen=True)
class Pareto:
    """A sweep over thresholds.

    Attributes
    ----------
    part : str
        Name of the recordings, with the part of the data set.
    n_recordings : int
        How many.
    rule : ExitRule
        The exit rule; its threshold is swept.
    points : tuple of ParetoPoint
        The first has nothing left out.
    allowed_loss : float
        Accuracy that the operating point may lose, as a fraction.
    operating : ParetoPoint or None
        The point with fewest spike-driven operations whose loss is at most the allowed one; None where the part is
        not one to choose on.
    """

    part: str
    n_recordings: int
    rule: ExitRule
    points: tuple[ParetoPoint, ...]
    allowed_loss: float
    operating: ParetoPoint | None

    def to_csv(self) -> str:
        """Write one row per point under the names of its fields.

        Returns
        -------
        str
            With a header; empty for a threshold that is off.
        """
        text = io.StringIO()
        names = [one.name for one in fields(ParetoPoint)]
        writer = csv.DictWriter(
            text, [*names, "is_operating_point", "part", "recordings"], lineterminator="\n"
        )
        writer.writeheader()
        for point in self.points:
            row = {name: "" if value is None else value for name, value in asdict(point).items()}
            row |= {
                "is_operating_point": point is self.operating,
                "part": self.part,
                "recordings": self.n_recordings,
            }
            writer.writerow(row)
        return text.getvalue()


@dataclass(frozen=True)
class Sweep:
    """Which thresholds to try.

    Attributes
    ----------
    attention : tuple of float
        Attention thresholds, 0 to 1; without attention in the network they are left out.
    n_exits : int
        How many exit thresholds to try, spread over the certainties that occur; 0 for none.
    rule : ExitRule
        Measure, readout and steps of checking; its threshold does not matter.
    fits_temperature : bool
        Whether the temperature of the rule is fitted to the recordings.
    """

    attention: tuple[float, ...] = tuple(n / 10 for n in range(10))
    n_exits: int = 9
    rule: ExitRule = field(default_factory=lambda: ExitRule(1.0, first_step=2))
    fits_temperature: bool = True

    def __post_init__(self) -> None:
        for threshold in self.attention:
            if not 0 <= threshold <= 1:
                raise UserError(f"attention thresholds must be from 0 to 1, got {threshold:g}")
        if self.n_exits < 0:
            raise UserError(f"the number of exit thresholds must be >= 0, got {self.n_exits}")


def sweep_thresholds(
    recognizer: Recognizer,
    collection: Collection,
    *,
    sweep: Sweep | None = None,
    allowed_loss: float = 0.01,
    may_choose: bool = True,
    damage: DamagePolicy = REFUSE_DAMAGE,
    on_progress: Progress | None = None,
) -> Pareto:
    """Measure every pair of thresholds on every recording, each run really made.

    Parameters
    ----------
    recognizer : Recognizer
        The model.
    collection : Collection
        Labelled recordings of its classes; of longer ones the first window counts.
    sweep : Sweep, optional
        Which thresholds.
    allowed_loss : float
        Accuracy that the operating point may lose, as a fraction.
    may_choose : bool
        Whether the operating point may be chosen on these recordings: not on test recordings.
    damage : DamagePolicy
        What to do with damaged recordings.
    on_progress : callable, optional
        Called with (runs done, runs in all, what is being done).

    Returns
    -------
    Pareto
        All points.

    Raises
    ------
    UserError
        When the collection is empty or has a class that the model does not know.
    """
    sweep = sweep or Sweep()
    inputs, labels = _load(recognizer, collection, damage, on_progress)
    attention = (0.0, *sorted(set(sweep.attention) - {0.0})) if recognizer.attention is not None else (0.0,)
    n_runs, done = len(attention) * (1 + sweep.n_exits) * len(inputs), 0
    points: list[ParetoPoint] = []
    rule, whole = sweep.rule, np.zeros(0)
    for threshold in attention:
        model = recognizer if recognizer.attention is None else recognizer.with_threshold(threshold)
        bench = _Bench(model, inputs, labels, threshold)
        readouts = bench.readouts()
        if threshold == 0.0:
            whole = bench.right(None)
            if sweep.fits_temperature:
                rule = replace(rule, temperature=fit_exit_temperature(readouts, readout=rule.readout))
        for exit_threshold in (None, *_exit_thresholds(readouts, rule, sweep.n_exits)):
            chosen = None if exit_threshold is None else replace(rule, threshold=exit_threshold)
            points.append(bench.point(chosen, whole))
            done += len(inputs)
            if on_progress is not None:
                on_progress(done, n_runs, f"attention threshold {threshold:g}")
    marked = _efficient(points)
    return Pareto(
        part=collection.name,
        n_recordings=len(inputs),
        rule=rule,
        points=marked,
        allowed_loss=allowed_loss,
        operating=_operating(marked, allowed_loss) if may_choose else None,
    )


class _Bench:
    """One network and the recordings it is measured on."""

    def __init__(
        self, model: Recognizer, inputs: Sequence[neuro.Spikes], labels: NDArray[np.int64], threshold: float
    ) -> None:
        self._graph, self._inputs, self._labels = model.graph, inputs, labels
        self._threshold = threshold
        neuro.simulate(self._graph, inputs[0], dynamics=Dynamics())  # compiles and warms the caches

    def readouts(self) -> NDArray[np.float32]:
        """Return the readout of every step of whole runs, (n, n_steps, n_classes)."""
        results = [neuro.simulate(self._graph, spikes) for spikes in self._inputs]
        return np.array([result.output.reshape(len(result.output), -1) for result in results])

    def right(self, rule: ExitRule | None) -> NDArray[np.float64]:
        """Return 1 for each recording that is recognised."""
        return self._correct(self._results(rule)[0])

    def _results(self, rule: ExitRule | None) -> tuple[list[neuro.Result], float]:
        dynamics = Dynamics(early_exit=rule)
        start = time.thread_time()
        results = [neuro.simulate(self._graph, spikes, dynamics=dynamics) for spikes in self._inputs]
        return results, time.thread_time() - start

    def _correct(self, results: Sequence[neuro.Result]) -> NDArray[np.float64]:
        winners = [
            result.output.astype(np.float64).reshape(len(result.output), -1).sum(axis=0).argmax()
            for result in results
        ]
        return np.asarray(np.array(winners) == self._labels, np.float64)

    def point(self, rule: ExitRule | None, whole: NDArray[np.float64]) -> ParetoPoint:
        """Measure one pair of thresholds; `whole` is 1 where the network that leaves nothing out is right."""
        results, seconds = self._results(rule)
        right = self._correct(results)
        n = len(results)
        reports = [result.dynamics for result in results if result.dynamics is not None]
        work = [neuro.costs.spiking_work(self._graph, result.counters) for result in results]
        frames = sum(report.n_frames for report in reports)
        losses = whole - right
        return ParetoPoint(
            attention_threshold=self._threshold,
            exit_threshold=None if rule is None else rule.threshold,
            accuracy=float(right.mean()),
            loss=float(losses.mean()),
            loss_error=float(losses.std(ddof=1) / np.sqrt(n)) if n > 1 else 0.0,
            frames=sum(report.n_computed for report in reports) / frames,
            steps=sum(report.n_steps for report in reports) / frames,
            events=sum(r.events_computed for r in reports) / max(1.0, sum(r.events_total for r in reports)),
            spike_driven_operations=sum(report.spike_driven_operations for report in reports) / n,
            synaptic_operations=sum(report.synaptic_operations for report in reports) / n,
            neuron_updates=sum(one.total("updates") for one in work) / n,
            bytes_moved=sum(one.bytes_moved for one in work) / n,
            milliseconds=1e3 * seconds / n,
        )


def _load(
    recognizer: Recognizer, collection: Collection, damage: DamagePolicy, on_progress: Progress | None
) -> tuple[list[neuro.Spikes], NDArray[np.int64]]:
    encoding = recognizer.encoding
    positions = {name: n for n, name in enumerate(recognizer.class_names)}
    unknown = sorted(set(collection.class_names) - set(positions))
    if unknown:
        raise UserError(
            f"{collection.name}: class '{unknown[0]}' is unknown to the model, which knows "
            f"{', '.join(recognizer.class_names)}"
        )
    if not collection.samples:
        raise UserError(f"{collection.name}: the collection holds no recordings")
    inputs, labels = [], []
    for done, (sample, source) in enumerate(
        zip(collection.samples, excerpts(collection), strict=True), start=1
    ):
        found = windows(
            source,
            width=encoding.width,
            height=encoding.height,
            window_us=encoding.window_us,
            damage=damage,
        )
        inputs.append(encoding.spikes(next(iter(found))))
        labels.append(positions[collection.class_names[sample.label]])
        if on_progress is not None:
            on_progress(done, len(collection.samples), "reading recordings")
    return inputs, np.array(labels, np.int64)


def _exit_thresholds(readouts: NDArray[np.float32], rule: ExitRule, n: int) -> list[float]:
    """Thresholds that end runs, on the mean, after steps spread from the first check to the end."""
    n_steps = readouts.shape[1]
    checks = rule.check_steps(n_steps)
    if not n or not checks.size:
        return []
    certainties = running_certainty(readouts, rule)[:, checks - 1]
    candidates = np.unique(np.floor(np.quantile(certainties, np.linspace(0, 1, 101)) * 1e6) / 1e6)
    candidates = np.clip(candidates, 0.0, 1.0)
    means = np.array([exit_steps(readouts, replace(rule, threshold=float(t))).mean() for t in candidates])
    wanted = np.geomspace(means.min(), n_steps, n + 1)[:-1]
    nearest = {float(candidates[np.abs(means - steps).argmin()]) for steps in wanted}
    return sorted(nearest, reverse=True)


def _efficient(points: Sequence[ParetoPoint]) -> tuple[ParetoPoint, ...]:
    """Mark the points that none beats: at least as accurate with fewer operations, or more accurate with as many."""

    def is_beaten(point: ParetoPoint) -> bool:
        cost = point.spike_driven_operations
        return any(
            other.accuracy >= point.accuracy
            and other.spike_driven_operations <= cost
            and (other.accuracy > point.accuracy or other.spike_driven_operations < cost)
            for other in points
        )

    return tuple(replace(point, is_efficient=not is_beaten(point)) for point in points)


def _operating(points: Sequence[ParetoPoint], allowed_loss: float) -> ParetoPoint:
    allowed = [point for point in points if point.loss <= allowed_loss + 1e-12]
    return min(allowed, key=lambda point: (point.spike_driven_operations, -point.accuracy))
