//! Behaviour of the archiver through its public interface and through its binary.

mod escape;
mod local_files;
mod support;
