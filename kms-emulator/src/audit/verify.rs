//! Whether an audit trail is whole: every digest signed and linked to the one before, every log file as
//! its digest names it.

use std::collections::{BTreeMap, VecDeque};
use std::path::{Path, PathBuf};

use serde::de::IgnoredAny;

use super::AuditError;
use super::digest::{Digest, Previous, PublicKey, hash};
use super::files::{
    DIGESTS, LOGS, PUBLIC_KEY, is_closed, numbered, read_bounded, relative, signature_of,
};

/// What a whole trail holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verification {
    /// Digests, each with its log file.
    pub digests: u64,
    /// Records in those log files.
    pub records: u64,
    /// The key's fingerprint: SHA-256 of the SubjectPublicKeyInfo.
    pub fingerprint: String,
    /// The newest digest and its hash: kept elsewhere, it proves that no digest after it was removed.
    pub newest: Option<(String, String)>,
    /// Log files that an unclean end of the server left open: what was in memory then is missing.
    pub left_open: Vec<String>,
    /// The log file that is being written, which no digest names yet.
    pub open: Option<String>,
}

/// The first thing that is wrong with a trail.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{file}: {reason}")]
pub struct BrokenLink {
    /// The file, below the trail's directory.
    pub file: String,
    /// What is wrong with it.
    pub reason: String,
}

/// Verifies the trail in `dir` from its first digest to its last, by the public key in `public_key` or by
/// the one that lies in the trail, which proves less: whoever forges a trail can lay his own key there.
///
/// # Errors
/// What cannot be read, or `Ok(Err(…))` for the first broken link.
pub fn verify(
    dir: &Path,
    public_key: Option<&Path>,
) -> Result<Result<Verification, BrokenLink>, AuditError> {
    let key_file = public_key.map_or_else(|| dir.join(PUBLIC_KEY), Path::to_owned);
    let key = PublicKey::from_pem(&read_bounded(&key_file)?)
        .map_err(|reason| AuditError::Damaged { path: key_file, reason })?;
    let digests = numbered(&dir.join(DIGESTS))?;
    let logs = numbered(&dir.join(LOGS))?;
    let mut walk = Walk { dir, key, previous: None, found: Verification::default() };
    walk.found.fingerprint = walk.key.fingerprint();
    for (wanted, (number, path)) in (1..).zip(&digests) {
        if *number != wanted {
            return Ok(Err(missing(DIGESTS, wanted)));
        }
        match walk.check(path, logs.get(number)) {
            Ok(()) => {}
            Err(Stop::Broken(link)) => return Ok(Err(link)),
            Err(Stop::Unreadable(error)) => return Err(error),
        }
    }
    Ok(check_rest(dir, &digests, logs).map(|open| Verification { open, ..walk.found }))
}

/// At most one log file may follow the last digest: the one that is open.
fn check_rest(
    dir: &Path,
    digests: &BTreeMap<u64, PathBuf>,
    mut logs: BTreeMap<u64, PathBuf>,
) -> Result<Option<String>, BrokenLink> {
    let next = digests.last_key_value().map_or(1, |(number, _)| number.saturating_add(1));
    let rest = logs.split_off(&next);
    if let Some((number, path)) = rest.iter().find(|(number, _)| **number != next) {
        let reason = format!("no digest {number:08} names it, and it is not the one that is open");
        return Err(BrokenLink { file: relative(dir, path), reason });
    }
    let Some(path) = rest.values().next() else { return Ok(None) };
    if is_closed(path) {
        let reason = "it is closed and no digest names it; if the server has just ended, start it and \
                      verify again";
        return Err(BrokenLink { file: relative(dir, path), reason: reason.to_owned() });
    }
    Ok(Some(relative(dir, path)))
}

enum Stop {
    Broken(BrokenLink),
    Unreadable(AuditError),
}

impl From<AuditError> for Stop {
    fn from(error: AuditError) -> Self {
        Self::Unreadable(error)
    }
}

struct Walk<'a> {
    dir: &'a Path,
    key: PublicKey,
    previous: Option<Previous>,
    found: Verification,
}

impl Walk<'_> {
    /// Checks one digest and the log file of its number.
    fn check(&mut self, path: &Path, log: Option<&PathBuf>) -> Result<(), Stop> {
        let name = relative(self.dir, path);
        let broken = |reason: &str| {
            Err(Stop::Broken(BrokenLink { file: name.clone(), reason: reason.to_owned() }))
        };
        let text = read_bounded(path)?;
        let signature_path = signature_of(path);
        if !signature_path.exists() {
            return broken("its signature is missing");
        }
        let signature = read_bounded(&signature_path)?;
        let digest = match Digest::parse(&text) {
            Ok(digest) => digest,
            Err(reason) => return broken(&format!("it is no digest: {reason}")),
        };
        if digest.name != name {
            return broken(&format!("it says that it is {}", digest.name));
        }
        if digest.previous != self.previous {
            return broken("it does not follow the digest before it");
        }
        if digest.fingerprint != self.found.fingerprint {
            return broken("another key signed it");
        }
        if !self.key.verifies(digest.string_to_sign(&text).as_bytes(), &signature) {
            return broken("its signature is wrong");
        }
        self.check_log(&digest, log)?;
        self.found.digests = self.found.digests.saturating_add(1);
        self.found.newest = Some((name.clone(), hash(&text)));
        self.previous =
            Some(Previous { name, hash: hash(&text), signature: hex::encode(signature) });
        Ok(())
    }

    fn check_log(&mut self, digest: &Digest, path: Option<&PathBuf>) -> Result<(), Stop> {
        let log = &digest.log;
        let broken =
            |reason: String| Err(Stop::Broken(BrokenLink { file: log.name.clone(), reason }));
        let Some(path) = path.filter(|path| relative(self.dir, path) == log.name) else {
            return broken(format!("{} names it, and it is missing", digest.name));
        };
        let text = read_bounded(path)?;
        if hash(&text) != log.hash {
            return broken(format!("it was altered after {} named it", digest.name));
        }
        if count(&text) != Some(log.count) {
            return broken(format!("it has not the {} records that it is to have", log.count));
        }
        self.found.records = self.found.records.saturating_add(log.count);
        if log.is_recovered {
            self.found.left_open.push(log.name.clone());
        }
        Ok(())
    }
}

fn missing(folder: &str, number: u64) -> BrokenLink {
    BrokenLink {
        file: format!("{folder}/…/{number:08}.json"), reason: "it is missing".to_owned()
    }
}

/// The number of records of a closed log file.
fn count(text: &[u8]) -> Option<u64> {
    #[derive(serde::Deserialize)]
    struct File {
        #[serde(rename = "Records")]
        records: Vec<IgnoredAny>,
    }
    serde_json::from_slice(text).ok().map(|file: File| file.records.len() as u64)
}

/// The newest `count` records of a trail, oldest first, those of the open log file included.
///
/// # Errors
/// What cannot be read.
pub fn newest_records(dir: &Path, count: usize) -> Result<Vec<String>, AuditError> {
    let mut newest = VecDeque::new();
    for path in numbered(&dir.join(LOGS))?.values().rev() {
        let text = read_bounded(path)?;
        let text = String::from_utf8_lossy(&text);
        // One record a line; a torn last one is none.
        let lines = text.lines().rev().map(|line| line.trim_end_matches(','));
        for record in lines.filter(|line| super::files::event_time(line.as_bytes()).is_some()) {
            if newest.len() >= count {
                return Ok(newest.into());
            }
            newest.push_front(record.to_owned());
        }
    }
    Ok(newest.into())
}
