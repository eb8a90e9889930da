//! Memory and tables of one instance, summed as they grow.
//!
//! A refused growth is an answer to the guest (`memory.grow` returns -1), not a trap: a guest that
//! copes goes on. What is taken of the [`Budget`] of all instances comes back with the instance.

use super::budget::Budget;
use super::limits::{
    CORE_INSTANCES_MAX, Limits, MEMORIES_MAX, MEMORY_BYTES, TABLE_ELEMENTS, TABLES_MAX,
};
use std::sync::Arc;

/// What one instance has.
#[derive(Debug)]
pub struct Growth {
    budget: Arc<Budget>,
    memory_bytes: usize,
    memory_bytes_max: usize,
    table_elements_max: usize,
    refused: Option<Refused>,
}

/// Who refused a growth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// Its own limit.
    Limit,
    /// What is left for all instances.
    Budget,
}

// === impl Growth ===

impl Growth {
    /// Nothing used yet.
    pub fn new(limits: &Limits, budget: Arc<Budget>) -> Self {
        Self {
            budget,
            memory_bytes: 0,
            memory_bytes_max: limits.size(MEMORY_BYTES),
            table_elements_max: limits.size(TABLE_ELEMENTS),
            refused: None,
        }
    }

    /// Memory it has, in bytes. Memory never shrinks, so this is the most it ever had.
    pub fn memory_bytes(&self) -> usize {
        self.memory_bytes
    }

    /// Whether a growth was refused since the last [`Growth::renew`]. What follows tells if the
    /// guest coped.
    pub fn refused(&self) -> Option<Refused> {
        self.refused
    }

    /// Forgets refusals, for the next call of the same instance.
    pub fn renew(&mut self) {
        self.refused = None;
    }
}

impl wasmtime::ResourceLimiter for Growth {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let more = desired.saturating_sub(current);
        let summed = self.memory_bytes.saturating_add(more);
        let refused = if summed > self.memory_bytes_max || maximum.is_some_and(|max| desired > max)
        {
            Some(Refused::Limit)
        } else if !self.budget.take(bytes(more)) {
            Some(Refused::Budget)
        } else {
            self.memory_bytes = summed;
            None
        };
        self.refused = refused.or(self.refused);
        Ok(refused.is_none())
    }

    fn table_growing(
        &mut self,
        _current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        Ok(desired <= self.table_elements_max && maximum.is_none_or(|maximum| desired <= maximum))
    }

    fn memories(&self) -> usize {
        MEMORIES_MAX as usize
    }

    fn tables(&self) -> usize {
        TABLES_MAX as usize
    }

    fn instances(&self) -> usize {
        CORE_INSTANCES_MAX as usize
    }
}

impl Drop for Growth {
    fn drop(&mut self) {
        self.budget.give_back(bytes(self.memory_bytes));
    }
}

fn bytes(size: usize) -> u64 {
    u64::try_from(size).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
