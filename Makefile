# Everything a newcomer needs: `make run` holds a call, `make test` proves the rest.
PYTHON ?= python3
VENV ?= .venv
ifeq ($(OS),Windows_NT)
BIN := $(VENV)/Scripts
else
BIN := $(VENV)/bin
endif
PIP := $(BIN)/python -m pip --quiet --disable-pip-version-check
# A worker that dies ends the run, instead of being replaced without a word.
PARALLEL = $(BIN)/python -m pytest -q -rs -n auto --dist loadgroup --max-worker-restart 0

.DEFAULT_GOAL := help
.PHONY: help run test check desk format models orders fuzz mutants soak docs terminal bench clean

help: ## show this list
	@sed -n 's/^\([a-z]*\):.*## /  make \1\t/p' Makefile

run: $(VENV)/.engines ## set everything up and hold one spoken call, with no key
	@$(BIN)/vagent models fetch
	@$(BIN)/python agents/tools/orders.py --port 0 --while \
	  $(BIN)/vagent run agents/support.yaml --var 'orders_url={url}' \
	  --say "What's the weather in London?" \
	  --say "Where is my order one two three four?" \
	  --say "No, that's all. Goodbye!"
	@echo
	@echo "Now yourself:"
	@echo "  $(BIN)/vagent run agents/storyteller.yaml          talk (microphone and speaker)"
	@echo "  $(BIN)/vagent run agents/storyteller.yaml --text   type and read"
	@echo "  ASSEMBLYAI_API_KEY=... $(BIN)/vagent run agents/storyteller.yaml"
	@echo "  edit agents/support.yaml, then: $(BIN)/vagent validate agents"

test: check models ## set everything up and pass every test, real speech included
	$(PARALLEL) -m "slow and not speech and not device"
	$(BIN)/python -m pytest -q -rs -m "speech and not device"

check: $(VENV)/.develop ## format, lint, types, documentation, scenarios, and the tests that need no models
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet --strict
	$(BIN)/vagent test agents
	$(PARALLEL) -m "not slow and not speech and not device"

desk: $(VENV)/.develop ## the tests through the real PortAudio, in a simulated room (Linux, pulseaudio)
	$(BIN)/python -m pytest -q -rs -m device tests/device

models: $(VENV)/.engines ## fetch what the local service needs, once
	@$(BIN)/vagent models fetch || \
	  { test -z "$$CI" && echo "no weights: the tests that need them are skipped" >&2; }

format: $(VENV)/.develop ## fix format and imports
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

# In twenty runs: hypothesis keeps what it drew in memory for the whole of a run.
orders: $(VENV)/.develop ## both cores, alone and linked, under 100,000 random orders of events each
	@for seed in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do \
	  VAGENT_ORDERS=5000 $(BIN)/python -m pytest -q -n auto --hypothesis-seed=$$seed \
	    tests/protocol/client/test_session_orders.py tests/protocol/server/test_session_orders.py \
	    tests/protocol/test_protocol_lossy_link.py || exit 1; \
	done

fuzz: $(VENV)/.develop ## spoiled input: 1,000,000 messages, 100,000 agent files, 100,000 through the door
	$(BIN)/python -m tests.fuzz

mutants: $(VENV)/.develop ## break each rule of the cores, and list what the tests miss
	$(BIN)/python benchmarks/mutants.py

soak: $(VENV)/.develop ## a thousand calls, and one of an hour, quicker than real time: nothing may grow
	$(BIN)/python benchmarks/soak.py

docs: $(VENV)/.develop ## write the generated pages, and serve the documentation on this machine
	$(BIN)/python -m docs.generate
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs serve

terminal: $(VENV)/.develop ## record a call in a terminal, with real speech, as docs/terminal.svg
	$(BIN)/python docs/generate/terminal.py

bench: $(VENV)/.develop ## what the engine costs beside a bare client, in some minutes
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

clean: ## remove the virtual environment and what was built
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis

$(VENV)/.created:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "vagent needs Python 3.11 or newer: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 2; }
	$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/.engines: $(VENV)/.created pyproject.toml
	@echo "installing vagent and its speech engines into $(VENV) (about 150 MB)"
	$(PIP) install --editable '.[local,echo]'
	@touch $@

$(VENV)/.develop: $(VENV)/.engines
	$(PIP) install --upgrade 'pip>=25.1'
	$(PIP) install --group dev
	@touch $@
