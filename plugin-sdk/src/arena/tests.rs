use super::*;
use proptest::prelude::*;
use std::alloc::System;

const BYTES: usize = 4096;

/// What a guest may do, with the place in its list of allocations.
#[derive(Clone, Debug)]
enum Step {
    Alloc { size: usize, align: usize },
    Free { of: usize },
    Resize { of: usize, size: usize },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let align = (0u32..7).prop_map(|power| 1usize << power);
    let step = prop_oneof![
        3 => (1usize..700, align).prop_map(|(size, align)| Step::Alloc { size, align }),
        2 => any::<usize>().prop_map(|of| Step::Free { of }),
        2 => (any::<usize>(), 1usize..900).prop_map(|(of, size)| Step::Resize { of, size }),
    ];
    prop::collection::vec(step, 1..200)
}

/// An allocation and the byte it is filled with.
struct Held {
    pointer: *mut u8,
    layout: Layout,
    mark: u8,
}

#[expect(unsafe_code, reason = "an allocator is tested by using it")]
impl Held {
    fn fill(&self) {
        // SAFETY: the allocation is live and has this size.
        unsafe { ptr::write_bytes(self.pointer, self.mark, self.layout.size()) };
    }

    fn is_whole(&self, bytes: usize) -> bool {
        // SAFETY: the allocation is live and has at least `bytes`, all written by `fill`.
        let bytes = unsafe { std::slice::from_raw_parts(self.pointer, bytes) };
        bytes.iter().all(|byte| *byte == self.mark)
    }
}

proptest! {
    /// Every allocation is aligned, keeps what was written to it, and shares no byte with another.
    #[test]
    #[expect(unsafe_code, reason = "an allocator is tested by using it")]
    fn allocations_keep_what_was_written(steps in steps()) {
        let arena = Box::new(Arena::<System, BYTES>::new(System));
        let mut held: Vec<Held> = Vec::new();
        for (number, step) in steps.into_iter().enumerate() {
            let mark = (number % 251) as u8;
            match step {
                Step::Alloc { size, align } => {
                    let layout = Layout::from_size_align(size, align).unwrap();
                    // SAFETY: the size is not 0.
                    let pointer = unsafe { arena.alloc(layout) };
                    prop_assert!(!pointer.is_null());
                    prop_assert_eq!(pointer as usize % align, 0);
                    held.push(Held { pointer, layout, mark });
                    held.last().unwrap().fill();
                }
                Step::Free { of } if !held.is_empty() => {
                    let gone = held.swap_remove(of % held.len());
                    prop_assert!(gone.is_whole(gone.layout.size()));
                    // SAFETY: it was made by this arena with this layout and is forgotten.
                    unsafe { arena.dealloc(gone.pointer, gone.layout) };
                }
                Step::Resize { of, size } if !held.is_empty() => {
                    let place = of % held.len();
                    let one = &mut held[place];
                    // SAFETY: it was made by this arena with this layout; the old pointer is
                    // replaced.
                    one.pointer = unsafe { arena.realloc(one.pointer, one.layout, size) };
                    prop_assert!(one.is_whole(one.layout.size().min(size)));
                    one.layout = Layout::from_size_align(size, one.layout.align()).unwrap();
                    prop_assert_eq!(one.pointer as usize % one.layout.align(), 0);
                    one.fill();
                }
                _ => {}
            }
            prop_assert!(held.iter().all(|one| one.is_whole(one.layout.size())));
        }
        for one in held {
            // SAFETY: as above.
            unsafe { arena.dealloc(one.pointer, one.layout) };
        }
        prop_assert_eq!((arena.live.get(), arena.top.get()), (0, 0));
    }
}

#[test]
#[expect(unsafe_code, reason = "an allocator is tested by using it")]
fn what_does_not_fit_goes_to_the_allocator_behind() {
    let arena = Box::new(Arena::<System, 64>::new(System));
    let layout = Layout::from_size_align(48, 8).unwrap();
    // SAFETY: the sizes are not 0, and each is given back with its layout.
    unsafe {
        let (inside, behind) = (arena.alloc(layout), arena.alloc(layout));
        assert!(arena.offset(inside).is_some());
        assert!(arena.offset(behind).is_none());
        arena.dealloc(behind, layout);
        arena.dealloc(inside, layout);
        let again = arena.alloc(layout);
        assert_eq!(again, inside, "an empty arena starts over");
        arena.dealloc(again, layout);
    }
}
