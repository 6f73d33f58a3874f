//! The heap as the tests watch it: how much of it one thread takes, and what is left in what it frees.
#![allow(
    unsafe_code,
    reason = "a global allocator is unsafe to implement; this one is only in tests"
)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

/// The bytes that must not be found in freed memory.
pub(crate) const MARKER: [u8; 32] = *b"marker of a secret: must be gone";

thread_local! {
    static SEARCHING: Cell<bool> = const { Cell::new(false) };
    static FOUND: Cell<usize> = const { Cell::new(0) };
    static USED: Cell<usize> = const { Cell::new(0) };
    static PEAK: Cell<usize> = const { Cell::new(0) };
}

struct Watched;

#[global_allocator]
static ALLOCATOR: Watched = Watched;

// SAFETY: every call goes to the system's allocator with the arguments that came.
unsafe impl GlobalAlloc for Watched {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let used = USED.with(Cell::get).wrapping_add(layout.size());
        USED.with(|cell| cell.set(used));
        // Memory of another thread that is freed here makes the count wrap below zero.
        if used < usize::MAX / 2 {
            PEAK.with(|cell| cell.set(cell.get().max(used)));
        }
        // SAFETY: as for this function.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        USED.with(|cell| cell.set(cell.get().wrapping_sub(layout.size())));
        if SEARCHING.with(Cell::get) {
            let found = (0..layout.size().saturating_sub(MARKER.len() - 1)).any(|start| {
                (0..MARKER.len()).all(|at| {
                    // SAFETY: inside the block that is being freed; volatile, for it may never have been
                    // written.
                    let byte = unsafe { pointer.add(start + at).read_volatile() };
                    byte == MARKER[at]
                })
            });
            FOUND.with(|cell| cell.set(cell.get() + usize::from(found)));
        }
        // SAFETY: as for this function.
        unsafe { System.dealloc(pointer, layout) }
    }
}

/// How many blocks with the marker in them `work` frees on this thread.
pub(crate) fn markers_freed_by(work: impl FnOnce()) -> usize {
    FOUND.with(|cell| cell.set(0));
    SEARCHING.with(|cell| cell.set(true));
    work();
    SEARCHING.with(|cell| cell.set(false));
    FOUND.with(Cell::get)
}

/// The most bytes that `work` has on the heap at one time beyond what was there, on this thread.
pub(crate) fn peak_bytes_of(work: impl FnOnce()) -> usize {
    USED.with(|cell| cell.set(0));
    PEAK.with(|cell| cell.set(0));
    work();
    PEAK.with(Cell::get)
}
