# make study   everything that is needed, then JupyterLab at the first lesson
# make test    all tests that this machine can run
# make mutants how many mutants of the solutions the graders tell (tests/mutants)
# make docs    the catalogue of causes as a page, docs/causes.md
.PHONY: study test lint docs bench mutants clean
VENV := .venv
BIN := $(VENV)/bin
# Tests of several cases run side by side; most of their time is waiting for the cluster.
WORKERS ?= 3

study: $(VENV)/course
	@$(BIN)/kubeclass study

test: $(VENV)/tests
	@$(BIN)/python -m pytest -n $(WORKERS) --dist loadgroup --no-loadscope-reorder $(TESTS)

lint: $(VENV)/tests
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

docs: $(VENV)/tests
	@$(BIN)/python -m checker.causes_page

bench: $(VENV)/tests
	@for b in check live picture up; do echo "== $$b"; $(BIN)/python -m tests.bench.$$b || exit 1; done

# Every mutant of every lab's solution (LABS="07 08": of some) on the tests' cluster: how many each grader tells.
mutants: $(VENV)/tests
	@KUBECLASS_HOME="$${KUBECLASS_TEST_HOME:-$$HOME/.kubeclass-test}" KUBECLASS_CLUSTER=kubeclass-test \
	  $(BIN)/python -m tests.mutants.run $(LABS)

clean:
	rm -rf $(VENV) build *.egg-info .pytest_cache .mypy_cache .ruff_cache
	find . -name __pycache__ -prune -exec rm -rf {} +

# A virtual environment with the course in it, as the clone has it; again only when what it needs has changed.
$(VENV)/course: pyproject.toml | $(VENV)/bin/python
	@echo "Installing JupyterLab and the course into $(VENV) …"
	@$(call install,-e .)
	@touch $@

$(VENV)/tests: pyproject.toml | $(VENV)/bin/python
	@echo "Installing the course and its tests into $(VENV) …"
	@$(call install,-e .[test])
	@touch $@ $(VENV)/course

$(VENV)/bin/python:
	@if command -v uv >/dev/null; then uv venv --quiet --python ">=3.11" $(VENV); \
	else python3 -c 'import sys; sys.exit(sys.version_info < (3, 11) and "The course needs Python 3.11 or later; this is " + sys.version.split()[0])' \
	  && python3 -m venv $(VENV); fi

install = if command -v uv >/dev/null; then uv pip install --quiet --python $(BIN)/python $(1); \
	else $(BIN)/python -m pip install --quiet --disable-pip-version-check $(1); fi
