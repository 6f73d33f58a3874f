//! Non-volatile memory: the device's directory, sealed state, durable writes, zeroisation.
//!
//! ```text
//! lock          held while the device is on
//! sealing.key   256 bits that belong to this device
//! state.sealed  everything else, sealed under it
//! audit.log     see `audit`
//! tampered      exists once the device has zeroised itself
//! conditions    see `conditions`; not sealed, for it is not the device's own
//! ```
//!
//! A write makes a new file, syncs it, renames it over the old one and syncs the directory: after a
//! power failure at any moment the state is the old one or the new one, whole. This is a simulation:
//! in hardware the sealing key would sit in battery-backed memory behind a mesh, here it is a file
//! beside the state, and who can read the directory can read the keys.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{FlockOperation, flock};

use crate::codec::{Wire, decode, encode};
use crate::conditions::{CONDITIONS_BYTES_BEFORE_RATES, Conditions};
use crate::crypto;
use crate::error::HsmError;
use crate::limits::BACKUP_BYTES_MAX;
use crate::secret::KeyBytes;

const LOCK: &str = "lock";
const SEALING_KEY: &str = "sealing.key";
const STATE: &str = "state.sealed";
const STATE_NEW: &str = "state.new";
const AUDIT: &str = "audit.log";
const TAMPERED: &str = "tampered";
const CONDITIONS: &str = "conditions";

/// How often a lock is tried before the device counts as powered on.
const LOCK_TRIES_MAX: u32 = 20;
/// Pause between two of these tries, in milliseconds.
const LOCK_PAUSE_MILLIS: u64 = 10;

/// Authenticated with the state: the format and its version.
const STATE_FORMAT: &[u8] = b"strongroom hsm state v1";

/// The directory of a device that this process has powered on.
pub(crate) struct Store {
    dir: PathBuf,
    _lock: File,
}

/// What a store holds at power-on.
pub(crate) enum Held<T> {
    /// Nothing: a directory that no device was made in.
    Nothing,
    /// A state.
    State(T),
    /// The mark of a tamper response.
    Tampered,
}

