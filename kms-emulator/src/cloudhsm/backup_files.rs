//! The files that hold what backups hold: one for each, named by its id, readable by HSMs of this factory
//! alone.

use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::path::PathBuf;

use strongroom_hsm::HsmError;
use strongroom_hsm::provision::Backup as BackupBytes;

use super::control_plane::HardwareError;
use crate::ids::BackupId;
use crate::registry::State;

/// The directory of the files.
pub(super) struct BackupFiles {
    dir: PathBuf,
}

impl BackupFiles {
    /// The files of a directory that exists.
    pub(super) fn of(dir: PathBuf) -> Self {
        Self { dir }
    }

    /// Writes a file, durably; only then may a record name it.
    pub(super) fn write(&self, id: &BackupId, bytes: &BackupBytes) -> Result<(), HardwareError> {
        let path = self.path(id);
        let write = || {
            let new = path.with_extension("new");
            let mut file = File::create(&new)?;
            file.write_all(bytes.as_slice())?;
            file.sync_all()?;
            fs::rename(&new, &path)?;
            File::open(&self.dir)?.sync_all()
        };
        write().map_err(|source| HardwareError::File { path: path.clone(), source })
    }

    /// Reads a file.
    pub(super) fn read(&self, id: &BackupId) -> Result<BackupBytes, HardwareError> {
        let path = self.path(id);
        let bytes = fs::read(&path).map_err(|source| HardwareError::File { path, source })?;
        Ok(BackupBytes::new(bytes).map_err(HsmError::from)?)
    }

    /// Removes the file of a backup whose record is gone.
    pub(super) fn remove(&self, id: &BackupId) {
        let path = self.path(id);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                tracing::warn!(path = %path.display(), %error, "a deleted backup's file remains");
            }
            _ => {}
        }
    }

    /// Removes the files that no record names: those of a crash before the record was written, or after
    /// it was deleted.
    pub(super) fn remove_strangers(&self, state: &State) {
        let Ok(entries) = fs::read_dir(&self.dir) else { return };
        for entry in entries.flatten() {
            let name = entry.file_name();
            let Some(id) = name.to_str().and_then(|name| name.parse::<BackupId>().ok()) else {
                continue;
            };
            if !state.all_backups().any(|backup| backup.id == id) {
                self.remove(&id);
            }
        }
    }

    fn path(&self, id: &BackupId) -> PathBuf {
        self.dir.join(id.as_str())
    }
}
