//! `strongroom encrypt` and `decrypt`: files, directories and pipes as messages, through the real
//! binary.

mod existing;
mod failures;
mod keys;
mod metadata;
mod official;
mod rounds;
mod tool;
