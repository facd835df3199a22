# `make demo` shows cutline at work, `make test` runs its tests; both set everything up by themselves.
PYTHON ?= python3
.DEFAULT_GOAL := help

help:
	@echo "make demo    draw scenes, learn to caption them, write a report (minutes)"
	@echo "make test    run the tests"
	@echo "make check   lint, types, import rules, notebook"
	@echo "make clean   remove the virtual environment and what the demo made"

demo: install
	scripts/demo

test: install
	scripts/test

check: install
	scripts/check

install:
	PYTHON="$(PYTHON)" scripts/install

lock:
	scripts/lock

clean:
	rm -rf .venv cutline-demo

.PHONY: help demo test check install lock clean
