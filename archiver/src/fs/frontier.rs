//! The edge of a walk: which parts of a tree are still to be examined, by whom, in which order.
//!
//! Several workers examine a tree ahead of one consumer, who wants the results in entry order.
//! Parts carry a [`Place`], whose order is that in which their results are wanted. Workers always
//! take the first part that nobody has begun; what a part uncovers (the directories in it) stands
//! right behind it. So the frontier holds what a depth-first walk holds, and the consumer waits
//! only when the part that it needs is being worked on.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use crate::entry::EntryPath;

/// Most results that may lie ready ahead of the consumer before workers pause.
const RESULTS_AHEAD_MAX: usize = 16_384;

/// Where a part's results stand among all results.
///
/// Directories order component by component, which is the order of their bytes once the slashes
/// are NULs: no name contains a NUL. The parts of one directory follow each other.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    directory: Vec<u8>,
    part: usize,
}

impl Place {
    pub(super) fn new(directory: &EntryPath, part: usize) -> Self {
        let nul = |&byte: &u8| if byte == b'/' { 0 } else { byte };
        Self { directory: directory.as_bytes().iter().map(nul).collect(), part }
    }
}

/// Parts of type `T` and their results of type `R`; see the module.
pub(super) struct Frontier<T, R> {
    state: Mutex<State<T, R>>,
    /// Workers wait here for a part, or for room.
    work: Condvar,
    /// The consumer waits here for the part that it needs.
    results: Condvar,
}

struct State<T, R> {
    waiting: BTreeMap<Place, T>,
    begun: BTreeSet<Place>,
    done: BTreeMap<Place, Vec<R>>,
    results_ahead: usize,
    closed: bool,
}

/// A part that one worker has begun. Dropped without [`Begun::done`], because the worker died,
/// it is done with the result that was named for that: nothing is lost in silence.
pub(super) struct Begun<'a, T, R> {
    frontier: &'a Frontier<T, R>,
    place: Place,
    if_abandoned: Option<R>,
}

impl<T, R> Frontier<T, R> {
    pub(super) fn new(place: Place, first: T) -> Self {
        let state = State {
            waiting: BTreeMap::from([(place, first)]),
            begun: BTreeSet::new(),
            done: BTreeMap::new(),
            results_ahead: 0,
            closed: false,
        };
        Self { state: Mutex::new(state), work: Condvar::new(), results: Condvar::new() }
    }

