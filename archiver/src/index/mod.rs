//! Which chunk lies where: index runs, and the catalogue that looks through them.

mod catalog;
mod run;

pub use self::catalog::{Catalog, Claim};
pub use self::run::{IndexEntry, PackRecord, RUN_BYTES_MAX, Run, RunBuilder, SegmentRecord};
