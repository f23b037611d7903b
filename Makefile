# Needs Python 3.11 or later, make and a package index; everything else goes into .venv.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
DEMO_LAKE ?= demo-lake
# The tests' BigQuery server: its libraries do not go together with ours.
EMULATOR := .venv-emulator

.PHONY: demo test lint lock bench clean

demo: $(VENV)/.installed
	$(BIN)/ray-backfill demo --warehouse $(DEMO_LAKE) --replace

test: $(VENV)/.installed $(EMULATOR)/.installed lint
	$(BIN)/pytest -n 2 --dist loadfile

lint: $(VENV)/.installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(VENV)/.installed
	$(BIN)/python -m benchmarks

$(VENV)/.installed: requirements.lock pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "ray-backfill needs Python 3.11 or later, not %d.%d: make PYTHON=python3.11" % sys.version_info[:2])'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --requirement requirements.lock
	$(BIN)/pip install --quiet --no-deps --no-build-isolation --editable .
	touch $@

# Where it cannot be made, the tests that need it are skipped, with the reason.
$(EMULATOR)/.installed: tests/emulator-requirements.txt
	-$(PYTHON) -m venv $(EMULATOR) && $(EMULATOR)/bin/pip install --quiet --requirement $< && touch $@

# Resolve the newest versions that pyproject.toml allows, for every platform; of these, what the
# nodes of a cluster need.
lock: $(VENV)/.installed
	$(BIN)/pip install --quiet uv
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --extra dev --extra cluster --no-emit-index-url \
		--custom-compile-command "make lock" --output-file requirements.lock pyproject.toml
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --extra cluster --no-emit-index-url \
		--generate-hashes --no-annotate --constraint requirements.lock \
		--custom-compile-command "make lock" --output-file requirements-cluster.lock pyproject.toml

clean:
	rm -rf $(VENV) $(EMULATOR) $(DEMO_LAKE)
