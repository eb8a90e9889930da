//! Real deliveries, captured and judged by the receivers that others publish.

use super::delivery::with_source;
use anyhow::{Context as _, Result, ensure};
use livekit_webhook_tests::exchange::{BOUND, event, now_s, post};
use livekit_webhook_tests::gateway::Gateway;
use livekit_webhook_tests::gateway::setup::STANDARD_SECRET;
use livekit_webhook_tests::published::{Case, Language, Taken};
use livekit_webhook_tests::receiver::{Receiver, Seen};

const OLD_SECRET: &str = "whsec_b2xkLW9sZC1vbGQtb2xkLW9sZC1vbGQtb2xkLW9sZC0=";
/// The pair that the reference implementation of `v1a` documents.
const PRIVATE_KEY: &str =
    "whsk_6Xb/dCcHpPea21PS1N9VY/NZW723CEc77N4rJCubMbfVKIDij2HKpMKkioLlX0dRqSKJp4AJ6p9lMicMFs6Kvg==";
const PUBLIC_KEY: &str = "whpk_1SiA4o9hyqTCpIqC5V9HUakiiaeACeqfZTInDBbOir4=";
const SDK_KEY: &str = "APIreceiver";
const SDK_SECRET: &str = "the-receivers-own-secret";

/// Every kind of event, as it was delivered to an endpoint that signs like this.
async fn captured(signing: &str) -> Result<Vec<(Taken, Seen)>> {
    let receiver = Receiver::start().await?;
    let setup = with_source().endpoint("all", &receiver.url("/"), signing).subscription("all", "");
    let gateway = Gateway::start(&setup, BOUND).await?;
    let kinds = livekit_webhook_wire::event_type::ALL;
    for kind in kinds {
        // A name that a careless step on the way would change.
        let body = event(kind, "größe \\\"7\\\" <&>", &format!("EV_{kind}"));
        ensure!(post(gateway.address(), &body).await?.status == 200, "{kind}");
    }
    let seen = receiver.wait_for(kinds.len(), BOUND).await?;
    let named = seen.into_iter().map(|seen| {
        let json: serde_json::Value = serde_json::from_slice(&seen.body)?;
        let text = |name: &str| Some(json.get(name)?.as_str()?.to_owned());
        let taken = text("event").zip(text("id")).context("an event")?;
        Ok((Taken { event: taken.0, id: taken.1 }, seen))
    });
    named.collect()
}

/// Each case is taken as the event it is, in every one of `languages`.
async fn taken(languages: &[Language], cases: &[(Taken, Case)]) -> Result<()> {
    for language in languages {
        let only: Vec<Case> = cases.iter().map(|(_, case)| case.clone()).collect();
        for (verdict, (expect, _)) in language.judge(&only, BOUND).await?.iter().zip(cases) {
            ensure!(verdict.as_ref() == Ok(expect), "{language:?}: {expect:?}: {verdict:?}");
        }
    }
    Ok(())
}

async fn refused(languages: &[Language], cases: &[Case]) -> Result<()> {
    for language in languages {
        for (number, verdict) in language.judge(cases, BOUND).await?.iter().enumerate() {
            ensure!(verdict.is_err(), "{language:?} took case {number}: {verdict:?}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn the_published_standard_webhooks_libraries_take_our_deliveries() -> Result<()> {
    // In a rotation: two shared secrets and a private key sign side by side.
    let signing = format!(
        "signing = [\"standard\"]\nsecrets = [{{ secret = \"{STANDARD_SECRET}\" }}, \
         {{ secret = \"{PRIVATE_KEY}\" }}, \
         {{ secret = \"{OLD_SECRET}\", expires = \"2100-01-01T00:00:00Z\" }}]"
    );
    let captured = captured(&signing).await?;
    let mut cases = Vec::new();
    let mut asymmetric = Vec::new();
    for (name, seen) in &captured {
        ensure!(seen.header("webhook-signature")?.split(' ').count() == 3);
        for secret in [STANDARD_SECRET, OLD_SECRET] {
            cases.push((name.clone(), Case::standard(seen, secret)?));
        }
        asymmetric.push((name.clone(), Case::asymmetric(seen, PUBLIC_KEY)?));
    }
    taken(&Language::ALL, &cases).await?;
    taken(&[Language::Node], &asymmetric).await?;

    let seen = &captured[0].1;
    let stranger = "whsec_c3RyYW5nZXItc3RyYW5nZXItc3RyYW5nZXItc3RyYW4=";
    let old = (now_s() - 301).to_string();
    let standard = || Case::standard(seen, STANDARD_SECRET);
    refused(
        &Language::ALL,
        &[
            Case::standard(seen, stranger)?,
            standard()?.with_body("EV_", "EX_"),
            standard()?.with_header("webhook-id", "evt_other"),
            standard()?.with_header("webhook-timestamp", &old),
        ],
    )
    .await?;
    let other_key = "whpk_11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=";
    let asymmetric = [
        Case::asymmetric(seen, other_key)?,
        Case::asymmetric(seen, PUBLIC_KEY)?.with_body("EV_", "EX_"),
    ];
    refused(&[Language::Node], &asymmetric).await
}

#[tokio::test]
async fn the_published_livekit_receivers_take_our_deliveries() -> Result<()> {
    let signing = format!(
        "signing = [\"livekit\"]\n\
         livekit = {{ api_key = \"{SDK_KEY}\", secret = \"{SDK_SECRET}\" }}"
    );
    let captured = captured(&signing).await?;
    let mut cases = Vec::new();
    for (name, seen) in &captured {
        ensure!(seen.header("content-type")? == "application/webhook+json");
        cases.push((name.clone(), Case::livekit(seen, SDK_KEY, SDK_SECRET)?));
    }
    taken(&Language::ALL, &cases).await?;
    let seen = &captured[0].1;
    let case = || Case::livekit(seen, SDK_KEY, SDK_SECRET);
    refused(
        &Language::ALL,
        &[
            Case::livekit(seen, SDK_KEY, "another-secret-of-some-length-001")?,
            Case::livekit(seen, "APIother", SDK_SECRET)?,
            case()?.with_body("EV_", "EX_"),
        ],
    )
    .await
}

#[tokio::test]
async fn an_expired_secret_signs_no_more() -> Result<()> {
    let signing = format!(
        "signing = [\"standard\"]\nsecrets = [{{ secret = \"{STANDARD_SECRET}\" }}, \
         {{ secret = \"{OLD_SECRET}\", expires = \"2026-01-01T00:00:00Z\" }}]"
    );
    let (name, seen) = captured(&signing).await?.remove(0);
    taken(&Language::ALL, &[(name, Case::standard(&seen, STANDARD_SECRET)?)]).await?;
    refused(&Language::ALL, &[Case::standard(&seen, OLD_SECRET)?]).await
}
