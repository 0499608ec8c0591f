# Everything sets itself up in .venv; Python 3.11+ and pip are enough.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PEERS := .venv-peers
SERVERS := .venv-servers
PIP := $(BIN)/python -m pip --quiet --disable-pip-version-check
# Whoever switches it off: each of hundreds of processes would compile all modules again.
export PYTHONDONTWRITEBYTECODE =

.DEFAULT_GOAL := help
.PHONY: help demo test test-all check check-peers check-servers format bench bench-archive bench-attention bench-away bench-bombs bench-budgets bench-dashboards bench-delivery bench-door bench-downloads bench-failing bench-fairness bench-keys bench-kill bench-lists bench-memory bench-pages bench-paying bench-proxies bench-reads bench-refused bench-restore bench-retention bench-retries bench-store bench-watch bench-workers crash lock clean screenshots

help: ## list the targets
	@awk -F':.*## ' '/^[a-z-]+:.*## / {printf "  make %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "reelhook needs Python 3.11 or newer; set PYTHON=/path/to/python3.11"; exit 1; }
	@echo "Making $(VENV) ..."
	@$(PYTHON) -m venv $(VENV)

$(VENV)/.run: $(BIN)/python requirements/run.txt requirements/build.txt pyproject.toml hatch_build.py requirements/web/package-lock.json
	@echo "Installing reelhook into $(VENV) (once; a minute or two) ..."
	@$(PIP) install --require-hashes -r requirements/run.txt
	@$(PIP) install --require-hashes -r requirements/build.txt
	@$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/.dev: $(VENV)/.run requirements/dev.txt
	@echo "Installing the test tools into $(VENV) ..."
	@$(PIP) install --require-hashes -r requirements/dev.txt
	@touch $@

# For the tests of JavaScript receivers; without npm they are skipped and say so.
tests/javascript/node_modules/.done: tests/javascript/package-lock.json
	@if command -v npm >/dev/null; then \
	  npm ci --prefix tests/javascript --silent --no-audit --no-fund && touch $@; \
	else echo "npm is missing: the JavaScript receivers are not tested"; fi

demo: $(VENV)/.run ## one job from request to webhook and MP4, no key needed
	@$(BIN)/reelhook demo

# A process for each part: the workers of one pytest would each load and collect all tests. Each costs
# four seconds before its first test.
PARTS := http engine storage cli
WITH_storage := tests/providers
PYTEST_PARTS := $(PARTS:%=pytest-%) pytest-others

test: $(VENV)/.dev tests/javascript/node_modules/.done ## linters, types, import contract and the tests
	@$(BIN)/python -m compileall -q src bench
	@$(MAKE) --no-print-directory -j 6 $(PYTEST_PARTS) check

$(PARTS:%=pytest-%): pytest-%: $(VENV)/.dev
	@TEST_PART=$* $(BIN)/python -m pytest -q tests/$* $(WITH_$*)

pytest-others: $(VENV)/.dev tests/javascript/node_modules/.done
	@TEST_PART=others $(BIN)/python -m pytest -q tests $(patsubst %,--ignore=%,$(PARTS:%=tests/%) $(WITH_storage))

# No distribution has it; where it does not run, its tests are skipped and say so.
$(VENV)/.traefik: $(VENV)/.dev requirements/traefik.txt
	@$(PIP) install --require-hashes -r requirements/traefik.txt && touch $@ || echo "Traefik is not tested here"

test-all: $(VENV)/.dev $(VENV)/.traefik tests/javascript/node_modules/.done ## the tests that take minutes, many examples of properties, and check-peers
	@HYPOTHESIS_PROFILE=many $(BIN)/python -m pytest -m "long or hypothesis" -n 2 --dist worksteal --timeout 1800
	@$(MAKE) --no-print-directory check-peers

# LiteLLM's own dependencies would quarrel with ours.
$(PEERS)/.done: requirements/litellm.txt
	@$(PYTHON) -m venv $(PEERS)
	@$(PEERS)/bin/python -m pip --quiet --disable-pip-version-check install --require-hashes -r $<
	@touch $@

