# Everything a developer does here; `make` alone lists it.

PYTHON ?= python3
VENV := .venv
# The one tool not in the lock, because it is what reads the lock; it also builds the project itself.
UV_VERSION := 0.13.8
UV := $(VENV)/bin/uv

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

UV_READY := $(VENV)/.uv-$(UV_VERSION)
READY := $(VENV)/.ready
JS_READY := tests/js/node_modules/.ready
CHROMIUM_READY := $(VENV)/.chromium
# Versions in a lock stay as they are unless pyproject.toml or ARGS="--upgrade" asks for others.
COMPILE := $(UV) pip compile pyproject.toml --universal --python-version 3.11 --generate-hashes \
	--no-header --annotation-style line --quiet

.PHONY: help setup demo test soak lint audit sbom fix bench lock clean

help:  ## List these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: $(READY)  ## Install everything the lock names into .venv

demo: $(READY)  ## Run the whole thing against a stand-in provider (ARGS="..." passes options)
	@$(VENV)/bin/orchestrator demo $(ARGS)

test: $(READY) $(JS_READY) $(CHROMIUM_READY)  ## Run all tests, on real PostgreSQL, SQLite and Valkey (ARGS="..." selects)
	@$(VENV)/bin/pytest --numprocesses auto --maxprocesses 4 --dist loadgroup $(ARGS)

soak: $(READY)  ## Run the tests that take minutes: real rate windows, and nothing left behind by thousands of jobs
	@$(VENV)/bin/pytest -m slow --numprocesses 2 --dist load $(ARGS)

lint: $(READY)  ## Check style, formatting and types
	@$(VENV)/bin/ruff check
	@$(VENV)/bin/ruff format --check
	@$(VENV)/bin/mypy --strict

audit: $(READY)  ## Look for what an attacker could use
	@$(VENV)/bin/bandit --quiet --configfile pyproject.toml --recursive orchestrator migrations

sbom: $(READY)  ## Write what is shipped, with versions and hashes, to dist/ (CycloneDX)
	@mkdir -p dist
	@$(VENV)/bin/python -W ignore -m cyclonedx_py requirements requirements.lock --pyproject pyproject.toml \
		--output-reproducible --output-file dist/sbom.cdx.json
	@echo "Wrote dist/sbom.cdx.json"

fix: $(READY)  ## Repair what the linter can repair, and format
	@$(VENV)/bin/ruff check --fix
	@$(VENV)/bin/ruff format

bench: $(READY)  ## Measure what the README promises (ARGS="..." selects)
	@$(VENV)/bin/python -m bench $(ARGS)

lock: $(UV_READY)  ## Write the locks that pyproject.toml and tests/js/package.json ask for (ARGS="--upgrade")
	@$(COMPILE) $(ARGS) --group dev --output-file requirements-dev.lock
	@$(COMPILE) --constraints requirements-dev.lock --output-file requirements.lock
	@npm install --prefix tests/js --package-lock-only --omit-lockfile-registry-resolved --loglevel error
	@echo "Wrote requirements.lock, requirements-dev.lock and tests/js/package-lock.json"

clean:  ## Remove everything that was made here, .venv included
	@rm -rf $(VENV) tests/js/node_modules dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(READY): pyproject.toml requirements-dev.lock $(UV_READY)
	@echo "Installing what requirements-dev.lock names into $(VENV)"
	@$(UV) pip sync --quiet --python $(VENV)/bin/python --require-hashes requirements-dev.lock
	@$(UV) pip install --quiet --python $(VENV)/bin/python --no-deps --editable .
	@touch $@

$(UV_READY):
	@tools/need '$(PYTHON) -c "import venv, ensurepip"' python3-venv
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed")'
	@echo "Making $(VENV) with uv $(UV_VERSION)"
	@test -x $(VENV)/bin/pip || $(PYTHON) -m venv $(VENV)
	@$(VENV)/bin/pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)
	@touch $@

$(CHROMIUM_READY): $(READY)
	@tools/need 'chromium --version' chromium
	@tools/need '$(VENV)/bin/python -m playwright --version' libatomic1
	@touch $@

$(JS_READY): tests/js/package-lock.json
	@tools/need 'node --version && npm --version' nodejs npm
	@echo "Installing what the end-to-end tests take from npm into tests/js/node_modules"
	@npm ci --prefix tests/js --ignore-scripts --no-audit --no-fund --loglevel error
	@touch $@
