"""The networks in Brian2, C++ standalone: exact integration of current-based neurons, exponential Euler else.

``method='euler'`` in the request takes forward Euler for conductance-based neurons: another, cheaper model.
"""

from __future__ import annotations

import tempfile
import time

import brian2
import numpy as np
from protocol import Answer, NetworkModel, Request, serve

CURRENT = "dv/dt = (rest - v + g_exc + g_inh) / tau_mem : 1 (unless refractory)"
CONDUCTANCE = (
    "dv/dt = (rest - v + g_exc * (e_exc - v) + g_inh * (e_inh - v)) / tau_mem : 1 (unless refractory)"
)
SYNAPSES = "dg_exc/dt = -g_exc / tau_exc : 1\ndg_inh/dt = -g_inh / tau_inh : 1"


def _neurons(network: NetworkModel, method: str) -> brian2.NeuronGroup:
    ms = brian2.ms
    membrane = CURRENT if network.kind == "current" else CONDUCTANCE
    is_driven = network.drive.size > 1
    group = brian2.NeuronGroup(
        network.n_neurons,
        "\n".join([membrane, SYNAPSES, "rest : 1 (constant)" if is_driven else ""]),
        threshold="v > threshold",
        reset="v = v_reset",
        refractory=(network.refractory_steps + 1) * network.dt_ms * ms,  # Brian2 holds v one step less
        method=method or ("exact" if network.kind == "current" else "exponential_euler"),
        namespace={
            "threshold": network.threshold,
            "v_reset": network.v_reset,
            "tau_mem": network.tau_mem_ms * ms,
            "tau_exc": network.tau_exc_ms * ms,
            "tau_inh": network.tau_inh_ms * ms,
            "e_exc": network.e_exc,
            "e_inh": network.e_inh,
            **({} if is_driven else {"rest": network.v_rest + float(network.drive[0])}),
        },
    )
    if is_driven:
        group.rest = network.v_rest + network.drive
    group.v, group.g_exc, group.g_inh = network.v_init, network.g_exc_init, network.g_inh_init
    return group


def _synapses(network: NetworkModel, group: brian2.NeuronGroup) -> list[brian2.Synapses]:
    found = []
    delay_s = (network.delay_steps - 1) * network.dt_ms * 1e-3
    for is_inhibitory, target in ((False, "g_exc_post"), (True, "g_inh_post")):
        chosen = (network.is_inhibitory == is_inhibitory)[network.source]
        arguments = {"on_pre": f"{target} += weight"}
        if network.weight.size == 2:
            arguments["namespace"] = {"weight": float(network.weight[int(is_inhibitory)])}
        else:
            arguments["model"] = "weight : 1 (constant)"
        if delay_s.size == 1:
            arguments["delay"] = float(delay_s[0]) * brian2.second
        synapses = brian2.Synapses(group, group, **arguments)
        synapses.connect(i=network.source[chosen], j=network.target[chosen])
        if network.weight.size != 2:
            synapses.weight = network.weight[chosen]
        if delay_s.size > 1:
            synapses.delay = delay_s[chosen] * brian2.second
        found.append(synapses)
    return found


def run(network: NetworkModel, request: Request) -> Answer:
    if network.poisson_weight:
        raise SystemExit("the Brian2 runner has no Poisson sources")
    start = time.perf_counter()
    folder = tempfile.mkdtemp(prefix="brian2-")
    brian2.set_device("cpp_standalone", directory=folder, build_on_run=False)
    brian2.prefs.core.default_float_dtype = np.dtype(request.precision).type
    if request.n_threads > 1:
        brian2.prefs.devices.cpp_standalone.openmp_threads = request.n_threads
    brian2.defaultclock.dt = network.dt_ms * brian2.ms
    group = _neurons(network, request.method)
    monitor = brian2.SpikeMonitor(group)
    everything = brian2.Network(group, _synapses(network, group), monitor)
    everything.run(request.n_steps * network.dt_ms * brian2.ms)
    brian2.device.build(directory=folder, compile=True, run=False, with_output=False)
    compile_s = time.perf_counter() - start
    run_s = build_s = float("inf")
    for _ in range(request.n_runs):
        start = time.perf_counter()
        brian2.device.run(directory=folder, with_output=False)
        whole_s = time.perf_counter() - start
        if brian2.device._last_run_time < run_s:  # the loop over the steps, as Brian2 itself measures it
            run_s = brian2.device._last_run_time
            build_s = whole_s - run_s
    step = np.round(np.asarray(monitor.t / brian2.ms) / network.dt_ms).astype(np.int64)
    spikes = (step, np.asarray(monitor.i).astype(np.int64))
    brian2.device.delete(force=True)
    return Answer("Brian2", brian2.__version__, request.precision, run_s, None, build_s, compile_s, spikes)


if __name__ == "__main__":
    serve(run)
