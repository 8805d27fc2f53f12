"""The networks in brainevent on the CPU: spikes @ CSR inside one jitted scan over the steps.

The timed run counts spikes per neuron only; a run of its own, not timed, records them. `method` names the backend of
brainevent's product ('numba', 'jax_raw'; '' for its default).
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Any

os.environ["JAX_PLATFORMS"] = "cpu"

import brainevent
import jax
import numpy as np
from jax import numpy as jnp
from protocol import Answer, NetworkModel, Request, serve


def _matrices(network: NetworkModel, dtype: Any) -> list[brainevent.CSR]:
    """Synapses of the excitatory and of the inhibitory neurons, rows of all neurons."""
    found = []
    source_is_inhibitory = network.is_inhibitory[network.source]
    for is_inhibitory in (False, True):
        chosen = source_is_inhibitory == is_inhibitory
        counts = np.where(network.is_inhibitory == is_inhibitory, np.diff(network.start), 0)
        start = np.concatenate([[0], np.cumsum(counts)]).astype(np.int32)
        is_shared = network.weight.size == 2
        weight = network.weight[[int(is_inhibitory)]] if is_shared else network.weight[chosen]
        parts = (jnp.asarray(weight, dtype), jnp.asarray(network.target[chosen]), jnp.asarray(start))
        found.append(brainevent.CSR(parts, shape=(network.n_neurons, network.n_neurons)))
    return found


def _membrane(network: NetworkModel) -> Callable[..., jax.Array]:
    """The membranes a step later, with all constants folded in double precision."""
    dt, tau, rest = network.dt_ms, network.tau_mem_ms, network.v_rest + network.drive
    decay = np.exp(-dt / tau)
    if network.kind == "current":
        factors = [
            tau_syn / (tau_syn - tau) * (np.exp(-dt / tau_syn) - decay)
            for tau_syn in (network.tau_exc_ms, network.tau_inh_ms)
        ]
        constant = rest * (1 - decay)
        return lambda v, g_exc, g_inh: (
            float(decay) * v
            + (jnp.asarray(constant, v.dtype) + g_exc * float(factors[0]) + g_inh * float(factors[1]))
        )

    def conductance(v: jax.Array, g_exc: jax.Array, g_inh: jax.Array) -> jax.Array:
        total = 1 + g_exc + g_inh
        towards = (jnp.asarray(rest, v.dtype) + g_exc * network.e_exc + g_inh * network.e_inh) / total
        return towards + (v - towards) * jnp.exp(-dt / tau * total)

    return conductance


def _simulation(network: NetworkModel, request: Request, dtype: Any) -> Callable[..., Any]:
    excitatory, inhibitory = _matrices(network, dtype)
    nothing = brainevent.BinaryArray(jnp.zeros(network.n_neurons, bool))
    for matrix in (excitatory, inhibitory):
        jax.block_until_ready(nothing @ matrix)  # makes its workspace, which must not happen inside the scan
    membrane = _membrane(network)
    n, n_waiting = network.n_neurons, int(network.delay_steps[0]) - 1
    decay_exc = float(np.exp(-network.dt_ms / network.tau_exc_ms))
    decay_inh = float(np.exp(-network.dt_ms / network.tau_inh_ms))

    def step(state: tuple[Any, ...], is_recorded: bool) -> tuple[tuple[Any, ...], Any]:
        v, g_exc, g_inh, held, waiting, counts = state
        is_free = held == 0
        v = jnp.where(is_free, membrane(v, g_exc, g_inh), v)
        fired = is_free & (v > network.threshold)
        v = jnp.where(fired, network.v_reset, v)
        held = jnp.where(fired, network.refractory_steps, jnp.maximum(held - 1, 0))
        waiting = (*waiting, fired)
        arriving = brainevent.BinaryArray(waiting[0])
        g_exc = g_exc * decay_exc + arriving @ excitatory
        g_inh = g_inh * decay_inh + arriving @ inhibitory
        state = (v, g_exc, g_inh, held, waiting[1:], counts + fired)
        return state, jnp.packbits(fired) if is_recorded else None

    def simulate(v: jax.Array, g_exc: jax.Array, g_inh: jax.Array, is_recorded: bool) -> Any:
        silent = tuple(jnp.zeros(n, bool) for _ in range(n_waiting))
        state = (v, g_exc, g_inh, jnp.zeros(n, jnp.int32), silent, jnp.zeros(n, jnp.int32))
        state, packed = jax.lax.scan(lambda s, _: step(s, is_recorded), state, None, length=request.n_steps)
        return state[-1], packed

    return simulate


def run(network: NetworkModel, request: Request) -> Answer:
    if network.poisson_weight or network.delay_steps.size > 1:
        raise SystemExit("the brainevent runner has no Poisson sources and one delay for all synapses")
    start = time.perf_counter()
    jax.config.update("jax_enable_x64", request.precision == "float64")
    if request.method:
        brainevent.config.set_backend("cpu", request.method)
    dtype = np.dtype(request.precision)
    simulate = jax.jit(_simulation(network, request, dtype), static_argnums=3)
    state = [jnp.asarray(x, dtype) for x in (network.v_init, network.g_exc_init, network.g_inh_init)]
    built = time.perf_counter()
    jax.block_until_ready(simulate(*state, False))
    first = time.perf_counter()
    run_s = processor_s = float("inf")
    for _ in range(request.n_runs):
        begun, used = time.perf_counter(), time.process_time()
        counts, _ = jax.block_until_ready(simulate(*state, False))
        run_s = min(run_s, time.perf_counter() - begun)
        processor_s = min(processor_s, time.process_time() - used)
    _, packed = simulate(*state, True)
    fired = np.unpackbits(np.asarray(packed), axis=1, count=network.n_neurons)
    step, index = np.nonzero(fired)
    assert np.array_equal(np.asarray(counts), fired.sum(0)), "two runs of brainevent differ"
    compile_s = max(0.0, first - built - run_s)
    return Answer(
        "brainevent", brainevent.__version__, request.precision, run_s, processor_s, built - start, compile_s,
        (step.astype(np.int64), index.astype(np.int64)), {"jax": jax.__version__},
    )  # fmt: skip


if __name__ == "__main__":
    serve(run)
