//! Two-factor authentication of officers: the file of authentication data.
//!
//! The tool writes a digest for each HSM into a JSON file; whoever has the private key signs them and writes
//! the signatures beside them, and the public key when a factor is registered. The form is that of the
//! guide's page on two-factor authentication.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use strongroom_hsm::SecondFactorKey;
use strongroom_hsm::certificates::public_key_from_pem;
use strongroom_hsm::wire::{NewSecondFactor, Signature};

use super::MgmtError;
use super::shell::{Shell, reason};

/// The version of the file's form.
const VERSION: &str = "1.0";

/// What the file holds.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct AuthenticationData {
    version: String,
    /// In PEM; only where a factor is registered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    public_key: Option<String>,
    data: Vec<Digest>,
}

/// One HSM's share.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Digest {
    hsm_id: String,
    /// What is signed, in Base64.
    digest: String,
    /// The signature, in Base64.
    signature: String,
}

/// What the file is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    Login,
    Registration,
}

/// The signatures for the servers of a command.
pub(super) struct Factors {
    /// Of the server with that number.
    signatures: Vec<(usize, Signature)>,
    /// Of a registration.
    key: Option<SecondFactorKey>,
}

impl Factors {
    /// Of a login without a second factor.
    pub(super) fn none() -> Self {
        Self { signatures: Vec::new(), key: None }
    }

    pub(super) fn signature(&self, number: usize) -> Option<Signature> {
        self.signatures.iter().find(|(at, _)| *at == number).map(|(_, signed)| signed.clone())
    }

    pub(super) fn new_factor(&self, number: usize) -> Option<NewSecondFactor> {
        Some(NewSecondFactor { key: self.key.clone()?, signature: self.signature(number)? })
    }
}

impl Shell<'_> {
    /// Has a digest of each server signed outside; `None` if that did not come about, which was said.
    pub(super) async fn second_factor(
        &mut self,
        path: Option<&str>,
        purpose: Purpose,
    ) -> Result<Option<Factors>, MgmtError> {
        let Some(path) = path else { return Ok(Some(Factors::none())) };
        let mut asked = Vec::new();
        for number in self.selected() {
            let Some((client, label)) = self.reach(number) else { continue };
            let challenge = async { Ok((client.info().await?, client.challenge().await?)) };
            match challenge.await {
                Ok((info, digest)) => asked.push((
                    number,
                    Digest {
                        hsm_id: info.hsm_id.as_str().to_owned(),
                        digest: STANDARD.encode(digest),
                        signature: String::new(),
                    },
                )),
                Err(error) => {
                    self.fail(&format!("No digest from server {label}: {}\n", reason(&error)))?;
                    return Ok(None);
                }
            }
        }
        let (numbers, data): (Vec<_>, Vec<_>) = asked.into_iter().unzip();
        let public_key = (purpose == Purpose::Registration).then(String::new);
        let request = AuthenticationData { version: VERSION.to_owned(), public_key, data };
        let text = serde_json::to_string_pretty(&request).unwrap_or_default();
        if let Err(error) = std::fs::write(path, text + "\n") {
            self.fail(&format!("cannot write {path}: {error}\n"))?;
            return Ok(None);
        }
        let Some(answered) = self.signed(path, purpose)? else { return Ok(None) };
        match answered.factors(&request, numbers, purpose) {
            Ok(factors) => Ok(Some(factors)),
            Err(fault) => {
                self.fail(&format!("The authentication data are not usable: {fault}\n"))?;
                Ok(None)
            }
        }
    }

    /// Asks where the signed file is, and reads it.
    fn signed(
        &mut self,
        path: &str,
        purpose: Purpose,
    ) -> Result<Option<AuthenticationData>, MgmtError> {
        let also = match purpose {
            Purpose::Login => "",
            Purpose::Registration => ", and the public key",
        };
        self.print(&format!(
            "Sign the digests in {path} with your private key and add the signatures{also}.\n\
             Enter the path of the signed file (press enter if it is the same):"
        ))?;
        let Some(answer) = self.console.line()? else { return Ok(None) };
        let path = match answer.trim() {
            "" => path,
            other => other,
        };
        let Some(text) = self.read(path)? else { return Ok(None) };
        match serde_json::from_slice(&text) {
            Ok(data) => Ok(Some(data)),
            Err(error) => {
                self.fail(&format!("{path} is not a file of authentication data: {error}\n"))?;
                Ok(None)
            }
        }
    }
}

impl AuthenticationData {
    /// The signatures over what was asked for, for the servers `numbers`.
    fn factors(
        &self,
        request: &Self,
        numbers: Vec<usize>,
        purpose: Purpose,
    ) -> Result<Factors, String> {
        if self.version != VERSION {
            return Err(format!("the version is {}, not {VERSION}", self.version));
        }
        let mut signatures = Vec::with_capacity(numbers.len());
        for (number, asked) in numbers.into_iter().zip(&request.data) {
            let answered = self.data.iter().find(|one| one.digest == asked.digest);
            let text = answered.map(|one| one.signature.trim()).filter(|text| !text.is_empty());
            let text = text.ok_or_else(|| format!("no signature for {}", asked.hsm_id))?;
            let bytes = STANDARD.decode(text).map_err(|error| {
                format!("the signature for {} is not Base64: {error}", asked.hsm_id)
            })?;
            let signature = Signature::new(bytes)
                .map_err(|_| format!("the signature for {} is too long", asked.hsm_id))?;
            signatures.push((number, signature));
        }
        let key = match purpose {
            Purpose::Login => None,
            Purpose::Registration => Some(self.key()?),
        };
        Ok(Factors { signatures, key })
    }

    fn key(&self) -> Result<SecondFactorKey, String> {
        let pem = self.public_key.as_deref().filter(|pem| !pem.trim().is_empty());
        let pem = pem.ok_or("there is no public key")?;
        let key = public_key_from_pem(pem.as_bytes())
            .map_err(|fault| format!("the public key is not usable: {fault}"))?;
        SecondFactorKey::new(key.to_vec()).map_err(|_| "the public key is too long".to_owned())
    }
}
