//! Buffers that serve again.
//!
//! A pipeline goes through megabytes at a time on many threads. Given back to the allocator each time, they
//! would stay with whichever thread freed them, and fresh memory costs a page fault every few kilobytes: the
//! first touch of a page takes longer than encrypting it.

use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A few buffers that nobody uses at the moment.
pub(crate) struct Buffers {
    free: Mutex<Vec<Vec<u8>>>,
    kept_max: usize,
    capacity_max: usize,
}

/// A buffer that goes back to where it came from.
pub(crate) struct Buffer {
    bytes: Vec<u8>,
    home: Arc<Buffers>,
}

impl Buffers {
    /// Keeps at most `kept_max` buffers, and none with room for more than `capacity_max` bytes.
    pub(crate) fn new(kept_max: usize, capacity_max: usize) -> Arc<Self> {
        Arc::new(Self { free: Mutex::default(), kept_max, capacity_max })
    }

    /// An empty buffer, with room that is still there from earlier uses, if there is one.
    pub(crate) fn take(self: &Arc<Self>) -> Buffer {
        let bytes = self.free().pop().unwrap_or_default();
        Buffer { bytes, home: self.clone() }
    }

    fn free(&self) -> MutexGuard<'_, Vec<Vec<u8>>> {
        self.free.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        let mut bytes = std::mem::take(&mut self.bytes);
        bytes.clear();
        let worth = (1..=self.home.capacity_max).contains(&bytes.capacity());
        let mut free = self.home.free();
        if worth && free.len() < self.home.kept_max {
            free.push(bytes);
        }
    }
}

impl Deref for Buffer {
    type Target = Vec<u8>;

    fn deref(&self) -> &Vec<u8> {
        &self.bytes
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut Vec<u8> {
        &mut self.bytes
    }
}

impl AsRef<[u8]> for Buffer {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_serves_again_and_is_empty() {
        let buffers = Buffers::new(1, 100);
        let mut one = buffers.take();
        one.extend_from_slice(&[7; 80]);
        let place = one.as_ptr();
        drop(one);
        let again = buffers.take();
        assert!(again.is_empty());
        assert_eq!(again.as_ptr(), place);
    }

    #[test]
    fn no_more_is_kept_than_was_agreed() {
        let buffers = Buffers::new(2, 100);
        let with_room = |room: usize| {
            let mut buffer = buffers.take();
            buffer.reserve_exact(room);
            buffer
        };
        drop([with_room(10), with_room(10), with_room(10)]);
        assert_eq!(buffers.free().len(), 2);
        buffers.free().clear();
        drop([with_room(101), with_room(0)]);
        assert!(buffers.free().is_empty());
    }
}
