//! One act: send it, see what comes of it, check it, tell it.

use super::FATE_MAX;
use super::acts::{Act, Answer, Body, Owed};
use super::checks::Checks;
use super::compare::difference;
use super::page::{Ink, Page, grouped, took, took_real};
use super::sender::{Reply, Sender, Sent};
use super::system::{Place, System};
use super::watch::{self, Fate};
use crate::receiver::Seen;
use livekit_webhook::clock::{Clock as _, SystemClock};
use livekit_webhook::store::{AttemptRecord, StoredDelivery};
use livekit_webhook_core::attempt::Outcome;
use livekit_webhook_core::delivery::State;
use livekit_webhook_core::retry::WAIT_MS_MIN;

/// What one act works with.
struct Scene<'s, 'p> {
    act: &'s Act,
    sent: &'s Sent,
    system: &'s System,
    page: &'s mut Page<'p>,
    checks: &'s mut Checks,
}

/// Plays act `number` to its end.
///
/// # Errors
/// When the edge does not answer or the store cannot be read. What is not as expected is no error
/// but a failed check.
pub async fn act(
    number: usize,
    act: &Act,
    sent: &Sent,
    sender: &Sender,
    system: &System,
    page: &mut Page<'_>,
    checks: &mut Checks,
) -> anyhow::Result<()> {
    let told = checks.failures().len();
    page.head(number, act.kind, act.title)?;
    let bytes = grouped(sent.body.len());
    page.fact("sent", Ink::Plain, format_args!("{bytes} bytes, {}", act.way.words()))?;
    let reply = sender.send(sent).await?;
    let mut scene = Scene { act, sent, system, page, checks };
    scene.answered(&reply)?;
    if act.is_stored() {
        scene.delivered().await?;
    } else {
        scene.not_kept_again().await?;
    }
    for failure in checks.failures().iter().skip(told) {
        page.failure(failure)?;
    }
    Ok(())
}

// === impl Scene ===

impl Scene<'_, '_> {
    fn answered(&mut self, reply: &Reply) -> anyhow::Result<()> {
        let has = |name: &str| reply.headers.contains_key(name);
        let seen = match reply.status {
            200 if has("webhook-duplicate") => "authentic; the host knows it already",
            200 if has("x-livekit-webhook-result") => "authentic; not wanted, ends at the edge",
            200 => "authentic; on the host's disk",
            _ => "refused",
        };
        let code = if reply.code.is_empty() { String::new() } else { format!(", {}", reply.code) };
        let ink = if reply.status == 200 { Ink::Good } else { Ink::Warn };
        let took = took_real(reply.took);
        let status = reply.status;
        self.page.fact("edge", ink, format_args!("{status} in {took}: {seen}{code}"))?;
        self.checks.equal("that the edge answers", self.act.answer.status(), status);
        self.checks.equal(
            "`webhook-duplicate` in the answer",
            self.act.answer == Answer::Duplicate,
            has("webhook-duplicate"),
        );
        self.checks.equal(
            "`x-livekit-webhook-result` in the answer",
            self.act.answer == Answer::Filtered,
            has("x-livekit-webhook-result"),
        );
        let wanted = if let Answer::Refused(code) = self.act.answer { code } else { "" };
        self.checks.equal("the code", wanted, reply.code.as_str());
        Ok(())
    }

    /// What was refused, left out or known before has left no trace of its own.
    async fn not_kept_again(&mut self) -> anyhow::Result<()> {
        let kept = watch::event(&self.system.store, &self.sent.event_id).await?;
        let end = match self.act.answer {
            Answer::Refused(_) => "refused: no byte of it reached the host",
            Answer::Filtered => "filtered: no byte of it reached the host",
            _ => "delivered once, by event 1; this one adds nothing",
        };
        let is_known = self.act.answer == Answer::Duplicate;
        self.checks.equal("that the host has it", is_known, kept.is_some());
        self.page.fact("end", Ink::Plain, end)?;
        Ok(())
    }

