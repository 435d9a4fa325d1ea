# The front door: make demo, make test, make lint, make bench. `make` alone lists them.
# Needs python3.11 or newer, make and git; everything else is set up in .venv inside the checkout.

SHELL := /bin/bash
.DEFAULT_GOAL := help

PYTHON ?= $(shell command -v python3.11 || command -v python3.13 || command -v python3.12 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
COLLECTION := $(VENV)/collections/ansible_collections/fleetops/agents
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c tests/constraints.txt

export PATH := $(CURDIR)/$(BIN):$(PATH)
export PYTHONDONTWRITEBYTECODE :=

.PHONY: help
help:  ## List the commands
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "Python 3.11 or newer is needed, this is " + sys.version.split()[0] + ". Name another with: make PYTHON=/path/to/python3.11")'
	$(PYTHON) -m venv $(VENV)

# A checkout in a folder of any name is the collection fleetops.agents: a link tree, on Python's path by a .pth file.
$(COLLECTION): | $(BIN)/python
	@mkdir -p $(dir $(COLLECTION))
	@ln -sfn "$(CURDIR)" $(COLLECTION)
	@echo "$(CURDIR)/$(VENV)/collections" > "$$($(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/fleetops_collections.pth"

$(VENV)/.demo-ready: console/requirements.txt tests/requirements-demo.txt tests/constraints.txt | $(COLLECTION)
	$(PIP) -r console/requirements.txt -r tests/requirements-demo.txt
	@touch $@

$(VENV)/.dev-ready: tests/requirements.txt tests/constraints.txt $(VENV)/.demo-ready
	$(PIP) -r tests/requirements.txt
	@touch $@

.PHONY: setup
setup: $(VENV)/.dev-ready  ## Set up .venv with everything (the other commands do it when needed)
