"""The networks in NEST: iaf_psc_exp (exact) or iaf_cond_exp (adaptive Runge-Kutta, the only one NEST has), float64.

The membrane capacitance is chosen so that a current of 1 pA drives the membrane by 1 mV, and the leak conductance so
that conductances are relative to it.
"""

from __future__ import annotations

import time
from typing import Any

import nest
import numpy as np
from protocol import Answer, NetworkModel, Request, Spikes, serve


def _neurons(network: NetworkModel) -> Any:
    shared = {
        "E_L": network.v_rest,
        "V_th": network.threshold,
        "V_reset": network.v_reset,
        "t_ref": network.refractory_steps * network.dt_ms,
        "C_m": network.tau_mem_ms,
        "tau_syn_ex": network.tau_exc_ms,
        "tau_syn_in": network.tau_inh_ms,
    }
    if network.kind == "current":
        neurons = nest.Create("iaf_psc_exp", network.n_neurons, {**shared, "tau_m": network.tau_mem_ms})
        names = ("I_syn_ex", "I_syn_in")
    else:
        reversal = {"g_L": 1.0, "E_ex": network.e_exc, "E_in": network.e_inh}
        neurons = nest.Create("iaf_cond_exp", network.n_neurons, {**shared, **reversal})
        names = ("g_ex", "g_in")
    neurons.V_m = network.v_init.tolist()
    neurons.I_e = np.broadcast_to(network.drive, network.n_neurons).tolist()
    if network.g_exc_init.any():
        neurons.set({names[0]: network.g_exc_init.tolist(), names[1]: network.g_inh_init.tolist()})
    return neurons


def _connect(network: NetworkModel, neurons: Any) -> None:
    first = int(neurons[0].global_id)
    delay_ms = (network.delay_steps - 1).astype(np.float64) * network.dt_ms
    sign = np.where(
        network.is_inhibitory, -1.0, 1.0
    )  # NEST tells excitation from inhibition by the weight's sign
    is_homogeneous = network.weight.size == 2 and delay_ms.size == 1
    for is_inhibitory in (False, True):
        chosen = (network.is_inhibitory == is_inhibitory)[network.source]
        pre, post = network.source[chosen].astype(np.int64), network.target[chosen].astype(np.int64)
        if is_homogeneous:
            weight = abs(network.weight[int(is_inhibitory)]) * (-1.0 if is_inhibitory else 1.0)
            model = f"synapse_{int(is_inhibitory)}"
            nest.CopyModel("static_synapse_hom_w", model, {"weight": weight, "delay": float(delay_ms[0])})
            nest.Connect(pre + first, post + first, "one_to_one", {"synapse_model": model})
        else:
            weights = np.abs(network.weights()[chosen]) * sign[pre]
            delays = np.broadcast_to(delay_ms, network.n_synapses)[chosen]
            specification = {"synapse_model": "static_synapse", "weight": weights, "delay": delays}
            nest.Connect(pre + first, post + first, "one_to_one", specification)


def _drive(network: NetworkModel, neurons: Any) -> None:
    if network.poisson_weight == 0:
        return
    rates = np.broadcast_to(network.poisson_hz, network.n_neurons)
    for rate in np.unique(rates):
        chosen = neurons[np.flatnonzero(rates == rate).tolist()]
        source = nest.Create("poisson_generator", params={"rate": float(rate)})
        nest.Connect(source, chosen, syn_spec={"weight": network.poisson_weight, "delay": network.dt_ms})


def run(network: NetworkModel, request: Request) -> Answer:
    start = time.perf_counter()
    nest.verbosity = nest.VerbosityLevel.ERROR
    nest.ResetKernel()
    nest.set(
        resolution=network.dt_ms, local_num_threads=request.n_threads, rng_seed=request.seed, print_time=False
    )
    neurons = _neurons(network)
    recorder = nest.Create("spike_recorder")
    _connect(network, neurons)
    _drive(network, neurons)
    nest.Connect(neurons, recorder)
    nest.Prepare()
    built, used = time.perf_counter(), time.process_time()
    nest.Run(request.n_steps * network.dt_ms)
    run_s, processor_s = time.perf_counter() - built, time.process_time() - used
    nest.Cleanup()
    spikes = _spikes(network, recorder, int(neurons[0].global_id))
    return Answer("NEST", nest.__version__, "float64", run_s, processor_s, built - start, 0.0, spikes)


def _spikes(network: NetworkModel, recorder: Any, first: int) -> Spikes:
    events = recorder.events  # a spike of step k has the time of its end
    step = np.round(np.asarray(events["times"]) / network.dt_ms).astype(np.int64) - 1
    return step, np.asarray(events["senders"]).astype(np.int64) - first


if __name__ == "__main__":
    serve(run)
