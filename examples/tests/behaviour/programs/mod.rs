//! Each small program, run as its user would run it.

mod buckets;
mod keys;
mod tool;
