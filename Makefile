# What people and CI call. Every target does its own set-up; `make help` lists them.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

UV_VERSION := 0.13.9
UV := .tools/bin/uv
# As users' shells may have another environment active.
RUN := env -u VIRTUAL_ENV $(UV) run --frozen --all-extras
# Processes that tests run in, each with one thread; more where there are more cores and memory: make test JOBS=8.
JOBS := 2
PYTEST := $(RUN) pytest
# A file at a time, in order, so that fixtures of a file are made once.
IN_PARALLEL := --numprocesses=$(JOBS) --dist=loadfile --no-loadscope-reorder --max-worker-restart=0
# A test that hangs says where, and has failed. Those on clusters may wait for builds.
NO_HANG := -o faulthandler_timeout=900 -o faulthandler_exit_on_timeout=true
EXPORT := --frozen --no-dev --no-emit-project --no-annotate

include tests/cluster/cluster.mk

.PHONY: help setup demo demo-cluster test test-fast test-properties test-control-plane test-node lint format generate dashboards-pictures krew lock bench bench-search bench-proxies bench-score-pods bench-start bench-tasks bench-supernet bench-differentiable bench-node-pool bench-karpenter bench-memory clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 22

setup: .venv/.ready ## make the virtual environment, with torch and all tools

.venv/.ready: pyproject.toml uv.lock | $(UV)
	@# With bytecode, as in the images: it halves the import of torch, and not every environment writes it as it goes.
	@env -u VIRTUAL_ENV $(UV) sync --frozen --all-extras --compile-bytecode
	@touch $@

$(UV):
	@python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "KubeNAS needs Python 3.11 or newer as python3" >&2; exit 1; }
	@python3 -m venv .tools || { echo "python3 cannot make virtual environments: apt-get install python3-venv" >&2; exit 1; }
	@.tools/bin/pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)

demo: setup ## search on this machine: 8 trials on handwritten digits, without a cluster
	$(RUN) kubenas run examples/digits.yaml --state "$$(mktemp -d)/digits"

demo-cluster: setup ## the same on a real two-node cluster made here for it (root and Go): install, apply, watch, result
	$(RUN) python -m tests.cluster.demo

test: setup test-fast test-control-plane test-node ## all tests: the pure core, then the control plane, then real nodes

test-fast: setup ## tests that need no cluster
	$(PYTEST) $(IN_PARALLEL) $(NO_HANG) -m "not control_plane and not node"

test-properties: setup ## tests of properties, each with many more examples than `make test` draws, and others each time
	$(PYTEST) $(IN_PARALLEL) --hypothesis-profile=thorough -m "hypothesis and not control_plane and not node"

test-control-plane: setup ## tests on a real apiserver without nodes (root and Go)
	$(PYTEST) $(IN_PARALLEL) -m control_plane

test-node: setup ## tests on the real two-node cluster (root, Go and Debian's packages)
	$(PYTEST) -m node

lint: setup ## style, types, layers, generated files
	$(RUN) ruff check .
	$(RUN) ruff format --check .
	$(RUN) mypy
	$(RUN) lint-imports

format: setup ## put the code into shape
	$(RUN) ruff check --fix .
	$(RUN) ruff format .

dashboards-pictures: setup ## draw the dashboards from a search run for it (root and Go; about 5 minutes)
	$(RUN) python -m tests.dashboards.record .dashboards.json
	$(RUN) python -m dashboards.pictures .dashboards.json docs/images

generate: setup ## write crds/ from the models, the dashboards from their panels, and what of deploy/ follows from the chart (Go)
	$(RUN) python -m kubenas.api.generate
	$(RUN) python -m dashboards.generate
	$(RUN) python -m tests.deploy.render

krew: setup ## make dist/krew: the archive of `kubectl nas` and the manifest that krew installs it by
	$(RUN) python deploy/krew/build.py dist/krew

lock: $(UV) ## lock the dependencies anew, for the project and for both images
	env -u VIRTUAL_ENV $(UV) lock
	$(UV) export $(EXPORT) --extra trial -o trial_image/requirements.txt >/dev/null
	$(UV) export $(EXPORT) --extra operator --extra search -o deploy/requirements.txt >/dev/null

bench: setup ## the control plane's figures, as docs/benchmarks.md has them (root and Go; about 10 minutes)
	$(RUN) python -m benchmarks.control_plane

bench-search: setup ## the searches' figures on published tables (KUBENAS_DATA; about 20 minutes on two cores)
	$(RUN) python -m benchmarks.search

bench-proxies: setup ## how training-free scores rank transformers and NAS-Bench-201 (KUBENAS_DATA; hours; goes on where it was interrupted)
	$(RUN) python -m benchmarks.transformers
	$(RUN) python -m benchmarks.proxies
	$(RUN) python -m benchmarks.proxy_search

bench-score-pods: setup ## architectures a minute that pods score in batches and one by one (root and Go; about 10 minutes)
	$(RUN) python -m benchmarks.score_pods

bench-start: setup ## how long trials take to start, beside torch (about 5 minutes)
	$(RUN) python -m benchmarks.start

bench-tasks: setup ## what the trainer's defaults reach on each task (KUBENAS_DATA; about an hour)
	$(RUN) python -m benchmarks.tasks

bench-supernet: setup ## how supernets rank architectures, by rule (two hours; goes on where it was interrupted)
	$(RUN) python -m benchmarks.supernet

bench-differentiable: setup ## what differentiable searches find, and how one collapses (about an hour; goes on where it was interrupted)
	$(RUN) python -m benchmarks.differentiable

bench-node-pool: setup ## how busy searches keep 1,000 spot nodes, on a simulated clock (KUBENAS_DATA; about 10 minutes)
	$(RUN) python -m benchmarks.node_pool

bench-karpenter: setup ## how busy a search keeps 32 slots on nodes that a real Karpenter adds (KUBENAS_DATA; root and Go; about 15 minutes)
	$(RUN) python -m benchmarks.karpenter

bench-memory: setup ## what ways to search and to train take in memory (about 10 minutes)
	$(RUN) python -m benchmarks.memory

clean: ## remove what was made here, but for the cluster programs in ~/.cache/kubenas
	rm -rf .venv .tools .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
