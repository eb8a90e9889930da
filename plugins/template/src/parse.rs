//! Reads a template.
//!
//! By recursive descent, no deeper than [`DEPTH_MAX`]. The literal text is followed beside it
//! ([`Walk`]), so that each value knows its place; a branch must leave that as it found it.

use crate::Content;
use crate::filter::Filter;
use crate::lexer::{Error, Lexer, Spot, Token};
use crate::place::Walk;
use crate::tree::{Call, Expression, Node, Operand, Template};
use serde_json::Value;

/// Deepest nesting of blocks.
const DEPTH_MAX: usize = 32;
/// Most names in a path, and most filters after a value.
const CHAIN_MAX: usize = 32;

/// What ended a run of nodes.
#[derive(Debug)]
enum Stop {
    /// The template's end.
    End,
    /// `{{else}}`, or `{{else if …}}` with its condition.
    Else(Option<Expression>),
    /// `{{/if}}` and the like, with its word.
    Close(String),
}

/// Reads a template of `content`.
///
/// # Errors
/// At the first thing that is wrong.
pub fn template(text: &str, content: Content) -> Result<Template, Error> {
    let mut parser = Parser { lexer: Lexer::new(text), walk: Walk::new(content), depth: 0 };
    match parser.nodes()? {
        (nodes, Stop::End, _) => Ok(Template(nodes)),
        (_, Stop::Else(_), spot) => {
            Err(parser.lexer.error(spot, "else without an if, unless or each before it"))
        }
        (_, Stop::Close(word), spot) => {
            Err(parser.lexer.error(spot, format!("/{word} closes nothing")))
        }
    }
}

struct Parser<'t> {
    lexer: Lexer<'t>,
    walk: Walk,
    depth: usize,
}

