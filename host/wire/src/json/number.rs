//! Numbers: the grammar, and the two ranges that matter.

use super::{Error, Reader};

/// Numbers from here on are refused. It lies a little below the largest `f64`, where parsers begin
/// to disagree on what is still finite.
const NUMBER_LIMIT: f64 = 1.79e308;

/// A number of fewer characters and without an exponent is below [`NUMBER_LIMIT`].
const NUMBER_BYTES_SAFE: usize = 300;

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