tests/peers/node_modules/.done: tests/peers/package-lock.json
	@command -v npm >/dev/null || \
	  { echo "npm is missing: install Node.js 24.18 or newer (.ci/run takes it from requirements/node.txt)"; exit 1; }
	@npm ci --prefix tests/peers --silent --no-audit --no-fund && touch $@

check-peers: $(VENV)/.dev $(PEERS)/.done tests/peers/node_modules/.done ## jobs through aimock and LiteLLM's proxy, which others wrote (Node 24.18 or newer)
	@LITELLM=$(CURDIR)/$(PEERS)/bin/litellm $(BIN)/python -m pytest -m peers tests/peers tests/docs/test_vercel_page.py

# The vendors' servers with what they import, 4 GB; torch by itself, so that pip may take a build for
# CPUs where it knows one.
$(SERVERS)/.done: requirements/servers.txt
	@echo "Installing the servers into $(SERVERS) ..."
	@$(PYTHON) -m venv $(SERVERS)
	@$(SERVERS)/bin/python -m pip --quiet --disable-pip-version-check install torch==2.13.0
	@$(SERVERS)/bin/python -m pip --quiet --disable-pip-version-check install --no-deps --require-hashes -r $<
	@touch $@

check-servers: $(VENV)/.dev $(PEERS)/.done $(SERVERS)/.done ## reelhook against SGLang, vLLM-Omni, FastVideo, Aquiles and LiteLLM without a GPU (30 minutes; ARGS="--server sglang")
	@PYTHONPATH=tests:. $(BIN)/python -m servers.check $(ARGS)

check: $(VENV)/.dev ## linters, types and the import contract alone
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache

format: $(VENV)/.dev ## format the code, and fix what the linter can fix
	@$(BIN)/ruff check --fix
	@$(BIN)/ruff format

bench: $(VENV)/.dev ## the main job from outside: latency, reads, faults, memory (minutes)
	@$(BIN)/python -m bench.main_job all

bench-bombs: $(VENV)/.dev ## memory and others' waits under hostile clients, and what idle live streams cost; responses of hostile providers (5 minutes)
	@status=0; for one in bombs bombs_provider; do $(BIN)/python -m bench.$$one || status=1; done; exit $$status

bench-budgets: $(VENV)/.dev ## a budget of 100 on both databases, 1,000 rounds with 50 kills; what a budget costs (25 minutes)
	@$(BIN)/python -m bench.budgets

bench-dashboards: $(VENV)/.dev ## CPU time of 50 open dashboards, idle and at 100 changes a second (2 minutes)
	@$(BIN)/python -m bench.dashboards

bench-delivery: $(VENV)/.dev ## webhooks at 100 to 1000 a second, next to a hung receiver, against a bare client
	@$(BIN)/python -m bench.delivery

bench-downloads: $(VENV)/.dev ## downloads of archived files next to Starlette's FileResponse (2 minutes)
	@$(BIN)/python -m bench.downloads

bench-door: $(VENV)/.dev $(PEERS)/.done ## retrieves, creates and memory next to LiteLLM's proxy (2 minutes; ARGS="--seconds 1")
	@LITELLM=$(CURDIR)/$(PEERS)/bin/litellm $(BIN)/python -m bench.door $(ARGS)

bench-failing: $(VENV)/.dev ## healthy webhooks next to 10,000 endpoints that fail, on SQLite and PostgreSQL (20 minutes)
	@$(BIN)/python -m bench.failing

bench-fairness: $(VENV)/.dev ## a project with one job a second next to one that submits 10,000, on SQLite and PostgreSQL (3 minutes)
	@$(BIN)/python -m bench.fairness

bench-keys: $(VENV)/.dev ## creates and retrieves with a project's key, compared with REELHOOK_API_KEY (1 minute)
	@$(BIN)/python -m bench.keys

