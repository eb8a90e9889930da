//! `livekit-webhook secret`: signing secrets that live in the store.

use super::now;
use super::place::{Common, Opened};
use super::print::{self, Table};
use crate::config::duration::{parse_ms, print_ms};
use crate::entropy::Entropy;
use crate::vault::rotate::{self, Kind, OVERLAP_MS_DEFAULT, OVERLAP_MS_MAX};
use crate::view;
use anyhow::{Context as _, bail};
use livekit_webhook_core::id::SecretId;
use livekit_webhook_core::signature::Signing;
use std::io::Write;
use std::process::ExitCode;

const EXAMPLES: &str = "Examples:
  livekit-webhook secret rotate billing --config gateway.toml                # 24 h overlap
  livekit-webhook secret rotate billing --overlap 0s --config gateway.toml   # the old is out
  livekit-webhook secret list --config gateway.toml
  livekit-webhook secret revoke sec_01k… --config gateway.toml
  livekit-webhook secret reseal --config gateway.toml    # after a new first key in [secrets]

A secret is shown once, by the rotate that made it. Hosts sign with it within seconds.
Exit codes: 0 done, 1 not, 64 wrong usage or configuration.";

/// Make, list, revoke and reseal signing secrets
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
#[group(id = "secret_what")]
pub struct Options {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand, Clone, Debug)]
enum Command {
    /// Make a new secret, show it once, and let the old ones run out
    Rotate(Rotate),
    /// List secrets, without the secrets
    List(Common),
    /// Withdraw one at once
    Revoke(Revoke),
    /// Seal every secret under the first key of [secrets]
    Reseal(Common),
}

#[derive(clap::Args, Clone, Debug)]
struct Rotate {
    /// As configured
    #[arg(value_name = "ENDPOINT")]
    endpoint: String,
    /// How long the old secrets sign beside the new one, 0s to 7d [default: 24h]
    #[arg(long, value_name = "SPAN", value_parser = overlap)]
    overlap: Option<i64>,
    /// An Ed25519 key pair: receivers get the public half
    #[arg(long)]
    ed25519: bool,
    #[command(flatten)]
    common: Common,
}

#[derive(clap::Args, Clone, Debug)]
struct Revoke {
    /// The secret
    #[arg(value_name = "SECRET")]
    id: SecretId,
    #[command(flatten)]
    common: Common,
}

/// `24h`; a bare 0 is a span in any unit.
fn overlap(text: &str) -> Result<i64, String> {
    let span_ms = if text == "0" { 0 } else { parse_ms(text)? };
    match (0..=OVERLAP_MS_MAX).contains(&span_ms) {
        true => Ok(span_ms),
        false => Err(format!("must be 0s to {}", print_ms(OVERLAP_MS_MAX))),
    }
}

/// Runs it.
///
/// # Errors
/// No store, no key, no such secret, or `out` fails.
pub async fn run(options: Options, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
    match options.command {
        Command::Rotate(options) => rotate(options, out).await?,
        Command::List(common) => list(common, out).await?,
        Command::Revoke(options) => revoke(options, out).await?,
        Command::Reseal(common) => reseal(common, out).await?,
    }
    Ok(ExitCode::SUCCESS)
}

async fn rotate(options: Rotate, out: &mut dyn Write) -> anyhow::Result<()> {
    let opened = options.common.place.open().await?;
    let endpoint = &options.endpoint;
    takes_stored(&opened, endpoint)?;
    let vault = &opened.config.as_ref().context(NEEDS_CONFIG)?.vault;
    let entropy = Entropy::system().context("the system has no randomness to give")?;
    let kind = if options.ed25519 { Kind::Ed25519 } else { Kind::Shared };
    let overlap_ms = options.overlap.unwrap_or(OVERLAP_MS_DEFAULT);
    let store = &*opened.store;
    let made = rotate::rotate(store, vault, &entropy, now(), endpoint, overlap_ms, kind).await?;
    if options.common.json {
        print::json_line(out, &view::rotated(endpoint, &made))?;
        return Ok(());
    }
    let now = now();
    writeln!(out, "{}", made.secret.reveal())?;
    if let Some(public_key) = made.secret.public_key() {
        writeln!(out, "{public_key}   for receivers")?;
    }
    writeln!(out, "\n{} of {endpoint}. It is not shown again.", made.id)?;
    for (id, expires_at) in &made.retired {
        match *expires_at > now {
            true => writeln!(out, "{id} signs beside it until {}", print::when(*expires_at, now))?,
            false => writeln!(out, "{id} signs no more")?,
        }
    }
    Ok(())
}

