//! Runs a chain of plugins over one event and folds what they say.

use crate::plugin::deploy::{Ended, Follows, Slot};
use crate::plugin::{Draft, Input, Output};
use bytes::Bytes;
use livekit_webhook_core::endpoint::{AttributeError, AttributeHeaders, DeliveryHeaders};
use std::sync::Arc;

/// Most events that a chain may make of one.
pub const DRAFTS_MAX: usize = 32;

/// What leaves a chain: body and headers of one delivery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// The event type to send.
    pub kind: String,
    /// The body, when a plugin changed it.
    pub body: Option<Bytes>,
    /// What its endpoint gets of the attributes.
    pub headers: DeliveryHeaders,
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
    /// A plugin asks to be tried again, or is overloaded.
    Again {
        /// Not before.
        after_ms: i64,
        /// Who and why.
        note: String,
    },
    /// A plugin failed in a way that may pass, or rests.
    Wait {
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

/// Runs `chain` over `input` for `endpoint`, which gets the attributes that are `allowed` as
/// headers.
pub async fn run(
    chain: &[Arc<Slot>],
    input: Input,
    endpoint: &str,
    allowed: &AttributeHeaders,
) -> Verdict {
    let mut passing = vec![Passing { input, changed: false }];
    let mut note = None;
    for plugin in chain {
        let mut next = Vec::new();
        for event in passing {
            match step(plugin, event, endpoint).await {
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
    let parts = passing.into_iter().map(|passing| Part::of(passing, allowed));
    match parts.collect::<Result<_, AttributeError>>() {
        Ok(parts) => Verdict::Deliver(parts),
        Err(error) => Verdict::Fail { note: error.to_string() },
    }
}

async fn step(plugin: &Slot, event: Passing, endpoint: &str) -> Step {
    match plugin.call(&event.input).await {
        Ok(outputs) => pass_all(plugin.name(), event, outputs, endpoint),
        Err(ended) => failed(event, ended),
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
            Step::Pass(drafts.into_iter().map(|draft| redrafted(&event, draft)).collect())
        }
    }
}

/// A body that is left as it was is not kept a second time.
fn redrafted(event: &Passing, draft: Draft) -> Passing {
    let Passing { input, changed } = event;
    let mut input = input.clone();
    if let Some(kind) = draft.kind {
        input.kind = kind;
    }
    let changed = *changed || draft.body != input.body;
    input.body = draft.body;
    input.attributes.extend(draft.attributes);
    Passing { input, changed }
}

fn drop_by(name: &str, what: &str) -> Step {
    Step::End(Verdict::Drop { note: format!("{name} {what}") })
}

fn failed(event: Passing, Ended { note, follows }: Ended) -> Step {
    match follows {
        Follows::Again { after_ms } => Step::End(Verdict::Again { after_ms, note }),
        Follows::Wait { after_ms } => Step::End(Verdict::Wait { after_ms, note }),
        Follows::Fail => Step::End(Verdict::Fail { note }),
        Follows::Drop => Step::End(Verdict::Drop { note }),
        Follows::Pass => Step::Pass(vec![event]),
    }
}

// === impl Part ===

impl Part {
    /// The event as it is, of type `kind`.
    pub fn unchanged(kind: &str) -> Self {
        Self { kind: kind.to_owned(), body: None, headers: DeliveryHeaders::default() }
    }

    fn of(passing: Passing, allowed: &AttributeHeaders) -> Result<Self, AttributeError> {
        let headers = allowed.choose(&passing.input.attributes)?;
        let body = passing.changed.then_some(passing.input.body);
        Ok(Self { kind: passing.input.kind, body, headers })
    }
}
