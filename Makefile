# The two commands that matter: `make up` and `make test`. Each sets up what it needs; Python 3.11 or later is enough.

PYTHON ?= python3
export PATH := $(CURDIR)/.venv/bin:$(PATH)
export NODE_COMPILE_CACHE := $(CURDIR)/.venv/node_compile_cache
unexport PYTHONDONTWRITEBYTECODE # Python starts hundreds of times in the tests: compiling its modules each time takes minutes

.PHONY: docs test-policy new-handler up down test test-all test-short-node test-short-parts test-node test-parts test-bad-day test-faults bench bench-local check lint types setup help

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

PARTS = tests/commands tests/unit tests/deploy tests/ops tests/local tests/bench
DEFAULT = tests/journey/test_default_combination.py
COMBINATIONS = tests/journey/test_combinations.py
ALL = $(COMBINATIONS) tests/wrangler $(filter-out $(COMBINATIONS) $(DEFAULT),$(wildcard tests/journey/test_*.py)) tests/hosted tests/standalone $(PARTS)
# What `make test` leaves to `make test-all`, which takes a quarter of an hour.
SLOW = tests/wrangler tests/hosted tests/standalone tests/commands/test_command.py tests/unit/test_host.py \
	$(patsubst %,tests/journey/test_%.py,changes deploy docs_commands openapi ops priorities rollout) \
	$(patsubst %,tests/deploy/test_%.py,changes local_instance refresh zones) $(patsubst %,tests/ops/test_%.py,account_suite dead_letters) \
	$(patsubst %,tests/local/test_%.py,assets d1_transfers deployments differences durable_objects faults full_disk identity kv lifecycle limits \
		previews provider python_sdk r2 script_uploads security tails worker_secrets worker_versions workers workflows zones) \
	$(patsubst %,tests/data_plane/%.test.js,broker durability durable_objects faults isolation kv r2 workers workflows) \
	$(patsubst %,tests/worker/%.test.js,actions alerts batches callback children d1_store dead_letters free_plan groups joint lost_replies migrations \
		model stack_schedules steps steps_kills steps_stream) \
	$(patsubst %,tests/page/%.test.js,polling steering tasks worker_page) tests/sdk/typescript_sdk.test.js

NODE_TESTS = $(wildcard worker/handlers/*.test.js $(patsubst %,tests/%/*.test.js,worker data_plane page sdk bench ci))
TELL = --test-reporter=spec --test-reporter-destination=stdout --test-reporter=./tests/slowest_files.js --test-reporter-destination=stdout
NODE = node --test --test-concurrency=3 $(TELL)

# Tests wait for others more than they compute, so more of them run at once than there are cores; the longest begin.
PYTEST = python -m pytest --durations 10 --durations-min 5
SPREAD = --numprocesses 4 --dist loadfile --no-loadscope-reorder

# Beside many others on two cores a test can be late for a moment. What fails runs once more by itself, and has to pass then.
AGAIN = { echo; echo "Some tests failed. They run once more, by themselves: one that passes now is to be looked at, too."; false; }
NODE_TWICE = state=$$(mktemp -d)/passed; node_tests() { $(NODE) --test-rerun-failures=$$state $(1); }; node_tests || $(AGAIN) || node_tests
PYTEST_TWICE = $(PYTEST) $(1) || $(AGAIN) || $(PYTEST) --last-failed --last-failed-no-failures none $(1)

test: lint ## Run the checks and a part of the tests: the default combination, the Worker on one store a file. Five minutes on two cores
	@$(MAKE) --no-print-directory --jobs 3 LEFT_OUT='$(SLOW)' types test-short-node test-short-parts

test-all: lint ## Run everything, as CI does: all combinations and stores, wrangler, the examples, the package by itself, faults and kills, the page
	@$(MAKE) --no-print-directory --jobs 3 types test-faults test-parts
	@$(MAKE) --no-print-directory test-policy
	@node tests/page/chromium.js

NODE_TESTS_LEFT = $(filter-out $(LEFT_OUT),$(NODE_TESTS))
IGNORED = $(patsubst %,--ignore=%,$(LEFT_OUT))

test-short-node: setup
	@export TEST_STORES=one; $(call NODE_TWICE,$(NODE_TESTS_LEFT))

test-short-parts: setup
	@$(call PYTEST_TWICE,--numprocesses 3 --dist loadfile --no-loadscope-reorder $(DEFAULT) $(PARTS) $(IGNORED))

test-node: setup
	@$(call NODE_TWICE,$(NODE_TESTS_LEFT))

test-parts: test-node
	@$(call PYTEST_TWICE,$(SPREAD) $(filter-out $(LEFT_OUT),$(ALL)) $(IGNORED))

# These wait most of their time, so they run beside the others. What they measured is printed at their end.
FAULT_SECONDS ?= 60

test-bad-day: setup ## Each kind of fault under load on the six combinations; FAULT_SECONDS=600 takes longer
	@$(PYTEST) tests/faults/test_bad_day.py -rsP --fault-seconds $(FAULT_SECONDS)

test-faults: setup
	@$(PYTEST) tests/faults -rsP --fault-seconds $(FAULT_SECONDS)

bench: setup .venv/.bench bench/rivals/bullmq/node_modules/.package-lock.json ## Measure on this machine, for an hour; BENCH='--quick', BENCH=--help and more
	@python -m bench $(BENCH)

bench-local: setup ## Measure what a deployment to the local Cloudflare costs, and what its neighbours notice, in a minute
	@python -m bench.local_cloudflare

docs/dashboard/overview.png: setup $(wildcard worker/page/*) ## Take the docs' pictures of the dashboard
	@node tests/page/screenshot.js $(@D)

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

docs: .venv/.docs ## Build the documents into site/, with search; a link that leads nowhere is an error
	@NO_MKDOCS_2_WARNING=1 python docs/site.py

.venv/.docs: docs/requirements.txt docs/constraints.txt constraints.txt .venv/.installed
	@echo "Installing what the documents are built with into .venv"
	@pip install --quiet --disable-pip-version-check -r docs/requirements.txt -c constraints.txt -c docs/constraints.txt
	@touch $@

test-policy: setup policy/venv/.installed ## Call the policy pack with what the program declares
	@python -m pytest tests/policy

policy/venv/.installed: policy/requirements.txt policy/constraints.txt .venv/.installed
	@echo "Installing the policy pack's own environment into policy/venv"
	@$(PYTHON) -m venv policy/venv
	@policy/venv/bin/pip install --quiet --disable-pip-version-check -r policy/requirements.txt -c policy/constraints.txt
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
