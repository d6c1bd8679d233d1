# Everything a developer or CI does. Each target installs what it needs into .venv of this checkout, from the
# pinned and hashed files of requirements/, and skips that while the stamp is newer than those files.
#
#   make PYTHON=/path/to/python3.11 test     another interpreter
#   make test ARGS="-k rollback"             further arguments for pytest (also for test-fast, full, coverage, crash, benchmark, benchmark-compare)
#   make lock LOCK=--upgrade                 newer pins

ifndef PYTHON
PYTHON := $(shell command -v python3.11 || command -v python3)
endif

VENV := .venv
INTERPRETER := $(VENV)/bin/python
INSTALL := $(INTERPRETER) -m pip install --quiet --disable-pip-version-check --no-input
# The files name every package that is needed, so nothing is resolved anew: a release that came since cannot get in the way.
INSTALL_PINNED := $(INSTALL) --no-deps --require-hashes --only-binary :all: -r
PYTEST := $(INTERPRETER) -m pytest -n auto --dist worksteal
# Stories of deaths on each of the three stores, in the full run.
CRASH_RUNS := 400
COVERAGE := --cov --cov-report=term-missing

# Scripts and tests call `cicsc` by its name.
export PATH := $(CURDIR)/$(VENV)/bin:$(PATH)
# Tests start thousands of processes. Where nothing may be kept of what Python compiles, each compiles this package anew, in twice the time.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help demo test test-fast full coverage check format-check lint types layers dependencies docs fix crash benchmark \
	benchmark-compare mutation writers lock clean

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' Makefile | expand -t 20

demo: $(VENV)/package.stamp ## migrate the example history, from preflight to rollback
	sh examples/purchase_orders/run.sh

test: $(VENV)/package.stamp $(VENV)/test.stamp ## what CI runs of the tests; with CI set, also the branch coverage of the core
	$(PYTEST) $(if $(CI),$(COVERAGE)) $(ARGS)

test-fast: $(VENV)/package.stamp $(VENV)/test.stamp ## some tests of everything, in about two minutes
	$(PYTEST) -m "not slow" $(ARGS)

full: $(VENV)/package.stamp $(VENV)/test.stamp ## every test, also what repeats what CI shows, with every example and every death; takes some hours
	CICSC_FULL=1 CICSC_CRASH_RUNS=$(CRASH_RUNS) $(PYTEST) $(ARGS)

coverage: $(VENV)/package.stamp $(VENV)/test.stamp ## the tests of `make test`, with the branch coverage of the core
	$(PYTEST) $(COVERAGE) $(ARGS)

check: format-check lint types layers dependencies docs ## all that is checked beside the tests

format-check: $(VENV)/check.stamp
	$(INTERPRETER) -m ruff format --check --diff .

lint: $(VENV)/check.stamp
	$(INTERPRETER) -m ruff check .

types: $(VENV)/package.stamp $(VENV)/test.stamp $(VENV)/check.stamp
	$(INTERPRETER) -m mypy

layers: $(VENV)/package.stamp $(VENV)/check.stamp
	$(VENV)/bin/lint-imports --no-cache

dependencies: $(VENV)/package.stamp $(VENV)/check.stamp
	$(INTERPRETER) -m deptry .

docs: $(VENV)/package.stamp $(VENV)/test.stamp
	$(INTERPRETER) -m pytest --quiet tests/docs

fix: $(VENV)/check.stamp ## format, and mend what the linter can mend
	$(INTERPRETER) -m ruff check --fix .
	$(INTERPRETER) -m ruff format .

crash: $(VENV)/package.stamp $(VENV)/test.stamp ## kill changes of live tenants more than a thousand times, and fail every call
	CICSC_CRASH_RUNS=$(CRASH_RUNS) $(PYTEST) tests/crash $(ARGS)

benchmark: $(VENV)/package.stamp $(VENV)/test.stamp $(VENV)/benchmark.stamp ## the numbers of the docs; ARGS="--growth 10000000" for all of them
	$(INTERPRETER) benchmarks/run.py $(ARGS)

benchmark-compare: $(VENV)/package.stamp ## two commits against each other: BASE=revision, HEAD=revision or else this checkout
	@test -n "$(BASE)" || { echo "name a commit: make benchmark-compare BASE=main" >&2; exit 1; }
	$(INTERPRETER) benchmarks/compare.py "$(BASE)" $(if $(HEAD),"$(HEAD)") $(ARGS)

mutation: $(VENV)/package.stamp $(VENV)/mutation.stamp ## mutants of the expressions and migrations that no test notices
	$(VENV)/bin/mutmut run $(ARGS)
	$(VENV)/bin/mutmut results

writers: $(VENV)/package.stamp $(VENV)/test.stamp ## 32 writers against 200 cutovers and 50 rollbacks on each kind of store, with the figures
	CICSC_WRITERS=full $(INTERPRETER) -m pytest --capture=no tests/concurrency/test_writers.py $(ARGS)

# The order matters: each file takes over the pins of the one before it, so that all can live in one environment.
lock: $(VENV)/lock.stamp ## pin the dependencies of pyproject.toml again
	$(COMPILE) -o requirements/runtime.txt pyproject.toml --group build
	$(COMPILE) -o requirements/test.txt pyproject.toml --all-extras --group build --group test -c requirements/runtime.txt
	$(COMPILE) -o requirements/sdist.txt --group sdist -c requirements/test.txt
	$(COMPILE) -o requirements/check.txt --group check -c requirements/test.txt
	$(COMPILE) -o requirements/mutation.txt --group mutation -c requirements/test.txt
	$(COMPILE) -o requirements/benchmark.txt --group benchmark -c requirements/test.txt
	$(COMPILE) -o requirements/lock.txt --group lock

lock: COMPILE = $(INTERPRETER) -m uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-header --no-annotate --no-emit-index-url --no-emit-find-links $(LOCK)

clean: ## remove the environment and everything that the tools left
	rm -rf $(VENV) src/cicsc/history/_native.* build dist htmlcov mutants .coverage .coverage.* .hypothesis .mypy_cache .ruff_cache .pytest_cache

# ---------------------------------------------------------------------------------------------- set-up

$(VENV)/python.stamp:
	@test -n "$(PYTHON)" || { echo "no python3.11 and no python3 on PATH; name one: make PYTHON=/path/to/python3.11" >&2; exit 1; }
	@"$(PYTHON)" -c 'import platform, sys; found = platform.python_implementation() + " " + platform.python_version(); \
		sys.exit(0 if found.startswith("CPython 3.11.") else "CPython 3.11 is needed, " + sys.executable + " is " + found + "; name one: make PYTHON=/path/to/python3.11")'
	"$(PYTHON)" -m venv --clear $(VENV)
	@touch $@

$(VENV)/runtime.stamp: requirements/runtime.txt $(VENV)/python.stamp
	$(INSTALL_PINNED) $<
	@touch $@

$(VENV)/package.stamp: pyproject.toml hatch_build.py $(wildcard native/*) $(VENV)/runtime.stamp
	$(INSTALL) --no-deps --no-build-isolation --editable .
	@touch $@

# Building pyspark copies files into a wheel, with the pinned tool and nothing that is fetched meanwhile.
$(VENV)/test.stamp: requirements/test.txt $(VENV)/sdist.stamp
	$(INSTALL_PINNED) $< --no-binary pyspark --no-build-isolation
	@touch $@

$(VENV)/%.stamp: requirements/%.txt $(VENV)/python.stamp
	$(INSTALL_PINNED) $<
	@touch $@
