//! Snapshots: a tree of entries in content-defined blocks, and the commit that names its root.
//!
//! All entries of a snapshot form one list in [`EntryPath`](crate::entry::EntryPath) order. The
//! list is cut into blocks where a hash of the path says so, blocks of block references stand
//! above, and so on up to one root (a prolly tree): equal runs of entries make equal blocks,
//! which are stored once, however many snapshots share them.

mod block;
mod commit;
mod cursor;
mod diff;
mod tree;

pub use self::block::{BLOCK_BYTES_MAX, Child, LeafBuilder, Node, PIECES_MAX, Piece};
pub use self::commit::{
    SNAPSHOT_BYTES_MAX, Snapshot, SnapshotCommit, Statistics, StoredSnapshot, TreeRoot, UnixTime,
    forget, list, load, load_all, load_all_stored,
};
pub(crate) use self::commit::{fence, list_stored, load_any, remove, renew};
pub use self::cursor::{BlockSource, Cursor, Direction};
pub use self::diff::{Change, Diff, DiffRoot, Differences};
pub(crate) use self::tree::Root;
pub use self::tree::{BlockSink, TreeWriter};
