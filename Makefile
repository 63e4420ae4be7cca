# CXR Box. `make help` lists what there is; names in capitals may be set on the command line.
PYTHON ?= $(shell command -v python3.11 || echo python3)
BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
FILMS ?=
STATE ?= state
HOST ?= 127.0.0.1
PORT ?= 8080
DATA ?= ../shared/cxr
PREPARED ?= runs/prepared
FROM ?=
RECIPE ?= train/configs/edge-default.toml
SPLIT ?= reference
NAME = $(basename $(notdir $(RECIPE)))
RUN ?= runs/$(NAME)
BUNDLE ?= models/bundles/cxr-demo-lite0
KEY ?= keys/developer.pem
# The fleet: the inventory, and what goes onto its boxes. HOST, where it is given, names the one box that is meant.
INVENTORY ?= ansible/inventory/site
OFFLINE ?= offline
KEYS ?= models/keys/*.pub
LANES ?= bookworm trixie
MACHINES ?= aarch64
DEBS ?=
PI ?=
MODEL ?=
BACKUP ?=
IDENTITY ?=
CONFIRM ?=
LIMIT = $(if $(filter-out file,$(origin HOST)),--limit "$(HOST)")
PLAY = cd ansible && ../$(BIN)/ansible-playbook --inventory "$(abspath $(INVENTORY))" $(LIMIT) \
  $(if $(filter-out file,$(origin OFFLINE)),-e cxrbox_offline="$(abspath $(OFFLINE))")

.PHONY: help setup run lint test bench bench-box bench-train bench-convert proofs test-pi offline-bundle provision flash status backup restore update diagnose prepare train seeds report convert pictures clean

help:  ## list the commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-15s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: .venv/.box  ## make .venv with the box alone (no torch, no tensorflow)

run: setup  ## start the box at http://127.0.0.1:8080; FILMS=/path reads your own films
	@if [ -z "$(FILMS)" ]; then $(BIN)/cxrbox demo films; fi
	exec $(BIN)/cxrbox run --films "$(or $(FILMS),films)" --state "$(STATE)" --host "$(HOST)" --port "$(PORT)"

lint: .venv/.all  ## check style, plays, and that the rooms import nothing of each other
	$(BIN)/ruff check --quiet .
	$(BIN)/ruff format --check --quiet .
	$(BIN)/lint-imports --no-cache
	$(BIN)/yamllint --strict ansible
	$(BIN)/ansible-lint -q ansible

test: .venv/.all  ## install everything and run the tests
	@tests/install_tools.sh
	$(BIN)/pytest

# The box itself keeps linear algebra to one thread.
bench: export OPENBLAS_NUM_THREADS := 1
bench: .venv/.all  ## measure the reading of a film; prints JSON
	@$(BIN)/python tests/bench/bench_reading.py

bench-box: .venv/.all  ## measure the whole box: folder, start, pages, against the paper's app; prints JSON
	@$(BIN)/python tests/bench/bench_box.py

proofs: .venv/.all  ## the slow proofs: 1,000 kills, 10,000 damaged files, full disks; about an hour
	$(BIN)/python tests/slow/kill_box.py --kills 1000
	$(BIN)/python tests/slow/mutate_files.py --files 10000
	$(BIN)/python tests/slow/fill_disk.py

test-pi: .venv/.all  ## build a virtual Pi, provision it and put it through hardship; as root, hours (PI="--only NAME --cuts 3", PI="--container trixie")
	PYTHONPATH=tests $(BIN)/python -m virtual_pi $(PI)

bench-train: .venv/.all  ## measure the speed of training on DATA; prints JSON
	@$(BIN)/python tests/bench/bench_training.py "$(DATA)"

prepare: .venv/.all  ## bring the films of DATA to one size, once for all trainings
	$(BIN)/cxrtrain prepare "$(DATA)" -o "$(PREPARED)"

train: prepare  ## train RECIPE on DATA, split by SPLIT, and write RUN
	$(BIN)/cxrtrain fit "$(RECIPE)" --films "$(PREPARED)" --data.split "$(SPLIT)" -o "$(RUN)"

seeds: prepare  ## train RECIPE three times, each with its own seed and fold (FROM=RUN goes on from RUN-1..3), and compare
	for n in 1 2 3; do $(BIN)/cxrtrain fit "$(RECIPE)" --films "$(PREPARED)" --data.split "$(SPLIT)" \
	  --run.seed $$n --data.fold $$((n - 1)) \
	  $(if $(FROM),--network.weights_file "$(FROM)-$$n/network.safetensors") -o "$(RUN)-$$n" || exit 1; done
	$(BIN)/cxrtrain compare "$(RUN)-1" "$(RUN)-2" "$(RUN)-3" --films "$(DATA)"

report: .venv/.all  ## evaluate and explain RUN, and write RUN/report.html
	$(BIN)/cxrtrain evaluate "$(RUN)" --films "$(DATA)"
	$(BIN)/cxrtrain explain "$(RUN)" --films "$(DATA)"
	$(BIN)/cxrtrain report "$(RUN)" --films "$(PREPARED)"

convert: .venv/.all $(KEY)  ## convert RUN to the default bundle, signed with KEY (made where there is none)
	$(BIN)/cxrconvert "$(RUN)" --films "$(DATA)" -o "$(BUNDLE)" --key "$(KEY)" --force

bench-convert: .venv/.all  ## measure the bodies that RUN was converted to; prints JSON
	@$(BIN)/python tests/bench/bench_conversion.py "$(RUN)"

offline-bundle: .venv/.ansible  ## gather BUNDLE, KEYS, wheels (LANES, MACHINES) and DEBS in OFFLINE, for boxes without a network
	$(BIN)/python ansible/offline/build.py --bundle "$(BUNDLE)" --key $(KEYS) --lane $(LANES) --machine $(MACHINES) \
	  $(if $(DEBS),--deb $(DEBS)) --output "$(OFFLINE)"

provision: fleet  ## make boxes of the Pis of INVENTORY, or of HOST alone; again: nothing changes
	$(PLAY) site.yml

flash: fleet  ## bring the bundle MODEL onto HOST: verified, compared, watched, rolled back where it is not right
	$(call needs,MODEL) $(PLAY) flash.yml -e cxrbox_model="$(abspath $(MODEL))"

status: fleet  ## show how each box is
	@$(PLAY) status.yml

backup: fleet  ## write an encrypted backup on each box, and fetch it to backups/
	$(PLAY) backup.yml

restore: fleet  ## put BACKUP, opened with IDENTITY, in place on HOST; CONFIRM=HOST says that you mean it
	$(call needs,BACKUP) $(call needs,IDENTITY) $(PLAY) restore.yml -e cxrbox_backup="$(abspath $(BACKUP))" \
	  -e cxrbox_identity="$(abspath $(IDENTITY))" -e cxrbox_restore_to="$(CONFIRM)"

update: fleet  ## bring the fleet to the release of OFFLINE, one box after the other; stop at the first that fails
	$(PLAY) update.yml

diagnose: fleet  ## gather logs and figures of each box in diagnoses/, without any patient's data
	$(PLAY) diagnose.yml

pictures: .venv/.all  ## photograph the page for the README
	$(BIN)/python device/pictures/take.py

clean:  ## remove the environment and what was generated; films and state stay
	rm -rf .venv build dist

.PHONY: fleet
fleet: .venv/.ansible
	@test -e "$(INVENTORY)" || { echo "there is no inventory $(INVENTORY); make one with" \
	  "cp -r ansible/inventory/example $(INVENTORY), and name your boxes in it" >&2; exit 1; }

needs = $(if $($(1)),,$(error $(1) is missing; name it as `make help` shows))

keys/%.pem: | .venv/.all
	$(BIN)/cxrconvert keygen -o "$(basename $@)"

.venv/bin/python:
	@$(PYTHON) -m venv .venv
	@$(PIP) install --upgrade "pip>=25.1"

.venv/.box: .venv/bin/python pyproject.toml constraints.txt
	@echo "installing what the box needs into .venv" >&2
	@$(PIP) install --constraint constraints.txt --editable ".[device,demo]"
	@touch $@

# The admin's part: no torch, no tensorflow.
.venv/.ansible: .venv/.box
	@echo "installing what the plays need into .venv" >&2
	@$(PIP) install --constraint constraints.txt --group ansible
	@touch $@

# torch first and pinned: any other order may pull several GB of CUDA.
.venv/.all: .venv/.box
	@echo "installing what training, conversion and tests need" >&2
	@$(PIP) install --constraint constraints.txt torch
	@$(PIP) install --constraint constraints.txt --editable ".[device,demo,train,convert]" --group dev
	@touch $@
