//! `quorum token-sign`: operations that one officer alone cannot do.

use std::collections::BTreeMap;
use std::path::Path;

use aws_lc_rs::{digest, rand};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;
use strongroom_hsm::limits::REGISTRATION_TOKEN_BYTES_MAX;
use strongroom_hsm::wire::{QuorumTokenInfo, token_file};
use strongroom_hsm::{List, QuorumService, TokenStage};

use super::session::Session;
use super::token_file::{self, OwnToken, OwnTokens, QuorumTokens, VERSION};
use super::{Answer, CliError};

/// What a token is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenService {
    /// One operation with a quorum.
    Quorum(QuorumService),
    /// Registering a key to approve with.
    Registration,
}

impl Session {
    /// `quorum token-sign generate`: a file with what is to be signed.
    ///
    /// # Errors
    ///
    /// [`CliError::NotLoggedIn`], [`CliError::Hsm`], [`CliError::File`].
    pub async fn generate_tokens(&self, service: TokenService, path: &Path) -> Answer {
        self.user()?;
        match service {
            TokenService::Registration => token_file::write(path, &registration()?)?,
            TokenService::Quorum(service) => {
                let each = async |client: &strongroom_hsm::Client| client.get_token(service).await;
                let tokens = self.on_each(each).await?.into_iter().map(|(_, token)| token);
                let tokens = List::new(tokens.collect()).map_err(|_| CliError::TooManyHsms)?;
                let data = token_file(&tokens);
                let file = QuorumTokens {
                    version: VERSION.to_owned(),
                    token: STANDARD.encode(digest::digest(&digest::SHA256, &data)),
                    approval_data: STANDARD.encode(data),
                    signatures: Vec::new(),
                };
                token_file::write(path, &file)?;
            }
        }
        Ok(json!({ "path": path }))
    }

    /// `quorum token-sign list`.
    ///
    /// # Errors
    ///
    /// [`CliError::NotLoggedIn`], [`CliError::Hsm`].
    pub async fn list_tokens(&self) -> Answer {
        self.user()?;
        let lists = self.on_each(async |client| client.list_tokens().await).await?;
        // One command makes one token on each HSM: those of one user and service belong together in order.
        let mut tokens: BTreeMap<(String, u8, usize), (QuorumTokenInfo, usize)> = BTreeMap::new();
        for list in lists {
            let mut seen: BTreeMap<(String, u8), usize> = BTreeMap::new();
            for token in list {
                let of = (token.user.as_str().to_owned(), token.service.number());
                let turn = seen.entry(of.clone()).or_default();
                let (known, hsms) =
                    tokens.entry((of.0, of.1, *turn)).or_insert_with(|| (token.clone(), 0));
                *turn = turn.saturating_add(1);
                *hsms = hsms.saturating_add(1);
                known.validity_seconds = known.validity_seconds.min(token.validity_seconds);
            }
        }
        let shown = tokens.into_values().map(|(token, hsms)| {
            json!({
                "username": token.user.as_str(),
                "service": service_name(token.service),
                "approvals-required": { "value": token.required },
                "number-of-approvals": { "value": token.approvers.as_slice().len() },
                "token-timeout-seconds": { "value": token.validity_seconds },
                "cluster-coverage": self.coverage(hsms),
            })
        });
        Ok(json!({ "tokens": shown.collect::<Vec<_>>() }))
    }

    /// `quorum token-sign delete`: the tokens of the user, or everybody's.
    ///
    /// # Errors
    ///
    /// As [`Session::list_tokens`].
    pub async fn delete_tokens(&self, all: bool) -> Answer {
        self.user()?;
        self.on_each(async |client| client.delete_tokens(all).await).await?;
        Ok(json!("Deletion of quorum token(s) successful"))
    }

    /// `quorum token-sign list-quorum-values`.
    ///
    /// # Errors
    ///
    /// As [`Session::list_tokens`].
    pub async fn quorum_values(&self) -> Answer {
        self.user()?;
        let values = self.on_each(async |client| {
            let users = client.quorum_value(QuorumService::UserManagement).await?;
            Ok((users, client.quorum_value(QuorumService::Officers).await?))
        });
        let values = values.await?;
        let (user, quorum) = values.first().copied().unwrap_or((1, 1));
        Ok(json!({ "user": user, "quorum": quorum }))
    }

