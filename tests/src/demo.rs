//! `make demo`: the main job on real parts, told as it happens; and `make run`, the same system
//! left up.
//!
//! The cast: [`acts`] is what is sent and what must come of it, [`system`] the parts, [`sender`]
//! LiveKit's side, [`watch`] reads what became of an event, [`tell`] checks and tells one act,
//! [`summary`] counts, [`stay`] is `make run`.
//!
//! Guarantee: every line of [`acts`] is checked against what Envoy answered, what the host wrote
//! into its store and what the receivers got; one that does not hold is told in words and makes the
//! verdict a failure. Everything has a bound in time, and both processes and their folders are gone
//! at the end. Non-guarantee: durations are shown, never checked.

pub mod acts;
pub mod checks;
pub mod compare;
pub mod page;
pub mod sender;
pub mod stay;
pub mod summary;
pub mod system;
pub mod tell;
pub mod watch;

use crate::interrupt::interrupted;
use acts::ACTS;
use anyhow::{Context as _, bail};
use checks::Checks;
use page::{Ink, Page, took_real};
use sender::{Sender, Sent};
use std::io::Write;
use std::time::{Duration, Instant};
use system::System;

/// How long the whole demo may take unless the caller gives it more.
pub const DEMO_MAX: Duration = Duration::from_secs(30);
/// How long one part of the system may take to start or to end.
pub const SYSTEM_MAX: Duration = Duration::from_secs(30);
/// How long the edge may take to answer.
pub const ANSWER_MAX: Duration = Duration::from_secs(5);
/// How long it may take until nothing is left to be done for an event.
pub const FATE_MAX: Duration = Duration::from_secs(10);

/// What the caller chooses.
#[derive(Clone, Debug)]
pub struct Options {
    /// Leave the system up until Ctrl-C.
    pub stay: bool,
    /// Colour, for a terminal.
    pub colour: bool,
    /// What the receiver answers that shall refuse for good. Another status than 422 breaks an
    /// expectation.
    pub crm_status: u16,
    /// How long the whole demo may take.
    pub bound: Duration,
}

// === impl Options ===

impl Default for Options {
    fn default() -> Self {
        Self { stay: false, colour: false, crm_status: 422, bound: DEMO_MAX }
    }
}

/// Runs the demo, or leaves the system up, and tells it on `out`. The verdict is in the checks:
/// none may have failed.
///
/// # Errors
/// When a part does not start or answer, when it takes longer than its bound, or when it is
/// interrupted.
pub async fn run(options: &Options, out: &mut dyn Write) -> anyhow::Result<Checks> {
    let interrupted = interrupted()?;
    let mut page = Page::new(out, options.colour);
    if options.stay {
        tokio::pin!(interrupted);
        let system = tokio::select! {
            system = System::start(options.crm_status, true) => system?,
            () = &mut interrupted => bail!("interrupted"),
        };
        return stay::run(system, &mut page, interrupted).await;
    }
    tokio::select! {
        verdict = tokio::time::timeout(options.bound, play(options, &mut page)) => {
            verdict.with_context(|| format!("not over after {:?}", options.bound))?
        }
        () = interrupted => bail!("interrupted"),
    }
}

async fn play(options: &Options, page: &mut Page<'_>) -> anyhow::Result<Checks> {
    let began = Instant::now();
    let title = page.paint("livekit-webhook, from a signed event to its delivery", Ink::Bold);
    page.line(format_args!("\n{title}\n"))?;
    page.line(
        "    LiveKit -> Envoy with the filter -> host with SQLite, redact and slack -> receivers",
    )?;
    let system = System::start(options.crm_status, false).await?;
    let up = took_real(began.elapsed());
    page.line(format_args!("    All of it real but LiveKit; up in {up}. The receivers:\n"))?;
    for place in &system.places {
        page.fact(place.name, Ink::Plain, &place.about)?;
    }
    let mut checks = Checks::default();
    let sender = Sender::new(system.envoy.listener());
    let mut first: Option<Sent> = None;
    for (number, act) in (1..).zip(&ACTS) {
        let sent = Sent::of(act, number, first.as_ref())?;
        tell::act(number, act, &sent, &sender, &system, page, &mut checks).await?;
        first.get_or_insert(sent);
    }
    summary::tell(&system, page, &mut checks).await?;
    let ended = system.stop().await?;
    checks.expect(ended.success(), "that the host ends in order", ended);
    let (made, failed) = (checks.made(), checks.failures().len());
    let took = took_real(began.elapsed());
    let verdict = if failed == 0 {
        page.paint(&format!("All {made} expectations held. It took {took}."), Ink::Good)
    } else {
        page.paint(&format!("{failed} of {made} expectations did not hold:"), Ink::Bad)
    };
    page.line(format_args!("\n{verdict}"))?;
    for failure in checks.failures() {
        page.line(format_args!("  {failure}"))?;
    }
    Ok(checks)
}
