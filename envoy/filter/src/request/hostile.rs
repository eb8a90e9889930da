//! A proxy whose every answer is made of a stranger's bytes: what the fuzzer and a property drive
//! the filter with.
//!
//! The filter must come through without a panic, and must let nothing on but the one body that is
//! signed, after the head that signs it.

use std::cell::{Cell, RefCell};

use livekit_webhook_filter::answer::Answer;
use livekit_webhook_filter::filter::Filter;
use livekit_webhook_filter::headers::write_pairs;
use livekit_webhook_filter::proxy::{Level, Map, Metric, Proxy, SharedData};
use livekit_webhook_filter::request::Flow;
use livekit_webhook_wire::sign;

const PLUGIN: u32 = 1;
const KEY: &str = "APIkey";
const SECRET: &str = "a secret that no stranger knows";
const BODY: &[u8] = br#"{"event":"room_started","id":"EV_1","room":{"name":"r"}}"#;
const NOW_MS: u64 = 1_795_435_200_000;
const JSON: [&str; 3] = [
    "{}",
    r#"{"dedupe": {"mode": "ack", "slots": 64}, "rate_limit": {"requests_per_s": 1}}"#,
    r#"{"routes": [{"path": "/a", "events": {"exclude": ["*"], "on_filtered": "pass"}}]}"#,
];

/// The bytes that are left, and what was given away of the signed request.
struct Hostile<'a> {
    bytes: RefCell<&'a [u8]>,
    json: &'static str,
    head_is_signed: Cell<bool>,
    body_is_signed: Cell<bool>,
}

/// Configures the filter and calls it back as `data` says. Returns how often it let something on.
///
/// # Panics
/// When something passes that must not.
pub fn drive(data: &[u8]) -> usize {
    let (first, rest) = data.split_first().unwrap_or((&0, &[]));
    let proxy = Hostile {
        bytes: RefCell::new(rest),
        json: JSON[usize::from(*first) % JSON.len()],
        head_is_signed: Cell::new(false),
        body_is_signed: Cell::new(false),
    };
    let mut filter = Filter::default();
    filter.create(PLUGIN, 0);
    if !filter.configure(&proxy, PLUGIN) {
        return 0;
    }
    let (mut id, mut let_on) = (PLUGIN, 0);
    while let Some(step) = proxy.byte() {
        let end = step & 0x80 != 0;
        let flow = match step % 8 {
            0 | 1 => {
                id += 1;
                proxy.head_is_signed.set(false);
                proxy.body_is_signed.set(false);
                filter.create(id, PLUGIN);
                filter.request_headers(&proxy, id, end)
            }
            2 | 3 => filter.request_body(&proxy, id, proxy.number(), end),
            4 => filter.request_trailers(&proxy, id),
            5 => {
                filter.response_headers(&proxy, id);
                Flow::Pause
            }
            6 => {
                filter.tick(&proxy, PLUGIN);
                Flow::Pause
            }
            _ => {
                filter.delete(&proxy, id);
                Flow::Pause
            }
        };
        let signed = proxy.head_is_signed.get() && proxy.body_is_signed.get();
        assert!(flow == Flow::Pause || signed, "let on what nobody signed");
        let_on += usize::from(flow == Flow::Continue);
    }
    let_on
}

impl Hostile<'_> {
    fn byte(&self) -> Option<u8> {
        let bytes = *self.bytes.borrow();
        let (first, rest) = bytes.split_first()?;
        self.bytes.replace(rest);
        Some(*first)
    }

    /// Mostly: a proxy that says no to everything shows nothing.
    fn agrees(&self) -> bool {
        self.byte().is_none_or(|byte| byte != 0)
    }

    fn number(&self) -> usize {
        usize::from(self.byte().unwrap_or(0)) * usize::from(self.byte().unwrap_or(1))
    }

    fn some(&self) -> Vec<u8> {
        let length = usize::from(self.byte().unwrap_or(0));
        let bytes = *self.bytes.borrow();
        let (taken, rest) = bytes.split_at(length.min(bytes.len()));
        self.bytes.replace(rest);
        taken.to_vec()
    }

    fn signed_head(&self) -> Vec<u8> {
        self.head_is_signed.set(true);
        let now_s = i64::try_from(NOW_MS / 1_000).unwrap_or(0);
        let token = sign::authorization(KEY, SECRET.as_bytes(), BODY, now_s);
        let (name, value) = (self.some(), self.some());
        write_pairs(&[
            (&b":method"[..], &b"POST"[..]),
            (b":path", b"/a"),
            (b"authorization", token.as_bytes()),
            (&name, &value),
        ])
    }
}

impl Proxy for Hostile<'_> {
    fn log(&self, _level: Level, _text: &str) {}

    fn now_ms(&self) -> Option<u64> {
        self.agrees().then_some(NOW_MS)
    }

    fn configuration(&self) -> Vec<u8> {
        self.json.as_bytes().to_vec()
    }

    fn variables(&self) -> Vec<String> {
        vec![format!("LIVEKIT_KEYS={KEY}: {SECRET}")]
    }

    fn tick_every(&self, _period_ms: u32) -> bool {
        true
    }

    fn speak_for(&self, _context_id: u32) -> bool {
        self.agrees()
    }

    fn define(&self, _metric: Metric, _name: &str) -> Option<u32> {
        Some(1)
    }

    fn add(&self, _id: u32, _by: u32) {}

    fn record(&self, _id: u32, _value: u64) {}

    fn pairs(&self, _map: Map) -> Option<Vec<u8>> {
        match self.byte()? % 4 {
            0 => None,
            1 => Some(self.some()),
            2 => Some(write_pairs(&[
                (&b":method"[..], b"POST".to_vec()),
                (b":path", self.some()),
                (b"authorization", self.some()),
                (b"content-length", self.some()),
            ])),
            _ => Some(self.signed_head()),
        }
    }

    fn value(&self, _map: Map, _name: &str) -> Option<Vec<u8>> {
        Some(self.some())
    }

    fn remove(&self, _map: Map, _name: &[u8]) -> bool {
        self.agrees()
    }

    fn set(&self, _name: &str, _value: &[u8]) -> bool {
        self.agrees()
    }

    fn body(&self, max: usize) -> Option<Vec<u8>> {
        let body = match self.byte()? % 3 {
            0 => return None,
            1 => self.some(),
            _ => BODY.to_vec(),
        };
        self.body_is_signed.set(body == BODY);
        Some(body.into_iter().take(max).collect())
    }

    fn send(&self, _answer: &Answer) -> bool {
        self.agrees()
    }

    fn resume(&self) -> bool {
        panic!("resumed in enforce mode");
    }

    fn rematch_route(&self) -> bool {
        self.agrees()
    }

    fn note(&self, _name: &str, _value: &str) -> bool {
        self.agrees()
    }

    fn answer_details(&self) -> Option<Vec<u8>> {
        Some(self.some())
    }
}

impl SharedData for Hostile<'_> {
    fn shared(&self, _key: &str) -> Option<(Vec<u8>, u32)> {
        self.agrees().then(|| (self.some(), 1))
    }

    fn share(&self, _key: &str, _value: &[u8], _cas: u32) -> bool {
        self.agrees()
    }
}
