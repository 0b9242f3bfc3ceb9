# The short way to everything; Meson does the work (meson.build). `make help` lists the targets.

PORT ?= 9999
FUZZ_SECONDS ?= 600
export PORT FUZZ_SECONDS
BENCHED = PINNA_BIN=$(CURDIR)/build-bench/pinna PINNA_DECODE=$(CURDIR)/build-bench/pinna-decode
TORCH = $$(dpkg-query -W python3-torch >/dev/null 2>&1 && echo --torch)

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' Makefile

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

bench: ## measure the HTTP side beside nginx (BENCH_ARGS=... goes to each of these programs)
	@scripts/deps.sh build bench
	@scripts/build.sh build
	@bench/http_bench.py $(BENCH_ARGS)

bench-sockets: ## measure many WebSockets, plain and over TLS
	@scripts/deps.sh build test
	@scripts/build.sh build-test
	@bench/tls_sockets.py $(BENCH_ARGS)

build-bench:
	@scripts/deps.sh build run bench
	@scripts/build.sh build-bench

bench-kernels: build-bench ## measure the matrix products and attention, beside oneDNN and the machine's peaks
	@build-bench/bench/bench_kernels $(BENCH_ARGS)
	@build-bench/bench/bench_attention
	@build-bench/bench/bench_sequence

bench-whisper: build-bench ## measure loading, encoding and decoding, beside PyTorch where it is installed
	@build-bench/bench/bench_whisper $(TORCH) $(BENCH_ARGS)

bench-paraformer: build-bench ## measure Paraformer of true size: speed beside ONNX Runtime, live streams, memory
	@bench/paraformer_prepare.sh build-models/paraformer
	@build-bench/bench/bench_paraformer build-models/paraformer $(BENCH_ARGS)
	@build-bench/bench/bench_paraformer_live build-models/paraformer/streaming
	@build-bench/bench/bench_paraformer_live build-models/paraformer/streaming --chunk 0,10,5
	@build-bench/bench/bench_paraformer_memory build-models/paraformer

bench-live: build-bench ## find how many speakers one server follows, over each protocol (BENCH_ARGS=...)
	@$(BENCHED) bench/live.sh build-models/paraformer $(BENCH_ARGS)

bench-server: build-bench ## measure the server with a Whisper of base's size under 1, 4 and 16 clients
	@dir=$$(mktemp -d) && trap 'rm -rf "$$dir"' EXIT && build-bench/bench/random_model base "$$dir/base.bin" 27 && \
		$(BENCHED) bench/whisper_server.py "$$dir/base.bin" $(BENCH_ARGS)

bench-accuracy: build-bench ## measure what int8 and a short encoder context cost in words
	@$(BENCHED) bench/whisper_accuracy.py $(BENCH_ARGS)
	@$(BENCHED) bench/paraformer_accuracy.py $(BENCH_ARGS)

deb: ## build the Debian packages into dist/
	@scripts/deps.sh build deb
	@scripts/deb.sh

format: ## rewrite the C sources as .clang-format wants them
	@git ls-files '*.c' '*.h' | xargs clang-format -i

clean: ## remove what was built
	rm -rf build build-* dist

.DEFAULT_GOAL := help
.PHONY: help deps build run test asan tsan fuzz bench build-bench bench-kernels bench-sockets bench-whisper bench-paraformer \
	bench-live bench-server bench-accuracy deb format clean
