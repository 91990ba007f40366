# The two commands of the README: make demo, make test. All of it works in .venv, from nothing but Python and make.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check
OUT ?= out
# Tests at the same time; by default as many as there are processors.
JOBS ?= auto
# One BLAS thread a fit: the fits are small, and threads of threads get in each other's way.
export OMP_NUM_THREADS ?= 1
# The build environment is pinned too.
export PIP_CONSTRAINT := $(CURDIR)/constraints.txt

.DEFAULT_GOAL := help
.PHONY: help setup demo test lint types docs check check-tensorflow clean

help:
	@echo "make demo    install the core and run the demo: a real transfer, measured; writes $(OUT)/"
	@echo "make test    install what the tests need and run them all"
	@echo "make setup   only install what the tests need"
	@echo "make lint | types | docs | check (lint, types and tests)"
	@echo "make check-tensorflow   Keras on TensorFlow, in an environment of its own (3.3 GB)"

$(BIN)/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "headstart needs Python 3.11 or newer")'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.core: pyproject.toml constraints.txt | $(BIN)/python
	$(PIP) --editable '.[demo]'
	@touch $@

$(VENV)/.dev: pyproject.toml constraints.txt | $(BIN)/python
	$(PIP) --editable '.[dev]'
	@touch $@ $(VENV)/.core

setup: $(VENV)/.dev

demo: $(VENV)/.core
	$(BIN)/headstart demo --out $(OUT) --force

test: setup
	$(BIN)/python -m pytest -n $(JOBS) --dist loadfile

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: setup
	$(BIN)/mypy

docs: setup
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet --site-dir site

check: lint types test

# TensorFlow is large and nothing else needs it: its check has an environment of its own.
TENSORFLOW_VENV := .venv-tensorflow
TENSORFLOW := tensorflow-cpu==2.21.0

$(TENSORFLOW_VENV)/.ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(TENSORFLOW_VENV)
	$(TENSORFLOW_VENV)/bin/python -m pip install --quiet --disable-pip-version-check --editable '.[keras]' '$(TENSORFLOW)' pytest
	@touch $@

check-tensorflow: $(TENSORFLOW_VENV)/.ready
	$(TENSORFLOW_VENV)/bin/python -m pytest tests/check_keras_tensorflow.py

clean:
	rm -rf $(VENV) $(TENSORFLOW_VENV) out site dist .pytest_cache .mypy_cache .ruff_cache
