# Every target sets up what it needs. `make help` lists them.

PYTHON ?= python3.11
BIN := .venv/bin
READY := .venv/.ready
JOBS ?= 4

# Nothing of an active virtual environment may leak into ours.
unexport VIRTUAL_ENV PYTHONHOME PYTHONPATH

.DEFAULT_GOAL := help
.PHONY: help setup run test acceptance faults kafka lint format lock bench clean

help: ## show this list
	@echo "Orderflow. Start with \`make run\`."
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' Makefile
	@echo "Options: ORDERS_BROKER=redis://host:6379/0 make run    make test ARGS='-k money' JOBS=0    make lock UPGRADE=1"

setup: $(READY) ## create .venv with everything in it

# Runs again only when a lock or pyproject.toml changes.
$(READY): requirements-dev.lock pyproject.toml
	@command -v $(PYTHON) >/dev/null || { echo "make: $(PYTHON) not found; install Python 3.11 or name one: make PYTHON=python3" >&2; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $(READY)

run: $(READY) ## start a worker on ORDERS_BROKER and send the sample orders the first time
	@$(BIN)/python -m tools.run $(ARGS)

kafka: $(READY) ## start a Kafka broker for development on 127.0.0.1:9092, until Ctrl-C
	@$(BIN)/python -m tools.local_kafka $(ARGS)

test: $(READY) ## run the tests that this machine can run (those that take minutes excepted)
	$(BIN)/python -m pytest -m "not long" -n $(JOBS) --dist loadfile --no-loadscope-reorder $(ARGS)

acceptance: $(READY) ## run the tests that take minutes: every broker, workers and brokers killed, odd servers
	$(BIN)/python -m pytest -m long $(ARGS)
	$(if $(ARGS),,$(BIN)/python -m pytest tests/property --hypothesis-profile thorough)

faults: $(READY) ## try to make it lie: kill, cut and fill things by a seed, then judge (ARGS='--help')
	@$(BIN)/python -m tests.faults $(ARGS)

lint: $(READY) ## check style, types and layers
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(READY) ## rewrite the code in the house style
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(READY) ## measure Orderflow side by side with its peers (ARGS='--quick', ARGS='--help')
	@$(BIN)/python -m benchmarks $(ARGS)

# Hashes, but no addresses: whoever installs decides where from.
LOCK := $(BIN)/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-emit-find-links \
	--custom-compile-command "make lock" $(if $(UPGRADE),--upgrade)

lock: $(READY) ## write the locks again after a change of pyproject.toml (UPGRADE=1: newest versions)
	$(LOCK) --output-file requirements.lock pyproject.toml
	$(LOCK) --extra dev --constraint requirements.lock --output-file requirements-dev.lock pyproject.toml

clean: ## remove .venv and caches, keep data (.orderflow)
	rm -rf .venv .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
