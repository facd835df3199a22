# `make demo` shows cutline at work, `make test` runs its tests; both set everything up by themselves.
PYTHON ?= python3
.DEFAULT_GOAL := help

help:
	@echo "make demo    draw scenes, learn to caption them, caption photos, write a report (minutes)"
	@echo "make test    run the tests"
	@echo "make bench   measure speed and memory side by side, half an hour; PEERS=1 with other captioners"
	@echo "make check   lint, types, import rules, notebook"
	@echo "make clean   remove the virtual environment and what the demo made"

demo: install
	scripts/demo

test: install
	scripts/test

bench: install
	PYTHON="$(PYTHON)" PEERS="$(PEERS)" scripts/bench $(BENCH)

check: install
	scripts/check

install:
	PYTHON="$(PYTHON)" scripts/install

lock:
	scripts/lock

clean:
	rm -rf .venv .venv-peers cutline-demo

.PHONY: help demo test bench check install lock clean
