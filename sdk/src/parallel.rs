//! One message on several cores.
//!
//! Frames are numbered, and authenticated each by itself. So a run of them can be sealed or opened in any
//! order; what is written or read comes in theirs. [`ParallelEncryptor`] and [`ParallelDecryptor`] do so
//! over `std::io`, [`seal_into`] and [`open_into`] over byte slices.
//!
//! The threads are those of a `rayon` pool that the caller passes in. The thread that calls does the I/O
//! while the pool works on the frames before or after. The signature's digest takes a message in its
//! order, so of a signed one a single thread of the pool hashes one run while the others seal or open the
//! next.
//!
//! Memory is bounded by the frames in flight: three buffers of [`run_frames`] frames, which grow only as
//! far as bytes come.

mod bytes;
mod decryptor;
mod encryptor;
mod tasks;

pub use bytes::{decrypt, encrypt, open, open_into, seal, seal_into};
pub use decryptor::ParallelDecryptor;
pub use encryptor::ParallelEncryptor;

/// Bytes of plaintext that one thread seals or opens at a time, when frames are not longer: some thirty
/// microseconds of work, much beside what it takes to hand it over.
pub const TASK_BYTES: usize = 256 * 1024;
/// Bytes of plaintext in one run for each thread: tasks enough that a slow thread holds up the others
/// little.
pub const RUN_BYTES_PER_THREAD: usize = 4 * TASK_BYTES;
/// Most frames in one run.
pub const RUN_FRAMES_MAX: usize = 1 << 16;

/// How many frames of `frame_length` bytes are sealed or opened together by `threads`: at least one for
/// each, at most [`RUN_FRAMES_MAX`].
#[must_use]
pub fn run_frames(threads: usize, frame_length: usize) -> usize {
    let each = (RUN_BYTES_PER_THREAD / frame_length.max(1)).max(1);
    threads.max(1).saturating_mul(each).min(RUN_FRAMES_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_in_flight_are_bounded_both_ways() {
        assert_eq!(run_frames(2, 64 * 1024), 32);
        assert_eq!(run_frames(2, RUN_BYTES_PER_THREAD), 2);
        assert_eq!(run_frames(2, RUN_BYTES_PER_THREAD + 1), 2);
        assert_eq!(run_frames(0, usize::MAX), 1);
        assert_eq!(run_frames(16, 256), RUN_FRAMES_MAX);
        assert_eq!(run_frames(usize::MAX, 1), RUN_FRAMES_MAX);
    }
}
