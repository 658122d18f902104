# `make help` lists the targets.

# Every module is built with the same flags, so that all share one build cache.
export CGO_ENABLED := 0
export GOFLAGS := -buildvcs=false

CACHE := $(or $(BERTH_CACHE),$(if $(XDG_CACHE_HOME),$(XDG_CACHE_HOME)/berth,$(HOME)/.cache/berth))
GO_VERSION := $(shell go env GOVERSION)
TOOLS_KEY := $(shell { cat hack/tools/go.mod hack/tools/go.sum; echo $(GO_VERSION); } | sha256sum | cut -c1-16)
TOOLS := $(CACHE)/tools/$(TOOLS_KEY)
LINT := $(TOOLS)/golangci-lint
CONTROLLER_GEN := $(TOOLS)/controller-gen

# Arguments for berth, such as ARGS="--name second".
ARGS ?=
TEST_FLAGS ?= -timeout 20m
# Flags for make bench, such as BENCH_FLAGS="-only tenant -rounds 5".
BENCH_FLAGS ?=
E2E_FLAGS ?= -v -count 1 -timeout 120m
# Flags of the scenarios themselves, such as E2E_ARGS="-kills 9" or E2E_ARGS=-keep.
E2E_ARGS ?=
# Rounds of make soak.
KILLS ?= 100
# Sets $packages to those of make test; e2e runs against a whole Berth and has its own
# targets.
PACKAGES = packages=$$(go list ./...) && packages=$$(echo "$$packages" | grep -v '/e2e$$')

.DEFAULT_GOAL := help
.PHONY: up down status parts kubectl setup generate fmt lint test check e2e attack soak bench race clean help

up: setup bin/berth ## start Berth on this machine, with the example app
	@go run ./examples/acme/deploy $(ARGS)

down: bin/berth ## stop it and leave nothing running
	bin/berth down $(ARGS)

status: bin/berth ## say what runs and where
	bin/berth status $(ARGS)

parts: setup ## build Kubernetes and the other parts that are not ours, into the cache
	@go run ./hack/buildparts

kubectl: setup ## put a kubectl of the same version into bin, for who has none
	@mkdir -p bin
	@dir=$$(go run ./hack/buildparts kubectl) && install "$$dir/kubectl" bin/kubectl

setup: ## install the Debian packages that are missing
	@hack/setup

generate: $(CONTROLLER_GEN) ## write generated code and CRDs
	$(CONTROLLER_GEN) object crd:maxDescLen=512 paths=./api/v1alpha1/... output:crd:dir=api/v1alpha1/crds

fmt: $(LINT) ## format all code
	$(LINT) fmt

# Findings are cached with the path they were found at, which the exclusions go by: a
# checkout must not see another's.
lint: export GOLANGCI_LINT_CACHE = $(CACHE)/lint/$(shell echo $(CURDIR) | sha256sum | cut -c1-12)
lint: $(LINT) ## check format, imports between rooms and the other rules
	$(LINT) run --allow-parallel-runners ./...

test: setup lint parts ## lint, unit tests, tests on a real API server, the short end-to-end scenario
	$(PACKAGES) && go test $(TEST_FLAGS) $$packages
	go test $(E2E_FLAGS) ./e2e -run '^TestSpine$$'

check: generate fmt test ## everything a change must pass; fails if it rewrote a file
	git diff --exit-code

e2e: setup parts ## every scenario, on instances of their own; one run at a time on a machine
	go test $(E2E_FLAGS) ./e2e -run '$(or $(RUN),.)' $(E2E_ARGS)

attack: RUN = ^(TestIsolation|TestEdgeAttacked|TestDomains)$$
attack: e2e ## only the scenarios that attack: other tenants, the edge, other people's domains

soak: RUN = ^(TestKills|TestKillTable|TestKilledInstance)$$
soak: E2E_ARGS = -timeout 72h -kills $(KILLS)
soak: e2e ## only the scenarios that kill, KILLS rounds each; many hours

bench: setup parts ## measure against peers; writes docs/benchmarks.md
	go run ./e2e/bench $(BENCH_FLAGS)

race: setup parts ## the tests of make test without end-to-end, under the race detector
	$(PACKAGES) && CGO_ENABLED=1 go test -race $(TEST_FLAGS) $$packages

clean: ## remove what was built here; the cache stays
	rm -rf bin dist

help: ## list the targets
	@sed -n 's/^\([a-z0-9]*\):.*## \(.*\)/  \1\t\2/p' Makefile | expand -t 14

# go itself knows what is current.
.PHONY: bin/berth
bin/berth:
	@mkdir -p bin
	go build -o $@ ./cmd/berth

# Tools are pinned in hack/tools and kept by content, so that a warm run links nothing.
# The file appears whole or not at all. Versions of long ago go when a new one comes.
define build-tool
	@mkdir -p $(TOOLS)
	@find $(CACHE)/tools -mindepth 1 -maxdepth 1 -mtime +30 -exec rm -rf {} +
	@echo building $(@F) >&2
	@cd hack/tools && go build -ldflags '-s -w' -o $@.$$$$ $(1) && mv $@.$$$$ $@
endef

$(LINT):
	$(call build-tool,github.com/golangci/golangci-lint/v2/cmd/golangci-lint)

$(CONTROLLER_GEN):
	$(call build-tool,sigs.k8s.io/controller-tools/cmd/controller-gen)
