//! Commitment policies: which suites may encrypt, and which messages may be opened.
//!
//! A suite without key commitment lets whoever chose the wrapping keys make one message that opens to
//! different plaintexts under different keys. The default refuses such suites in both directions.

use std::fmt;

use crate::error::{Error, Result};
use crate::message::suite::AlgorithmSuite;

//= client-apis/client.md#commitment-policy
//# The AWS Encryption SDK MUST use the ESDK commitment policies defined in the Material Providers
//# Library.
/// The caller's decision about suites without key commitment.
///
/// Source: `framework/commitment-policy.md` of the specification.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum CommitmentPolicy {
    /// Encrypt only without commitment; open anything.
    ForbidEncryptAllowDecrypt,
    /// Encrypt only with commitment; open anything. For moving to the default.
    RequireEncryptAllowDecrypt,
    /// Encrypt and open only with commitment.
    #[default]
    //= client-apis/client.md#initialization
    //# If no commitment policy is provided the default MUST be REQUIRE_ENCRYPT_REQUIRE_DECRYPT.
    RequireEncryptRequireDecrypt,
}

impl CommitmentPolicy {
    /// The suite for a caller who names none.
    ///
    /// The specification names 0078 for the first policy; every implementation uses 0378, and so do we.
    #[must_use]
    pub fn default_suite(self) -> AlgorithmSuite {
        match self {
            Self::ForbidEncryptAllowDecrypt => AlgorithmSuite::Aes256GcmHkdfSha384EcdsaP384,
            _ => AlgorithmSuite::Aes256GcmHkdfSha512CommitKeyEcdsaP384,
        }
    }

    /// Whether `suite` may encrypt.
    ///
    /// # Errors
    /// [`Error::ForbiddenByPolicy`].
    pub fn check_encrypt(self, suite: AlgorithmSuite) -> Result<MayEncrypt> {
        let wants_commitment = self != Self::ForbidEncryptAllowDecrypt;
        if suite.commits() == wants_commitment {
            return Ok(MayEncrypt { suite });
        }
        Err(Error::ForbiddenByPolicy { policy: self, suite, operation: "encrypting" })
    }

    /// Whether a message of `suite` may be opened.
    ///
    /// # Errors
    /// [`Error::ForbiddenByPolicy`].
    pub fn check_decrypt(self, suite: AlgorithmSuite) -> Result<MayDecrypt> {
        if suite.commits() || self != Self::RequireEncryptRequireDecrypt {
            return Ok(MayDecrypt { suite });
        }
        Err(Error::ForbiddenByPolicy { policy: self, suite, operation: "decrypting" })
    }
}

impl fmt::Display for CommitmentPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ForbidEncryptAllowDecrypt => "forbid-encrypt-allow-decrypt",
            Self::RequireEncryptAllowDecrypt => "require-encrypt-allow-decrypt",
            Self::RequireEncryptRequireDecrypt => "require-encrypt-require-decrypt",
        })
    }
}

/// Proof that a policy lets this suite encrypt; only [`CommitmentPolicy::check_encrypt`] makes one.
#[derive(Debug, Clone, Copy)]
pub struct MayEncrypt {
    suite: AlgorithmSuite,
}

impl MayEncrypt {
    /// The suite that was allowed.
    #[must_use]
    pub fn suite(self) -> AlgorithmSuite {
        self.suite
    }
}

/// Proof that a policy lets messages of this suite be opened; only
/// [`CommitmentPolicy::check_decrypt`] makes one.
#[derive(Debug, Clone, Copy)]
pub struct MayDecrypt {
    suite: AlgorithmSuite,
}

impl MayDecrypt {
    /// The suite that was allowed.
    #[must_use]
    pub fn suite(self) -> AlgorithmSuite {
        self.suite
    }
}
