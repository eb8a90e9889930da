//! Signatures, keys and clocks: 9, 14 and 15 of the fifteen.

use crate::delivery::with_source;
use anyhow::{Context as _, Result, ensure};
use livekit_api::access_token::TokenVerifier;
use livekit_api::webhooks::WebhookReceiver;
use livekit_webhook_core::delivery::State;
use livekit_webhook_tests::exchange::{API_KEY, BOUND, event, now_s, post_as, token_at};
use livekit_webhook_tests::gateway::setup::STANDARD_SECRET;
use livekit_webhook_tests::gateway::{Gateway, Setup};
use livekit_webhook_tests::livekit::{Fate, Sender};
use livekit_webhook_tests::receiver::{Answer, Receiver};
use std::time::Duration;

const OLD: &str = "the-secret-before-the-rotation-0001";
const NEW: &str = "the-secret-after-the-rotation-00002";
/// Events of one sender.
const EVENTS: usize = 40;

fn with_keys(receiver: &Receiver, secrets: &[&str]) -> Setup {
    let key = |secret: &&str| format!("{{ api_key = \"{API_KEY}\", secret = \"{secret}\" }}");
    let keys: Vec<_> = secrets.iter().map(key).collect();
    Setup::new()
        .own_address()
        .movable_clock()
        .source_with_keys("prod", &keys.join(", "))
        .endpoint("all", &receiver.url("/"), "")
        .subscription("all", "")
}

