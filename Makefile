# Gapura. `make help` lists the commands.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules

BINARY    := bin/gapura
TOOLS     := .cache/bin
PEERS     := $(TOOLS)/withpeers
ASSETS    := internal/site/assets/dist
MANIFEST  := $(ASSETS)/.vite/manifest.json
MODULES   := web/node_modules/.package-lock.json

LINTER_VERSION := v2.15.0
LINTER         := $(TOOLS)/golangci-lint-$(LINTER_VERSION)

# Directories too: their time changes when a file is deleted.
WEB_SOURCES := $(shell find web -mindepth 1 \( -name node_modules -o -path web/e2e \) -prune -o -print)

# A test that hangs fails with every goroutine's stack instead of waiting for the CI's own limit.
TEST_TIMEOUT ?= 15m

.PHONY: help
help: ## list the commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-7s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: run
run: build ## build, then open registration for a demo event (needs Go and Node only)
	$(BINARY) demo

.PHONY: build
build: web ## build the web assets and bin/gapura
	CGO_ENABLED=0 go build -trimpath -ldflags='-s -w' -o $(BINARY) ./cmd/gapura

.PHONY: web
web: $(MANIFEST) ## build the web assets, if their sources changed

# npm ci leaves this file as a record of what it installed.
$(MODULES): web/package.json web/package-lock.json
	npm --prefix web ci --no-audit --no-fund
	@touch $@

# Vite empties the directory, the placeholder included that lets `go build` work without Node.
$(MANIFEST): $(MODULES) $(WEB_SOURCES)
	npm --prefix web run build
	@touch $@ $(ASSETS)/.gitkeep

.PHONY: setup
setup: ## install what the tests need, or say what to install
	@scripts/setup

.PHONY: test
test: setup build format $(PEERS) ## everything CI checks: set-up, build, rules, unit, service and browser tests
	go vet ./...
	go test ./test/house
	$(PEERS) -- go test -timeout=$(TEST_TIMEOUT) ./...
	npm --prefix web run --if-present test
	npm --prefix web run --if-present e2e

.PHONY: format
format: ## fail when a Go file is not gofmt-ed
	@unformatted=$$(gofmt -l cmd internal test); \
	if [[ -n "$$unformatted" ]]; then echo "run gofmt -w on:" $$unformatted >&2; exit 1; fi

# Built, not `go run`: that would hide the exit code and leave the services behind when it is ended by a signal.
.PHONY: $(PEERS)
$(PEERS):
	@go build -o $@ ./test/cmd/withpeers

.PHONY: check
check: $(LINTER) ## linters and gofumpt (the first time builds the linter, which takes minutes)
	$(LINTER) run ./...

$(LINTER):
	GOBIN=$(CURDIR)/$(TOOLS) go install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(LINTER_VERSION)
	@mv $(TOOLS)/golangci-lint $@

.PHONY: bench
bench: build ## what docs/performance.md reports, on both databases (about seven minutes; nothing else should run)
	go build -o $(TOOLS)/bench ./test/cmd/bench
	$(TOOLS)/bench -gapura $(BINARY) $(BENCH)

.PHONY: fuzz
fuzz: ## fuzz every parser for FUZZTIME each (30s)
	scripts/fuzz

.PHONY: long
long: setup build $(PEERS) ## the tests with the race detector, and the runs too long for every commit
	GAPURA_LONG=1 $(PEERS) -- go test -race -count=1 -timeout=90m ./...
	GAPURA_LONG=1 npm --prefix web run --if-present e2e

.PHONY: crash
crash: build ## 5,000 paid orders while everything is killed in the middle (CRASH_ORDERS=n for another number)
	GAPURA_CRASH_ORDERS=$(or $(CRASH_ORDERS),5000) go test -run=TestNothingIsLostOrDoubledAfterPayment -count=1 -v -timeout=60m ./test/whole

.PHONY: clean
clean: ## remove what was built; data and configuration stay
	rm -rf bin .cache web/node_modules
	find $(ASSETS) -mindepth 1 ! -name .gitkeep -delete
