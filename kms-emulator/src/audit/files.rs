//! The log files: where they lie, how they grow, and what an unclean end leaves of the last.
//!
//! ```text
//! logs/2026/11/26/00000042.json         {"Records":[ one record a line ]}
//! digests/2026/11/26/00000042.json      names the log file's hash and the digest before it
//! digests/2026/11/26/00000042.json.sig  the digest's signature
//! public-key.pem                        what the signatures are verified with
//! ```
//! The number of a log file is that of its digest; they count from 1 without a gap. A log file without a
//! digest is open. Everything here runs on the writer's thread, or before there is one.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{Seek, SeekFrom, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use aws_lc_rs::digest::{Context, SHA256};

use super::AuditError;
use super::digest::{Digest, LogFile, Previous, SigningKey};
use super::record::Event;
use crate::clock::Timestamp;

pub(super) const LOGS: &str = "logs";
pub(super) const DIGESTS: &str = "digests";
pub(super) const PUBLIC_KEY: &str = "public-key.pem";
const HEAD: &str = "{\"Records\":[\n";
const SEPARATOR: &str = ",\n";
const END: &str = "\n]}\n";
/// Longest log file that is read, in bytes: the size at which one is closed and what a last second brings.
pub(super) const READ_BYTES_MAX: u64 = 1024 * 1024 * 1024;

/// The audit trail's directory, with the file that is being written.
pub(super) struct Trail {
    dir: PathBuf,
    key: SigningKey,
    previous: Option<Previous>,
    /// Of the log file that is open, or of the next.
    number: u64,
    open: Option<OpenLog>,
    /// A log file that is closed and whose digest is not written yet.
    closed: Option<ClosedLog>,
}

/// A log file and the times between which it was written.
struct ClosedLog {
    log: LogFile,
    start: Timestamp,
    end: Timestamp,
}

/// The log file that is being written.
pub(super) struct OpenLog {
    file: File,
    /// Below the trail's directory.
    name: String,
    opened: Timestamp,
    bytes: u64,
    hash: Context,
    count: u64,
    oldest: Timestamp,
    newest: Timestamp,
}

impl OpenLog {
    /// When it was opened.
    pub(super) fn opened(&self) -> Timestamp {
        self.opened
    }

    /// Its length, in bytes.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }
}

impl Trail {
    /// Opens the directory, made if it is not there, and closes a log file that was left open.
    pub(super) fn open(dir: &Path, key: SigningKey, now: Timestamp) -> Result<Self, AuditError> {
        make_dir(dir)?;
        write_durably(&dir.join(PUBLIC_KEY), key.public_key_pem().as_bytes())?;
        let digests = numbered(&dir.join(DIGESTS))?;
        let (number, previous) = match digests.last_key_value() {
            None => (1, None),
            Some((number, path)) => (number.saturating_add(1), Some(Previous::read(dir, path)?)),
        };
        let mut trail =
            Self { dir: dir.to_owned(), key, previous, number, open: None, closed: None };
        for (_, path) in numbered(&dir.join(LOGS))?.split_off(&number) {
            trail.close_abandoned(&path, now)?;
        }
        Ok(trail)
    }

    /// The log file that is being written, if there is one.
    pub(super) fn open_log(&self) -> Option<&OpenLog> {
        self.open.as_ref()
    }

