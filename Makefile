# What can be typed; everything is done by scripts. `make help` lists it.
.PHONY: help demo test down up e2e-full bench-upgrade bench-strategies bench-recovery generate fmt lint image
.DEFAULT_GOAL := help

help: ## this list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.* ## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: ## a stateful Flink job upgraded through a savepoint, on a real cluster that this machine gets
	@e2e/tools/demo

test: ## all tests, those on a real cluster included
	@e2e/tools/test

down: ## stop the cluster and remove all of its state
	@e2e/cluster/down --wipe

up: ## the cluster with the operator, to try things on
	@e2e/tools/up

e2e-full: ## every end-to-end scenario on both Flink versions
	@E2E_FULL=1 e2e/tools/test e2e

bench-upgrade: ## measure ten upgrades, and the same by hand; writes docs/bench
	@e2e/tools/bench upgrade

bench-strategies: ## measure upgrades by every strategy, with small and with large state, and the same by hand; writes docs/bench
	@e2e/tools/bench strategies

bench-recovery: ## measure ten recoveries of killed JobManagers, and ten by Flink itself; writes docs/bench
	@e2e/tools/bench recovery

generate: ## write anew what is made from the types: crds/, the chart's copies
	@e2e/tools/generate

fmt: ## format the Rust code
	@cargo fmt --all

lint: ## formatting, lints, unit tests, licences, scripts, chart: all that needs no cluster
	@e2e/tools/test fast

image: ## the operator's image, as released, as a docker archive
	@e2e/tools/check
	@e2e/tools/build release
