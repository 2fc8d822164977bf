# `make` alone says what there is.
.DEFAULT_GOAL := help
.PHONY: help study test smoke package prove gate lint faults machines browser screenshots mutants bench bench-scale words docs site fuzz soak hub clean
VENV := .venv
BIN := $(VENV)/bin
# Cases that run side by side on the cluster; most of their time is waiting for it.
WORKERS ?= 3

help:
	@echo "make study     everything that is needed, then JupyterLab at the first lesson"
	@echo "make test      lint, types, unit tests, every recording judged again: no engine, no cluster"
	@echo
	@echo "make smoke     the wheel, one real cluster from nothing, and a handful of cases on it"
	@echo "make package   the wheel and the sdist, and the wheel tried with no clone near (PYTHONS=\"3.12 3.13\"; CLUSTER=1: on a cluster, too)"
	@echo "make prove     produce on the real cluster what is stale, and record it (LAB=07 CASE=typo LESSON=07 EXPLAIN=1 FAILED=1 ALL=1 TIMES=5)"
	@echo "               EXPLAIN=random N=60: healthy namespaces broken at random (SEED=26 CASE=host-slip)"
	@echo "make gate      .ci/run (test and smoke) on a fresh clone of HEAD: what is to land must pass it. Stops the engine first"
	@echo "make lint      ruff and mypy"
	@echo "make faults    the API server killed, nodes paused, up stopped half-way, and the like"
	@echo "make machines  up on a machine that reaches a registry, with its Docker and the newest, with Podman 4 and 5, and from a bundle (as root)"
	@echo "make hub       JupyterHub for a class on the tests' cluster, and two learners in Chromium"
	@echo "make browser   the panel and the picture in Chromium"
	@echo "make screenshots   the README's pictures, from the running course"
	@echo "make mutants   which mutants of the solutions the graders kill (LABS=\"07 08\" for some, ALL=1, FAILED=1)"
	@echo "make fuzz      files, States and answers made at random, more than make test tries (N=1000 of each)"
	@echo "make soak      lessons and labs for hours, in random order: what is left behind, and what grows? (HOURS=2 SEED=7)"
	@echo "make bench     measure, and put the figures into the README"
	@echo "make bench-scale   measure a class of 500 on a control plane without nodes, and put the figures into docs/scale.md"
	@echo "make words     after a message was reworded: the new words into the recordings; no cluster"
	@echo "make docs      docs/causes.md, the page of all causes and of the labs' own; and docs/proof.md from docs/proof.json"
	@echo "make site      the lessons and docs/ as a static site, in build/site/html; every link is checked"
	@echo "make clean     delete the virtual environment and caches"

study: $(VENV)/course
	@$(BIN)/kubeclass study

# Unit tests use every core; what needs the cluster is left to the others.
test: lint
	@$(BIN)/python -m pytest -q -n auto tests/unit
	@$(BIN)/python -m tests.not_run

smoke: $(VENV)/tests
	@$(BIN)/python -m tests.smoke

package: $(VENV)/tests
	@$(if $(PYTHONS),PYTHONS="$(PYTHONS)") $(BIN)/python -m tests.package $(if $(CLUSTER),--cluster)

prove: $(VENV)/tests
ifeq ($(EXPLAIN),random)
	@KUBECLASS_HOME="$${KUBECLASS_TEST_HOME:-$$HOME/.kubeclass-test}" KUBECLASS_CLUSTER=kubeclass-test \
	  $(BIN)/python -m tests.breakages.run --number $(or $(N),60) --seed $(or $(SEED),26) --workers $(WORKERS) $(if $(CASE),--only $(CASE)) $(if $(FAILED),--failed) $(if $(NEW),--new)
else
	@$(BIN)/python -m tests.proof --workers $(WORKERS) --times $(or $(TIMES),1) $(if $(LAB),--lab $(LAB)) \
	  $(if $(LESSON),--lesson $(LESSON)) $(if $(CASE),--case $(CASE)) $(if $(EXPLAIN),--explain) $(if $(FAILED),--failed) $(if $(ALL),--all)
