//! `login … mfa-token-sign` and `user change-mfa token-sign`: a second factor that signs outside.

use std::path::{Path, PathBuf};

use serde_json::json;
use strongroom_hsm::wire::{NewSecondFactor, Signature};

use super::session::{Login, Session};
use super::token_file::{self, OwnTokens};
use super::users::{UserOf, new_password};
use super::{Answer, CliError};
use crate::mgmt::Console;

impl Session {
    /// `login`, with a second factor if a file for the tokens to be signed is given.
    ///
    /// # Errors
    ///
    /// [`CliError::Hsm`], and those of the files.
    pub async fn login(
        &mut self,
        login: &Login,
        token: Option<&Path>,
        console: &mut dyn Console,
    ) -> Answer {
        match token {
            None => self.log_in(login).await?,
            Some(path) => {
                let signatures = self.have_signed(path, console).await?;
                self.log_in_with(login, &signatures).await?;
            }
        }
        Ok(login.user.shown())
    }

    /// `logout`.
    ///
    /// # Errors
    ///
    /// [`CliError::NotLoggedIn`].
    pub async fn logout(&mut self) -> Answer {
        self.log_out().await?;
        Ok(json!("Logout successful"))
    }

    /// `user change-mfa token-sign`: registers the key of a second factor, with a new password, or takes it
    /// away if no file for tokens is given. An officer's key then also approves quorum tokens.
    ///
    /// # Errors
    ///
    /// [`CliError::NotLoggedIn`], [`CliError::Login`], [`CliError::Hsm`], and those of the files.
    pub async fn change_mfa(
        &self,
        user: &UserOf,
        password: &str,
        token: Option<&Path>,
        approval: Option<&Path>,
        console: &mut dyn Console,
    ) -> Answer {
        self.user()?;
        self.approve(approval).await?;
        let mut factors = Vec::new();
        if let Some(path) = token {
            let signatures = self.have_signed(path, console).await?;
            let key = ask(console, "Enter public key PEM file path:")?;
            let key = token_file::public_key(Path::new(key.trim()))?;
            factors.extend(
                signatures
                    .into_iter()
                    .map(|signature| NewSecondFactor { key: key.clone(), signature }),
            );
        }
        let mut factors = factors.into_iter();
        for member in &self.members {
            let factor = factors.next();
            let changed = match new_password(password) {
                Ok(password) => {
                    let client = &member.client;
                    client.change_password_and_factor(user.role, &user.name, password, factor).await
                }
                Err(error) => Err(error),
            };
            changed.map_err(|source| member.failed(source))?;
        }
        Ok(user.shown())
    }

    /// Writes a token of each HSM to a file and waits until they are signed.
    async fn have_signed(
        &self,
        path: &Path,
        console: &mut dyn Console,
    ) -> Result<Vec<Signature>, CliError> {
        let digests = self.on_each(async |client| client.challenge().await).await?;
        token_file::write(path, &OwnTokens::of(&digests))?;
        let answer = ask(
            console,
            "Enter signed token file path (press enter if same as the unsigned token file):",
        )?;
        let signed = match answer.trim() {
            "" => path.to_owned(),
            other => PathBuf::from(other),
        };
        let file: OwnTokens = token_file::read(&signed)?;
        file.signatures(&digests, &signed)
    }
}

/// Asks for a line; the end of the input is an empty one.
fn ask(console: &mut dyn Console, question: &str) -> Result<String, CliError> {
    let asked = console.print(question).and_then(|()| console.line());
    let answer = asked.map_err(|error| CliError::Configuration(error.into()))?;
    Ok(answer.map(|line| line.to_string()).unwrap_or_default())
}
