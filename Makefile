# The verbs of the project. Each sets up what it needs, works a second time quickly, and from any clean clone.
PYTHON ?= python3
BIN := .venv/bin
SETUP := .venv/.ready

.PHONY: demo test test-all test-postgres test-gpu lint types check clean help

help:            ## list the verbs
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/'

$(SETUP): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check 'pip>=25.1'
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e . --group dev
	touch $@

demo: $(SETUP)   ## the whole tour on generated data with planted truth
	$(BIN)/ctrkit demo -o demo

test: $(SETUP)   ## the tests, without the slow ones
	$(BIN)/python -m pytest -q

test-all: $(SETUP) ## the slow tests, on their own
	$(BIN)/python -m pytest -q -m slow

test-postgres: $(SETUP) ## the tests that need PostgreSQL: CTRKIT_TEST_POSTGRES_URL, else pgserver
	$(BIN)/python -m pytest -q -m postgres

test-gpu: $(SETUP) ## the tests that need CUDA; they skip where there is none
	$(BIN)/python -m pytest -q -m gpu

lint: $(SETUP)   ## style
	$(BIN)/ruff check --no-cache .
	$(BIN)/ruff format --check .

types: $(SETUP)  ## mypy, strict
	$(BIN)/mypy

check: lint types test ## what to run before a push

clean:           ## remove what the verbs made
	rm -rf .venv demo build dist .mypy_cache .ruff_cache .pytest_cache
