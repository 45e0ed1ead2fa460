# Everything that a person or CI does. `make` alone lists it.

# What is built is looked for in `target`.
unexport CARGO_TARGET_DIR

TOOLS := .tools
VENV := $(TOOLS)/venv
CARGO := cargo
FEATURES := --features local
E2E := $(TOOLS)/e2e
NODE := $(TOOLS)/node
STACK := rollcall
# The prefix of the tables: another one after a restore.
TABLES := $(STACK)
ROUTE := users.get
# How long each parser is fuzzed, and from which seed; one of the past repeats its run.
FUZZ_SECONDS := 60
FUZZ_SEED := $(shell date +%s)
# A bucket for what is uploaded, the role that CloudFormation takes, and the policy that bounds every role of the
# application, where a pipeline names them.
UPLOADS :=
STACK_ROLE :=
BOUNDARY :=
# What `make canary` runs next to this tree: the last commit before every item had a format.
OLD := 1440d801c4
# No environment of samconfig.toml: that is for people who type `sam deploy`.
SAM_DEPLOY = --config-env none $(if $(UPLOADS),--s3-bucket $(UPLOADS),--resolve-s3) $(if $(STACK_ROLE),--role-arn $(STACK_ROLE))
HOST_ARCH := $(subst aarch64,arm64,$(shell uname -m))
HOST_TARGET = $(shell rustc -vV | sed -n 's/^host: //p')
SOURCES := $(shell find src -type f) Cargo.toml Cargo.lock Makefile build.rs
# Zig as the linker for either architecture, and no path of this machine in what is built.
REMAP = --remap-path-prefix=$(CURDIR)=/rollcall --remap-path-prefix=$${CARGO_HOME:-$$HOME/.cargo}=/cargo
ZIG = rustup target add aarch64-unknown-linux-gnu x86_64-unknown-linux-gnu > /dev/null 2>&1; \
	env SAM_CLI_TELEMETRY=0 SOURCE_DATE_EPOCH=0 PATH="$(CURDIR)/$(TOOLS)/bin:$(CURDIR)/$(VENV)/bin:$$PATH"
CROSS = $(ZIG) RUSTFLAGS="$(REMAP)"
# The allocator's search of the environment for settings took a thirteenth of a start (ADR 0072).
LAMBDA = $(ZIG) CFLAGS=-DMI_NO_GETENV RUSTFLAGS="$(REMAP)"
.DEFAULT_GOAL := help
.PHONY: help run watch install check-install test fuzz interleavings check names docs fmt lint template openapi lint-openapi clients postman reference recording schemathesis conformance pages browser consumers lambda build release check-release iac image e2e-package cold-start validate rules deny advisories sam-build deploy deploy-built \
	e2e e2e-policies e2e-bus restore-rehearsal tenant-data local-invoke local-api bench bench-peers instructions profile soak takeover canary costs requirements clean

help: ## List the targets
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 16

run: ## Build and serve on http://127.0.0.1:3000; prints Tenant URL and secret token
	$(CARGO) build --locked $(FEATURES) --bin rollcall
	exec target/debug/rollcall serve

watch: ## As make run, and again after each change of the source; the data stays
	python3 infra/watch.py

install: ## Install the command rollcall, and nothing else, into cargo's folder of binaries
	$(CARGO) install --locked --profile cli --path . $(FEATURES) --bin rollcall

check-install: ## cargo install, as the pages write it, installs rollcall alone; of what the tests have built
	python3 tests/house/install.py

test: ## Every test that needs nothing but Rust
	$(CARGO) test --locked $(FEATURES)

fuzz: ## Mutated bytes for each parser, FUZZ_SECONDS each: no panic, no hang
	FUZZ_SECONDS=$(FUZZ_SECONDS) FUZZ_SEED=$(FUZZ_SEED) $(CARGO) test --locked $(FEATURES) --test rollcall -- fuzz:: --nocapture --test-threads=2

