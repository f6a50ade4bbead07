# Everything runs in .venv, which these rules make: a machine needs Python (3.11 or newer) and make, nothing else.
# A second run installs nothing: the stamp files are as new as pyproject.toml.

.DEFAULT_GOAL := help
.PHONY: help demo test lint generate check bench clean

VENV := .venv
BIN := $(VENV)/bin
# the first Python on the path that is new enough; `make test PYTHON=/path/to/python` chooses another
PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11 python; do \
	"$$p" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 && echo "$$p" && break; done)

help:
	@echo "make demo      the main job: derivations, kernels, checks, and the layers on real images"
	@echo "make test      the tests"
	@echo "make lint      ruff and mypy"
	@echo "make generate  write generated/ anew for all built-in layers"
	@echo "make check     check all built-in layers"
	@echo "make bench     times and memory"
	@echo "make clean     remove what these rules made"

demo: $(VENV)/.installed-demo
	$(BIN)/python -m symbackprop.demo

test: $(VENV)/.installed-dev
	$(BIN)/python -m pytest -n 2 $(PYTEST_ARGS)

lint: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/mypy

generate: $(VENV)/.installed-dev
	$(BIN)/symbackprop generate

check: $(VENV)/.installed-dev
	$(BIN)/symbackprop check

bench: $(VENV)/.installed-dev
	$(BIN)/symbackprop bench

clean:
	rm -rf $(VENV) build dist demo_output .pytest_cache .mypy_cache .ruff_cache .hypothesis *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/.made:
	@test -n "$(PYTHON)" || { echo "symbackprop needs Python 3.11 or newer with its venv module;" \
		"install it (on Debian: python3-venv) or say: make PYTHON=/path/to/python" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	@touch $@

# one stamp for each set of extras
$(VENV)/.installed-%: pyproject.toml $(VENV)/.made
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[$*]'
	@touch $@
