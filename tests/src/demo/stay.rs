//! `make run`: the same system on fixed ports, with what to try, and a line for every request that
//! a receiver gets.

use super::checks::Checks;
use super::page::{Ink, Page};
use super::system::{API_KEY, Place, SECRET, System};
use crate::receiver::Seen;
use livekit_webhook::clock::{Clock as _, SystemClock};
use std::time::Duration;

/// Between two looks at the receivers.
const POLL: Duration = Duration::from_millis(100);

/// Tells where everything is and what arrives, and ends the system when `interrupted` resolves.
///
/// # Errors
/// When nobody reads any more, or the host does not end.
pub async fn run(
    system: System,
    page: &mut Page<'_>,
    interrupted: impl Future<Output = ()>,
) -> anyhow::Result<Checks> {
    tokio::pin!(interrupted);
    introduce(&system, page)?;
    let mut told = vec![0; system.places.len()];
    let mut is_over = false;
    while !is_over {
        tokio::select! {
            () = tokio::time::sleep(POLL) => {}
            () = &mut interrupted => is_over = true,
        }
        arrivals(&system, &mut told, page)?;
    }
    page.line("\nEnding: the edge, then the host.")?;
    let ended = system.stop().await?;
    let mut checks = Checks::default();
    checks.expect(ended.success(), "that the host ends in order", ended);
    let words = if ended.success() { "Ended, nothing is left behind." } else { "The host failed." };
    page.line(words)?;
    Ok(checks)
}

/// A line for each request since the last look; `told` counts them for each place.
fn arrivals(system: &System, told: &mut [usize], page: &mut Page<'_>) -> anyhow::Result<()> {
    let mut fresh = Vec::new();
    for (place, told) in system.places.iter().zip(told) {
        for seen in place.receiver.seen().into_iter().skip(*told) {
            *told += 1;
            fresh.push((place, seen));
        }
    }
    // The receivers were started together, so their clocks differ by less than a request takes.
    fresh.sort_by_key(|(_, seen)| seen.at);
    fresh.iter().try_for_each(|(place, seen)| arrived(place, seen, page))
}

fn introduce(system: &System, page: &mut Page<'_>) -> anyhow::Result<()> {
    let edge = format!("http://{}/webhook", system.envoy.listener());
    let envoy = format!("http://{}/stats?filter=livekit_webhook", system.envoy.admin_address());
    let metrics = format!("http://{}/metrics", system.gateway.admin_address());
    let configuration = system.gateway.folder().join("gateway.toml");
    let title =
        page.paint("The system is up. Ctrl-C ends it and leaves nothing behind.", Ink::Bold);
    page.line(format_args!("\n{title}\n"))?;
    page.fact("edge", Ink::Plain, format_args!("{edge:<33}Envoy, where LiveKit would send"))?;
    page.fact("host", Ink::Plain, format_args!("{:<33}behind it", system.gateway.url()))?;
    page.fact("metrics", Ink::Plain, format_args!("{metrics:<33}also /readyz and /healthz"))?;
    page.fact("envoy", Ink::Plain, envoy)?;
    page.fact("config", Ink::Plain, configuration.display())?;
    page.line("\n    Receivers")?;
    for place in &system.places {
        let url = place.receiver.url("/");
        page.fact(place.name, Ink::Plain, format_args!("{url:<33}{}", place.about))?;
    }
    page.line("\n    Try in another terminal, from the root of the repository:\n")?;
    for line in [
        format!("export LIVEKIT_API_KEY={API_KEY} LIVEKIT_API_SECRET={SECRET}"),
        format!("send() {{ target/debug/livekit-webhook send \"$@\" --to {edge}; }}"),
        "send participant_joined --identity bob       # becomes a chat post".to_owned(),
        "send room_started --id EV_1 --count 2        # the second is a duplicate".to_owned(),
        "send egress_ended                            # one endpoint takes it, one is broken"
            .to_owned(),
        "send participant_left                        # refused for good".to_owned(),
        "send track_unpublished                       # left out at the edge".to_owned(),
        "LIVEKIT_API_SECRET=guessed send room_started # forged".to_owned(),
        format!("curl -s {metrics} | grep -E 'attempts|dead'"),
    ] {
        page.line(format_args!("      {line}"))?;
    }
    page.line("\n    What the receivers get (UTC):\n")?;
    Ok(())
}

/// One request as its receiver saw it.
fn arrived(place: &Place, seen: &Seen, page: &mut Page<'_>) -> anyhow::Result<()> {
    let now = SystemClock.now();
    let day_s = now.as_secs().rem_euclid(86_400);
    let clock = format!("{:02}:{:02}:{:02}", day_s / 3_600, day_s / 60 % 60, day_s % 60);
    let body: serde_json::Value = serde_json::from_slice(&seen.body).unwrap_or_default();
    let what = body["event"].as_str().or(body["text"].as_str()).unwrap_or("a body of its own");
    let attempt = seen.header("webhook-attempt").unwrap_or("?");
    let (proof, ink) = match place.proof.check(seen, now.as_secs()) {
        Ok(()) => ("verified", Ink::Plain),
        Err(_) => ("NOT AUTHENTIC", Ink::Bad),
    };
    let text = format!("{clock}  attempt {attempt}  {proof}  {what}");
    Ok(page.fact(place.name, ink, text)?)
}
