# `make run` installs everything and holds a call; `make test` runs all tests.
PYTHON ?= python3
VENV ?= .venv
ifeq ($(OS),Windows_NT)
BIN := $(VENV)/Scripts
else
BIN := $(VENV)/bin
endif
PIP := $(BIN)/python -m pip --quiet --disable-pip-version-check
# A worker that dies ends the run instead of being replaced silently.
PARALLEL = $(BIN)/python -m pytest -q -rs -n auto --dist loadgroup --max-worker-restart 0

.DEFAULT_GOAL := help
.PHONY: help run test check desk format models orders fuzz mutants soak docs terminal bench clean

help: ## show this list
	@sed -n 's/^\([a-z]*\):.*## /  make \1\t/p' Makefile

run: $(VENV)/.engines ## set everything up and hold one spoken call, without a key
	@$(BIN)/vagent models fetch
	@echo
	@echo "A scripted caller with a local voice now speaks three lines to the agent in"
	@echo "agents/support.yaml, and hangs up. The call takes about a minute; no microphone is"
	@echo "needed, and Ctrl-C ends it."
	@echo
	@$(BIN)/python agents/tools/orders.py --port 0 --while \
	  $(BIN)/vagent run agents/support.yaml --var 'orders_url={url}' \
	  --say "What's the weather in London?" \
	  --say "Where is my order one two three four?" \
	  --say "No, that's all. Goodbye!"
	@echo
	@echo "Next:"
	@if $(BIN)/vagent devices >/dev/null 2>&1; then \
	  echo "  $(BIN)/vagent run agents/storyteller.yaml          talk (microphone and speaker)"; fi
	@echo "  $(BIN)/vagent run agents/storyteller.yaml --text   type and read"
	@echo "  $(BIN)/vagent serve agents/storyteller.yaml        talk in a browser"
	@echo "  ASSEMBLYAI_API_KEY=... $(BIN)/vagent run agents/storyteller.yaml"
	@echo "  edit agents/support.yaml, then: $(BIN)/vagent validate agents"

test: check models ## set everything up and run all tests, real speech included
	$(PARALLEL) -m "slow and not speech and not device"
	$(BIN)/python -m pytest -q -rs -m "speech and not device"

check: $(VENV)/.develop ## format, lint, types, documentation, scenarios, and the quick tests
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet --strict
	$(BIN)/vagent test agents
	$(PARALLEL) -m "not slow and not speech and not device"

desk: $(VENV)/.develop ## tests through the real PortAudio in a simulated room (Linux, PulseAudio)
	$(BIN)/python -m pytest -q -rs -m device tests/device

models: $(VENV)/.engines ## download the models of the local service, once
	@$(BIN)/vagent models fetch || \
	  { test -z "$$CI" && echo "no models: the tests that need them are skipped" >&2; }

format: $(VENV)/.develop ## fix format and imports
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

# In twenty runs, because hypothesis keeps its examples in memory during a run.
orders: $(VENV)/.develop ## 100,000 random orders of events for each protocol core, alone and linked
	@for seed in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do \
	  VAGENT_ORDERS=5000 $(BIN)/python -m pytest -q -n auto --hypothesis-seed=$$seed \
	    tests/protocol/client/test_session_orders.py tests/protocol/server/test_session_orders.py \
	    tests/protocol/test_protocol_lossy_link.py || exit 1; \
	done

fuzz: $(VENV)/.develop ## malformed input: 1,000,000 messages, 100,000 agent files, 100,000 connections
	$(BIN)/python -m tests.fuzz

mutants: $(VENV)/.develop ## break each rule of the protocol cores and list the breaks that no test finds
	$(BIN)/python benchmarks/mutants.py

soak: $(VENV)/.develop ## a thousand calls and one of an hour, faster than real time: no growth allowed
	$(BIN)/python benchmarks/soak.py

docs: $(VENV)/.develop ## generate the reference pages and serve the documentation on this machine
	$(BIN)/python -m docs.generate
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs serve

terminal: $(VENV)/.develop ## record a call in a terminal, with real speech, as docs/terminal.svg
	$(BIN)/python docs/generate/terminal.py

bench: $(VENV)/.develop ## measure the engine next to a bare client (some minutes)
	$(BIN)/python benchmarks/cold_start.py
	$(BIN)/python benchmarks/validating.py
	$(BIN)/python benchmarks/placement.py
	$(BIN)/python benchmarks/scenarios.py
	$(BIN)/python benchmarks/interruption.py
	$(BIN)/python benchmarks/sessions.py --count 1 50
	$(BIN)/python benchmarks/sessions.py --memory 300
	$(BIN)/python benchmarks/recording.py
	$(BIN)/python benchmarks/kills.py
	$(BIN)/python benchmarks/trips.py

clean: ## remove the virtual environment and all build products
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis

$(VENV)/.created:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "vagent needs Python 3.11 or newer: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 2; }
	$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/.engines: $(VENV)/.created pyproject.toml
	@echo "installing vagent and its speech engines into $(VENV) (about 150 MB)"
	$(PIP) install --editable '.[local,echo,serve]'
	@touch $@

$(VENV)/.develop: $(VENV)/.engines
	$(PIP) install --upgrade 'pip>=25.1'
	$(PIP) install --group dev
	@touch $@
