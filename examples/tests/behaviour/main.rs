//! The program `esdk-vectors`, run as its users run it.

mod collections;
mod fixtures;
mod kms;
mod manifests;
mod round_trip;
