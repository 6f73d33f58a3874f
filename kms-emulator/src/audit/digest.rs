//! Digest files: each names one log file by its hash, and the digest before it by its hash and
//! signature.
//!
//! Source: CloudTrail user guide, "CloudTrail digest file structure" and "Custom implementations of
//! CloudTrail log file integrity validation"; the members have its names, the places are files below the
//! trail's directory instead of objects in a bucket, and the signature is ECDSA instead of RSA.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1, UnparsedPublicKey};
use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256, PublicKeyData, SigningKey as _};
use rustls_pki_types::SubjectPublicKeyInfoDer;
use rustls_pki_types::pem::PemObject;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::AuditError;
use super::files::{read_bounded, relative, signature_of, write_durably};
use crate::clock::Timestamp;

const HASH_ALGORITHM: &str = "SHA-256";
const SIGNATURE_ALGORITHM: &str = "SHA256withECDSA";
/// What stands for the signature before the first.
const NO_SIGNATURE: &str = "null";

/// A log file, as its digest names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct LogFile {
    pub(super) name: String,
    pub(super) hash: String,
    pub(super) oldest: Timestamp,
    pub(super) newest: Timestamp,
    pub(super) count: u64,
    /// Whether it was left open by an unclean end of the server.
    pub(super) is_recovered: bool,
}

/// A digest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Digest {
    /// Below the trail's directory.
    pub(super) name: String,
    pub(super) start: Timestamp,
    pub(super) end: Timestamp,
    pub(super) fingerprint: String,
    pub(super) log: LogFile,
    pub(super) previous: Option<Previous>,
}

/// The digest before, as the next one names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Previous {
    pub(super) name: String,
    pub(super) hash: String,
    pub(super) signature: String,
}

/// A digest as it is written.
pub(super) struct SignedDigest {
    name: String,
    pub(super) text: Vec<u8>,
    pub(super) signature: Vec<u8>,
}

impl Digest {
    /// The digest of a log file that was written from `start` to `end`.
    pub(super) fn new(
        name: String,
        start: Timestamp,
        end: Timestamp,
        log: LogFile,
        previous: Option<Previous>,
        key: &SigningKey,
    ) -> Self {
        Self { name, start, end, fingerprint: key.public_key().fingerprint(), log, previous }
    }

    /// Writes and signs it.
    pub(super) fn sign(&self, key: &SigningKey) -> Result<SignedDigest, AuditError> {
        let text = serde_json::to_vec_pretty(&Members::of(self))
            .map_err(|error| key.unusable(error.to_string()))?;
        let signature = key.sign(self.string_to_sign(&text).as_bytes())?;
        Ok(SignedDigest { name: self.name.clone(), text, signature })
    }

    /// Reads a digest.
    pub(super) fn parse(text: &[u8]) -> Result<Self, String> {
        let members: Members = serde_json::from_slice(text).map_err(|error| error.to_string())?;
        members.into_digest()
    }

    /// What the signature is over; `text` is the digest as it is written.
    pub(super) fn string_to_sign(&self, text: &[u8]) -> String {
        let previous = self.previous.as_ref().map_or(NO_SIGNATURE, |digest| &digest.signature);
        format!("{}\n{}\n{}\n{previous}", self.end.to_iso8601(), self.name, hash(text))
    }
}

impl SignedDigest {
    /// What the next digest names.
    pub(super) fn into_previous(self) -> Previous {
        Previous { hash: hash(&self.text), signature: hex::encode(self.signature), name: self.name }
    }
}

impl Previous {
    /// The newest digest of a trail.
    pub(super) fn read(dir: &Path, path: &Path) -> Result<Self, AuditError> {
        Ok(Self {
            name: relative(dir, path),
            hash: hash(&read_bounded(path)?),
            signature: hex::encode(read_bounded(&signature_of(path))?),
        })
    }
}

/// The SHA-256 of a file's content, in hexadecimal.
pub(super) fn hash(bytes: &[u8]) -> String {
    hex::encode(digest(&SHA256, bytes))
}

/// The members of a digest file, by CloudTrail's names; the last two of a log file are our own.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Members {
    digest_start_time: String,
    digest_end_time: String,
    digest_s3_object: String,
    digest_public_key_fingerprint: String,
    digest_signature_algorithm: String,
    newest_event_time: String,
    oldest_event_time: String,
    previous_digest_s3_object: Option<String>,
    previous_digest_hash_value: Option<String>,
    previous_digest_hash_algorithm: Option<String>,
    previous_digest_signature: Option<String>,
    log_files: [LogMembers; 1],
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct LogMembers {
    s3_object: String,
    hash_value: String,
    hash_algorithm: String,
    newest_event_time: String,
    oldest_event_time: String,
    record_count: u64,
    left_open: bool,
}

