# The two commands that matter: `make up` and `make test`. Each sets up what it needs; Python 3.11 or later is enough.

PYTHON ?= python3
export PATH := $(CURDIR)/.venv/bin:$(PATH)
export NODE_COMPILE_CACHE := $(CURDIR)/.venv/node_compile_cache

# The bad day has not yet passed as a whole: it is in test-all, not in test.
.PHONY: new-handler up down test test-parts test-node test-all test-bad-day test-faults test-others bench check lint types setup help

help: ## Show this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 20

up: setup ## Start the local Cloudflare, deploy to it, follow one real task to completed
	@python -m local start
	@python -m local up --stack local
	@python -m ops.first_task

down: setup ## Destroy what `make up` deployed, and stop the local Cloudflare
	@python -m local start
	@python -m local destroy --stack local
	@python -m local stop

PARTS = tests/unit tests/deploy tests/ops tests/local tests/bench

test-parts: check ## Run every check and the suites of each part, without journeys, wrangler's walks and faults
	@$(MAKE) --no-print-directory test-node
	python -m pytest --numprocesses 4 --dist loadfile --no-loadscope-reorder $(PARTS)
	@node tests/page/chromium.js

test: check ## Run every check and every test, on a Cloudflare of its own
	@$(MAKE) --no-print-directory --jobs 2 test-faults test-others
	@node tests/page/chromium.js

test-all: test test-bad-day ## And the long tests: the bad day, the examples and the template, the package by itself
	@python -m pytest tests/hosted tests/standalone

test-bad-day: setup ## Each kind of fault under load on the six combinations; FAULT_SECONDS=600 takes longer
	@python -m pytest tests/faults/test_bad_day.py -rsP --fault-seconds $(or $(FAULT_SECONDS),60)

# These wait most of their time, so they run beside the others. What they measured is printed at their end.
test-faults:
	@python -m pytest tests/faults --ignore tests/faults/test_bad_day.py -rsP

# Tests wait for others more than they compute, so more of them run at once than there are cores; the longest begin.
test-node:
	node --test --test-concurrency=3 'worker/handlers/*.test.js' 'tests/worker/*.test.js' 'tests/data_plane/*.test.js' 'tests/page/*.test.js' 'tests/sdk/*.test.js' 'tests/bench/*.test.js'

test-others: test-node
	python -m pytest --numprocesses 4 --dist loadfile --no-loadscope-reorder tests/journey tests/wrangler $(PARTS)

bench: setup .venv/.bench bench/rivals/bullmq/node_modules/.package-lock.json ## Measure on this machine, for 25 minutes; BENCH='--quick', BENCH=--help and more
	@python -m bench $(BENCH)

docs/dashboard.png: setup worker/page/dashboard.html worker/page/dashboard.css worker/page/dashboard.js ## Take the docs' picture of the dashboard
	@node tests/page/screenshot.js $@

new-handler: setup ## Write a handler with its test: NAME=resize, and FOLDER=... or TS=1 if you like
	@python -m components.new_handler "$(NAME)" $(if $(FOLDER),--folder "$(FOLDER)") $(if $(TS),--typescript)

check: lint types ## Run the linters and type checkers alone

lint: setup
	ruff check .
	ruff format --check .

types: setup
	basedpyright
	npm run --silent typecheck

setup: node_modules/.package-lock.json ## Install everything into .venv and node_modules

.venv/.installed: requirements.txt requirements-dev.txt constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and f"expected Python 3.11 or later, got {sys.version.split()[0]} from $(PYTHON): run make PYTHON=/path/to/python3.11")'
	@echo "Installing Python packages into .venv (about half a minute, once)"
	@$(PYTHON) -m venv .venv
	@pip install --quiet --disable-pip-version-check -r requirements-dev.txt -c constraints.txt
	@touch $@

.venv/.bench: bench/requirements.txt constraints.txt bench/constraints.txt .venv/.installed
	@echo "Installing what the benchmark draws with into .venv"
	@pip install --quiet --disable-pip-version-check -r bench/requirements.txt -c constraints.txt -c bench/constraints.txt
	@touch $@

bench/rivals/bullmq/node_modules/.package-lock.json: bench/rivals/bullmq/package-lock.json .venv/.installed
	@npm ci --prefix bench/rivals/bullmq --no-audit --no-fund --loglevel error
	@touch $@

node_modules/.package-lock.json: package-lock.json .venv/.installed
	@echo "Installing workerd, Miniflare and wrangler into node_modules"
	@npm ci --no-audit --no-fund --loglevel error
	@touch $@
