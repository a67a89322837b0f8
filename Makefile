# Two commands are all a newcomer needs: `make run` and `make test`.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

export CARGO_TERM_COLOR ?= auto
CARGO_FEATURES := --features toancanh/custom-protocol,desk/ts
UI_SOURCES := $(shell find ui assets -type f -not -path '*/node_modules/*' -not -path 'ui/dist/*' 2>/dev/null)

.PHONY: help run build test fuzz bench lint typescript data-standard dist tools system-run system-test clean

help:
	@echo 'make run     builds and opens Toàn Cảnh (without a display: a picture in target/toancanh.png)'
	@echo 'make test    all tests; FULL=1 adds the foreign tools'
	@echo 'make fuzz    the parsers on made-up bytes, with nightly Rust and cargo-fuzz; TARGET=cql2 for one, SECONDS=20 for each'
	@echo 'make build   the UI, toancanh and toancanhctl in release'
	@echo 'make bench   ours beside its peers; JOB=ingest|queries|tiles|overlay|agree|memory for one, QUICK=1 for a short look'
	@echo 'make dist    a .deb, fully optimised (slow to build)'

## Building ---------------------------------------------------------------

tools:
	@.ci/need-tools

system-run: tools
	@.ci/system-packages run

system-test:
	@.ci/need-tools test
	@.ci/system-packages run test

ui/node_modules/.installed: ui/package-lock.json
	@echo '── npm packages'
	@cd ui && npm ci --no-fund --no-audit --loglevel=error
	@touch $@

ui/dist/index.html: ui/node_modules/.installed $(UI_SOURCES)
	@echo '── the window (Vite)'
	@cd ui && npm run --silent build
	@touch $@

build: system-run ui/dist/index.html
	@echo '── the program (Rust, release; the first time takes some minutes)'
	@cargo build --release --locked -p toancanh -p toancanhctl --features toancanh/custom-protocol

run: build
	@.ci/open target/release/toancanh

dist: system-run ui/dist/index.html
	@npm exec --yes --package=@tauri-apps/cli@2.12.5 -- tauri build --bundles deb -- --locked --profile dist

## Testing ----------------------------------------------------------------

# The shapes that cross the bridge, from the Rust they are defined in.
typescript:
	@cargo run --quiet --locked -p desk --features ts --example typescript -- ui/src/bridge/generated

# The readable tables of maps/schema.
data-standard:
	@cargo run --quiet --locked -p model --example data_standard -- docs

lint: ui/dist/index.html
	@echo '── format, lints, types'
	@cargo fmt --all --check
	@cargo clippy --quiet --locked --workspace --all-targets $(CARGO_FEATURES) -- -D warnings
	@cd ui && npm run --silent check && npm run --silent lint

# Rust last, so that the output ends with the runner's own closing lines.
test: system-test ui/dist/index.html lint
	@echo '── tests of the window'
	@cd ui && npm test --silent
	@if [ -n "$(FULL)" ]; then .ci/foreign-tools; .ci/fuzz briefly; fi
	@echo '── tests of the program'
	@cargo build --locked --workspace $(CARGO_FEATURES)
	@.ci/test-rust $(if $(FULL),full) $(CARGO_FEATURES)

fuzz: tools
	@.ci/fuzz '$(or $(SECONDS),20)' $(TARGET)

## Measuring --------------------------------------------------------------

# A peer that cannot be installed is named in the table, so a missing package does not end it.
bench: tools
	@.ci/system-packages bench || true
	@python3 tests/bench/run.py $(if $(JOB),--job $(JOB)) $(if $(QUICK),--quick) $(if $(FULL),--full)

clean:
	@rm -rf target ui/dist ui/node_modules
