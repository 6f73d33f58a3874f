//! What is asked of a server.

use serde_json::{Value, json};

use clap::ValueEnum;

/// Bytes of a plaintext, and of a digest to be signed, in base64: 32 zero bytes.
const BYTES_32: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";

/// An operation with one kind of key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Operation {
    /// A new AES-256 data key.
    GenerateDataKey,
    /// A data key of 32 bytes, opened.
    Decrypt,
    /// 32 bytes, encrypted.
    Encrypt,
    /// A digest signed with ECDSA on the curve P-256.
    SignP256,
    /// A digest signed with RSASSA-PKCS1-v1_5 and 2,048 bits.
    SignRsa2048,
    /// A key's metadata.
    DescribeKey,
    /// A new AES-256 data key under a key in a custom key store: two HSMs, each a process of its own.
    GenerateDataKeyInHsm,
}

/// The kinds of key that operations need.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum KeyKind {
    Symmetric,
    P256,
    Rsa2048,
    InHsm,
}

impl KeyKind {
    /// Those that every server makes, each with what `CreateKey` is asked for.
    pub(super) fn everywhere() -> [(Self, Value); 3] {
        // The older name of `KeySpec`, which every emulator knows.
        let pair = |spec: &str| json!({"CustomerMasterKeySpec": spec, "KeyUsage": "SIGN_VERIFY"});
        [
            (Self::Symmetric, json!({})),
            (Self::P256, pair("ECC_NIST_P256")),
            (Self::Rsa2048, pair("RSA_2048")),
        ]
    }
}

impl Operation {
    /// The name of a row.
    pub(super) fn title(self) -> &'static str {
        match self {
            Self::GenerateDataKey => "GenerateDataKey",
            Self::Decrypt => "Decrypt",
            Self::Encrypt => "Encrypt",
            Self::SignP256 => "Sign, ECC_NIST_P256",
            Self::SignRsa2048 => "Sign, RSA_2048",
            Self::DescribeKey => "DescribeKey",
            Self::GenerateDataKeyInHsm => "GenerateDataKey, custom key store",
        }
    }

    /// The kind of key that it needs.
    pub(super) fn key_kind(self) -> KeyKind {
        match self {
            Self::SignP256 => KeyKind::P256,
            Self::SignRsa2048 => KeyKind::Rsa2048,
            Self::GenerateDataKeyInHsm => KeyKind::InHsm,
            _ => KeyKind::Symmetric,
        }
    }

    /// The name in the API model.
    pub(super) fn api_name(self) -> &'static str {
        match self {
            Self::GenerateDataKey | Self::GenerateDataKeyInHsm => "GenerateDataKey",
            Self::Decrypt => "Decrypt",
            Self::Encrypt => "Encrypt",
            Self::SignP256 | Self::SignRsa2048 => "Sign",
            Self::DescribeKey => "DescribeKey",
        }
    }

    /// The body of request number `index`. `ciphertext` is what `Encrypt` of that number answered; only
    /// Decrypt reads it.
    pub(super) fn body(self, key: &str, index: usize, ciphertext: &str) -> Value {
        let sign = |algorithm: &str| json!({"KeyId": key, "Message": BYTES_32, "MessageType": "DIGEST", "SigningAlgorithm": algorithm});
        match self {
            Self::GenerateDataKey | Self::GenerateDataKeyInHsm => {
                json!({"KeyId": key, "KeySpec": "AES_256", "EncryptionContext": context(index)})
            }
            Self::Encrypt => {
                json!({"KeyId": key, "Plaintext": BYTES_32, "EncryptionContext": context(index)})
            }
            Self::Decrypt => {
                json!({"KeyId": key, "CiphertextBlob": ciphertext, "EncryptionContext": context(index)})
            }
            Self::SignP256 => sign("ECDSA_SHA_256"),
            Self::SignRsa2048 => sign("RSASSA_PKCS1_V1_5_SHA_256"),
            Self::DescribeKey => json!({"KeyId": key}),
        }
    }
}

/// A context like that of the archiver's packs, another one for each request.
fn context(index: usize) -> Value {
    json!({
        "strongroom-location": "7d0f2c9a-63f1-4f4e-9d7e-0b5a1c2d3e4f",
        "strongroom-kind": "pack",
        "strongroom-object": format!("{index:032x}"),
    })
}
