# The short way to everything; Meson does the work (meson.build). `make help` lists the targets.

PORT ?= 9999
FUZZ_SECONDS ?= 600
export PORT FUZZ_SECONDS

help: ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' Makefile

deps: ## install the Debian packages for building, running and testing
	@scripts/deps.sh build run test

build: ## compile: build/pinna and build/pinna-decode
	@scripts/build.sh build

run: ## install what is missing, compile, serve on port 9999 (PORT=...) and transcribe a spoken sample
	@scripts/deps.sh build run
	@scripts/build.sh build
	@scripts/run.sh

test: ## install what is missing and run every test
	@scripts/deps.sh build run test
	@scripts/test.sh

asan: ## only the tests under AddressSanitizer and UndefinedBehaviorSanitizer
	@scripts/deps.sh build run test
	@scripts/test.sh asan

tsan: ## only the tests under ThreadSanitizer
	@scripts/deps.sh build run test
	@scripts/test.sh tsan

fuzz: ## fuzz every parser for FUZZ_SECONDS (600) each
	@scripts/deps.sh build fuzz
	@scripts/build.sh build-fuzz
	@tests/fuzz/run.sh build-fuzz $(FUZZ_SECONDS)

bench: ## measure the HTTP side beside nginx
	@scripts/deps.sh build bench
	@scripts/build.sh build
	@bench/http_bench.py $(BENCH_ARGS)

deb: ## build the Debian packages into dist/
	@scripts/deps.sh build deb
	@scripts/deb.sh

format: ## rewrite the C sources as .clang-format wants them
	@git ls-files '*.c' '*.h' | xargs clang-format -i

clean: ## remove what was built
	rm -rf build build-* dist

.DEFAULT_GOAL := help
.PHONY: help deps build run test asan tsan fuzz bench deb format clean