/// Has the gateway read this configuration, as so many before.
async fn reload(gateway: &Gateway, setup: &Setup, times: f64) -> Result<()> {
    gateway.reload(setup).await?;
    gateway.wait_metric(r#"config_reloads_total{result="done"}"#, times, BOUND).await
}

/// LiveKit sends one event after the other, in its own time.
async fn send_all(sender: &Sender, name: &str) {
    for number in 0..EVENTS {
        let room = format!("room-{name}-{}", number % 5);
        sender.notify(event("room_started", &room, &format!("EV_{name}_{number}")));
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// What configurations take for this second.
fn instant(at_s: i64) -> Result<String> {
    let date = ["-u", "-d", &format!("@{at_s}"), "+%Y-%m-%dT%H:%M:%SZ"];
    let output = std::process::Command::new("date").args(date).output()?;
    ensure!(output.status.success(), "{output:?}");
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}

#[tokio::test]
async fn a09_old_and_new_receivers_verify_while_secrets_overlap_and_only_new_ones_after()
-> Result<()> {
    let (old, new) = (STANDARD_SECRET, "whsec_bmV3IHNlY3JldCBhZnRlciB0aGUgcm90YXRpb24=");
    let receiver = Receiver::start().await?;
    let ends = instant(now_s() + 3_600)?;
    let rotating = format!(
        "signing = [\"standard\"]\nsecrets = [\n    {{ secret = \"{new}\" }},\n    \
         {{ secret = \"{old}\", expires = \"{ends}\" }},\n]"
    );
    let setup = with_source()
        .movable_clock()
        .endpoint("all", &receiver.url("/"), &rotating)
        .subscription("all", "");
    let gateway = Gateway::start(&setup, BOUND).await?;
    for (moved_s, old_verifies) in [(0, true), (3_500, true), (3_700, false)] {
        gateway.set_clock(moved_s)?;
        let body = event("room_started", "r", &format!("EV_{moved_s}"));
        let count = receiver.seen().len() + 1;
        let token = token_at(&body, gateway.now_s());
        ensure!(post_as(gateway.address(), &token, &body).await?.status == 200);
        let seen = receiver.wait_for(count, BOUND).await?.remove(count - 1);
        seen.verify_standard(new, gateway.now_s())?;
        let verified = seen.verify_standard(old, gateway.now_s());
        ensure!(verified.is_ok() == old_verifies, "after {moved_s} s: {verified:?}");
    }
    Ok(())
}

#[tokio::test]
async fn a14_skewed_clocks_and_reloaded_keys_cost_livekit_no_refusal() -> Result<()> {
    let receiver = Receiver::start().await?;
    let gateway = Gateway::start(&with_keys(&receiver, &[OLD]), BOUND).await?;
    let [before, after] =
        [OLD, NEW].map(|secret| Sender::new(&[&gateway.url()], API_KEY, secret, 1.0));
    let (before, after) = (before?, after?);
    let rotate = async {
        // A minute behind, with the old secret, and then with both.
        gateway.set_clock(-60)?;
        before.wait_for(EVENTS / 4, BOUND).await?;
        reload(&gateway, &with_keys(&receiver, &[OLD, NEW]), 1.0).await?;
        // A minute ahead while LiveKit changes over.
        gateway.set_clock(60)?;
        tokio::join!(send_all(&after, "after"), before.wait_for(EVENTS, BOUND)).1?;
        reload(&gateway, &with_keys(&receiver, &[NEW]), 2.0).await?;
        after.wait_for(EVENTS, BOUND).await
    };
    tokio::join!(send_all(&before, "before"), rotate).1?;
    for report in before.reports().into_iter().chain(after.reports()) {
        ensure!(report.fate == Fate::Delivered && report.attempts.len() == 1, "{report:?}");
        ensure!(report.attempts[0].outcome == Ok(200), "{report:?}");
    }
    receiver.wait_for(2 * EVENTS, BOUND).await?;

    // The reloads were real: the old secret opens nothing any more.
    gateway.set_clock(0)?;
    let body = event("room_started", "r", "EV_late");
    let old = livekit_webhook_wire::sign::authorization(
        API_KEY,
        OLD.as_bytes(),
        body.as_bytes(),
        now_s(),
    );
    ensure!(post_as(gateway.address(), &old, &body).await?.status == 401);
    let new = livekit_webhook_wire::sign::authorization(
        API_KEY,
        NEW.as_bytes(),
        body.as_bytes(),
        now_s(),
    );
    ensure!(post_as(gateway.address(), &new, &body).await?.status == 200);
    Ok(())
}

#[tokio::test]
async fn a15_a_delivery_tried_again_six_minutes_later_verifies_with_livekits_own_receiver()
-> Result<()> {
    let receiver = Receiver::start().await?;
    receiver.script([Answer::status(503)?]);
    let signing = r#"signing = ["livekit"]
livekit = { api_key = "APIreceiver", secret = "the-receivers-own-secret" }
retry = ["0s", "450s"]"#;
    let setup = with_source()
        .movable_clock()
        .endpoint("sdk", &receiver.url("/"), signing)
        .subscription("sdk", "");
    let gateway = Gateway::start(&setup, BOUND).await?;
    // LiveKit's receiver reads the machine's clock, so the six minutes lie in the past: the jitter
    // of the second step ends between 6 and 9 minutes after the first attempt.
    gateway.set_clock(-540)?;
    let body = event("room_started", "r", "EV_late");
    let original = token_at(&body, gateway.now_s());
    ensure!(post_as(gateway.address(), &original, &body).await?.status == 200);
    let first = receiver.wait_for(1, BOUND).await?.remove(0);
    let ledger = gateway.ledger()?;
    let row = ledger.wait_attempts("sdk", 1, BOUND).await?;
    ensure!(row.state == State::Pending, "{row:?}");
    gateway.set_clock(0)?;
    let second = receiver.wait_for(2, BOUND).await?.remove(1);
    let row = ledger.wait_ended("sdk", 1, BOUND).await?.remove(0);
    ensure!(row.state == State::Delivered, "{row:?}");
    let attempts = ledger.attempts(&row).await?;
    let apart_ms = attempts[1].started_at.millis_since(attempts[0].started_at);
    ensure!(apart_ms >= 360_000, "only {apart_ms} ms");

    let verifier = || TokenVerifier::with_api_key("APIreceiver", "the-receivers-own-secret");
    let official = WebhookReceiver::new(verifier());
    let text = std::str::from_utf8(&second.body)?;
    let read = official.receive(text, second.header("authorization")?)?;
    ensure!(read.id == "EV_late" && text == body);
    // Kept and sent on as it was, the first token would be of no use by now.
    ensure!(official.receive(text, first.header("authorization")?).is_err());
    let livekits = WebhookReceiver::new(TokenVerifier::with_api_key(
        API_KEY,
        livekit_webhook_tests::exchange::SECRET,
    ));
    let error =
        livekits.receive(text, &original).err().context("LiveKit's own token still counts")?;
    ensure!(format!("{error:?}").contains("Expired"), "{error:?}");
    Ok(())
}
