//! `wasi:http`: linked, so that components whose runtime has it load.

use super::Wasi;
use crate::plugin::instance::State;
use wasmtime::component::Linker;
use wasmtime_wasi_http::{
    Error, RequestOptions, WasiBody, WasiHttpCtx, WasiHttpCtxView, WasiHttpHooks, WasiHttpView,
};

/// Headers of one request or answer, in bytes as the engine counts them.
const FIELDS_BYTES_MAX: usize = 32 * 1024;

/// What one instance has of it.
pub struct Http {
    ctx: WasiHttpCtx,
    hooks: Denied,
}

/// Sends nothing.
#[derive(Debug)]
struct Denied;

/// What the engine sends a request with: the answer, and then how the request's body ended.
type Sent = Result<
    (hyper::http::Response<WasiBody>, Box<dyn Future<Output = Result<(), Error>> + Send>),
    Error,
>;

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
        Self { ctx, hooks: Denied }
    }
}

impl WasiHttpHooks for Denied {
    fn send_request(
        &mut self,
        _request: hyper::http::Request<WasiBody>,
        _options: Option<RequestOptions>,
        _sent: Box<dyn Future<Output = Result<(), Error>> + Send>,
    ) -> Box<dyn Future<Output = Sent> + Send> {
        Box::new(async { Err(Error::HttpRequestDenied) })
    }
}

impl WasiHttpView for State {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        let Wasi { table, http, .. } = self.wasi();
        WasiHttpCtxView { hooks: &mut http.hooks, table, ctx: &mut http.ctx }
    }
}
