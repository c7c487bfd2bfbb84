# The commands of the course. They need Python 3.11 or newer, make, and a network for the first set-up.
#
#   make lab         set up, then open JupyterLab on the first lesson
#   make test        set up, then every check and test, the lessons included
#   make setup       set up only: .venv with everything pinned in requirements.txt
#   make notebooks   run the lessons in the profile laptop and store their outputs
#   make student     write the edition without solutions into student/
#   make readme      regenerate the tables and the picture of README.md and data/README.md
#   make address REPO=owner/name    set the GitHub address that the Colab links point to

SHELL := /bin/sh
UV_VERSION := 0.13.8
DISK_NEEDED_GB := 8
PY := .venv/bin/python
STAMP := .venv/set-up-complete
LESSONS ?= $(sort $(wildcard notebooks/[0-9][0-9]_*.ipynb))
HYGIENE := tests/notebooks/test_files_of_lessons.py tests/course/test_pins.py
PORT ?= 8888

.DEFAULT_GOAL := help
.PHONY: help setup lab test notebooks student readme address lint
.DELETE_ON_ERROR:

help:
	@sed -n 's/^#   //p' Makefile

setup: $(STAMP)

# Nothing is done when neither list of packages changed since the last complete set-up.
$(STAMP): requirements.txt pyproject.toml
	@python=; for p in $${PYTHON:-python3 python3.14 python3.13 python3.12 python3.11 python}; do \
	  if $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then python=$$p; break; fi; done; \
	if [ -z "$$python" ]; then \
	  echo "make setup: no Python 3.11 or newer was found. Install one, or name it: PYTHON=/path/to/python make setup" >&2; exit 1; fi; \
	if ! $$python -c 'import ensurepip, venv' >/dev/null 2>&1; then \
	  echo "make setup: $$python has no venv module. On Debian and Ubuntu: sudo apt install python3-venv" >&2; exit 1; fi; \
	free=$$(df -Pk . | awk 'NR == 2 {print $$4}'); used=$$(du -sk .venv 2>/dev/null | awk '{print $$1}'); \
	if [ $$(( free + $${used:-0} )) -lt $$(( $(DISK_NEEDED_GB) * 1000000 )) ]; then \
	  echo "make setup: about $(DISK_NEEDED_GB) GB must be free in $$(pwd) for the environment; there are $$(( free / 1000000 )) GB." >&2; exit 1; fi; \
	echo "Setting up .venv with $$($$python --version): a few minutes the first time."; \
	$$python -m venv --clear .venv || { echo "make setup: $$python could not make .venv here." >&2; exit 1; }
	@$(PY) -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION) \
	  && $(PY) -m uv pip install --quiet --python $(PY) -r requirements.txt \
	  && $(PY) -m uv pip install --quiet --python $(PY) --no-deps --editable . \
	  || { echo "make setup: the packages could not be installed (see above). Check the network, then: make setup" >&2; exit 1; }
	@$(PY) -m transfer_utils fetch
	@$(PY) -m transfer_utils doctor
	@touch $(STAMP)

lab: setup
	@allow_root=; if [ "$$(id -u)" = 0 ]; then allow_root=--allow-root; fi; \
	$(PY) -m jupyterlab --ip=127.0.0.1 --port=$(PORT) $$allow_root --ServerApp.root_dir="$(CURDIR)" \
	  --LabApp.default_url=/lab/tree/notebooks/00_start_here.ipynb

lint: setup
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m codespell_lib README.md CONTRIBUTING.md Makefile data tests transfer_utils notebooks

# The checks in the order in which a failure is cheapest. The tests keep their caches and their
# ledger in a temporary folder. Two workers on two cores: one thread each is faster than two.
test: lint
	@scratch=$$(mktemp -d) && trap 'rm -rf "$$scratch"' EXIT && \
	export OMP_NUM_THREADS=1 TRANSFER_CACHE="$$scratch/cache" TRANSFER_LEDGER="$$scratch/ledger.csv" && \
	unset TRANSFER_PROFILE COURSE_STATIC && \
	echo "1 of 3: the notebooks as files, the lists of packages" && \
	$(PY) -m pytest $(HYGIENE) --junitxml="$$scratch/1.xml" && \
	echo "2 of 3: unit tests" && \
	$(PY) -m pytest tests -n 2 $(HYGIENE:%=--ignore=%) --durations=5 --junitxml="$$scratch/2.xml" && \
	echo "3 of 3: the lessons and their solutions in the profile tiny" && \
	TRANSFER_PROFILE=tiny $(PY) -m pytest --nbval-lax -n 2 --dist loadfile --nbval-cell-timeout 300 \
	  --nbval-current-env --durations=5 --junitxml="$$scratch/3.xml" notebooks && \
	$(PY) tests/totals.py "$$scratch"/?.xml

# Each lesson runs in a cache that starts empty, so that the seconds it prints are true. Afterwards the
# picture and the tables of the README are made again from what was measured.
notebooks: setup
	$(PY) -m transfer_utils execute $(LESSONS)
	$(PY) -m transfer_utils readme

student: setup
	$(PY) -m transfer_utils student $(LESSONS) student

readme: setup
	$(PY) -m transfer_utils readme
	$(PY) -m transfer_utils sources

address: setup
	@if [ -z "$(REPO)" ]; then echo "make address: say which, for example: make address REPO=owner/name" >&2; exit 1; fi
	$(PY) -m transfer_utils address "$(REPO)"
