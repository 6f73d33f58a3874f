//! Ciphertext blobs: what `Encrypt` returns and `Decrypt` takes.
//!
//! ```text
//!  1  version, 1
//!  1  algorithm, 1 = SYMMETRIC_DEFAULT
//!  1  kind of key id: 0 = UUID, 1 = multi-Region
//!  8  account, big endian
//! 16  key id
//! 32  material id
//!  8  first bytes of SHA-256 over the 59 before
//!  …  what the key store returned: nonce, ciphertext, tag
//! ```
//! The first 67 bytes are the header. The key store authenticates it together with the encryption
//! context and derives a key from its own nonce for this message alone. The checksum tells an altered
//! header from one that names a key of another Region or one deleted; it proves nothing and need not.

use aws_lc_rs::digest;

use super::encryption_context::EncryptionContext;
use crate::ids::{AccountId, KeyId};
use crate::protocol::{BlobLimits, Fault};
use crate::records::{Key, MaterialId};

/// Constraints of a `CiphertextBlob` member (API model: `CiphertextType`).
pub(super) const CIPHERTEXT: BlobLimits = BlobLimits { bytes_min: 1, bytes_max: 6144 };

const VERSION: u8 = 1;
const ALGORITHM_SYMMETRIC_DEFAULT: u8 = 1;
const NAMES_BYTES: usize = 59;
const HEADER_BYTES: usize = 67;

/// The header of a blob: which key, and which material of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) account: AccountId,
    pub(super) key: KeyId,
    pub(super) material: MaterialId,
}

impl Header {
    /// The header of what `key` encrypts now.
    pub(super) fn of(key: &Key) -> Self {
        Self { account: key.realm.account, key: key.id, material: key.material.id }
    }

    fn encode(&self) -> Vec<u8> {
        let (key, multi_region) = self.key.to_parts();
        let mut out = Vec::with_capacity(HEADER_BYTES);
        out.extend_from_slice(&[VERSION, ALGORITHM_SYMMETRIC_DEFAULT, u8::from(multi_region)]);
        out.extend_from_slice(&self.account.as_u64().to_be_bytes());
        out.extend_from_slice(&key);
        out.extend_from_slice(&self.material.0);
        let checksum = checksum(&out);
        out.extend_from_slice(&checksum);
        out
    }

    /// Takes a blob apart into its header and what the key store returned.
    ///
    /// # Errors
    /// `InvalidCiphertextException`, whatever is wrong.
    pub(super) fn split(blob: &[u8]) -> Result<(Self, &[u8]), Fault> {
        Self::parse(blob).ok_or_else(Fault::invalid_ciphertext)
    }

    fn parse(blob: &[u8]) -> Option<(Self, &[u8])> {
        let (names, rest) = blob.split_at_checked(NAMES_BYTES)?;
        let (found, sealed) = rest.split_first_chunk::<8>()?;
        if checksum(names) != *found {
            return None;
        }
        let (fixed, names) = names.split_first_chunk::<3>()?;
        let &[VERSION, ALGORITHM_SYMMETRIC_DEFAULT, kind @ 0..=1] = fixed else { return None };
        let (account, names) = names.split_first_chunk::<8>()?;
        let (key, names) = names.split_first_chunk::<16>()?;
        let material = names.first_chunk::<32>()?;
        let header = Self {
            account: AccountId::from_u64(u64::from_be_bytes(*account))?,
            key: KeyId::from_parts(*key, kind == 1),
            material: MaterialId(*material),
        };
        Some((header, sealed))
    }

    /// What the key store authenticates: the header, of fixed length, and the context behind it.
    pub(super) fn authenticated_data(&self, context: &EncryptionContext) -> Vec<u8> {
        let mut out = self.encode();
        context.encode(&mut out);
        out
    }

    /// The blob around what the key store returned.
    pub(super) fn join(&self, sealed: &[u8]) -> Vec<u8> {
        let mut out = self.encode();
        out.extend_from_slice(sealed);
        out
    }
}

fn checksum(names: &[u8]) -> [u8; 8] {
    let digest = digest::digest(&digest::SHA256, names);
    digest.as_ref().first_chunk().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header() -> Header {
        Header {
            account: "111122223333".parse().unwrap(),
            key: KeyId::random(),
            material: MaterialId([7; 32]),
        }
    }

    #[test]
    fn headers_round_trip() {
        let header = header();
        let blob = header.join(b"sealed");
        assert_eq!(blob.len(), HEADER_BYTES + 6);
        assert_eq!(Header::split(&blob).unwrap(), (header, b"sealed".as_slice()));
    }

    #[test]
    fn every_altered_bit_and_every_truncation_of_the_header_is_refused() {
        let blob = header().join(b"");
        for bit in 0..blob.len() * 8 {
            let mut altered = blob.clone();
            altered[bit / 8] ^= 1 << (bit % 8);
            assert!(Header::split(&altered).is_err(), "bit {bit}");
        }
        for length in 0..blob.len() {
            assert!(Header::split(&blob[..length]).is_err(), "length {length}");
        }
    }
}
