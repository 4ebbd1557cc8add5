# Every target sets up what it needs: a bare Linux machine with the Node, Go and Java toolchains is enough.
# CLUSTER picks where the targets work: local (a real Kubernetes node without Docker), kind, or current (your KUBECONFIG).
SHELL := /bin/bash
.DEFAULT_GOAL := help

CLUSTER ?= $(shell docker info >/dev/null 2>&1 && echo kind || echo local)
NAME ?= bss
PLATFORM ?= demo
# make demo: write the run as a chart under this path, without ending.
RECORD ?=
export CLUSTER NAME PLATFORM RECORD

NODE := node_modules/.bin/node
export PATH := $(CURDIR)/node_modules/.bin:$(PATH)
LOCAL := $(NODE) local/src/cli.ts
DEPS := node_modules/.package-lock.stamp

.PHONY: help
help: ## print these targets
	@echo 'BSS platform (CLUSTER=$(CLUSTER), NAME=$(NAME))'; echo
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-16s %s\n", $$1, $$2}'

$(DEPS): package.json package-lock.json $(wildcard */package.json)
	@echo 'npm ci: installing the packages of package-lock.json (Node itself among them)'
	@npm ci --no-audit --no-fund --loglevel=error
	@touch $@

.PHONY: setup
setup: $(DEPS) ## install the npm packages, Node itself among them

# --- run it -----------------------------------------------------------------------------------------------------------
.PHONY: demo
demo: $(DEPS) ## cluster, operator, platform, a burst of events, and the autoscaler at work (RECORD=docs/results/demo-run keeps the run)
	@exec $(NODE) local/src/demo/main.ts

.PHONY: up
up: $(DEPS) ## start the cluster (nothing on it yet)
	@exec $(NODE) local/src/target/main.ts up

.PHONY: install
install: $(DEPS) ## build and load the images, helm install the operator
	@exec $(NODE) local/src/target/main.ts install

.PHONY: kind-up
kind-up: ## the same as 'make install' on a kind cluster (needs Docker and kind)
	@$(MAKE) --no-print-directory install CLUSTER=kind

.PHONY: down
down: $(DEPS) ## stop the cluster and remove everything it made (the build cache stays)
	@exec $(NODE) local/src/target/main.ts down

.PHONY: status
status: $(DEPS) ## what runs: the cluster's parts and the platforms on it
	@exec $(NODE) local/src/target/main.ts status

.PHONY: shell
shell: $(DEPS) ## a shell whose KUBECONFIG and PATH point at the local cluster
	@exec $(LOCAL) shell --name $(NAME)

.PHONY: images
images: $(DEPS) ## build the images without a cluster
	@exec $(LOCAL) build --images

# --- check it ---------------------------------------------------------------------------------------------------------
.PHONY: test
test: $(DEPS) ## every check and test, the end-to-end tests on a cluster of their own included
	@exec $(NODE) test/run.ts

.PHONY: test-check test-unit test-operator test-workloads test-local test-charts test-e2e
test-check: $(DEPS) ## types, lint, format, generated files
	@exec $(NODE) test/run.ts check
test-unit: $(DEPS) ## pure logic: tables and golden files
	@exec $(NODE) test/run.ts unit
test-operator: $(DEPS) ## the operator against a real API server and a real Kafka
	@exec $(NODE) test/run.ts operator
test-workloads: $(DEPS) ## the workloads against real Kafka, Postgres, PgBouncer and Redis
	@exec $(NODE) test/run.ts workloads
test-local: $(DEPS) ## the local cluster itself: up, down, crash, two side by side
	@exec $(NODE) test/run.ts local
test-e2e: $(DEPS) ## the whole platform on a cluster, with faults
	@exec $(NODE) test/run.ts e2e

.PHONY: generate
generate: $(DEPS) ## write the generated files: CRD, chart schemas, reference
	@exec $(NODE) operator/src/generate.ts

.PHONY: format
format: $(DEPS) ## format the sources
	@npm run --silent format

.PHONY: bench
bench: $(DEPS) ## the interest consumer's benchmark: docs/results/interest-benchmark.md
	@exec $(NODE) workloads/benchmarks/interest.ts

.PHONY: bench-operator
bench-operator: $(DEPS) ## the operator with 200 platforms: docs/results/operator-scale.md
	@exec $(NODE) operator/src/reconcile/testing/benchmark.ts

.PHONY: settled
settled: $(DEPS) ## five minutes of a settled platform: no write, hardly a pass
	@SETTLED_SECONDS=300 exec $(NODE) --test operator/src/reconcile/settled.integration.test.ts

.PHONY: faults
faults: $(DEPS) ## run the tests that inject faults into the operator, and write their recovery times to docs/results/faults.md
	@exec $(NODE) test/faults.ts

.PHONY: bench-cluster
bench-cluster: $(DEPS) ## one replica of it in the cluster of CLUSTER and NAME: docs/results/interest-in-cluster.md
	@exec $(NODE) workloads/benchmarks/interest-in-cluster.ts

.PHONY: simulate
simulate: $(DEPS) ## the autoscaler against KEDA on the same traces: docs/results
	@exec $(NODE) operator/src/autoscale/simulator/main.ts --out docs/results

.PHONY: clean
clean: down ## down, and remove the build cache too
	@$(LOCAL) clean
