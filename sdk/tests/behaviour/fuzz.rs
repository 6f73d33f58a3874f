//! The seeds of the fuzz targets and mutations of them, the same every time (promise S5).
//!
//! The targets are compiled into this binary, so that they cannot rot between two runs of `.ci/fuzz`.

#[allow(unreachable_pub, reason = "the fuzzing workspace's own library makes these modules public")]
#[path = "../../fuzz/src/targets/mod.rs"]
mod targets;

use crate::fixtures::{sample, say};
use crate::heap::peak_bytes_of;

/// Mutations of each seed.
const MUTATIONS: usize = 200;

/// `seed` with one to four bytes changed, cut off or doubled, as `noise` says.
fn mutated(seed: &[u8], noise: &[u8]) -> Vec<u8> {
    let mut bytes = seed.to_vec();
    for pair in noise.chunks_exact(2).take(1 + usize::from(noise[0] % 4)) {
        if bytes.is_empty() {
            break;
        }
        let at = usize::from(pair[0]) * 7 % bytes.len();
        match pair[1] {
            0..8 => bytes.truncate(at),
            8..16 => bytes.extend_from_within(at..),
            value => bytes[at] = value,
        }
    }
    bytes
}

#[test]
fn every_target_takes_its_seeds_and_their_mutations() {
    for (name, target) in targets::ALL {
        let (mut executions, mut highest) = (0, 0);
        for seed in targets::seeds(name) {
            let noise = sample(MUTATIONS * 8);
            let inputs = noise.chunks_exact(8).map(|noise| mutated(&seed, noise));
            for input in std::iter::once(seed.clone()).chain(inputs) {
                let peak = peak_bytes_of(|| target(&input));
                assert!(peak <= targets::heap_bytes_max(&input), "{name}: {peak} bytes of heap");
                highest = highest.max(peak);
                executions += 1;
            }
        }
        say(&format!(
            "S5: fuzz target {name}: {executions} executions, 0 crashes, peak heap {highest} bytes"
        ));
    }
}
