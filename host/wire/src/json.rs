//! A strict JSON reader that borrows: one pass, no tree, no copy.
//!
//! The token and the envelope are read with it, here and in Envoy's wasm runtime, where a general
//! parser costs more than the hash of the body. A caller asks for one object and is called back
//! with each member; what it does not want it skips, and what is skipped is checked as strictly as
//! what is kept.
//!
//! Guarantee: whatever it accepts, `serde_json` accepts too (the fuzzer holds it to that), with
//! these refused on top: duplicate members at any depth, nesting over [`DEPTH_MAX`], more than
//! [`MEMBERS_MAX`] members in open objects. Not guaranteed: which of several errors in one document
//! is reported.

mod number;
mod text;

pub(crate) use text::{Text, position};

/// Deepest nesting, counting the outermost object as one.
pub const DEPTH_MAX: usize = 64;

/// Most members remembered at once, over all objects that are open. Bounds the memory of the
/// duplicate check.
pub const MEMBERS_MAX: usize = 65_536;

/// Objects with more members are checked for duplicates by sorting.
const PAIRWISE_MAX: usize = 16;

/// Why bytes are not the JSON we take. `at` is a byte offset from the start.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The outermost value is something else.
    #[error("expected an object at byte {at}")]
    NotAnObject {
        /// Where.
        at: usize,
    },
    /// Against the grammar.
    #[error("not JSON at byte {at}")]
    Syntax {
        /// Where.
        at: usize,
    },
    /// The document stops in the middle.
    #[error("the document ends at byte {at}, within a value")]
    Truncated {
        /// Where.
        at: usize,
    },
    /// Something follows the object.
    #[error("expected nothing after the object, at byte {at}")]
    Trailing {
        /// Where.
        at: usize,
    },
    /// Bytes that are no UTF-8.
    #[error("not UTF-8 at byte {at}")]
    NotUtf8 {
        /// Where.
        at: usize,
    },
    /// Parsers disagree on which of the two counts.
    #[error("a member name occurs twice in one object, again at byte {at}")]
    DuplicateMember {
        /// Where the second one is.
        at: usize,
    },
    /// Half of a UTF-16 pair, which no Rust string can hold.
    #[error("a lone surrogate at byte {at}")]
    LoneSurrogate {
        /// Where.
        at: usize,
    },
    /// Nested deeper than [`DEPTH_MAX`].
    #[error("nested deeper than {DEPTH_MAX} at byte {at}")]
    TooDeep {
        /// Where.
        at: usize,
    },
    /// Over [`MEMBERS_MAX`].
    #[error("more than {MEMBERS_MAX} members in open objects at byte {at}")]
    TooManyMembers {
        /// Where.
        at: usize,
    },
    /// A number no `f64` can hold.
    #[error("a number out of range at byte {at}")]
    NumberRange {
        /// Where.
        at: usize,
    },
}

/// One value. What is inside a list or an object has been checked and left behind.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Value<'a> {
    Null,
    Bool,
    /// A number without fraction and exponent that fits.
    Integer(i64),
    /// Any other number.
    Number,
    Text(Text<'a>),
    List,
    Object,
}

/// Where the reading is.
pub(crate) struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    depth: usize,
    /// Member names of all open objects, the outermost first.
    names: Vec<Name<'a>>,
}

/// A member's name, as the duplicate check needs it.
struct Name<'a> {
    /// Different for most names that differ, equal for names that are.
    mark: u32,
    text: Text<'a>,
    at: usize,
}

/// What an object's members are handed to: reads or skips the value.
type Member<'m, 'a> = &'m mut dyn FnMut(&mut Reader<'a>, &[u8]) -> Result<(), Error>;

