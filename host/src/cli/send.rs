//! `livekit-webhook send`: signs a sample of any event as LiveKit would, posts it, and says what
//! the answer means.
//!
//! The cast: [`request`] is one signed request, [`post`] sends it, [`fate`] knows how LiveKit reads
//! an answer. The bytes and headers are those LiveKit sends. It does not retry: one request, one
//! answer.

use anyhow::Context as _;
use bytes::Bytes;
use hyper::Uri;
use livekit_webhook_wire::envelope::Envelope;
use livekit_webhook_wire::{event_type, sample};
use std::collections::BTreeMap;
use std::io::{Read as _, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;
use tokio::time::Instant;

use crate::cli::credentials::{Credentials, KeyPair};
use crate::clock::{Clock as _, SystemClock};
use crate::entropy::Entropy;

pub mod fate;
pub mod post;
pub mod request;
#[cfg(test)]
mod tests;

use fate::Fate;
use post::{Answer, Poster};
use request::Signed;

/// Where the gateway listens unless it is told otherwise.
const DEFAULT_URL: &str = "http://127.0.0.1:8080/webhook";
/// Longest body read from a file, in bytes: the gateway's own limit and room to go past it in a
/// test.
const BODY_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// `EX_USAGE` of sysexits.
const USAGE: u8 = 64;

const EXAMPLES: &str = "Examples:
  livekit-webhook send participant_joined --room prod-7 --to http://127.0.0.1:8080/webhook
  livekit-webhook send room_started                      # prints a curl command
  livekit-webhook send egress_ended --print | livekit-webhook verify --request -
  livekit-webhook send --body captured.json --to https://gateway.example.com/webhook
  livekit-webhook send room_started --id EV_a --count 2 --to …   # a duplicate

Events: room_started room_finished participant_joined participant_left
  participant_connection_aborted track_published track_unpublished egress_started
  egress_updated egress_ended ingress_started ingress_ended agent_job_started
  agent_job_ended; any other name is sent with a plain body.

Exit codes: 0 every answer was 2xx, 1 not, 64 wrong usage.";

/// Sign a sample event as LiveKit would, and send it
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub struct Options {
    /// Event type
    #[arg(value_name = "EVENT", required_unless_present = "body", value_parser = parse_name)]
    pub event: Option<String>,
    /// Where to post; without it a curl command is printed
    #[arg(long, value_name = "URL", value_parser = parse_url)]
    pub to: Option<Uri>,
    /// Room of the event
    #[arg(long, value_name = "NAME", default_value = "sample-room", value_parser = parse_name)]
    pub room: String,
    /// Participant of the event
    #[arg(long, value_name = "NAME", default_value = "alice", value_parser = parse_name)]
    pub identity: String,
    #[expect(missing_docs, reason = "a text here would replace the command's description")]
    #[command(flatten)]
    pub credentials: Credentials,
    /// Id of the event, the same for all of --count; by default each has one of its own
    #[arg(long, value_name = "EV_…", value_parser = parse_name)]
    pub id: Option<String>,
    /// What the sids are made from: the same seed and room give the same sids
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub seed: u64,
    /// Send the bytes of a file (`-`: standard input) instead of a sample
    #[arg(long, value_name = "FILE", conflicts_with_all = ["id", "event"])]
    pub body: Option<PathBuf>,
    /// How many to send
    #[arg(long, value_name = "N", default_value_t = 1,
          value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub count: u32,
    /// At most so many a second, 0.001 to 100000; without it one after the other
    #[arg(long, value_name = "R", value_parser = parse_rate)]
    pub rate: Option<f64>,
    /// Milliseconds to wait for each answer
    #[arg(long, value_name = "MS", default_value_t = 15_000,
          value_parser = clap::value_parser!(u64).range(1..=600_000))]
    pub timeout_ms: u64,
    /// Print the exact HTTP request and send nothing
    #[arg(long)]
    pub print: bool,
}

