//! `livekit-webhook verify`: says why a captured request is, or is not, LiveKit's.
//!
//! The cast: [`capture`] reads the request, `host/wire` judges it, [`report`] lists its checks,
//! [`cause`] looks for the reason of a refusal by trying out what usually goes wrong, [`vectors`]
//! judges a whole file. The verdict is the gateway's own: it comes from the same verifier. The
//! cause is a finding, not a guess: it is named only when the request passes the failed check once
//! that one thing is undone, or when the token itself says so.

use anyhow::Context as _;
use livekit_webhook_wire::keys::KeyRing;
use livekit_webhook_wire::verify::{Rules, Verifier};
use std::io::{Read as _, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use crate::cli::credentials::{Credentials, KeyPair};
use crate::clock::{Clock as _, SystemClock};
use crate::config::past;

pub mod capture;
pub mod cause;
pub mod report;
#[cfg(test)]
mod tests;
pub mod vectors;

use capture::Capture;

/// Largest file read, in bytes.
const FILE_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// `EX_USAGE` of sysexits.
const USAGE: u8 = 64;

const EXAMPLES: &str = "Examples:
  livekit-webhook verify --request captured.http --api-key APIabc --secret-file livekit.secret
  livekit-webhook verify --headers h.txt --body b.json --keys livekit-keys.yaml --now 2026-11-23T12:00:00Z
  livekit-webhook send egress_ended --print | livekit-webhook verify --request -
  livekit-webhook verify --vectors tests/vectors/livekit-webhooks.jsonl

A request file holds the headers (with or without a request line), an empty line, and the
body byte for byte. Without keys, LiveKit's devkey/secret is used.

Exit codes: 0 authentic and usable (vectors: all as expected), 1 not, 64 wrong usage.";

/// Explain, check by check, whether a captured request is LiveKit's
#[derive(clap::Args, Clone, Debug, Default)]
#[command(after_help = EXAMPLES)]
#[group(id = "verify_what")]
pub struct Options {
    /// The raw HTTP request (`-`: standard input)
    #[arg(long, value_name = "FILE", conflicts_with_all = ["headers", "body", "vectors"])]
    pub request: Option<PathBuf>,
    /// The headers, one `Name: value` a line
    #[arg(long, value_name = "FILE", requires = "body")]
    pub headers: Option<PathBuf>,
    /// The body, byte for byte
    #[arg(long, value_name = "FILE", requires = "headers")]
    pub body: Option<PathBuf>,
    /// Judge every line of a file of vectors, each with its own key and time
    #[arg(long, value_name = "FILE", conflicts_with_all = ["headers", "body"])]
    pub vectors: Option<PathBuf>,
    #[expect(missing_docs, reason = "a text here would replace the command's description")]
    #[command(flatten)]
    pub credentials: Credentials,
    /// Keys in LiveKit's own form, `key: secret` a line; LIVEKIT_KEYS is read too
    #[arg(long, value_name = "FILE")]
    pub keys: Option<PathBuf>,
    /// Only through the environment, as for livekit-server.
    #[arg(long, env = "LIVEKIT_KEYS", hide = true, hide_env_values = true, value_name = "KEYS")]
    pub livekit_keys: Option<String>,
    /// Judge at this time instead of now: unix seconds or 2026-11-23T12:00:00Z
    #[arg(long, value_name = "TIME", value_parser = past::parse_seconds)]
    pub now: Option<i64>,
    /// Print one JSON object (vectors: one a line)
    #[arg(long)]
    pub json: bool,
}

/// Runs it.
///
/// # Errors
/// When `out` fails, or a file cannot be read. A refused request is an exit code, not an error.
pub async fn run(options: Options, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
    if let Some(file) = &options.vectors {
        let text = read(file)?;
        return vectors::run(&text, options.json, out);
    }
    let pairs = match pairs(&options).await {
        Ok(pairs) => pairs,
        Err(error) => return usage(out, &format!("{error:#}")),
    };
    let capture = match (&options.request, &options.headers, &options.body) {
        (Some(request), _, _) => Capture::parse(&read(request)?),
        (None, Some(headers), Some(body)) => Capture::from_parts(&read(headers)?, read(body)?),
        _ => {
            return usage(out, "give --request FILE, or --headers and --body, or --vectors");
        }
    };
    let capture = match capture {
        Ok(capture) => capture,
        Err(error) => return usage(out, &error.to_string()),
    };
    let now_s = options.now.unwrap_or_else(|| SystemClock.now().as_secs());
    let report = report::judge(&capture, &pairs, now_s)?;
    if options.json {
        writeln!(out, "{}", report.to_json())?;
    } else {
        report.write(out)?;
    }
    Ok(if report.accepted() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn usage(out: &mut dyn Write, text: &str) -> anyhow::Result<ExitCode> {
    writeln!(out, "error: {text}")?;
    Ok(ExitCode::from(USAGE))
}

/// All keys that were given, or LiveKit's own development pair.
async fn pairs(options: &Options) -> anyhow::Result<Vec<KeyPair>> {
    let mut pairs: Vec<KeyPair> = options.credentials.resolve().await?.into_iter().collect();
    if let Some(file) = &options.keys {
        let text = String::from_utf8(read(file)?).context("the keys file is not UTF-8")?;
        pairs.extend(split_keys(&text).with_context(|| file.display().to_string())?);
    }
    if let Some(text) = &options.livekit_keys {
        pairs.extend(split_keys(text).context("LIVEKIT_KEYS")?);
    }
    if pairs.is_empty() {
        pairs.push(KeyPair::dev());
    }
    Ok(pairs)
}

/// The ring decides what is well formed; it does not give secrets back, so the text is read once
/// more.
fn split_keys(text: &str) -> anyhow::Result<Vec<KeyPair>> {
    KeyRing::from_livekit_keys(text)?;
    let pairs = text.split(['\n', ',']).filter_map(|entry| entry.split_once(':'));
    Ok(pairs
        .map(|(key, secret)| KeyPair {
            api_key: key.trim().to_owned(),
            secret: secret.trim().as_bytes().to_vec(),
        })
        .collect())
}

/// A verifier with the gateway's own rules.
fn verifier(pairs: &[KeyPair]) -> Result<Verifier, livekit_webhook_wire::keys::Error> {
    let mut ring = KeyRing::new();
    for pair in pairs {
        ring.insert(&pair.api_key, &pair.secret)?;
    }
    Ok(Verifier::new(ring, Rules::default()))
}

/// Blocks the thread; nothing else runs yet.
fn read(file: &Path) -> anyhow::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    if file.as_os_str() == "-" {
        let mut stdin = std::io::stdin().lock().take(FILE_BYTES_MAX + 1);
        stdin.read_to_end(&mut bytes).context("cannot read standard input")?;
    } else {
        let open = std::fs::File::open(file);
        let open = open.with_context(|| format!("cannot open {}", file.display()))?;
        let mut open = open.take(FILE_BYTES_MAX + 1);
        open.read_to_end(&mut bytes).with_context(|| file.display().to_string())?;
    }
    let over = u64::try_from(bytes.len()).unwrap_or(u64::MAX) > FILE_BYTES_MAX;
    anyhow::ensure!(!over, "{} has more than {FILE_BYTES_MAX} bytes", file.display());
    Ok(bytes)
}
