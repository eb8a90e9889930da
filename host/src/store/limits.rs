//! What one claim may bring into memory.

/// Most events or deliveries of one claim.
pub const CLAIM_MAX: usize = 1_024;

/// Most bytes of bodies of one claim. The first body always comes, however large: what no claim
/// would bring would wait for ever.
pub const CLAIM_BYTES_MAX: usize = 32 * 1024 * 1024;

/// Counts the bodies of one claim.
#[derive(Debug, Default)]
pub struct ClaimBytes(usize);

// === impl ClaimBytes ===

impl ClaimBytes {
    /// Whether a body of `bytes` still fits. The first that does not ends the claim: a smaller one
    /// behind it must not overtake.
    pub fn fits(&mut self, bytes: usize) -> bool {
        let is_first = self.0 == 0;
        // A body of no bytes counts as one byte, so that it is not "the first" again.
        self.0 = self.0.saturating_add(bytes.max(1));
        is_first || self.0 <= CLAIM_BYTES_MAX
    }
}
