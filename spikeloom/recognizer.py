"""A trained network together with what a recording must become before it enters: the model file."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import neuro
import neuro.graph
from spikeloom.decision import Decision, Tally, WindowRun, softmax
from spikeloom.encoding import Encoding
from spikeloom.errors import UserError
from spikeloom.recordings import CHUNK_EVENTS, REFUSE_DAMAGE, DamagePolicy, Source, windows

Record = Mapping[str, str | tuple[str, ...]]


@dataclass(frozen=True)
class Recognizer:
    """A network, the encoding of its input and the meaning of its output.

    Attributes
    ----------
    graph : neuro.graph.Graph
        The network. Its only sink has one output per class; its input has the encoding's shape.
    encoding : Encoding
        From events to frames.
    class_names : tuple of str
        Names of the outputs, in order.
    temperature : float
        Divides the readout before the softmax; fitted on validation data.
    seed : int
        Seed of the training.
    dataset : str
        Name of the collection it was trained on.
    """

    graph: neuro.graph.Graph
    encoding: Encoding
    class_names: tuple[str, ...]
    temperature: float = 1.0
    seed: int = 0
    dataset: str = ""

    def __post_init__(self) -> None:
        graph, encoding = self.graph, self.encoding
        shape = tuple(graph.shapes[graph.input_name])
        if shape != encoding.shape:
            raise UserError(
                f"Input '{graph.input_name}': shape must be (2, height, width) = {encoding.shape}, "
                f"got {shape}"
            )
        if len(graph.output_names) != 1:
            raise UserError(f"a recogniser needs one readout, got {', '.join(graph.output_names)}")
        readout = graph.output_names[0]
        n_outputs = int(np.prod(graph.shapes[readout]))
        if n_outputs != len(self.class_names):
            raise UserError(f"node '{readout}': {n_outputs} outputs for {len(self.class_names)} class names")
        if not (np.isfinite(self.temperature) and self.temperature > 0):
            raise UserError(f"temperature must be finite and > 0, got {self.temperature}")
        attention = self.attention
        if isinstance(attention, neuro.graph.TemporalAttention) and attention.n_frames != encoding.n_frames:
            raise UserError(
                f"TemporalAttention: made for {attention.n_frames} frames, "
                f"but the encoding has {encoding.n_frames}"
            )

    @property
    def attention(self) -> neuro.graph.TemporalAttention | neuro.graph.MovingAttention | None:
        """The temporal attention node, if the network has one."""
        nodes = self.graph.nodes.values()
        return next((node for node in nodes if isinstance(node, neuro.graph.TEMPORAL)), None)

    def with_threshold(self, threshold: float) -> Recognizer:
        """Give the same recogniser with another attention threshold.

        Parameters
        ----------
        threshold : float
            Frames whose score is lower are not computed; 0 keeps every frame.

        Returns
        -------
        Recognizer
            A new recogniser.

        Raises
        ------
        UserError
            When the network has no temporal attention.
        """
        graph = self.graph
        if self.attention is None:
            raise UserError("the network has no temporal attention, so it has no threshold to set")
        attention = replace(self.attention, threshold=threshold)
        nodes = {
            name: attention if isinstance(node, neuro.graph.TEMPORAL) else node
            for name, node in graph.nodes.items()
        }
        changed = neuro.graph.Graph(
            nodes=nodes,
            edges=graph.edges,
            execution=graph.execution,
            weight_grid=graph.weight_grid,
            metadata=graph.metadata,
        )
        return replace(self, graph=changed)

    def save(self, path: str | Path) -> None:
        """Write the model file; it appears complete or not at all.

        Parameters
        ----------
        path : str or Path
            The HDF5 file to write.
        """
        from spikeloom.model_file import save_recognizer

        save_recognizer(self, path)

    @classmethod
    def load(cls, path: str | Path) -> Recognizer:
        """Read a model file written by `save`.

        Parameters
        ----------
        path : str or Path
            The HDF5 file.

        Returns
        -------
        Recognizer
            The recogniser.

        Raises
        ------
        neuro.ModelFileError
            When the file is foreign, damaged, of another version, or holds a network only.
        """
        from spikeloom.model_file import load_recognizer

        return load_recognizer(path)

    def run_windows(
        self,
        recording: Source,
        *,
        record: Record | None = None,
        use_attention: bool = True,
        dynamics: neuro.Dynamics | None = None,
        damage: DamagePolicy = REFUSE_DAMAGE,
        chunk_events: int = CHUNK_EVENTS,
    ) -> Iterator[WindowRun]:
        """Run the network window by window, each from a state of rest.

        Parameters
        ----------
        recording : str, Path, eventio.Recording or Excerpt
            What to recognise; files are read chunk by chunk, so they may be larger than memory.
        record : mapping of str to str, optional
            What `neuro.simulate` shall record per node.
        use_attention : bool
            False computes every frame.
        dynamics : neuro.Dynamics, optional
            What may be left out; an exit rule looks at each window anew.
        damage : DamagePolicy
            What to do with damaged recordings.
        chunk_events : int
            Events to decode at a time; the result does not depend on it.

        Yields
        ------
        WindowRun
            One per window that holds events.
        """
        encoding = self.encoding
        for window in windows(
            recording,
            width=encoding.width,
            height=encoding.height,
            window_us=encoding.window_us,
            damage=damage,
            chunk_events=chunk_events,
        ):
            spikes = encoding.spikes(window)
            start = time.perf_counter()
            result = neuro.simulate(
                self.graph, spikes, record=record, use_attention=use_attention, dynamics=dynamics
            )
            yield WindowRun(window, spikes, result, time.perf_counter() - start)

    def recognize(
        self,
        recording: Source,
        *,
        use_attention: bool = True,
        dynamics: neuro.Dynamics | None = None,
        damage: DamagePolicy = REFUSE_DAMAGE,
        chunk_events: int = CHUNK_EVENTS,
    ) -> Decision:
        """Say what a recording shows.

        The readout is the sum of the readout membrane over all steps of all windows; with an exit rule, over the
        steps that ran.

        Parameters
        ----------
        recording : str, Path, eventio.Recording or Excerpt
            What to recognise; files are read chunk by chunk, so they may be larger than memory.
        use_attention : bool
            False computes every frame.
        dynamics : neuro.Dynamics, optional
            What may be left out; an exit rule looks at each window anew.
        damage : DamagePolicy
            What to do with damaged recordings.
        chunk_events : int
            Events to decode at a time; the decision does not depend on it.

        Returns
        -------
        Decision
            Class, confidence, time of decision and cost.

        Raises
        ------
        UserError
            When the recording comes from another sensor size or is damaged.
        eventio.EventioError
            When it cannot be read or holds no event.
        """
        start = time.perf_counter()
        tally = Tally(self.class_names, bin_us=self.encoding.bin_us, temperature=self.temperature)
        for run in self.run_windows(
            recording,
            use_attention=use_attention,
            dynamics=dynamics,
            damage=damage,
            chunk_events=chunk_events,
        ):
            tally.add(run)
        return tally.decision(time.perf_counter() - start)

    def probabilities(self, readout: NDArray[np.float64]) -> NDArray[np.float64]:
        """Turn readouts into probabilities: softmax(readout / temperature).

        Parameters
        ----------
        readout : numpy.ndarray
            float64, shape (..., n_classes): sums of the readout membrane.

        Returns
        -------
        numpy.ndarray
            float64, shape (..., n_classes): positive, summing to 1 along the last axis.
        """
        return softmax(readout / self.temperature)
