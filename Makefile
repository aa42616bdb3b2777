# Every target makes its own environment; the second run of any of them starts at once.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
UV := $(shell command -v uv 2>/dev/null)
# Each process starts the servers its tests need.
TEST_PROCESSES ?= 2

.PHONY: demo test check twin clean

demo: $(READY)
	$(BIN)/python -m examples.demo

test: $(READY)
	$(BIN)/python -m pytest -n $(TEST_PROCESSES) --dist loadfile

check: $(READY)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/python -m codegen.sync_twin --check
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

clean:
	rm -rf $(VENV)
