# Everything that a person or CI does. `make` alone lists it.

TOOLS := .tools
VENV := $(TOOLS)/venv
CARGO := cargo
FEATURES := --features local
.DEFAULT_GOAL := help
.PHONY: help run test fmt lint conformance lambda validate sam-build template bench clean

help: ## List the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 16

run: ## Build and serve on http://127.0.0.1:3000; prints Tenant URL and secret token
	$(CARGO) build --quiet --locked $(FEATURES) --bin rollcall
	exec target/debug/rollcall serve

test: ## Every test that needs nothing but Rust
	$(CARGO) test --locked $(FEATURES)

fmt: ## Format the code
	$(CARGO) fmt

lint: ## Formatting and clippy, warnings denied; the Lambda binary without the embedded engine
	$(CARGO) fmt --check
	$(CARGO) clippy --locked --all-targets $(FEATURES) -- -D warnings
	$(CARGO) clippy --locked --bin bootstrap -- -D warnings
	! $(CARGO) tree --locked --edges normal | grep -E 'dynoxide|clap|aws-config'

template: ## Renew the functions of template.yaml from the route table
	$(CARGO) run --quiet --locked $(FEATURES) --bin rollcall -- template

conformance: $(VENV)/done ## scim2-tester against rollcall serve
	$(CARGO) build --quiet --locked $(FEATURES) --bin rollcall
	$(VENV)/bin/python tests/conformance.py

lambda: $(VENV)/done build/lambda/bootstrap ## The Lambda binary under Amazon's runtime interface emulator
	$(CARGO) build --quiet --locked $(FEATURES) --bin rollcall
	$(VENV)/bin/python tests/lambda.py build/lambda/bootstrap

build/lambda/bootstrap: $(shell find src -type f) Cargo.toml Cargo.lock
	$(CARGO) build --locked --release --bin bootstrap
	mkdir -p build/lambda
	cp target/release/bootstrap build/lambda/bootstrap

validate: $(VENV)/done ## Check template.yaml
	for template in template.yaml infra/data.yaml infra/pipeline.yaml; do \
		SAM_CLI_TELEMETRY=0 $(VENV)/bin/sam validate --lint --region us-east-1 --template $$template || exit 1; done

sam-build: $(VENV)/done ## Build the functions for the cloud into .aws-sam
	rustup target add aarch64-unknown-linux-gnu
	PATH="$(CURDIR)/$(TOOLS)/bin:$(CURDIR)/$(VENV)/bin:$$PATH" SAM_CLI_TELEMETRY=0 sam build

bench: build/lambda/bootstrap ## Time the local endpoint at 100,000 users and members, and the start of the Lambda binary
	$(CARGO) build --locked --release $(FEATURES) --bin rollcall
	python3 tests/bench.py target/release/rollcall build/lambda/bootstrap
	python3 tests/bench_groups.py target/release/rollcall

# The Python tools, in the project's own folder.
$(VENV)/done: tests/requirements.txt
	python3 -m venv $(VENV)
	$(VENV)/bin/pip install --quiet --disable-pip-version-check -r tests/requirements.txt
	mkdir -p $(TOOLS)/bin
	printf '#!/bin/sh\nexec "%s" -m ziglang "$$@"\n' "$(CURDIR)/$(VENV)/bin/python" > $(TOOLS)/bin/zig
	chmod +x $(TOOLS)/bin/zig
	touch $@

clean: ## Remove what was built; the data of make run stays
	$(CARGO) clean
	rm -rf build .aws-sam
