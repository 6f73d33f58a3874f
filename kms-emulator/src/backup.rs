//! Backups of a data directory, taken while a server serves from it or while none does.
//!
//! A backup is a data directory itself: the database as of one commit, and the HSMs as they were just
//! after. Material is made before its key is committed and destroyed after its key is deleted, so that
//! every key that the database knows finds its material. What is not in it: the audit trail, which is
//! copied as it is, and TLS.

use std::fs::{self, File};
use std::io::ErrorKind;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use crate::admin::{self, AdminError, AdminRequest};
use crate::kms::Kms;
use crate::registry::UpdateError;
use crate::storage::{SqliteStorage, Storage, StorageError};

/// The folder of the HSMs in a data directory.
const HSMS: &str = "hsm";
/// Deepest that folders of HSMs lie in one another.
const DEPTH_MAX: usize = 8;

/// Why there is no backup, or none was restored.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BackupError {
    /// What would be written is there already.
    #[error("{} is there already; name a path that is not", path.display())]
    Exists {
        /// The path.
        path: PathBuf,
    },
    /// A file cannot be read or written.
    #[error("cannot copy {}: {source}", path.display())]
    File {
        /// The file or directory.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// The database cannot be read, copied or opened.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// The server that runs on the data directory did not do it.
    #[error(transparent)]
    Server(#[from] AdminError),
}

/// Backs a data directory up into `to`, a directory that must not be there yet: by the server that runs on
/// it, or without one.
///
/// # Errors
/// See [`BackupError`]; then `to` is not there.
pub async fn back_up(data_dir: &Path, to: &Path) -> Result<(), BackupError> {
    let to = std::path::absolute(to).map_err(file(to))?;
    if to.exists() {
        return Err(BackupError::Exists { path: to });
    }
    match admin::ask(data_dir, &AdminRequest::BackUp(to.clone())).await {
        Ok(_) => Ok(()),
        Err(AdminError::NoServer { .. }) => whole(&to, |partial| {
            if !SqliteStorage::is_in(data_dir) {
                let path = data_dir.to_owned();
                return Err(BackupError::File { path, source: ErrorKind::NotFound.into() });
            }
            SqliteStorage::open(data_dir)?.back_up(partial)?;
            copy_tree(&data_dir.join(HSMS), &partial.join(HSMS), 0)
        }),
        Err(error) => Err(error.into()),
    }
}

/// Makes a data directory from a backup; it must not be there yet.
///
/// # Errors
/// See [`BackupError`]; then the data directory is not there.
pub fn restore(backup: &Path, data_dir: &Path) -> Result<(), BackupError> {
    if !SqliteStorage::is_in(backup) {
        let path = backup.to_owned();
        return Err(BackupError::File { path, source: ErrorKind::NotFound.into() });
    }
    whole(data_dir, |partial| {
        copy_tree(backup, partial, 0)?;
        // Whatever is wrong with it is to be seen now, not at the next start.
        SqliteStorage::open(partial)?.load()?;
        Ok(())
    })
}

/// The same as `back_up`, for the server that runs on the data directory.
pub(crate) async fn take(kms: &Kms, data_dir: &Path, to: &Path) -> Result<(), BackupError> {
    let partial = begin(to)?;
    let committed = kms.registry.back_up(partial.clone()).await;
    let database = committed.map_err(|error| match error {
        UpdateError::Storage(error) => BackupError::File {
            path: partial.clone(),
            source: std::io::Error::other(error.to_string()),
        },
        other => BackupError::File {
            path: partial.clone(),
            source: std::io::Error::other(format!("{other:?}")),
        },
    });
    let (from, into) = (data_dir.join(HSMS), partial.join(HSMS));
    let copied = match database {
        Ok(()) => tokio::task::spawn_blocking(move || copy_tree(&from, &into, 0))
            .await
            .unwrap_or_else(|error| {
                let source = std::io::Error::other(error);
                Err(BackupError::File { path: data_dir.to_owned(), source })
            }),
        Err(error) => Err(error),
    };
    finish(&partial, to, copied)
}

/// Makes a directory that appears whole or not at all.
fn whole(
    path: &Path,
    fill: impl FnOnce(&Path) -> Result<(), BackupError>,
) -> Result<(), BackupError> {
    let partial = begin(path)?;
    let filled = fill(&partial);
    finish(&partial, path, filled)
}

fn begin(path: &Path) -> Result<PathBuf, BackupError> {
    if path.exists() {
        return Err(BackupError::Exists { path: path.to_owned() });
    }
    let mut partial = path.as_os_str().to_owned();
    partial.push(".partial");
    let partial = PathBuf::from(partial);
    match fs::remove_dir_all(&partial) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(file(&partial)(error)),
        _ => {}
    }
    make_dir(&partial)?;
    Ok(partial)
}

fn finish(partial: &Path, path: &Path, filled: Result<(), BackupError>) -> Result<(), BackupError> {
    let moved = filled.and_then(|()| {
        sync(partial)?;
        fs::rename(partial, path).map_err(file(path))?;
        match path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
            Some(parent) => sync(parent),
            None => Ok(()),
        }
    });
    if moved.is_err() {
        // What is wrong is told already.
        drop(fs::remove_dir_all(partial));
    }
    moved
}

/// Copies files and folders, but not what only a running process has: locks, sockets, files half written.
fn copy_tree(from: &Path, to: &Path, depth: usize) -> Result<(), BackupError> {
    if depth > DEPTH_MAX {
        let source = std::io::Error::other("folders lie too deep in one another");
        return Err(BackupError::File { path: from.to_owned(), source });
    }
    if !to.exists() {
        make_dir(to)?;
    }
    for entry in fs::read_dir(from).map_err(file(from))? {
        let entry = entry.map_err(file(from))?;
        let (source, target) = (entry.path(), to.join(entry.file_name()));
        let kind = entry.file_type().map_err(file(&source))?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        let is_passing = name == "lock" || [".new", ".tmp"].iter().any(|end| name.ends_with(end));
        if kind.is_dir() {
            copy_tree(&source, &target, depth.saturating_add(1))?;
        } else if kind.is_file() && !is_passing {
            fs::copy(&source, &target).map_err(file(&source))?;
            sync(&target)?;
        }
    }
    sync(to)
}

fn make_dir(dir: &Path) -> Result<(), BackupError> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(file(dir))
}

fn sync(path: &Path) -> Result<(), BackupError> {
    File::open(path).and_then(|open| open.sync_all()).map_err(file(path))
}

fn file(path: &Path) -> impl FnOnce(std::io::Error) -> BackupError {
    let path = path.to_owned();
    move |source| BackupError::File { path, source }
}
