# Everything here needs Python 3.11 or later, make and git; each target makes its own .venv.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: demo test test-live check lock clean

$(VENV)/run.stamp: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "breakeven needs Python 3.11 or later; this is " + sys.version.split()[0] + " (make PYTHON=python3.12 …)")'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "installing breakeven into $(VENV) …"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --only-binary :all: -r requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/dev.stamp: $(VENV)/run.stamp requirements-dev.lock
	@echo "installing the test tools …"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --only-binary :all: -r requirements-dev.lock
	@touch $@

demo: $(VENV)/run.stamp
	@$(BIN)/breakeven run --name demo
	@$(BIN)/breakeven report "$$(ls -td runs/*-demo* | grep -v html | head -n 1)" --html runs/demo.html

test: $(VENV)/dev.stamp
	@$(BIN)/python -m pytest

test-live: $(VENV)/dev.stamp
	@$(BIN)/python -m pytest -m live -rs

check: $(VENV)/dev.stamp
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

lock:
	uv pip compile --universal --python-version 3.11 --generate-hashes --no-header --no-annotate --no-emit-index-url --no-emit-find-links pyproject.toml --group pyproject.toml:build -o requirements.lock
	uv pip compile --universal --python-version 3.11 --generate-hashes --no-header --no-annotate --no-emit-index-url --no-emit-find-links -c requirements.lock --group dev -o requirements-dev.lock pyproject.toml

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