impl Parser<'_> {
    /// Nodes up to what ends them, and where that is.
    fn nodes(&mut self) -> Result<(Vec<Node>, Stop, Spot), Error> {
        let mut nodes = Vec::new();
        // Every turn reads at least one character of a text that has an end.
        loop {
            let text = self.lexer.text();
            if !text.is_empty() {
                self.walk.pass(text);
                nodes.push(Node::Text(text.to_owned()));
            }
            let spot = self.lexer.spot();
            if self.lexer.is_done() {
                return Ok((nodes, Stop::End, spot));
            }
            self.lexer.skip("{{");
            if self.lexer.skip("!") {
                self.lexer.comment(spot)?;
            } else if self.lexer.skip("#") {
                nodes.push(self.block(spot)?);
            } else if self.lexer.skip("/") {
                let word = self.name("the word of the block, such as if")?;
                self.end()?;
                return Ok((nodes, Stop::Close(word), spot));
            } else {
                match self.put_or_else(spot)? {
                    Ok(node) => nodes.push(node),
                    Err(condition) => return Ok((nodes, Stop::Else(condition), spot)),
                }
            }
        }
    }

    /// A value, or else an `else`.
    fn put_or_else(&mut self, spot: Spot) -> Result<Result<Node, Option<Expression>>, Error> {
        let first = self.lexer.token()?;
        if first == Token::Name("else".to_owned()) {
            return match self.lexer.token()? {
                Token::End => Ok(Err(None)),
                Token::Name(word) if word == "if" => {
                    let first = self.lexer.token()?;
                    let (condition, last) = self.expression(first)?;
                    self.expect_end(&last)?;
                    Ok(Err(Some(condition)))
                }
                _ => Err(self.lexer.error(spot, "write {{else}} or {{else if …}}")),
            };
        }
        let Some(place) = self.walk.place() else {
            return Err(self.lexer.error(spot, "a value cannot follow a backslash in JSON"));
        };
        let (value, last) = self.expression(first)?;
        self.expect_end(&last)?;
        Ok(Ok(Node::Put { value, place }))
    }

    /// A block whose `{{#` was read.
    fn block(&mut self, spot: Spot) -> Result<Node, Error> {
        if self.depth == DEPTH_MAX {
            return Err(self
                .lexer
                .error(spot, format!("more than {DEPTH_MAX} blocks in each other")));
        }
        let word = self.name("if, unless or each")?;
        if !["if", "unless", "each"].contains(&word.as_str()) {
            let text = format!("#{word} is no block; write #if, #unless or #each");
            return Err(self.lexer.error(spot, text));
        }
        let first = self.lexer.token()?;
        let (value, mut last) = self.expression(first)?;
        let mut name = None;
        if word == "each" && last == Token::Name("as".to_owned()) {
            name = Some(self.name("a name for the item")?);
            last = self.lexer.token()?;
        }
        self.expect_end(&last)?;
        self.depth += 1;
        let (then, otherwise) = self.branches(&word, spot)?;
        self.depth -= 1;
        Ok(match word.as_str() {
            "if" => Node::If { condition: value, then, otherwise },
            "unless" => Node::If { condition: value, then: otherwise, otherwise: then },
            _ => Node::Each { list: value, name, then, otherwise },
        })
    }

    /// What is in a block, and what is in its `else`.
    fn branches(&mut self, word: &str, spot: Spot) -> Result<(Vec<Node>, Vec<Node>), Error> {
        let before = self.walk;
        let (then, stop, end) = self.nodes()?;
        self.expect_balance(before, end)?;
        match stop {
            Stop::Close(closed) if closed == word => Ok((then, Vec::new())),
            Stop::Else(None) => {
                let (otherwise, stop, end) = self.nodes()?;
                self.expect_balance(before, end)?;
                match stop {
                    Stop::Close(closed) if closed == word => Ok((then, otherwise)),
                    stop => Err(self.unclosed(word, spot, &stop, end)),
                }
            }
            Stop::Else(Some(condition)) => {
                if self.depth == DEPTH_MAX {
                    let text = format!("more than {DEPTH_MAX} blocks in each other");
                    return Err(self.lexer.error(end, text));
                }
                // One {{/if}} closes the whole chain.
                self.depth += 1;
                let (inner, otherwise) = self.branches(word, spot)?;
                self.depth -= 1;
                Ok((then, vec![Node::If { condition, then: inner, otherwise }]))
            }
            stop => Err(self.unclosed(word, spot, &stop, end)),
        }
    }

    fn unclosed(&self, word: &str, spot: Spot, stop: &Stop, end: Spot) -> Error {
        match stop {
            Stop::End => {
                self.lexer.error(spot, format!("#{word} has no end; write {{{{/{word}}}}}"))
            }
            Stop::Else(_) => self.lexer.error(end, "a second else"),
            Stop::Close(closed) => {
                self.lexer.error(end, format!("/{closed} where /{word} must close first"))
            }
        }
    }

    fn expect_balance(&self, before: Walk, end: Spot) -> Result<(), Error> {
        if self.walk == before {
            return Ok(());
        }
        let text = "a block must close the JSON strings it opens, and no others";
        Err(self.lexer.error(end, text))
    }

    /// A value that begins with `first`, and the word after it.
    fn expression(&mut self, first: Token) -> Result<(Expression, Token), Error> {
        let (operand, mut next) = self.operand(first)?;
        let (mut filters, mut is_json) = (Vec::new(), false);
        while next == Token::Sign('|') {
            let word = self.name("the name of a filter")?;
            let spot = self.lexer.word();
            if is_json || filters.len() == CHAIN_MAX {
                let text = format!("json must be the last filter, of at most {CHAIN_MAX}");
                return Err(self.lexer.error(spot, text));
            }
            let (arguments, after) = self.arguments()?;
            next = after;
            if word == "json" && arguments.is_empty() {
                is_json = true;
                continue;
            }
            let Some(filter) = Filter::named(&word) else {
                let text = format!("no filter {word:?}; there are json, {}", Filter::names());
                return Err(self.lexer.error(spot, text));
            };
            if !filter.takes().contains(&arguments.len()) {
                let text = format!("{word} takes {} here", filter.usage());
                return Err(self.lexer.error(spot, text));
            }
            filters.push(Call { filter, arguments });
        }
        Ok((Expression { operand, filters, is_json }, next))
    }

    /// What stands in brackets after a filter, if anything, and the word after it.
    fn arguments(&mut self) -> Result<(Vec<Operand>, Token), Error> {
        let mut next = self.lexer.token()?;
        let mut arguments = Vec::new();
        if next != Token::Sign('(') {
            return Ok((arguments, next));
        }
        loop {
            let first = self.lexer.token()?;
            let (argument, after) = self.operand(first)?;
            arguments.push(argument);
            next = match after {
                Token::Sign(',') if arguments.len() < CHAIN_MAX => continue,
                Token::Sign(')') => self.lexer.token()?,
                _ => return Err(self.lexer.error_at_word("write , or ) after an argument")),
            };
            return Ok((arguments, next));
        }
    }

    fn operand(&mut self, first: Token) -> Result<(Operand, Token), Error> {
        let literal = match first {
            Token::Name(name) => match name.as_str() {
                "true" => Value::Bool(true),
                "false" => Value::Bool(false),
                "null" => Value::Null,
                _ => return self.path(name),
            },
            Token::Text(text) => Value::String(text),
            Token::Number(number) => Value::Number(number),
            Token::Sign(_) | Token::End => {
                let text = "a value must come here, such as room.name";
                return Err(self.lexer.error_at_word(text));
            }
        };
        Ok((Operand::Literal(literal), self.lexer.token()?))
    }

    fn path(&mut self, first: String) -> Result<(Operand, Token), Error> {
        let mut names = vec![first];
        loop {
            let next = self.lexer.token()?;
            if names.len() > CHAIN_MAX {
                return Err(self.lexer.error_at_word(format!("more than {CHAIN_MAX} names")));
            }
            let part = match next {
                Token::Sign('.') => match self.lexer.token()? {
                    Token::Name(name) => name,
                    Token::Number(place) => place.to_string(),
                    _ => return Err(self.lexer.error_at_word("a name must follow the dot")),
                },
                Token::Sign('[') => {
                    let part = match self.lexer.token()? {
                        Token::Text(name) => name,
                        Token::Number(place) => place.to_string(),
                        _ => return Err(self.lexer.error_at_word("write [\"a.name\"] or [0]")),
                    };
                    if self.lexer.token()? != Token::Sign(']') {
                        return Err(self.lexer.error_at_word("a ] is missing"));
                    }
                    part
                }
                next => return Ok((Operand::Path(names), next)),
            };
            names.push(part);
        }
    }

    fn name(&mut self, what: &str) -> Result<String, Error> {
        match self.lexer.token()? {
            Token::Name(name) => Ok(name),
            _ => Err(self.lexer.error_at_word(format!("write {what} here"))),
        }
    }

    fn end(&mut self) -> Result<(), Error> {
        let last = self.lexer.token()?;
        self.expect_end(&last)
    }

    fn expect_end(&self, last: &Token) -> Result<(), Error> {
        match last {
            Token::End => Ok(()),
            _ => Err(self.lexer.error_at_word("write }} or | before this")),
        }
    }
}
