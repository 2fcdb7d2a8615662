# Everything from a bare clone: each target sets up what it needs and nothing is installed by hand.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: help demo test interop kill check format docs bench chaos clean

help:
	@echo "make demo    watch a fleet go live on a local peaq"
	@echo "make test    run the tests"
	@echo "make check   lint, types, import rules, freshness of schema and reference, duplicates, known vulnerabilities"
	@echo "make format  format the code"
	@echo "make docs    write docs/reference out of the code"
	@echo "make interop hold it against peaq's own SDKs and CLI"
	@echo "make kill    kill it once at every point of every kind, and strike it with every fault"
	@echo "make chaos   kill it thousands of times; goes on where it stopped (MINUTES=30, PROFILE=v2 for one protocol)"
	@echo "make bench   measure; figures go to bench/RESULTS.md"

$(READY): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "fleetctl needs Python 3.11 or newer; say make PYTHON=python3.12"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev]'
	@touch $(READY)

demo: $(READY)
	$(BIN)/fleetctl demo

# The kills come last and alone: they strike at moments, and a crowded machine has others.
test: $(READY)
	$(BIN)/python -m pytest --numprocesses=4 --dist=loadgroup --no-loadscope-reorder --ignore=tests/chaos --ignore-glob='tests/interop/test_minting_*'
	$(BIN)/python -m pytest tests/chaos/test_kill.py

# With the official packages of both protocols, each pair in an environment of its own.
interop: $(READY)
	$(BIN)/python -m pytest tests/interop

kill: $(READY)
	$(BIN)/python -m pytest tests/chaos

MINUTES ?= 30
chaos: $(READY)
	PYTHONPATH=.:tests/e2e $(BIN)/python tests/chaos/campaign.py --minutes $(MINUTES) $(if $(PROFILE),--profile $(PROFILE))

check: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check reconciler tests
	$(BIN)/mypy
	$(BIN)/python -m pytest tests/test_architecture.py tests/manifest/test_schema.py tests/docs/test_reference.py tests/docs/test_links.py
	$(BIN)/pylint --disable=all --enable=duplicate-code --min-similarity-lines=8 --ignore-imports=y reconciler
	$(BIN)/python ci/audit.py

format: $(READY)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format reconciler tests

docs: $(READY)
	$(BIN)/python docs/generate.py

bench: $(READY)
	$(BIN)/python bench/startup.py
	$(BIN)/python bench/apply.py
	$(BIN)/python bench/validate.py
	$(BIN)/python bench/plan.py
	$(BIN)/python bench/memory.py
	$(BIN)/python bench/pairings.py
	$(BIN)/python bench/operations.py
	$(BIN)/python bench/growth.py

clean:
	rm -rf $(VENV) .venv-interop .venv-interop-v2 .mypy_cache .ruff_cache .pytest_cache .hypothesis