# Optimised a little, in a folder of its own: a schedule is some milliseconds of work, and there are thousands.
interleavings: ## Every order of two changes of one group, large ones too: an hour; of three, and of who takes over, up to a bound
	CARGO_PROFILE_DEV_OPT_LEVEL=1 ROLLCALL_PAIR_RUNS=100000 ROLLCALL_BATCH_RUNS=100000 ROLLCALL_TAKEOVER_RUNS=100 ROLLCALL_TRIPLE_RUNS=500 \
		$(CARGO) test --locked $(FEATURES),small-transactions --target-dir target/interleavings --test interleavings -- --nocapture --test-threads=2

check: lint names docs test ## What a change must pass

names: $(VENV)/done ## Spelling, retired names, type names that stand for two things, counts in pages, files that nothing here runs
	python3 tests/house/names.py
	python3 tests/house/counts.py
	python3 tests/house/errors.py
	$(VENV)/bin/python tests/house/files.py
	$(VENV)/bin/typos

docs: $(VENV)/done $(TOOLS)/bin/mdbook ## The book in build/book, links of every page, and the documentation of the code
	$(VENV)/bin/lychee --offline --include-fragments --no-progress '*.md' 'docs/**/*.md' 'infra/*.md' '.github/**/*.md'
	$(TOOLS)/bin/mdbook build docs
	$(VENV)/bin/lychee --offline --include-fragments --no-progress --root-dir $(CURDIR)/build/book 'build/book/**/*.html'
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --locked --no-deps --lib $(FEATURES)

fmt: ## Format the code
	$(CARGO) fmt

lint: ## Formatting and clippy, warnings denied; the Lambda binary without the embedded engine
	$(CARGO) fmt --check
	$(CARGO) clippy --locked --all-targets $(FEATURES) -- -D warnings
	$(CARGO) clippy --locked --bin bootstrap -- -D warnings
	! $(CARGO) tree --locked --edges normal | grep -E 'dynoxide|clap|aws-config|prometheus'

template: ## Regenerate the functions of template.yaml from the route table
	$(CARGO) run --quiet --locked $(FEATURES) --bin rollcall -- template

openapi: ## Regenerate openapi.json from the route table and the schemas
	$(CARGO) build --quiet --locked $(FEATURES) --bin rollcall
	target/debug/rollcall openapi > openapi.json

recording: ## Record rollcall demo as docs/src/tutorial/demo.svg
	$(CARGO) build --quiet --locked $(FEATURES) --bin rollcall
	python3 docs/recording.py

reference: ## Regenerate the reference pages that are generated from the code
	$(CARGO) run --quiet --locked $(FEATURES) --bin rollcall -- reference

lint-openapi: $(NODE)/done ## Redocly and Spectral on openapi.json, warnings denied (needs Node)
	$(NODE)/node_modules/.bin/redocly lint --config tests/openapi/redocly.yaml openapi.json
	$(NODE)/node_modules/.bin/spectral lint --ruleset tests/openapi/spectral.yaml --fail-severity warn openapi.json

clients: $(VENV)/done $(NODE)/done ## Generate a TypeScript and a Python client, and use both against rollcall serve (needs Node)
	$(CARGO) build --quiet --locked $(FEATURES) --bin rollcall
	$(VENV)/bin/python tests/openapi/clients.py target/debug/rollcall

postman: $(NODE)/done ## A Postman collection of openapi.json in build/postman.json, used against rollcall serve (needs Node)
	$(CARGO) build --quiet --locked $(FEATURES) --bin rollcall
	python3 tests/openapi/postman.py target/debug/rollcall build/postman.json

schemathesis: $(VENV)/done ## Schemathesis with openapi.json against rollcall serve
	$(CARGO) build --quiet --locked $(FEATURES) --bin rollcall
	$(VENV)/bin/python tests/schemathesis/run.py

conformance: $(VENV)/done ## scim2-tester against rollcall serve
	$(CARGO) build --quiet --locked $(FEATURES) --bin rollcall
	$(VENV)/bin/python tests/conformance.py