/// Reads `bytes` as one object and hands each member to `member`, which must read or skip its
/// value.
pub(crate) fn document<'a>(
    bytes: &'a [u8],
    mut member: impl FnMut(&mut Reader<'a>, &[u8]) -> Result<(), Error>,
) -> Result<(), Error> {
    let names = Vec::with_capacity(2 * PAIRWISE_MAX);
    let mut reader = Reader { bytes, at: 0, depth: 0, names };
    reader.space();
    match reader.peek() {
        Some(b'{') => reader.object(&mut member)?,
        Some(b'[' | b'"' | b'-' | b'0'..=b'9' | b't' | b'f' | b'n') => {
            return Err(Error::NotAnObject { at: reader.at });
        }
        _ => return Err(reader.unexpected()),
    }
    reader.space();
    if reader.at < bytes.len() {
        return Err(Error::Trailing { at: reader.at });
    }
    Ok(())
}

// === impl Error ===

impl Error {
    /// A stable word for logs and metrics.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NotAnObject { .. } => "not_an_object",
            Self::Syntax { .. } => "syntax",
            Self::Truncated { .. } => "truncated",
            Self::Trailing { .. } => "trailing",
            Self::NotUtf8 { .. } => "not_utf8",
            Self::DuplicateMember { .. } => "duplicate_member",
            Self::LoneSurrogate { .. } => "lone_surrogate",
            Self::TooDeep { .. } => "too_deep",
            Self::TooManyMembers { .. } => "too_many_members",
            Self::NumberRange { .. } => "number_range",
        }
    }

    /// The byte offset.
    pub fn at(&self) -> usize {
        match *self {
            Self::NotAnObject { at }
            | Self::Syntax { at }
            | Self::Truncated { at }
            | Self::Trailing { at }
            | Self::NotUtf8 { at }
            | Self::DuplicateMember { at }
            | Self::LoneSurrogate { at }
            | Self::TooDeep { at }
            | Self::TooManyMembers { at }
            | Self::NumberRange { at } => at,
        }
    }
}

// === impl Reader ===

impl<'a> Reader<'a> {
    /// Whether an object comes next.
    pub(crate) fn at_object(&self) -> bool {
        self.peek() == Some(b'{')
    }

