//! The access keys and roles that the server knows: each account's root, and those of files.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use arc_swap::ArcSwapOption;

use super::principals::{CredentialsFileError, FileProblem, PrincipalsFile, Role};
use super::session::SessionKey;
use super::sigv4::SigningKey;
use crate::ids::AccountId;
use crate::policy::Principal;
use crate::records::{RootCredential, SecretAccessKey};

/// Letters of a generated access key id after its prefix.
const ACCESS_KEY_ID_RANDOM_LETTERS: usize = 16;
/// Random bytes of a generated secret; 40 characters of base64, as AWS's have.
const SECRET_RANDOM_BYTES: usize = 30;

/// An access key: its secret, whose it is, and the signing key last derived from it.
pub(super) struct Credential {
    pub(super) access_key_id: Arc<str>,
    pub(super) secret: SecretAccessKey,
    pub(super) principal: Arc<Principal>,
    pub(super) signing_key: ArcSwapOption<SigningKey>,
}

/// All access keys and roles; a change makes a new value.
#[derive(Default)]
pub(crate) struct Credentials {
    by_access_key_id: HashMap<String, Credential>,
    /// By ARN.
    roles: HashMap<String, Arc<Role>>,
    pub(super) session_key: Option<SessionKey>,
}

impl Credentials {
    /// The credential of an access key id.
    pub(super) fn find(&self, access_key_id: &str) -> Option<&Credential> {
        self.by_access_key_id.get(access_key_id)
    }

    /// A role, by its ARN.
    pub(crate) fn role(&self, arn: &str) -> Option<&Arc<Role>> {
        self.roles.get(arn)
    }

    /// Adds an account's root.
    pub(crate) fn add_root(&mut self, root: &RootCredential) {
        let secret = SecretAccessKey::new(root.secret.expose().to_owned());
        let principal = Arc::new(Principal::root(root.account));
        self.insert(root.access_key_id.clone(), secret, principal);
    }

    /// Seals sessions for the server's root from now on.
    ///
    /// # Errors
    /// None in practice; the key has the right length.
    pub(crate) fn seal_sessions_for(
        &mut self,
        root: &RootCredential,
    ) -> Result<(), aws_lc_rs::error::Unspecified> {
        self.session_key = Some(SessionKey::of(root)?);
        Ok(())
    }

    /// Adds the accounts, users and roles of a file.
    ///
    /// # Errors
    /// `CredentialsFileError`, which names the file and the entry.
    pub(crate) fn add_file(&mut self, path: &Path) -> Result<(), CredentialsFileError> {
        let problem = |name: &str, reason| {
            CredentialsFileError::new(path, FileProblem::Entry { name: name.to_owned(), reason })
        };
        let file = PrincipalsFile::read(path)?;
        for entry in file.credentials {
            let id = entry.access_key_id.clone();
            let principal = entry.principal().map_err(|reason| problem(&id, reason))?;
            if self.by_access_key_id.contains_key(&id) {
                return Err(problem(&id, "accessKeyId is given twice".to_owned()));
            }
            let secret = SecretAccessKey::new(entry.secret_access_key.to_string());
            self.insert(id, secret, Arc::new(principal));
        }
        for entry in file.roles {
            let role = entry.role().map_err(|reason| problem(&entry.role_name, reason))?;
            if let Some(role) = self.roles.insert(role.arn.clone(), Arc::new(role)) {
                return Err(problem(&role.arn, "the role is given twice".to_owned()));
            }
        }
        Ok(())
    }

    fn insert(&mut self, id: String, secret: SecretAccessKey, principal: Arc<Principal>) {
        let access_key_id = Arc::from(id.as_str());
        let signing_key = ArcSwapOption::empty();
        let credential = Credential { access_key_id, secret, principal, signing_key };
        self.by_access_key_id.insert(id, credential);
    }
}

/// Makes an account's root credential.
///
/// # Errors
/// When the operating system has no randomness.
pub(crate) fn generate_root_credential(
    account: AccountId,
) -> Result<RootCredential, aws_lc_rs::error::Unspecified> {
    let (access_key_id, secret) = new_access_key("AKIA")?;
    Ok(RootCredential { account, access_key_id, secret })
}

/// Makes an access key: its id, which begins with `prefix`, and its secret.
///
/// # Errors
/// When the operating system has no randomness.
pub(crate) fn new_access_key(
    prefix: &str,
) -> Result<(String, SecretAccessKey), aws_lc_rs::error::Unspecified> {
    use base64::Engine;
    let mut random = [0_u8; ACCESS_KEY_ID_RANDOM_LETTERS];
    aws_lc_rs::rand::fill(&mut random)?;
    let access_key_id = format!("{prefix}{}", letters(&random));
    let mut secret = zeroize::Zeroizing::new([0_u8; SECRET_RANDOM_BYTES]);
    aws_lc_rs::rand::fill(secret.as_mut())?;
    let secret = base64::engine::general_purpose::STANDARD.encode(secret.as_ref());
    Ok((access_key_id, SecretAccessKey::new(secret)))
}

/// A letter or digit of RFC 4648 base32 for each byte.
pub(super) fn letters(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    let letters = bytes.iter().filter_map(|byte| LETTERS.get(usize::from(byte % 32)));
    letters.map(|letter| char::from(*letter)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(text: &str) -> Result<Credentials, CredentialsFileError> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        let mut credentials = Credentials::default();
        credentials.add_file(file.path()).map(|()| credentials)
    }

    #[test]
    fn users_and_roots() {
        let credentials = load(
            r#"{"credentials":[
                {"accountId":"111122223333","accessKeyId":"AKIAROOT000000000001","secretAccessKey":"s"},
                {"accountId":"111122223333","userName":"alice","accessKeyId":"AKIAALICE00000000001",
                 "secretAccessKey":"s","policies":[{"Version":"2012-10-17","Statement":
                    {"Effect":"Allow","Action":"kms:*","Resource":"*"}}]}]}"#,
        )
        .unwrap();
        assert!(credentials.find("AKIAROOT000000000001").unwrap().principal.is_root());
        let alice = &credentials.find("AKIAALICE00000000001").unwrap().principal;
        assert_eq!(alice.arn, "arn:aws:iam::111122223333:user/alice");
    }

    #[test]
    fn the_culprit_is_named() {
        for (text, culprit) in [
            (r#"{"users":[]}"#, "users"),
            (
                r#"{"credentials":[{"accountId":"1","accessKeyId":"AKIAROOT000000000001","secretAccessKey":"s"}]}"#,
                "accountId",
            ),
            (
                r#"{"credentials":[{"accountId":"111122223333","accessKeyId":"x","secretAccessKey":"s"}]}"#,
                "accessKeyId",
            ),
            (
                r#"{"credentials":[{"accountId":"111122223333","userName":"a","accessKeyId":"AKIAROOT000000000001",
                   "secretAccessKey":"s","policies":[{}]}]}"#,
                "policies",
            ),
            (
                r#"{"roles":[{"accountId":"111122223333","roleName":"r","trustPolicy":{}}]}"#,
                "trustPolicy",
            ),
            (
                r#"{"roles":[{"accountId":"111122223333","roleName":"r/","trustPolicy":{}}]}"#,
                "roleName",
            ),
        ] {
            let message = load(text).err().unwrap().to_string();
            assert!(message.contains(culprit), "{message}");
        }
    }

    #[test]
    fn generated_credentials_look_like_those_of_aws() {
        let root = generate_root_credential("000000000000".parse().unwrap()).unwrap();
        assert_eq!((root.access_key_id.len(), root.secret.expose().len()), (20, 40));
    }
}
