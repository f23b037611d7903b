# Needs Python 3.11 or later, make and a package index; everything else goes into .venv.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
DEMO_LAKE ?= demo-lake
# The tests' BigQuery server: its libraries do not go together with ours.
EMULATOR := .venv-emulator
# What audits and locks the others.
TOOLS := .venv-audit
# The locks are complete and hold a hash of every file: pip resolves nothing and checks all.
LOCKED := --quiet --no-deps --require-hashes --requirement

.PHONY: demo check test mutants lint audit lock bench clean

demo: $(VENV)/.installed
	$(BIN)/ray-backfill demo --warehouse $(DEMO_LAKE) --replace

# A part of the tests that touches every module: for work in hand.
check: $(VENV)/.installed lint
	$(BIN)/pytest -q -n 2 --dist worksteal -m "not slow"

# Breaks the code in single places, as many as COUNT, and names those that no test notices.
COUNT ?= 40
mutants: $(VENV)/.installed
	$(BIN)/python -m tests.mutants --count $(COUNT)

# A worker that is replaced gets no work under loadfile, and the run would never end.
test: $(VENV)/.installed $(EMULATOR)/.installed lint
	$(BIN)/pytest -n 4 --dist loadfile --no-loadscope-reorder --max-worker-restart 0

lint: $(VENV)/.installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(VENV)/.installed
	$(BIN)/python -m benchmarks

$(VENV)/.installed: requirements.lock pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "ray-backfill needs Python 3.11 or later, not %d.%d: make PYTHON=python3.11" % sys.version_info[:2])'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install $(LOCKED) requirements.lock
	$(BIN)/pip install --quiet --no-deps --no-build-isolation --editable .
	touch $@

# Where it cannot be made, the tests that need it are skipped, with the reason.
$(EMULATOR)/.installed: tests/emulator-requirements.txt
	-$(PYTHON) -m venv $(EMULATOR) && $(EMULATOR)/bin/pip install $(LOCKED) $< && touch $@

$(TOOLS)/.installed: .ci/audit.lock
	$(PYTHON) -m venv $(TOOLS)
	$(TOOLS)/bin/pip install $(LOCKED) $<
	touch $@

# Pins, hashes, yanked releases, known vulnerabilities; see .ci/audit.py for what ends it.
audit: $(VENV)/.installed $(TOOLS)/.installed
	$(TOOLS)/bin/python .ci/audit.py requirements.lock requirements-cluster.lock \
		tests/emulator-requirements.txt .ci/audit.lock --installed $(BIN)/python

# Resolve the newest versions that pyproject.toml allows, for every platform; of these, what the
# nodes of a cluster need.
LOCK := $(TOOLS)/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-annotate --custom-compile-command "make lock"
lock: $(TOOLS)/.installed
	$(LOCK) --extra dev --extra cluster --output-file requirements.lock pyproject.toml
	$(LOCK) --extra cluster --constraint requirements.lock --output-file requirements-cluster.lock \
		pyproject.toml
	$(LOCK) --output-file tests/emulator-requirements.txt tests/emulator-requirements.in
	$(LOCK) --output-file .ci/audit.lock .ci/audit.in

clean:
	rm -rf $(VENV) $(EMULATOR) $(TOOLS) $(DEMO_LAKE)