    /// Appends all of `events`, or none.
    pub(super) fn append<'a>(
        &mut self,
        events: impl Iterator<Item = &'a Event>,
        now: Timestamp,
    ) -> Result<(), AuditError> {
        let (mut text, mut written) = (Vec::new(), Written::default());
        for event in events {
            let is_first = self.open.as_ref().map_or(0, |log| log.count) + written.count == 0;
            text.extend_from_slice(if is_first { HEAD } else { SEPARATOR }.as_bytes());
            let path = || self.dir.join(LOGS);
            serde_json::to_writer(&mut text, event)
                .map_err(|error| AuditError::File { path: path(), source: error.into() })?;
            written.add(event.at());
        }
        if written.count == 0 {
            return Ok(());
        }
        self.write_digest()?;
        if self.open.is_none() {
            self.open = Some(self.create_log(now)?);
        }
        let Some(log) = &mut self.open else { return Ok(()) };
        let path = self.dir.join(&log.name);
        if let Err(source) = log.file.write_all(&text) {
            log.retreat();
            return Err(AuditError::File { path, source });
        }
        log.bytes = log.bytes.saturating_add(text.len() as u64);
        log.hash.update(&text);
        log.include(&written);
        Ok(())
    }

    /// Syncs what was appended.
    pub(super) fn sync(&self) -> Result<(), AuditError> {
        match &self.open {
            None => Ok(()),
            Some(log) => log.file.sync_data().map_err(AuditError::file(&self.dir.join(&log.name))),
        }
    }

    /// Closes the log file that is open, and names it in a digest.
    pub(super) fn close_log(&mut self, now: Timestamp) -> Result<(), AuditError> {
        if let Some(log) = &mut self.open {
            let ended = log.file.write_all(END.as_bytes()).and_then(|()| log.file.sync_all());
            if let Err(source) = ended {
                log.retreat();
                return Err(AuditError::File { path: self.dir.join(&log.name), source });
            }
        }
        if let Some(log) = self.open.take() {
            self.closed = Some(log.close(now));
        }
        self.write_digest()
    }

    fn create_log(&self, now: Timestamp) -> Result<OpenLog, AuditError> {
        let name = file_name(LOGS, now, self.number);
        let path = self.dir.join(&name);
        if let Some(parent) = path.parent() {
            make_dir(parent)?;
        }
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&path)
            .map_err(AuditError::file(&path))?;
        sync_parents(&path, &self.dir)?;
        let hash = Context::new(&SHA256);
        Ok(OpenLog { file, name, opened: now, bytes: 0, hash, count: 0, oldest: now, newest: now })
    }

    /// Cuts off what of the last record was not written, ends the file, and names it in a digest that
    /// says so.
    fn close_abandoned(&mut self, path: &Path, now: Timestamp) -> Result<(), AuditError> {
        let name = relative(&self.dir, path);
        let mut text = read_bounded(path)?;
        let (whole, written) = whole_records(&text);
        text.truncate(whole);
        if written.count == 0 {
            text = HEAD.as_bytes().to_vec();
        }
        text.extend_from_slice(if written.count == 0 { "]}\n" } else { END }.as_bytes());
        write_durably(path, &text)?;
        let log = LogFile {
            name,
            hash: hex::encode(aws_lc_rs::digest::digest(&SHA256, &text)),
            oldest: written.oldest.unwrap_or(now),
            newest: written.newest.unwrap_or(now),
            count: written.count,
            is_recovered: true,
        };
        tracing::warn!(
            log = log.name,
            records = log.count,
            "an audit log was left open; it is closed"
        );
        self.closed = Some(ClosedLog { start: log.oldest, end: now, log });
        self.write_digest()
    }

    /// Writes the digest of the log file that is closed, if there is one without.
    fn write_digest(&mut self) -> Result<(), AuditError> {
        let Some(ClosedLog { log, start, end }) = &self.closed else { return Ok(()) };
        let name = file_name(DIGESTS, *end, self.number);
        let previous = self.previous.clone();
        let digest = Digest::new(name, *start, *end, log.clone(), previous, &self.key);
        let path = self.dir.join(&digest.name);
        if let Some(parent) = path.parent() {
            make_dir(parent)?;
        }
        let signed = digest.sign(&self.key)?;
        // A digest that is there has its signature.
        write_durably(&signature_of(&path), &signed.signature)?;
        write_durably(&path, &signed.text)?;
        sync_parents(&path, &self.dir)?;
        self.previous = Some(signed.into_previous());
        self.closed = None;
        self.number = self.number.saturating_add(1);
        Ok(())
    }
}

impl OpenLog {
    fn include(&mut self, written: &Written) {
        if self.count == 0 {
            self.oldest = written.oldest.unwrap_or(self.oldest);
            self.newest = self.oldest;
        }
        self.count = self.count.saturating_add(written.count);
        self.oldest = self.oldest.min(written.oldest.unwrap_or(self.oldest));
        self.newest = self.newest.max(written.newest.unwrap_or(self.newest));
    }

    fn close(mut self, now: Timestamp) -> ClosedLog {
        self.hash.update(END.as_bytes());
        let log = LogFile {
            name: self.name,
            hash: hex::encode(self.hash.finish()),
            oldest: self.oldest,
            newest: self.newest,
            count: self.count,
            is_recovered: false,
        };
        ClosedLog { log, start: self.opened, end: now }
    }

    /// Takes back what a failed write has left.
    fn retreat(&mut self) {
        let taken_back = self
            .file
            .set_len(self.bytes)
            .and_then(|()| self.file.seek(SeekFrom::Start(self.bytes)));
        if let Err(error) = taken_back {
            tracing::error!(%error, log = self.name, "a torn record stays in an audit log");
        }
    }
}

/// Records and the times between which they lie.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Written {
    pub(super) count: u64,
    pub(super) oldest: Option<Timestamp>,
    pub(super) newest: Option<Timestamp>,
}

