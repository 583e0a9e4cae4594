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

# The five levels, the money beside two cards that nobody measured here, and the page.
demo: $(VENV)/run.stamp
	@rm -rf runs/demo-predicted
	@$(BIN)/breakeven run examples/demo.toml
	@$(BIN)/breakeven predict --model smollm2-135m --gpu rtx4090,a100-80-pcie --input-tokens 49 --output-tokens 64 --users 1,10,100,1000,2000,4000 --out runs/demo-predicted > /dev/null
	@echo
	@$(BIN)/breakeven choose --model smollm2-135m --from "$$(ls -td runs/*-demo | head -n 1)" --gpus rtx4090,a100-80-pcie --floor 10 --input-tokens 49 --output-tokens 64
	@echo
	@$(BIN)/breakeven report "$$(ls -td runs/*-demo | head -n 1)" runs/demo-predicted/* --floor 10 --html runs/demo.html

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
