# Every target makes its own environment; the second run of any of them starts at once.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
UV := $(shell command -v uv 2>/dev/null)
# More than a small machine has processors, for many tests wait; those of "test-fast" do not.
TEST_PROCESSES ?= 4
TESTS := pytest --dist loadfile -n $(TEST_PROCESSES)
# Tests start many interpreters, each of which would compile the package again.
unexport PYTHONDONTWRITEBYTECODE
# In "make faults"; in "make test" it is 8. SOAK_SEED=… runs the same workflows and faults again.
SOAK_SECONDS ?= 120
# For each target.
FUZZ_SECONDS ?= 10
MATRIX ?=

# What the benchmarks are told: rows, --quick, --json, --markdown.
BENCH ?=

# Both type checkers at once, unless "make" has a number of jobs already.
TYPE_JOBS = $(if $(findstring jobserver,$(MAKEFLAGS)),,--jobs=2 --output-sync=target)

.PHONY: demo test test-fast coverage faults fuzz matrix bench check mypy pyright twin docs
.PHONY: installed clean

demo: $(READY)
	$(BIN)/python -m examples.demo

test: $(READY)
	$(BIN)/python -m $(TESTS)

# Every test that needs no server.
test-fast: $(READY)
	$(BIN)/python -m pytest --dist loadfile -n logical -m "not server"

# Every test, with the lines and branches that they reach; fails below the limit in pyproject.toml.
coverage: $(READY)
	$(BIN)/coverage erase
	$(BIN)/coverage run -m $(TESTS)
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report

# The same tests as in "test", with their tables, and the soak for longer.
faults: $(READY)
	SOAK_SECONDS=$(SOAK_SECONDS) \
	$(BIN)/python -m $(TESTS) -q tests/faults

fuzz: $(VENV)/.fuzz
	$(BIN)/python -m tests.fuzz.run --seconds $(FUZZ_SECONDS)

# Other versions of Python and of the dependencies, single extras, larger blobs; an hour at most.
# MATRIX=… chooses rows by parts of their names.
matrix: $(READY)
	$(BIN)/python -m tests.matrix $(MATRIX)

bench: $(VENV)/.bench $(if $(findstring --plots,$(BENCH)),$(VENV)/.plots)
	$(BIN)/python -m benchmarks $(BENCH)

check: $(READY)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/python -m codegen.sync_twin --check
	$(BIN)/python -m codegen.reference --check
	$(BIN)/python -m checks
	$(MAKE) --no-print-directory $(TYPE_JOBS) mypy pyright

mypy pyright: $(READY)
	$(BIN)/$@

# All generated files: the sync twin, and the reference pages.
twin: $(READY)
	$(BIN)/python -m codegen.sync_twin
	$(BIN)/python -m codegen.reference

# The documentation as a site, in site/; fails on any warning. Needs Python 3.11.
# Then "python3 -m http.server --directory site" serves it; without a server only search is missing.
docs: $(VENV)/.docs
	$(BIN)/python -m codegen.reference --check
	$(BIN)/zensical build --strict --clean

# All that ".ci/run" needs.
installed: $(VENV)/.docs $(VENV)/.bench

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
$(VENV)/.fuzz $(VENV)/.bench $(VENV)/.plots $(VENV)/.docs: $(VENV)/.%: $(READY)
ifdef UV
	$(UV) pip install --quiet --python $(BIN)/python --group $*
else
	$(BIN)/python -m pip install --quiet --group $*
endif
	touch $@

clean:
	rm -rf $(VENV)
