# Every target makes its own environment; the second run of any of them starts at once.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
UV := $(shell command -v uv 2>/dev/null)
# More than a small machine has processors: many tests wait. The servers are shared.
TEST_PROCESSES ?= 4
PYTEST := $(BIN)/python -m pytest -n $(TEST_PROCESSES) --dist loadfile
# In "make faults"; in "make test" it is 20. SOAK_SEED=… runs the same workflows and faults again.
SOAK_SECONDS ?= 120
# For each target.
FUZZ_SECONDS ?= 10
MATRIX ?=

# What the benchmarks are told: rows, --quick, --json, --markdown.
BENCH ?=

.PHONY: demo test test-fast faults fuzz matrix bench check twin clean

demo: $(READY)
	$(BIN)/python -m examples.demo

test: $(READY)
	$(PYTEST)

# Every test that needs no server.
test-fast: $(READY)
	$(PYTEST) -m "not server"

# The same tests as in "test", with their tables, and the soak for longer.
faults: $(READY)
	SOAK_SECONDS=$(SOAK_SECONDS) \
	$(PYTEST) -q tests/faults

fuzz: $(VENV)/.fuzz
	$(BIN)/python -m tests.fuzz.run --seconds $(FUZZ_SECONDS)

# Other versions of Python and of the dependencies, single extras, larger blobs; an hour at most.
# MATRIX=… chooses rows by parts of their names.
matrix: $(READY)
	$(BIN)/python -m tests.matrix $(MATRIX)

bench: $(VENV)/.bench
	$(BIN)/python -m benchmarks $(BENCH)

check: $(READY)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/python -m codegen.sync_twin --check
	$(BIN)/python -m checks
	$(BIN)/mypy
	$(BIN)/pyright

twin: $(READY)
	$(BIN)/python -m codegen.sync_twin

$(READY): pyproject.toml
ifdef UV
	$(UV) venv --quiet --allow-existing --python $(PYTHON) $(VENV)
	$(UV) pip install --quiet --python $(BIN)/python -e '.[all]' --group test --group lint
else
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade 'pip>=25.1'
	$(BIN)/python -m pip install --quiet -e '.[all]' --group test --group lint
endif
	touch $(READY)

# Dependency groups that not every target needs.
$(VENV)/.fuzz $(VENV)/.bench: $(VENV)/.%: $(READY)
ifdef UV
	$(UV) pip install --quiet --python $(BIN)/python --group $*
else
	$(BIN)/python -m pip install --quiet --group $*
endif
	touch $@

clean:
	rm -rf $(VENV)