impl Written {
    pub(super) fn add(&mut self, at: Timestamp) {
        self.count = self.count.saturating_add(1);
        self.oldest = Some(self.oldest.map_or(at, |oldest| oldest.min(at)));
        self.newest = Some(self.newest.map_or(at, |newest| newest.max(at)));
    }
}

/// Where the last whole record of an open log file ends, and what there is up to it.
fn whole_records(text: &[u8]) -> (usize, Written) {
    let (mut end, mut at, mut written) = (0, HEAD.len(), Written::default());
    if !text.starts_with(HEAD.as_bytes()) {
        return (0, written);
    }
    while let Some(rest) = text.get(at..).filter(|rest| !rest.is_empty()) {
        let line = rest.split(|byte| *byte == b'\n').next().unwrap_or_default();
        let record = line.strip_suffix(b",").unwrap_or(line);
        let Some(time) = event_time(record) else { break };
        written.add(time);
        end = at.saturating_add(record.len());
        at = at.saturating_add(line.len()).saturating_add(1);
    }
    (end, written)
}

/// The time of a record, if it is a whole one.
pub(super) fn event_time(record: &[u8]) -> Option<Timestamp> {
    #[derive(serde::Deserialize)]
    struct Time<'a> {
        #[serde(rename = "eventTime")]
        at: &'a str,
    }
    let time: Time<'_> = serde_json::from_slice(record).ok()?;
    Timestamp::parse_iso8601_or_epoch(time.at)
}

/// For example `logs/2026/11/26/00000042.json`.
fn file_name(folder: &str, at: Timestamp, number: u64) -> String {
    let day = at.to_iso8601();
    let day = day.split('T').next().unwrap_or_default().replace('-', "/");
    format!("{folder}/{day}/{number:08}.json")
}

/// The signature's file beside a digest.
pub(super) fn signature_of(digest: &Path) -> PathBuf {
    let mut name = digest.as_os_str().to_owned();
    name.push(".sig");
    PathBuf::from(name)
}

/// Every numbered file below a folder; none if there is no folder.
pub(super) fn numbered(folder: &Path) -> Result<BTreeMap<u64, PathBuf>, AuditError> {
    let (mut found, mut folders) = (BTreeMap::new(), vec![(folder.to_owned(), 0)]);
    while let Some((next, depth)) = folders.pop() {
        let entries = match fs::read_dir(&next) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
            Err(error) => return Err(AuditError::file(&next)(error)),
        };
        for entry in entries {
            let entry = entry.map_err(AuditError::file(&next))?;
            let path = entry.path();
            let kind = entry.file_type().map_err(AuditError::file(&path))?;
            if kind.is_dir() && depth < 3 {
                folders.push((path, depth + 1));
            } else if let Some(number) = number_of(&path) {
                found.insert(number, path);
            }
        }
    }
    Ok(found)
}

fn number_of(path: &Path) -> Option<u64> {
    path.file_name()?.to_str()?.strip_suffix(".json")?.parse().ok()
}

/// Whether a log file has its end.
pub(super) fn is_closed(path: &Path) -> bool {
    fs::read(path).is_ok_and(|text| text.ends_with(END.as_bytes()))
}

/// A file's name below the trail's directory.
pub(super) fn relative(dir: &Path, path: &Path) -> String {
    path.strip_prefix(dir).unwrap_or(path).to_string_lossy().into_owned()
}

/// A file of the trail, unless it is longer than any can be.
pub(super) fn read_bounded(path: &Path) -> Result<Vec<u8>, AuditError> {
    let length = fs::metadata(path).map_err(AuditError::file(path))?.len();
    if length > READ_BYTES_MAX {
        let reason = format!("it is longer than {READ_BYTES_MAX} bytes");
        return Err(AuditError::Damaged { path: path.to_owned(), reason });
    }
    fs::read(path).map_err(AuditError::file(path))
}

fn make_dir(dir: &Path) -> Result<(), AuditError> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(AuditError::file(dir))
}

/// Writes a file so that after a crash it is there whole or as it was.
pub(super) fn write_durably(path: &Path, bytes: &[u8]) -> Result<(), AuditError> {
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(".tmp");
    let temporary = PathBuf::from(temporary);
    let write = || {
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&temporary)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&temporary, path)?;
        match path.parent() {
            Some(parent) => File::open(parent)?.sync_all(),
            None => Ok(()),
        }
    };
    write().map_err(AuditError::file(path))
}

/// Syncs the directories from a file's up to the trail's: each may be new.
fn sync_parents(path: &Path, dir: &Path) -> Result<(), AuditError> {
    let mut folder = path.parent();
    while let Some(named) = folder.filter(|named| named.starts_with(dir)) {
        File::open(named).and_then(|open| open.sync_all()).map_err(AuditError::file(named))?;
        folder = named.parent();
    }
    Ok(())
}
