//! What is done with the bytes of a fuzzer, and which bytes it starts from.
//!
//! A target panics when it finds a fault. It takes every input, and does the same with it every time.

pub mod arn;
pub mod footer;
pub mod frame;
pub mod header;
pub mod keyring;
pub mod keys;
pub mod record;
pub mod round_trip;
pub mod stream;

mod choices;
mod messages;
mod permissive;

/// A target: it panics when it finds a fault.
pub type Target = fn(&[u8]);

/// Every target by its name.
pub const ALL: [(&str, Target); 9] = [
    ("header", header::run),
    ("frame", frame::run),
    ("footer", footer::run),
    ("stream", stream::run),
    ("round_trip", round_trip::run),
    ("keyring", keyring::run),
    ("keys", keys::run),
    ("arn", arn::run),
    ("record", record::run),
];

/// The inputs to start from, for the target of that name: what its format looks like when it is right.
pub fn seeds(name: &str) -> Vec<Vec<u8>> {
    match name {
        "header" => messages::all(),
        "frame" => frame::seeds(),
        "footer" => footer::seeds(),
        "stream" => stream::seeds(),
        "round_trip" => round_trip::seeds(),
        "keyring" => keyring::seeds(),
        "keys" => keys::seeds(),
        "arn" => arn::seeds(),
        "record" => record::seeds(),
        _ => Vec::new(),
    }
}

/// The most of the heap that `input` may take, in bytes: one buffer of a stream, and a few times its length.
pub fn heap_bytes_max(input: &[u8]) -> usize {
    input.len().saturating_mul(64).max(1 << 20)
}
