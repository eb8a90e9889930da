//! Answers of the last seconds, and questions under way: who asks what is being asked waits.

use super::{ENTRIES_MAX, FAILED_FRESH, FRESH, KEPT_BYTES_MAX};
use crate::plugin::outside::{LiveKitError, Question};
use bytes::Bytes;
use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::time::Instant;

/// What a question came to.
pub type Answer = Result<Option<Bytes>, LiveKitError>;

/// A source and what it was asked.
pub type Key = (String, Question);

/// By question.
#[derive(Default)]
pub struct Kept(Mutex<HashMap<Key, Arc<Slot>>>);

struct Slot {
    /// Held by whoever asks; the others wait for it and find the answer.
    answer: tokio::sync::Mutex<Option<(Answer, Instant)>>,
    /// Bytes of the answer.
    bytes: AtomicUsize,
    /// Since when it is in the map.
    since: Instant,
}

// === impl Kept ===

impl Kept {
    /// The answer that is there and fresh, else what `ask` says.
    ///
    /// # Cancel safety
    /// Safe: when whoever asks gives up, the next who waits asks.
    pub async fn get_or<F>(&self, key: Key, ask: impl FnOnce() -> F + Send) -> Answer
    where
        F: Future<Output = Answer> + Send,
    {
        let slot = self.slot(key);
        let mut answer = slot.answer.lock().await;
        if let Some((answer, until)) = &*answer
            && Instant::now() < *until
        {
            return answer.clone();
        }
        let asked = ask().await;
        let fresh = if asked.is_ok() { FRESH } else { FAILED_FRESH };
        let bytes = asked.as_ref().ok().and_then(Option::as_ref).map_or(0, Bytes::len);
        slot.bytes.store(bytes, Ordering::Relaxed);
        *answer = Some((asked.clone(), Instant::now() + fresh));
        drop(answer);
        self.fit();
        asked
    }

    pub fn clear(&self) {
        self.slots().clear();
    }

    fn slot(&self, key: Key) -> Arc<Slot> {
        let mut slots = self.slots();
        if let Some(slot) = slots.get(&key) {
            // One that is over is asked again where it is, so that those who wait for it share.
            return Arc::clone(slot);
        }
        if slots.len() >= ENTRIES_MAX {
            remove_oldest(&mut slots);
        }
        let slot = Arc::new(Slot {
            answer: tokio::sync::Mutex::default(),
            bytes: AtomicUsize::new(0),
            since: Instant::now(),
        });
        slots.insert(key, Arc::clone(&slot));
        slot
    }

    /// Forgets what is over, and then the oldest until the rest has room.
    fn fit(&self) {
        let mut slots = self.slots();
        let now = Instant::now();
        // One that cannot be looked at is being asked.
        slots.retain(|_, slot| match slot.answer.try_lock() {
            Ok(answer) => answer.as_ref().is_none_or(|(_, until)| now < *until),
            Err(_) => true,
        });
        let bytes = |slots: &HashMap<Key, Arc<Slot>>| -> usize {
            slots.values().map(|slot| slot.bytes.load(Ordering::Relaxed)).sum()
        };
        while bytes(&slots) > KEPT_BYTES_MAX && remove_oldest(&mut slots) {}
    }

    fn slots(&self) -> MutexGuard<'_, HashMap<Key, Arc<Slot>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[cfg(test)]
    pub fn len(&self) -> usize {
        self.slots().len()
    }
}

/// Whether there was one. Those who wait for it get their answer all the same.
fn remove_oldest(slots: &mut HashMap<Key, Arc<Slot>>) -> bool {
    let oldest = slots.iter().min_by_key(|(_, slot)| slot.since).map(|(key, _)| key.clone());
    oldest.is_some_and(|key| slots.remove(&key).is_some())
}
