//! Prompt, dispatch, server mode.

use strongroom_hsm::clock::Clock;
use strongroom_hsm::{HsmError, Refusal};
use zeroize::Zeroizing;

use super::commands::{Meaning, Name, TABLE, describe, find};
use super::servers::{Server, connect_all};
use super::{Configuration, Console, MgmtError};

/// How a run of the tool ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Every command succeeded on every HSM that it went to.
    Succeeded,
    /// Some command did not.
    SomethingFailed,
}

/// The tool, connected to the HSMs of a cluster.
pub struct Shell<'a> {
    pub(super) console: &'a mut dyn Console,
    pub(super) servers: Vec<Server>,
    /// The server of server mode.
    only: Option<usize>,
    pub(super) failed: bool,
}

/// Whether the tool goes on.
enum Next {
    Command,
    Quit,
}

impl<'a> Shell<'a> {
    /// Connects to the configured HSMs; those that do not answer are reported and left out.
    ///
    /// # Errors
    ///
    /// [`MgmtError::NoServers`], that of the trust anchor, or of the console.
    pub async fn connect(
        configuration: &Configuration,
        clock: &dyn Clock,
        console: &'a mut dyn Console,
    ) -> Result<Self, MgmtError> {
        if configuration.servers.is_empty() {
            return Err(MgmtError::NoServers);
        }
        let anchor = configuration.trust_anchor(clock)?;
        let servers = connect_all(&configuration.servers, &anchor, console).await?;
        let failed = servers.iter().any(|server| server.client.is_none());
        Ok(Self { console, servers, only: None, failed })
    }

    /// Executes commands until `quit` or the end of the input.
    ///
    /// # Errors
    ///
    /// [`MgmtError::Console`].
    pub async fn run(mut self) -> Result<Outcome, MgmtError> {
        loop {
            let prompt = match self.only {
                Some(number) => format!("server{number}>"),
                None => "aws-cloudhsm>".to_owned(),
            };
            self.print(&prompt)?;
            let Some(line) = self.console.line()? else { break };
            if matches!(self.execute(&line).await?, Next::Quit) {
                break;
            }
        }
        self.print("\ndisconnecting from servers, please wait...\n")?;
        Ok(if self.failed { Outcome::SomethingFailed } else { Outcome::Succeeded })
    }

    async fn execute(&mut self, line: &str) -> Result<Next, MgmtError> {
        let words: Vec<&str> = line.split_whitespace().collect();
        let Some((first, arguments)) = words.split_first() else { return Ok(Next::Command) };
        match find(first) {
            Meaning::Command(Name::Quit) => return Ok(Next::Quit),
            Meaning::Command(name) => self.dispatch(name, arguments).await?,
            Meaning::Ambiguous(several) => {
                self.fail(&format!("Ambiguous command '{first}': {}\n", several.join(", ")))?;
            }
            Meaning::Unknown => self.fail(&format!("Unknown command '{first}', try 'help'\n"))?,
        }
        Ok(Next::Command)
    }

    async fn dispatch(&mut self, name: Name, arguments: &[&str]) -> Result<(), MgmtError> {
        match (name, arguments) {
            (Name::EnableE2e, []) => self.enable_e2e(),
            (Name::Login, [role, user, password]) => self.login(role, user, password, None).await,
            (Name::Login, [role, user, password, "-2fa", file]) => {
                self.login(role, user, password, Some(file)).await
            }
            (Name::Logout, []) => self.logout().await,
            (Name::ListUsers, []) => self.list_users().await,
            (Name::CreateUser, [role, user, password]) => {
                self.create_user(role, user, password, None).await
            }
            (Name::CreateUser, [role, user, password, "-2fa", file]) => {
                self.create_user(role, user, password, Some(file)).await
            }
            (Name::DeleteUser, [role, user]) => self.delete_user(role, user).await,
            (Name::ChangePassword, [role, user, password]) => {
                self.change_password(role, user, password, None).await
            }
            (Name::ChangePassword, [role, user, password, "-2fa", file]) => {
                self.change_password(role, user, password, Some(file)).await
            }
            (Name::FindAllKeys, [user, hash]) => self.find_all_keys(user, hash, None).await,
            (Name::FindAllKeys, [user, hash, file]) => {
                self.find_all_keys(user, hash, Some(file)).await
            }
            (Name::GetKeyInfo, ["-k", handle] | [handle]) => self.get_key_info(handle, None).await,
            (Name::GetKeyInfo, ["-k", handle, file] | [handle, file]) => {
                self.get_key_info(handle, Some(file)).await
            }
            (Name::GetAttribute, [handle, attribute]) => {
                self.get_attribute(handle, attribute, None).await
            }
            (Name::GetAttribute, [handle, attribute, file]) => {
                self.get_attribute(handle, attribute, Some(file)).await
            }
            (Name::ShareKey, [handle, user, share]) => self.share_key(handle, user, share).await,
            (Name::SetAttribute, [handle, attribute, value]) => {
                self.set_attribute(handle, attribute, value).await
            }
            (Name::SyncUser, [user, server]) => self.sync_user(user, server).await,
            (Name::SyncKey, [handle, server]) => self.sync_key(handle, server).await,
            (Name::ListAttributes, [] | ["-h"]) => self.list_attributes(),
            (Name::RegisterQuorumKey, [role, name, token, signature, key]) => {
                self.register_quorum_key([role, name, token, signature, key]).await
            }
            (Name::SetMValue, [service, value]) => self.set_m_value(service, value).await,
            (Name::GetMValue, [service]) => self.get_m_value(service).await,
            (Name::GetToken, [service, user, file]) => self.get_token(service, user, file).await,
            (Name::ApproveToken, [file]) => self.approve_token(file).await,
            (Name::ListTokens, []) => self.list_tokens().await,
            (Name::GetCert, [file, kind]) => self.get_cert(file, kind).await,
            (Name::GetHsmInfo, []) => self.get_hsm_info().await,
            (Name::Info, ["server", number]) => self.info(number).await,
            (Name::Server, [number]) => self.enter_server_mode(number),
            (Name::Exit, []) => self.leave_server_mode(),
            (Name::Help, []) => self.help(),
            (Name::Help, [word]) => self.help_with(word),
            _ => self.usage(name),
        }
    }

