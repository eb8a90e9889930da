//! The guest's allocator: a static arena, and the standard allocator behind it.
//!
//! Why: every event gets a fresh instance, and the standard allocator begins each with a
//! `memory.grow`, which costs the host system calls to give and to take back. The arena is part of
//! the initial memory, so an event that stays within it costs none.
//!
//! Mechanism: allocations are cut from the arena one after another. The newest can grow, shrink and
//! be given back in place; when the last live one is given back the arena is empty again, so an
//! instance that is used again starts over. What does not fit goes to the allocator behind.
//!
//! Guarantee: as any allocator. Non-guarantee: room that is given back out of order is used again
//! only when the arena has become empty.

use std::alloc::{GlobalAlloc, Layout};
use std::cell::{Cell, UnsafeCell};
use std::ptr;

/// `BYTES` of arena in front of `behind`.
///
/// One thread only: a wasm guest has no other. See the `Sync` implementation.
#[repr(C, align(16))]
pub struct Arena<A, const BYTES: usize> {
    region: UnsafeCell<[u8; BYTES]>,
    /// Offset of the first free byte.
    top: Cell<usize>,
    /// Allocations that are not given back.
    live: Cell<usize>,
    behind: A,
}

// === impl Arena ===

impl<A, const BYTES: usize> Arena<A, BYTES> {
    /// An empty arena.
    pub const fn new(behind: A) -> Self {
        Self { region: UnsafeCell::new([0; BYTES]), top: Cell::new(0), live: Cell::new(0), behind }
    }

    /// Where `pointer` lies in the arena, if it does.
    fn offset(&self, pointer: *mut u8) -> Option<usize> {
        let offset = (pointer as usize).checked_sub(self.region.get() as usize)?;
        (offset < BYTES).then_some(offset)
    }

    /// Cuts `layout` from the free rest.
    fn cut(&self, layout: Layout) -> Option<*mut u8> {
        let base = self.region.get().cast::<u8>();
        let free = (base as usize).checked_add(self.top.get())?;
        let start = free.checked_next_multiple_of(layout.align())? - base as usize;
        let end = start.checked_add(layout.size())?;
        if end > BYTES {
            return None;
        }
        self.top.set(end);
        self.live.set(self.live.get() + 1);
        Some(base.wrapping_add(start))
    }

    fn give_back(&self, offset: usize, bytes: usize) {
        self.live.set(self.live.get() - 1);
        if self.live.get() == 0 {
            self.top.set(0);
        } else if offset + bytes == self.top.get() {
            self.top.set(offset);
        }
    }

    /// Grows or shrinks what lies at `offset` where it is. Tells whether that was possible.
    fn resize(&self, offset: usize, bytes: usize, new_bytes: usize) -> bool {
        let is_newest = offset + bytes == self.top.get();
        match offset.checked_add(new_bytes) {
            Some(end) if is_newest && end <= BYTES => {
                self.top.set(end);
                true
            }
            // Shrunk in place; the rest is lost until the arena is empty.
            _ => !is_newest && new_bytes <= bytes,
        }
    }
}

#[expect(unsafe_code, reason = "a wasm guest has one thread, so nothing is ever shared")]
// SAFETY: the arena is only made a global allocator where there is one thread (wasm32 without
// atomics); the tests use one of their own each and do not share it.
unsafe impl<A, const BYTES: usize> Sync for Arena<A, BYTES> {}

#[expect(unsafe_code, reason = "an allocator cannot be written without")]
// SAFETY: `cut` gives each live allocation bytes of its own, aligned as asked: the free rest begins
// behind the newest live one, and moves back only over one that was given back, or when none is
// live. What is outside the arena was made by `behind` and goes back to it.
unsafe impl<A: GlobalAlloc, const BYTES: usize> GlobalAlloc for Arena<A, BYTES> {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        match self.cut(layout) {
            Some(pointer) => pointer,
            // SAFETY: the caller keeps `alloc`'s contract.
            None => unsafe { self.behind.alloc(layout) },
        }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        match self.offset(pointer) {
            Some(offset) => self.give_back(offset, layout.size()),
            // SAFETY: not ours, so `behind` made it; the caller keeps `dealloc`'s contract.
            None => unsafe { self.behind.dealloc(pointer, layout) },
        }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, new_bytes: usize) -> *mut u8 {
        let Some(offset) = self.offset(pointer) else {
            // SAFETY: not ours, so `behind` made it; the caller keeps `realloc`'s contract.
            return unsafe { self.behind.realloc(pointer, layout, new_bytes) };
        };
        if self.resize(offset, layout.size(), new_bytes) {
            return pointer;
        }
        // SAFETY: the caller promises that the new size, rounded up to the alignment, fits.
        let moved =
            unsafe { self.alloc(Layout::from_size_align_unchecked(new_bytes, layout.align())) };
        if !moved.is_null() {
            // SAFETY: both are valid for the smaller of the two sizes and are different
            // allocations.
            unsafe { ptr::copy_nonoverlapping(pointer, moved, layout.size().min(new_bytes)) };
            self.give_back(offset, layout.size());
        }
        moved
    }
}

#[cfg(test)]
mod tests;
