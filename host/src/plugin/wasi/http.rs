//! `wasi:http`: linked, so that components whose runtime has it load. What is sent goes through the
//! gate, which answers its hooks.

use super::Wasi;
use crate::plugin::instance::State;
use wasmtime::component::Linker;
use wasmtime_wasi_http::{WasiHttpCtx, WasiHttpCtxView, WasiHttpView};

/// Headers of one request or answer, in bytes as the engine counts them.
const FIELDS_BYTES_MAX: usize = 32 * 1024;

/// What one instance has of it.
pub struct Http {
    ctx: WasiHttpCtx,
}

/// Gives a linker `wasi:http/types` and `wasi:http/outgoing-handler`.
///
/// # Errors
/// When the linker has them already.
pub fn link(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    wasmtime_wasi_http::p2::add_only_http_to_linker_async(linker)
}

impl Default for Http {
    fn default() -> Self {
        let mut ctx = WasiHttpCtx::new();
        ctx.set_field_size_limit(FIELDS_BYTES_MAX);
        Self { ctx }
    }
}

impl WasiHttpView for State {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        let (Wasi { table, http, .. }, gate) = self.wasi();
        WasiHttpCtxView { hooks: gate, table, ctx: &mut http.ctx }
    }
}