const NEEDS_CONFIG: &str = "the keys that seal secrets stand in the configuration: give --config";

/// A secret in the store is of no use to an endpoint that has one in the configuration.
fn takes_stored(opened: &Opened, name: &str) -> anyhow::Result<()> {
    let config = opened.config.as_ref().context(NEEDS_CONFIG)?;
    let endpoint = config.endpoints.iter().find(|one| one.name.as_str() == name);
    let Some(endpoint) = endpoint else {
        let names: Vec<&str> = config.endpoints.iter().map(|one| one.name.as_str()).collect();
        bail!("there is no endpoint {name}; there is: {}", names.join(", "));
    };
    let mut ways = endpoint.signing().iter();
    if ways.any(|way| matches!(way, Signing::Stored)) {
        return Ok(());
    }
    let is_standard = endpoint.signing().iter().any(|way| matches!(way, Signing::Standard(_)));
    if is_standard {
        bail!(
            "{name} has its secret in the configuration: rotate it there (secrets = [{{…}}, {{…}}]), \
             or take secret_file out, so that it signs with the store's"
        );
    }
    bail!("{name} does not sign with Standard Webhooks: its `signing` does not name \"standard\"")
}

async fn list(common: Common, out: &mut dyn Write) -> anyhow::Result<()> {
    let opened = common.place.read().await?;
    let rows = opened.store.secrets().await?;
    let now = now();
    if common.json {
        for row in &rows {
            print::json_line(out, &view::secret(row, now))?;
        }
        return Ok(());
    }
    let mut table = Table::new(&["secret", "endpoint", "made", "signs", "sealed under"]);
    for row in &rows {
        let signs = match row.expires_at {
            None => "yes".to_owned(),
            Some(at) if at > now => format!("ends {}", print::ago(at, now)),
            Some(at) => format!("ended {}", print::ago(at, now)),
        };
        table.row([
            row.id.to_string(),
            row.endpoint.clone(),
            print::ago(row.created_at, now),
            signs,
            row.key_id.clone(),
        ]);
    }
    table.write(out, "no secrets in the store")?;
    Ok(())
}

async fn revoke(options: Revoke, out: &mut dyn Write) -> anyhow::Result<()> {
    let opened = options.common.place.open().await?;
    let (endpoint, left) = rotate::revoke(&*opened.store, now(), options.id).await?;
    if options.common.json {
        let value = serde_json::json!({
            "id": options.id.to_string(), "endpoint": endpoint, "live": left,
        });
        print::json_line(out, &value)?;
        return Ok(());
    }
    writeln!(out, "{} of {endpoint} signs no more; {left} others do", options.id)?;
    if left == 0 {
        writeln!(
            out,
            "deliveries to {endpoint} wait: run `livekit-webhook secret rotate {endpoint}`"
        )?;
    }
    Ok(())
}

async fn reseal(common: Common, out: &mut dyn Write) -> anyhow::Result<()> {
    let opened = common.place.open().await?;
    let vault = &opened.config.as_ref().context(NEEDS_CONFIG)?.vault;
    let count = rotate::reseal(&*opened.store, vault).await?;
    let key = vault.keys().first().map_or("", |key| key.id());
    if common.json {
        print::json_line(out, &serde_json::json!({ "resealed": count, "key_id": key }))?;
    } else {
        writeln!(out, "{} sealed under {key}", print::counted(count as u64, "secret"))?;
        writeln!(out, "The other keys of [secrets] can go.")?;
    }
    Ok(())
}
