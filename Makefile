# Two commands to know: `make demo` and `make test`. Only Python 3.11+ and make are needed; everything lands in .venv.

VENV ?= .venv
JOBS ?= 2
PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && command -v $$p && break; done)
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install -qq --disable-pip-version-check -c constraints.txt

# one thread a process: the workers share the cores, and sums do not depend on the machine
export OMP_NUM_THREADS ?= 1
export TOKENIZERS_PARALLELISM = false

.PHONY: help demo test slow check lint docs bench clean
.DEFAULT_GOAL := help

help:  ## this list
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' Makefile | expand -t 8

$(VENV)/.installed: pyproject.toml constraints.txt
	@test -n "$(PYTHON)" || { echo "trueline needs Python 3.11 or newer on the PATH (or make PYTHON=/path/to/python)"; exit 2; }
	@test -x $(BIN)/python || "$(PYTHON)" -m venv $(VENV) || { echo "could not create $(VENV) (Debian: apt install python3-venv)"; exit 2; }
	@echo "installing trueline into $(VENV) (once; torch is large)"
	@$(PIP) -e .
	@touch $@

$(VENV)/.installed-dev: $(VENV)/.installed
	@echo "installing the tools for tests and documentation (once)"
	@$(PIP) -e '.[dev,docs]'
	@touch $@

demo: $(VENV)/.installed  ## measure the shipped model on the shipped world: runs/demo/report.html
	@$(BIN)/trueline demo

test: $(VENV)/.installed-dev  ## the whole default suite
	$(BIN)/python -m pytest -n $(JOBS) --dist loadfile

slow: $(VENV)/.installed-dev  ## what trains or simulates at length: the proofs
	$(BIN)/python -m pytest -n $(JOBS) --dist loadfile --timeout 1800 -m slow

lint: $(VENV)/.installed-dev  ## ruff, mypy, import layers
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

check: lint test  ## everything a change must pass

docs: $(VENV)/.installed-dev  ## the documentation, into site/
	$(BIN)/mkdocs build --strict --quiet

bench: $(VENV)/.installed-dev  ## the speed comparisons of benchmarks/
	@for script in benchmarks/*.py; do echo "== $$script"; $(BIN)/python $$script || exit 1; done

clean:  ## everything that was built, but not your runs
	rm -rf $(VENV) site build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
