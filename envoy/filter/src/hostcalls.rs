//! What the filter asks of Envoy. Each call returns what it got; none panics.
//!
//! The SDK's own calls panic on any status they do not expect and leave the response details
//! empty, so these go to the ABI directly (proxy-wasm 0.2.1). Statuses: 0 is success.

#![expect(unsafe_code, reason = "imports functions of the proxy-wasm ABI")]

use crate::answer::Answer;
use crate::environ;
use crate::headers;
use crate::proxy::{Level, Map, Metric, Proxy, SharedData};

/// Envoy, as it calls this VM right now.
#[derive(Debug)]
pub struct Envoy;

/// Which buffer.
#[derive(Clone, Copy, Debug)]
enum Buffer {
    RequestBody = 0,
    PluginConfiguration = 7,
}

/// `proxy_continue_stream`: of the request.
const REQUEST_STREAM: u32 = 0;
/// `grpc_status` of an answer that is not gRPC.
const NOT_GRPC: i32 = -1;

#[link(wasm_import_module = "env")]
unsafe extern "C" {
    fn proxy_log(level: u32, text: *const u8, bytes: usize) -> u32;
    safe fn proxy_get_current_time_nanoseconds(time: &mut u64) -> u32;
    safe fn proxy_set_tick_period_milliseconds(period: u32) -> u32;
    safe fn proxy_set_effective_context(context_id: u32) -> u32;
    safe fn proxy_increment_metric(id: u32, by: i64) -> u32;
    fn proxy_define_metric(kind: u32, name: *const u8, bytes: usize, id: &mut u32) -> u32;
    fn proxy_get_buffer_bytes(
        kind: u32,
        start: usize,
        max: usize,
        data: &mut *mut u8,
        bytes: &mut usize,
    ) -> u32;
    fn proxy_get_header_map_pairs(kind: u32, data: &mut *mut u8, bytes: &mut usize) -> u32;
    fn proxy_remove_header_map_value(kind: u32, name: *const u8, bytes: usize) -> u32;
    fn proxy_replace_header_map_value(
        kind: u32,
        name: *const u8,
        name_bytes: usize,
        value: *const u8,
        value_bytes: usize,
    ) -> u32;
    fn proxy_send_local_response(
        status: u32,
        details: *const u8,
        details_bytes: usize,
        body: *const u8,
        body_bytes: usize,
        headers: *const u8,
        headers_bytes: usize,
        grpc_status: i32,
    ) -> u32;
    safe fn proxy_record_metric(id: u32, value: u64) -> u32;
    safe fn proxy_continue_stream(stream: u32) -> u32;
    fn proxy_get_header_map_value(
        kind: u32,
        name: *const u8,
        name_bytes: usize,
        data: &mut *mut u8,
        bytes: &mut usize,
    ) -> u32;
    fn proxy_get_property(
        path: *const u8,
        path_bytes: usize,
        data: &mut *mut u8,
        bytes: &mut usize,
    ) -> u32;
    fn proxy_set_property(
        path: *const u8,
        path_bytes: usize,
        value: *const u8,
        value_bytes: usize,
    ) -> u32;
    fn proxy_get_shared_data(
        key: *const u8,
        key_bytes: usize,
        data: &mut *mut u8,
        bytes: &mut usize,
        cas: &mut u32,
    ) -> u32;
    fn proxy_set_shared_data(
        key: *const u8,
        key_bytes: usize,
        value: *const u8,
        value_bytes: usize,
        cas: u32,
    ) -> u32;
    fn proxy_call_foreign_function(
        name: *const u8,
        name_bytes: usize,
        argument: *const u8,
        argument_bytes: usize,
        data: &mut *mut u8,
        bytes: &mut usize,
    ) -> u32;
}

// Every `unsafe` below hands out pointers to borrowed text that the host reads during the call only,
// or takes what the host has left in our memory: see `take`.

impl Proxy for Envoy {
    fn log(&self, level: Level, text: &str) {
        // SAFETY: see above.
        unsafe { proxy_log(level as u32, text.as_ptr(), text.len()) };
    }

    fn now_ms(&self) -> Option<u64> {
        let mut time_ns = 0;
        (proxy_get_current_time_nanoseconds(&mut time_ns) == 0).then_some(time_ns / 1_000_000)
    }

    fn configuration(&self) -> Vec<u8> {
        buffer(Buffer::PluginConfiguration, usize::MAX).unwrap_or_default()
    }

    fn variables(&self) -> Vec<String> {
        environ::variables()
    }

    fn tick_every(&self, period_ms: u32) -> bool {
        proxy_set_tick_period_milliseconds(period_ms) == 0
    }

    fn speak_for(&self, context_id: u32) -> bool {
        proxy_set_effective_context(context_id) == 0
    }