pages: ## Walk through docs/src/apps/*.md as they are typed, against rollcall serve
	$(CARGO) build --quiet --locked $(FEATURES) --bin rollcall
	python3 tests/pages.py target/debug/rollcall

browser: $(VENV)/done ## The page for administrators in Chromium, with axe-core; screenshots in build/screenshots
	$(CARGO) build --quiet --locked $(FEATURES) --bin rollcall
	$(VENV)/bin/python tests/browser.py target/debug/rollcall build/screenshots

consumers: ## The consumers of docs/src/guides/follow-changes.md, in Python, Rust and TypeScript, against rollcall serve
	$(CARGO) build --quiet --locked $(FEATURES) --bin rollcall --example consumer
	python3 tests/consumers.py target/debug/rollcall target/debug/examples/consumer $(NODE)/node_modules

lambda: $(VENV)/done build/$(HOST_ARCH)/bootstrap ## The Lambda binary under Amazon's runtime interface emulator
	$(CARGO) build --quiet --locked $(FEATURES) --bin rollcall
	$(VENV)/bin/python tests/lambda.py build/$(HOST_ARCH)/bootstrap

build: build/arm64/bootstrap build/x86_64/bootstrap ## The Lambda binary for both architectures
	@ls -l $^ && sha256sum $^

build/arm64/bootstrap: $(SOURCES) $(VENV)/done
	$(LAMBDA) cargo-lambda lambda build --locked --release --arm64 --bin bootstrap --lambda-dir build/cargo-lambda/arm64
	mkdir -p $(@D) && cp build/cargo-lambda/arm64/bootstrap/bootstrap $@

build/x86_64/bootstrap: $(SOURCES) $(VENV)/done
	$(LAMBDA) cargo-lambda lambda build --locked --release --x86-64 --bin bootstrap --lambda-dir build/cargo-lambda/x86_64
	mkdir -p $(@D) && cp build/cargo-lambda/x86_64/bootstrap/bootstrap $@

# The command line for Linux: static, so that it runs on every distribution. Which commit it is from, `--version` says.
build/cli/%/rollcall: $(SOURCES) $(VENV)/done
	rustup target add $* > /dev/null 2>&1 || true
	$(CROSS) cargo-zigbuild zigbuild --locked --profile cli $(FEATURES) --bin rollcall --target $*
	mkdir -p $(@D) && cp target/$*/cli/rollcall $@

# What this machine builds for a release. The workflow adds the archives of macOS and Windows from machines of theirs.
ARCHITECTURES := arm64 x86_64
PLATFORMS := aarch64-unknown-linux-musl x86_64-unknown-linux-musl
RELEASE_FILES = $(ARCHITECTURES:%=build/%/bootstrap) $(PLATFORMS:%=build/cli/%/rollcall)

release: ## What a release has, into build/release: archives, bills of materials, checksums; publishes nothing
	rm -rf build/release
	$(MAKE) $(RELEASE_FILES)
	python3 infra/release.py add $(RELEASE_FILES)
	python3 infra/release.py finish
	cd build/release && sha256sum --check --quiet SHA256SUMS

check-release: $(VENV)/done build/$(HOST_ARCH)/bootstrap ## What make release would pack of this machine's binaries: contents, checksums, templates, the same bytes twice
	$(CARGO) build --quiet --locked $(FEATURES) --bin rollcall
	mkdir -p build/debug/$(HOST_TARGET) && cp target/debug/rollcall build/debug/$(HOST_TARGET)/
	$(VENV)/bin/python tests/release.py build/debug/$(HOST_TARGET)/rollcall build/$(HOST_ARCH)/bootstrap

iac: $(TOOLS)/iac/done ## The CDK construct and the Terraform module that wrap the package of a release (needs Node)
	python3 tests/iac/iac.py $(TOOLS)/iac/node_modules

