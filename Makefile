# CXR Box. `make help` lists what there is; FILMS, STATE, HOST, PORT and RUN may be set on the command line.
PYTHON ?= $(shell command -v python3.11 || echo python3)
BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
FILMS ?=
STATE ?= state
HOST ?= 127.0.0.1
PORT ?= 8080
DATA ?= ../shared/cxr
RUN ?= runs/edge-default
BUNDLE ?= models/bundles/cxr-demo-lite0

.PHONY: help setup run lint test bench train convert pictures clean

help:  ## list the commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: .venv/.box  ## make .venv with the box alone (no torch, no tensorflow)

run: setup  ## start the box at http://127.0.0.1:8080; FILMS=/path reads your own films
	@if [ -z "$(FILMS)" ]; then $(BIN)/cxrbox demo films; fi
	exec $(BIN)/cxrbox run --films "$(or $(FILMS),films)" --state "$(STATE)" --host "$(HOST)" --port "$(PORT)"

lint: .venv/.all  ## check style, and that the rooms import nothing of each other
	$(BIN)/ruff check --quiet .
	$(BIN)/ruff format --check --quiet .
	$(BIN)/lint-imports --no-cache

test: .venv/.all  ## install everything and run the tests
	@tests/install_browser.sh
	$(BIN)/pytest

bench: .venv/.all  ## measure the reading of a film; prints JSON
	@$(BIN)/python tests/bench/bench_reading.py

train: .venv/.all  ## train the network on DATA and write RUN
	$(BIN)/cxrtrain fit --films "$(DATA)" -o "$(RUN)"

convert: .venv/.all  ## convert RUN to the default bundle
	$(BIN)/cxrconvert "$(RUN)" --films "$(DATA)" -o "$(BUNDLE)" --force

pictures: .venv/.all  ## photograph the page for the README
	$(BIN)/python device/pictures/take.py

clean:  ## remove the environment and what was generated; films and state stay
	rm -rf .venv build dist

.venv/bin/python:
	@$(PYTHON) -m venv .venv
	@$(PIP) install --upgrade "pip>=25.1"

.venv/.box: .venv/bin/python pyproject.toml constraints.txt
	@echo "installing what the box needs into .venv" >&2
	@$(PIP) install --constraint constraints.txt --editable ".[device,demo]"
	@touch $@

# torch first and pinned: any other order may pull several GB of CUDA.
.venv/.all: .venv/.box
	@echo "installing what training, conversion and tests need" >&2
	@$(PIP) install --constraint constraints.txt torch
	@$(PIP) install --constraint constraints.txt --editable ".[device,demo,train,convert]" --group dev
	@touch $@
