//! Behaviour of the SDK through its public API.

mod fixtures;
mod round_trip;
mod vectors;