    /// `quorum token-sign set-quorum-value`, with the approvals of a signed file.
    ///
    /// # Errors
    ///
    /// As [`Session::list_tokens`], and those of the file.
    pub async fn set_quorum_value(
        &self,
        service: QuorumService,
        value: u8,
        approval: Option<&Path>,
    ) -> Answer {
        self.user()?;
        self.approve(approval).await?;
        self.on_each(async |client| client.set_quorum_value(service, value).await).await?;
        Ok(json!("Set Quorum Value successful"))
    }

    /// `quorum token-sign list-timeouts`, which needs no login. Where HSMs differ, the shorter times are what a token
    /// can count on.
    ///
    /// # Errors
    ///
    /// [`CliError::Hsm`].
    pub async fn token_timeouts(&self) -> Answer {
        let all = self.on_each(async |client| client.token_timeouts().await).await?;
        let generated = all.iter().map(|(generated, _)| *generated).min();
        let approved = all.iter().map(|(_, approved)| *approved).min();
        Ok(json!({ "generated": generated, "approved": approved }))
    }

    /// `quorum token-sign set-timeout`.
    ///
    /// # Errors
    ///
    /// As [`Session::list_tokens`].
    pub async fn set_token_timeout(&self, stage: TokenStage, seconds: u32) -> Answer {
        self.user()?;
        self.on_each(async |client| client.set_token_timeout(stage, seconds).await).await?;
        Ok(json!("Set token timeout successful"))
    }

    /// `user change-quorum token-sign register`: registers the key of the user who is logged in.
    ///
    /// # Errors
    ///
    /// As [`Session::list_tokens`], and those of the files.
    pub async fn register_quorum_key(&self, public_key: &Path, signed: &Path) -> Answer {
        let user = self.user()?;
        let key = token_file::public_key(public_key)?;
        let file: OwnTokens = token_file::read(signed)?;
        let wrong =
            |what: &str| CliError::TokenFile { path: signed.to_owned(), what: what.to_owned() };
        let token = file.tokens.first().ok_or_else(|| wrong("it has no token"))?;
        let data =
            token.approval_data.as_deref().ok_or_else(|| wrong("it has no approval_data"))?;
        let data = token_file::base64(data, signed)?;
        let signature = token_file::signature(&token.signed, signed)?;
        let register = async |client: &strongroom_hsm::Client| {
            let (signature, key) = (signature.as_slice(), key.as_slice());
            client.register_quorum_key(&user.name, &data, signature, key).await
        };
        self.on_each(register).await?;
        Ok(user.shown())
    }

    /// Brings the approvals of a signed file, if one is given, to every HSM.
    pub(super) async fn approve(&self, path: Option<&Path>) -> Result<(), CliError> {
        let Some(path) = path else { return Ok(()) };
        let file: QuorumTokens = token_file::read(path)?;
        let data = token_file::base64(&file.approval_data, path)?;
        for approval in &file.signatures {
            let signature = token_file::signature(&approval.signature, path)?;
            let approve = async |client: &strongroom_hsm::Client| {
                client.approve_token(&data, &approval.username, signature.as_slice()).await
            };
            self.on_each(approve).await?;
        }
        Ok(())
    }

    /// Whether all HSMs have what so many have.
    pub(super) fn coverage(&self, hsms: usize) -> &'static str {
        if hsms == self.members.len() { "full" } else { "partial" }
    }
}

/// A token to register a key with: random, and its digest.
fn registration() -> Result<OwnTokens, CliError> {
    let mut data = [0; REGISTRATION_TOKEN_BYTES_MAX];
    rand::fill(&mut data).map_err(|_| CliError::NoRandomness)?;
    let token = OwnToken {
        approval_data: Some(STANDARD.encode(data)),
        unsigned: STANDARD.encode(digest::digest(&digest::SHA256, &data)),
        signed: String::new(),
    };
    Ok(OwnTokens { version: VERSION.to_owned(), tokens: vec![token] })
}

fn service_name(service: QuorumService) -> &'static str {
    match service {
        QuorumService::UserManagement => "user",
        QuorumService::Officers => "quorum",
    }
}
