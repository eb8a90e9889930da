//! `livekit-webhook endpoint`: how endpoints do, and whether they are sent anything.

use super::now;
use super::place::{Common, Opened};
use super::print::{self, Table};
use crate::config::duration::parse_ms;
use crate::operate::{self, Change, Overview};
use crate::view;
use anyhow::bail;
use livekit_webhook_core::health::{Breaker, Health};
use livekit_webhook_core::time::Timestamp;
use std::io::Write;
use std::process::ExitCode;

const EXAMPLES: &str = "Examples:
  livekit-webhook endpoint list --config gateway.toml
  livekit-webhook endpoint enable billing --config gateway.toml     # after a 410
  livekit-webhook endpoint pause billing --for 1h --config gateway.toml

Hosts follow within a second. Exit codes: 0 done, 1 not, 64 wrong usage.";

/// See, enable, disable, pause and resume endpoints
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
#[group(id = "endpoint_what")]
pub struct Options {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand, Clone, Debug)]
enum Command {
    /// List endpoints, how they do, and what is owed to them
    List(Common),
    /// Show one
    Show(One),
    /// Send to it again, whatever disabled it
    Enable(One),
    /// Send it nothing until it is enabled; what it is owed becomes dead letters
    Disable(One),
    /// Send it nothing for a while
    Pause(Pause),
    /// End a pause
    Resume(One),
}

#[derive(clap::Args, Clone, Debug)]
struct One {
    /// As configured
    #[arg(value_name = "NAME")]
    name: String,
    #[command(flatten)]
    common: Common,
}

#[derive(clap::Args, Clone, Debug)]
struct Pause {
    #[command(flatten)]
    one: One,
    /// How long, such as 30m or 2d
    #[arg(long = "for", value_name = "SPAN", default_value = "1h", value_parser = parse_ms)]
    span_ms: i64,
}

/// Runs it.
///
/// # Errors
/// No store, no such endpoint, or `out` fails.
pub async fn run(options: Options, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
    match options.command {
        Command::List(common) => list(common, out).await?,
        Command::Show(one) => show(one, out).await?,
        Command::Enable(one) => change(one, Change::Enable, out).await?,
        Command::Disable(one) => change(one, Change::Disable, out).await?,
        Command::Pause(Pause { one, span_ms }) => change(one, Change::Pause(span_ms), out).await?,
        Command::Resume(one) => change(one, Change::Resume, out).await?,
    }
    Ok(ExitCode::SUCCESS)
}

async fn overviews(opened: &Opened) -> anyhow::Result<Vec<Overview>> {
    let configured = opened.config.iter().flat_map(|config| &config.endpoints);
    let configured: Vec<(String, String)> =
        configured.map(|one| (one.name.to_string(), one.url.to_string())).collect();
    Ok(operate::endpoints(&*opened.store, &configured).await?)
}

/// The endpoint of that name. A name that nobody knows is a slip.
async fn find(opened: &Opened, name: &str) -> anyhow::Result<Overview> {
    let all = overviews(opened).await?;
    let names: Vec<&str> = all.iter().map(|one| one.name.as_str()).collect();
    match all.iter().find(|one| one.name == name) {
        Some(found) => Ok(found.clone()),
        None => bail!("there is no endpoint {name}; there is: {}", names.join(", ")),
    }
}

async fn list(common: Common, out: &mut dyn Write) -> anyhow::Result<()> {
    let all = overviews(&common.place.read().await?).await?;
    let now = now();
    if common.json {
        for one in &all {
            print::json_line(out, &view::endpoint(one, now))?;
        }
        return Ok(());
    }
    let mut table = Table::new(&["endpoint", "state", "pending", "why", "url"]);
    for one in &all {
        let health = &one.health.health;
        table.row([
            one.name.clone(),
            operate::state(health, now).to_owned(),
            one.pending.to_string(),
            why(health, now).unwrap_or_default(),
            one.url.clone().unwrap_or_else(|| "(not configured)".to_owned()),
        ]);
    }
    table.write(out, "no endpoints")?;
    Ok(())
}

/// What is behind a state.
fn why(health: &Health, now: Timestamp) -> Option<String> {
    if let Some(disabled) = health.disabled {
        return Some(format!("{}, {}", disabled.reason.as_str(), print::ago(disabled.at, now)));
    }
    if let Some(until) = health.paused_until.filter(|until| *until > now) {
        return Some(format!("ends {}", print::ago(until, now)));
    }
    match health.breaker {
        Breaker::Open { until, .. } if until > now => {
            Some(format!("probed {}", print::ago(until, now)))
        }
        _ => health.failing.map(|failing| {
            format!("{} failed since {}", failing.attempts, print::ago(failing.since, now))
        }),
    }
}

async fn show(one: One, out: &mut dyn Write) -> anyhow::Result<()> {
    let found = find(&one.common.place.read().await?, &one.name).await?;
    print(&found, one.common.json, out)
}

fn print(one: &Overview, is_json: bool, out: &mut dyn Write) -> anyhow::Result<()> {
    let now = now();
    if is_json {
        print::json_line(out, &view::endpoint(one, now))?;
        return Ok(());
    }
    let health = &one.health.health;
    let url = one.url.clone().unwrap_or_else(|| "(not configured)".to_owned());
    print::facts(
        out,
        &[
            ("endpoint", Some(one.name.clone())),
            ("url", Some(url)),
            ("state", Some(operate::state(health, now).to_owned())),
            ("why", why(health, now)),
            ("owed", Some(one.pending.to_string())),
        ],
    )?;
    Ok(())
}

async fn change(one: One, change: Change, out: &mut dyn Write) -> anyhow::Result<()> {
    let opened = one.common.place.open().await?;
    let mut found = find(&opened, &one.name).await?;
    found.health = operate::change(&*opened.store, now(), &one.name, change).await?;
    print(&found, one.common.json, out)
}
