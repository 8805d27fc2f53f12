"""Lava's own LIF models, which also write u, v and spikes of every step into a file in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

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
    """A LIF whose registers are recorded.

    `extras` has what Lava's LIF takes one of or does not know: arrays of `du`, `dv` and `vth`, `hold` (steps after a
    spike in which v stays) and `subtract` (what a spike takes off v).
    """

    def __init__(self, *, path: str, extras: dict[str, Any], **settings: Any) -> None:
        super().__init__(**settings)
        self.proc_params["path"] = path
        self.proc_params["extras"] = extras


class RecordedLifReset(LIFReset):
    """A LIFReset whose registers are recorded, with the same extras."""

    def __init__(self, *, path: str, extras: dict[str, Any], **settings: Any) -> None:
        super().__init__(**settings)
        self.proc_params["path"] = path
        self.proc_params["extras"] = extras


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


_Model: Any = PyLifModelBitAcc if TYPE_CHECKING else object


class _Extended(_Recording, _Model):
    """What is ours around Lava's step: its inputs are arrays, a spike holds v or lowers it; all is recorded."""

    spikes: Any = None
    held: Any = 0

    def scale_threshold(self) -> None:
        """Take the registers that differ between neurons; Lava calls this before the first step."""
        extras = self.proc_params["extras"]
        for name in ("du", "dv", "vth"):
            setattr(self, name, extras.get(name, getattr(self, name)))
        super().scale_threshold()

    def subthr_dynamics(self, activation_in: Any) -> None:
        """Let Lava update u and v, then put back v where it is held."""
        before = self.v.copy()
        super().subthr_dynamics(activation_in)
        self.v[:] = np.where(self.held > 0, before, self.v)

    def spiking_activation(self) -> Any:
        """Ask Lava who fires; held neurons do not."""
        return super().spiking_activation() & (self.held == 0)

    def reset_voltage(self, spike_vector: Any) -> None:
        """Remember the spikes of the step, lower v or let Lava reset it."""
        extras = self.proc_params["extras"]
        self.spikes = spike_vector.copy()
        self.held = np.where(spike_vector, extras.get("hold", 0), np.maximum(self.held - 1, 0))
        if "subtract" in extras:
            self.v[spike_vector] -= extras["subtract"][spike_vector]
        else:
            super().reset_voltage(spike_vector)

    def run_spk(self) -> None:
        """Take Lava's step, then record it."""
        interval = getattr(self, "reset_interval", 0)
        if interval and self.time_step % interval == self.reset_offset:
            self.held = 0
        super().run_spk()
        self.keep(self.proc_params["path"], self.time_step - 1, (self.u, self.v, self.spikes))


class PyRecordedLif(_Extended, PyLifModelBitAcc):
    """Lava's fixed-point LIF."""


class PyRecordedLifReset(_Extended, PyLifResetModelBitAcc):
    """Lava's fixed-point LIF with resets at steps."""


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
