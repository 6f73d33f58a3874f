//! Depth first through every state that can be reached.

use std::collections::HashSet;
use std::hash::{Hash as _, Hasher};

use super::rules::Rules;
use super::state::State;

/// What a search found.
pub(super) enum Outcome {
    /// The promise holds in every state.
    Holds { states: u64 },
    /// These steps break it.
    Broken { trace: Vec<String> },
}

/// One state on the way to the current one, and what can happen next in it.
struct Level {
    label: String,
    next: Vec<(String, State)>,
}

/// Visits every state that can be reached from `start`.
pub(super) fn search(start: &State, rules: Rules) -> Outcome {
    let mut seen: HashSet<[u8; 16]> = HashSet::from([fingerprint(start)]);
    let mut path = vec![Level { label: "start".into(), next: start.successors(rules) }];
    while let Some(level) = path.last_mut() {
        let Some((label, state)) = level.next.pop() else {
            path.pop();
            continue;
        };
        if !seen.insert(fingerprint(&state)) {
            continue;
        }
        if let Some(lost) = state.lost() {
            let steps = path.iter().map(|level| level.label.clone());
            return Outcome::Broken { trace: steps.chain([label, lost]).collect() };
        }
        path.push(Level { label, next: state.successors(rules) });
    }
    Outcome::Holds { states: seen.len() as u64 }
}

/// 128 bits in place of the state: two of 10^8 states have the same with a chance of 10^-22.
fn fingerprint(state: &State) -> [u8; 16] {
    let mut bytes = Bytes(Vec::with_capacity(512));
    state.hash(&mut bytes);
    let mut print = [0; 16];
    print.copy_from_slice(&blake3::hash(&bytes.0).as_bytes()[..16]);
    print
}

/// Collects what a state would be hashed by.
struct Bytes(Vec<u8>);

impl Hasher for Bytes {
    fn write(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    fn finish(&self) -> u64 {
        0
    }
}
