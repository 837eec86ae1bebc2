# Everything a person does with Skerry starts here: `make help`.
SHELL       := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

VERSION      ?= 0.1.0
KUBE_VERSION := $(shell sed -n 's|^\tk8s.io/kubernetes v||p' go.mod)
VERSION_PKG  := k8s.io/component-base/version
LDFLAGS      := -s -w -X github.com/skerry-platform/skerry/internal/version.Version=$(VERSION) \
	-X $(VERSION_PKG).gitVersion=v$(KUBE_VERSION) -X $(VERSION_PKG).gitMajor=$(word 1,$(subst ., ,$(KUBE_VERSION))) \
	-X $(VERSION_PKG).gitMinor=$(word 2,$(subst ., ,$(KUBE_VERSION))) -X $(VERSION_PKG).gitTreeState=clean \
	$(foreach v,Version=v$(KUBE_VERSION) Major=$(word 1,$(subst ., ,$(KUBE_VERSION))) Minor=$(word 2,$(subst ., ,$(KUBE_VERSION))),-X k8s.io/client-go/pkg/version.git$(v)) \
	-X $(VERSION_PKG).gitCommit=0000000000000000000000000000000000000000 -X $(VERSION_PKG).buildDate=1970-01-01T00:00:00Z

# Static binaries: they run in images that hold nothing else.
export CGO_ENABLED := 0
export GOTOOLCHAIN := local
export LDFLAGS VERSION

.PHONY: help
help: ## Show the targets.
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## /{printf "  %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: prerequisites
prerequisites: ## Install what Skerry needs from the distribution (containerd, runc, CNI plugins, nftables, ...).
	@hack/prerequisites.sh

.PHONY: build
build: ## Build bin/skerry, bin/skerry-operator, bin/skerry-kube, bin/pause and bin/demo.
	@hack/build.sh

.PHONY: demo
demo: prerequisites build ## Start the local platform and run the main job to the end, visibly.
	@hack/demo.sh

.PHONY: down
down: ## Stop the local platform and remove everything that `make demo` and `make test` made.
	@hack/down.sh

.PHONY: test-prerequisites
test-prerequisites: ## Install what the tests need beside that (a container registry).
	@hack/prerequisites.sh test

.PHONY: test
test: test-prerequisites build ## Run every test: unit, real API server, CLI scripts, and end to end on a real local platform.
	@hack/test.sh

.PHONY: test-unit
test-unit: test-prerequisites build ## Run every test but the end-to-end ones.
	@hack/test.sh unit

.PHONY: test-e2e
test-e2e: test-prerequisites build ## Run the end-to-end tests.
	@hack/test.sh e2e

.PHONY: bench
bench: prerequisites build ## Measure the goals of docs/performance.md on this machine.
	@hack/bench.sh

.PHONY: generate
generate: ## Write all generated code.
	go tool controller-gen object:headerFile=hack/boilerplate.go.txt paths=./api/...
	go tool controller-gen crd paths=./api/... output:crd:dir=charts/skerry/crds

.PHONY: verify-generated
verify-generated: generate ## Fail when generated code is not fresh.
	@git diff --exit-code -- api charts/skerry/crds || { echo "generated code is stale: run 'make generate' and commit the result" >&2; exit 1; }
	@test -z "$$(git status --porcelain -- api charts/skerry/crds)" || { git status --short -- api charts/skerry/crds; echo "generated files are not committed" >&2; exit 1; }

.PHONY: lint
lint: ## Check formatting, vet and static analysis.
	@hack/lint.sh
