"""The layer in brainevent: in steps a binary vector meets the unrolled convolution as CSR; float32, compiled by JAX.

Called as ``PYTHON run_brainevent.py request.npz answer.npz``, see `unrolled.py` for what the files hold.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

os.environ.setdefault("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1")
os.environ.setdefault("JAX_PLATFORMS", "cpu")

import brainevent
import jax
import jax.numpy as jnp
import numpy as np

CHUNK = 50  # steps of one compiled loop


def main() -> None:
    asked = np.load(sys.argv[1])
    n_in, n_out, step_us = int(asked["n_in"]), int(asked["n_out"]), int(asked["step_us"])
    start = time.process_time()
    weights = brainevent.CSR(
        (jnp.asarray(asked["weight"]), jnp.asarray(asked["indices"]), jnp.asarray(asked["indptr"])),
        shape=(n_in, n_out),
    )
    factor = jnp.float32(np.exp(-step_us / float(asked["tau_us"])))
    n_steps = int(asked["duration_us"]) // step_us

    def step(v, spikes):
        v = v * factor + brainevent.BinaryArray(spikes) @ weights
        fired = v > 1
        return jnp.where(fired, 0, v), fired

    @jax.jit
    def chunk(v, frames):
        return jax.lax.scan(step, v, frames)

    frames = np.zeros((-(-n_steps // CHUNK) * CHUNK, n_in), bool)
    frames[asked["t_us"] // step_us, asked["index"]] = True
    parts = frames.reshape(-1, CHUNK, n_in)
    jax.block_until_ready(chunk(jnp.zeros(n_out, jnp.float32), parts[0]))
    build_s = time.process_time() - start
    run_s = np.inf
    for _ in range(3):
        v, found = jnp.zeros(n_out, jnp.float32), []
        start = time.process_time()
        for part in parts:
            v, fired = chunk(v, part)
            found.append(np.nonzero(np.asarray(fired)))
        run_s = min(run_s, time.process_time() - start)
    t_us = np.concatenate([(k * CHUNK + one[0]) * step_us for k, one in enumerate(found)])
    index = np.concatenate([one[1] for one in found])
    version = brainevent.__version__
    np.savez(Path(sys.argv[2]), t_us=t_us, index=index, run_s=run_s, build_s=build_s, version=version)


if __name__ == "__main__":
    main()
