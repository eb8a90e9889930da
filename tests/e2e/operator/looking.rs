//! Stories of looking: events, deliveries, attempts, dead letters, quarantine.

use super::*;
use livekit_webhook_tests::exchange::{API_KEY, SECRET, post_as};
use livekit_webhook_wire::sign;

#[tokio::test]
async fn an_event_is_followed_from_its_arrival_to_its_last_attempt() -> Result<()> {
    let receiver = Receiver::start().await?;
    receiver.otherwise(Answer::status(500)?.with_body("out of \u{1b}[31mpaper"));
    let gateway = gateway_to(&receiver, ONCE).await?;
    send(&gateway, 0..3).await?;
    gateway.ledger()?.wait_ended("one", 3, BOUND).await?;
    let events = json(&gateway, &["events", "--room", "room-1"]).await?;
    ensure!(events.len() == 1 && events[0]["dedupe_key"] == "EV_1", "{events:?}");
    let id = text(&events[0], "id")?;
    let shown = one(&gateway, &["events", id]).await?;
    let delivery = &shown["deliveries"][0];
    ensure!(delivery["status"] == "dead" && delivery["reason"] == "exhausted", "{shown}");
    let delivery = text(delivery, "id")?;
    let attempts = json(&gateway, &["attempts", delivery]).await?;
    ensure!(attempts.len() == 1 && attempts[0]["status"] == 500, "{attempts:?}");
    ensure!(attempts[0]["address"] == receiver.address().to_string(), "{attempts:?}");
    ensure!(attempts[0]["response_start"] == "out of \u{1b}[31mpaper", "{attempts:?}");

    // For people: everything there, nothing that steers the terminal.
    let told_of = told(&gateway, &["attempts", delivery]).await?;
    for words in ["webhook-id", "500", "out of \\u{1b}[31mpaper"] {
        ensure!(told_of.contains(words), "{words} in {told_of}");
    }
    ensure!(!told_of.contains('\u{1b}'), "{told_of}");
    let told_of = told(&gateway, &["events", id]).await?;
    ensure!(told_of.contains("EV_1") && told_of.contains("dead (exhausted)"), "{told_of}");
    let told_of = told(&gateway, &["deliveries", delivery]).await?;
    ensure!(told_of.contains("webhook-id") && told_of.contains("500"), "{told_of}");
    let body = told(&gateway, &["events", id, "--body"]).await?;
    let sent = receiver.seen();
    ensure!(sent.iter().any(|seen| seen.body == body), "not the bytes as received: {body}");
    Ok(())
}

#[tokio::test]
async fn lists_are_narrowed_and_paged() -> Result<()> {
    let receiver = Receiver::start().await?;
    receiver.script([Answer::status(500)?, Answer::status(500)?]);
    let gateway = gateway_to(&receiver, ONCE).await?;
    send(&gateway, 0..2).await?;
    gateway.ledger()?.wait_ended("one", 2, BOUND).await?;
    send(&gateway, 2..5).await?;
    gateway.ledger()?.wait_ended("one", 5, BOUND).await?;
    for (arguments, count) in [
        (vec!["events"], 5),
        (vec!["events", "--kind", "room_started"], 5),
        (vec!["events", "--kind", "room_finished"], 0),
        (vec!["events", "--source", "prod", "--since", "1h"], 5),
        (vec!["events", "--until", "1h"], 0),
        (vec!["events", "--limit", "2"], 2),
        (vec!["deliveries", "--status", "dead"], 2),
        (vec!["deliveries", "--status", "delivered", "--room", "room-3"], 1),
        (vec!["deliveries", "--endpoint", "two"], 0),
        (vec!["dead-letters"], 2),
        (vec!["dead-letters", "--reason", "gone"], 0),
        (vec!["dead-letters", "--summary"], 1),
        (vec!["quarantine"], 0),
        (vec!["replay", "list"], 0),
        (vec!["endpoint", "list"], 1),
    ] {
        let rows = json(&gateway, &arguments).await?;
        ensure!(rows.len() == count, "{arguments:?}: {rows:?}");
    }
    let summary = one(&gateway, &["dead-letters", "--summary"]).await?;
    ensure!(summary["count"] == 2 && summary["reason"] == "exhausted", "{summary}");
    // Page after page, each event once, newest first.
    let mut all = Vec::new();
    let mut before: Option<String> = None;
    for _ in 0..5 {
        let mut arguments = vec!["events", "--limit", "2"];
        arguments.extend(before.iter().flat_map(|id| ["--before", id.as_str()]));
        let page = json(&gateway, &arguments).await?;
        let Some(last) = page.last() else { break };
        before = Some(text(last, "id")?.to_owned());
        all.extend(page.iter().map(|event| event["dedupe_key"].to_string()));
    }
    ensure!(all == [r#""EV_4""#, r#""EV_3""#, r#""EV_2""#, r#""EV_1""#, r#""EV_0""#], "{all:?}");
    let table = told(&gateway, &["events", "--limit", "2"]).await?;
    ensure!(table.contains("There may be more: --before evt_"), "{table}");
    Ok(())
}

#[tokio::test]
async fn what_is_in_quarantine_is_listed_and_printed() -> Result<()> {
    let receiver = Receiver::start().await?;
    let gateway = gateway_to(&receiver, "").await?;
    let body = "[\"not an object\"]";
    let now_s = livekit_webhook_tests::exchange::now_s();
    let token = sign::authorization(API_KEY, SECRET.as_bytes(), body.as_bytes(), now_s);
    ensure!(post_as(gateway.address(), &token, body).await?.status == 400);
    let item = one(&gateway, &["quarantine"]).await?;
    ensure!(item["source"] == "prod" && item["body_bytes"] == body.len(), "{item}");
    let id = text(&item, "id")?;
    ensure!(told(&gateway, &["quarantine", id, "--body"]).await? == body);
    let table = told(&gateway, &["quarantine"]).await?;
    ensure!(table.contains(text(&item, "reason")?), "{table}");
    Ok(())
}
