.DEFAULT_GOAL := help
FUZZTIME ?= 30s

.PHONY: help
help: ## List the targets
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sort | awk -F ':.*## ' '{printf "  make %-11s %s\n", $$1, $$2}'

.PHONY: demo
demo: build ## Build and show usher in the browser, with sample people
	@bin/usher demo

.PHONY: build
build: ## Build bin/usher
	@CGO_ENABLED=0 go build -trimpath -o bin/usher ./cmd/usher

.PHONY: test
test: ## Run every test, with what it needs
	@.ci/test

.PHONY: check
check: ## Format, vet, staticcheck, modules, generated files, import rules
	@.ci/check

.PHONY: fuzz
fuzz: ## Run each fuzz target for FUZZTIME (30s)
	@set -e; for package in $$(go list ./...); do \
	  for target in $$(go test -list '^Fuzz' $$package | grep '^Fuzz' || true); do \
	    echo "$$package $$target"; \
	    go test -run '^$$' -fuzz "^$$target$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 100x $$package; \
	  done; \
	done

.PHONY: bench
bench: ## Measure decisions, requests, grants, the catalogue, pages and live panes
	@.ci/deps postgres redis cc
	@PG_DURABLE=1 .ci/with-servers go test -run '^$$' -bench . -benchtime 1x -timeout 60m ./cmd/usher

.PHONY: screenshots
screenshots: ## Take the README's screenshots anew
	@.ci/deps chromium
	@go test -count=1 -run TestStageAskApproveHandOverDone ./cmd/usher -screenshots

.PHONY: playground
playground: ## Drive Microsoft's own Teams test client against usher
	@.ci/playground

.PHONY: golden
golden: ## Write the golden files anew
	@go test ./adapters/slack ./adapters/teams ./adapters/web -run Golden -update

.PHONY: clean
clean: ## Remove what was built
	@rm -rf bin
