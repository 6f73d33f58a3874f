//! The step from an unverified header to a verified one: commitment, then tag.
//!
//! Source: `client-apis/decrypt.md#verify-the-header`.

use subtle::ConstantTimeEq;

use super::key_schedule::{self, Dialect, MessageKeys};
use super::{BodyKey, SignatureCheck};
use crate::error::{Error, Fault, KeyringFault, Region, Result};
use crate::materials::DecryptionMaterials;
use crate::message::header::{
    Authentication, Header, HeaderFields, Unverified, Verified, push_authentication,
};
use crate::options::NetV4_0_0;

impl Header<Unverified> {
    /// Checks the key commitment and the header tag with the materials of this message.
    ///
    /// # Errors
    /// [`Error::CommitmentMismatch`] when the data key is not the one that the message commits to,
    /// [`Error::TagMismatch`] in the header tag when anything in the header or in the reproduced
    /// encryption context is not what the writer wrote, [`Error::Keyring`] when the materials have no
    /// data key, [`Error::Malformed`] when the materials are another suite's.
    #[expect(
        clippy::needless_pass_by_value,
        reason = "the data key is wiped as soon as the body key has been derived"
    )]
    pub fn verify(self, materials: DecryptionMaterials) -> Result<Header<Verified>> {
        let mut fields = self.fields;
        let malformed = |fault| Error::Malformed { region: Region::Header, fault };
        if materials.suite() != fields.suite {
            let (suite, version) = (materials.suite(), fields.suite.version().byte());
            return Err(malformed(Fault::SuiteOfOtherVersion { suite, version }));
        }
        let specified = verified_body_key(&fields, &self.state, &materials, Dialect::Specified);
        let body_key = match (specified, materials.net_v4_0_0()) {
            (Err(Error::TagMismatch { .. }), NetV4_0_0::Retry) => {
                verified_body_key(&fields, &self.state, &materials, Dialect::NetV4_0_0)?
            }
            (result, _) => result?,
        };
        let Unverified { body, authentication } = self.state;
        let header = whole_header(&body, fields.suite.version(), authentication);
        let provider = materials.provider();
        let signature_check = match (fields.suite.signature(), materials.verification_key()) {
            (None, None) => None,
            (Some(algorithm), Some(point)) => {
                let mut check = SignatureCheck::new(provider.clone(), algorithm, point.to_vec());
                //= client-apis/decrypt.md#verify-the-header
                //# This operation SHOULD input the serialized header to the signature algorithm as
                //# soon as it is deserialized, such that the serialized frame isn't required to
                //# remain in memory to verify the signature.
                check.update(&header);
                Some(check)
            }
            _ => return Err(malformed(Fault::VerificationKey)),
        };
        fields.encryption_context = materials.encryption_context().clone();
        let state = Verified { body_key, length: header.len(), signature_check };
        Ok(Header { fields, state })
    }
}

/// The key of the body, once the commitment and the header tag have been found right.
fn verified_body_key(
    fields: &HeaderFields,
    unverified: &Unverified,
    materials: &DecryptionMaterials,
    dialect: Dialect,
) -> Result<BodyKey> {
    let (suite, message_id) = (fields.suite, fields.message_id);
    let provider = &**materials.provider();
    let data_key = materials.data_key().ok_or(KeyringFault::DataKeyState("missing"))?;
    //= client-apis/decrypt.md#get-the-decryption-materials
    //# The algorithm suite used to derive a data key from the plaintext data key MUST be the key
    //# derivation algorithm included in the algorithm suite associated with the returned decryption
    //# materials.
    let keys = key_schedule::derive(provider, suite, &message_id, data_key, dialect)?;
    //= client-apis/decrypt.md#get-the-decryption-materials
    //# If the algorithm suite supports key commitment then the commit key MUST be derived from the
    //# plaintext data key using the commit key derivation.
    check_commitment(&keys, fields.key_commitment.as_ref())?;
    let body_key = BodyKey::new(provider, suite, message_id, &keys.cipher_key)?;
    let required = materials.required_context();
    let mut aad = unverified.body.clone();
    if required.is_empty() && dialect == Dialect::NetV4_0_0 {
        // It wrote the number of pairs also when there are none.
        aad.extend_from_slice(&[0, 0]);
    }
    //= client-apis/decrypt.md#verify-the-header
    //# The AAD MUST be the concatenation of the serialized message header body and the
    //# serialization of encryption context to only authenticate.
    aad.extend_from_slice(&required.serialize()?);
    //= client-apis/decrypt.md#verify-the-header
    //# If this tag verification fails, this operation MUST immediately halt and fail.
    body_key.verify_header(&aad, &unverified.authentication)?;
    Ok(body_key)
}

/// Compares the commitment of the data key with the header's, in constant time.
fn check_commitment(keys: &MessageKeys, claimed: Option<&[u8; 32]>) -> Result<()> {
    //= client-apis/decrypt.md#get-the-decryption-materials
    //# The derived commit key MUST equal the commit key stored in the message header.
    match (&keys.commitment, claimed) {
        (None, None) => Ok(()),
        (Some(derived), Some(claimed)) if bool::from(derived.ct_eq(claimed)) => Ok(()),
        _ => Err(Error::CommitmentMismatch),
    }
}

fn whole_header(
    body: &[u8],
    version: crate::message::suite::MessageVersion,
    end: Authentication,
) -> Vec<u8> {
    let mut header = body.to_vec();
    push_authentication(&mut header, version, end);
    header
}