/// Runs it.
///
/// # Errors
/// When `out` fails, or the body cannot be read. A failed request is an exit code, not an error.
pub async fn run(options: Options, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
    let pair = match options.credentials.resolve().await {
        Ok(pair) => pair,
        Err(error) => {
            writeln!(out, "error: {error:#}")?;
            return Ok(ExitCode::from(USAGE));
        }
    };
    let posts = options.to.is_some() && !options.print;
    if pair.is_none() && posts {
        writeln!(out, "note: signed with devkey/secret, the pair of `livekit-server --dev`")?;
    }
    let pair = pair.unwrap_or_else(KeyPair::dev);
    let file = match &options.body {
        Some(path) => Some(read_body(path)?),
        None => None,
    };
    let maker = Maker { options: &options, pair, file, entropy: Entropy::system()? };
    match options.to.clone() {
        Some(url) if posts => send_all(&maker, url, out).await,
        url => print(&maker, url, out),
    }
}

/// Makes signed requests.
struct Maker<'o> {
    options: &'o Options,
    pair: KeyPair,
    file: Option<Bytes>,
    entropy: Entropy,
}

impl Maker<'_> {
    fn make(&self, number: u32) -> Signed {
        let now_s = SystemClock.now().as_secs();
        if let Some(body) = &self.file {
            let (kind, id) = match Envelope::parse(body) {
                Ok(envelope) => (envelope.event, envelope.id),
                Err(_) => ("a body from a file".to_owned(), None),
            };
            return Signed::new(&kind, id, body.clone(), &self.pair, now_s);
        }
        let kind = self.options.event.as_deref().unwrap_or_default();
        let event_id = self.options.id.clone().unwrap_or_else(|| self.event_id(number));
        let sample = sample::Sample {
            room: &self.options.room,
            identity: &self.options.identity,
            event_id: &event_id,
            now_s,
            seed: self.options.seed,
        };
        let body = sample::body(kind, &sample).unwrap_or_else(|| sample::custom(kind, &sample));
        Signed::new(kind, Some(event_id), body.into(), &self.pair, now_s)
    }

    /// Fresh for each event, as LiveKit's.
    fn event_id(&self, number: u32) -> String {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "53 random bits of 0.0..1.0 are what is wanted"
        )]
        let seed = (self.entropy.dice() * 9_007_199_254_740_992.0) as u64;
        sample::id("EV_", seed, &number.to_string())
    }
}

fn print(maker: &Maker<'_>, url: Option<Uri>, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
    let url = url.unwrap_or_else(|| Uri::from_static(DEFAULT_URL));
    let signed = maker.make(0);
    if maker.options.print {
        signed.write_http(&url, out)?;
        return Ok(ExitCode::SUCCESS);
    }
    let file = maker.options.body.as_ref().map(|path| path.to_string_lossy());
    writeln!(out, "# Valid for 5 minutes. To send it from here: add --to {url}")?;
    if !event_type::is_known(&signed.kind) && file.is_none() {
        writeln!(out, "# `{}` is not an event LiveKit sends today.", signed.kind)?;
    }
    signed.write_curl(&url, file.as_deref(), out)?;
    Ok(ExitCode::SUCCESS)
}

