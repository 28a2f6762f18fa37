# The two commands: `make demo` runs the whole path on this machine, `make test` runs every test it can run.
# Each does its own set-up: Debian packages, the virtual environment in .venv, and (for tests) the pinned engines.

SHELL  := /bin/bash
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready

.DEFAULT_GOAL := help
.PHONY: help install demo demo-once test test-fast lint format bench engines lock docs clean

help:  ## say what can be made
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: $(READY)  ## set up .venv (the commands are then at .venv/bin/dccn)

$(READY): requirements.lock pyproject.toml tools/setup/environment tools/setup/packages
	@tools/setup/environment $(PYTHON) $(VENV)
	@touch $@

demo: $(READY)  ## run a whole network on this machine, with this machine as its miner
	@tools/setup/packages mosquitto
	@$(BIN)/dccn demo $(ARGS)

demo-once: ARGS = --seconds 45
demo-once: demo  ## the same for 45 seconds, in a temporary directory

test: $(READY) engines  ## lint, then every test, slow lanes included
	@tools/setup/packages mosquitto chromium faketime libatomic1
	@$(MAKE) --no-print-directory lint
	$(BIN)/pytest --durations=10

test-fast: $(READY)  ## the tests that take seconds
	@tools/setup/packages mosquitto faketime
	$(BIN)/pytest -m "not slow and not engine"

lint: $(READY)  ## formatting, imports, layers, types, generated documents
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/mypy
	$(BIN)/python -m tools.documents --check

format: $(READY)  ## let ruff put the code in order
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(READY)  ## measure, as ratios within one run; prints a table and writes bench.json
	@tools/setup/packages mosquitto
	$(BIN)/python -m tools.bench $(ARGS)

engines: $(READY)  ## bring the pinned engines into ~/.cache/dccn
	@$(BIN)/python -m tools.engines

docs: $(READY)  ## write the documents that are generated from the registries
	$(BIN)/python -m tools.documents

lock: $(READY)  ## pin every dependency again, with hashes
	$(BIN)/pip install --quiet uv
	$(BIN)/uv pip compile pyproject.toml --extra dev --universal --python-version 3.11 --generate-hashes \
	  --no-annotate --no-header --no-emit-index-url --no-emit-find-links --upgrade --output-file requirements.lock

clean:  ## remove what was built here (not the data in ~/.local/share/dccn)
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache bench.json
