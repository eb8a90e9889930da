//! Fills a template from an event.

use crate::place::Place;
use crate::tree::{Call, Expression, Node, Operand, Template};
use livekit_webhook_plugin::Event;
use serde_json::Value;
use std::borrow::Cow;

/// Longest output, in bytes.
const OUTPUT_BYTES_MAX: usize = 1024 * 1024;
/// Most parts of a template that are filled, each item of a list counted.
const STEPS_MAX: usize = 200_000;

/// What a template becomes.
///
/// # Errors
/// When the output or the work is over its limit, or a filter cannot do what it is asked.
pub fn template(template: &Template, event: &Event) -> Result<String, String> {
    let mut filler = Filler { event, scopes: Vec::new(), out: String::new(), steps: 0 };
    filler.nodes(&template.0)?;
    Ok(filler.out)
}

/// An item of a list that is being walked.
struct Scope<'a> {
    name: Option<&'a str>,
    item: Value,
    place: usize,
    length: usize,
}

struct Filler<'a> {
    event: &'a Event,
    scopes: Vec<Scope<'a>>,
    out: String,
    steps: usize,
}

impl<'a> Filler<'a> {
    fn nodes(&mut self, nodes: &'a [Node]) -> Result<(), String> {
        for node in nodes {
            self.steps += 1;
            if self.steps > STEPS_MAX {
                return Err(format!("the template takes more than {STEPS_MAX} steps"));
            }
            match node {
                Node::Text(text) => self.put(text)?,
                Node::Put { value, place } => self.value(value, *place)?,
                Node::If { condition, then, otherwise } => {
                    let holds = is_truthy(self.evaluate(condition)?.as_ref());
                    self.nodes(if holds { then } else { otherwise })?;
                }
                Node::Each { list, name, then, otherwise } => {
                    self.each(list, name.as_deref(), then, otherwise)?;
                }
            }
        }
        Ok(())
    }

    fn value(&mut self, value: &Expression, place: Place) -> Result<(), String> {
        let written = place.write(self.evaluate(value)?.as_ref(), value.is_json);
        self.put(&written)
    }

    fn each(
        &mut self,
        list: &Expression,
        name: Option<&'a str>,
        then: &'a [Node],
        otherwise: &'a [Node],
    ) -> Result<(), String> {
        let items = match self.evaluate(list)?.into_owned() {
            Value::Array(items) => items,
            Value::Object(members) => {
                let pair = |(key, value)| serde_json::json!({ "key": key, "value": value });
                members.into_iter().map(pair).collect()
            }
            _ => Vec::new(),
        };
        if items.is_empty() {
            return self.nodes(otherwise);
        }
        let length = items.len();
        for (place, item) in items.into_iter().enumerate() {
            self.scopes.push(Scope { name, item, place, length });
            let filled = self.nodes(then);
            self.scopes.pop();
            filled?;
        }
        Ok(())
    }

    fn put(&mut self, text: &str) -> Result<(), String> {
        if self.out.len() + text.len() > OUTPUT_BYTES_MAX {
            return Err(format!("the template makes more than {OUTPUT_BYTES_MAX} bytes"));
        }
        self.out.push_str(text);
        Ok(())
    }

    fn evaluate(&self, expression: &Expression) -> Result<Cow<'_, Value>, String> {
        let mut value = self.operand(&expression.operand);
        for Call { filter, arguments } in &expression.filters {
            let arguments: Vec<_> = arguments.iter().map(|one| self.operand(one)).collect();
            value = Cow::Owned(filter.apply(value.as_ref(), &arguments)?);
        }
        Ok(value)
    }

    fn operand<'s>(&'s self, operand: &Operand) -> Cow<'s, Value> {
        match operand {
            Operand::Literal(value) => Cow::Owned(value.clone()),
            Operand::Path(names) => self.path(names),
        }
    }

    /// What names lead to; `null` when there is nothing.
    fn path(&self, names: &[String]) -> Cow<'_, Value> {
        let Some((first, others)) = names.split_first() else {
            return Cow::Owned(Value::Null);
        };
        let nearest = self.scopes.last();
        let named = self.scopes.iter().rev().find(|scope| scope.name == Some(first.as_str()));
        let (start, others) = match (first.as_str(), nearest) {
            (_, _) if named.is_some() => (named.map(|scope| &scope.item), others),
            ("this", Some(scope)) => (Some(&scope.item), others),
            ("@index", Some(scope)) => return Cow::Owned(scope.place.into()),
            ("@first", Some(scope)) => return Cow::Owned((scope.place == 0).into()),
            ("@last", Some(scope)) => return Cow::Owned((scope.place + 1 == scope.length).into()),
            ("attributes", _) => return Cow::Owned(self.attribute(others)),
            ("gateway", _) => return Cow::Owned(self.gateway(others)),
            ("body" | "this", _) => (Some(self.event.value()), others),
            _ => (Some(self.event.value()), names),
        };
        let found = others.iter().try_fold(start, |value, name| Some(Some(step(value?, name)?)));
        found.flatten().map_or(Cow::Owned(Value::Null), Cow::Borrowed)
    }

    fn attribute(&self, names: &[String]) -> Value {
        match names {
            [] => Value::Null,
            names => self.event.attribute(&names.join(".")).map_or(Value::Null, Value::String),
        }
    }

    fn gateway(&self, names: &[String]) -> Value {
        let [name] = names else { return Value::Null };
        let text = |text: Option<String>| text.map_or(Value::Null, Value::String);
        match name.as_str() {
            "id" => self.event.id().into(),
            "kind" => self.event.kind().into(),
            "source" => self.event.source().into(),
            "attempt" => self.event.attempt().into(),
            "created_at_ms" => self.event.created_at_ms().into(),
            "room" => text(self.event.room_name()),
            "participant" => text(self.event.participant_identity()),
            _ => Value::Null,
        }
    }
}

fn step<'v>(value: &'v Value, name: &str) -> Option<&'v Value> {
    match value {
        Value::Object(members) => members.get(name),
        Value::Array(items) => items.get(name.parse::<usize>().ok()?),
        _ => None,
    }
}

/// Nothing, no, zero and what is empty are not.
pub fn is_truthy(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(truth) => *truth,
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::String(text) => !text.is_empty(),
        Value::Array(items) => !items.is_empty(),
        Value::Object(members) => !members.is_empty(),
    }
}
