# Names of commands. `make demo` and `make test` do all the set-up themselves.
.PHONY: demo run test soak lint bench guests languages envoy receivers oci fuzz clean

# Every native build selects the whole workspace: a smaller selection would unify features otherwise and compile
# wasmtime a second time.
CARGO ?= cargo
BUILD = $(CARGO) build --workspace --locked

demo: set-up ## The main job on real parts, from a signed event to its delivery
	@$(BUILD)
	@target/debug/demo

run: set-up ## The same system, left up until Ctrl-C
	@$(BUILD)
	@target/debug/demo --stay

test: set-up receivers ## Every test
	@$(BUILD) --all-targets
	@tests/setup/languages
	@$(CARGO) test --workspace --locked

soak: set-up ## Kills, seeds and events by the hundred, until a promise breaks
	@$(BUILD)
	@SIMULATION_SEEDS=5000 $(CARGO) test --workspace --locked --lib simulation::seeds
	@target/debug/soak

lint: ## Format and clippy, warnings as errors
	@$(CARGO) fmt --all --check
	@$(CARGO) clippy --workspace --all-targets --locked -- -D warnings
	@tests/setup/guests --lint

bench: set-up ## The performance table
	@$(CARGO) build --workspace --locked --release --bin livekit-webhook --bin bench
	@target/release/bench

guests: ## The wasm guests: filter, judge, plugins
	@tests/setup/guests

envoy: ## The path of a usable Envoy
	@tests/setup/envoy

receivers: ## The published receivers that judge our deliveries
	@tests/setup/receivers >/dev/null

languages: ## The plugins that are not Rust
	@tests/setup/languages

oci: guests ## The filter as an OCI image layout, without a container engine
	@tests/setup/oci

fuzz: ## Bounded fuzzing of the token, the envelope and the filter
	@tests/setup/fuzz

clean:
	@$(CARGO) clean

.PHONY: set-up
set-up: guests
	@tests/setup/envoy >/dev/null
	@tests/setup/postgres >/dev/null