impl Members {
    fn of(digest: &Digest) -> Self {
        let previous = digest.previous.as_ref();
        let log = &digest.log;
        let (newest, oldest) = (log.newest.to_iso8601(), log.oldest.to_iso8601());
        Self {
            digest_start_time: digest.start.to_iso8601(),
            digest_end_time: digest.end.to_iso8601(),
            digest_s3_object: digest.name.clone(),
            digest_public_key_fingerprint: digest.fingerprint.clone(),
            digest_signature_algorithm: SIGNATURE_ALGORITHM.to_owned(),
            newest_event_time: newest.clone(),
            oldest_event_time: oldest.clone(),
            previous_digest_s3_object: previous.map(|previous| previous.name.clone()),
            previous_digest_hash_value: previous.map(|previous| previous.hash.clone()),
            previous_digest_hash_algorithm: previous.map(|_| HASH_ALGORITHM.to_owned()),
            previous_digest_signature: previous.map(|previous| previous.signature.clone()),
            log_files: [LogMembers {
                s3_object: log.name.clone(),
                hash_value: log.hash.clone(),
                hash_algorithm: HASH_ALGORITHM.to_owned(),
                newest_event_time: newest,
                oldest_event_time: oldest,
                record_count: log.count,
                left_open: log.is_recovered,
            }],
        }
    }

    fn into_digest(self) -> Result<Digest, String> {
        let [log] = self.log_files;
        if self.digest_signature_algorithm != SIGNATURE_ALGORITHM
            || log.hash_algorithm != HASH_ALGORITHM
        {
            return Err("it names an algorithm that is not known here".to_owned());
        }
        let instant = |text: &str| {
            Timestamp::parse_iso8601_or_epoch(text).ok_or_else(|| format!("{text:?} is no time"))
        };
        let previous = (
            self.previous_digest_s3_object,
            self.previous_digest_hash_value,
            self.previous_digest_signature,
        );
        Ok(Digest {
            name: self.digest_s3_object,
            start: instant(&self.digest_start_time)?,
            end: instant(&self.digest_end_time)?,
            fingerprint: self.digest_public_key_fingerprint,
            log: LogFile {
                name: log.s3_object,
                hash: log.hash_value,
                oldest: instant(&log.oldest_event_time)?,
                newest: instant(&log.newest_event_time)?,
                count: log.record_count,
                is_recovered: log.left_open,
            },
            previous: match previous {
                (None, None, None) => None,
                (Some(name), Some(hash), Some(signature)) => {
                    Some(Previous { name, hash, signature })
                }
                _ => return Err("it names half a digest before it".to_owned()),
            },
        })
    }
}

/// The key that signs digests.
pub(super) struct SigningKey {
    path: PathBuf,
    pair: KeyPair,
}

impl SigningKey {
    /// Reads the key from its file, or makes both.
    pub(super) fn open(path: &Path) -> Result<Self, AuditError> {
        let unusable = |reason: String| AuditError::SigningKey { path: path.to_owned(), reason };
        let pair = match fs::read_to_string(path).map(Zeroizing::new) {
            Ok(pem) => KeyPair::from_pem(&pem).map_err(|error| unusable(error.to_string()))?,
            Err(error) if error.kind() == ErrorKind::NotFound => {
                let pair = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)
                    .map_err(|error| unusable(error.to_string()))?;
                let pem = Zeroizing::new(pair.serialize_pem());
                write_durably(path, pem.as_bytes())?;
                pair
            }
            Err(error) => return Err(unusable(error.to_string())),
        };
        Ok(Self { path: path.to_owned(), pair })
    }

    /// Signs a message; the signature is DER.
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, AuditError> {
        self.pair.sign(message).map_err(|error| self.unusable(error.to_string()))
    }

    fn unusable(&self, reason: String) -> AuditError {
        AuditError::SigningKey { path: self.path.clone(), reason }
    }

    /// The public half.
    pub(super) fn public_key(&self) -> PublicKey {
        PublicKey(self.pair.subject_public_key_info())
    }

    /// The public half as PEM.
    pub(super) fn public_key_pem(&self) -> String {
        self.pair.public_key_pem()
    }
}

/// What signatures are verified with: a SubjectPublicKeyInfo.
pub(super) struct PublicKey(Vec<u8>);

impl PublicKey {
    /// Reads PEM.
    pub(super) fn from_pem(text: &[u8]) -> Result<Self, String> {
        let der = SubjectPublicKeyInfoDer::from_pem_slice(text)
            .map_err(|error| format!("no public key in PEM: {error}"))?;
        Ok(Self(der.as_ref().to_vec()))
    }

    /// The SHA-256 of the key, in hexadecimal.
    pub(super) fn fingerprint(&self) -> String {
        hash(&self.0)
    }

    /// Whether a signature is one over `message`.
    pub(super) fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, &self.0).verify(message, signature).is_ok()
    }
}
