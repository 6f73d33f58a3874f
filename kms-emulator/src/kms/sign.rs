//! Sign and Verify.

use serde::Serialize;
use strongroom_hsm::SignatureScheme;
use zeroize::Zeroizing;

use super::access::{Naming, UsableKey};
use super::ciphertext::CIPHERTEXT;
use super::shapes::{MessageType, SigningAlgorithmName};
use super::{Call, Operation, algorithms, cryptography, shapes};
use crate::ids::KeyArn;
use crate::keystore::SignedMessage;
use crate::policy::RequestFacts;
use crate::protocol::{Base64, EnumValues, Fault, Members, Request};
use crate::records::KeyUsage;

/// Bytes of an ML-DSA message representative (FIPS 204, algorithm 7).
const EXTERNAL_MU_BYTES: usize = 64;

pub(super) struct Sign;
pub(super) struct Verify;

/// The members that both operations have.
struct Common {
    key_id: String,
    message: Zeroizing<Vec<u8>>,
    message_type: MessageType,
    algorithm: SigningAlgorithmName,
    dry_run: bool,
}

impl Common {
    fn read(members: &mut Members) -> Result<Self, Fault> {
        shapes::grant_tokens(members)?;
        Ok(Self {
            key_id: members.string("KeyId", &shapes::KEY_ID)?,
            message: members.blob("Message", &shapes::MESSAGE)?,
            message_type: members.optional_enum("MessageType")?.unwrap_or(MessageType::Raw),
            algorithm: members.required_enum("SigningAlgorithm")?,
            dry_run: members.optional_boolean("DryRun")?.unwrap_or(false),
        })
    }

    /// The way to the key, and the scheme that it has.
    fn usable(&self, call: &Call) -> Result<(UsableKey, SignatureScheme), Fault> {
        let found = call.find_key(&self.key_id, Naming::KeyOrAlias)?;
        let facts = RequestFacts {
            more: &[
                ("signingalgorithm", self.algorithm.as_str()),
                ("messagetype", self.message_type.as_str()),
            ],
            ..RequestFacts::default()
        };
        let key = found.authorize(call, facts)?;
        algorithms::check_usage(key.key(), KeyUsage::SignVerify, call.operation)?;
        let key = key.in_state(call)?;
        let scheme = algorithms::signature_scheme(self.algorithm, key.key())?;
        self.check_message(scheme)?;
        cryptography::end_dry_run(self.dry_run)?;
        Ok((key, scheme))
    }

    /// Refuses a type of message that the algorithm does not take, and a digest of another length.
    fn check_message(&self, scheme: SignatureScheme) -> Result<(), Fault> {
        let name = self.algorithm.as_str();
        let fits = match (self.message_type, scheme) {
            (MessageType::Raw, SignatureScheme::Ed25519ph) => false,
            (MessageType::Raw, _) => true,
            (MessageType::Digest, SignatureScheme::Ed25519 | SignatureScheme::MlDsa) => false,
            (MessageType::Digest, _) => true,
            (MessageType::ExternalMu, scheme) => scheme == SignatureScheme::MlDsa,
        };
        if !fits {
            return Err(Fault::validation(format!(
                "Message type {} is incompatible with algorithm {name}.",
                self.message_type.as_str()
            )));
        }
        let length = match (self.message_type, scheme) {
            (MessageType::Raw, _) => return Ok(()),
            (MessageType::ExternalMu, _) => EXTERNAL_MU_BYTES,
            (MessageType::Digest, scheme) => digest_bytes(scheme),
        };
        if self.message.len() == length {
            return Ok(());
        }
        Err(Fault::validation(format!("Digest is invalid length for algorithm {name}.")))
    }

    fn into_message(self) -> SignedMessage {
        match self.message_type {
            MessageType::Raw => SignedMessage::Raw(self.message),
            MessageType::Digest => SignedMessage::Digest(self.message),
            MessageType::ExternalMu => SignedMessage::ExternalMu(self.message),
        }
    }
}

fn digest_bytes(scheme: SignatureScheme) -> usize {
    use strongroom_hsm::HashFunction::Sha512;
    match scheme {
        SignatureScheme::RsaPkcs1(hash)
        | SignatureScheme::RsaPss(hash)
        | SignatureScheme::Ecdsa(hash) => hash.digest_bytes(),
        SignatureScheme::Ed25519 | SignatureScheme::Ed25519ph | SignatureScheme::MlDsa => {
            Sha512.digest_bytes()
        }
    }
}

pub(super) struct SignInput(Common);

impl Request for SignInput {
    fn read(members: &mut Members) -> Result<Self, Fault> {
        Common::read(members).map(Self)
    }
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct SignOutput {
    key_id: KeyArn,
    signature: Base64,
    signing_algorithm: &'static str,
}

impl Operation for Sign {
    const NAME: &'static str = "Sign";
    type Input = SignInput;
    type Output = SignOutput;

    async fn run(call: &Call, SignInput(input): SignInput) -> Result<SignOutput, Fault> {
        let (key, scheme) = input.usable(call)?;
        let (key, fleet) = (key.key(), call.kms.key_stores.fleet());
        let signature = fleet.sign(&key.material, scheme, input.into_message()).await;
        Ok(SignOutput {
            key_id: key.arn(),
            signature: Base64::public(signature.map_err(|error| error.into_fault(key))?),
            signing_algorithm: algorithms::signing_name(scheme),
        })
    }
}

pub(super) struct VerifyInput {
    common: Common,
    signature: Zeroizing<Vec<u8>>,
}

impl Request for VerifyInput {
    fn read(members: &mut Members) -> Result<Self, Fault> {
        let common = Common::read(members)?;
        Ok(Self { common, signature: members.blob("Signature", &CIPHERTEXT)? })
    }
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct VerifyOutput {
    key_id: KeyArn,
    signature_valid: bool,
    signing_algorithm: &'static str,
}

impl Operation for Verify {
    const NAME: &'static str = "Verify";
    type Input = VerifyInput;
    type Output = VerifyOutput;

    /// What does not verify is refused with `KMSInvalidSignatureException`, never answered with `false`.
    async fn run(call: &Call, input: VerifyInput) -> Result<VerifyOutput, Fault> {
        let (key, scheme) = input.common.usable(call)?;
        let (key, fleet) = (key.key(), call.kms.key_stores.fleet());
        let message = input.common.into_message();
        fleet
            .verify(&key.material, scheme, &message, &input.signature)
            .map_err(|error| error.into_fault(key))?;
        Ok(VerifyOutput {
            key_id: key.arn(),
            signature_valid: true,
            signing_algorithm: algorithms::signing_name(scheme),
        })
    }
}
