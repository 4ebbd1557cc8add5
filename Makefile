# Every target sets up what it needs: a bare Linux machine with the Node, Go and Java toolchains is enough.
# CLUSTER picks where the targets work: local (a real Kubernetes node without Docker), kind, or current (the current context of your KUBECONFIG).
# Unset, it is kind where Docker and kind are present, else local. Each target prints its choice first.
SHELL := /bin/bash
.DEFAULT_GOAL := help

CLUSTER ?=
NAME ?= bss
# make demo writes a chart of the run to this path; without a file extension.
RECORD ?=
# The load test of make load, and its settings: k6/README.md.
SCENARIO ?= smoke
export CLUSTER NAME RECORD SCENARIO

NODE := node_modules/.bin/node
export PATH := $(CURDIR)/node_modules/.bin:$(PATH)
LOCAL := $(NODE) local/src/cli.ts
DEPS := node_modules/.package-lock.stamp

.PHONY: help
help: ## print these targets
	@echo 'BSS platform: make TARGET [CLUSTER=local|kind|current] [NAME=$(NAME)]'; echo
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-16s %s\n", $$1, $$2}'

$(DEPS): package.json package-lock.json $(wildcard */package.json)
	@echo 'npm ci: installing the packages of package-lock.json (Node itself among them)'
	@npm ci --no-audit --no-fund --loglevel=error
	@touch $@

.PHONY: setup
setup: $(DEPS) ## install the npm packages, Node itself among them

# --- run it -----------------------------------------------------------------------------------------------------------
.PHONY: demo
demo: $(DEPS) ## start a cluster, operator and platform, send a burst of events, and watch the autoscaler (RECORD=PATH keeps the run)
	@exec $(NODE) local/src/demo/main.ts

.PHONY: up
up: $(DEPS) ## start an empty cluster
	@exec $(NODE) local/src/target/main.ts up

.PHONY: install
install: $(DEPS) ## build and load the images, helm install the operator
	@exec $(NODE) local/src/target/main.ts install

.PHONY: kind-up
kind-up: ## 'make install' on a kind cluster (needs Docker and kind)
	@$(MAKE) --no-print-directory install CLUSTER=kind

.PHONY: down
down: $(DEPS) ## remove the cluster (the build cache stays); with CLUSTER=current, what install and demo created there
	@exec $(NODE) local/src/target/main.ts down

.PHONY: status
status: $(DEPS) ## list the nodes, pods and platforms of the cluster; starts nothing
	@exec $(NODE) local/src/target/main.ts status

.PHONY: shell
shell: $(DEPS) ## a shell whose kubectl and helm work on the cluster
	@exec $(NODE) local/src/target/main.ts shell

.PHONY: images
images: $(DEPS) ## build the images without a cluster
	@exec $(NODE) local/src/target/main.ts images

# --- check it ---------------------------------------------------------------------------------------------------------
.PHONY: test
test: $(DEPS) ## run every check and test, the end-to-end tests on their own cluster included
	@exec $(NODE) test/run.ts

.PHONY: test-check test-unit test-operator test-workloads test-dashboards test-local test-charts test-e2e
test-check: $(DEPS) ## check types, lint, format, generated files
	@exec $(NODE) test/run.ts check
test-unit: $(DEPS) ## test pure logic: tables and golden files
	@exec $(NODE) test/run.ts unit
test-operator: $(DEPS) ## test the operator against a real API server and a real Kafka
	@exec $(NODE) test/run.ts operator
test-workloads: $(DEPS) ## test the workloads against real Kafka, Postgres, PgBouncer and Redis
	@exec $(NODE) test/run.ts workloads
test-dashboards: $(DEPS) ## test alerts, recording rules and dashboards under promtool
	@exec $(NODE) test/run.ts dashboards
test-local: $(DEPS) ## test the local cluster: start, stop, crash, two at the same time
	@exec $(NODE) test/run.ts local
test-charts: $(DEPS) ## test the charts: lint, rendered objects, install and upgrade on a real API server
	@exec $(NODE) test/run.ts charts
test-e2e: $(DEPS) ## test the whole platform on a cluster, with faults
	@exec $(NODE) test/run.ts e2e

.PHONY: generate
generate: $(DEPS) ## write the generated files: CRD, chart schemas, reference, rules, dashboards
	@$(NODE) operator/src/generate.ts
	@exec $(NODE) dashboards/src/generate.ts

.PHONY: format
format: $(DEPS) ## format the sources
	@npm run --silent format

