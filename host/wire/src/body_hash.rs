//! SHA-256 of a body that arrives in pieces.

use sha2::{Digest, Sha256};

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

#[cfg(test)]
mod tests {
    use super::*;

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
