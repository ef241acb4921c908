# xraynet: `make demo` and `make test` set everything up themselves, in a .venv of this checkout.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip
DEMO_OUT ?= demo-report
BENCH_OUT ?= tests/benchmarks/figures.json

.DEFAULT_GOAL := help
.PHONY: help demo test check bench soak pictures test-tools fix clean

help:  ## Say what can be made
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

$(VENV)/.python:
	@$(PYTHON) -c 'import sys; sys.exit(f"xraynet needs Python 3.11 or later; $(PYTHON) is {sys.version.split()[0]} (make PYTHON=... names another)" if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv $(VENV)
	$(PIP) install --quiet --upgrade pip
	@touch $@

$(VENV)/.runtime: $(VENV)/.python pyproject.toml constraints.txt
	$(PIP) install --quiet --constraint constraints.txt hatchling editables
	$(PIP) install --quiet --constraint constraints.txt --no-build-isolation --editable . pydicom-data
	@touch $@

$(VENV)/.development: $(VENV)/.runtime
	$(PIP) install --quiet --constraint constraints.txt --no-build-isolation --editable '.[test,check,tracking,notebooks]'
	@touch $@

demo: $(VENV)/.runtime  ## Read a real chest film with the shipped detector and say where its report is
	$(BIN)/xraynet predict "$$($(BIN)/python -c 'from importlib.resources import files; print(files("data_store") / "data" / "RG1_UNCR.dcm")')" --out $(DEMO_OUT)

test: $(VENV)/.development  ## Run every test, in both lanes, and hold the coverage floor
	bash tests/run_all.sh $(BIN)

check: $(VENV)/.development  ## Lint, format and types
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

fix: $(VENV)/.development  ## Mend what a tool can mend
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

bench: $(VENV)/.development  ## Measure against peers and keep the figures
	$(BIN)/python tests/benchmarks/run.py --out $(BENCH_OUT)

soak: $(VENV)/.development  ## The large counts: thousands of files, dozens of kills
	XRAYNET_SOAK=full OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -s -m soak tests

pictures: $(VENV)/.development  ## Make the pictures of synthetic films that README and model card show
	$(BIN)/python tests/support/readme_pictures.py .github

test-tools:  ## Install the Debian packages that only tests need
	bash tests/install_tools.sh

clean:  ## Remove what can be made again
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .coverage .coverage.* $(DEMO_OUT)