image: build/cli/$(shell uname -m)-unknown-linux-musl/rollcall ## The container image of rollcall serve, for this machine's processor (needs Docker)
	infra/image.sh
	docker build --tag rollcall $(if $(BASE),--build-arg BASE=$(BASE)) .

e2e-package: $(VENV)/done $(E2E)/done build/$(HOST_ARCH)/bootstrap ## Deploy the package of a release, without Rust, onto an emulated AWS
	$(CARGO) build --quiet --locked $(FEATURES) --bin rollcall
	python3 infra/release.py add build/$(HOST_ARCH)/bootstrap
	$(E2E)/bin/python tests/e2e/package.py target/debug/rollcall build/release/rollcall-aws-$(HOST_ARCH).zip

build/$(HOST_ARCH)/hello build/$(HOST_ARCH)/floor: build/$(HOST_ARCH)/%: tests/cold_start/%.rs $(VENV)/done
	$(LAMBDA) cargo-lambda lambda build --locked --release --$(subst _,-,$(HOST_ARCH)) --example $* --lambda-dir build/cargo-lambda/$(HOST_ARCH)
	mkdir -p $(@D) && cp build/cargo-lambda/$(HOST_ARCH)/$*/bootstrap $@

# OTHER is the Lambda binary of another commit, to compare with.
cold-start: $(addprefix build/$(HOST_ARCH)/,hello floor bootstrap) ## Start to first poll next to hello world, first request over TLS, size: [OTHER=BOOTSTRAP]
	$(CARGO) build --quiet --locked $(FEATURES) --bin rollcall
	python3 tests/cold_start.py target/debug/rollcall $^ $(OTHER)

validate: $(VENV)/done ## Check the templates
	for template in template.yaml infra/data.yaml infra/pipeline.yaml infra/edge.yaml; do \
		SAM_CLI_TELEMETRY=0 $(VENV)/bin/sam validate --lint --region us-east-1 --template $$template || exit 1; done

rules: $(TOOLS)/bin/cfn-guard $(VENV)/done ## Our own rules: encryption, backups, retention, nothing with a wildcard
	$(TOOLS)/bin/cfn-guard validate --rules infra/rules.guard --data template.yaml infra/data.yaml infra/pipeline.yaml infra/edge.yaml --show-summary fail
	mkdir -p build && $(VENV)/bin/python infra/translate.py template.yaml > build/template.json
	$(TOOLS)/bin/cfn-guard validate --rules infra/roles.guard --data build/template.json --show-summary fail

deny: $(TOOLS)/bin/cargo-deny ## Licences, banned and duplicate crates, sources
	$(CARGO) fetch --locked
	$(TOOLS)/bin/cargo-deny --offline --all-features check licenses bans sources

advisories: $(TOOLS)/bin/cargo-deny ## Security advisories for the crates in Cargo.lock; fetches their database
	$(TOOLS)/bin/cargo-deny --all-features check advisories

sam-build: $(VENV)/done ## Build the functions for the cloud into .aws-sam
	$(LAMBDA) sam build $(if $(PARAMETERS),--parameter-overrides $(PARAMETERS))

deploy: sam-build deploy-built ## Deploy the tables and the application: make deploy STACK=rollcall PARAMETERS="AlarmEmail=ops@example.com"

