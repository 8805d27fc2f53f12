"""A converted network as a file holds it: its spiking graph, and how samples go in and results come out."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

import neuro
from analog_bridge.errors import ConversionError
from analog_bridge.inputs import NetworkInputs, Samples
from neuro.graph import Graph, SignedIF

__all__ = ["ConvertedNetwork", "noted"]

Floats = NDArray[np.float32]

_MOST_CHUNKS = 64  # of extra steps for signed spikes that are still under way
_PREFIX = "conversion."


def noted(graph: Graph, notes: dict[str, str | int | float]) -> Graph:
    """Return a graph that knows how it was converted."""
    known = {**graph.metadata, **{_PREFIX + name: value for name, value in notes.items()}}
    return Graph(dict(graph.nodes), graph.edges, graph.execution, graph.weight_grid, known)


@dataclass(frozen=True, eq=False, repr=False)
class ConvertedNetwork:
    """A spiking network made from a conventional one: all that is needed to run it.

    Attributes
    ----------
    graph : neuro.Graph
        What `neuro.simulate` runs; the sum of a readout's outputs over all steps is the result. Its metadata say how
        it was converted, so that a file of the graph is enough.

    Raises
    ------
    ConversionError
        If the graph was not made by `convert`.
    """

    graph: Graph

    def __post_init__(self) -> None:
        self._note("method")

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> ConvertedNetwork:
        """Read a converted network from a file.

        Parameters
        ----------
        path : path
            A file of `save`.

        Returns
        -------
        ConvertedNetwork
            What was saved, without the networks it was made from.

        Raises
        ------
        neuro.ModelFileError
            If the file is missing, foreign or damaged.
        ConversionError
            If it holds another network.
        """
        return ConvertedNetwork(Graph.load(path))

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the network to an HDF5 file, all or nothing.

        Parameters
        ----------
        path : path
            The file; ``neuro.Graph.load`` reads it, too.

        Raises
        ------
        neuro.ModelFileError
            If the file cannot be written.
        """
        self.graph.save(path)

    def _note(self, name: str) -> str | int | float:
        if _PREFIX + name not in self.graph.metadata:
            raise ConversionError(
                f"ConvertedNetwork: the graph's metadata lack {_PREFIX + name!r}; it was not made by "
                "analog_bridge.convert"
            )
        return self.graph.metadata[_PREFIX + name]

    @property
    def method(self) -> str:
        """How spikes carry counts."""
        return str(self._note("method"))

    @property
    def n_steps(self) -> int:
        """Steps of a run (1 for 'sigma_delta': one for each frame)."""
        return int(self._note("n_steps"))

    @property
    def drive_steps(self) -> int:
        """In how many steps a sample and the biases act: at once, or spread over the first steps (for 'signed')."""
        return int(self._note("drive_steps"))

    @property
    def weight_bits(self) -> int | None:
        """Bits of a weight where all numbers are whole in units of a grid; None for float32."""
        return int(self._note("weight_bits")) or None

    @property
    def is_whole(self) -> bool:
        """Whether all numbers are whole in units of a grid, so that equality is bit for bit."""
        return self.weight_bits is not None

    @property
    def guarantee(self) -> str:
        """In what sense the spiking network equals the quantised one."""
        how = "; bit for bit, since all sums are exact" if self.is_whole else "; up to ties in float32"
        return f"{self._note('guarantee')}{'' if self.method == 'rate' else how}"

    @property
    def output(self) -> str:
        """The readout of the first output."""
        return str(self._note("output"))

    @property
    def readouts(self) -> dict[str, str]:
        """For each output of the conventional network, its readout in the graph."""
        found: dict[str, str] = json.loads(str(self._note("outputs")))
        return found

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names of the outputs, where they are known."""
        found = self.graph.metadata.get(_PREFIX + "class_names", "[]")
        return tuple(map(str, json.loads(str(found))))

    def named(self, class_names: Sequence[str]) -> ConvertedNetwork:
        """Return the network with names for its outputs.

        Parameters
        ----------
        class_names : sequence of str
            One for each output.

        Returns
        -------
        ConvertedNetwork
            A new one; its file keeps the names.
        """
        return ConvertedNetwork(noted(self.graph, {"class_names": json.dumps(list(class_names))}))

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape of a sample; with several inputs ``(n,)``, all of them in one line."""
        return self.graph.shapes[self.graph.input_name]

    @cached_property
    def inputs(self) -> NetworkInputs:
        """The inputs of the conventional network, and how each is counted."""
        return NetworkInputs.of_note(str(self._note("inputs")))

    def encode(self, x: Samples) -> list[neuro.Spikes]:
        """Return the frames of samples: the values, or whole numbers of the input's unit.

        Parameters
        ----------
        x : array, shape ``(n, *shape)``, or ``(n, n_frames, *shape)`` for 'sigma_delta'
            Samples; with several inputs a dict by their names.

        Returns
        -------
        list of Spikes
            One recording per sample.
        """
        return [self._frames(sample) for sample in self.counts_of_input(x)]

    def counts_of_input(self, x: Samples) -> Floats:
        """Return samples in counts of the input's unit, rounded half up and limited; as they are without one.

        Parameters
        ----------
        x : array, shape ``(n, *shape)``, or ``(n, n_frames, *shape)`` for 'sigma_delta'
            Samples; with several inputs a dict by their names.

        Returns
        -------
        array
            Of the same shape.
        """
        return self.inputs.counts(self.arranged(x))

    def arranged(self, x: Samples) -> NDArray[Any]:
        """Return samples as one array of the shape that the graph takes.

        Parameters
        ----------
        x : array, shape ``(n, *shape)``, or ``(n, n_frames, *shape)`` for 'sigma_delta'
            Samples, where one row may be left out: (C, L) for (C, 1, L); with several inputs a dict by their names.

        Returns
        -------
        array, shape ``(n, *input_shape)``, or ``(n, n_frames, *input_shape)``
            The same values.
        """
        return self.inputs.arranged(x, may_have_frames=self.method == "sigma_delta")

    def _frames(self, sample: Floats) -> neuro.Spikes:
        shape = self.input_shape
        if self.method == "sigma_delta":
            return neuro.Spikes.from_dense(sample.reshape(-1, *shape))
        flat = sample.reshape(-1)
        index = np.flatnonzero(flat).astype(np.int32)
        n_shown = self.n_steps if self.method == "rate" else 1
        step = np.repeat(np.arange(n_shown, dtype=np.int32), index.size)
        return neuro.Spikes(step, np.tile(index, n_shown), np.tile(flat[index], n_shown), self.n_steps, shape)

    def run(
        self,
        x: Samples,
        *,
        record: neuro.monitors.Record | None = None,
        dynamics: neuro.Dynamics | None = None,
        n_threads: int = 1,
    ) -> list[neuro.Result]:
        """Run the spiking network on samples, `n_steps` steps each.

        Parameters
        ----------
        x : array, shape ``(n, *shape)``, or ``(n, n_frames, *shape)`` for 'sigma_delta'
            Samples; with several inputs a dict by their names.
        record : mapping, optional
            As for `neuro.simulate`.
        dynamics : Dynamics, optional
            Likewise; an early exit, for example.
        n_threads : int
            Likewise.

        Returns
        -------
        list of Result
            One per sample.
        """
        return neuro.simulate(
            self.graph, self.encode(x), record=record, dynamics=dynamics, n_threads=n_threads
        )

    def outputs(self, x: Samples, *, n_threads: int = 1) -> Floats:
        """Return the result for samples: the first output of the network.

        Parameters
        ----------
        x : array, shape ``(n, *shape)``, or ``(n, n_frames, *shape)`` for 'sigma_delta'
            Samples; with several inputs a dict by their names.
        n_threads : int
            Threads that share them.

        Returns
        -------
        float32 array, shape ``(n, *shape of the output)``, with an axis of frames for 'sigma_delta'
            What the quantised network gives. Signed spikes that are still under way after `n_steps` are waited for.
        """
        results = self.run(x, n_threads=n_threads)
        is_signed = self.method == "signed"
        return np.stack([self.result_of([one, *(self.rest(one) if is_signed else [])]) for one in results])

    def all_outputs(self, x: Samples, *, n_threads: int = 1) -> dict[str, Floats]:
        """Return all results for samples, of a network with several outputs.

        Parameters
        ----------
        x : array, shape ``(n, *shape)``, or ``(n, n_frames, *shape)`` for 'sigma_delta'
            Samples; with several inputs a dict by their names.
        n_threads : int
            Threads that share them.

        Returns
        -------
        dict of float32 array
            By the names of the outputs in the conventional network, each as `outputs` gives the first.
        """
        results = self.run(x, n_threads=n_threads)
        pieces = [[one, *(self.rest(one) if self.method == "signed" else [])] for one in results]
        return {
            name: np.stack([self.result_of(one, output=readout) for one in pieces])
            for name, readout in self.readouts.items()
        }

    def predict(self, x: Samples, *, n_threads: int = 1) -> NDArray[np.int64]:
        """Return the class of samples: the largest output.

        Parameters
        ----------
        x : array, shape ``(n, *shape)``, or ``(n, n_frames, *shape)`` for 'sigma_delta'
            Samples; with several inputs a dict by their names.
        n_threads : int
            Threads that share them.

        Returns
        -------
        int64 array, shape (n,), or (n, n_frames)
            Classes.
        """
        outputs = self.outputs(x, n_threads=n_threads)
        n_axes = 2 if self.method == "sigma_delta" else 1
        return outputs.reshape(*outputs.shape[:n_axes], -1).argmax(-1).astype(np.int64)

    def over_time(self, result: neuro.Result, *, output: str | None = None) -> Floats:
        """Return what the network has said after each step: the running sum of its output.

        Parameters
        ----------
        result : Result
            Of a run.
        output : str, optional
            A readout; the first one by default.

        Returns
        -------
        float32 array, shape ``(n_steps, *shape of the output)``
            The last one is the result.
        """
        return np.cumsum(result.outputs[output or self.output], axis=0, dtype=np.float64).astype(np.float32)

    def result_of(self, pieces: Sequence[neuro.Result], *, output: str | None = None) -> Floats:
        """Return the result of a run and what followed it: the sum of all outputs (after each frame for 'sigma_delta').

        Parameters
        ----------
        pieces : sequence of Result
            The run, and those that continued it.
        output : str, optional
            A readout; the first one by default.

        Returns
        -------
        float32 array
            The result of the network.
        """
        if self.method == "sigma_delta":
            return self.over_time(pieces[0], output=output)
        total = sum(one.outputs[output or self.output].sum(axis=0, dtype=np.float64) for one in pieces)
        return np.asarray(total / (self.n_steps if self.method == "rate" else 1), np.float32)

    def rest(self, result: neuro.Result, record: Any = None) -> list[neuro.Result]:
        """Run on until a step passes without a spike: then nothing changes any more (for 'signed').

        Parameters
        ----------
        result : Result
            Of a run.
        record : mapping, optional
            As for `neuro.simulate`.

        Returns
        -------
        list of Result
            What followed.
        """
        found: list[neuro.Result] = []
        n_more, shape = 1, self.input_shape
        for _ in range(_MOST_CHUNKS):
            silence = neuro.Spikes(
                np.zeros(0, np.int32), np.zeros(0, np.int32), np.zeros(0, np.float32), n_more, shape
            )
            result = neuro.simulate(self.graph, silence, state=result.state, record=record)
            found.append(result)
            if n_more == 1 and not sum(result.counters.spikes.values()):
                return found
            n_more = 1 if n_more > 1 else self._longest
        raise AssertionError("a network of signed neurons did not settle")

    @property
    def _longest(self) -> int:
        """Most steps in which one neuron may send its count."""
        most = [
            node.max_count - node.min_count
            for node in self.graph.nodes.values()
            if isinstance(node, SignedIF)
        ]
        return max([2, *most])