    fn enable_e2e(&mut self) -> Result<(), MgmtError> {
        // Every connection is TLS to the HSM itself from the beginning.
        for number in self.selected() {
            if let Some(label) = self.label(number) {
                self.print(&format!("E2E enabled on server {label}\n"))?;
            }
        }
        Ok(())
    }

    fn enter_server_mode(&mut self, number: &str) -> Result<(), MgmtError> {
        match self.server_number(number) {
            Some(number) => {
                self.only = Some(number);
                self.print("\nServer is in 'E2' mode...\n")
            }
            None => self.fail(&format!("There is no server {number}\n")),
        }
    }

    fn leave_server_mode(&mut self) -> Result<(), MgmtError> {
        match self.only.take() {
            Some(_) => Ok(()),
            None => self.fail("Not in server mode; 'quit' ends the tool\n"),
        }
    }

    fn help(&mut self) -> Result<(), MgmtError> {
        for entry in TABLE {
            self.print(&format!("{:<16}{}\n", entry.word, entry.summary))?;
        }
        Ok(())
    }

    fn help_with(&mut self, word: &str) -> Result<(), MgmtError> {
        match find(word) {
            Meaning::Command(name) => match describe(name) {
                Some(entry) => self.print(&format!(
                    "{}\n\nSyntax:\n        {} {}\n",
                    entry.summary, entry.word, entry.syntax
                )),
                None => Ok(()),
            },
            _ => self.fail(&format!("Unknown command '{word}', try 'help'\n")),
        }
    }

    fn usage(&mut self, name: Name) -> Result<(), MgmtError> {
        let Some(entry) = describe(name) else { return Ok(()) };
        self.fail(&format!("Usage: {} {}\n", entry.word, entry.syntax))
    }

    /// The numbers of the servers that a command goes to: the one of server mode, or all that can be
    /// reached.
    pub(super) fn selected(&self) -> Vec<usize> {
        self.servers
            .iter()
            .filter(|server| self.only.is_none_or(|only| only == server.number))
            .filter(|server| server.client.is_some())
            .map(|server| server.number)
            .collect()
    }

    /// The number of the server of server mode.
    pub(super) fn only(&self) -> Option<usize> {
        self.only
    }

    /// Reads a server's number, if there is such a server.
    pub(super) fn server_number(&self, text: &str) -> Option<usize> {
        text.parse().ok().filter(|number| self.servers.get(*number).is_some())
    }

    pub(super) fn label(&self, number: usize) -> Option<String> {
        self.servers.get(number).map(Server::label)
    }

    pub(super) fn print(&mut self, text: &str) -> Result<(), MgmtError> {
        Ok(self.console.print(text)?)
    }

    /// Prints why a command did not succeed, and remembers that one did not.
    pub(super) fn fail(&mut self, text: &str) -> Result<(), MgmtError> {
        self.failed = true;
        self.print(text)
    }

    /// Prints to the console, or writes to the file that a command named.
    pub(super) fn deliver(&mut self, text: &str, file: Option<&str>) -> Result<(), MgmtError> {
        let Some(path) = file else { return self.print(text) };
        match std::fs::write(path, text) {
            Ok(()) => self.print(&format!("Results are written to {path}\n")),
            Err(error) => self.fail(&format!("cannot write {path}: {error}\n")),
        }
    }

    /// A password argument, or what is typed unseen for `-hpswd`.
    pub(super) fn password(
        &mut self,
        argument: &str,
    ) -> Result<Option<Zeroizing<String>>, MgmtError> {
        if argument != "-hpswd" {
            return Ok(Some(Zeroizing::new(argument.to_owned())));
        }
        self.print("Enter password:")?;
        let password = self.console.secret()?;
        self.print("\n")?;
        Ok(password)
    }
}

/// Why an HSM did not do it, in its own words if it answered.
pub(super) fn reason(error: &HsmError) -> String {
    match error {
        HsmError::Refused(Refusal::WrongPassword { .. }) => "RET_USER_LOGIN_FAILURE".to_owned(),
        HsmError::Refused(Refusal::QuorumRequired) => "RET_MXN_AUTH_FAILED".to_owned(),
        HsmError::Refused(refusal) => refusal.to_string(),
        other => other.to_string(),
    }
}
