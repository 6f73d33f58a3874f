//! Sharing out the frames of one run.

use std::sync::{Mutex, PoisonError};

use rayon::Scope;

use super::TASK_BYTES;
use crate::engine::runs::{FrameRun, Opening, Sealing};
use crate::error::Error;
use crate::message::frame::REGULAR_OVERHEAD_BYTES;

/// The first failure in a run, by its place in the plaintext.
#[derive(Default)]
pub(super) struct Failure(Mutex<Option<(usize, Error)>>);

impl Failure {
    fn record(&self, at: usize, error: Error) {
        let mut first = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if first.as_ref().is_none_or(|(earliest, _)| at < *earliest) {
            *first = Some((at, error));
        }
    }

    /// The failure with the least place: so many bytes of plaintext come before it.
    pub(super) fn into_result(self) -> Result<(), (usize, Error)> {
        match self.0.into_inner().unwrap_or_else(PoisonError::into_inner) {
            Some(failure) => Err(failure),
            None => Ok(()),
        }
    }
}

/// Spawns the sealing of `run` from `plaintext` into `frames`, as [`Sealing::seal_run`].
pub(super) fn spawn_sealing<'scope>(
    scope: &Scope<'scope>,
    sealing: Sealing<'scope>,
    mut run: FrameRun,
    plaintext: &'scope [u8],
    frames: &'scope mut [u8],
    failure: &'scope Failure,
) {
    let step = Step::new(sealing.frame_length());
    let tasks = plaintext.chunks(step.plaintext_bytes).zip(frames.chunks_mut(step.sealed_bytes));
    for (index, (content, room)) in tasks.enumerate() {
        let (task, rest) = run.split_at(step.frames);
        run = rest;
        scope.spawn(move |_| {
            if let Err(error) = sealing.seal_run(task, content, room) {
                failure.record(index * step.plaintext_bytes, error);
            }
        });
    }
}

/// Spawns the opening of `run` from `frames` into `plaintext`, as [`Opening::open_run`].
pub(super) fn spawn_opening<'scope>(
    scope: &Scope<'scope>,
    opening: Opening<'scope>,
    mut run: FrameRun,
    frames: &'scope [u8],
    plaintext: &'scope mut [u8],
    failure: &'scope Failure,
) {
    let step = Step::new(opening.frame_length());
    let tasks = frames.chunks(step.sealed_bytes).zip(plaintext.chunks_mut(step.plaintext_bytes));
    for (index, (sealed, room)) in tasks.enumerate() {
        let (task, rest) = run.split_at(step.frames);
        run = rest;
        scope.spawn(move |_| {
            if let Err((at, error)) = opening.open_run(task, sealed, room) {
                failure.record(index * step.plaintext_bytes + at, error);
            }
        });
    }
}

/// The size of one task.
#[derive(Clone, Copy)]
struct Step {
    frames: u32,
    plaintext_bytes: usize,
    sealed_bytes: usize,
}

impl Step {
    fn new(frame_length: usize) -> Self {
        let frame_length = frame_length.max(1);
        let frames = (TASK_BYTES / frame_length).max(1);
        Self {
            // At most TASK_BYTES.
            frames: u32::try_from(frames).unwrap_or(u32::MAX),
            plaintext_bytes: frames * frame_length,
            sealed_bytes: frames * (frame_length + REGULAR_OVERHEAD_BYTES),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_failure_is_the_one_with_the_least_place() {
        let failure = Failure::default();
        for at in [7, 3, 5] {
            failure.record(at, Error::OutOfOrder("x"));
        }
        assert_eq!(failure.into_result().unwrap_err().0, 3);
        Failure::default().into_result().unwrap();
    }
}
