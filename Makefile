# The commands of the project. Each sets up what it needs (.venv) and none needs another to have run first.
PYTHON ?= python3.11
export PYTHONPATH :=
export DO_NOT_TRACK := 1
export DAGSTER_DISABLE_TELEMETRY := 1

# What stands for a password in examples of addresses, and in tests.
EXAMPLES := ^(password|not-told|hidden|s%40crets|\.\.\.)$$

.PHONY: run retrain dev test test-slow check bench generate lock clean

run: .venv/ready  ## land, transform, mine, release (SOURCE= DATA= AS_OF= CUSTOMERS=)
retrain: .venv/ready  ## the same with every model fitted anew
run retrain:
	@.venv/bin/mainbank $@ $(if $(SOURCE),--source "$(SOURCE)") $(if $(DATA),--data "$(DATA)") $(if $(AS_OF),--as-of "$(AS_OF)") $(if $(CUSTOMERS),--customers "$(CUSTOMERS)") $(if $(DELIVERED_ON),--delivered-on "$(DELIVERED_ON)")

dev: .venv/ready  ## the Dagster UI on port 3000, on the same home
	@.venv/bin/mainbank dev

test: .venv/ready
	.venv/bin/python -m pytest

test-slow: .venv/ready  ## slow proofs; a skip is a failure unless ALLOW_SKIP="part of a name" allows it
	FAIL_ON_SKIP=1 .venv/bin/python -m pytest -m slow -rs

check: .venv/ready  ## format, lint, types, SQL lint, dbt parse, secrets, vulnerable dependencies
	.venv/bin/ruff format --check .
	.venv/bin/ruff check .
	.venv/bin/mypy
	.venv/bin/sqlfluff lint --processes 2 --disable-progress-bar dbt/models dbt/tests
	.venv/bin/python -m dagster_project.lib.project_check
	git ls-files -z | xargs -0 .venv/bin/detect-secrets-hook --exclude-secrets '$(EXAMPLES)'
	.venv/bin/python .ci/keys.py
	.venv/bin/python .ci/audit.py

bench: .venv/ready
	.venv/bin/python -m benchmarks

generate: .venv/ready  ## everything that is made from the source contract
	.venv/bin/python -m warehouse.contract.generate

lock:  ## no index address may be written: the package clients find their own
	.venv/bin/uv pip compile --quiet --no-header --no-annotate --extra development --python-version 3.11 pyproject.toml -o requirements.lock

.venv/ready: requirements.lock pyproject.toml
	@PYTHON="$(PYTHON)" sh .ci/setup

clean:
	rm -rf .venv dbt/target dbt/logs