    async fn delivered(&mut self) -> anyhow::Result<()> {
        let fate = watch::fate(&self.system.store, &self.sent.event_id, FATE_MAX).await?;
        self.checks.expect(
            fate.is_over,
            format_args!("that nothing is left to do after {FATE_MAX:?}"),
            format_args!("{:?}", fate.stored.plan),
        );
        let is_same = fate.stored.event.body == self.sent.body.as_bytes();
        self.checks.expect(is_same, "that the host keeps the bytes as sent", "other bytes");
        let owed: Vec<_> = self.act.owed.iter().map(|owed| owed.endpoint).collect();
        let mut planned: Vec<_> =
            fate.deliveries.iter().map(|(delivery, _)| delivery.endpoint.as_str()).collect();
        planned.sort_by_key(|name| owed.iter().position(|owed| owed == name));
        self.checks.equal("deliveries to", owed.join(", "), planned.join(", "));
        if owed.is_empty() {
            self.page.fact("end", Ink::Plain, "kept in the store, owed to nobody")?;
        }
        for (index, owed) in self.act.owed.iter().enumerate() {
            if index > 0 {
                self.page.line("")?;
            }
            let found = fate.deliveries.iter().find(|(row, _)| row.endpoint == owed.endpoint);
            if let (Some((delivery, attempts)), Some(place)) =
                (found, self.system.place(owed.endpoint))
            {
                self.delivery(owed, place, delivery, attempts, &fate)?;
            }
        }
        Ok(())
    }

    fn delivery(
        &mut self,
        owed: &Owed,
        place: &Place,
        delivery: &StoredDelivery,
        attempts: &[AttemptRecord],
        fate: &Fate,
    ) -> anyhow::Result<()> {
        let seen = place.receiver.seen();
        let seen: Vec<_> = seen
            .iter()
            .filter(|seen| seen.header("webhook-id").is_ok_and(|id| id == delivery.webhook_id))
            .collect();
        self.checks.equal(
            format_args!("that {} gets as many requests as attempts were recorded", place.name),
            attempts.len(),
            seen.len(),
        );
        if let Some(first) = seen.first() {
            self.plugins(owed, place, first)?;
        }
        let proof = self.proof(place, &seen);
        self.attempts(owed, place, attempts, proof)?;
        self.end(owed, place, delivery, attempts.len(), fate)
    }

    /// What the plugins did, by comparing what was sent with what arrived.
    fn plugins(&mut self, owed: &Owed, place: &Place, seen: &Seen) -> anyhow::Result<()> {
        let arrived = String::from_utf8_lossy(&seen.body);
        match owed.body {
            Body::Same => {
                let is_same = arrived == self.sent.body;
                let words = format_args!("that {} gets LiveKit's own bytes", place.name);
                self.checks.expect(is_same, words, "other bytes");
                self.page.fact("plugins", Ink::Plain, "none; the very bytes that LiveKit sent")?;
            }
            Body::Redacted(paths) => {
                let found = difference(&self.sent.body, &arrived);
                let (wanted, removed) = (paths.join(", "), found.paths.join(", "));
                self.checks.equal("that redact removes", wanted.as_str(), removed.as_str());
                self.checks.expect(
                    found.is_all && arrived.contains("[redacted]"),
                    "every other byte as LiveKit sent it",
                    "more that differs",
                );
                let mut label = "redact";
                for path in &found.paths {
                    self.page.fact(label, Ink::Plain, format_args!("removed {path}"))?;
                    label = "";
                }
                if found.is_all {
                    self.page.fact(label, Ink::Plain, "every other byte is as LiveKit sent it")?;
                }
            }
            Body::Post(words) => {
                let post: serde_json::Value = serde_json::from_slice(&seen.body)?;
                let text = post["text"].as_str().unwrap_or_default();
                for word in words {
                    let holds = text.contains(word);
                    self.checks.expect(holds, format_args!("a post with {word:?}"), text);
                }
                for (number, line) in text.lines().enumerate() {
                    let label = if number == 0 { "slack" } else { "" };
                    self.page.fact(label, Ink::Plain, line)?;
                }
            }
        }
        Ok(())
    }