bench-kill: $(VENV)/.dev ## kill -9 under load, 50 times; again with lost responses to COMMIT (15 minutes)
	@$(BIN)/python -m bench.kill --kills 50
	@$(BIN)/python -m bench.kill --kills 30 --commits 0.01
	@$(BIN)/python -m bench.kill --kills 30 --commits 0.01 --database postgresql --life 7 --settle 7

bench-lists: $(VENV)/.dev ## filtered lists of 100,000 jobs in 50 projects, on SQLite and PostgreSQL (2 minutes)
	@$(BIN)/python -m bench.lists

bench-memory: $(VENV)/.dev ## what each process holds: at rest, with 1,000 jobs, with images (6 minutes)
	@$(BIN)/python -m bench.memory

bench-pages: $(VENV)/.dev ## the server time of every page with 100,000 jobs and 1,000,000 attempts, on SQLite and PostgreSQL (4 minutes)
	@$(BIN)/python -m bench.pages

bench-paying: $(VENV)/.dev ## every adapter's creates go wrong and workers are killed, 1,000 times (20 minutes)
	@$(BIN)/python -m bench.paying --every-listing

bench-proxies: $(VENV)/.traefik ## refused uploads and idle connections, directly and through nginx, HAProxy, Caddy and Traefik (30 minutes)
	@$(BIN)/python -m bench.proxies

bench-refused: $(VENV)/.dev ## creates that a server refuses: how soon its message is shown (5 minutes)
	@$(BIN)/python -m bench.refused

bench-reads: $(VENV)/.dev ## how many requests a round over 1,000 jobs takes, by provider
	@$(BIN)/python -m bench.reads

crash: $(VENV)/.dev ## kill -9 at every failpoint of delivering, 1,000 runs (minutes)
	@$(BIN)/python -m bench.crash --runs 1000

bench-store: $(VENV)/.dev ## the store by itself, on SQLite and PostgreSQL
	@$(BIN)/python -m bench.store

bench-archive: $(VENV)/.dev ## files through the archive, under kills and under load
	@$(BIN)/python -m bench.archive

bench-attention: $(VENV)/.dev ## all causes on a bad day: 100,000 jobs, 1,000,000 attempts, on SQLite and PostgreSQL (2 minutes)
	@$(BIN)/python -m bench.attention

bench-away: $(VENV)/.dev ## PostgreSQL stopped, restarted, frozen, failed over, on a full disk (7 minutes)
	@$(BIN)/python -m bench.away

bench-restore: $(VENV)/.dev ## a copy in the middle, kill -9 and a start on the copy, 20 times on both databases (25 minutes)
	@$(BIN)/python -m bench.restore

bench-retention: $(VENV)/.dev ## creates while 100,000 old jobs are removed
	@$(BIN)/python -m bench.retention

bench-retries: $(VENV)/.dev tests/peers/node_modules/.done ## retries of the official openai and ai clients through a proxy that loses much (10 minutes)
	@$(BIN)/python -W ignore::DeprecationWarning -m bench.retries

bench-watch: $(VENV)/.dev ## 1,000 to 100,000 pending jobs of one account, on SQLite and PostgreSQL (20 minutes)
	@$(BIN)/python -m bench.watch

bench-workers: $(VENV)/.dev ## two workers on PostgreSQL: killed, stopped, frozen (4 minutes)
	@$(BIN)/python -m bench.workers

screenshots: $(VENV)/.dev ## every page of the dashboard as a PNG: light, dark, on a phone; the README's image (Chromium; 6 minutes)
	@$(BIN)/python -m bench.screenshots screenshots --readme docs

lock: $(VENV)/.dev ## resolve the dependencies into requirements/*.txt: the newest, or LOCK=--keep
	@$(PIP) install uv
	@PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python requirements/lock.py $(LOCK)
	@for folder in tests/javascript tests/peers; do \
	  npm install --prefix $$folder --package-lock-only --omit-lockfile-registry-resolved --silent --no-audit --no-fund; \
	done

clean: ## remove what the targets above made
	@rm -rf $(VENV) $(PEERS) $(SERVERS) tests/javascript/node_modules tests/peers/node_modules .mypy_cache .ruff_cache .pytest_cache .hypothesis
