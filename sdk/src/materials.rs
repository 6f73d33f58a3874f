//! Cryptographic materials: what one message needs, passed from the keyrings to the engine.
//!
//! Materials can only be made from a request, and a request to open can only be made from a header
//! that the caller's commitment policy and expectations let pass. So no path leads to a body key
//! around the policy.
//!
//! Source: `framework/structures.md`, `framework/cmm-interface.md`.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::crypto::{CryptoProvider, SigningKey};
use crate::error::{Error, KeyringFault, Result};
use crate::message::encrypted_data_key::EncryptedDataKey;
use crate::message::encryption_context::EncryptionContext;
use crate::message::header::{Header, Unverified};
use crate::message::suite::AlgorithmSuite;
use crate::options::DecryptOptions;
use crate::policy::{CommitmentPolicy, MayDecrypt, MayEncrypt};
use crate::secret::DataKey;

/// What a writer asks a materials manager for.
#[derive(Debug, Clone, Default)]
pub struct EncryptionRequest {
    /// Pairs to authenticate with the message.
    pub encryption_context: EncryptionContext,
    /// Which suites may be used.
    pub commitment_policy: CommitmentPolicy,
    /// The suite; `None` takes the policy's default, which is signed.
    pub suite: Option<AlgorithmSuite>,
    /// Keys of the context that readers must reproduce: their pairs are left out of the header.
    pub required_context_keys: BTreeSet<String>,
    /// The most bytes of plaintext that the message may get, if the writer knows; no more can be written
    /// then.
    pub plaintext_bytes_max: Option<u64>,
}

impl EncryptionRequest {
    /// The suite of the message, if the policy allows it.
    ///
    /// # Errors
    /// [`Error::ForbiddenByPolicy`].
    pub fn permitted_suite(&self) -> Result<MayEncrypt> {
        let policy = self.commitment_policy;
        policy.check_encrypt(self.suite.unwrap_or_else(|| policy.default_suite()))
    }

    /// This request for a message of exactly `bytes` bytes.
    #[must_use]
    pub(crate) fn of_length(&self, bytes: u64) -> Self {
        Self { plaintext_bytes_max: Some(bytes), ..self.clone() }
    }
}

/// What a reader asks a materials manager for.
#[derive(Debug, Clone)]
pub struct DecryptionRequest {
    permission: MayDecrypt,
    commitment_policy: CommitmentPolicy,
    encrypted_data_keys: Vec<EncryptedDataKey>,
    encryption_context: EncryptionContext,
    /// Keys that only the reader supplied: authenticated, but not in the header.
    reproduced_keys: BTreeSet<String>,
    /// Keys that the reader supplied, whether the header has them or not.
    supplied_keys: BTreeSet<String>,
}

impl DecryptionRequest {
    /// The request to open the message that `header` begins.
    ///
    /// # Errors
    /// [`Error::ForbiddenByPolicy`], [`Error::SignedSuiteRefused`], [`Error::ContextMismatch`].
    pub fn new(header: &Header<Unverified>, options: &DecryptOptions) -> Result<Self> {
        //= client-apis/decrypt.md#get-the-decryption-materials
        //# If the parsed algorithm suite ID is not supported by the commitment policy
        //# configured in the client decrypt MUST yield an error.
        let permission = options.commitment_policy.check_decrypt(header.suite())?;
        options.signed_messages.check(header.suite())?;
        let mut encryption_context = header.unverified_encryption_context().clone();
        for (key, value) in options.expected_context.iter() {
            require_pair(encryption_context.get(key), key, value)?;
        }
        let mut reproduced_keys = BTreeSet::new();
        for (key, value) in options.reproduced_context.iter() {
            match encryption_context.get(key) {
                Some(found) => require_pair(Some(found), key, value)?,
                None => {
                    encryption_context.insert_any(key.to_owned(), value.to_owned())?;
                    reproduced_keys.insert(key.to_owned());
                }
            }
        }
        Ok(Self {
            permission,
            commitment_policy: options.commitment_policy,
            encrypted_data_keys: header.encrypted_data_keys().to_vec(),
            encryption_context,
            reproduced_keys,
            supplied_keys: options.reproduced_context.iter().map(|(key, _)| key.into()).collect(),
        })
    }

    /// The suite of the message.
    #[must_use]
    pub fn suite(&self) -> AlgorithmSuite {
        self.permission.suite()
    }

    /// The policy under which the message is read; a cache must keep policies apart.
    #[must_use]
    pub fn commitment_policy(&self) -> CommitmentPolicy {
        self.commitment_policy
    }

    /// The wrapped copies of the data key.
    #[must_use]
    pub fn encrypted_data_keys(&self) -> &[EncryptedDataKey] {
        &self.encrypted_data_keys
    }

