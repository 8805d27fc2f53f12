"""The chips known here: Loihi 1 and Loihi 2, as far as public texts and public code describe them."""

from __future__ import annotations

from hw.targets.prices import DAVIES_2018, SANA_FE
from hw.targets.target import Limit, Target

__all__ = ["TARGETS", "loihi1", "loihi2"]

_DAVIES = "Davies et al., IEEE Micro 38(1):82-99 (2018)"
_NXTF = "NxTF (intel-nrc-ecosystem/models, archived 2023), data_structures.py"
_NENGO = "nengo-loihi 1.1.0"
_LAVA = "lava-nc 0.10.0"
_BRIEF = "Intel, Loihi 2 technology brief (2021), as retold"
_SAME = "nothing published; the number of Loihi 1"

loihi1 = Target(
    name="loihi1",
    profile="loihi1",
    limits={
        "chips": Limit(768, "Pohoiki Springs: 768 chips", "secondary"),
        "cores_per_chip": Limit(128, f"{_DAVIES}, p. 86; {_LAVA} constants.py", "published"),
        "cores_per_tile": Limit(4, "128 cores in 32 tiles", "secondary"),
        "mesh_columns": Limit(8, "32 tiles as 8 x 4", "assumed"),
        "compartments": Limit(1024, f"{_DAVIES}, p. 86", "published"),
        "synaptic_words": Limit(16384, f"{_DAVIES}, p. 89 (128 KB); {_NXTF}", "published"),
        "state_bits": Limit(0, f"{_DAVIES}: states have memory of their own", "published"),
        "input_axons": Limit(4096, f"{_DAVIES}, p. 89", "published"),
        "output_axons": Limit(4096, f"{_DAVIES}, p. 89", "published"),
        "population_axons": Limit(1, f"{_NENGO}, population axons", "source code"),
        "population_channels": Limit(512, f"{_NENGO}: atoms of 9 bits", "source code"),
        "population_axon_slots": Limit(2, f"{_NENGO}, pop32 axons; {_NXTF}, shared axons", "source code"),
        "words_per_axon": Limit(256, _NXTF, "source code"),
        "synapses_per_entry": Limit(60, f"{_NXTF} and {_NENGO}: 60 to 64", "source code"),
        "index_bits": Limit(10, f"{_NENGO}: 1024 targets need 10 bits", "source code"),
        "weight_bits": Limit(8, f"{_DAVIES}, p. 87 (1 to 9 with sign); {_LAVA} uses 8", "published"),
        "delay_steps": Limit(62, f"{_DAVIES}, p. 92: 6 bits", "published"),
        "free_delay_steps": Limit(7, f"{_DAVIES}, p. 92: 8 slots at 1024 compartments", "published"),
        "neuron_configurations": Limit(
            32, f"{_NENGO} hardware/validate.py, itself marked as unsure", "source code"
        ),
        "threshold_configurations": Limit(16, f"{_NENGO} hardware/validate.py, likewise", "source code"),
        "synapse_formats": Limit(16, f"{_NENGO}: 16; NxTF keeps 7", "source code"),
        "payload_bits": Limit(0, _DAVIES, "published"),
        "refractory_steps": Limit(63, f"{_DAVIES}; {_NENGO}", "source code"),
    },
    prices=(DAVIES_2018, SANA_FE),
)

loihi2 = Target(
    name="loihi2",
    profile="lava",
    limits={
        "chips": Limit(1152, "Hala Point: 1152 chips", "secondary"),
        "cores_per_chip": Limit(120, f"{_LAVA} constants.py: 120 of 128 can be used", "source code"),
        "cores_per_tile": Limit(4, _SAME, "assumed"),
        "mesh_columns": Limit(8, _SAME, "assumed"),
        "compartments": Limit(8192, _BRIEF, "secondary"),
        "synaptic_words": Limit(24576, f"{_BRIEF}: 192 KB, split freely", "secondary"),
        "state_bits": Limit(64, "u and v of 24 bits, each in 32 bits of the shared memory", "assumed"),
        "input_axons": Limit(4096, _SAME, "assumed"),
        "output_axons": Limit(4096, _SAME, "assumed"),
        "population_axons": Limit(2, f"{_BRIEF}: native convolutions", "secondary"),
        "population_channels": Limit(512, _SAME, "assumed"),
        "population_axon_slots": Limit(2, _SAME, "assumed"),
        "words_per_axon": Limit(256, _SAME, "assumed"),
        "synapses_per_entry": Limit(60, _SAME, "assumed"),
        "index_bits": Limit(13, "8192 targets need 13 bits", "assumed"),
        "weight_bits": Limit(8, f"{_LAVA}, weights of Dense, Sparse and Conv", "source code"),
        "delay_steps": Limit(62, "lava-dl 0.6.0 netx clips to 62; Lava's DelayDense takes 63", "source code"),
        "free_delay_steps": Limit(7, _SAME, "assumed"),
        "neuron_configurations": Limit(32, _SAME, "assumed"),
        "threshold_configurations": Limit(16, _SAME, "assumed"),
        "synapse_formats": Limit(16, _SAME, "assumed"),
        "payload_bits": Limit(24, f"{_LAVA}: 24 bits in its models, up to 32 on the chip", "source code"),
        "refractory_steps": Limit(63, _SAME, "assumed"),
    },
)

TARGETS = {target.name: target for target in (loihi1, loihi2)}
