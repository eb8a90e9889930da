//! A template that has been read.

use crate::filter::Filter;
use crate::place::Place;
use serde_json::Value;

/// A whole template.
#[derive(Debug, PartialEq)]
pub struct Template(pub Vec<Node>);

/// A part of a template.
#[derive(Debug, PartialEq)]
pub enum Node {
    /// Goes out as it is.
    Text(String),
    /// `{{ … }}`
    Put {
        /// What.
        value: Expression,
        /// Where.
        place: Place,
    },
    /// `{{#if … }}`, `{{#unless … }}`
    If {
        /// On what.
        condition: Expression,
        /// When it holds.
        then: Vec<Node>,
        /// When it does not.
        otherwise: Vec<Node>,
    },
    /// `{{#each … }}`
    Each {
        /// Over what.
        list: Expression,
        /// What an item is called besides `this`.
        name: Option<String>,
        /// For each item.
        then: Vec<Node>,
        /// When there is none.
        otherwise: Vec<Node>,
    },
}

/// A value and what is done to it.
#[derive(Debug, PartialEq)]
pub struct Expression {
    /// Where it comes from.
    pub operand: Operand,
    /// In order.
    pub filters: Vec<Call>,
    /// Whether a text is wanted as JSON too: the filter `json`, always the last.
    pub is_json: bool,
}

/// A filter with its arguments.
#[derive(Debug, PartialEq)]
pub struct Call {
    /// Which.
    pub filter: Filter,
    /// As many as it takes.
    pub arguments: Vec<Operand>,
}

/// Where a value comes from.
#[derive(Debug, PartialEq)]
pub enum Operand {
    /// Written in the template.
    Literal(Value),
    /// Names from the event, an item or the gateway.
    Path(Vec<String>),
}
