//! Calls that change who may do what: shares and attributes of keys, copies of users, quorums.

use super::Client;
use crate::device::{QuorumService, TokenStage};
use crate::error::HsmError;
use crate::key::{Attribute, AttributeValue, KeyHandle};
use crate::user::{SecondFactorKey, UserId, UserName};
use crate::wire::{
    CertificateKind, Command, MaskedObject, QuorumToken, QuorumTokenFile, QuorumTokenInfo,
    RegistrationToken, Response, Signature,
};

impl Client {
    /// Shares a key that the user owns with another CU, or shares it no more.
    ///
    /// # Errors
    ///
    /// As [`Client::key_info`], and [`NoSuchUserId`](crate::Refusal::NoSuchUserId).
    pub async fn share_key(
        &self,
        handle: KeyHandle,
        user: UserId,
        share: bool,
    ) -> Result<(), HsmError> {
        self.done(Command::ShareKey { handle, user, share }).await
    }

    /// Changes the label of a key that the user owns, or (by one byte, 0 or 1) whether it encrypts or
    /// decrypts.
    ///
    /// # Errors
    ///
    /// As [`Client::key_info`], and [`PolicyViolation`](crate::Refusal::PolicyViolation) for any other
    /// attribute or value.
    pub async fn set_attribute(
        &self,
        handle: KeyHandle,
        attribute: Attribute,
        value: &[u8],
    ) -> Result<(), HsmError> {
        let value = AttributeValue::new(value.to_vec())?;
        self.done(Command::SetAttribute { handle, attribute, value }).await
    }

    /// Has the HSM encrypt a user for another HSM of its cluster; the session has to be a CO's.
    ///
    /// # Errors
    ///
    /// [`HsmError::Refused`] with [`NoSuchUserId`](crate::Refusal::NoSuchUserId) or
    /// [`RoleNotAllowed`](crate::Refusal::RoleNotAllowed).
    pub async fn extract_user(&self, user: UserId) -> Result<MaskedObject, HsmError> {
        expect!(self, Command::ExtractUser { user }, Response::Masked { object } => object)
    }

    /// Has the HSM take in a user that another HSM of the cluster encrypted: a new one, or new credentials
    /// of the one of that name.
    ///
    /// # Errors
    ///
    /// [`HsmError::Refused`] with [`NotAuthentic`](crate::Refusal::NotAuthentic) or
    /// [`UserLoggedIn`](crate::Refusal::UserLoggedIn).
    pub async fn insert_user(&self, object: MaskedObject) -> Result<(), HsmError> {
        self.done(Command::InsertUser { object }).await
    }

    /// Registers the key (DER) by which the officer of the session approves quorum tokens; `signature` is
    /// the key's over `token`.
    ///
    /// # Errors
    ///
    /// [`HsmError::Refused`] with [`SignatureInvalid`](crate::Refusal::SignatureInvalid) or
    /// [`RoleNotAllowed`](crate::Refusal::RoleNotAllowed).
    pub async fn register_quorum_key(
        &self,
        name: &str,
        token: &[u8],
        signature: &[u8],
        key: &[u8],
    ) -> Result<(), HsmError> {
        let command = Command::RegisterQuorumKey {
            name: UserName::parse(name)?,
            token: RegistrationToken::new(token.to_vec())?,
            signature: Signature::new(signature.to_vec())?,
            key: SecondFactorKey::new(key.to_vec())?,
        };
        self.done(command).await
    }

    /// Sets how many officers a service needs; 1 is no quorum.
    ///
    /// # Errors
    ///
    /// [`HsmError::Refused`] with [`QuorumOutOfRange`](crate::Refusal::QuorumOutOfRange) or
    /// [`QuorumRequired`](crate::Refusal::QuorumRequired).
    pub async fn set_quorum_value(
        &self,
        service: QuorumService,
        value: u8,
    ) -> Result<(), HsmError> {
        self.done(Command::SetQuorumValue { service, value }).await
    }

    /// Asks how many officers a service needs.
    ///
    /// # Errors
    ///
    /// Those of every call.
    pub async fn quorum_value(&self, service: QuorumService) -> Result<u8, HsmError> {
        let command = Command::QuorumValue { service };
        expect!(self, command, Response::QuorumValue { value } => value)
    }

    /// Sets for how long tokens are good, in seconds.
    ///
    /// # Errors
    ///
    /// [`HsmError::Refused`] with [`TokenTimeoutOutOfRange`](crate::Refusal::TokenTimeoutOutOfRange).
    pub async fn set_token_timeout(&self, stage: TokenStage, seconds: u32) -> Result<(), HsmError> {
        self.done(Command::SetTokenTimeout { stage, seconds }).await
    }

    /// Asks for how long tokens are good, in seconds: to be approved, and to be used once they are.
    ///
    /// # Errors
    ///
    /// Those of every call.
    pub async fn token_timeouts(&self) -> Result<(u32, u32), HsmError> {
        let command = Command::TokenTimeouts;
        expect!(self, command, Response::TokenTimeouts { generated, approved } => (generated, approved))
    }

    /// Asks for a token to be approved; returns its number and what is to be signed.
    ///
    /// # Errors
    ///
    /// [`HsmError::Refused`] with [`CapacityExhausted`](crate::Refusal::CapacityExhausted).
    pub async fn get_token(&self, service: QuorumService) -> Result<(u32, QuorumToken), HsmError> {
        let command = Command::GetToken { service };
        expect!(self, command, Response::QuorumToken { id, token } => (id, token))
    }

    /// Brings an officer's approval: its signature over the file of tokens.
    ///
    /// # Errors
    ///
    /// [`HsmError::Refused`] with [`NoSuchToken`](crate::Refusal::NoSuchToken),
    /// [`NoQuorumKey`](crate::Refusal::NoQuorumKey) or
    /// [`SignatureInvalid`](crate::Refusal::SignatureInvalid).
    pub async fn approve_token(
        &self,
        file: &[u8],
        approver: &str,
        signature: &[u8],
    ) -> Result<(), HsmError> {
        let command = Command::ApproveToken {
            file: QuorumTokenFile::new(file.to_vec())?,
            approver: UserName::parse(approver)?,
            signature: Signature::new(signature.to_vec())?,
        };
        self.done(command).await
    }

    /// Lists the quorum tokens.
    ///
    /// # Errors
    ///
    /// Those of every call.
    pub async fn list_tokens(&self) -> Result<Vec<QuorumTokenInfo>, HsmError> {
        let command = Command::ListTokens;
        expect!(self, command, Response::QuorumTokens { tokens } => tokens.into_vec())
    }

    /// Forgets the quorum tokens of the officer of the session, or everybody's.
    ///
    /// # Errors
    ///
    /// Those of every call.
    pub async fn delete_tokens(&self, all: bool) -> Result<(), HsmError> {
        self.done(Command::DeleteTokens { all }).await
    }

    /// Asks for a certificate, in PEM. Needs no login.
    ///
    /// # Errors
    ///
    /// Those of every call.
    pub async fn certificate(&self, kind: CertificateKind) -> Result<String, HsmError> {
        let command = Command::Certificate { kind };
        expect!(self, command, Response::Certificate { certificate } => certificate.into_string())
    }
}
