//! What is archived: a tree that is there already, or one that is made, the same each time.

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use fastrand::Rng;
use tempfile::TempDir;

use crate::BenchError;

/// Bytes of the largest data sets at full scale.
const BYTES_FULL: u64 = 4 << 30;

/// Files of the tiny ones at full scale, and how many lie in one folder.
const TINY_FILES_FULL: u64 = 500_000;
const TINY_FILES_A_FOLDER: u64 = 500;
const TINY_FILE_BYTES_MAX: usize = 1024;

/// One extent of the disk image; one in four holds something, the others are holes.
const EXTENT_BYTES: u64 = 1 << 20;
const EXTENTS_A_USED_ONE: u64 = 4;

/// What changes of the disk image.
const BLOCK_BYTES: u64 = 4 << 10;

const SEED: u64 = 0x0057_524f_4e47;

/// Data sets that are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Data {
    /// 500,000 files of at most 1 KiB; one in a hundred changes.
    TinyFiles,
    /// 4 GiB that nothing compresses, in four files; one of them changes.
    Noise,
    /// A sparse disk image of 4 GiB, a quarter of it written; two in a hundred of the written blocks change.
    DiskImage,
}

/// A tree to archive.
#[derive(Debug)]
pub struct Subject {
    tree: PathBuf,
    made: Option<(Data, u64, TempDir)>,
}

impl Subject {
    /// A tree that is there.
    ///
    /// # Errors
    ///
    /// [`BenchError::File`].
    pub fn existing(tree: &Path) -> Result<Self, BenchError> {
        let tree = tree.canonicalize().map_err(BenchError::file(tree))?;
        Ok(Self { tree, made: None })
    }

    /// Makes a data set below `work`, at so many per cent of its full size.
    ///
    /// # Errors
    ///
    /// [`BenchError::File`].
    pub fn make(data: Data, percent: u64, work: &Path) -> Result<Self, BenchError> {
        let folder = tempfile::tempdir_in(work).map_err(BenchError::file(work))?;
        let tree = folder.path().canonicalize().map_err(BenchError::file(work))?.join("subject");
        let made = std::fs::create_dir(&tree).and_then(|()| match data {
            Data::TinyFiles => make_tiny_files(&tree, TINY_FILES_FULL * percent / 100),
            Data::Noise => make_noise(&tree, BYTES_FULL * percent / 100),
            Data::DiskImage => make_image(&tree, BYTES_FULL * percent / 100),
        });
        made.map_err(BenchError::file(&tree))?;
        Ok(Self { tree, made: Some((data, percent, folder)) })
    }

    /// Where it is.
    #[must_use]
    pub fn tree(&self) -> &Path {
        &self.tree
    }

    /// Changes what is said of the data set; a tree that was there is left alone, and `false` the answer.
    ///
    /// # Errors
    ///
    /// [`BenchError::File`].
    pub fn change(&self) -> Result<bool, BenchError> {
        let Some((data, percent, _)) = &self.made else { return Ok(false) };
        let changed = match data {
            Data::TinyFiles => change_tiny_files(&self.tree, TINY_FILES_FULL * percent / 100),
            Data::Noise => write_noise(&self.tree.join("0"), BYTES_FULL * percent / 400, SEED ^ 9),
            Data::DiskImage => change_image(&self.tree, BYTES_FULL * percent / 100),
        };
        changed.map_err(BenchError::file(&self.tree))?;
        Ok(true)
    }
}

fn tiny_file(tree: &Path, number: u64) -> PathBuf {
    tree.join(format!("{:04}/{number:06}", number / TINY_FILES_A_FOLDER))
}

/// Words, as small files have them.
fn tiny_content(random: &mut Rng) -> Vec<u8> {
    let length = random.usize(..TINY_FILE_BYTES_MAX);
    let mut content = Vec::with_capacity(length + 16);
    while content.len() < length {
        content.extend_from_slice(format!("{:x} ", random.u32(..) & 0xfff).as_bytes());
    }
    content
}

