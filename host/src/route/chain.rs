//! Runs a chain of plugins over one event and folds what they say.

use crate::metrics::{Metrics, PluginLabel};
use crate::plugin::registry::{OnError, Plugin};
use crate::plugin::{Draft, Fault, Input, Output};
use bytes::Bytes;
use std::sync::Arc;
use tracing::warn;

/// Most events that a chain may make of one.
pub const DRAFTS_MAX: usize = 32;

/// What leaves a chain: a body for one delivery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// The event type to send.
    pub kind: String,
    /// The body, when a plugin changed it.
    pub body: Option<Bytes>,
}

/// The end of a chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Deliver these, one or more.
    Deliver(Vec<Part>),
    /// Deliver nothing.
    Drop {
        /// Who and why.
        note: String,
    },
    /// A plugin failed and its policy says fail.
    Fail {
        /// Who and why.
        note: String,
    },
    /// A plugin asks to be tried again.
    Again {
        /// Not before.
        after_ms: i64,
        /// Who and why.
        note: String,
    },
}

/// An event on its way through the chain.
struct Passing {
    input: Input,
    changed: bool,
}

/// What one plugin made of one passing event.
enum Step {
    Pass(Vec<Passing>),
    End(Verdict),
}

/// Wait before an event is planned again when the plugin named none, in milliseconds.
const AGAIN_MS: i64 = 1_000;

/// Runs `chain` over `input` for `endpoint`.
pub async fn run(
    chain: &[Arc<Plugin>],
    input: Input,
    endpoint: &str,
    metrics: &Metrics,
) -> Verdict {
    let mut passing = vec![Passing { input, changed: false }];
    let mut note = None;
    for plugin in chain {
        let mut next = Vec::new();
        for event in passing {
            match step(plugin, event, endpoint, metrics).await {
                Step::Pass(mut events) => next.append(&mut events),
                Step::End(Verdict::Drop { note: why }) => note = Some(why),
                Step::End(verdict) => return verdict,
            }
        }
        if next.is_empty() {
            let note = note.unwrap_or_else(|| format!("{} made no event of it", plugin.name()));
            return Verdict::Drop { note };
        }
        if next.len() > DRAFTS_MAX {
            let made = next.len();
            let note = format!("{} events of one, at most {DRAFTS_MAX} are allowed", made);
            return Verdict::Fail { note };
        }
        passing = next;
    }
    Verdict::Deliver(passing.into_iter().map(Part::from).collect())
}

async fn step(plugin: &Plugin, event: Passing, endpoint: &str, metrics: &Metrics) -> Step {
    let name = plugin.name();
    let result = plugin.call(event.input.clone()).await;
    let outcome = result.as_ref().map_or_else(fault_label, |_| "ok");
    let label = PluginLabel { plugin: name.to_owned(), outcome };
    metrics.plugin_calls.get_or_create(&label).inc();
    match result {
        Ok(outputs) => pass_all(name, event, outputs, endpoint),
        Err(fault) => {
            warn!(plugin = name, event_id = event.input.id, outcome, fault = %fault, "plugin failed");
            failed(plugin, event, &fault)
        }
    }
}

/// A component may export several interfaces; each output applies to what the ones before it left.
fn pass_all(name: &str, event: Passing, outputs: Vec<Output>, endpoint: &str) -> Step {
    let mut passing = vec![event];
    for output in outputs {
        let mut next = Vec::with_capacity(passing.len());
        for event in passing {
            match pass(name, event, output.clone(), endpoint) {
                Step::Pass(mut events) => next.append(&mut events),
                end @ Step::End(_) => return end,
            }
        }
        passing = next;
    }
    Step::Pass(passing)
}

fn pass(name: &str, mut event: Passing, output: Output, endpoint: &str) -> Step {
    match output {
        Output::Accept(true) | Output::Done(_) => Step::Pass(vec![event]),
        Output::Accept(false) => drop_by(name, "filtered it out"),
        Output::Destinations(names) if names.iter().any(|name| name == endpoint) => {
            Step::Pass(vec![event])
        }
        Output::Destinations(_) => drop_by(name, "routed it elsewhere"),
        Output::Attributes(mut attributes) => {
            event.input.attributes.append(&mut attributes);
            Step::Pass(vec![event])
        }
        Output::Drafts(drafts) => {
            Step::Pass(drafts.into_iter().map(|draft| redrafted(&event.input, draft)).collect())
        }
    }
}

fn redrafted(input: &Input, draft: Draft) -> Passing {
    let mut input = input.clone();
    if let Some(kind) = draft.kind {
        input.kind = kind;
    }
    input.body = draft.body;
    input.attributes.extend(draft.attributes);
    Passing { input, changed: true }
}

fn drop_by(name: &str, what: &str) -> Step {
    Step::End(Verdict::Drop { note: format!("{name} {what}") })
}

/// The policy decides, but not over a plugin's own wish to be tried again.
fn failed(plugin: &Plugin, event: Passing, fault: &Fault) -> Step {
    let note = format!("{}: {fault}", plugin.name());
    match (fault, plugin.on_error()) {
        (Fault::Retry { after_ms }, _) => {
            let after_ms = after_ms.map_or(AGAIN_MS, i64::from);
            Step::End(Verdict::Again { after_ms, note })
        }
        (Fault::Unavailable, _) => Step::End(Verdict::Again { after_ms: AGAIN_MS, note }),
        (_, OnError::Fail) => Step::End(Verdict::Fail { note }),
        (_, OnError::Drop) => Step::End(Verdict::Drop { note }),
        (_, OnError::Pass) => Step::Pass(vec![event]),
    }
}

fn fault_label(fault: &Fault) -> &'static str {
    match fault {
        Fault::Rejected(_) => "rejected",
        Fault::Retry { .. } => "retry",
        Fault::Failed(_) => "failed",
        Fault::Trap(_) => "trap",
        Fault::CpuExceeded { .. } => "cpu_exceeded",
        Fault::DeadlineExceeded { .. } => "deadline_exceeded",
        Fault::MemoryExceeded { .. } => "memory_exceeded",
        Fault::OutputExceeded { .. } => "output_exceeded",
        Fault::Unavailable => "unavailable",
    }
}

// === impl Part ===

impl From<Passing> for Part {
    fn from(passing: Passing) -> Self {
        let body = passing.changed.then_some(passing.input.body);
        Self { kind: passing.input.kind, body }
    }
}
