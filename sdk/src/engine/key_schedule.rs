//! From the data key to the key of header tag and body, and to the commitment.
//!
//! Source: `framework/transitive-requirements.md` (HKDF), `framework/algorithm-suites.md`.

use crate::crypto::CryptoProvider;
use crate::error::Result;
use crate::message::header::MessageId;
use crate::message::suite::{AlgorithmSuite, COMMITMENT_BYTES, HashAlgorithm, MessageVersion};
use crate::secret::{DataKey, SecretBytes};

const DERIVE_LABEL: &[u8] = b"DERIVEKEY";
const COMMIT_LABEL: &[u8] = b"COMMITKEY";
/// The longest salt of version 1: zeros, as long as a digest.
const ZEROS: [u8; 64] = [0; 64];

/// The keys of one message.
pub(crate) struct MessageKeys {
    /// Key of the suite's cipher.
    pub(crate) cipher_key: SecretBytes,
    /// The commitment, of suites that commit.
    pub(crate) commitment: Option<[u8; COMMITMENT_BYTES]>,
}

/// How the writer of a message went about what the header tag covers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dialect {
    /// As the specification says.
    Specified,
    /// As the AWS Encryption SDK for .NET did in version 4.0.0 alone: the message id is missing from the
    /// derivation of version 1.
    NetV4_0_0,
}

/// Derives the keys of the message `message_id`.
///
/// # Errors
/// What the provider returns.
pub(crate) fn derive(
    provider: &dyn CryptoProvider,
    suite: AlgorithmSuite,
    message_id: &MessageId,
    data_key: &DataKey,
    dialect: Dialect,
) -> Result<MessageKeys> {
    let secret = data_key.secret();
    let length = suite.data_key_bytes();
    let suite_id = suite.id().to_be_bytes();
    let id = message_id.as_bytes();
    match (suite.kdf(), suite.version()) {
        (None, _) => {
            Ok(MessageKeys { cipher_key: SecretBytes::copy_of(secret.expose()), commitment: None })
        }
        (Some(hash), MessageVersion::V1) => {
            let salt = zero_salt(hash);
            let id = if dialect == Dialect::NetV4_0_0 { &[] } else { id };
            let cipher_key = provider.hkdf(hash, salt, secret, &[&suite_id, id], length)?;
            Ok(MessageKeys { cipher_key, commitment: None })
        }
        (Some(hash), MessageVersion::V2) => {
            let prk = provider.hkdf_extract(hash, id, secret)?;
            let cipher_key =
                provider.hkdf_expand(hash, &prk, &[&suite_id, DERIVE_LABEL], length)?;
            let committed = provider.hkdf_expand(hash, &prk, &[COMMIT_LABEL], COMMITMENT_BYTES)?;
            let mut commitment = [0; COMMITMENT_BYTES];
            commitment.copy_from_slice(committed.expose());
            Ok(MessageKeys { cipher_key, commitment: Some(commitment) })
        }
    }
}

fn zero_salt(hash: HashAlgorithm) -> &'static [u8] {
    ZEROS.split_at_checked(hash.digest_bytes()).map_or(&ZEROS, |(salt, _)| salt)
}