fn make_tiny_files(tree: &Path, count: u64) -> std::io::Result<()> {
    let mut random = Rng::with_seed(SEED);
    for number in 0..count {
        let path = tiny_file(tree, number);
        if number % TINY_FILES_A_FOLDER == 0 {
            path.parent().map_or(Ok(()), std::fs::create_dir)?;
        }
        std::fs::write(path, tiny_content(&mut random))?;
    }
    Ok(())
}

fn change_tiny_files(tree: &Path, count: u64) -> std::io::Result<()> {
    let mut random = Rng::with_seed(SEED ^ 1);
    for number in (0..count).step_by(100) {
        std::fs::write(tiny_file(tree, number), tiny_content(&mut random))?;
    }
    Ok(())
}

fn make_noise(tree: &Path, bytes: u64) -> std::io::Result<()> {
    (0..4).try_for_each(|file| write_noise(&tree.join(file.to_string()), bytes / 4, SEED ^ file))
}

fn write_noise(path: &Path, bytes: u64, seed: u64) -> std::io::Result<()> {
    let mut random = Rng::with_seed(seed);
    let mut out = BufWriter::with_capacity(1 << 20, File::create(path)?);
    let mut block = vec![0; BLOCK_BYTES as usize];
    for _ in 0..bytes / BLOCK_BYTES {
        random.fill(&mut block);
        out.write_all(&block)?;
    }
    out.flush()
}

/// Half of a block is noise, as of files that are compressed, the other half is what file systems are full of.
fn fill_block(random: &mut Rng, block: &mut [u8]) {
    let (noise, rest) = block.split_at_mut(block.len() / 2);
    random.fill(noise);
    rest.fill(random.u8(..4));
}

fn make_image(tree: &Path, bytes: u64) -> std::io::Result<()> {
    let image = File::create(tree.join("disk.img"))?;
    image.set_len(bytes)?;
    let mut random = Rng::with_seed(SEED);
    let mut block = vec![0; BLOCK_BYTES as usize];
    for extent in (0..bytes / EXTENT_BYTES).step_by(EXTENTS_A_USED_ONE as usize) {
        for number in 0..EXTENT_BYTES / BLOCK_BYTES {
            fill_block(&mut random, &mut block);
            image.write_all_at(&block, extent * EXTENT_BYTES + number * BLOCK_BYTES)?;
        }
    }
    Ok(())
}

fn change_image(tree: &Path, bytes: u64) -> std::io::Result<()> {
    let image = File::options().write(true).open(tree.join("disk.img"))?;
    let mut random = Rng::with_seed(SEED ^ 2);
    let mut block = vec![0; BLOCK_BYTES as usize];
    let (used, blocks) = (bytes / EXTENT_BYTES / EXTENTS_A_USED_ONE, EXTENT_BYTES / BLOCK_BYTES);
    for _ in 0..used * blocks / 50 {
        let extent = random.u64(..used.max(1)) * EXTENTS_A_USED_ONE;
        fill_block(&mut random, &mut block);
        let at = extent * EXTENT_BYTES + random.u64(..blocks) * BLOCK_BYTES;
        image.write_all_at(&block, at)?;
    }
    image.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree;

    #[test]
    fn data_sets_are_the_same_each_time_until_they_change() {
        let work = tempfile::tempdir().unwrap();
        for data in [Data::TinyFiles, Data::Noise, Data::DiskImage] {
            let percent = u64::from(data == Data::TinyFiles || data == Data::DiskImage);
            let (one, other) = (
                Subject::make(data, percent, work.path()).unwrap(),
                Subject::make(data, percent, work.path()).unwrap(),
            );
            let read = |subject: &Subject| {
                let files = tree::files(subject.tree()).unwrap();
                let of = |name: &String| std::fs::read(subject.tree().join(name)).unwrap();
                files.iter().map(of).collect::<Vec<_>>()
            };
            assert!(read(&one) == read(&other), "{data:?}");
            assert!(one.change().unwrap());
            assert_eq!(read(&one) != read(&other), percent > 0, "{data:?}");
        }
    }
}