    /// Takes the first part that nobody has begun, when there is room for its results or the
    /// consumer waits for it; `None` when there will never be another.
    pub(super) fn begin(&self, if_abandoned: impl FnOnce(&T) -> R) -> Option<(T, Begun<'_, T, R>)> {
        let mut state = self.lock();
        loop {
            if state.closed || (state.waiting.is_empty() && state.begun.is_empty()) {
                return None;
            }
            if state.may_begin()
                && let Some((place, part)) = state.waiting.pop_first()
            {
                state.begun.insert(place.clone());
                let if_abandoned = Some(if_abandoned(&part));
                return Some((part, Begun { frontier: self, place, if_abandoned }));
            }
            state = self.work.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// The results of the next part in order, waiting for them; `None` when all have been handed
    /// out.
    pub(super) fn next(&self) -> Option<Vec<R>> {
        let mut state = self.lock();
        loop {
            if state.next_is_done() {
                let (_, results) = state.done.pop_first()?;
                state.results_ahead = state.results_ahead.saturating_sub(results.len());
                self.work.notify_all();
                return Some(results);
            }
            if state.waiting.is_empty() && state.begun.is_empty() {
                return None;
            }
            state = self.results.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Ends the walk: workers get no further part.
    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.work.notify_all();
    }

    fn finish(&self, place: &Place, results: Vec<R>, uncovered: Vec<(Place, T)>) {
        let mut state = self.lock();
        state.begun.remove(place);
        state.results_ahead = state.results_ahead.saturating_add(results.len());
        state.done.insert(place.clone(), results);
        state.waiting.extend(uncovered);
        if state.next_is_done() {
            self.results.notify_one();
        }
        self.work.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, State<T, R>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T, R> State<T, R> {
    fn next_is_done(&self) -> bool {
        let Some(done) = self.done.keys().next() else { return false };
        self.waiting.keys().next().is_none_or(|waiting| done < waiting)
            && self.begun.first().is_none_or(|begun| done < begun)
    }

    /// The part that the consumer needs next may always begin, or nothing would ever move.
    fn may_begin(&self) -> bool {
        let Some(first) = self.waiting.keys().next() else { return false };
        self.results_ahead < RESULTS_AHEAD_MAX
            || (self.done.keys().next().is_none_or(|done| first < done)
                && self.begun.first().is_none_or(|begun| first < begun))
    }
}

impl<T, R> Begun<'_, T, R> {
    /// Hands in the part's results, and the parts that it uncovered.
    pub(super) fn done(mut self, results: Vec<R>, uncovered: Vec<(Place, T)>) {
        self.if_abandoned = None;
        self.frontier.finish(&self.place, results, uncovered);
    }
}

impl<T, R> Drop for Begun<'_, T, R> {
    fn drop(&mut self) {
        if let Some(result) = self.if_abandoned.take() {
            self.frontier.finish(&self.place, vec![result], Vec::new());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(path: &str, part: usize) -> Place {
        Place::new(&EntryPath::from_bytes(path.as_bytes().to_vec()).unwrap(), part)
    }

    #[test]
    fn places_order_as_entries_do() {
        let mut places = [("a-b", 0), ("a/b", 0), ("", 1), ("a", 1), ("", 0), ("a", 0)]
            .map(|(p, n)| place(p, n));
        places.sort();
        let wanted = [("", 0), ("", 1), ("a", 0), ("a", 1), ("a/b", 0), ("a-b", 0)];
        assert_eq!(places, wanted.map(|(path, part)| place(path, part)));
    }

    #[test]
    fn results_come_in_order_however_parts_end() {
        let frontier = Frontier::new(place("", 0), "root");
        let (_, root) = frontier.begin(|_| 0).unwrap();
        root.done(vec![1], vec![(place("a", 0), "a"), (place("b", 0), "b")]);
        let (first, a) = frontier.begin(|_| 0).unwrap();
        let (second, b) = frontier.begin(|_| 0).unwrap();
        assert_eq!((first, second), ("a", "b"));
        b.done(vec![3], Vec::new());
        assert!(!frontier.lock().next_is_done() || frontier.lock().done.len() == 2);
        a.done(vec![2], Vec::new());
        let all: Vec<i32> = std::iter::from_fn(|| frontier.next()).flatten().collect();
        assert_eq!(all, [1, 2, 3]);
        assert!(frontier.begin(|_| 0).is_none());
    }

    #[test]
    fn a_part_whose_worker_died_is_reported() {
        let frontier = Frontier::new(place("", 0), "root");
        drop(frontier.begin(|_| 13).unwrap());
        assert_eq!(frontier.next(), Some(vec![13]));
        assert_eq!(frontier.next(), None);
    }

    #[test]
    fn workers_pause_when_far_ahead_but_never_for_the_part_that_is_needed() {
        let frontier = Frontier::new(place("", 0), "root");
        let (_, root) = frontier.begin(|_| 0).unwrap();
        let uncovered = ["a", "b", "c"].map(|name| (place(name, 0), name)).to_vec();
        root.done(Vec::new(), uncovered);
        let (_, a) = frontier.begin(|_| 0).unwrap();
        let (_, b) = frontier.begin(|_| 0).unwrap();
        b.done(vec![0; RESULTS_AHEAD_MAX], Vec::new());
        assert!(!frontier.lock().may_begin(), "c must wait for room");
        a.done(Vec::new(), vec![(place("a/x", 0), "a/x")]);
        assert_eq!((frontier.next(), frontier.next()), (Some(Vec::new()), Some(Vec::new())));
        assert!(frontier.lock().may_begin(), "a/x is what the consumer needs");
        assert_eq!(frontier.begin(|_| 0).unwrap().0, "a/x");
    }
}