# The code and what it is told; with another one SAM publishes a version of each function.
RELEASE = $(shell { cat .aws-sam/build/*/bootstrap template.yaml; echo '$(PARAMETERS) $(BOUNDARY)'; } | sha256sum | cut -c -16)

deploy-built: ## The same, of what sam-build has built
	$(VENV)/bin/sam deploy --template infra/data.yaml --stack-name $(TABLES)-data $(SAM_DEPLOY) \
		--no-confirm-changeset --no-fail-on-empty-changeset --parameter-overrides TablePrefix=$(TABLES)
	$(VENV)/bin/sam deploy --stack-name $(STACK) $(SAM_DEPLOY) --capabilities CAPABILITY_IAM \
		--no-confirm-changeset --no-fail-on-empty-changeset --parameter-overrides TablePrefix=$(TABLES) Release=$(RELEASE) \
		$(if $(BOUNDARY),PermissionsBoundary=$(BOUNDARY)) $(PARAMETERS)

e2e: $(VENV)/done $(E2E)/done ## Deploy onto an emulated AWS that enforces IAM, and use it
	$(CARGO) build --quiet --locked $(FEATURES) --bin rollcall
	$(CROSS) $(E2E)/bin/python tests/e2e/e2e.py

e2e-policies: $(VENV)/done $(E2E)/done ## The same, and each function without one action of its policy in turn
	$(CARGO) build --quiet --locked $(FEATURES) --bin rollcall
	$(CROSS) $(E2E)/bin/python tests/e2e/e2e.py --policies

restore-rehearsal: $(E2E)/done ## A restore as docs/src/operate/backup-restore.md has it, on an emulated AWS (needs the aws command)
	$(CARGO) build --quiet --locked $(FEATURES) --bin rollcall
	$(E2E)/bin/python tests/e2e/restore.py target/debug/rollcall

e2e-bus: $(E2E)/done ## The worker with a bus, a rule and a queue of an emulated AWS
	$(E2E)/bin/python tests/e2e/bus.py $(CARGO) test --locked $(FEATURES) --test rollcall a_rule_of_an_emulated_bus

# The containers of this machine's own kind.
local-invoke local-api: PARAMETERS = Architecture=$(HOST_ARCH)

local-invoke: sam-build ## One function in a container: make local-invoke ROUTE=users.get (needs Docker)
	$(CARGO) build --quiet --locked $(FEATURES) --bin rollcall
	python3 tests/local_invoke.py .aws-sam/build/template.yaml $(ROUTE)

local-api: sam-build ## All functions behind http://127.0.0.1:3001 in containers (needs Docker)
	$(CARGO) build --quiet --locked $(FEATURES) --bin rollcall
	python3 tests/local_invoke.py .aws-sam/build/template.yaml api

bench: ## Time the local endpoint at 100,000 users and members
	$(CARGO) build --locked --profile cli $(FEATURES) --bin rollcall
	python3 tests/bench.py target/cli/rollcall
	python3 tests/bench_pages.py target/cli/rollcall
	python3 tests/bench_groups.py target/cli/rollcall
	python3 tests/bench_keys.py target/cli/rollcall
	python3 tests/bench_large_change.py target/cli/rollcall
	python3 tests/bench_fair.py target/cli/rollcall

# Another build of Rollcall, or a server that no registry has, beside the two peers from PyPI:
# make bench-peers OTHERS="--other 'before=rollcall:/tmp/rollcall' --other 'scim-server 0.4.2=scim-server:/tmp/scim-server'"
OTHERS :=

bench-peers: $(TOOLS)/peers/done ## Rollcall and two servers from PyPI under one load, in one run; writes tables and plots of docs/src/benchmarks.md
	$(CARGO) build --locked --profile cli $(FEATURES) --bin rollcall --example load
	$(TOOLS)/peers/bin/python tests/bench_peers.py target/cli/rollcall target/cli/examples/load --page docs/src/benchmarks.md $(OTHERS)

instructions: ## What a request costs a function in instructions, exactly, held to tests/instructions/pins.json; needs valgrind
	$(CARGO) build --quiet --locked --profile instructions $(FEATURES) --example instructions
	python3 tests/instructions/run.py target/instructions/examples/instructions

profile: $(TOOLS)/bin/inferno-flamegraph ## Where rollcall serve spends its time: flame graphs in build/profile; needs perf
	RUSTFLAGS="-C force-frame-pointers=yes" $(CARGO) build --locked --profile profile $(FEATURES) --target-dir target/profiled --bin rollcall
	python3 tests/profile.py target/profiled/profile/rollcall $(TOOLS)/bin build/profile

soak: ## Ten minutes of mixed load from 16 clients, one of changes of one group: no 5xx, no lost write, memory flat
	$(CARGO) build --locked --profile cli $(FEATURES) --bin rollcall
	python3 tests/soak.py target/cli/rollcall
	python3 tests/membership.py target/cli/rollcall --seconds 60

# The older build is that of a commit, built once into build/canary: the dependencies are shared with this one.
canary: ## Two builds on one table under mixed load, then rollcall verify by both: make canary OLD=COMMIT
	old=$$(python3 tests/canary.py --build $(OLD) build/canary) && $(CARGO) build --quiet --locked $(FEATURES) --bin rollcall \
		&& python3 tests/canary.py target/debug/rollcall $$old

takeover: ## Twenty processes killed (SIGKILL) in the middle of a change of 10,000 members; others finish it
	$(CARGO) build --locked --profile cli $(FEATURES) --bin rollcall
	python3 tests/takeover.py target/cli/rollcall

tenant-data: ## Export, import, verify and deletion of a tenant by the command line, next to rollcall serve
	$(CARGO) build --quiet --locked $(FEATURES) --bin rollcall
	python3 tests/tenant_data.py target/debug/rollcall

requirements: $(VENV)/done ## Lock the Python tools again, with hashes, after a change of a requirements.in
	for folder in tests tests/e2e tests/peers; do (cd $$folder && $(CURDIR)/$(VENV)/bin/uv pip compile --quiet --universal --python-version 3.11 \
		--generate-hashes --no-annotate requirements.in -o requirements.txt) || exit 1; done

costs: ## What a tenant costs a month, from the capacity that tests/budget.rs pins and named prices
	python3 infra/costs.py

# The Python tools, in the project's own folder. The lock names every package that they need, with its hashes.
$(VENV)/done: tests/requirements.txt
	python3 -m venv $(VENV)
	$(VENV)/bin/pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r tests/requirements.txt
	mkdir -p $(TOOLS)/bin
	printf '#!/bin/sh\nexec "%s" -m ziglang "$$@"\n' "$(CURDIR)/$(VENV)/bin/python" > $(TOOLS)/bin/zig
	chmod +x $(TOOLS)/bin/zig
	touch $@

# The peers of `make bench-peers`, and what draws its plots.
$(TOOLS)/peers/done: tests/peers/requirements.txt
	python3 -m venv $(TOOLS)/peers
	$(TOOLS)/peers/bin/pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r tests/peers/requirements.txt
	touch $@

# The Node tools: from a lock with hashes, and no package runs a script of its own while it is installed.
$(NODE)/done: tests/openapi/package.json tests/openapi/package-lock.json tests/openapi/.npmrc
	mkdir -p $(NODE) && cp $^ $(NODE)/
	cd $(NODE) && npm ci --silent
	touch $@

$(TOOLS)/iac/done: tests/iac/package.json tests/iac/package-lock.json tests/iac/.npmrc
	mkdir -p $(@D) && cp $^ $(@D)/
	cd $(@D) && npm ci --silent
	touch $@

$(E2E)/done: tests/e2e/requirements.txt
	python3 -m venv $(E2E)
	$(E2E)/bin/pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r tests/e2e/requirements.txt
	touch $@

$(TOOLS)/bin/cfn-guard:
	$(CARGO) install --quiet --locked --root $(TOOLS) --version 3.2.1 cfn-guard

# Unoptimised: it compiles in half the time, and a book needs no more speed.
$(TOOLS)/bin/mdbook:
	$(CARGO) install --quiet --locked --debug --root $(TOOLS) --version 0.5.4 --no-default-features --features search mdbook

$(TOOLS)/bin/cargo-deny:
	$(CARGO) install --quiet --locked --root $(TOOLS) --version 0.20.2 cargo-deny

$(TOOLS)/bin/inferno-flamegraph:
	$(CARGO) install --quiet --locked --root $(TOOLS) --version 0.12.8 inferno

clean: ## Remove what was built; the data of make run stays
	$(CARGO) clean
	rm -rf build .aws-sam
