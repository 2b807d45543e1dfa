# Thin on purpose: every target makes sure of .venv, then calls a Python tool. No make? README.md
# has the plain commands.
#   PYTHON=python3.12                       the Python that .venv is made from
#   CHAPTERS=vision/image-classification    for `make test`: only these chapters (the fast loop)
#   YOLO='--weights yolov5nu.pt'            for `make test-yolo`: options of tools/yolo.py

PYTHON ?= python3
CHAPTERS ?=
IN_VENV := .venv/bin/python
YOLO ?=

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help book serve check test test-yolo studies notebooks bench clean

help: ## list the targets
	@echo "Transfer Learning, Measured"
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1|\2/p' Makefile | awk -F'|' '{printf "%-18s %s\n", $$1, $$2}'
	@echo "The first of them makes .venv: 2 to 3 minutes and 6 GB."

.PHONY: venv venv-bench venv-yolo
venv:
	@$(PYTHON) tools/setup.py --extras book,language,test
venv-bench:
	@$(PYTHON) tools/setup.py --extras book,language,test,bench
# An environment of its own: ultralytics is under AGPL-3.0 and nothing else here uses it.
venv-yolo:
	@$(PYTHON) tools/setup.py --extras yolo --venv .venv-yolo

book: venv ## run the chapters and build the pages in _build/html
	@$(IN_VENV) tools/book.py build

serve: book ## build the pages and open them in a browser
	@$(IN_VENV) tools/serve.py

check: venv ## lint, types and unit tests: about a minute
	@$(IN_VENV) tools/test.py --check

test: venv ## everything, from an empty cache, with a table of what took how long
	@$(IN_VENV) tools/test.py $(CHAPTERS)

test-yolo: venv-yolo ## train YOLOv5u of ultralytics (AGPL-3.0) in .venv-yolo, beside our detector
	@.venv-yolo/bin/python tools/yolo.py $(YOLO)

studies: venv ## record the studies again whose config, code or assets changed
	@$(IN_VENV) tools/studies.py run

notebooks: venv ## write the generated notebooks and the public address
	@$(IN_VENV) tools/stamp.py
	@$(IN_VENV) tools/book.py notebooks

bench: venv-bench ## measure speed and memory against other libraries
	@$(IN_VENV) benchmarks/run.py

.DEFAULT:
	@echo "make: there is no target '$@'; 'make' alone lists them" >&2; exit 2

clean: ## remove everything that make made, .venv included
	rm -rf .venv .venv-yolo .venv.lock _build .bench build
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
	rm -rf .pytest_cache .mypy_cache .ruff_cache .coverage *.egg-info
