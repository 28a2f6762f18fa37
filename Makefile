# The two commands: `make demo` runs the whole path on this machine, `make test` runs every test it can run.
# Each does its own set-up: Debian packages, the virtual environment in .venv, and (for tests) the pinned engines.

SHELL  := /bin/bash
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready

.DEFAULT_GOAL := help
.PHONY: help install demo demo-once test test-fast lint format bench fuzz fuzzer image image-test pod-test driver-test image-tools hardware-test acceptance-test engines lock docs clean

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

test: $(READY) engines fuzzer  ## lint, then every test, slow lanes included
	@tools/setup/packages mosquitto chromium faketime tinyproxy-bin libatomic1 mtools dosfstools xz-utils postgresql iproute2 \
	  swtpm swtpm-tools tpm2-tools sbsigntool containerd runc containernetworking-plugins busybox-static nftables
	@$(MAKE) --no-print-directory lint
	$(BIN)/pytest -m "not image and not driver" -rs --durations=10

test-fast: $(READY)  ## the tests that take seconds
	@tools/setup/packages mosquitto faketime tinyproxy-bin mtools dosfstools xz-utils postgresql swtpm swtpm-tools tpm2-tools sbsigntool
	$(BIN)/pytest -m "not slow and not engine and not kubernetes and not image and not driver"

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

fuzz: $(READY) fuzzer  ## throw coverage-guided bytes at every reader; ARGS="--seconds 60 NAME" for one of them
	$(BIN)/python -m tools.fuzz $(ARGS)

# Wheels only: where there is none for this machine, nothing is fuzzed and the test says so.
fuzzer: $(READY)
	@$(BIN)/python -c 'import atheris' 2>/dev/null || $(BIN)/pip install --quiet --only-binary :all: --require-hashes \
	  -r tools/fuzz/requirements.lock || echo 'setup: there is no atheris for this Python; nothing will be fuzzed' >&2

image: $(READY) image-tools  ## build an image to flash, build/image/dccn-PROFILE-VERSION.img; PROFILE=x86-nvidia
	$(BIN)/dccn image build --fetch --profile $(or $(PROFILE),x86-nogpu) $(ARGS)

image-test: $(READY) image-tools  ## build the test image and boot it in an emulator
	@tools/setup/packages mosquitto chromium qemu-system-x86 qemu-utils ovmf swtpm swtpm-tools tpm2-tools
	$(BIN)/pytest -m "image and not kubernetes and not acceptance" --durations=0 -rsP $(ARGS)

pod-test: $(READY) image-tools engines  ## boot an image with Kubernetes in it and run a pod there; minutes
	@tools/setup/packages qemu-system-x86 qemu-utils ovmf busybox-static iproute2
	$(BIN)/pytest -m "image and kubernetes" --durations=10 -rsP $(ARGS)

driver-test: $(READY) image-tools  ## build the tree of x86-nvidia and look at its modules
	@tools/setup/packages openssl
	$(BIN)/pytest -m driver $(ARGS)

image-tools: $(READY)
	@tools/setup/packages mmdebstrap erofs-utils cryptsetup-bin fdisk binutils cpio arch-test mtools dosfstools zstd xz-utils \
	  sbsigntool faketime

hardware-test: $(READY)  ## look for faults of this machine's hardware; ARGS="--profile X --level burnin --report r.json"
	@tools/setup/packages stress-ng stressapptest fio smartmontools tpm2-tools
	$(BIN)/pytest hardware-tests $(ARGS)

acceptance-test: $(READY) image-tools  ## build the image of the hardware tests and boot it in an emulator; ten minutes
	@tools/setup/packages mosquitto qemu-system-x86 qemu-utils ovmf swtpm swtpm-tools tpm2-tools
	$(BIN)/pytest -m "image and acceptance" --durations=10 -rsP $(ARGS)

engines: $(READY)  ## bring the pinned engines into ~/.cache/dccn; ENGINES=cometbft for one of them
	@$(BIN)/python -m tools.engines $(ENGINES)

docs: $(READY)  ## write the documents that are generated from the registries
	$(BIN)/python -m tools.documents

lock: $(READY)  ## pin every dependency again, with hashes
	$(BIN)/pip install --quiet uv
	$(BIN)/uv pip compile pyproject.toml --extra dev --universal --python-version 3.11 --generate-hashes \
	  --no-annotate --no-header --no-emit-index-url --no-emit-find-links --upgrade --output-file requirements.lock

clean:  ## remove what was built here (not the data in ~/.local/share/dccn)
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache bench.json
