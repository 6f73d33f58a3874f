//! Signing a message while it is written, and checking the signature while it is read.

use std::sync::Arc;

use crate::crypto::{CryptoProvider, RunningDigest, SigningKey};
use crate::error::{Error, Result};
use crate::message::footer::Footer;
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
        //= data-format/message-footer.md#signature
        //# This signature MUST be calculated over both the message header and the message body, in
        //# the order of serialization.
        //= client-apis/encrypt.md#construct-the-signature
        //# If the algorithm suite contains a signature algorithm, this operation MUST calculate a
        //# signature over the message, and the output encrypted message MUST contain a message
        //# footer.
        //= client-apis/encrypt.md#construct-the-signature
        //# To calculate a signature, this operation MUST use the signature algorithm specified by
        //# the algorithm suite, with the following input:
        self.key.sign_digest(&self.digest.finish())
    }
}

/// The footer that ends a message: with the signature, empty when it is not signed.
pub(super) fn finish_signature(signer: Option<Signer>) -> Result<Vec<u8>> {
    match signer {
        None => Ok(Vec::new()),
        Some(signer) => Footer::serialize(&signer.finish()?),
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
            //= client-apis/decrypt.md#verify-the-signature
            //# Once the message footer is deserialized, this operation MUST use the signature
            //# algorithm from the algorithm suite in the decryption materials to verify the
            //# encrypted message, with the following inputs:
            .verify_digest(self.algorithm, &self.public_key, &digest, signature)
            //= client-apis/decrypt.md#verify-the-signature
            //# If this verification is not successful, this operation MUST immediately halt and
            //# fail.
            .map_err(|_| Error::SignatureInvalid)
    }
}
