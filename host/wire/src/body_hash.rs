//! SHA-256 of a body that arrives in pieces.

use sha2::{Digest, Sha256};
use subtle::{Choice, ConstantTimeEq as _};

/// Feed it each piece once, in order.
#[derive(Clone, Default)]
pub struct BodyHash {
    state: Sha256,
}

impl BodyHash {
    /// Of nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// The digest of a body that is there as a whole.
    pub fn of(body: &[u8]) -> [u8; 32] {
        Sha256::digest(body).into()
    }

    /// The next piece.
    pub fn update(&mut self, piece: &[u8]) {
        self.state.update(piece);
    }

    /// The digest of all pieces.
    pub fn finish(self) -> [u8; 32] {
        self.state.finalize().into()
    }
}

/// Whether two digests are the same, in constant time. Word by word, and only the whole passes the
/// barrier that keeps the compiler from ending early; byte by byte, each byte would.
pub(crate) fn same(left: &[u8; 32], right: &[u8; 32]) -> Choice {
    let (left, right) = (left.as_chunks().0.iter(), right.as_chunks().0.iter());
    let word = |chunk: &[u8; 8]| u64::from_le_bytes(*chunk);
    left.zip(right).fold(0, |differ, (left, right)| differ | (word(left) ^ word(right))).ct_eq(&0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_bit_of_a_digest_counts() {
        let digest: [u8; 32] = BodyHash::of(b"body");
        assert!(bool::from(same(&digest, &digest)));
        for bit in 0..256 {
            let mut other = digest;
            other[bit / 8] ^= 1 << (bit % 8);
            assert!(!bool::from(same(&digest, &other)), "bit {bit}");
        }
    }

    #[test]
    fn pieces_hash_as_the_whole() {
        let body: Vec<u8> = (0..1000u32).map(|n| n.to_le_bytes()[0]).collect();
        for split in [0, 1, 63, 64, 65, 999, 1000] {
            let mut hash = BodyHash::new();
            hash.update(&body[..split]);
            hash.update(&body[split..]);
            assert_eq!(hash.finish(), BodyHash::of(&body));
        }
    }

    #[test]
    fn of_nothing_is_the_known_digest() {
        assert_eq!(BodyHash::new().finish()[..4], [0xe3, 0xb0, 0xc4, 0x42]);
    }
}