impl Store {
    /// Takes hold of a directory, making it (owner-only) if it does not exist.
    pub(crate) fn open(dir: &Path) -> Result<Self, HsmError> {
        make_private_dir(dir)?;
        let path = dir.join(LOCK);
        let lock = write_options().open(&path).map_err(storage("open", &path))?;
        for _ in 0..LOCK_TRIES_MAX {
            match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => return Ok(Self { dir: dir.into(), _lock: lock }),
                // A program that a thread of the last holder was just starting has the lock until it
                // executes: descriptors are closed then, and not at the fork.
                Err(rustix::io::Errno::WOULDBLOCK) => {
                    std::thread::sleep(Duration::from_millis(LOCK_PAUSE_MILLIS));
                }
                Err(errno) => return Err(storage("lock", &path)(errno.into())),
            }
        }
        Err(HsmError::InUse { path: dir.into() })
    }

    /// Reads the state.
    ///
    /// A tamper response that a power failure interrupted is completed first.
    pub(crate) fn load<T: Wire>(&self) -> Result<Held<T>, HsmError> {
        if self.path(TAMPERED).exists() {
            self.zeroise()?;
            return Ok(Held::Tampered);
        }
        remove(&self.path(STATE_NEW))?;
        let state = self.path(STATE);
        let Some(sealed) = read_bounded(&state)? else { return Ok(Held::Nothing) };
        let key = self.sealing_key()?;
        let opened = crypto::open(&key, STATE_FORMAT, &sealed)
            .map_err(|_| HsmError::NotADevice { path: state.clone() })?;
        let value = decode(opened.expose()).map_err(|_| HsmError::NotADevice { path: state })?;
        Ok(Held::State(value))
    }

    /// Replaces the state, durably.
    pub(crate) fn save<T: Wire>(&self, value: &T) -> Result<(), HsmError> {
        let key = self.sealing_key()?;
        let sealed = crypto::seal(&key, STATE_FORMAT, &encode(value))?;
        self.replace(STATE_NEW, STATE, &sealed)
    }

    /// Gives a new device its sealing key.
    pub(crate) fn make_sealing_key(&self) -> Result<(), HsmError> {
        let key = crypto::generate_key()?;
        self.replace("sealing.new", SEALING_KEY, key.expose())
    }

    /// Destroys everything: first the mark, then the key without which the state is noise, then the
    /// state. A power failure in between is made good at the next power-on.
    pub(crate) fn zeroise(&self) -> Result<(), HsmError> {
        self.replace("tampered.new", TAMPERED, b"")?;
        for name in [SEALING_KEY, STATE, STATE_NEW, "sealing.new"] {
            overwrite_and_remove(&self.path(name))?;
        }
        self.sync_dir()
    }

    /// Reads the conditions of the surroundings: the default ones if nobody has set any.
    pub(crate) fn conditions(&self) -> Result<Conditions, HsmError> {
        let path = self.path(CONDITIONS);
        let Some(mut bytes) = read_bounded(&path)? else { return Ok(Conditions::default()) };
        if bytes.len() == CONDITIONS_BYTES_BEFORE_RATES {
            bytes.extend_from_slice(&encode(&Conditions::default().commands_per_second));
        }
        decode(&bytes).map_err(|_| HsmError::NotADevice { path })
    }

    /// Replaces the conditions of the surroundings, durably.
    pub(crate) fn save_conditions(&self, conditions: &Conditions) -> Result<(), HsmError> {
        self.replace("conditions.new", CONDITIONS, &encode(conditions))
    }

    /// Where the audit log is.
    pub(crate) fn audit_path(&self) -> PathBuf {
        self.path(AUDIT)
    }

    /// The directory.
    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    fn sealing_key(&self) -> Result<KeyBytes, HsmError> {
        let path = self.path(SEALING_KEY);
        let mut file = File::open(&path).map_err(|error| match error.kind() {
            ErrorKind::NotFound => HsmError::NotADevice { path: self.dir.clone() },
            _ => storage("open", &path)(error),
        })?;
        KeyBytes::filled(|bytes| file.read_exact(bytes)).map_err(storage("read", &path))
    }

    fn replace(&self, temporary: &str, name: &str, bytes: &[u8]) -> Result<(), HsmError> {
        let new = self.path(temporary);
        let mut file =
            write_options().truncate(true).open(&new).map_err(storage("create", &new))?;
        file.write_all(bytes).map_err(storage("write", &new))?;
        file.sync_all().map_err(storage("sync", &new))?;
        std::fs::rename(&new, self.path(name)).map_err(storage("rename", &new))?;
        self.sync_dir()
    }

    fn sync_dir(&self) -> Result<(), HsmError> {
        File::open(&self.dir).and_then(|dir| dir.sync_all()).map_err(storage("sync", &self.dir))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }
}

/// Makes a directory that only its owner can enter, with its parents.
pub(crate) fn make_private_dir(dir: &Path) -> Result<(), HsmError> {
    DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(storage("create", dir))
}

/// Turns an I/O error into one that names the action and the file.
pub(crate) fn storage(
    action: &'static str,
    path: &Path,
) -> impl FnOnce(std::io::Error) -> HsmError {
    let path = path.to_owned();
    move |source| HsmError::Storage { action, path, source }
}

fn write_options() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.create(true).truncate(false).write(true).mode(0o600);
    options
}

/// Reads a file of at most [`BACKUP_BYTES_MAX`] bytes, or `None` if there is none.
fn read_bounded(path: &Path) -> Result<Option<Vec<u8>>, HsmError> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(storage("open", path)(error)),
    };
    let mut bytes = Vec::new();
    file.take(BACKUP_BYTES_MAX as u64 + 1)
        .read_to_end(&mut bytes)
        .map_err(storage("read", path))?;
    if bytes.len() > BACKUP_BYTES_MAX {
        return Err(HsmError::NotADevice { path: path.into() });
    }
    Ok(Some(bytes))
}

fn remove(path: &Path) -> Result<(), HsmError> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(storage("remove", path)(error)),
        _ => Ok(()),
    }
}

fn overwrite_and_remove(path: &Path) -> Result<(), HsmError> {
    let mut file = match OpenOptions::new().write(true).open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(storage("open", path)(error)),
    };
    let length = file.metadata().map_err(storage("read", path))?.len();
    std::io::copy(&mut std::io::repeat(0).take(length), &mut file)
        .and_then(|_| file.flush())
        .and_then(|()| file.sync_all())
        .map_err(storage("overwrite", path))?;
    remove(path)
}
