# Everything starts here. On a fresh machine with Python 3.11 and make, each target sets up what it needs.

PYTHON ?= python3
RUN := .venv/bin/python
ARGS ?=

.DEFAULT_GOAL := help
.PHONY: help setup dev seed demo test coverage promises check commits api-changes client plan deploy bench load stress lock

help:  ## Show this
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 20
	@echo '  Options:        test: SERVICE=users (one service), ARGS="-k name" (for pytest); all: PYTHON=python3.12'
	@echo '                  deploy, plan: ENV=staging, SERVICE=users (one function), REF=v1.2.0 (functions as they were),'
	@echo '                  ARGS=--help (more options); commits: RANGE=origin/main..HEAD; api-changes: REF=v1.2.0'

setup:
	@$(PYTHON) local/bootstrap.py

dev: setup  ## Start the whole platform here, with demo data; Ctrl-C stops it
	@$(RUN) -m local dev

seed: setup  ## Fill the demo data into the platform that `make dev` started
	@$(RUN) -m local seed

demo: setup  ## Tell one patient's journey, on the platform that runs or one that is started for it
	@$(RUN) -m local demo

test: setup  ## Run all tests on a platform of their own
ifdef SERVICE
	@$(RUN) -m pytest tests/functions/$(SERVICE) $(ARGS)
else ifneq ($(ARGS),)
	@$(RUN) -m pytest $(ARGS)
else
	@$(RUN) -m tests.coverage run
endif

coverage: setup  ## Show which lines and branches the tests miss
	@$(RUN) -m tests.coverage report

promises: setup  ## Run the tests that keep the promises, print their figures, and write docs/promises.md
	@$(RUN) -m pytest -q -k "test_p0 or test_p1 or test_p2 or test_p3 or test_p4" --promises $(ARGS)

check: setup  ## Lint, format, types, Terraform, branch coverage (of the last `make test`, if it is current)
	@$(RUN) -m ruff check .
	@$(RUN) -m ruff format --check .
	@$(RUN) -m mypy common functions local ops tests
	@$(RUN) -m tests.terraform check
	@$(RUN) -m tests.coverage check -q

commits: setup  ## Check the messages of the commits that main lacks (CONTRIBUTING.md)
	@$(RUN) -m local.commits $(or $(RANGE),origin/main..HEAD)

api-changes: setup  ## Show what in the API breaks clients of the last release
	@$(RUN) -m local.api_changes $(REF)

client: setup  ## Write anew what of the TypeScript client follows from the API
	@$(RUN) -m local.client

plan: setup  ## Show what `make deploy` would change in ENV
	@$(RUN) -m ops deploy $(or $(ENV),$(error say which: ENV=dev, ENV=staging or ENV=prod)) --plan-only $(if $(SERVICE),--service $(SERVICE)) $(if $(REF),--ref $(REF)) $(ARGS)

deploy: setup  ## Deploy to ENV; it shows what changes, and asks in production
	@$(RUN) -m ops deploy $(or $(ENV),$(error say which: ENV=dev, ENV=staging or ENV=prod)) $(if $(SERVICE),--service $(SERVICE)) $(if $(REF),--ref $(REF)) $(ARGS)

bench: setup  ## Measure the budgets, side by side, into docs/performance.md (ARGS="--only starts", ARGS=--whole)
	@$(RUN) -m tests.bench $(ARGS)

load: setup  ## Play a clinic's day with locust, and look up what came of it (ARGS="--minutes 20 --users 40")
	@$(RUN) -m tests.load $(ARGS)

stress: setup  ## Try to break it, for some minutes (ARGS="--seconds 600" for longer, ARGS="--only races,floods" for some)
	@$(RUN) -m tests.stress $(ARGS)

lock: setup  ## Pin requirements.txt, requirements-dev.txt and every package-lock.json anew
	@$(RUN) -m pip install --quiet --target .healthhub/uv uv
	@.healthhub/uv/bin/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-header \
	  --no-emit-index-url --no-annotate --upgrade pyproject.toml -o requirements.txt
	@.healthhub/uv/bin/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-header \
	  --no-emit-index-url --no-annotate --upgrade --group dev -c requirements.txt -o requirements-dev.txt
	@for folder in local tests/browser clients/typescript examples/mobile; do \
	  (cd $$folder && npm install --package-lock-only --ignore-scripts --no-audit --no-fund && sed -i.bak '/"resolved": "http/d' package-lock.json && rm package-lock.json.bak) || exit 1; \
	done
