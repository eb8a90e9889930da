//! The characters of a template, with line and column, and the words within a tag.

use std::fmt;

/// What is wrong, and where.
#[derive(Debug, PartialEq, Eq)]
pub struct Error {
    /// Counted from 1.
    pub line: usize,
    /// In characters, counted from 1.
    pub column: usize,
    /// What would be right.
    pub text: String,
}

/// A place in a template.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spot(usize);

/// A word within a tag.
#[derive(Clone, Debug, PartialEq)]
pub enum Token {
    /// `room`, `this`, `@index`, `if`
    Name(String),
    /// `"text"`
    Text(String),
    /// `12`, `-1.5`
    Number(serde_json::Number),
    /// `.`, `[`, `]`, `|`, `(`, `)`, `,`
    Sign(char),
    /// `}}`
    End,
}

/// Reads a template from its start to its end.
#[derive(Debug)]
pub struct Lexer<'t> {
    whole: &'t str,
    at: usize,
    /// Where the last word began.
    word: usize,
}

// === impl Lexer ===

impl<'t> Lexer<'t> {
    /// At the start.
    pub fn new(whole: &'t str) -> Self {
        Self { whole, at: 0, word: 0 }
    }

    /// Where we are.
    pub fn spot(&self) -> Spot {
        Spot(self.at)
    }

    /// Where the last word began.
    pub fn word(&self) -> Spot {
        Spot(self.word)
    }

    /// An error at the last word.
    pub fn error_at_word(&self, text: impl Into<String>) -> Error {
        self.error(self.word(), text)
    }

    /// An error at a place.
    pub fn error(&self, spot: Spot, text: impl Into<String>) -> Error {
        let before = self.whole.get(..spot.0).unwrap_or(self.whole);
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let column = before.get(line_start..).unwrap_or_default().chars().count() + 1;
        Error { line: before.matches('\n').count() + 1, column, text: text.into() }
    }

    fn rest(&self) -> &'t str {
        self.whole.get(self.at..).unwrap_or_default()
    }

    /// Whether everything has been read.
    pub fn is_done(&self) -> bool {
        self.rest().is_empty()
    }

    /// The text up to the next tag or the end.
    pub fn text(&mut self) -> &'t str {
        let rest = self.rest();
        let text = rest.get(..rest.find("{{").unwrap_or(rest.len())).unwrap_or_default();
        self.at += text.len();
        text
    }

    /// Past these characters, when they are next.
    pub fn skip(&mut self, expected: &str) -> bool {
        let is_next = self.rest().starts_with(expected);
        if is_next {
            self.at += expected.len();
        }
        is_next
    }

    /// Past a comment, whose `{{!` was read.
    pub fn comment(&mut self, start: Spot) -> Result<(), Error> {
        let Some(end) = self.rest().find("}}") else {
            return Err(self.error(start, "this comment has no end; write }}"));
        };
        self.at += end + 2;
        Ok(())
    }

    /// The next word within a tag.
    pub fn token(&mut self) -> Result<Token, Error> {
        let rest = self.rest();
        self.at += rest.len() - rest.trim_start().len();
        let (rest, spot) = (self.rest(), self.spot());
        self.word = self.at;
        if self.skip("}}") {
            return Ok(Token::End);
        }
        let Some(first) = rest.chars().next() else {
            return Err(self.error(spot, "the template ends within a tag; write }}"));
        };
        let length = |fits: fn(char) -> bool| {
            let others = rest.char_indices().skip(1).find(|&(_, c)| !fits(c));
            others.map_or(rest.len(), |(at, _)| at)
        };
        match first {
            '"' => self.quoted(spot),
            '.' | '[' | ']' | '|' | '(' | ')' | ',' => {
                self.at += 1;
                Ok(Token::Sign(first))
            }
            '@' | '_' | 'a'..='z' | 'A'..='Z' => {
                let name = rest.get(..length(is_of_name)).unwrap_or_default();
                self.at += name.len();
                Ok(Token::Name(name.to_owned()))
            }
            '-' | '0'..='9' => {
                let number = rest.get(..length(|c| c.is_ascii_digit())).unwrap_or_default();
                self.at += number.len();
                let parsed = serde_json::from_str(number);
                parsed
                    .map(Token::Number)
                    .map_err(|_| self.error(spot, format!("{number:?} is not a whole number")))
            }
            _ => Err(self.error(spot, format!("{first:?} has no meaning here"))),
        }
    }

    /// A text as in JSON.
    fn quoted(&mut self, spot: Spot) -> Result<Token, Error> {
        let rest = self.rest();
        let mut is_escaped = true;
        let end = rest.bytes().position(|b| {
            let ends = b == b'"' && !is_escaped;
            is_escaped = b == b'\\' && !is_escaped;
            ends
        });
        let Some(end) = end else {
            return Err(self.error(spot, "this text has no end; write \" after it"));
        };
        let quoted = rest.get(..=end).unwrap_or_default();
        self.at += quoted.len();
        let text = serde_json::from_str(quoted);
        text.map(Token::Text)
            .map_err(|error| self.error(spot, format!("not a text as in JSON: {error}")))
    }
}

fn is_of_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_' || c == '-'
}

// === impl Error ===

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { line, column, text } = self;
        write!(f, "line {line}, column {column}: {text}")
    }
}