    /// The encryption context that the wrapping keys authenticate.
    #[must_use]
    pub fn encryption_context(&self) -> &EncryptionContext {
        &self.encryption_context
    }

    /// Keys that only the reader supplied: authenticated, but not in the header.
    #[must_use]
    pub fn reproduced_keys(&self) -> &BTreeSet<String> {
        &self.reproduced_keys
    }

    /// Keys that the reader supplied in
    /// [`reproduced_context`](DecryptOptions::reproduced_context), whether the header has them or not.
    #[must_use]
    pub fn supplied_keys(&self) -> &BTreeSet<String> {
        &self.supplied_keys
    }
}

fn require_pair(found: Option<&str>, key: &str, value: &str) -> Result<()> {
    if found == Some(value) {
        return Ok(());
    }
    Err(Error::ContextMismatch { key: key.to_owned() })
}

/// What it takes to write one message.
pub struct EncryptionMaterials {
    provider: Arc<dyn CryptoProvider>,
    permission: MayEncrypt,
    encryption_context: EncryptionContext,
    required_context_keys: BTreeSet<String>,
    encrypted_data_keys: Vec<EncryptedDataKey>,
    data_key: Option<Arc<DataKey>>,
    signing_key: Option<Arc<dyn SigningKey>>,
    plaintext_bytes_max: Option<u64>,
}

impl EncryptionMaterials {
    /// Materials without keys, for the keyrings to complete.
    ///
    /// # Errors
    /// [`Error::ForbiddenByPolicy`]; [`Error::ContextKeyMissing`] for a required key that the context does
    /// not have.
    pub fn new(request: &EncryptionRequest, provider: Arc<dyn CryptoProvider>) -> Result<Self> {
        let mut materials = Self {
            provider,
            permission: request.permitted_suite()?,
            encryption_context: request.encryption_context.clone(),
            required_context_keys: BTreeSet::new(),
            encrypted_data_keys: Vec::new(),
            data_key: None,
            signing_key: None,
            plaintext_bytes_max: request.plaintext_bytes_max,
        };
        materials.require_context_keys(request.required_context_keys.clone())?;
        Ok(materials)
    }

    /// These materials once more, for the message of `request`; the secrets are shared, not copied.
    ///
    /// # Errors
    /// [`Error::ForbiddenByPolicy`] when the policy of `request` forbids the suite.
    pub(crate) fn share_for(&self, request: &EncryptionRequest) -> Result<Self> {
        Ok(Self {
            provider: self.provider.clone(),
            permission: request.commitment_policy.check_encrypt(self.suite())?,
            encryption_context: self.encryption_context.clone(),
            required_context_keys: self.required_context_keys.clone(),
            encrypted_data_keys: self.encrypted_data_keys.clone(),
            data_key: self.data_key.clone(),
            signing_key: self.signing_key.clone(),
            plaintext_bytes_max: request.plaintext_bytes_max,
        })
    }

    /// The provider that makes everything of this message.
    #[must_use]
    pub fn provider(&self) -> &Arc<dyn CryptoProvider> {
        &self.provider
    }

    /// The suite of the message.
    #[must_use]
    pub fn suite(&self) -> AlgorithmSuite {
        self.permission.suite()
    }

    /// The whole encryption context, which the wrapping keys authenticate.
    #[must_use]
    pub fn encryption_context(&self) -> &EncryptionContext {
        &self.encryption_context
    }

    /// The data key, once a keyring has made it.
    #[must_use]
    pub fn data_key(&self) -> Option<&DataKey> {
        self.data_key.as_deref()
    }

    /// The wrapped copies so far.
    #[must_use]
    pub fn encrypted_data_keys(&self) -> &[EncryptedDataKey] {
        &self.encrypted_data_keys
    }

    /// Sets the data key that a keyring made.
    ///
    /// # Errors
    /// [`Error::Keyring`] when there is one already, or when its length is not the suite's.
    pub fn set_data_key(&mut self, key: DataKey) -> Result<()> {
        set_data_key(&mut self.data_key, key, self.permission.suite())
    }

    /// Adds a wrapped copy of the data key.
    pub fn push_encrypted_data_key(&mut self, key: EncryptedDataKey) {
        self.encrypted_data_keys.push(key);
    }

    /// Keys whose pairs the header does not carry: readers must reproduce them.
    #[must_use]
    pub fn required_context_keys(&self) -> &BTreeSet<String> {
        &self.required_context_keys
    }

