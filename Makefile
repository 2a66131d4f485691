# The two commands of a newcomer, `make demo` and `make test`, and those of a developer.
# They need Python 3.10 or later with venv, and `make demo` and `make dev` a C++ compiler.

PYTHON ?= python3
DEMO := .venv
DEV := .venv-dev
TOX := .venv-tox

# What the demo's installation is made from: a second run installs only what changed since.
INPUTS := Makefile setup.py build_ffi.py pyproject.toml $(shell find native_build ffi \
    src/headrace_llamacpp_ffi packages/core packages/backend-llamacpp \
    \( -name '*.py' -o -name '*.pyi' -o -name '*.toml' -o -name '*.h' -o -name '*.cpp' \) \
    -not -path '*/build/*')

.PHONY: help demo test dev page lint docs clean python

help:
	@echo "make demo    install into $(DEMO) and watch a model write text"
	@echo "make test    the tests that need no compiler"
	@echo "make dev     an editable installation with all tools in $(DEV)"
	@echo "make page    the server's chat page, with Node.js"
	@echo "make lint    style and types"
	@echo "make docs    the documentation site, into build/site"
	@echo "make clean   remove what these made (the cache of built libraries stays)"

demo: $(DEMO)/installed
	@$(DEMO)/bin/headrace demo

# The long part, llama.cpp, is built first and on its own, because pip hides a build's progress;
# the installation then finds the libraries in the cache.
$(DEMO)/installed: $(INPUTS) | python
	@echo "headrace: preparing $(DEMO)"
	@rm -rf build/lib* packages/*/build  # setuptools would pack modules that are gone
	@test -x $(DEMO)/bin/python || $(PYTHON) -m venv $(DEMO)
	@$(DEMO)/bin/python -m pip install --quiet --disable-pip-version-check "cmake>=3.25,<5" ninja
	@$(DEMO)/bin/python -m native_build
	@echo "headrace: installing headrace and its llama.cpp backend into $(DEMO)"
	@$(DEMO)/bin/python -m pip install --quiet --disable-pip-version-check \
	    . packages/core packages/backend-llamacpp
	@touch $@

test: $(TOX)/installed
	@$(TOX)/bin/tox run

lint: $(TOX)/installed
	@$(TOX)/bin/tox run -e lint,typing

docs: $(TOX)/installed
	@$(TOX)/bin/tox run -e docs
	@echo "headrace: the site is in build/site; to read and search it: $(PYTHON) -m http.server -d build/site"

$(TOX)/installed: | python
	@echo "headrace: preparing $(TOX)"
	@test -x $(TOX)/bin/python || $(PYTHON) -m venv $(TOX)
	@$(TOX)/bin/python -m pip install --quiet --disable-pip-version-check "tox>=4.20"
	@touch $@

# Editable, with the extension built in place: edits in Python are seen at once; after one in ffi/
# run `$(DEV)/bin/python build_ffi.py`.
dev: | python
	@test -x $(DEV)/bin/python || $(PYTHON) -m venv $(DEV)
	$(DEV)/bin/python -m pip install --quiet --disable-pip-version-check \
	    "setuptools>=77" "cffi>=2" "cmake>=3.25,<5" ninja \
	    pytest hypothesis hypothesis-jsonschema huggingface_hub "jsonschema[format-nongpl]" \
	    pytest-benchmark gguf "jinja2>=3.1.6" ruff mypy types-jsonschema types-setuptools tox httpx
	$(DEV)/bin/python -m native_build
	$(DEV)/bin/python -m pip install --disable-pip-version-check --no-build-isolation \
	    -e . -e packages/core -e packages/backend-fake -e packages/backend-llamacpp \
	    -e packages/backend-subprocess -e packages/server

page:
	cd packages/server/web && npm ci && npm run build

python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10) and "headrace needs Python 3.10 or later; this is " + sys.version.split()[0] + ". Name another: make PYTHON=python3.12 ...")'

clean:
	rm -rf $(DEMO) $(DEV) $(TOX) .tox build dist packages/*/build
	rm -rf .hypothesis .benchmarks .pytest_cache .mypy_cache .ruff_cache
	rm -rf src/headrace_llamacpp_ffi/lib src/headrace_llamacpp_ffi/licenses
	rm -f src/headrace_llamacpp_ffi/_ffi.*so src/headrace_llamacpp_ffi/_build_info.json
	find . -name __pycache__ -prune -exec rm -rf {} +
	find . -name '*.egg-info' -prune -exec rm -rf {} +
