# make run, make test: the two commands of a fresh machine. Everything else is beside them.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: run demo up test bench lock clean
.DEFAULT_GOAL := run

$(VENV)/.runtime: requirements.txt
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.txt
	@touch $@

$(VENV)/.dev: requirements-dev.txt $(VENV)/.runtime
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.txt
	@touch $@

run: $(VENV)/.runtime          ## the main job, live, until Ctrl-C (FRESH=1 starts anew)
	@$(BIN)/python manage.py up --scenario cartier-2025 $(if $(SIZE),--size $(SIZE)) $(if $(FRESH),--fresh)

demo: $(VENV)/.runtime         ## the same, headless; exit 0 only if every check holds
	@$(BIN)/python manage.py demo $(if $(SIZE),--size $(SIZE)) $(if $(FRESH),--fresh)

up: $(VENV)/.runtime           ## database, broker, web, worker, beat; no scenario
	@$(BIN)/python manage.py up

test: $(VENV)/.dev             ## ruff, mypy, import-linter, pytest with real services and a real browser
	@$(BIN)/python -m tests.run

$(VENV)/.bench: requirements-bench.txt $(VENV)/.dev
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-bench.txt
	@touch $@

bench: $(VENV)/.bench          ## tests/benchmarks; ONLY=name runs one
	@$(BIN)/python -m tests.benchmarks $(if $(ONLY),--only $(ONLY))

lock: $(VENV)/.dev             ## pin requirements*.txt with hashes from the ranges of pyproject.toml
	@$(BIN)/python -m pip install --quiet uv
	@$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-header --group embedded pyproject.toml -o requirements.txt
	@$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-header --group dev pyproject.toml -c requirements.txt -o requirements-dev.txt
	@$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-header --group bench pyproject.toml -c requirements-dev.txt -o requirements-bench.txt
	@! grep -n '://' requirements.txt requirements-dev.txt requirements-bench.txt

clean:                         ## delete var/ (asks first)
	@printf 'Delete var/ with its database, keys and sign-ins? Type yes: '; read answer; \
	  if [ "$$answer" = yes ]; then rm -rf var && echo deleted; else echo kept; fi
