//! A file that has no name before it is complete.
//!
//! Where the file system can (`O_TMPFILE` of open(2)), it has none at all until then, and is gone with
//! the process, however that ends. Elsewhere it is a temporary file beside its place, which a process
//! that is killed leaves behind.

use std::fs::{self, File, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use crate::cli::message::paths::folder_of;

/// The beginning of a temporary file's name.
const TEMPORARY_PREFIX: &str = ".strongroom-";

/// Who may do what with a new file, before the process's umask.
const MODE: u32 = 0o666;

/// A file on its way to its name.
pub(in crate::cli::message) struct NewFile {
    unfinished: Unfinished,
    path: PathBuf,
    replace: bool,
}

enum Unfinished {
    Unnamed(File),
    Temporary(NamedTempFile),
}

impl NewFile {
    /// A file that shall get the name `path`; `replace` says whether there may be one by then.
    pub(super) fn create(path: &Path, replace: bool) -> io::Result<Self> {
        // A link stays a link: what it points to is replaced.
        let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        let unfinished = match unnamed(folder_of(&path)) {
            Some(file) => Unfinished::Unnamed(file),
            None => Unfinished::Temporary(temporary(folder_of(&path))?),
        };
        let new = Self { unfinished, path, replace };
        if replace && let Ok(stat) = fs::metadata(&new.path) {
            new.file().set_permissions(stat.permissions())?;
        }
        Ok(new)
    }

    /// Gives the file its name. After a crash there is the whole file under it, or what was there before.
    ///
    /// # Errors
    /// [`io::ErrorKind::AlreadyExists`] when the name was taken meanwhile and is not to be replaced.
    pub(super) fn commit(self) -> io::Result<()> {
        self.file().sync_all()?;
        let Self { unfinished, path, replace } = self;
        match unfinished {
            Unfinished::Unnamed(file) => name(&file, &path, replace)?,
            Unfinished::Temporary(file) => {
                let named = match replace {
                    true => file.persist(&path),
                    false => file.persist_noclobber(&path),
                };
                named.map_err(|error| error.error)?;
            }
        }
        File::open(folder_of(&path))?.sync_all()
    }

    fn file(&self) -> &File {
        match &self.unfinished {
            Unfinished::Unnamed(file) => file,
            Unfinished::Temporary(file) => file.as_file(),
        }
    }
}

impl Write for NewFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Gives `file` its name `path`.
fn name(file: &File, path: &Path, replace: bool) -> io::Result<()> {
    match link(file, path) {
        // Linking replaces nothing, renaming does: the file gets another name for a moment.
        Err(error) if replace && error.kind() == io::ErrorKind::AlreadyExists => {
            let passing = tempfile::Builder::new()
                .prefix(TEMPORARY_PREFIX)
                .make_in(folder_of(path), |passing| link(file, passing))?;
            passing.into_temp_path().persist(path).map_err(|error| error.error)
        }
        other => other,
    }
}

fn temporary(folder: &Path) -> io::Result<NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(TEMPORARY_PREFIX).permissions(Permissions::from_mode(MODE)).tempfile_in(folder)
}

/// A file in `folder` without a name; `None` where there are no such files, or no way to name them later.
#[cfg(target_os = "linux")]
fn unnamed(folder: &Path) -> Option<File> {
    use rustix::fs::{CWD, Mode, OFlags, openat};
    let flags = OFlags::TMPFILE | OFlags::WRONLY | OFlags::CLOEXEC;
    let file = openat(CWD, folder, flags, Mode::from_raw_mode(MODE)).ok()?;
    let file = File::from(file);
    fs::symlink_metadata(path_of(&file)).is_ok().then_some(file)
}

#[cfg(not(target_os = "linux"))]
fn unnamed(_folder: &Path) -> Option<File> {
    None
}

#[cfg(target_os = "linux")]
fn link(file: &File, path: &Path) -> io::Result<()> {
    use rustix::fs::{AtFlags, CWD, linkat};
    Ok(linkat(CWD, path_of(file), CWD, path, AtFlags::SYMLINK_FOLLOW)?)
}

#[cfg(not(target_os = "linux"))]
fn link(_file: &File, _path: &Path) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Where the system shows an open file, named or not.
#[cfg(target_os = "linux")]
fn path_of(file: &File) -> PathBuf {
    use std::os::fd::AsRawFd as _;
    PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }

    /// As [`NewFile::create`] makes it, and as it does where files must have names.
    fn both_ways(path: &Path, replace: bool) -> [NewFile; 2] {
        let unfinished = Unfinished::Temporary(temporary(folder_of(path)).unwrap());
        let named = NewFile { unfinished, path: path.to_owned(), replace };
        [NewFile::create(path, replace).unwrap(), named]
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn nothing_is_seen_of_a_file_before_it_is_complete() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        for replace in [false, true] {
            let mut new = NewFile::create(&path, replace).unwrap();
            if matches!(new.unfinished, Unfinished::Temporary(_)) {
                return eprintln!("skipped: this file system has no files without a name");
            }
            new.write_all(b"abc").unwrap();
            assert_eq!(names(folder.path()), [""; 0]);
            new.commit().unwrap();
            assert_eq!(names(folder.path()), ["file"]);
            assert_eq!(fs::read(&path).unwrap(), b"abc");
            fs::remove_file(&path).unwrap();
        }
    }

    #[test]
    fn a_name_that_was_taken_meanwhile_is_not_replaced_unless_that_is_wanted() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        for new in both_ways(&path, false) {
            fs::write(&path, "theirs").unwrap();
            assert_eq!(new.commit().unwrap_err().kind(), io::ErrorKind::AlreadyExists);
            assert_eq!(fs::read(&path).unwrap(), b"theirs");
        }
        for mut new in both_ways(&path, true) {
            new.write_all(b"ours").unwrap();
            new.commit().unwrap();
            assert_eq!(fs::read(&path).unwrap(), b"ours");
            fs::write(&path, "theirs").unwrap();
        }
        assert_eq!(names(folder.path()), ["file"]);
    }

    #[test]
    fn a_replaced_file_passes_on_its_permissions_and_a_new_one_follows_the_umask() {
        let folder = tempfile::tempdir().unwrap();
        let [path, plain, fresh] = ["file", "plain", "fresh"].map(|name| folder.path().join(name));
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        fs::write(&path, "theirs").unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        NewFile::create(&path, true).unwrap().commit().unwrap();
        assert_eq!((fs::read(&path).unwrap().len(), mode(&path)), (0, 0o600));
        fs::write(&plain, "").unwrap();
        NewFile::create(&fresh, false).unwrap().commit().unwrap();
        assert_eq!(mode(&fresh), mode(&plain));
    }
}