    /// The next value, whatever it is.
    pub(crate) fn value(&mut self) -> Result<Value<'a>, Error> {
        match self.peek() {
            Some(b'"') => Ok(Value::Text(self.string()?)),
            Some(b'-' | b'0'..=b'9') => Ok(self.number()?.map_or(Value::Number, Value::Integer)),
            first => {
                self.skip()?;
                Ok(match first {
                    Some(b'{') => Value::Object,
                    Some(b'[') => Value::List,
                    Some(b'n') => Value::Null,
                    _ => Value::Bool,
                })
            }
        }
    }

    /// Leaves the next value behind, checked as strictly as one that is kept.
    pub(crate) fn skip(&mut self) -> Result<(), Error> {
        match self.peek() {
            Some(b'"') => self.string().map(drop),
            Some(b'{') => self.object(&mut |reader, _| reader.skip()),
            Some(b'[') => self.list(),
            Some(b'-' | b'0'..=b'9') => self.number().map(drop),
            Some(b't') => self.literal(b"true"),
            Some(b'f') => self.literal(b"false"),
            Some(b'n') => self.literal(b"null"),
            _ => Err(self.unexpected()),
        }
    }

    /// An object, member by member. Refused when no object comes next: ask [`Reader::at_object`]
    /// first. Compiled once, whoever wants the members: code that is not there need not be fetched.
    pub(crate) fn object(&mut self, member: Member<'_, 'a>) -> Result<(), Error> {
        self.expect(b'{')?;
        self.enter()?;
        let first = self.names.len();
        self.space();
        if self.peek() == Some(b'}') {
            return self.leave();
        }
        loop {
            if self.peek() != Some(b'"') {
                return Err(self.unexpected());
            }
            let at = self.at;
            if self.names.len() == MEMBERS_MAX {
                return Err(Error::TooManyMembers { at });
            }
            let text = self.string()?;
            self.space();
            self.expect(b':')?;
            self.space();
            match text.raw() {
                Some(name) => {
                    self.names.push(Name { mark: mark(name), text, at });
                    member(self, name)?;
                }
                None => {
                    let name = text.bytes();
                    self.names.push(Name { mark: mark(&name), text, at });
                    member(self, &name)?;
                }
            }
            if !self.more(b'}')? {
                break;
            }
        }
        self.no_duplicates(first)?;
        self.names.truncate(first);
        self.leave()
    }

    fn list(&mut self) -> Result<(), Error> {
        self.expect(b'[')?;
        self.enter()?;
        self.space();
        if self.peek() == Some(b']') {
            return self.leave();
        }
        loop {
            self.skip()?;
            if !self.more(b']')? {
                return self.leave();
            }
        }
    }

    /// Whether another one follows: a comma, or `close`, which is left for [`Reader::leave`].
    fn more(&mut self, close: u8) -> Result<bool, Error> {
        self.space();
        match self.peek() {
            Some(b',') => {
                self.at += 1;
                self.space();
                Ok(true)
            }
            Some(byte) if byte == close => Ok(false),
            _ => Err(self.unexpected()),
        }
    }

    fn enter(&mut self) -> Result<(), Error> {
        if self.depth == DEPTH_MAX {
            return Err(Error::TooDeep { at: self.at - 1 });
        }
        self.depth += 1;
        Ok(())
    }

    fn leave(&mut self) -> Result<(), Error> {
        self.at += 1;
        self.depth -= 1;
        Ok(())
    }

    /// Looks at the names from `first` on: those of the object that is about to close.
    fn no_duplicates(&mut self, first: usize) -> Result<(), Error> {
        let names = self.names.get_mut(first..).unwrap_or_default();
        if names.len() > PAIRWISE_MAX {
            return no_duplicates_of_many(names);
        }
        for (n, name) in names.iter().enumerate() {
            let earlier = names.get(..n).unwrap_or_default();
            if earlier.iter().any(|other| other.mark == name.mark && other.same(name)) {
                return Err(Error::DuplicateMember { at: name.at });
            }
        }
        Ok(())
    }

    fn string(&mut self) -> Result<Text<'a>, Error> {
        let (text, end) = text::scan(self.bytes, self.at + 1)?;
        self.at = end;
        Ok(text)
    }

    fn literal(&mut self, word: &[u8]) -> Result<(), Error> {
        if self.bytes.get(self.at..).is_some_and(|rest| rest.starts_with(word)) {
            self.at += word.len();
            return Ok(());
        }
        word.iter().try_for_each(|byte| self.expect(*byte))
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn eat(&mut self, byte: u8) -> bool {
        let here = self.peek() == Some(byte);
        self.at += usize::from(here);
        here
    }

    fn expect(&mut self, byte: u8) -> Result<(), Error> {
        if self.eat(byte) { Ok(()) } else { Err(self.unexpected()) }
    }

    fn space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\n' | b'\t' | b'\r')) {
            self.at += 1;
        }
    }

    /// What is wrong with the byte that comes next.
    #[cold]
    fn unexpected(&self) -> Error {
        let (at, rest) = (self.at, self.bytes.get(self.at..).unwrap_or_default());
        match rest.utf8_chunks().next() {
            None => Error::Truncated { at },
            Some(chunk) if chunk.valid().is_empty() => Error::NotUtf8 { at },
            Some(_) => Error::Syntax { at },
        }
    }
}

// === impl Name ===

impl Name<'_> {
    /// Whether both stand for the same characters.
    #[cold]
    fn same(&self, other: &Self) -> bool {
        self.text.bytes() == other.text.bytes()
    }
}

/// Of the length and the two ends.
fn mark(name: &[u8]) -> u32 {
    let ([first, .., last] | [first @ last]) = name else { return 0 };
    u32::from(*first) << 8 | u32::from(*last) | u32::try_from(name.len()).unwrap_or(0) << 16
}

/// By sorting. The second one of the first pair in the document is reported.
#[cold]
fn no_duplicates_of_many(names: &[Name<'_>]) -> Result<(), Error> {
    let mut names: Vec<_> = names.iter().map(|name| (name.text.bytes(), name.at)).collect();
    names.sort_unstable();
    let again = names.windows(2).filter(|pair| pair[0].0 == pair[1].0).map(|pair| pair[1].1);
    again.min().map_or(Ok(()), |at| Err(Error::DuplicateMember { at }))
}

#[cfg(test)]
mod tests;
