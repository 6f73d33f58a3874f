//! Gives a target its seeds, runs it on one input, and watches the heap while it does.
//!
//! The targets themselves are in [`targets`]; the behaviour tests of the SDK play their seeds too. The heap
//! is watched by the allocator of those tests.

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

#[allow(dead_code, reason = "only the peak is looked at here, not what is left in freed memory")]
#[path = "../../tests/behaviour/heap.rs"]
mod heap;
pub mod targets;

/// The highest peak of this process so far, in bytes.
static PEAK_BYTES: AtomicUsize = AtomicUsize::new(0);

/// Writes the seeds of the target `name` into the folder that the variable `STRONGROOM_FUZZ_SEEDS` names.
///
/// # Panics
/// When they cannot be written.
pub fn plant(name: &str) {
    let Some(folder) = std::env::var_os("STRONGROOM_FUZZ_SEEDS") else { return };
    for (number, seed) in targets::seeds(name).iter().enumerate() {
        let file = Path::new(&folder).join(format!("seed-{number}"));
        std::fs::write(&file, seed).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    }
}

/// Runs the target `name` on `input`; says so whenever no input before took as much of the heap.
///
/// # Panics
/// When the target finds a fault, or takes more of the heap than [`targets::heap_bytes_max`].
pub fn run(name: &str, input: &[u8]) {
    let target = named(name);
    let peak = heap::peak_bytes_of(|| target(input));
    let length = input.len();
    if peak > PEAK_BYTES.fetch_max(peak, Ordering::Relaxed) {
        eprintln!("peak heap {peak} bytes, for an input of {length} bytes");
    }
    let max = targets::heap_bytes_max(input);
    assert!(
        peak <= max,
        "{name}: an input of {length} bytes took {peak} bytes of the heap, not {max}"
    );
}

fn named(name: &str) -> fn(&[u8]) {
    let found = targets::ALL.iter().find(|(known, _)| *known == name);
    found.unwrap_or_else(|| panic!("there is no target {name}")).1
}
