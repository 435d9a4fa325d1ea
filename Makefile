# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# The commands of the project. `make` without arguments lists them.
# Python 3.11 or newer (on Debian with python3-venv), make and git are needed. Everything else is set up in .venv inside the
# checkout, except a browser for `make test`, which tests/commands/browser.py finds or installs.

SHELL := /bin/bash
.DEFAULT_GOAL := help

# The first Python that starts. pyenv's shim of an inactive version does not start.
PYTHON ?= $(shell for name in python3.11 python3.13 python3.12 python3.14 python3; do \
  if $$name -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2> /dev/null; then command -v $$name; break; fi; done)
VENV := .venv
BIN := $(VENV)/bin
COLLECTION := $(VENV)/collections/ansible_collections/fleetops/agents
# With --no-compile, modules are compiled when they are imported. Compiling everything takes a third of the installation time.
PIP_INSTALL := -m pip install --quiet --no-compile --disable-pip-version-check
PIP := $(BIN)/python $(PIP_INSTALL) -c tests/constraints.txt

export PATH := $(CURDIR)/$(BIN):$(PATH)
# Somebody who runs this file trusts the checkout, even if another user owns it, as in a CI container.
export GIT_CONFIG_COUNT := 1
export GIT_CONFIG_KEY_0 := safe.directory
export GIT_CONFIG_VALUE_0 := $(CURDIR)
# Containers often set this variable. The commands start many short processes, and each would compile everything again.
unexport PYTHONDONTWRITEBYTECODE


.PHONY: help
help:  ## List the commands
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

$(BIN)/python:
	@if [ -z "$(PYTHON)" ]; then \
	  echo "Python 3.11 or newer is needed, and none was found on the path; name one with make PYTHON=/path/to/python3.11" >&2; exit 2; \
	elif ! $(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then \
	  echo "Python 3.11 or newer is needed, and $(PYTHON) is not; name another one with make PYTHON=/path/to/python3.11" >&2; exit 2; \
	elif ! $(PYTHON) -c 'import ensurepip, venv' 2> /dev/null; then \
	  echo "$(PYTHON) cannot create virtual environments; install the missing package (Debian: apt-get install python3-venv)" >&2; exit 2; \
	fi
	$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); exit 2; }

# Makes a checkout in a folder of any name available as the collection fleetops.agents, with links and a .pth file.
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
setup: $(VENV)/.dev-ready  ## Set up .venv with everything (the other commands do this when needed)

.PHONY: demo
demo: $(VENV)/.demo-ready  ## A fleet of 24, and the console that shows its rolling redeploy (CONSOLE=0: end after the recap)
	@$(BIN)/python -m tests.commands.demo

.PHONY: browser
browser: $(VENV)/.dev-ready  ## Find or install the Chrome or Chromium for the tests (CHROMIUM=/path/to/it names one)
	@$(BIN)/python -m tests.commands.browser $(ARGS) $(TESTS)

.PHONY: test
test: browser  ## Every test, four at a time (TESTS=path and ARGS=-x select tests; BROWSER=0 skips those that need a browser)
	$(BIN)/python -m pytest -n 4 --dist worksteal $(ARGS) $(or $(TESTS),tests)

.PHONY: molecule
molecule: $(VENV)/.dev-ready  ## The scenarios of extensions/molecule, each with a fleet of its own (SCENARIOS="rolling recover")
	$(BIN)/python -m tests.commands.molecule $(SCENARIOS)

.PHONY: lint
lint: $(VENV)/.dev-ready  ## ansible-lint (production), ruff, mypy, antsibull-docs, antsibull-changelog
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy -p ansible_collections.fleetops.agents.plugins.module_utils \
	  -p ansible_collections.fleetops.agents.plugins.modules -p console
	$(BIN)/mypy -p ansible_collections.fleetops.agents.plugins.plugin_utils._event_source
	$(BIN)/mypy extensions/eda/plugins/event_source/fleet.py
	$(BIN)/antsibull-docs lint-collection-docs --plugin-docs --validate-collection-refs self .
	$(BIN)/antsibull-changelog lint
	$(BIN)/ansible-lint --profile production --offline --strict

.PHONY: sanity
sanity: $(VENV)/.dev-ready  ## ansible-test sanity, without containers (ARGS="--test pylint" selects a test)
	@.ci/sanity $(ARGS)

# In an environment of its own: together with the other tools, pip silently installs an old galaxy-importer.
$(VENV)/.importer-ready: tests/requirements-importer.txt tests/constraints-importer.txt | $(BIN)/python
	$(PYTHON) -m venv $(VENV)/importer
	$(VENV)/importer/bin/python $(PIP_INSTALL) \
	  -c tests/constraints-importer.txt -r tests/requirements-importer.txt
	@touch $@

.PHONY: importer
importer: $(VENV)/.dev-ready $(VENV)/.importer-ready  ## Build the tarball and import it as Galaxy and Automation Hub do
	@.ci/importer

.PHONY: docs
docs: $(VENV)/.dev-ready  ## The HTML reference of all modules and plugins, in docs/_build/html
	@.ci/docs

.PHONY: ee
ee: $(VENV)/.dev-ready  ## The files of the execution environment, and everything in clean environments made only from them
	@.ci/ee

# In an environment of its own: ansible-rulebook brings a rule engine that needs Java.
$(VENV)/.rulebook-ready: tests/requirements-rulebook.txt tests/constraints-rulebook.txt | $(BIN)/python
	$(PYTHON) -m venv $(VENV)/rulebook
	$(VENV)/rulebook/bin/python $(PIP_INSTALL) \
	  -c tests/constraints-rulebook.txt -r tests/requirements-rulebook.txt
	@touch $@

.PHONY: rulebook
rulebook: $(VENV)/.dev-ready $(VENV)/.rulebook-ready  ## The sample rulebook in the real ansible-rulebook (needs Java 17)
	@.ci/rulebook

.PHONY: shots
shots: browser  ## Screenshots of the console's pages for the documentation, light and dark
	$(BIN)/python -m tests.commands.shots

.PHONY: bench
bench: browser  ## Measure modules compared with uri, inventory, run log, rolling redeploys (half an hour), and the console's pages and sessions
	$(BIN)/python -m tests.bench

.PHONY: clean
clean:  ## Remove what the other commands have created
	rm -rf $(VENV) .demo .ansible .cache .pytest_cache .mypy_cache .ruff_cache .hypothesis tests/output docs/_build