    /// Leaves the pairs of `keys` out of the header: readers must reproduce them.
    ///
    /// # Errors
    /// [`Error::ContextKeyMissing`] for a key that the context does not have.
    pub fn require_context_keys(&mut self, keys: BTreeSet<String>) -> Result<()> {
        if let Some(missing) = keys.iter().find(|key| self.encryption_context.get(key).is_none()) {
            return Err(Error::ContextKeyMissing { key: missing.clone() });
        }
        self.required_context_keys = keys;
        Ok(())
    }

    /// Sets the key that signs the message; its public half is already in the context.
    pub(crate) fn set_signing_key(
        &mut self,
        key: Box<dyn SigningKey>,
        public_key_base64: String,
    ) -> Result<()> {
        self.encryption_context.insert_public_key(public_key_base64)?;
        self.signing_key = Some(key.into());
        Ok(())
    }

    /// The pairs that the header carries.
    pub(crate) fn header_context(&self) -> EncryptionContext {
        self.encryption_context.filtered(|key| !self.required_context_keys.contains(key))
    }

    /// The pairs that the header tag authenticates and the header does not carry.
    pub(crate) fn required_context(&self) -> EncryptionContext {
        self.encryption_context.filtered(|key| self.required_context_keys.contains(key))
    }

    /// The most bytes of plaintext that the message may get.
    pub(crate) fn plaintext_bytes_max(&self) -> Option<u64> {
        self.plaintext_bytes_max
    }

    pub(crate) fn take_signing_key(&mut self) -> Option<Arc<dyn SigningKey>> {
        self.signing_key.take()
    }

    pub(crate) fn take_encrypted_data_keys(&mut self) -> Vec<EncryptedDataKey> {
        std::mem::take(&mut self.encrypted_data_keys)
    }
}

/// What it takes to read one message.
pub struct DecryptionMaterials {
    provider: Arc<dyn CryptoProvider>,
    permission: MayDecrypt,
    encryption_context: EncryptionContext,
    reproduced_keys: BTreeSet<String>,
    data_key: Option<Arc<DataKey>>,
    verification_key: Option<Vec<u8>>,
}

impl DecryptionMaterials {
    /// Materials without keys, for the keyrings to complete.
    #[must_use]
    pub fn new(request: &DecryptionRequest, provider: Arc<dyn CryptoProvider>) -> Self {
        Self {
            provider,
            permission: request.permission,
            encryption_context: request.encryption_context.clone(),
            reproduced_keys: request.reproduced_keys.clone(),
            data_key: None,
            verification_key: None,
        }
    }

    /// These materials once more, for the message of `request`; the secret is shared, not copied.
    ///
    /// What the caller's policy let pass, and which pairs the header lacks, is that of `request`.
    pub(crate) fn share_for(&self, request: &DecryptionRequest) -> Self {
        Self {
            data_key: self.data_key.clone(),
            verification_key: self.verification_key.clone(),
            ..Self::new(request, self.provider.clone())
        }
    }

    /// The provider that checks everything of this message.
    #[must_use]
    pub fn provider(&self) -> &Arc<dyn CryptoProvider> {
        &self.provider
    }

    /// The suite of the message.
    #[must_use]
    pub fn suite(&self) -> AlgorithmSuite {
        self.permission.suite()
    }

    /// The whole encryption context, which the wrapping keys authenticate.
    #[must_use]
    pub fn encryption_context(&self) -> &EncryptionContext {
        &self.encryption_context
    }

    /// The data key, once a keyring has unwrapped it.
    #[must_use]
    pub fn data_key(&self) -> Option<&DataKey> {
        self.data_key.as_deref()
    }

    /// Sets the data key that a keyring unwrapped.
    ///
    /// # Errors
    /// [`Error::Keyring`] when there is one already, or when its length is not the suite's.
    pub fn set_data_key(&mut self, key: DataKey) -> Result<()> {
        set_data_key(&mut self.data_key, key, self.permission.suite())
    }

    /// Sets the SEC 1 point that verifies the message's signature.
    pub fn set_verification_key(&mut self, point: Vec<u8>) {
        self.verification_key = Some(point);
    }

    pub(crate) fn verification_key(&self) -> Option<&[u8]> {
        self.verification_key.as_deref()
    }

    /// The pairs that the header tag authenticates and the header does not carry.
    pub(crate) fn required_context(&self) -> EncryptionContext {
        self.encryption_context.filtered(|key| self.reproduced_keys.contains(key))
    }
}

fn set_data_key(
    slot: &mut Option<Arc<DataKey>>,
    key: DataKey,
    suite: AlgorithmSuite,
) -> Result<()> {
    let (needed, found) = (suite.data_key_bytes(), key.secret().len());
    if needed != found {
        return Err(KeyringFault::DataKeyLength { needed, found }.into());
    }
    if slot.is_some() {
        return Err(KeyringFault::DataKeyState("already there").into());
    }
    *slot = Some(Arc::new(key));
    Ok(())
}
