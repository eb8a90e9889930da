//! `wasi:http`, linked for components whose runtime has it. What they send goes through the gate.

use super::Wasi;
use crate::plugin::instance::State;
use wasmtime::component::Linker;
use wasmtime_wasi_http::{WasiHttpCtx, WasiHttpCtxView, WasiHttpView};

/// Headers of one request or answer, in bytes as the engine counts them.
const FIELDS_BYTES_MAX: usize = 32 * 1024;

/// Gives a linker `wasi:http/types` and `wasi:http/outgoing-handler`.
///
/// # Errors
/// When the linker has them already.
pub fn link(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    wasmtime_wasi_http::p2::add_only_http_to_linker_async(linker)
}

/// What one instance has of it.
pub fn context() -> WasiHttpCtx {
    let mut context = WasiHttpCtx::new();
    context.set_field_size_limit(FIELDS_BYTES_MAX);
    context
}

impl WasiHttpView for State {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        self.flush(false);
        let Wasi { table, http, .. } = &mut **self
            .wasi
            .get_or_insert_with(|| Wasi::new(self.log.plugin(), &self.input, self.granted));
        WasiHttpCtxView { hooks: &mut self.gate, table, ctx: http }
    }
}
