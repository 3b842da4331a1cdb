# fn-notifications: every common task, one line each. `make` alone lists them.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: help setup run demo test simulate chaos interleavings rebalances check format bench bench-long bench-peers docs kafka lock clean

help: ## show this list
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  \033[1m%-14s\033[0m %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(READY) ## make .venv with everything, pinned and hash-checked

$(READY): pyproject.toml requirements/dev.txt
	@$(PYTHON) -c 'import sys; v = sys.version_info; sys.exit(v < (3, 11) and f"Python 3.11 or newer is needed, this is {v.major}.{v.minor}; try: make PYTHON=python3.12 setup")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

run: setup ## start the service on embedded parts, with sample events and a mailbox to look at
	$(BIN)/fn-notifications dev

demo: setup ## publish the sample events, wait until all is settled, print what happened
	$(BIN)/fn-notifications demo

test: setup ## run every test (real PostgreSQL, real Apache Kafka where Java and Maven exist)
	$(BIN)/python scripts/test.py

SEEDS ?= 2000
FIRST_SEED ?= 0
simulate: setup ## the whole application under every fault in virtual time: SEEDS=n [FIRST_SEED=k]
	$(BIN)/python -m fn_notifications.testing.simulation --seeds $(SEEDS) --first $(FIRST_SEED)

MINUTES ?= 10
SEED ?= 1
chaos: setup ## two real service processes, killed and cut off while events flow: MINUTES=n [SEED=k]
	$(BIN)/python -m tests.chaos --minutes $(MINUTES) --seed $(SEED)

COUNT ?= 10000
interleavings: setup ## opt-outs against the last look before a call, on PostgreSQL: COUNT=n [SEED=k]
	$(BIN)/python -m tests.campaigns.consent --count $(COUNT) --seed $(SEED)

rebalances: COUNT = 200
rebalances: setup ## Kafka rebalances under load, every protocol: COUNT=n [SEED=k]
	$(BIN)/python -m tests.campaigns.rebalances --count $(COUNT) --seed $(SEED)

check: setup ## lint, format, types, architecture
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/mypy

format: setup ## let ruff mend what it can
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: setup ## measure the hot paths against the same by hand; figures land in build/bench.json
	$(BIN)/python -m benchmarks

bench-long: setup ## a million deliveries by one process: does its memory grow
	$(BIN)/python -m benchmarks --only memory --repeat 1 --count 1000000 --users 60000 --out build/bench-long.json

bench-peers: setup ## against other queues, in an environment of their own (Celery needs redis-server)
	$(PYTHON) -m venv build/peers
	build/peers/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r benchmarks/peers/requirements.txt
	$(BIN)/python -m benchmarks --only dispatch,celery,procrastinate,pgqueuer --out build/bench-peers.json

docs: setup ## build the documentation into build/docs
	$(BIN)/sphinx-build -n -W --keep-going -q docs build/docs

kafka: ## fetch a real Apache Kafka into .cache/kafka (Java 17 and Maven)
	scripts/kafka.sh fetch

lock: ## resolve the pinned dependencies anew (needs uv)
	uv pip compile pyproject.toml --all-extras --group dev --universal --python-version 3.11 --generate-hashes \
	  --no-header --no-emit-index-url --no-annotate --upgrade -o requirements/dev.txt
	uv pip compile benchmarks/peers/requirements.in --universal --python-version 3.11 --generate-hashes \
	  --no-header --no-emit-index-url --no-annotate --upgrade -o benchmarks/peers/requirements.txt

clean: ## remove everything that was built or fetched
	rm -rf $(VENV) build .cache .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
