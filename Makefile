# `make run` builds the site from the model that comes with the project and serves it; `make test` checks everything.
# Both install what they need into .venv, node_modules and .cache, and nothing elsewhere (but see `chromium`).

PYTHON ?= python3
CHROMIUM ?= $(firstword $(wildcard /usr/bin/chromium /usr/bin/chromium-browser /usr/bin/google-chrome-stable))
VENV := .venv
BIN := $(VENV)/bin
LAVAPIPE := .cache/lavapipe/env
PORT ?= 8080

.DEFAULT_GOAL := help
.PHONY: help run site test check test-js test-py test-dawn test-browser chromium clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: site ## build the site from the project's own model and serve it on this machine
	$(BIN)/python serve.py --site dist --port $(PORT)

site: $(VENV)/.run ## build dist/ from the project's own model
	$(BIN)/python build.py site mini --out dist

test: check ## check and test everything: Python, JavaScript, kernels, browser
	$(MAKE) --no-print-directory --jobs=2 --output-sync=target test-js test-py
	$(MAKE) --no-print-directory test-dawn
	$(MAKE) --no-print-directory test-browser

check: $(VENV)/.test node_modules/.package-lock.json ## ruff, mypy, tsc
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	npx --no-install tsc -p .

test-js: node_modules/.package-lock.json $(LAVAPIPE) ## node --test: pure JavaScript, and kernels on Dawn
	. ./$(LAVAPIPE) && node --test --test-concurrency=2 tests/js/

test-py: $(VENV)/.test node_modules/.package-lock.json ## pytest: packager, server, command lines
	$(BIN)/pytest tests/py -n 2 --dist loadfile

test-dawn: $(VENV)/.test node_modules/.package-lock.json $(LAVAPIPE) ## pytest: the page's pipeline on Node's WebGPU
	$(BIN)/pytest tests/dawn

test-browser: $(VENV)/.test chromium ## pytest: the page in headless Chromium, two files at a time: they wait a lot
	$(BIN)/pytest tests/browser -n 2 --dist loadfile

chromium:
	@command -v "$${CHROMIUM:-$(or $(CHROMIUM),chromium)}" >/dev/null || { \
	  echo "installing Chromium (Debian package chromium)"; \
	  apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium >/dev/null; }
	@command -v Xvfb >/dev/null || { \
	  echo "installing a virtual screen for the kiosk's test (Debian package xvfb)"; \
	  apt-get update -qq && apt-get install -y -qq --no-install-recommends xvfb >/dev/null; }

$(VENV)/.run: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check -e .
	touch $@

$(VENV)/.test: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check -e '.[test]'
	touch $@ $(VENV)/.run

node_modules/.package-lock.json: package.json package-lock.json
	npm ci --silent --no-audit --no-fund --ignore-scripts
	touch $@

$(LAVAPIPE): tests/tools/lavapipe.sh
	bash tests/tools/lavapipe.sh

clean: ## remove everything that was built or installed here
	rm -rf $(VENV) node_modules .cache dist *.egg-info .mypy_cache .ruff_cache .pytest_cache
