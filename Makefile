# The commands of the course with make. All that they do is in start.py; "make help" lists them.
#
#   make lab    make test    make setup TORCH=cpu    make lab PORT=8889    make address REPO=owner/name
#   make notebooks LESSONS="notebooks/01_feature_extraction.ipynb notebooks/02_fine_tuning.ipynb"

PYTHON ?= $(shell command -v python3 || echo python)
START := $(PYTHON) start.py

.DEFAULT_GOAL := help
.PHONY: help setup lab test notebooks student studies slides readme address lint benchmark

help setup test readme lint benchmark:
	@$(START) $@

lab:
	@$(START) lab $(if $(PORT),--port=$(PORT))

notebooks student studies slides:
	@$(START) $@ $(LESSONS)

address:
	@$(START) address $(REPO)
