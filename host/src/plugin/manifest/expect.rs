//! What a fixture expects, and what came instead, in one shape: a JSON object whose members are
//! compared one by one.
//!
//! | member | compared with |
//! | --- | --- |
//! | `accept` | the answer of `filter`: true or false |
//! | `drafts` | those of `transform`, all and in order: `body` (JSON, or a text that is none; left out for the event's own), `kind` (left out for the event's), `attributes` (left out for none) |
//! | `destinations` | those of `route`, all and in order |
//! | `attributes` | those of `enrich`, all, in any order |
//! | `done` | the result of `action`: JSON, or a text that is none |
//! | `fault` | how the call failed, one of [`FAULTS`]; `text` is part of its text, `after_ms` its time |
//! | `state` | all keys and values after the call |
//!
//! A member that is not given is not compared; but a fault that is not expected is always wrong.

use crate::plugin::{Draft, Fault, Input, Output};
use crate::spelling;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// Words for faults.
pub const FAULTS: [&str; 9] = [
    "rejected",
    "retry",
    "failed",
    "trap",
    "cpu_exceeded",
    "deadline_exceeded",
    "memory_exceeded",
    "output_exceeded",
    "unavailable",
];
/// Members of an expectation.
const MEMBERS: [&str; 9] = [
    "accept",
    "drafts",
    "destinations",
    "attributes",
    "done",
    "fault",
    "text",
    "after_ms",
    "state",
];

/// What must come of an event.
#[derive(Clone, Debug, PartialEq)]
pub struct Expect(Map<String, Value>);

// === impl Expect ===

impl Expect {
    /// Checks its shape.
    ///
    /// # Errors
    /// Every problem.
    pub fn parse(value: &Value) -> Result<Self, Vec<String>> {
        let Value::Object(members) = value else {
            return Err(vec!["must be a table, for example { accept = true }".to_owned()]);
        };
        let mut problems = Vec::new();
        if members.is_empty() {
            problems.push("says nothing, for example { accept = true }".to_owned());
        }
        for (name, value) in members {
            let should = match name.as_str() {
                "accept" => (!value.is_boolean()).then_some("true or false"),
                "drafts" => (!is_list(value, is_draft)).then_some(
                    "a list of tables with `body`, `kind` and `attributes`, each as far as it differs",
                ),
                "destinations" => (!is_list(value, Value::is_string)).then_some("a list of texts"),
                "attributes" | "state" => (!is_texts(value)).then_some("a table of texts"),
                "fault" => (!value.as_str().is_some_and(|word| FAULTS.contains(&word))).then_some(
                    "one of rejected, retry, failed, trap, cpu_exceeded, deadline_exceeded, \
                     memory_exceeded, output_exceeded, unavailable",
                ),
                "text" => (!value.is_string()).then_some("a text"),
                "after_ms" => (!value.is_u64()).then_some("a whole number"),
                "done" => None,
                _ => {
                    let hint = match spelling::nearest(name, &MEMBERS) {
                        Some(member) => format!("did you mean `{member}`?"),
                        None => format!("there are {}", MEMBERS.join(", ")),
                    };
                    problems.push(format!("{name}: unknown key; {hint}"));
                    None
                }
            };
            problems.extend(should.map(|should| format!("{name}: must be {should}")));
        }
        for needs in ["text", "after_ms"] {
            if members.contains_key(needs) && !members.contains_key("fault") {
                problems.push(format!("{needs}: goes with `fault`"));
            }
        }
        if problems.is_empty() { Ok(Self(members.clone())) } else { Err(problems) }
    }

    /// What was expected and what came, brought to one shape; they are equal when all is well.
    pub fn compare(&self, input: &Input, got: &Value) -> (Value, Value) {
        let mut expected = self.0.clone();
        if let Some(Value::Array(drafts)) = expected.get_mut("drafts") {
            for draft in drafts.iter_mut().filter_map(Value::as_object_mut) {
                if !draft.contains_key("body") {
                    draft.insert("body".to_owned(), body(&input.body));
                }
                sort(draft);
            }
        }
        let mut seen = Map::new();
        for (name, value) in &expected {
            if let Some(found) = got.get(name) {
                let holds = name == "text"
                    && matches!((value.as_str(), found.as_str()), (Some(part), Some(text)) if text.contains(part));
                seen.insert(name.clone(), if holds { value.clone() } else { found.clone() });
            }
        }
        for name in ["fault", "text"] {
            if !expected.contains_key("fault")
                && let Some(found) = got.get(name)
            {
                seen.insert(name.to_owned(), found.clone());
            }
        }
        // Nothing of what was expected: what came instead says more than emptiness.
        if seen.is_empty() {
            seen = got.as_object().cloned().unwrap_or_default();
        }
        (Value::Object(expected), Value::Object(seen))
    }
}

