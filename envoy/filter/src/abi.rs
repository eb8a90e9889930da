//! What Envoy calls (proxy-wasm 0.2.1), handed to the one [`Filter`] of this VM.
//!
//! Only what is needed is exported: Envoy does not enter the VM for a callback that is not there.
//! A callback that comes while another one runs would be a fault of the proxy; it finds the filter
//! borrowed, and nothing passes because of it.

#![expect(unsafe_code, reason = "exports the functions of the proxy-wasm ABI")]

use std::cell::RefCell;

use crate::filter::Filter;
use crate::hostcalls::Envoy;
use crate::proxy::{Level, Proxy as _};
use crate::request::Flow;

thread_local! {
    static FILTER: RefCell<Filter> = RefCell::default();
}

fn with<T>(otherwise: T, call: impl FnOnce(&mut Filter) -> T) -> T {
    FILTER.with(|filter| filter.try_borrow_mut().map_or(otherwise, |mut filter| call(&mut filter)))
}

/// Says which version of the ABI this is by being there.
#[unsafe(no_mangle)]
extern "C" fn proxy_abi_version_0_2_1() {}

/// The VM starts. A panic, if there should ever be one, is written to Envoy's log.
#[unsafe(no_mangle)]
extern "C" fn _initialize() {
    std::panic::set_hook(Box::new(|panic| Envoy.log(Level::Error, &panic.to_string())));
}

/// Room for what a host call gives us; `hostcalls::take` owns it then.
#[unsafe(no_mangle)]
extern "C" fn proxy_on_memory_allocate(bytes: usize) -> *mut u8 {
    let mut room = std::mem::ManuallyDrop::new(Vec::<u8>::with_capacity(bytes));
    room.as_mut_ptr()
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_context_create(context_id: u32, parent: u32) {
    with((), |filter| filter.create(context_id, parent));
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_vm_start(_plugin_id: u32, _bytes: usize) -> bool {
    true
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_configure(plugin_id: u32, _bytes: usize) -> bool {
    with(false, |filter| filter.configure(&Envoy, plugin_id))
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_tick(plugin_id: u32) {
    with((), |filter| filter.tick(&Envoy, plugin_id));
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_request_headers(context_id: u32, _lines: usize, end: bool) -> u32 {
    with(Flow::Pause, |filter| filter.request_headers(&Envoy, context_id, end)) as u32
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_request_body(context_id: u32, bytes: usize, end: bool) -> u32 {
    with(Flow::Pause, |filter| filter.request_body(&Envoy, context_id, bytes, end)) as u32
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_request_trailers(context_id: u32, _lines: usize) -> u32 {
    with(Flow::Pause, |filter| filter.request_trailers(&Envoy, context_id)) as u32
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_response_headers(context_id: u32, _lines: usize, _end: bool) -> u32 {
    with(Flow::Continue, |filter| filter.response_headers(&Envoy, context_id)) as u32
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_delete(context_id: u32) {
    with((), |filter| filter.delete(&Envoy, context_id));
}