    fn define(&self, metric: Metric, name: &str) -> Option<u32> {
        let mut id = 0;
        // SAFETY: see above.
        let status =
            unsafe { proxy_define_metric(metric as u32, name.as_ptr(), name.len(), &mut id) };
        (status == 0).then_some(id)
    }

    fn add(&self, id: u32, by: u32) {
        proxy_increment_metric(id, i64::from(by));
    }

    fn record(&self, id: u32, value: u64) {
        proxy_record_metric(id, value);
    }

    fn pairs(&self, map: Map) -> Option<Vec<u8>> {
        // SAFETY: see above.
        given(|data, bytes| unsafe { proxy_get_header_map_pairs(map as u32, data, bytes) })
    }

    fn value(&self, map: Map, name: &str) -> Option<Vec<u8>> {
        // SAFETY: see above.
        given(|data, bytes| unsafe {
            proxy_get_header_map_value(map as u32, name.as_ptr(), name.len(), data, bytes)
        })
    }

    fn remove(&self, map: Map, name: &[u8]) -> bool {
        // SAFETY: see above.
        unsafe { proxy_remove_header_map_value(map as u32, name.as_ptr(), name.len()) == 0 }
    }

    fn set(&self, name: &str, value: &[u8]) -> bool {
        // SAFETY: see above.
        let status = unsafe {
            proxy_replace_header_map_value(
                Map::RequestHeaders as u32,
                name.as_ptr(),
                name.len(),
                value.as_ptr(),
                value.len(),
            )
        };
        status == 0
    }

    fn body(&self, max: usize) -> Option<Vec<u8>> {
        buffer(Buffer::RequestBody, max)
    }

    fn send(&self, answer: &Answer) -> bool {
        let lines = answer.headers.iter();
        let lines: Vec<_> = lines.map(|(name, value)| (name.as_bytes(), value)).collect();
        let list = headers::write_pairs(&lines);
        // SAFETY: see above.
        let status = unsafe {
            proxy_send_local_response(
                answer.status,
                answer.details.as_ptr(),
                answer.details.len(),
                answer.body.as_ptr(),
                answer.body.len(),
                list.as_ptr(),
                list.len(),
                NOT_GRPC,
            )
        };
        status == 0
    }

    fn resume(&self) -> bool {
        proxy_continue_stream(REQUEST_STREAM) == 0
    }

    fn rematch_route(&self) -> bool {
        let name = "clear_route_cache";
        // SAFETY: see above.
        let answer = given(|data, bytes| unsafe {
            proxy_call_foreign_function(name.as_ptr(), name.len(), name.as_ptr(), 0, data, bytes)
        });
        answer.is_some()
    }

    fn note(&self, name: &str, value: &str) -> bool {
        let path = format!("livekit_webhook.{name}");
        // SAFETY: see above.
        let status =
            unsafe { proxy_set_property(path.as_ptr(), path.len(), value.as_ptr(), value.len()) };
        status == 0
    }

    fn answer_details(&self) -> Option<Vec<u8>> {
        let path = "response\0code_details";
        // SAFETY: see above.
        given(|data, bytes| unsafe { proxy_get_property(path.as_ptr(), path.len(), data, bytes) })
    }
}

impl SharedData for Envoy {
    fn shared(&self, key: &str) -> Option<(Vec<u8>, u32)> {
        let mut cas = 0;
        // SAFETY: see above.
        let value = given(|data, bytes| unsafe {
            proxy_get_shared_data(key.as_ptr(), key.len(), data, bytes, &mut cas)
        });
        Some((value?, cas))
    }

    fn share(&self, key: &str, value: &[u8], cas: u32) -> bool {
        // SAFETY: see above.
        let status = unsafe {
            proxy_set_shared_data(key.as_ptr(), key.len(), value.as_ptr(), value.len(), cas)
        };
        status == 0
    }
}

fn buffer(kind: Buffer, max: usize) -> Option<Vec<u8>> {
    // SAFETY: see above.
    given(|data, bytes| unsafe { proxy_get_buffer_bytes(kind as u32, 0, max, data, bytes) })
}

/// What a call leaves in our memory; `None` when it does not answer 0.
fn given(call: impl FnOnce(&mut *mut u8, &mut usize) -> u32) -> Option<Vec<u8>> {
    let (mut data, mut bytes) = (std::ptr::null_mut(), 0);
    (call(&mut data, &mut bytes) == 0).then(|| take(data, bytes))
}

/// Owns what the host left in our memory.
fn take(data: *mut u8, bytes: usize) -> Vec<u8> {
    if data.is_null() {
        return Vec::new();
    }
    // SAFETY: the host got this area from `abi::proxy_on_memory_allocate`, with this size, and
    // gives it away.
    unsafe { Vec::from_raw_parts(data, bytes, bytes) }
}