/// What came of an event, in the shape of an expectation.
pub fn shape(
    result: &Result<Vec<Output>, Fault>,
    state: Option<BTreeMap<String, String>>,
) -> Value {
    let mut got = Map::new();
    match result {
        Ok(outputs) => {
            for output in outputs {
                let (name, value) = match output {
                    Output::Accept(accept) => ("accept", json!(accept)),
                    Output::Drafts(drafts) => {
                        ("drafts", drafts.iter().map(draft).collect::<Vec<_>>().into())
                    }
                    Output::Destinations(names) => ("destinations", json!(names)),
                    Output::Attributes(added) => ("attributes", attributes(added)),
                    Output::Done(bytes) => ("done", body(bytes)),
                };
                got.insert(name.to_owned(), value);
            }
        }
        Err(fault) => {
            let (word, text) = fault_words(fault);
            got.insert("fault".to_owned(), word.into());
            got.insert("text".to_owned(), text.into());
            if let Fault::Retry { after_ms: Some(after_ms) } = fault {
                got.insert("after_ms".to_owned(), json!(after_ms));
            }
        }
    }
    if let Some(state) = state {
        got.insert("state".to_owned(), json!(state));
    }
    Value::Object(got)
}

/// As in [`FAULTS`], and the text that belongs to it.
fn fault_words(fault: &Fault) -> (&'static str, String) {
    let word = match fault {
        Fault::Rejected(text) => return ("rejected", text.clone()),
        Fault::Failed(text) => return ("failed", text.clone()),
        Fault::Trap(text) => return ("trap", text.clone()),
        Fault::Retry { .. } => "retry",
        Fault::CpuExceeded { .. } => "cpu_exceeded",
        Fault::DeadlineExceeded { .. } => "deadline_exceeded",
        Fault::MemoryExceeded { .. } => "memory_exceeded",
        Fault::OutputExceeded { .. } => "output_exceeded",
        Fault::Unavailable => "unavailable",
    };
    (word, fault.to_string())
}

fn draft(draft: &Draft) -> Value {
    let mut members = Map::new();
    if let Some(kind) = &draft.kind {
        members.insert("kind".to_owned(), kind.clone().into());
    }
    if !draft.attributes.is_empty() {
        members.insert("attributes".to_owned(), attributes(&draft.attributes));
    }
    members.insert("body".to_owned(), body(&draft.body));
    sort(&mut members);
    Value::Object(members)
}

/// In the order in which a difference reads best.
fn sort(draft: &mut Map<String, Value>) {
    let mut sorted = Map::new();
    for name in ["kind", "attributes", "body"] {
        if let Some(value) = draft.shift_remove(name) {
            sorted.insert(name.to_owned(), value);
        }
    }
    *draft = sorted;
}

/// By name, as texts; the last of one name holds.
fn attributes(added: &[(String, String)]) -> Value {
    let by_name: BTreeMap<_, _> = added.iter().map(|(name, value)| (name, value)).collect();
    json!(by_name)
}

/// JSON, else a text.
fn body(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes)
        .unwrap_or_else(|_| String::from_utf8_lossy(bytes).into_owned().into())
}

fn is_list(value: &Value, each: impl Fn(&Value) -> bool) -> bool {
    value.as_array().is_some_and(|items| items.iter().all(each))
}

fn is_texts(value: &Value) -> bool {
    value.as_object().is_some_and(|members| members.values().all(Value::is_string))
}

fn is_draft(value: &Value) -> bool {
    value.as_object().is_some_and(|members| {
        members.iter().all(|(name, value)| match name.as_str() {
            "body" => true,
            "kind" => value.is_string(),
            "attributes" => is_texts(value),
            _ => false,
        })
    })
}
