SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules --no-print-directory

# The first Python 3.11 that can make virtual environments, also behind a version manager's shim.
PYTHON ?= $(shell for python in python3.11 "$$(pyenv prefix 3.11 2>/dev/null)/bin/python3.11" /usr/bin/python3.11 python3; do \
	"$$python" -c 'import ensurepip, sys; sys.exit(sys.version_info[:2] != (3, 11))' 2>/dev/null && { echo "$$python"; break; }; done)
BIN := .venv/bin

# CONTEXT=NAME uses that kubectl context in place of the test cluster; YES=1 installs what is missing without asking.
ON := $(if $(CONTEXT),--context $(CONTEXT))
export CONTEXT YES

# The runtime switches onnxruntime's telemetry off in its image; no test and no demo reports anything either.
export ORT_DISABLE_TELEMETRY := 1

# JUNIT=FILE keeps the outcome of a suite; PYTEST='-k weight' picks tests.
pytest = $(BIN)/python -m pytest $(if $(JUNIT),--junitxml=$(JUNIT)) $(PYTEST)
cluster = PYTHONPATH=tests $(PYTHON) -m cluster
demo = PYTHONPATH=tests $(BIN)/python -m demo
install = $(BIN)/python -m pip install --quiet --disable-pip-version-check
lock = UV_CUSTOM_COMPILE_COMMAND="make lock" $(BIN)/uv pip compile --quiet --upgrade --generate-hashes \
	--no-emit-index-url --no-emit-find-links

##@ See it work

.PHONY: demo
demo: .venv  ## Serve, canary, refuse and undo a model on a real Kubernetes, from nothing
	$(demo) $(ON)

.PHONY: demo-down
demo-down: .venv  ## Remove what the demo left, and its cluster
	$(demo) down $(ON)

##@ Test

.PHONY: test
test: .venv  ## Run every suite and print a table of counts and minutes
	$(BIN)/python tests/suites.py

.PHONY: test-full
test-full: .venv  ## The same with ten times the generated cases
	MODELWAY_EXAMPLES=10 $(BIN)/python tests/suites.py

.PHONY: check
check: formatted lint types imports generated  ## Format, lint, types, layers, generated files

.PHONY: formatted
formatted: .venv
	$(BIN)/ruff format --quiet --check . || { echo "Run make format" >&2; exit 1; }

.PHONY: lint
lint: .venv
	$(BIN)/ruff check --output-format concise .

.PHONY: types
types: .venv
	$(BIN)/mypy

.PHONY: imports
imports: .venv
	$(BIN)/lint-imports --no-logo

.PHONY: generated
generated: .venv
	@fresh=$$(mktemp -d); trap 'rm -rf "$$fresh"' EXIT; \
	$(BIN)/python -m modelway.api "$$fresh" > /dev/null; \
	diff -ru crds "$$fresh/crds" && diff -ru charts/modelway/files/crds "$$fresh/crds" && \
	diff -u docs/reference/api.md "$$fresh/docs/reference/api.md" && \
	diff -u docs/reference/reasons.md "$$fresh/docs/reference/reasons.md" || { echo "Generated files are out of date: run make generate" >&2; exit 1; }

.PHONY: unit
unit: .venv  ## Pure functions: tables and generated cases
	$(pytest) tests/unit

.PHONY: sequences
sequences: .venv  ## Whole rollouts in a simulated cluster, with a crash after every write
	$(pytest) --numprocesses 2 $(if $(MODELWAY_EXAMPLES),,-m 'not full') tests/sequences

.PHONY: clients
clients: .venv  ## Clients that others wrote, unmodified, against the runtime
	$(pytest) tests/clients

.PHONY: integration
integration: .venv  ## Against a real kube-apiserver and etcd
	$(pytest) tests/integration

.PHONY: formats
formats: python  ## PyTorch and TensorFlow in their own images: builds both, for each its tests
	PYTHONPATH=tests $(PYTHON) -m formats

.PHONY: arm64
arm64: .venv  ## The runtime image for arm64: builds it under emulation and asks it
	PYTHONPATH=tests $(BIN)/python -m arm64

.PHONY: e2e
e2e: .venv cluster images  ## On a real node: helm install, predictions through the gateway
	$(pytest) tests/e2e

##@ Work on it

.PHONY: format
format: .venv  ## Format the code and mend what can be mended
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

