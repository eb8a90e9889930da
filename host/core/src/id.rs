//! Typed ids: 128 bits, time first, so that they sort by creation. Printed as a prefix and 26
//! characters of Crockford's base 32 (the ULID form).

/// Why a text is not an id. Upper case is refused too: an id has one spelling, so that texts can be
/// compared.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected `{prefix}` and 26 characters of base 32 in lower case")]
pub struct Error {
    prefix: &'static str,
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $prefix:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(u128);

        impl $name {
            /// 48 bits of `now_ms`, 80 bits of `dice`.
            pub const fn new(now_ms: i64, dice: u128) -> Self {
                Self(((now_ms as u128 & 0xffff_ffff_ffff) << 80) | (dice & ((1 << 80) - 1)))
            }

            /// From its stored bytes.
            pub const fn from_bytes(bytes: [u8; 16]) -> Self {
                Self(u128::from_be_bytes(bytes))
            }

            /// For storing; sorts as the id does.
            pub const fn to_bytes(self) -> [u8; 16] {
                self.0.to_be_bytes()
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                print(f, $prefix, self.0)
            }
        }

        impl std::str::FromStr for $name {
            type Err = Error;
            fn from_str(text: &str) -> Result<Self, Error> {
                parse(text, $prefix).map(Self)
            }
        }
    };
}

id!(
    /// An event in the store. `evt_…`
    EventId,
    "evt_"
);
id!(
    /// One event owed to one endpoint. `dlv_…`
    DeliveryId,
    "dlv_"
);

id!(
    /// One replay. `rpl_…`
    ReplayId,
    "rpl_"
);
id!(
    /// A sealed secret in the store. `sec_…`
    SecretId,
    "sec_"
);

const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

fn print(f: &mut std::fmt::Formatter<'_>, prefix: &str, value: u128) -> std::fmt::Result {
    f.write_str(prefix)?;
    for position in (0..26).rev() {
        let digit = (value >> (position * 5)) & 31;
        std::fmt::Write::write_char(f, ALPHABET[digit as usize] as char)?;
    }
    Ok(())
}

fn parse(text: &str, prefix: &'static str) -> Result<u128, Error> {
    let error = Error { prefix };
    let digits = text.strip_prefix(prefix).ok_or(error.clone())?.as_bytes();
    // 26 digits hold 130 bits: the first may only use its lower three.
    if digits.len() != 26 || digits[0] > b'7' {
        return Err(error);
    }
    digits.iter().try_fold(0u128, |value, digit| {
        let digit = ALPHABET.iter().position(|known| known == digit).ok_or(error.clone())?;
        Ok((value << 5) | digit as u128)
    })
}

#[cfg(test)]
mod tests;
