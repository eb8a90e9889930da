//! Two answers to one event, compared: of a shadow and what serves, or of then and now.

use super::{Role, Slot, Version, follow};
use crate::metrics::plugin::ResultLabel;
use crate::plugin::log::escape;
use crate::plugin::tape::Tape;
use crate::plugin::witness::Witness;
use crate::plugin::{Fault, Input, Output};
use crate::tasks::Kind;
use similar::TextDiff;
use std::fmt::Write as _;
use std::sync::Arc;
use tracing::warn;

/// Shadow calls of one plugin at once. The next one is left out.
pub const SHADOWS_MAX: usize = 4;
/// Of a difference, in the log.
const DIFF_BYTES_MAX: usize = 1_024;

/// What a plugin said, in lines.
pub fn lines(result: &Result<Vec<Output>, Fault>) -> String {
    let mut text = String::new();
    let outputs = match result {
        Ok(outputs) => outputs,
        Err(fault) => return format!("{}: {fault}\n", follow::label(fault)),
    };
    for output in outputs {
        // Writing to a String cannot fail.
        let _ = match output {
            Output::Accept(accepts) => writeln!(text, "accept {accepts}"),
            Output::Destinations(names) => writeln!(text, "destinations {}", names.join(", ")),
            Output::Attributes(added) => added
                .iter()
                .try_for_each(|(name, value)| writeln!(text, "attribute {name} = {value}")),
            Output::Done(bytes) => writeln!(text, "done {}", String::from_utf8_lossy(bytes)),
            Output::Drafts(drafts) => drafts.iter().try_for_each(|draft| {
                writeln!(text, "draft {}", draft.kind.as_deref().unwrap_or("of the same type"))?;
                draft.attributes.iter().try_for_each(|(n, v)| writeln!(text, "  {n} = {v}"))?;
                body(&draft.body).lines().try_for_each(|line| writeln!(text, "  {line}"))
            }),
        };
    }
    text
}

/// What differs, line by line; `None` when nothing does.
pub fn difference(before: &str, after: &str) -> Option<String> {
    if before == after {
        return None;
    }
    let diff = TextDiff::from_lines(before, after);
    Some(diff.unified_diff().context_radius(1).to_string())
}

/// JSON with a line for each member, so that a difference is short.
fn body(bytes: &[u8]) -> String {
    match serde_json::from_slice::<serde_json::Value>(bytes) {
        Ok(value) => format!("{value:#}"),
        Err(_) => String::from_utf8_lossy(bytes).into_owned(),
    }
}

// === impl Slot ===

impl Slot {
    /// Shows the event to the shadow, beside, and compares. What the shadow says goes nowhere, and
    /// what it asks from outside is answered as it was to the version that serves.
    pub(super) fn shadow(
        &self,
        shadow: &Arc<Version>,
        input: &Input,
        served: &Result<Vec<Output>, Fault>,
        witness: &Witness,
    ) {
        let label = |result| ResultLabel { plugin: self.name.clone(), result };
        let metrics = self.ground.metrics.clone();
        let place = self.shadows.clone().try_acquire_owned().ok();
        // Who was not called has said nothing to compare with.
        let Some(place) = place.filter(|_| !matches!(served, Err(Fault::Unavailable))) else {
            metrics.plugins.shadows.get_or_create(&label("skipped")).inc();
            return;
        };
        let [same, different, skipped] = ["same", "different", "skipped"].map(label);
        let (served, input, name) = (lines(served), input.clone(), self.name.clone());
        let shadow = shadow.clone();
        self.count(Role::Shadow, "called");
        let tape = Tape::of(witness.seen().map(|seen| seen.tape.entries()).unwrap_or_default());
        self.ground.tasks.spawn(Kind::Attempt, "shadow", async move {
            let event_id = input.id.clone();
            let played = Witness::playing(tape);
            let (said, _) = shadow.plugin().watched(input, &played).await;
            match difference(&served, &lines(&said)) {
                _ if matches!(said, Err(Fault::Unavailable)) => {
                    metrics.plugins.shadows.get_or_create(&skipped).inc()
                }
                None => metrics.plugins.shadows.get_or_create(&same).inc(),
                Some(diff) => {
                    let (plugin, diff) = (name, escape(&diff, DIFF_BYTES_MAX));
                    let digest = shadow.digest().short();
                    warn!(plugin, digest, event_id, diff, "the shadow says something else");
                    metrics.plugins.shadows.get_or_create(&different).inc()
                }
            };
            drop(place);
        });
    }

    /// Places for shadow calls.
    pub(super) fn shadow_places() -> Arc<tokio::sync::Semaphore> {
        Arc::new(tokio::sync::Semaphore::new(SHADOWS_MAX))
    }
}
