//! Restored files read back and held against the snapshot.

use std::io;
use std::ops::Range;
use std::sync::atomic::Ordering;

use rayon::iter::{IntoParallelRefIterator, ParallelIterator};
use tokio::runtime::Handle;

use super::{Restoring, Selection};
use crate::chunk::ChunkHasher;
use crate::entry::EntryKind;
use crate::error::Result;
use crate::snapshot::{Cursor, Node};
use crate::source::SourceFile;

/// Bytes of a hole that are read at a time, where a file system has filled it.
const HOLE_READ_BYTES: usize = 64 << 10;

impl Restoring {
    /// Reads every selected file back and compares it chunk by chunk, on all cores.
    pub(super) fn verify(
        &self,
        mut cursor: Cursor<'_>,
        runtime: &Handle,
        hasher: &ChunkHasher,
        select: Option<&Selection>,
    ) -> Result<()> {
        while let Some(leaf) = runtime.block_on(cursor.next_leaf())? {
            leaf.par_iter().try_for_each(|node| {
                self.control.check()?;
                let is_file = matches!(node.entry.kind, EntryKind::File { .. });
                if is_file && select.is_none_or(|select| select(&node.entry)) {
                    self.verify_file(node, hasher);
                }
                Ok::<_, crate::Error>(())
            })?;
        }
        Ok(())
    }

    fn verify_file(&self, node: &Node, hasher: &ChunkHasher) {
        let read_back = || {
            let mut file = self.target.read_back(&node.entry)?;
            compare(&mut *file, node, hasher)
        };
        match read_back() {
            Ok(None) => drop(self.counts.verified.fetch_add(1, Ordering::Relaxed)),
            Ok(Some(byte)) => {
                self.counts.different.fetch_add(1, Ordering::Relaxed);
                let text = format!("its content is not what was archived, from byte {byte} on");
                self.trouble(&node.entry, "verify", io::Error::other(text));
            }
            Err(error) => self.trouble(&node.entry, "read back", error),
        }
    }
}

/// The beginning of the first chunk or hole in which `file` is not what `node` says.
fn compare(
    file: &mut dyn SourceFile,
    node: &Node,
    hasher: &ChunkHasher,
) -> io::Result<Option<u64>> {
    let size = node.entry.size().unwrap_or(0);
    let mut position = 0;
    let mut buffer = Vec::new();
    for piece in &node.content {
        if !is_hole(file, position..piece.start)? {
            return Ok(Some(position));
        }
        buffer.resize(piece.chunk.at.len as usize, 0);
        if read(file, piece.start, &mut buffer)? < buffer.len()
            || hasher.id(&buffer) != piece.chunk.id
        {
            return Ok(Some(piece.start));
        }
        position = piece.start + u64::from(piece.chunk.at.len);
    }
    if !is_hole(file, position..size)? {
        return Ok(Some(position));
    }
    Ok((file.state()?.size != size).then_some(size))
}

/// Whether all bytes of `range` are zero.
fn is_hole(file: &mut dyn SourceFile, range: Range<u64>) -> io::Result<bool> {
    let Range { mut start, end } = range;
    let mut buffer = [0; HOLE_READ_BYTES];
    while start < end {
        let data = match file.next_data(start)? {
            Some(data) if data.start < end => data.start.max(start),
            _ => return Ok(true),
        };
        let count = usize::try_from(end - data).unwrap_or(usize::MAX).min(buffer.len());
        let part = buffer.get_mut(..count).unwrap_or_default();
        if read(file, data, part)? < count || part.iter().any(|byte| *byte != 0) {
            return Ok(false);
        }
        start = data + count as u64;
    }
    Ok(true)
}

/// Fills `buffer` from `offset` on, as far as the file goes.
fn read(file: &mut dyn SourceFile, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
    let mut done = 0;
    while let Some(rest) = buffer.get_mut(done..).filter(|rest| !rest.is_empty()) {
        match file.read_at(offset + done as u64, rest)? {
            0 => break,
            more => done += more,
        }
    }
    Ok(done)
}
