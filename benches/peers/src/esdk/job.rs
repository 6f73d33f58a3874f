//! What a driver is asked to do.

use std::collections::BTreeMap;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Encrypt one message.
#[derive(Clone, Debug, Serialize)]
pub struct Encrypt {
    /// How.
    #[serde(flatten)]
    pub message: Message,
    /// What.
    pub plaintext: Base64,
}

/// Decrypt one message.
#[derive(Clone, Debug, Serialize)]
pub struct Decrypt {
    /// Whose materials.
    #[serde(flatten)]
    pub manager: Manager,
    /// The message.
    pub message: Base64,
}

/// Time messages.
#[derive(Clone, Debug, Serialize)]
pub struct Measure {
    /// What is timed.
    pub what: Work,
    /// Of which form they are.
    #[serde(flatten)]
    pub message: Message,
    /// Bytes of plaintext in each.
    pub bytes: usize,
    /// How many are timed.
    pub messages: u64,
}

/// What is timed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Work {
    /// Encryption.
    Encrypt,
    /// Decryption.
    Decrypt,
}

/// The form of a message that is written.
#[derive(Clone, Debug, Serialize)]
pub struct Message {
    /// The id of the algorithm suite.
    pub suite: u16,
    /// Bytes of plaintext in a frame; 0 for a single block.
    pub frame_length: u32,
    /// Whose materials.
    #[serde(flatten)]
    pub manager: Manager,
}

/// The materials manager of a message, and what it is asked with.
#[derive(Clone, Debug, Serialize)]
pub struct Manager {
    /// The keyring below it.
    pub keyring: Keyring,
    /// The encryption context that is encrypted with, or reproduced on decryption.
    pub context: BTreeMap<String, String>,
    /// The names that are kept out of the header.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub required: Vec<String>,
    /// Whether it caches.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub caching: bool,
}

impl Manager {
    /// The default manager over `keyring`, asked with `context`.
    #[must_use]
    pub fn new(keyring: Keyring, context: BTreeMap<String, String>) -> Self {
        Self { keyring, context, required: Vec::new(), caching: false }
    }
}

/// A keyring, described.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Keyring {
    /// A raw AES keyring.
    RawAes {
        /// The key's namespace.
        namespace: String,
        /// The key's name.
        name: String,
        /// The key: 16, 24 or 32 bytes.
        key: Base64,
    },
    /// A raw RSA keyring.
    RawRsa {
        /// The key's namespace.
        namespace: String,
        /// The key's name.
        name: String,
        /// How data keys are padded.
        padding: RsaPadding,
        /// The public key.
        public: String,
        /// The private key.
        private: String,
    },
    /// A raw ECDH keyring.
    RawEcdh {
        /// The curve of both keys.
        curve: Curve,
        /// Who has which keys.
        schema: EcdhSchema,
        /// The recipient's public key, or the sender's for a recipient.
        #[serde(skip_serializing_if = "Option::is_none")]
        public: Option<String>,
        /// The own private key.
        #[serde(skip_serializing_if = "Option::is_none")]
        private: Option<String>,
    },
    /// A strict AWS KMS keyring of one key.
    Kms {
        /// The key's ARN.
        key: String,
        /// Whether it takes replicas of a multi-Region key for the same key.
        mrk: bool,
    },
    /// An AWS KMS discovery keyring.
    KmsDiscovery {
        /// The accounts whose keys it uses.
        accounts: Vec<String>,
        /// Their partition.
        partition: String,
        /// The Region of its client.
        region: String,
        /// Whether it asks the replica of its Region in place of a multi-Region key.
        mrk: bool,
    },
    /// An AWS KMS RSA keyring.
    KmsRsa {
        /// The key's ARN.
        key: String,
        /// The encryption algorithm, in the words of AWS KMS.
        algorithm: String,
        /// The public key.
        public: String,
    },
    /// An AWS KMS ECDH keyring.
    KmsEcdh {
        /// The own key's ARN.
        key: String,
        /// The curve of both keys.
        curve: Curve,
        /// Static or discovery.
        schema: EcdhSchema,
        /// The other's public key.
        #[serde(skip_serializing_if = "Option::is_none")]
        public: Option<String>,
    },
    /// A multi-keyring.
    Multi {
        /// Makes data keys.
        generator: Box<Keyring>,
        /// Wrap them too.
        children: Vec<Keyring>,
    },
}

/// The padding of a raw RSA keyring.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum RsaPadding {
    /// PKCS #1 v1.5.
    Pkcs1,
    /// OAEP with SHA-1, and MGF1 with the same.
    OaepSha1,
    /// OAEP with SHA-256, and MGF1 with the same.
    OaepSha256,
    /// OAEP with SHA-384, and MGF1 with the same.
    OaepSha384,
    /// OAEP with SHA-512, and MGF1 with the same.
    OaepSha512,
}

/// A curve of NIST.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Curve {
    /// secp256r1.
    #[serde(rename = "P-256")]
    P256,
    /// secp384r1.
    #[serde(rename = "P-384")]
    P384,
    /// secp521r1.
    #[serde(rename = "P-521")]
    P521,
}

/// Who has which keys in a key agreement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum EcdhSchema {
    /// The own private key and the other's public key.
    Static,
    /// A fresh private key for each message, and the recipient's public key: it only writes.
    Ephemeral,
    /// The recipient's private key; public keys come with the message: it only reads.
    Discovery,
}

/// Bytes that travel as base64.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Base64(pub Vec<u8>);

impl Serialize for Base64 {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&BASE64_STANDARD.encode(&self.0))
    }
}

impl<'de> Deserialize<'de> for Base64 {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        BASE64_STANDARD.decode(text).map(Self).map_err(D::Error::custom)
    }
}
