# Two commands for a new user: `make demo` (the main job on a real three-node lab) and `make test`.
# Everything runs from .venv, made by scripts/setup.sh from requirements.lock; run any target again at will.
SHELL := /bin/bash
.DEFAULT_GOAL := help
PY := .venv/bin/python
export PYTHONPYCACHEPREFIX := $(CURDIR)/.build/pycache

.PHONY: help setup venv demo play play-down test check fix real crash crash-all golden schema bench native catalogue soak sim sim-nightly mutants oracle clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*##/\t/' | expand -t 12

setup: ## install what is missing (system packages as root) and build .venv
	@scripts/setup.sh all

venv: ## build .venv only, no system packages
	@scripts/setup.sh venv

demo: setup ## the main job on a real three-node lab, with narration
	@exec $(PY) -m reconciler.lab.demo

play: setup ## the demo's lab, left running and mounted
	@exec $(PY) -m reconciler.lab.demo --play

play-down: ## end what `make play` left running
	@exec $(PY) -m reconciler lab down

test: setup check sim real ## set up, then every test but those of make crash

check: venv ## lint, types, floors, and the tests that need no root (about a minute)
	.venv/bin/ruff check reconciler native scripts tests
	.venv/bin/ruff format --check reconciler native scripts tests
	.venv/bin/mypy
	.venv/bin/lint-imports --no-cache
	.venv/bin/pytest -m "not real and not crash" --ignore tests/sim -n 2 --dist worksteal

fix: venv ## format, and repair what the linter can
	.venv/bin/ruff check --fix reconciler native scripts tests
	.venv/bin/ruff format reconciler native scripts tests

real: setup ## the tests on real etcd, glusterfsd and mounts (root)
	.venv/bin/pytest -m real -n 2 --dist loadfile

crash: setup ## kill real processes at forty failpoints, drawn by GLUSTER_STATE_CRASH_SEED (root)
	.venv/bin/pytest tests/crash -m crash -n 3 --dist worksteal

crash-all: setup ## kill real processes at every failpoint (root)
	GLUSTER_STATE_CRASH=all .venv/bin/pytest tests/crash -m crash -n 3 --dist worksteal

golden: venv ## compare volfiles with the stored ones
	.venv/bin/pytest tests/golden

schema: venv ## write schemas/ again from the code
	$(PY) -m reconciler schema > schemas/cluster.v1.schema.json.new
	mv schemas/cluster.v1.schema.json.new schemas/cluster.v1.schema.json

bench: venv ## speed against its targets: a cold and a large validate, volfiles, the engine, and an apply against the fsync of etcd (root)
	$(PY) benchmarks/validate_cold.py
	$(PY) benchmarks/validate_large.py
	$(PY) benchmarks/volfiles.py
	$(PY) -m benchmarks.engine_steps
	$(PY) -m benchmarks.apply_on_etcd

native: venv ## write the cffi module again from native/xlator_abi.h (no compiler)
	$(PY) native/build.py

catalogue: setup ## write the option catalogues again from the libraries of GlusterFS 10.3 and 11.1
	$(PY) scripts/write_catalogues.py

soak: setup ## ten minutes without agents or etcd, under I/O
	GLUSTER_STATE_SOAK_SECONDS=600 .venv/bin/pytest -m real tests/real -k soak --timeout 1200

sim: venv ## crashes of transactions, 2,000 random schedules, small clusters explored completely, mutants
	GLUSTER_STATE_SIM_SEEDS=2000 GLUSTER_STATE_SIM_MODELS=undisturbed,rollback,takeover \
		.venv/bin/pytest tests/sim -n 2 --dist worksteal

sim-nightly: venv ## every crash point, 100,000 schedules (GLUSTER_STATE_SIM_FROM: from which seed), every model
	GLUSTER_STATE_CRASH=all GLUSTER_STATE_SIM_SEEDS=100000 GLUSTER_STATE_SIM_MODELS=all \
		.venv/bin/pytest tests/sim -n 2 --dist worksteal --timeout 7200

mutants: venv ## break the protocol on purpose: how many schedules each mutant lives, and which test kills it
	.venv/bin/pytest tests/sim/test_mutants.py -n 2 --dist worksteal
	$(PY) -m tests.sim.mutation

oracle: setup ## random volumes on a real glusterd, and what it made of them against ours (about 15 minutes)
	$(PY) scripts/compare_with_glusterd.py

clean: ## remove what the build made
	rm -rf .venv .build .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