.PHONY: bench
bench: $(DEPS) ## measure the interest consumer: docs/results/interest-benchmark.md
	@exec $(NODE) workloads/benchmarks/interest.ts

.PHONY: bench-ledger
bench-ledger: $(DEPS) ## measure transfers per second of the ledger: docs/results/ledger.md
	@exec $(NODE) workloads/benchmarks/ledger.ts

.PHONY: bench-transfers
bench-transfers: $(DEPS) ## measure transfers over HTTP, and what telemetry costs: docs/results/transfers.md
	@exec $(NODE) workloads/benchmarks/transfers.ts

.PHONY: bench-drain
bench-drain: $(DEPS) ## measure how fast relay and read model drain a backlog, and their memory: docs/results/drain.md
	@exec $(NODE) workloads/benchmarks/drain.ts

.PHONY: bench-pgbouncer
bench-pgbouncer: $(DEPS) ## measure statements through PgBouncer and directly: docs/results/pgbouncer.md
	@exec $(NODE) workloads/benchmarks/pgbouncer.ts

.PHONY: bench-crm
bench-crm: $(DEPS) ## measure the BSS APIs at 200 requests a second: docs/results/crm.md
	@exec $(NODE) workloads/benchmarks/crm.ts

.PHONY: bench-cache
bench-cache: $(DEPS) ## measure the cache and its invalidation: docs/results/cache.md
	@exec $(NODE) workloads/benchmarks/cache.ts

.PHONY: torture
torture: RUNS ?= $(if $(SEED),1,10)
torture: $(DEPS) ## random load and faults on the whole event path (RUNS=10 rounds of a minute or two; SEED=... runs one again)
	@RUNS=$(RUNS) SEED=$(SEED) exec $(NODE) workloads/torture/torture.integration.test.ts

.PHONY: torture-ledger
torture-ledger: RUNS ?= 1000
torture-ledger: $(DEPS) ## random runs of the ledger against a model (RUNS=1000), then its faults
	@LEDGER_RUNS=$(RUNS) $(NODE) --test workloads/ledger/random.integration.test.ts
	@exec $(NODE) --test workloads/ledger/invariants.integration.test.ts workloads/ledger/api.integration.test.ts

.PHONY: bench-operator
bench-operator: $(DEPS) ## measure the operator with 200 platforms: docs/results/operator-scale.md
	@exec $(NODE) operator/src/reconcile/testing/benchmark.ts

.PHONY: bench-autoscaler
bench-autoscaler: $(DEPS) ## measure the autoscaling of up to 200 consumer groups: docs/results/autoscaler-cost.md
	@exec $(NODE) operator/src/reconcile/testing/autoscaler-benchmark.ts

.PHONY: load
load: $(DEPS) ## run a load test against the platform of the cluster (SCENARIO=smoke, seed, reads, flows or spike): docs/results/load-SCENARIO.md
	@exec $(NODE) local/src/load/main.ts

.PHONY: scaling
scaling: $(DEPS) ## measure the autoscaler on a cluster under loads of minutes (LOADS="step sawtooth"): docs/results/autoscale-cluster.md
	@exec $(NODE) test/scaling.ts $(LOADS)

.PHONY: settled
settled: $(DEPS) ## observe a settled platform for five minutes: no writes, at most five passes a minute
	@SETTLED_SECONDS=300 exec $(NODE) --test operator/src/reconcile/settled.integration.test.ts

.PHONY: faults
faults: $(DEPS) ## inject each fault and measure the recovery time: docs/results/faults.md
	@exec $(NODE) test/faults.ts

.PHONY: alerts
alerts: $(DEPS) ## ten minutes without a fault, then faults until their alerts are resolved, with real durations (an hour): docs/results/alerts.md
	@exec $(NODE) test/alerts.ts $(ROUND)

.PHONY: bench-cluster
bench-cluster: $(DEPS) ## measure one replica of it in a cluster: docs/results/interest-in-cluster.md
	@exec $(NODE) workloads/benchmarks/interest-in-cluster.ts

.PHONY: simulate
simulate: $(DEPS) ## simulate the autoscaler and KEDA on the same traces: docs/results
	@exec $(NODE) operator/src/autoscale/simulator/main.ts --out docs/results

.PHONY: clean
clean: $(DEPS) ## stop the local cluster and remove the build cache
	@$(LOCAL) down --name $(NAME)
	@$(LOCAL) clean