.PHONY: generate
generate: .venv  ## Write the CRDs, the chart's copy of them and the reference pages from the API types
	$(BIN)/python -m modelway.api
	cp crds/*.yaml charts/modelway/files/crds/

.PHONY: tools
tools: python  ## Install and build what the test cluster needs, and start nothing
	$(cluster) build

.PHONY: cluster
cluster: python  ## Bring the test cluster up, or do nothing when it is
	$(cluster) up $(ON)

.PHONY: cluster-down
cluster-down: python  ## Remove the test cluster completely
	$(cluster) down $(ON)

.PHONY: images
images: cluster  ## Build both images and hand them to the test cluster
	$(cluster) images $(ON)

.PHONY: bench-runtime
bench-runtime: .venv  ## Measure the runtime beside seven others and write the report (QUICK=1: only try it)
	PYTHONPATH=tests $(BIN)/python -m benchmarks.runtime $(if $(QUICK),--quick)

.PHONY: bench-abuse
bench-abuse: .venv  ## Idle connections, slow callers and 100,000 malformed requests against the runtime
	PYTHONPATH=tests $(BIN)/python -m benchmarks.abuse

.PHONY: bench-operator
bench-operator: .venv  ## Measure the operator: 1,000 idle models, 100 rollouts at once
	PYTHONPATH=tests $(BIN)/python -m benchmarks.idle
	PYTHONPATH=tests $(BIN)/python -m benchmarks.rollouts

.PHONY: bench-aborts
bench-aborts: .venv  ## Measure on the node how soon an abort takes the traffic back
	PYTHONPATH=tests $(BIN)/python -m benchmarks.aborts $(ON)

.PHONY: bench-shadow
bench-shadow: .venv  ## Measure on the node what callers notice of a comparator
	PYTHONPATH=tests $(BIN)/python -m benchmarks.shadow $(ON)

.PHONY: bench-plan
bench-plan: .venv  ## Measure the CPU time that one pass over one model takes
	PYTHONPATH=tests:tests/sequences $(BIN)/python -m benchmarks.planning

# bash counts in a variable of that name by itself, so only one that was given on make's command line is taken.
.PHONY: soak
soak: .venv  ## Churn for half an hour (SECONDS=…) on an API server that fails now and then
	PYTHONPATH=tests $(BIN)/python -m benchmarks.soak --seconds $(if $(filter command line,$(origin SECONDS)),$(SECONDS),1800)

.PHONY: bench-verdicts
bench-verdicts: .venv  ## Simulate how often verdicts err and how many requests they take
	PYTHONPATH=tests $(BIN)/python -m benchmarks.verdicts

.PHONY: lock
lock: .venv  ## Take the newest versions of all dependencies into the locks
	$(lock) --python-version 3.11 --all-extras pyproject.toml runtime-image/pyproject.toml requirements/development.in \
		--output-file requirements/development.txt
	$(lock) --python-version 3.13 --python-platform linux --extra operator pyproject.toml --output-file requirements/operator.txt
	for client in triton kserve web; do \
		$(lock) --python-version 3.11 tests/clients/environments/$$client.in --output-file tests/clients/environments/$$client.txt; done
	for peer in kserve bentoml litserve mlflow torchserve triton; do \
		$(lock) --python-version 3.11 tests/benchmarks/$$peer.in --output-file tests/benchmarks/$$peer.txt; done
	cd runtime-image && for locked in requirements requirements-torch requirements-tf requirements-build; do \
		$(subst $(BIN),../$(BIN),$(lock)) --python-version 3.13 --python-platform linux $$locked.in --output-file $$locked.txt; done

.PHONY: help
help:  ## Show this
	@awk 'BEGIN { FS = ":.*##" } \
		/^##@/ { printf "\n%s\n", substr($$0, 5) } \
		/^[a-z0-9-]+:.*##/ { printf "  %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@printf '\n  CONTEXT=NAME uses that kubectl context, YES=1 installs without asking, PYTEST=… adds arguments for pytest\n'

.PHONY: python
python:
	@[ -n "$(PYTHON)" ] || { echo "Python 3.11 with its venv module is needed and was not found: install it, or name it with PYTHON=…" >&2; exit 1; }

.PHONY: .venv
.venv: .venv/.installed

# New code needs no installation; new entry points take seconds, new versions a new environment.
.venv/.installed: .venv/.locked pyproject.toml runtime-image/pyproject.toml
	$(install) --no-deps --no-build-isolation -e . -e runtime-image
	@touch $@

.venv/.locked: requirements/development.txt | python
	@echo "Installing the development environment into .venv"
	"$(PYTHON)" -m venv --clear .venv
	$(install) --require-hashes -r requirements/development.txt
	@touch $@
