//! WASI 0.2 for components that were not built with our SDK: all of it is linked, so that what
//! JavaScript, Python and C tool chains emit runs, and all of it is denied; but HTTP goes through
//! the gate, as the contract's own does.
//!
//! There are no preopened folders, no sockets, no names to look up, no environment, no arguments,
//! and standard input is at its end. Standard output and error become lines in the plugin's log.
//! The wall clock stands at the event's time, and a look at the monotonic one moves it by
//! [`STEP_NS`]; randomness is seeded from the plugin and the event's id. So a replay sees what the
//! first call saw. An operator can grant the machine's clock and randomness. `exit` ends the call.
//!
//! What is kept for it is made when a guest first calls it: a component without WASI pays nothing.
//!
//! Non-guarantee: a guest that waits for the event's clock to pass waits until its deadline.

mod http;
mod sources;
mod stdio;

use super::Input;
use super::instance::State;
use super::permission::{Clock, Random};
use sources::{Dice, Now, Steps};
use std::sync::Arc;
use stdio::{Output, Stream};
use wasmtime::component::{Linker, ResourceTable};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};
use wasmtime_wasi_http::WasiHttpCtx;

/// Most random bytes of one call.
const RANDOM_BYTES_MAX: u64 = 64 * 1024;
/// Resources of WASI (streams, pollables, fields) that one instance has at once.
const RESOURCES_MAX: usize = 1024;
/// How far one look moves the monotonic clock, in nanoseconds.
pub const STEP_NS: u64 = 1000;
/// Packages that are linked.
const PACKAGES: [&str; 7] = [
    "wasi:cli",
    "wasi:clocks",
    "wasi:filesystem",
    "wasi:http",
    "wasi:io",
    "wasi:random",
    "wasi:sockets",
];

/// What one instance has of WASI.
pub struct Wasi {
    ctx: WasiCtx,
    table: ResourceTable,
    http: WasiHttpCtx,
    output: Arc<Output>,
    dice: Dice,
    now: Now,
}

/// Whether this name of an import is one of WASI's, of whatever version.
pub fn is_wasi(import: &str) -> bool {
    import.starts_with("wasi:")
}

/// Whether an import of that name is linked. A later 0.2 than the linked one may still ask for a
/// function that is not there: the linker says so.
pub fn is_given(import: &str) -> bool {
    let Some((package, rest)) = import.split_once('/') else {
        return false;
    };
    let version = rest.split_once('@').map_or("", |(_, version)| version);
    PACKAGES.contains(&package) && version.starts_with("0.2.")
}

/// Whether it is of the generation after.
pub fn is_too_new(import: &str) -> bool {
    let version = import.split_once('@').map_or("", |(_, version)| version);
    is_wasi(import) && version.starts_with("0.3.")
}

/// Gives a linker what `imports` need of WASI, all of it or nothing.
///
/// # Errors
/// When the linker has some of it already.
pub fn link(linker: &mut Linker<State>, imports: &[String]) -> wasmtime::Result<()> {
    if !imports.iter().any(|name| is_wasi(name)) {
        return Ok(());
    }
    wasmtime_wasi::p2::add_to_linker_async(linker)?;
    if imports.iter().any(|name| name.starts_with("wasi:http/")) {
        http::link(linker)?;
    }
    Ok(())
}

// === impl Wasi ===

impl Wasi {
    /// For one instance of `plugin`, about one event.
    fn new(plugin: &str, input: &Input, (clock, random): (Clock, Random)) -> Box<Self> {
        let output = Arc::new(Output::default());
        let dice = Dice::new(plugin, &input.id, random);
        let now = Now::new(input.created_at_ms);
        let mut builder = WasiCtx::builder();
        builder
            .stdout(Stream::out(&output))
            .stderr(Stream::err(&output))
            .secure_random(dice.clone())
            .insecure_random(dice.clone())
            .insecure_random_seed(dice.seed())
            .max_random_size(RANDOM_BYTES_MAX);
        match clock {
            Clock::Event => {
                builder.wall_clock(now.clone()).monotonic_clock(Steps::default());
            }
            Clock::Real => {
                builder.wall_clock(sources::Machine).monotonic_clock(sources::Elapsed::default());
            }
        }
        let mut table = ResourceTable::new();
        table.set_max_capacity(RESOURCES_MAX);
        let ctx = builder.build();
        Box::new(Self { ctx, table, http: http::context(), output, dice, now })
    }

    /// The same instance, about another event.
    pub fn renew(&mut self, plugin: &str, event: &str, created_at_ms: u64) {
        self.dice.renew(plugin, event);
        self.now.set(created_at_ms);
    }
}

impl std::fmt::Debug for Wasi {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Wasi").finish_non_exhaustive()
    }
}

// === impl State ===

impl State {
    /// Writes what the guest has printed to the plugin's log: whole lines, or at the `end` of a
    /// call the rest too.
    pub fn flush(&mut self, end: bool) {
        if let Some(wasi) = &self.wasi {
            wasi.output.drain(&mut self.log, end);
        }
    }
}

impl WasiView for State {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        self.flush(false);
        let Wasi { ctx, table, .. } = &mut **self
            .wasi
            .get_or_insert_with(|| Wasi::new(self.log.plugin(), &self.input, self.granted));
        WasiCtxView { ctx, table }
    }
}

#[cfg(test)]
mod tests;