endif

gate: $(VENV)/tests
	@$(BIN)/python -m tests.gate

lint: $(VENV)/tests
	@$(BIN)/ruff check --quiet . && $(BIN)/ruff format --check --quiet . && $(BIN)/python -m tests.type_check

faults: $(VENV)/tests
	@$(BIN)/python -m pytest -n $(WORKERS) --dist loadgroup --no-loadscope-reorder tests/faults tests/live tests/class tests/policies tests/labs/test_clear.py tests/labs/test_capstone.py

machines: $(VENV)/tests
	@$(BIN)/python -m pytest -s tests/machines

# The image of a learner's server, the hub and its proxy are built here. KUBECLASS_KEEP=1 leaves all on the cluster.
hub: $(VENV)/tests
	@$(BIN)/python -m pytest -s tests/hub

browser: $(VENV)/tests
	@$(BIN)/python -m pytest tests/browser

screenshots: $(VENV)/tests
	@$(BIN)/python -m pytest -q --record tests/browser/test_screenshots.py

# Mutants of the labs' solutions on the tests' cluster: which of them each grader kills. Ctrl-C stops it; it goes on later.
mutants: $(VENV)/tests
	@$(BIN)/python -m tests.mutants.run $(LABS) $(if $(ALL),--all) $(if $(FAILED),--failed)

fuzz: $(VENV)/tests
	@KUBECLASS_FUZZ=$(or $(N),1000) $(BIN)/python -m pytest -q -n auto tests/unit/fuzz

# What it has seen is in build/soak.
soak: $(VENV)/tests
	@$(BIN)/python -m tests.soak --hours $(or $(HOURS),2) $(if $(SEED),--seed $(SEED))

bench: $(VENV)/tests
	@for b in explain check live picture observer up; do echo "== $$b"; $(BIN)/python -m tests.bench.$$b || exit 1; done

# Ten minutes; no kind cluster.
bench-scale: $(VENV)/tests
	@$(BIN)/python -m tests.bench.scale $(if $(COURSE),--course $(COURSE),--page)

words: $(VENV)/tests
	@$(BIN)/python -m tests.proof.words $(if $(SINCE),--since $(SINCE))

docs: $(VENV)/tests
	@$(BIN)/python -m checker.ui.causes_page
	@$(BIN)/python -m tests.proof.table

site: $(VENV)/site/made
	@$(VENV)/site/bin/python -m docs.site

clean:
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache
	find . -name __pycache__ -prune -exec rm -rf {} +

# A virtual environment with the course in it, as the clone has it; again only when what it needs has changed.
$(VENV)/course: pyproject.toml | $(VENV)/bin/python
	@echo "Installing JupyterLab and the course into $(VENV). This takes about a minute …"
	@$(call install,-e .)
	@touch $@

$(VENV)/tests: pyproject.toml | $(VENV)/bin/python
	@echo "Installing the course and its tests into $(VENV) …"
	@$(call install,-e .[test])
	@touch $@ $(VENV)/course

# What makes the site has a virtual environment of its own: tests and learners do not need it.
$(VENV)/site/made: pyproject.toml | $(VENV)/bin/python
	@echo "Installing Sphinx into $(VENV)/site …"
	@$(BIN)/python -m venv --without-pip $(VENV)/site
	@$(call install,-e .[site],$(VENV)/site)
	@touch $@

$(VENV)/bin/python:
	@echo "Making the virtual environment $(VENV) …"
	@if command -v uv >/dev/null; then uv venv --quiet --python ">=3.11" $(VENV); \
	else python3 -c 'import sys; sys.exit(sys.version_info < (3, 11) and "The course needs Python 3.11 or later; this is " + sys.version.split()[0])' \
	  && python3 -m venv $(VENV); fi

# Without uv, pip brings it: it installs the rest in a tenth of pip's time.
install = export PATH="$(CURDIR)/$(BIN):$$PATH"; command -v uv >/dev/null || python -m pip install --quiet --disable-pip-version-check uv; \
	uv pip install --quiet --python $(or $(2),$(VENV))/bin/python $(1)
