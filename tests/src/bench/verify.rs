//! What it costs to know that an event is authentic: our verifier natively and in wasm, and
//! LiveKit's own receiver.
//!
//! Four cases on the same bytes, interleaved by round. The wasm case is the judge module, which is
//! the filter's verifier without Envoy; it reads its keys anew for each event, so it is compared
//! with a native case that does so, too. Its number has the copy into the module in it. The other
//! two have their keys ready, as in use.

use super::table::Table;
use crate::judge::{self, Vector, Verdict, WasmJudge};
use anyhow::{Context as _, ensure};
use livekit_api::access_token::TokenVerifier;
use livekit_api::webhooks::WebhookReceiver;
use livekit_webhook::clock::{Clock as _, SystemClock};
use livekit_webhook_wire::envelope::Envelope;
use livekit_webhook_wire::keys::KeyRing;
use livekit_webhook_wire::sample::{self, Sample};
use livekit_webhook_wire::sign;
use livekit_webhook_wire::verify::{Rules, Verifier};
use std::time::Instant;

/// Size of the event, in bytes.
pub const EVENT_BYTES: usize = 1_536;
/// Calls of one case in one round.
const CALLS_A_ROUND: u32 = 100;
const API_KEY: &str = "APIbench";
const SECRET: &str = "bench-secret";

/// Measures `rounds` rounds and writes the section.
///
/// # Errors
/// When a judge cannot be loaded, does not accept the event, or the table cannot be written.
pub fn run(rounds: usize, table: &mut Table<'_>) -> anyhow::Result<()> {
    let vector = vector()?;
    let text = String::from_utf8(vector.body.clone())?;
    let token = vector.authorization.first().context("no token")?.clone();
    let livekit = WebhookReceiver::new(TokenVerifier::with_api_key(API_KEY, SECRET));
    let mut wasm = WasmJudge::load()?;
    let accepted = Verdict::Accept("participant_joined".to_owned());
    ensure!(judge::native(&vector) == accepted, "the native verifier refuses the event");
    ensure!(wasm.judge(&vector)? == accepted, "the wasm verifier refuses the event");

    let mut keys = KeyRing::new();
    keys.insert(API_KEY, SECRET.as_bytes())?;
    let verifier = Verifier::new(keys, Rules::default());

    let mut samples: [Vec<f64>; 4] = Default::default();
    // Round 0 warms up and is not counted.
    for round in 0..=rounds {
        let took = [
            micros(|| {
                let token = verifier.verify([token.as_bytes()], &vector.body, vector.now_s)?;
                std::hint::black_box((token, Envelope::parse(&vector.body)?));
                Ok(())
            })?,
            micros(|| {
                std::hint::black_box(judge::native(&vector));
                Ok(())
            })?,
            micros(|| wasm.judge(&vector).map(|verdict| _ = std::hint::black_box(verdict)))?,
            micros(|| {
                std::hint::black_box(livekit.receive(&text, &token)?);
                Ok(())
            })?,
        ];
        if round > 0 {
            samples.iter_mut().zip(took).for_each(|(sample, took)| sample.push(took));
        }
    }
    let [ready, native, guest, theirs] = &samples;
    let how = format!("{EVENT_BYTES} bytes, {rounds} rounds of {CALLS_A_ROUND} calls a case");
    table.section("Verify an event: token, body hash, envelope", how)?;
    table.value("ours, native", ready, "us", "")?;
    table.value("ours, native, keys read each time", native, "us", "")?;
    table.value("ours, wasm in wasmtime, keys read each time", guest, "us", "")?;
    table.value("livekit-api's receiver, native", theirs, "us", "")?;
    table.ratio("wasm / native, keys read each time", guest, native, "")?;
    table.ratio("livekit-api / ours, native", theirs, ready, "")?;
    Ok(())
}

/// Microseconds a call.
fn micros(mut call: impl FnMut() -> anyhow::Result<()>) -> anyhow::Result<f64> {
    let began = Instant::now();
    for _ in 0..CALLS_A_ROUND {
        call()?;
    }
    Ok(began.elapsed().as_secs_f64() * 1e6 / f64::from(CALLS_A_ROUND))
}

fn vector() -> anyhow::Result<Vector> {
    let now_s = SystemClock.now().as_secs();
    let body = body("EV_bench", now_s, EVENT_BYTES)?.into_bytes();
    Ok(Vector {
        name: "bench".to_owned(),
        api_key: API_KEY.to_owned(),
        secret: SECRET.to_owned(),
        now_s,
        authorization: vec![sign::authorization(API_KEY, SECRET.as_bytes(), &body, now_s)],
        body,
        accept: true,
        rust_accepts: true,
        time_sensitive: true,
    })
}

/// A `participant_joined` of `bytes` bytes, padded in the room's metadata.
///
/// # Errors
/// When the sample is longer than that.
pub fn body(event_id: &str, now_s: i64, bytes: usize) -> anyhow::Result<String> {
    let of = Sample { room: "bench", identity: "alice", event_id, now_s, seed: 1 };
    let body = sample::body("participant_joined", &of).context("no such sample")?;
    let mark = r#""metadata":""#;
    let padding = bytes.checked_sub(body.len()).context("the sample is too long")?;
    Ok(body.replacen(mark, &format!("{mark}{}", "m".repeat(padding)), 1))
}
