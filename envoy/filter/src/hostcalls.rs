//! What the filter asks of Envoy. Each call returns what it got; none panics.
//!
//! The SDK's own calls panic on any status they do not expect and leave the response details
//! empty, so these go to the ABI directly (proxy-wasm 0.2.1). Statuses: 0 is success.

#![expect(unsafe_code, reason = "imports functions of the proxy-wasm ABI")]

use crate::answer::Answer;
use crate::headers;

/// Which list of headers.
#[derive(Clone, Copy, Debug)]
pub enum Map {
    /// Of the request.
    RequestHeaders = 0,
    /// Of the request, after its body.
    RequestTrailers = 1,
}

/// Which buffer.
#[derive(Clone, Copy, Debug)]
enum Buffer {
    RequestBody = 0,
    PluginConfiguration = 7,
}

/// How loud.
#[derive(Clone, Copy, Debug)]
pub enum Level {
    /// For the record.
    Info = 2,
    /// Works, but not as wished.
    Warn = 3,
    /// Does not work.
    Error = 4,
}

/// `grpc_status` of an answer that is not gRPC.
const NOT_GRPC: i32 = -1;
const COUNTER: u32 = 0;

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
}

/// Writes to Envoy's log.
pub fn log(level: Level, text: &str) {
    // SAFETY: the host reads `text` during the call only. So it is with every call below that
    // takes a pointer and a length.
    unsafe { proxy_log(level as u32, text.as_ptr(), text.len()) };
}

/// Unix time in milliseconds. `None`: the host has no clock, and nothing can be judged.
pub fn now_ms() -> Option<u64> {
    let mut time_ns = 0;
    (proxy_get_current_time_nanoseconds(&mut time_ns) == 0).then_some(time_ns / 1_000_000)
}

/// Asks for a tick every `period_ms`.
pub fn tick_every(period_ms: u32) -> bool {
    proxy_set_tick_period_milliseconds(period_ms) == 0
}

/// Makes the calls that follow speak for another request.
pub fn speak_for(context_id: u32) -> bool {
    proxy_set_effective_context(context_id) == 0
}

/// Defines a counter.
pub fn define_counter(name: &str) -> Option<u32> {
    let mut id = 0;
    // SAFETY: see `log`.
    let status = unsafe { proxy_define_metric(COUNTER, name.as_ptr(), name.len(), &mut id) };
    (status == 0).then_some(id)
}

/// Adds one to a counter.
pub fn count(id: u32) {
    proxy_increment_metric(id, 1);
}

/// The plugin's configuration; empty when there is none.
pub fn configuration() -> Vec<u8> {
    buffer(Buffer::PluginConfiguration, usize::MAX).unwrap_or_default()
}

/// What is buffered of the request's body, at most `max` bytes. `None`: nothing can be read.
pub fn body(max: usize) -> Option<Vec<u8>> {
    buffer(Buffer::RequestBody, max)
}

fn buffer(kind: Buffer, max: usize) -> Option<Vec<u8>> {
    let (mut data, mut bytes) = (std::ptr::null_mut(), 0);
    // SAFETY: see `log`; the host writes both results before it returns 0.
    let status = unsafe { proxy_get_buffer_bytes(kind as u32, 0, max, &mut data, &mut bytes) };
    if status == 0 { take(data, bytes) } else { None }
}

/// The list as the ABI writes it, for [`headers::parse_pairs`].
pub fn pairs(map: Map) -> Option<Vec<u8>> {
    let (mut data, mut bytes) = (std::ptr::null_mut(), 0);
    // SAFETY: see `buffer`.
    let status = unsafe { proxy_get_header_map_pairs(map as u32, &mut data, &mut bytes) };
    if status == 0 { take(data, bytes) } else { None }
}

/// Owns what the host left in our memory.
fn take(data: *mut u8, bytes: usize) -> Option<Vec<u8>> {
    if data.is_null() {
        return Some(Vec::new());
    }
    // SAFETY: the host got this area from the allocator that this module exports, with this
    // size, and gives it away.
    Some(unsafe { Vec::from_raw_parts(data, bytes, bytes) })
}

/// Removes every header of this name.
pub fn remove(map: Map, name: &[u8]) -> bool {
    // SAFETY: see `log`.
    unsafe { proxy_remove_header_map_value(map as u32, name.as_ptr(), name.len()) == 0 }
}

/// Sets a request header: all earlier values of this name are gone.
pub fn set(name: &str, value: &str) -> bool {
    let (name, value) = (name.as_bytes(), value.as_bytes());
    // SAFETY: see `log`.
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

/// Answers the request here.
pub fn send(answer: &Answer) -> bool {
    let lines: Vec<_> = answer.headers.iter().map(|(name, value)| (*name, &**value)).collect();
    let list = headers::write_pairs(&lines);
    // SAFETY: see `log`.
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
