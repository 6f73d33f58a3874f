//! Which chunk lies where: index runs, and the catalogue that looks through them.

mod catalog;
mod paged;
mod run;
mod stored;

pub(crate) use self::catalog::Lookup;
pub use self::catalog::{Catalog, Claim};
pub use self::run::{IndexEntry, PackRecord, RUN_BYTES_MAX, Run, RunBuilder, SegmentRecord};
pub use self::stored::{IndexStore, NamedRun};
