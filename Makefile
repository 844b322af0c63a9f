# `make demo` and `make test` do all the set-up themselves; later calls install nothing again.
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready

.PHONY: demo test lint bench clean

demo: $(READY) ## train four networks on a phantom cohort and diagnose a new lesion
	$(BIN)/agfnet demo

test: lint ## lint, types and tests
	OMP_NUM_THREADS=1 $(BIN)/pytest -n auto # a process per core, and no threads within

lint: $(READY) ## style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(READY) ## every benchmark, with its JSON in bench/results/
	for script in bench/*.py; do \
	  $(BIN)/python $$script --json bench/results/$$(basename $$script .py).json || exit 1; \
	done

$(READY): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[dev]"
	touch $@

clean: ## remove everything that the commands above made
	rm -rf .venv runs build *.egg-info src/*.egg-info
