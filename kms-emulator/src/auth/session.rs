//! Temporary credentials: what `AssumeRole` gives out.
//!
//! Nothing of them is kept. The session token is the session itself, sealed under a key that is derived
//! from the secret of the server's root: it survives a restart, and whoever gets another root secret has
//! ended all sessions.

use std::sync::Arc;

use arc_swap::ArcSwapOption;
use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::AuthError;
use super::credentials::{Credential, Credentials, new_access_key};
use super::principals::secret_text;
use crate::clock::Timestamp;
use crate::policy::{Identity, Principal};
use crate::records::{RootCredential, SecretAccessKey};

/// Longest session token that is looked at, in characters.
const TOKEN_CHARACTERS_MAX: usize = 4_096;
/// Authenticated with every session, and what its key is derived for.
const FORM: &[u8] = b"strongroom sts session v1";

/// The key that seals sessions.
pub(super) struct SessionKey(RandomizedNonceKey);

/// New temporary credentials; their secret parts are for the caller alone.
pub(crate) struct TemporaryCredentials {
    pub(crate) access_key_id: String,
    pub(crate) secret: SecretAccessKey,
    pub(crate) token: String,
    pub(crate) expires: Timestamp,
}

/// A session, as a token carries it.
#[derive(Serialize, Deserialize)]
struct Session {
    access_key_id: String,
    #[serde(with = "secret_text")]
    secret: Zeroizing<String>,
    role: String,
    name: String,
    issued_millis: i64,
    expires_millis: i64,
}

impl SessionKey {
    /// The key of a server, by its root.
    pub(super) fn of(root: &RootCredential) -> Result<Self, aws_lc_rs::error::Unspecified> {
        let secret = hmac::Key::new(hmac::HMAC_SHA256, root.secret.expose().as_bytes());
        RandomizedNonceKey::new(&AES_256_GCM, hmac::sign(&secret, FORM).as_ref()).map(Self)
    }

    fn seal(&self, session: &Session) -> Result<String, aws_lc_rs::error::Unspecified> {
        let mut text = serde_json::to_vec(session).map_err(|_| aws_lc_rs::error::Unspecified)?;
        let nonce = self.0.seal_in_place_append_tag(Aad::from(FORM), &mut text)?;
        Ok(STANDARD.encode([&nonce.as_ref()[..], &text].concat()))
    }

    fn open(&self, token: &str) -> Option<Session> {
        if token.len() > TOKEN_CHARACTERS_MAX {
            return None;
        }
        let sealed = STANDARD.decode(token).ok()?;
        let (nonce, sealed) = sealed.split_at_checked(NONCE_LEN)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let mut text = Zeroizing::new(sealed.to_vec());
        let text = self.0.open_in_place(nonce, Aad::from(FORM), &mut text).ok()?;
        serde_json::from_slice(text).ok()
    }
}

impl Credentials {
    /// Begins a session of a role.
    ///
    /// # Errors
    /// When the operating system has no randomness, or there is no root to seal sessions for.
    pub(crate) fn begin_session(
        &self,
        role: &str,
        name: &str,
        now: Timestamp,
        seconds: u32,
    ) -> Result<TemporaryCredentials, aws_lc_rs::error::Unspecified> {
        let key = self.session_key.as_ref().ok_or(aws_lc_rs::error::Unspecified)?;
        let (access_key_id, secret) = new_access_key("ASIA")?;
        let expires = now.plus_seconds(i64::from(seconds));
        let token = key.seal(&Session {
            access_key_id: access_key_id.clone(),
            secret: Zeroizing::new(secret.expose().to_owned()),
            role: role.to_owned(),
            name: name.to_owned(),
            issued_millis: now.as_millis(),
            expires_millis: expires.as_millis(),
        })?;
        Ok(TemporaryCredentials { access_key_id, secret, token, expires })
    }

    /// The credential of a session token, if it was sealed here, is not over, and its role still exists.
    ///
    /// # Errors
    /// `AuthError::UnknownToken`, `AuthError::ExpiredToken`.
    pub(super) fn session(
        &self,
        token: &str,
        access_key_id: &str,
        now: Timestamp,
    ) -> Result<Credential, AuthError> {
        let session = self.session_key.as_ref().and_then(|key| key.open(token));
        let session = session.filter(|session| session.access_key_id == access_key_id);
        let session = session.ok_or(AuthError::UnknownToken)?;
        if Timestamp::from_millis(session.expires_millis) <= now {
            return Err(AuthError::ExpiredToken);
        }
        let role = self.role(&session.role).ok_or(AuthError::UnknownToken)?;
        let principal = Principal {
            account: role.account,
            arn: format!(
                "arn:aws:sts::{}:assumed-role/{}/{}",
                role.account, role.name, session.name
            ),
            unique_id: format!("{}:{}", role.unique_id, session.name),
            identity: Identity::Role {
                name: role.name.clone(),
                role_arn: role.arn.clone(),
                role_id: role.unique_id.clone(),
                issued: Timestamp::from_millis(session.issued_millis),
                policies: role.policies.clone(),
            },
        };
        Ok(Credential {
            access_key_id: session.access_key_id.into(),
            secret: SecretAccessKey::new(session.secret.to_string()),
            principal: Arc::new(principal),
            signing_key: ArcSwapOption::empty(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::generate_root_credential;

    #[test]
    fn tokens_open_with_their_own_key_alone() {
        let root = || generate_root_credential("111122223333".parse().unwrap()).unwrap();
        let (key, other) = (SessionKey::of(&root()).unwrap(), SessionKey::of(&root()).unwrap());
        let session = Session {
            access_key_id: "ASIA".into(),
            secret: Zeroizing::new("s".into()),
            role: "r".into(),
            name: "n".into(),
            issued_millis: 1,
            expires_millis: 2,
        };
        let token = key.seal(&session).unwrap();
        assert_ne!(token, key.seal(&session).unwrap());
        assert_eq!(key.open(&token).unwrap().role, "r");
        assert!(other.open(&token).is_none());
        let sealed = STANDARD.decode(&token).unwrap();
        for position in 0..sealed.len() {
            let mut altered = sealed.clone();
            altered[position] ^= 1;
            assert!(key.open(&STANDARD.encode(altered)).is_none(), "{position}");
        }
        for text in ["", "A", "AAAA", &"A".repeat(TOKEN_CHARACTERS_MAX + 4)] {
            assert!(key.open(text).is_none());
        }
    }
}
