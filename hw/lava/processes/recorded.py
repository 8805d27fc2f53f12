"""Lava's own LIF models, which also write u, v and spikes of every step into a file in memory."""

from __future__ import annotations

from typing import Any

import numpy as np
from lava.magma.core.decorator import implements, requires, tag
from lava.magma.core.model.py.model import PyLoihiProcessModel
from lava.magma.core.model.py.ports import PyInPort
from lava.magma.core.model.py.type import LavaPyType
from lava.magma.core.process.ports.ports import InPort
from lava.magma.core.process.process import AbstractProcess
from lava.magma.core.resources import CPU
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol
from lava.proc.lif.models import PyLifModelBitAcc, PyLifResetModelBitAcc
from lava.proc.lif.process import LIF, LIFReset


class RecordedLif(LIF):
    """A LIF whose registers are recorded."""

    def __init__(self, *, path: str, **settings: Any) -> None:
        super().__init__(**settings)
        self.proc_params["path"] = path


class RecordedLifReset(LIFReset):
    """A LIFReset whose registers are recorded."""

    def __init__(self, *, path: str, **settings: Any) -> None:
        super().__init__(**settings)
        self.proc_params["path"] = path


class Recorder(AbstractProcess):
    """Writes what arrives in each step into a file in memory."""

    def __init__(self, *, shape: tuple[int, ...], path: str) -> None:
        super().__init__(shape=shape, path=path)
        self.a_in = InPort(shape=shape)


class _Recording:
    """Keeps the files of u, v and spikes; opened in the process that runs the model."""

    files: Any = None

    def keep(self, path: str, step: int, values: tuple[Any, ...]) -> None:
        if self.files is None:
            self.files = [np.load(f"{path}.{k}.npy", mmap_mode="r+") for k in range(len(values))]
        for file, value in zip(self.files, values, strict=True):
            file[step] = np.asarray(value).reshape(-1)


class PyRecordedLif(PyLifModelBitAcc, _Recording):
    """Lava's fixed-point LIF."""

    spikes: Any = None

    def reset_voltage(self, spike_vector: Any) -> None:
        """Remember the spikes of the step."""
        self.spikes = spike_vector.copy()
        super().reset_voltage(spike_vector)

    def run_spk(self) -> None:
        """Take Lava's step, then record it."""
        super().run_spk()
        self.keep(self.proc_params["path"], self.time_step - 1, (self.u, self.v, self.spikes))


class PyRecordedLifReset(PyLifResetModelBitAcc, _Recording):
    """Lava's fixed-point LIF with resets at steps."""

    spikes: Any = None

    def reset_voltage(self, spike_vector: Any) -> None:
        """Remember the spikes of the step."""
        self.spikes = spike_vector.copy()
        super().reset_voltage(spike_vector)

    def run_spk(self) -> None:
        """Take Lava's step, then record it."""
        super().run_spk()
        self.keep(self.proc_params["path"], self.time_step - 1, (self.u, self.v, self.spikes))


@implements(proc=Recorder, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class PyRecorder(PyLoihiProcessModel, _Recording):
    """Records what arrives."""

    a_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int32, precision=24)

    def run_spk(self) -> None:
        """Receive and record."""
        self.keep(self.proc_params["path"], self.time_step - 1, (self.a_in.recv(),))


# The decorator refuses subclasses of models; what it would set is set here.
PyRecordedLif.implements_process = RecordedLif
PyRecordedLifReset.implements_process = RecordedLifReset
