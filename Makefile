# `make demo` and `make test` do all the set-up themselves; later calls install nothing again.
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready

# Byte code of the tests and of src is kept: compiling it again takes ten seconds at each start.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo test whole quick fast times lint bench studies mutants docs tutorials clean

demo: $(READY) ## train four networks on a phantom cohort and diagnose a new lesion
	$(BIN)/agfnet demo

test: $(READY) ## lint, types and tests, side by side
	$(MAKE) --no-print-directory -j2 lint whole

whole: $(READY) ## all tests
	OMP_NUM_THREADS=1 $(BIN)/pytest -n auto # a process per core, and no threads within

quick: $(READY) ## lint, types and fast tests, side by side
	$(MAKE) --no-print-directory -j2 lint fast

fast: $(READY) ## all tests but those of tests/slow.txt
	PYTHONPATH=tests OMP_NUM_THREADS=1 $(BIN)/pytest -p forked --quick

times: $(READY) ## write tests/slow.txt again, from the time that each test takes: some minutes
	PYTHONPATH=tests OMP_NUM_THREADS=1 $(BIN)/pytest -n0 -p times

lint: $(READY) ## style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

SHORT := evaluation lesion_box phantom predict training ultrasound
LONG := both_views check coverage data explain features inference int8 members milk10k model phantom_limits predict_ray presets serve stops study study_statistics threads
STUDIES := comparison ablation robustness

bench: $(addprefix bench-,$(SHORT)) ## the short benchmarks, with their JSON in bench/results/

studies: $(addprefix bench-,$(LONG)) $(addprefix study-,$(STUDIES)) ## the long ones: hours

bench-%: $(READY)
	$(BIN)/python bench/$*.py --json bench/results/$*.json

study-%: $(READY)
	$(BIN)/agfnet study paper/$*.yaml

COUNT ?= 60
SEED ?= 0
mutants: $(READY) ## changes of the code that no test notices, e.g. ONLY=src/agfnet/metrics COUNT=20 SEED=1
	OMP_NUM_THREADS=1 $(BIN)/python bench/mutants.py $(ONLY) --count $(COUNT) --seed $(SEED) \
		--json bench/results/mutants.json

docs: $(READY) ## the site in build/site, built strictly, with the notebook executed
	@echo "Installing the tools, training the notebook's network, building the site: some minutes."
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[dev,docs]"
	NO_MKDOCS_2_WARNING=1 MPLBACKEND=agg $(BIN)/mkdocs build --strict

tutorials: $(READY) ## run every command of the tutorials
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python docs/run_snippets.py docs/tutorials/*.md

$(READY): pyproject.toml constraints.txt
	@echo "Setting up .venv: some minutes, several GB. Later calls install nothing again."
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[dev]"
	touch $@

clean: ## remove everything that the commands above made
	rm -rf .venv runs build *.egg-info src/*.egg-info
