//! Signing a message while it is written, and checking the signature while it is read.

use std::sync::Arc;

use crate::crypto::{CryptoProvider, RunningDigest, SigningKey};
use crate::error::{Error, Result};
use crate::message::suite::SignatureAlgorithm;

/// Signs everything it is fed.
pub(super) struct Signer {
    digest: Box<dyn RunningDigest>,
    key: Arc<dyn SigningKey>,
}

impl Signer {
    pub(super) fn new(
        provider: &dyn CryptoProvider,
        algorithm: SignatureAlgorithm,
        key: Arc<dyn SigningKey>,
    ) -> Self {
        Self { digest: provider.digest(algorithm.hash()), key }
    }

    pub(super) fn update(&mut self, bytes: &[u8]) {
        self.digest.update(bytes);
    }

    /// The DER signature over everything fed.
    pub(super) fn finish(self) -> Result<Vec<u8>> {
        self.key.sign_digest(&self.digest.finish())
    }
}

/// Checks a signature over everything it is fed.
pub(crate) struct SignatureCheck {
    provider: Arc<dyn CryptoProvider>,
    algorithm: SignatureAlgorithm,
    digest: Box<dyn RunningDigest>,
    public_key: Vec<u8>,
}

impl SignatureCheck {
    pub(super) fn new(
        provider: Arc<dyn CryptoProvider>,
        algorithm: SignatureAlgorithm,
        public_key: Vec<u8>,
    ) -> Self {
        let digest = provider.digest(algorithm.hash());
        Self { provider, algorithm, digest, public_key }
    }

    pub(super) fn update(&mut self, bytes: &[u8]) {
        self.digest.update(bytes);
    }

    /// Whether `signature` is over everything fed.
    pub(super) fn finish(self, signature: &[u8]) -> Result<()> {
        let digest = self.digest.finish();
        self.provider
            .verify_digest(self.algorithm, &self.public_key, &digest, signature)
            .map_err(|_| Error::SignatureInvalid)
    }
}