async fn send_all(maker: &Maker<'_>, url: Uri, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
    let options = maker.options;
    if let Some(kind) = options.event.as_deref().filter(|kind| !event_type::is_known(kind)) {
        let known = event_type::ALL.join(", ");
        writeln!(out, "note: {kind} is not an event LiveKit sends today; those are {known}")?;
    }
    let mut poster = Poster::new(url.clone(), Duration::from_millis(options.timeout_ms))?;
    let started = Instant::now();
    let mut tally: BTreeMap<String, u32> = BTreeMap::new();
    let mut all_delivered = true;
    for number in 0..options.count {
        if let Some(rate) = options.rate {
            tokio::time::sleep_until(started + Duration::from_secs_f64(f64::from(number) / rate))
                .await;
        }
        let signed = maker.make(number);
        let result = poster.post(&signed).await;
        let delivered = matches!(&result, Ok(answer) if answer.status.is_success());
        all_delivered &= delivered;
        let outcome = match &result {
            Ok(answer) => answer.status.as_u16().to_string(),
            Err(_) => "no answer".to_owned(),
        };
        if options.count == 1 {
            tell(&signed, &url, result, out)?;
        } else {
            tell_short(&signed, &result, out)?;
        }
        *tally.entry(outcome).or_default() += 1;
    }
    if options.count > 1 {
        let seconds = started.elapsed().as_secs_f64();
        let parts: Vec<_> = tally.iter().map(|(what, n)| format!("{n} × {what}")).collect();
        writeln!(out, "{} sent in {seconds:.2} s: {}", options.count, parts.join(", "))?;
    }
    Ok(if all_delivered { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// One request at length.
fn tell(
    signed: &Signed,
    url: &Uri,
    result: Result<Answer, post::Error>,
    out: &mut dyn Write,
) -> anyhow::Result<()> {
    let id = signed.event_id.as_deref().unwrap_or("without an id");
    let bytes = signed.body.len();
    writeln!(out, "POST {url}  {} {id}, {bytes} bytes", signed.kind)?;
    let answer = match result {
        Ok(answer) => answer,
        Err(error) => {
            writeln!(out, "{:#}", anyhow::Error::new(error))?;
            writeln!(out, "{}", fate::NO_ANSWER)?;
            return Ok(());
        }
    };
    writeln!(out, "{} after {} ms", answer.status, answer.elapsed.as_millis())?;
    if let Some(value) = answer.headers.get(hyper::header::RETRY_AFTER) {
        writeln!(out, "Retry-After: {}", String::from_utf8_lossy(value.as_bytes()))?;
    }
    if answer.headers.contains_key(hyper::header::CONTENT_ENCODING) {
        writeln!(out, "({} bytes, compressed)", answer.body.len())?;
    } else if !answer.body.is_empty() {
        writeln!(out, "{}", printable(&answer.body))?;
    }
    if answer.truncated {
        writeln!(out, "(more than {} bytes, the rest was not read)", post::RESPONSE_BYTES_MAX)?;
    }
    writeln!(out, "{}", Fate::of(answer.status.as_u16()).explain())?;
    if matches!(answer.status.as_u16(), 429 | 503)
        && answer.headers.contains_key(hyper::header::RETRY_AFTER)
    {
        writeln!(out, "LiveKit obeys this Retry-After without a limit, and the room waits.")?;
    }
    Ok(())
}

/// One request in a line.
fn tell_short(
    signed: &Signed,
    result: &Result<Answer, post::Error>,
    out: &mut dyn Write,
) -> anyhow::Result<()> {
    let id = signed.event_id.as_deref().unwrap_or("-");
    match result {
        Ok(answer) => {
            let millis = answer.elapsed.as_millis();
            writeln!(out, "{id} {} {} {millis} ms", signed.kind, answer.status)?;
        }
        Err(error) => writeln!(out, "{id} {} no answer: {error}", signed.kind)?,
    }
    Ok(())
}

/// A stranger's text, made safe for a terminal: no control character but the line end and the tab
/// survives.
fn printable(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let safe = |c: char| {
        if c.is_control() && c != '\n' && c != '\t' { '\u{fffd}' } else { c }
    };
    text.trim_end().chars().map(safe).collect()
}

/// Blocks the thread; nothing else runs yet.
fn read_body(path: &std::path::Path) -> anyhow::Result<Bytes> {
    let mut body = Vec::new();
    if path.as_os_str() == "-" {
        let mut stdin = std::io::stdin().lock().take(BODY_BYTES_MAX + 1);
        stdin.read_to_end(&mut body).context("cannot read standard input")?;
    } else {
        let file = std::fs::File::open(path);
        let mut file = file
            .with_context(|| format!("cannot open {}", path.display()))?
            .take(BODY_BYTES_MAX + 1);
        file.read_to_end(&mut body).with_context(|| path.display().to_string())?;
    }
    let over = u64::try_from(body.len()).unwrap_or(u64::MAX) > BODY_BYTES_MAX;
    anyhow::ensure!(!over, "the body has more than {BODY_BYTES_MAX} bytes");
    Ok(body.into())
}

fn parse_url(text: &str) -> Result<Uri, String> {
    let url: Uri = text.parse().map_err(|error| format!("{error}"))?;
    match (url.scheme_str(), url.authority()) {
        (Some("http" | "https"), Some(authority)) if authority.as_str().contains('@') => {
            Err("a user in the URL is not supported".to_owned())
        }
        (Some("http" | "https"), Some(_)) => Ok(url),
        _ => Err("expected http://HOST[:PORT]/PATH or https://…".to_owned()),
    }
}

fn parse_name(text: &str) -> Result<String, String> {
    if text.is_empty() || text.len() > 256 {
        return Err(format!("has {} bytes, must have 1 to 256", text.len()));
    }
    Ok(text.to_owned())
}

fn parse_rate(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(rate) if (0.001..=100_000.0).contains(&rate) => Ok(rate),
        _ => Err("must be a number from 0.001 to 100000".to_owned()),
    }
}
