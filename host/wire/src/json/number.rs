//! Numbers: the grammar, and the two ranges that matter.

use super::{Error, Reader};

/// Numbers from here on are refused. It lies a little below the largest `f64`, where parsers begin
/// to disagree on what is still finite.
const NUMBER_LIMIT: f64 = 1.79e308;

/// A number of fewer characters and without an exponent is below [`NUMBER_LIMIT`].
const NUMBER_BYTES_SAFE: usize = 300;

/// So many digits and a sign fit 64 bits.
const INTEGER_BYTES_SAFE: usize = 18;

impl Reader<'_> {
    /// A number: its value when it is an integer that fits.
    pub(super) fn number(&mut self) -> Result<Option<i64>, Error> {
        let start = self.at;
        let (mut whole, mut exponent) = (true, false);
        self.eat(b'-');
        match self.peek() {
            Some(b'0') => self.at += 1,
            Some(b'1'..=b'9') => self.digits()?,
            _ => return Err(self.unexpected()),
        }
        if self.eat(b'.') {
            whole = false;
            self.digits()?;
        }
        if self.eat(b'e') || self.eat(b'E') {
            (whole, exponent) = (false, true);
            let _ = self.eat(b'+') || self.eat(b'-');
            self.digits()?;
        }
        let digits = self.bytes.get(start..self.at).unwrap_or_default();
        if whole && digits.len() <= INTEGER_BYTES_SAFE {
            return Ok(Some(integer(digits)));
        }
        let digits = std::str::from_utf8(digits).unwrap_or_default();
        if exponent || digits.len() > NUMBER_BYTES_SAFE {
            let value: f64 = digits.parse().unwrap_or(f64::INFINITY);
            if value.abs() >= NUMBER_LIMIT {
                return Err(Error::NumberRange { at: start });
            }
        }
        Ok(if whole { digits.parse().ok() } else { None })
    }

    /// One digit or more.
    fn digits(&mut self) -> Result<(), Error> {
        if !matches!(self.peek(), Some(b'0'..=b'9')) {
            return Err(self.unexpected());
        }
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        Ok(())
    }
}

/// The value of at most [`INTEGER_BYTES_SAFE`] characters, digits with or without a minus.
fn integer(text: &[u8]) -> i64 {
    let digits = text.strip_prefix(b"-").unwrap_or(text);
    let value = digits.iter().fold(0, |value, digit| value * 10 + i64::from(digit & 0x0f));
    if digits.len() == text.len() { value } else { -value }
}
