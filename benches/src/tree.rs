//! The tree that is archived: its size, and whether two are equal.

use std::io::Read as _;
use std::path::Path;
use std::process::Command;

use crate::{BenchError, measure};

/// How many lines of a difference an error message carries.
const DIFFERENCES_SHOWN_MAX: usize = 10;

/// The size of a tree.
#[derive(Clone, Copy, Debug, Default)]
pub struct TreeSize {
    /// The number of entries of any type, without the root.
    pub entries: u64,
    /// The sum of the sizes of its regular files.
    pub bytes: u64,
}

/// Reads every file once, so that each tool finds the tree in memory, and returns the tree's size.
///
/// # Errors
///
/// [`BenchError::File`] for the first entry that cannot be read.
pub fn warm(tree: &Path) -> Result<TreeSize, BenchError> {
    let mut buffer = vec![0; 1 << 20];
    walk(tree, &mut |path| {
        let mut file = std::fs::File::open(path)?;
        while file.read(&mut buffer)? > 0 {}
        Ok(())
    })
}

/// Returns the size of a tree without reading its files.
///
/// # Errors
///
/// [`BenchError::File`] for the first entry that cannot be read.
pub fn size(tree: &Path) -> Result<TreeSize, BenchError> {
    walk(tree, &mut |_| Ok(()))
}

/// The paths of all files of a tree, relative to it, sorted.
///
/// # Errors
///
/// [`BenchError::File`] for the first entry that cannot be read.
pub fn files(tree: &Path) -> Result<Vec<String>, BenchError> {
    let mut files = Vec::new();
    walk(tree, &mut |path| {
        let path = path.strip_prefix(tree).unwrap_or(path);
        files.push(path.to_string_lossy().into_owned());
        Ok(())
    })?;
    files.sort_unstable();
    Ok(files)
}

fn walk(
    root: &Path,
    visit: &mut impl FnMut(&Path) -> std::io::Result<()>,
) -> Result<TreeSize, BenchError> {
    let mut size = TreeSize::default();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).map_err(BenchError::file(&folder))? {
            let entry = entry.map_err(BenchError::file(&folder))?;
            let path = entry.path();
            let metadata = entry.metadata().map_err(BenchError::file(&path))?;
            size.entries += 1;
            if metadata.is_dir() {
                folders.push(path);
            } else if metadata.is_file() {
                size.bytes += metadata.len();
                visit(&path).map_err(BenchError::file(&path))?;
            }
        }
    }
    Ok(size)
}

/// Compares two trees with the system's own tools: every byte, and of each entry the type, mode, owner,
/// group, number of links, size, time of change to the nanosecond and link target. The two roots
/// themselves are not compared.
///
/// # Errors
///
/// [`BenchError::TreesDiffer`] with the first differences.
pub fn compare(left: &Path, right: &Path) -> Result<(), BenchError> {
    let (listed_left, listed_right) = (list(left)?, list(right)?);
    if listed_left != listed_right {
        let only = |one: &[String], other: &[String], mark: char| {
            let other: std::collections::HashSet<_> = other.iter().collect();
            let only: Vec<_> = one.iter().filter(|line| !other.contains(line)).collect();
            only.into_iter().map(|line| format!("{mark} {line}")).collect::<Vec<_>>()
        };
        let mut lines = only(&listed_left, &listed_right, '<');
        lines.truncate(DIFFERENCES_SHOWN_MAX);
        lines.extend(only(&listed_right, &listed_left, '>'));
        return Err(differ(left, right, &lines));
    }
    let mut diff = Command::new("diff");
    let ended = measure::run(diff.args(["-rq", "--no-dereference"]).args([left, right]))?;
    if ended.status.success() {
        return Ok(());
    }
    let lines: Vec<_> =
        ended.stdout.lines().chain(ended.stderr.lines()).map(str::to_owned).collect();
    Err(differ(left, right, &lines))
}

/// One line per entry, sorted. A folder's size is the file system's business, not the tree's.
fn list(tree: &Path) -> Result<Vec<String>, BenchError> {
    let mut find = Command::new("find");
    find.arg(tree).args([
        "-mindepth",
        "1",
        "(",
        "-type",
        "d",
        "-printf",
        "%P\t%y %m %U %G %T@\n",
        ")",
    ]);
    find.args(["-o", "-printf", "%P\t%y %m %U %G %n %s %T@ %l\n"]);
    let ended = measure::run(&mut find)?.success()?;
    let mut lines: Vec<_> = ended.stdout.lines().map(str::to_owned).collect();
    lines.sort_unstable();
    Ok(lines)
}

fn differ(left: &Path, right: &Path, lines: &[String]) -> BenchError {
    let first_differences =
        lines.iter().take(2 * DIFFERENCES_SHOWN_MAX).cloned().collect::<Vec<_>>().join("\n");
    BenchError::TreesDiffer { left: left.into(), right: right.into(), first_differences }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Duration, SystemTime};

    fn tree() -> tempfile::TempDir {
        let tree = tempfile::tempdir().unwrap();
        let folder = tree.path().join("folder");
        std::fs::create_dir(&folder).unwrap();
        std::fs::write(folder.join("file"), "text").unwrap();
        std::os::unix::fs::symlink("file", folder.join("link")).unwrap();
        let epoch = SystemTime::UNIX_EPOCH + Duration::from_nanos(1_000_000_001);
        for name in ["folder/file", "folder", "."] {
            let file = std::fs::File::open(tree.path().join(name)).unwrap();
            file.set_modified(epoch).unwrap();
        }
        let status = Command::new("touch")
            .args(["-h", "-d", "@1"])
            .arg(folder.join("link"))
            .status()
            .unwrap();
        assert!(status.success());
        // Linking changed the folder.
        std::fs::File::open(&folder).unwrap().set_modified(epoch).unwrap();
        tree
    }

    #[test]
    fn equal_trees_are_equal_and_counted() {
        let (one, other) = (tree(), tree());
        compare(one.path(), other.path()).unwrap();
        let size = warm(one.path()).unwrap();
        assert_eq!((size.entries, size.bytes), (3, 4));
    }

    #[test]
    fn one_nanosecond_makes_a_difference() {
        let (one, other) = (tree(), tree());
        let file = std::fs::File::open(other.path().join("folder/file")).unwrap();
        file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_nanos(1_000_000_002)).unwrap();
        let error = compare(one.path(), other.path()).unwrap_err().to_string();
        assert!(error.contains("< folder/file"), "{error}");
    }

    #[test]
    fn one_byte_makes_a_difference() {
        let (one, other) = (tree(), tree());
        let path = other.path().join("folder/file");
        let modified = std::fs::metadata(&path).unwrap().modified().unwrap();
        std::fs::write(&path, "tixt").unwrap();
        std::fs::File::open(&path).unwrap().set_modified(modified).unwrap();
        let error = compare(one.path(), other.path()).unwrap_err().to_string();
        assert!(error.contains("folder/file"), "{error}");
    }
}
