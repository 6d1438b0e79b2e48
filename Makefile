# make audit   set up, then audit a checkpoint:  make audit CORPUS=xquad:DIR LANGS=zh,de MODEL=DIR OUT=DIR
# make align   set up, then train one:  make align BASE=DIR TRAIN=xquad:DIR#train EVAL=xquad:DIR#test LANGS=zh,de OUT=DIR
# make up      set up, then start the service: Prefect, Ray, a worker, every deployment;  make status, make down
# make test    set up, then lint, type check and the test suite
# make help    the other targets

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

CORPUS ?= demo
LANGS ?=
MODEL ?= bundled:multilingual-e5-small-q4
BASE ?= bundled:multilingual-e5-small-q4
TRAIN ?= demo\#train
EVAL ?= demo\#test
OUT ?=
ARGS ?=
PICTURES ?=
FUZZ ?= $(shell find tests -name 'test_any_*.py')

# as in clir_core/telemetry.py
export DO_NOT_TRACK := 1
export HF_HUB_DISABLE_TELEMETRY := 1
export PREFECT_SERVER_ANALYTICS_ENABLED := false
export RAY_USAGE_STATS_ENABLED := 0
export RAY_USAGE_STATS_REPORT_URL := off

.PHONY: audit align up down status finetune env test test-slow fuzz faults test-ui inclined test-postgres check bench studies ui lock clean help

audit: $(READY)  ## audit MODEL on CORPUS in LANGS, result in OUT; more options in ARGS
	@$(BIN)/python -m flows.cli audit --model '$(MODEL)' --corpus '$(CORPUS)' $(if $(LANGS),--languages '$(LANGS)') $(if $(OUT),--out '$(OUT)') $(ARGS)

align: $(READY)  ## train BASE on TRAIN in LANGS, audit it before and after on EVAL, result in OUT; more options in ARGS
	@$(BIN)/python -m flows.cli align --base '$(BASE)' --train '$(TRAIN)' --evaluation '$(EVAL)' $(if $(LANGS),--languages '$(LANGS)') $(if $(OUT),--out '$(OUT)') $(ARGS)

# The service reads CLIR_UI_PORT (4200), CLIR_RAY_PORT (6379), CLIR_DASHBOARD_PORT (8265), DATABASE_URL, CLIR_NOTIFY_URL,
# CLIR_AUTO_FINETUNE and CLIR_WORKSPACE (.clir) from the environment.
SERVICE = $(BIN)/python -m deployments.service

up: $(READY)  ## start Prefect's server, Ray and a worker, and deploy everything; what runs already stays
	@$(SERVICE) up

down: $(READY)  ## end what `make up` started; runs that are going on start again after the next `make up`
	@$(SERVICE) down

status: $(READY)  ## what is up, what is deployed, what ran last; exit code 1 if anything is down
	@$(SERVICE) status

finetune: $(READY)  ## run the deployment align/finetune with its defaults, and watch it to its end
	@settings="$$($(SERVICE) env)" && eval "$$settings" && $(BIN)/python -m prefect deployment run align/finetune --watch

env: $(READY)  ## what a shell has to eval so that its own `prefect` talks to the service
	@$(SERVICE) env

test: check  ## lint, types and the whole suite but the slow tests
	$(BIN)/python -m pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder

test-slow: $(READY)  ## the tests that take minutes
	$(BIN)/python -m pytest -m slow

fuzz: $(READY)  ## every parser on 100,000 files or requests a test, changed in every way; a night's work
	CLIR_HYPOTHESIS=long $(BIN)/python -m pytest $(FUZZ)

test-ui: $(READY)  ## the UI in a headless Chromium, which has to be on the PATH; PICTURES names a folder for what was seen
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint requirements.lock --editable '.[ui]'
	CLIR_UI_PICTURES='$(PICTURES)' $(BIN)/python -m pytest -m slow tests/deployments/test_ui.py

inclined: $(READY)  ## audit a real checkpoint that leans to English, and the bundled one, on CORPUS in LANGS; results in OUT
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint requirements.lock --editable '.[inclined]'
	$(BIN)/python tests/studies/inclined.py --corpus '$(CORPUS)' --languages '$(LANGS)' --out '$(or $(OUT),.clir/inclined)'

test-postgres: $(READY)  ## the service's tests against a PostgreSQL server, which apt-get install postgresql provides
	CLIR_TEST_POSTGRES=1 $(BIN)/python -m pytest tests/deployments

faults: $(READY)  ## kill every process of a real service, in every phase; the tables in docs/faults.md; some hours
	$(BIN)/python tests/faults/run.py --docs docs/faults.md

check: $(READY)  ## lint and types
	$(BIN)/python -m ruff check
	$(BIN)/python -m ruff format --check
	$(BIN)/python -m mypy

bench: $(READY)  ## the benchmarks whose figures stand in docs/benchmarks.md; XQUAD names the data
	$(BIN)/python tests/bench/encode.py
	$(BIN)/python tests/bench/rank.py
	$(BIN)/python tests/bench/memory.py
	$(BIN)/python tests/bench/registry.py
	$(BIN)/python tests/bench/starts.py

studies: $(READY)  ## the simulations whose tables stand in docs/statistics.md; minutes to hours
	$(BIN)/python tests/studies/intervals.py
	$(BIN)/python tests/studies/claims.py
	$(BIN)/python tests/studies/gate.py

ui: $(READY)  ## the Prefect UI over the runs of `make audit` and `make align`, on http://127.0.0.1:4200, behind a password
	@test -s .clir/prefect/auth || { echo 'Nothing to show yet: run `make audit` first.'; exit 1; }
	@echo "Log in with $$(cat .clir/prefect/auth)"
	@PREFECT_HOME="$$PWD/.clir/prefect" \
	 PREFECT_SERVER_API_AUTH_STRING="$$(cat .clir/prefect/auth)" $(BIN)/python -m prefect server start --host 127.0.0.1

lock:  ## renew requirements.lock from pyproject.toml
	rm -rf build/lock && $(PYTHON) -m venv build/lock
	build/lock/bin/pip install --quiet '.[dev]'
	(echo '# Every package of a development install, as resolved on Python 3.11. Renew with `make lock`.'; \
	 build/lock/bin/pip freeze --exclude clir-audit | sed 's/+cpu$$//') > requirements.lock
	rm -rf build

clean:  ## end the service, remove the virtual environment and everything that audits left in .clir
	@test ! -e $(READY) || $(SERVICE) down
	rm -rf $(VENV) .clir

help:
	@grep -E '^[a-z-]+:.*##' Makefile | sed -E 's/:[^#]*##/\t/' | expand -t 12

$(READY): requirements.lock pyproject.toml
	$(PYTHON) -m venv $(VENV)
	@echo "Installing $$(grep -c == requirements.lock) packages into $(VENV) (a few minutes, once) ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --editable .
	@touch $@
