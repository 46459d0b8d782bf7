# One command is the truth: CI calls the same targets. Everything is installed into .venv from requirements.lock.
PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/ready
ONLY ?=
SEED ?=

.PHONY: demo install check audit test reliability cluster live bench mutants docs lock clean

demo: $(STAMP)  ## set up, record, break, detect, report: one command
	$(BIN)/tidegauge run configs/demo.yaml

install: $(STAMP)  ## .venv with the locked packages and this project

$(STAMP): requirements.lock pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit("Tidegauge needs Python 3.11 or newer; try: make PYTHON=python3.12 $(MAKECMDGOALS)" if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	$(BIN)/python -m compileall -q flows tasks tidegauge
	touch $@

check: $(STAMP)  ## style, types, layers, dependencies, shipped documents
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/deptry .
	for document in configs/*.yaml; do $(BIN)/tidegauge check "$$document" || exit; done

audit: $(STAMP)  ## security of our code and of what we depend on
	$(BIN)/bandit --quiet --recursive --severity-level high flows tasks tidegauge
	$(BIN)/python -m tests.audit.dependencies

test: $(STAMP)  ## everything but kill loops and long waits
	$(BIN)/python -m pytest tests --ignore tests/reliability --ignore tests/live -m "not slow" -q

reliability: $(STAMP)  ## kill it, fill the disk, flip bytes (SEED=n repeats a run)
	SEED=$(SEED) $(BIN)/python -m pytest tests/reliability -q

cluster: $(STAMP)  ## programs and images of a real Kubernetes for the tests, made once and kept (needs root and Go)
	$(BIN)/python -m tests.live.build

live: $(STAMP)  ## on a real Kubernetes, brought up and taken down without a trace (needs root and `make cluster`); or on TIDEGAUGE_LIVE_CONTEXT
	$(BIN)/python -m pytest tests/live -q --durations 15

bench: $(STAMP)  ## speed and memory, as ratios where a peer exists (ONLY=prefix)
	$(BIN)/python -m compileall -q flows tasks tidegauge
	$(BIN)/python -m tests.bench.run --only "$(ONLY)"

mutants: $(STAMP)  ## break the code on purpose: the reliability tests must notice
	$(BIN)/python -m tests.mutants.run

docs: $(STAMP)  ## tables in docs/ from what was measured
	$(BIN)/python -m tests.docs.tables

lock: $(STAMP)  ## resolve requirements.lock anew (needs uv)
	uv pip compile pyproject.toml --group dev --universal --python-version 3.11 --generate-hashes --no-header --no-annotate --no-emit-index-url -o requirements.lock

clean:
	rm -rf .venv build dist
