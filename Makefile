# Two commands set everything up: `make demo` and `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Extra arguments for torch alone, e.g. an index of CPU builds.
TORCH_PIP_ARGS ?=
export HF_HUB_OFFLINE := 1
export DAGSTER_DISABLE_TELEMETRY := 1

.DEFAULT_GOAL := help
.PHONY: help install dev demo demo-drift serve ui down test lint types unit integration milvus-server browser test-deep test-ui test-slow format lock clean

help: ## Show the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 22

install: $(VENV)/.ready ## Install what the demo runs on into .venv
dev: $(VENV)/.ready-dev ## And what tests, lint and types run on

# Bytecode of what is imported, by importing it: the packages hold three times as many files. It is
# kept even where the environment says that none is to be written.
IMPORTED := \
	vector_platform.cli,vector_platform.orchestration.build,dagster_webserver.app,matplotlib.figure \
	vector_platform.local.milvus_server,vector_platform.local.pinecone_server.http.server,pymilvus,pinecone \
	sentence_transformers,openvino,onnxscript,torch.onnx \
	dbt.cli.main,dbt.adapters.duckdb
IMPORTED_BY_TESTS := pytest,hypothesis,moto,xdist.plugin mypy.main,importlinter.cli
COMPILE = printf '%s\n' $(1) | xargs -P 3 -I{} env -u PYTHONDONTWRITEBYTECODE $(BIN)/python -c 'import {}' || true

# torch comes first: asked for by another package it may bring gigabytes of GPU libraries.
$(VENV)/.ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --no-compile $(TORCH_PIP_ARGS) -c constraints.txt torch
	$(BIN)/python -m pip install --quiet --no-compile -c constraints.txt -e ".[demo]"
	@$(call COMPILE,$(IMPORTED))
	@touch $@

$(VENV)/.ready-dev: $(VENV)/.ready
	$(BIN)/python -m pip install --quiet --no-compile -c constraints.txt -e ".[demo,dev]"
	@$(call COMPILE,$(IMPORTED_BY_TESTS))
	@touch $@

demo: install ## Sources to two proven, searchable indexes, on embedded servers
	@$(BIN)/vector-platform demo

demo-drift: install ## Three stories of drift, played by the real daemon and checked
	@$(BIN)/vector-platform demo-drift

serve: install ## Search over HTTP, on this machine
	@$(BIN)/vector-platform services up
	@$(BIN)/vector-platform serve

ui: install ## The Dagster UI and daemon, with the demo's runs in it
	@$(BIN)/vector-platform services up
	@$(BIN)/vector-platform ui

down: install ## Stop the embedded servers
	@$(BIN)/vector-platform services down

# Three at once on two cores, since many tests wait for servers; the slow ones of both kinds
# fill each other's gaps. A file's tests stay together: they may share a server or tell one story.
# The folder is named, because options of ours are known once its conftest is read.
PYTEST := $(BIN)/pytest vector_platform_tests -n 3 --dist loadfile --no-loadscope-reorder

test: dev ## Lint, types, contracts and the fast tier of tests: a sample of every suite
	@$(MAKE) -j 3 lint types milvus-server
	$(PYTEST) -m "not deep"

test-deep: dev milvus-server browser ## The rest: kills, faults, whole suites; SHARD=1 to 5 for a fifth
	$(PYTEST) -m deep --durations 10 $(if $(SHARD),--shard $(SHARD))

test-ui: dev browser ## Of the deep tier, what uses the pages: every job launched, three by clicks
	$(BIN)/pytest vector_platform_tests/orchestration/ui -n 2 --dist loadfile -m deep

test-slow: dev milvus-server ## The fast tier, and the 30 slowest of its tests
	$(PYTEST) -m "not deep" --durations 30

lint: dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports --no-cache

types: dev
	$(BIN)/mypy

unit: dev ## The fast tier without servers, transformer models and runs of Dagster
	$(PYTEST) -m "not integration and not deep" --ignore vector_platform_tests/orchestration

integration: dev milvus-server
	$(PYTEST) -m "integration and not deep"

milvus-server: dev ## A full Milvus server for tests, in an environment of its own
	@$(BIN)/python -m vector_platform_tests.milvus_server

browser: dev ## Chromium for tests of the pages, from the packages of the system
	-@$(BIN)/python -m vector_platform_tests.orchestration.ui.browser

format: dev ## Format the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

lock: ## Make constraints.txt anew from the newest versions that pyproject.toml allows
	rm -rf build/lock && $(PYTHON) -m venv build/lock
	build/lock/bin/python -m pip install --quiet --upgrade pip
	build/lock/bin/python -m pip install --quiet $(TORCH_PIP_ARGS) torch==2.13.0
	build/lock/bin/python -m pip install --quiet ".[demo,dev]"
	{ echo "# Exact versions of everything a deployment installs, on CPython 3.11."; \
	  echo "# Made by 'make lock'; used by 'make install'."; \
	  build/lock/bin/python -m pip freeze --exclude vector-platform | sed 's/+cpu$$//' | sort -f; \
	} > constraints.txt
	rm -rf build/lock

clean: ## Remove the environment and all local data
	-$(BIN)/vector-platform services down
	rm -rf $(VENV) .vector_platform .drift-demo .milvus-server
