# Spikeloom: everything is installed, checked and run from here. `make help` lists the targets.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
# Elsewhere than here the plain torch wheel brings gigabytes of CUDA: TORCH_INDEX=https://download.pytorch.org/whl/cpu avoids it.
TORCH_INDEX ?=
PACKAGES := neuro eventio analog_bridge hw spikeloom
JOBS ?= 2

.PHONY: help setup demo test test-all check format bench benchmark-models shipped-model peers nest lava try-lava docs clean clean-kernels

help:
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | expand -t 20

$(VENV)/core.stamp: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(0 if (3, 11) <= v <= (3, 13) else f"Spikeloom needs Python 3.11 to 3.13, {sys.executable} is {v[0]}.{v[1]}: run make PYTHON=python3.11")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(PIP) install --quiet -c constraints.txt -e .
	touch $@

$(VENV)/setup.stamp: $(VENV)/core.stamp
	$(PIP) install --quiet $(if $(TORCH_INDEX),--index-url $(TORCH_INDEX)) -c constraints.txt torch
	$(PIP) install --quiet -c constraints.txt nirtorch setuptools wheel
	$(PIP) install --quiet -c constraints.txt --no-deps norse
	$(PIP) install --quiet -c constraints.txt -e '.[dev,docs]'
	touch $@

setup: $(VENV)/setup.stamp  ## install all that tests, benchmarks and training need into .venv

demo: $(VENV)/core.stamp  ## recognise the held-out digits with the shipped model, write an HTML report (no torch needed)
	$(BIN)/spikeloom demo

check: $(VENV)/setup.stamp  ## lint, format, types, docstrings, import contracts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(BIN)/numpydoc lint $$(find $(PACKAGES) -name '*.py')

test: check try-lava  ## the whole check, the docs' examples and the tests: what CI runs
	OMP_NUM_THREADS=1 $(BIN)/pytest -q -n $(JOBS) -m 'not slow' --doctest-modules --doctest-glob='*.md' $(PACKAGES) README.md docs tests

test-all: check try-lava  ## the same with the slow tests, and the documentation built with warnings as errors
	OMP_NUM_THREADS=1 $(BIN)/pytest -q -n $(JOBS) --doctest-modules --doctest-glob='*.md' $(PACKAGES) README.md docs tests
	$(MAKE) docs

format: $(VENV)/setup.stamp  ## format the sources
	$(BIN)/ruff check --fix-only .
	$(BIN)/ruff format .

bench: $(VENV)/setup.stamp  ## the benchmark of each speed and accuracy claim (tables: benchmarks/README.md)
	$(BIN)/python benchmarks/recognition.py
	$(BIN)/python benchmarks/attention.py
	$(BIN)/python benchmarks/engine_continuous.py
	$(BIN)/python benchmarks/engine_density.py
	$(BIN)/python benchmarks/engine_networks.py
	$(BIN)/python benchmarks/hardware.py
	$(BIN)/python benchmarks/hardware_costs.py
	$(BIN)/python benchmarks/conversion.py
	$(BIN)/python benchmarks/bridge_inputs.py
	$(BIN)/python benchmarks/event_containers.py
	$(BIN)/python benchmarks/event_files.py
	$(BIN)/python benchmarks/event_processing.py

benchmark-models: $(VENV)/setup.stamp  ## train the models that the benchmarks use (about an hour on 2 cores)
	$(BIN)/python benchmarks/train_models.py
	$(BIN)/python benchmarks/train_attention.py frames build/attention-frames
	$(BIN)/python benchmarks/train_attention.py train build/attention-frames
	$(BIN)/python benchmarks/train_attention.py keep build/attention-frames
	$(BIN)/python benchmarks/conversion_networks.py

shipped-model: $(VENV)/setup.stamp  ## train the model shipped for the demo again, from its seed
	$(BIN)/spikeloom train digits --seed 0 --threads 1 --out spikeloom/models/digits.h5

peers: .venv-peers/stamp  ## other people's readers and simulators, for comparison (NEST: make nest)
.venv-peers/stamp: constraints.txt
	test -x .venv-peers/bin/python || $(PYTHON) -m venv .venv-peers
	.venv-peers/bin/python -m pip --disable-pip-version-check install --quiet -c constraints.txt torch tonic evt3 dv-processing faery aedat evutils eventcv jax brainevent numba
	.venv-peers/bin/python -m pip --disable-pip-version-check install --quiet -c constraints.txt loguru SciencePlots matplotlib requests tqdm h5py scipy pillow pbr scikit-learn
	.venv-peers/bin/python -m pip --disable-pip-version-check install --quiet -c constraints.txt --no-deps nir nirtorch spikingjelly sinabs scikit-video
	touch $@

nest: .venv-nest/stamp  ## NEST (GPL, for comparison only) in an environment of its own; it needs Python 3.11
.venv-nest/stamp: constraints.txt
	test -x .venv-nest/bin/python || $(PYTHON) -m venv .venv-nest
	.venv-nest/bin/python -m pip --disable-pip-version-check install --quiet -c constraints.txt nest-simulator
	touch $@

lava: $(VENV)/lava.stamp  ## Lava and what the mapping is compared with (metadata ask for an old Python; the pinned versions run)
$(VENV)/lava.stamp: $(VENV)/setup.stamp
	$(PIP) install --quiet -c constraints.txt networkx asteval
	$(PIP) install --quiet -c constraints.txt --no-deps --ignore-requires-python lava-nc brian2-loihi
	-$(PIP) download --quiet -c constraints.txt --no-deps --ignore-requires-python --dest build/lava-dl lava-dl
	touch $@

try-lava: $(VENV)/setup.stamp
	@$(MAKE) --no-print-directory lava || echo 'Lava could not be installed: tests that need it are skipped'

docs: $(VENV)/setup.stamp  ## build the documentation into docs/_build
	$(BIN)/sphinx-build -q -W -b html docs docs/_build/html

clean-kernels:  ## forget compiled kernels (after editing one)
	find neuro eventio hw -name '*.nb[ic]' -delete

clean:  ## remove environments, caches and build output
	rm -rf .venv .venv-peers .venv-nest build dist *.egg-info docs/_build .mypy_cache .ruff_cache .pytest_cache .hypothesis .numba_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
