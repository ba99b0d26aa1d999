# make demo    set up, pack ministos and boot it
# make test    set up, then every check and every test
# make bench   set up, then the benchmarks: BENCH_ROUNDS=20 rounds, results into bench/results
# make fuzz    set up, then feed broken inputs to packer and runner: FUZZ_SECONDS for each target, or for FUZZ_TARGET
# make faults  set up, then let each system call of the commands fail, and kill them at each
# make platforms  set up, then compile both commands, without making programs of it, for each system that they are for
# make macos   set up, then do that for macOS on 64-bit ARM alone, as `make test` does
# make musl    set up, then test the sandbox in a static build with musl, as releases have it
# make deny    look at licences, duplicates and sources of the crates, and at what is known against them
# make guide   make a book of docs/ in target/guide, and look where its links lead
# make oracle  set up, then let a second reader of the format check ORACLE_MUTANTS broken images
# make processor  execute CASES random instructions on the embedded machine and on this processor, from SEED on
# make repro   pack every manifest in many surroundings and compare the images
# make counts  set up, then compare counted instructions with the recorded ones; make record-counts records them
# make dist    set up, then make the packages of a release in target/dist; make dist-check tries them in fresh systems, as root
# See docs/development.md.

CARGO ?= cargo
# The tools are run from here, whatever the environment says.
export CARGO_TARGET_DIR := $(CURDIR)/target
PACK := target/release/stos-pack
RUN := target/release/stos-run
FUZZ_SECONDS ?= 600
ORACLE_MUTANTS ?= 10000
CASES ?= 100000000
SEED ?= 1
COUNT = $(CARGO) run --quiet -p stos-tests --bin count-instructions -- $(PACK) $(RUN)

# Linked statically and to fixed addresses, where there is a C library for it (Debian and Ubuntu have it in libc6-dev): docs/performance.md.
# For a named target, as macros of Rust can't be linked so.
HOST := $(shell rustc -vV 2>/dev/null | sed -n 's/^host: //p')
BUILT := target/release
ifneq ($(and $(filter %-linux-gnu,$(HOST)),$(filter /%,$(shell gcc -print-file-name=libc.a 2>/dev/null))),)
STATIC := --target $(HOST) --config 'target.$(HOST).rustflags="-C target-feature=+crt-static -C relocation-model=static"'
BUILT := target/$(HOST)/release
endif

.PHONY: demo test wasm macos platforms counts record-counts bench fuzz record-corpus oracle processor faults musl repro build examples dist dist-check lint deny guide setup-demo setup-test setup-platforms setup-fuzz setup-dist setup-dist-check setup-linux clean

demo: setup-demo build examples
	@echo
	$(PACK) manifests/ministos.yaml -o target/ministos.img
	$(RUN) target/ministos.img

test: setup-test setup-linux lint wasm macos deny guide build examples
	$(CARGO) build --workspace --bins
	@CARGO='$(CARGO)' scripts/test.sh
	scripts/repro.sh quick
	$(COUNT)

counts: setup-test build examples
	$(COUNT)

record-counts: setup-test build examples
	$(COUNT) --record

# What is measured is what `make build` gives: cargo's own build for a benchmark is linked when it starts.
bench: setup-test examples build
	BENCH_PROGRAM=$(BUILT)/stos-run $(CARGO) bench -p stos-tests --bench compare
	$(CARGO) bench -p stos-pack -p stos-run -p stos-machine

fuzz: setup-fuzz
	FUZZ_SECONDS='$(FUZZ_SECONDS)' FUZZ_TARGET='$(FUZZ_TARGET)' scripts/fuzz.sh

record-corpus: setup-fuzz
	FUZZ_TARGET='$(FUZZ_TARGET)' scripts/fuzz.sh --record

oracle: setup-test examples
	ORACLE_MUTANTS='$(ORACLE_MUTANTS)' $(CARGO) test -p stos-tests --test oracle -- --nocapture --test-threads 1

processor: setup-test
	CASES='$(CASES)' SEED='$(SEED)' $(CARGO) test --release -p stos-machine --test native -- --nocapture

faults: setup-test examples
	FAULTS=all $(CARGO) test -p stos-tests --test faults -- --nocapture

musl: setup-dist examples
	$(CARGO) test --target x86_64-unknown-linux-musl -p stos-run --test sandbox --test endings

repro: setup-demo build examples
	$(CARGO) build -p stos-pack
	scripts/repro.sh

dist: setup-dist examples
	@CARGO='$(CARGO)' scripts/dist.sh

dist-check: setup-dist-check dist
	@CARGO='$(CARGO)' scripts/dist-check.sh

lint:
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS='-D warnings' $(CARGO) doc --workspace --no-deps --document-private-items

wasm:
	@CARGO='$(CARGO)' scripts/wasm.sh

platforms: setup-platforms
	@CARGO='$(CARGO)' scripts/platforms.sh

# The one that has least in common with this system. All of them take six minutes.
macos: setup-platforms
	@CARGO='$(CARGO)' scripts/platforms.sh aarch64-apple-darwin

deny:
	@CARGO='$(CARGO)' scripts/deny.sh

guide:
	@CARGO='$(CARGO)' scripts/guide.sh

build:
	$(CARGO) build --release -p stos-pack -p stos-run $(STATIC)
ifdef STATIC
	mkdir -p target/release
	ln -f $(BUILT)/stos-pack $(BUILT)/stos-run target/release/
endif

examples:
	@$(MAKE) --no-print-directory -C examples

setup-demo:
	@scripts/setup.sh demo

setup-test:
	@scripts/setup.sh test

setup-platforms:
	@scripts/setup.sh platforms

setup-fuzz:
	@scripts/setup.sh fuzz

setup-dist:
	@scripts/setup.sh dist

setup-dist-check:
	@scripts/setup.sh dist-check

# What manifests/linux.yaml names. The test `linux` does it by itself.
setup-linux:
	@scripts/fetch-linux.sh

clean:
	$(CARGO) clean
	$(MAKE) -C examples clean
