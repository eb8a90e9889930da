//! The wire crate behind a C-like ABI.
//!
//! A host asks for room with [`request`], writes one request there, calls [`judge`] and reads the
//! reason. The same rules run natively elsewhere, so a host can hold both to one verdict.
//!
//! A request is a row of byte strings, each after its length as a 32-bit little-endian number: API
//! key, secret, `now` in unix seconds as 64-bit little-endian, body, then any number of
//! `Authorization` values.
//!
//! The module keeps one request and one reason: it serves one caller at a time.

use std::sync::{Mutex, MutexGuard, PoisonError};

use livekit_webhook_wire::envelope::Envelope;
use livekit_webhook_wire::keys::KeyRing;
use livekit_webhook_wire::verify::{Rules, Verifier};

/// The verdict: authentic and usable. The reason is the event.
pub const ACCEPT: i32 = 0;
/// The verdict: not authentic, or unusable. The reason is the code.
pub const REJECT: i32 = 1;
/// No verdict: the request is not of the form above.
pub const INVALID: i32 = 2;

static REQUEST: Mutex<Vec<u8>> = Mutex::new(Vec::new());
static REASON: Mutex<Vec<u8>> = Mutex::new(Vec::new());

/// Makes room for a request of `len` bytes and says where. Valid until the next call of this.
#[expect(unsafe_code, reason = "an exported name is the only way into a module")]
#[unsafe(no_mangle)]
pub extern "C" fn request(len: usize) -> *mut u8 {
    let mut request = lock(&REQUEST);
    *request = vec![0; len];
    request.as_mut_ptr()
}

/// Judges the request: [`ACCEPT`], [`REJECT`] or [`INVALID`].
#[expect(unsafe_code, reason = "an exported name is the only way into a module")]
#[unsafe(no_mangle)]
pub extern "C" fn judge() -> i32 {
    let (verdict, reason) = match judged(&lock(&REQUEST)) {
        None => (INVALID, String::new()),
        Some(Ok(event)) => (ACCEPT, event),
        Some(Err(code)) => (REJECT, code.to_owned()),
    };
    *lock(&REASON) = reason.into_bytes();
    verdict
}

/// Where the last verdict's reason is. Valid until the next call of [`judge`].
#[expect(unsafe_code, reason = "an exported name is the only way into a module")]
#[unsafe(no_mangle)]
pub extern "C" fn reason() -> *const u8 {
    lock(&REASON).as_ptr()
}

/// How many bytes of UTF-8 it has.
#[expect(unsafe_code, reason = "an exported name is the only way into a module")]
#[unsafe(no_mangle)]
pub extern "C" fn reason_len() -> usize {
    lock(&REASON).len()
}

/// The event, or the code of what was wrong. `None`: the request is of another form.
fn judged(mut request: &[u8]) -> Option<Result<String, &'static str>> {
    let api_key = std::str::from_utf8(field(&mut request)?).ok()?;
    let secret = field(&mut request)?;
    let now_s = i64::from_le_bytes(field(&mut request)?.try_into().ok()?);
    let body = field(&mut request)?;
    let mut authorization = Vec::new();
    while !request.is_empty() {
        authorization.push(field(&mut request)?);
    }
    let mut keys = KeyRing::new();
    // What cannot be inserted leaves the ring empty, and an empty ring refuses everything.
    let _ = keys.insert(api_key, secret);
    let verified = Verifier::new(keys, Rules::default()).verify(authorization, body, now_s);
    Some(match verified {
        Err(rejection) => Err(rejection.code()),
        Ok(_) => Envelope::parse(body).map(|envelope| envelope.event).map_err(|e| e.code()),
    })
}

/// The next byte string, taken off the front of `rest`.
fn field<'r>(rest: &mut &'r [u8]) -> Option<&'r [u8]> {
    let (length, after) = rest.split_first_chunk::<4>()?;
    let length = usize::try_from(u32::from_le_bytes(*length)).ok()?;
    let (field, after) = after.split_at_checked(length)?;
    *rest = after;
    Some(field)
}

/// Nothing panics while it holds a lock, so a poisoned one is as good as any.
fn lock(buffer: &Mutex<Vec<u8>>) -> MutexGuard<'_, Vec<u8>> {
    buffer.lock().unwrap_or_else(PoisonError::into_inner)
}