    /// Whether the receiver could tell that every request is ours.
    fn proof(&mut self, place: &Place, seen: &[&Seen]) -> bool {
        let now_s = SystemClock.now().as_secs();
        let mut all = !seen.is_empty();
        for (number, seen) in (1..).zip(seen) {
            let result = place.proof.check(seen, now_s);
            all &= result.is_ok();
            let words = place.proof.words();
            self.checks
                .holds(format_args!("a {words} on request {number} to {}", place.name), &result);
        }
        all
    }

    fn attempts(
        &mut self,
        owed: &Owed,
        place: &Place,
        attempts: &[AttemptRecord],
        is_proved: bool,
    ) -> anyhow::Result<()> {
        let statuses: Vec<_> = attempts.iter().map(|one| status(&one.outcome)).collect();
        let wanted: Vec<_> = owed.statuses.iter().map(u16::to_string).collect();
        self.checks.equal(
            format_args!("the attempts at {}", place.name),
            wanted.join(", "),
            statuses.join(", "),
        );
        for (index, (attempt, status)) in attempts.iter().zip(&statuses).enumerate() {
            let is_good = status.starts_with('2');
            let follows = match (attempts.get(index + 1), is_good) {
                (Some(next), _) => self.pause(attempt, next),
                (None, true) if is_proved => format!("{} verified", place.proof.words()),
                (None, true) => "taken unproved".to_owned(),
                (None, false) => last_words(owed.dead).to_owned(),
            };
            let label = if index == 0 { place.name } else { "" };
            let took = took(attempt.duration_ms);
            let ink = if is_good { Ink::Good } else { Ink::Warn };
            self.page.fact(label, ink, format_args!("{status} in {took:>5}   {follows}"))?;
        }
        Ok(())
    }

    /// How long the host waited, and that it was long enough.
    fn pause(&mut self, attempt: &AttemptRecord, next: &AttemptRecord) -> String {
        let ended = attempt.started_at.plus_millis(attempt.duration_ms);
        let waited_ms = next.started_at.millis_since(ended);
        let hint_ms = match attempt.outcome {
            Outcome::Answered { retry_after_ms, .. } => retry_after_ms,
            Outcome::Failed(_) => None,
        };
        // A duration is cut to whole milliseconds, so the end may lie one later.
        let least_ms = hint_ms.unwrap_or(0).max(WAIT_MS_MIN) - 1;
        let words = format_args!("a wait of at least {least_ms} ms before attempt {}", next.number);
        self.checks.expect(waited_ms >= least_ms, words, format_args!("{waited_ms} ms"));
        match hint_ms {
            Some(hint_ms) => {
                let seconds = hint_ms / 1_000;
                format!("Retry-After: {seconds}, so again after {}", took(waited_ms))
            }
            None => format!("again after {}", took(waited_ms)),
        }
    }

    fn end(
        &mut self,
        owed: &Owed,
        place: &Place,
        delivery: &StoredDelivery,
        attempts: usize,
        fate: &Fate,
    ) -> anyhow::Result<()> {
        let (word, ink) = match delivery.state {
            State::Delivered => ("delivered".to_owned(), Ink::Good),
            State::Dead(reason) => (format!("dead letter, {}", reason.as_str()), Ink::Warn),
            State::Pending => ("still owed".to_owned(), Ink::Bad),
        };
        let wanted = owed.dead.map_or("delivered".to_owned(), |why| format!("dead letter, {why}"));
        let name = place.name;
        self.checks.equal(format_args!("the end at {name}"), wanted.as_str(), word.as_str());
        let after = took(delivery.updated_at.millis_since(fate.stored.event.received_at));
        let tries = if attempts == 1 { "attempt" } else { "attempts" };
        let text = format!("{word}: {attempts} {tries}, {after} after the event came");
        self.page.fact("end", ink, text)?;
        Ok(())
    }
}

/// Why no attempt follows a failure.
fn last_words(dead: Option<&str>) -> &'static str {
    match dead {
        Some("exhausted") => "the last attempt of its schedule",
        Some("refused") => "a 4xx is final at this endpoint",
        _ => "no attempt follows",
    }
}

fn status(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Answered { status, .. } => status.to_string(),
        Outcome::Failed(class) => class.as_str().to_owned(),
    }
}
