//! SHA-256 of a body that arrives in pieces.

/// Feed it each piece once, in order.
#[derive(Clone, Default)]
pub struct BodyHash {}

impl BodyHash {
    /// Of nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// The next piece.
    pub fn update(&mut self, piece: &[u8]) {
        let _ = piece;
        unimplemented!()
    }

    /// The digest of all pieces.
    pub fn finish(self) -> [u8; 32] {
        unimplemented!()
    }
}
