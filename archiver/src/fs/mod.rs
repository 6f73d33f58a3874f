//! The local file system: walking and capturing trees, restoring into them, comparing them.
//!
//! - [`beneath`]: opening names below one directory without ever leaving it; everything else here
//!   stands on it.
//! - `roots`: which directories and files an archive is made of, and what their entries are called.
//! - `capture`, [`names`]: one object turned into an [`Entry`](crate::entry::Entry).
//! - [`walk`], `frontier`: a tree in entry order, listed and examined by several threads.
//! - [`exclude`], `ignore_files`, `cachedir`: patterns, `.gitignore` files and tags that leave entries
//!   out.
//! - `file`: the bytes of one file, holes known.
//! - [`stream`]: what comes out of a pipe, as a tree of one file.
//! - [`restore`], `attributes`: entries turned back into objects.
//! - [`compare`]: two trees held against each other in every byte and attribute.

mod attributes;
pub mod beneath;
mod cachedir;
mod capture;
pub mod compare;
pub mod exclude;
mod file;
mod frontier;
mod ignore_files;
pub mod names;
pub mod restore;
mod roots;
pub mod stream;
pub mod walk;

pub use roots::{ROOTS_MAX, RootError};
