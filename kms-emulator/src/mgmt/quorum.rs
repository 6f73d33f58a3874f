//! Quorum authentication: keys of officers, tokens, approvals.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use strongroom_hsm::certificates::public_key_from_pem;
use strongroom_hsm::limits::QUORUM_FILE_BYTES_MAX;
use strongroom_hsm::wire::{QuorumToken, QuorumTokenInfo};
use strongroom_hsm::{List, QuorumService, Role};

use super::MgmtError;
use super::approval::Approval;
use super::shell::{Shell, reason};

/// Longest file that a command of this module reads, in bytes.
const FILE_BYTES_MAX: u64 = 64 * 1_024;

impl Shell<'_> {
    pub(super) async fn register_quorum_key(
        &mut self,
        arguments: [&str; 5],
    ) -> Result<(), MgmtError> {
        let [role, name, token, signature, key] = arguments;
        if Role::parse(role) != Some(Role::CryptoOfficer) {
            return self.fail("registerQuorumPubKey is for officers: use CO\n");
        }
        let (Some(token), Some(signature), Some(key)) =
            (self.read(token)?, self.read(signature)?, self.read(key)?)
        else {
            return Ok(());
        };
        let key = match public_key_from_pem(&key) {
            Ok(key) => key,
            Err(fault) => return self.fail(&format!("The public key is not usable: {fault}\n")),
        };
        if !self.confirm()? {
            return Ok(());
        }
        for number in self.selected() {
            let Some((client, label)) = self.reach(number) else { continue };
            let registered = client.register_quorum_key(name, &token, &signature, &key).await;
            self.tell("registerQuorumPubKey", &label, registered)?;
        }
        Ok(())
    }

    pub(super) async fn set_m_value(
        &mut self,
        service: &str,
        value: &str,
    ) -> Result<(), MgmtError> {
        let (Some(service), Ok(value)) = (service_of(service), value.parse::<u8>()) else {
            return self.fail("Usage: setMValue <service> <M value>; services: 3, 4\n");
        };
        if !self.confirm()? {
            return Ok(());
        }
        let numbers = self.selected();
        let count = numbers.len();
        self.print(&format!(
            "Setting M Value({value}) for {} on {count} nodes\n",
            service.number()
        ))?;
        for number in numbers {
            let Some((client, label)) = self.reach(number) else { continue };
            if let Err(error) = client.set_quorum_value(service, value).await {
                self.fail(&format!(
                    "setMValue failed: {}\nsetMValue failed on server {label}\n",
                    reason(&error)
                ))?;
            }
        }
        Ok(())
    }

    pub(super) async fn get_m_value(&mut self, service: &str) -> Result<(), MgmtError> {
        let Some(service) = service_of(service) else {
            return self.fail("Usage: getMValue <service>; services: 3, 4\n");
        };
        for number in self.selected() {
            let Some((client, label)) = self.reach(number) else { continue };
            match client.quorum_value(service).await {
                Ok(value) => self.print(&format!(
                    "MValue of service {}[{}] on server {number} : [{value}]\n",
                    service.number(),
                    service.name()
                ))?,
                Err(error) => self.fail(&format!(
                    "getMValue failed: {}\ngetMValue failed on server {label}\n",
                    reason(&error)
                ))?,
            }
        }
        Ok(())
    }

    /// Gets a token from each server and writes them into one file, which officers sign as it is.
    pub(super) async fn get_token(
        &mut self,
        service: &str,
        user: &str,
        file: &str,
    ) -> Result<(), MgmtError> {
        let Some(service) = service_of(service) else {
            return self.fail("Usage: getToken <service> <user> <file>; services: 3, 4\n");
        };
        let mut tokens: Vec<QuorumToken> = Vec::new();
        for number in self.selected() {
            let Some((client, label)) = self.reach(number) else { continue };
            match client.get_token(service).await {
                Ok((id, token)) => {
                    tokens.push(token);
                    self.print(&format!("getToken success on server {label}\n"))?;
                    self.print(&token_head(id, service, number, user))?;
                }
                Err(error) => self.fail(&format!(
                    "getToken failed: {}\ngetToken failed on server {label}\n",
                    reason(&error)
                ))?,
            }
        }
        match List::new(tokens) {
            Ok(tokens) => match std::fs::write(file, strongroom_hsm::wire::token_file(&tokens)) {
                Ok(()) => Ok(()),
                Err(error) => self.fail(&format!("cannot write {file}: {error}\n")),
            },
            Err(_) => self.fail("There are more servers than a cluster has\n"),
        }
    }

    /// Brings every approval that the file names to every server.
    pub(super) async fn approve_token(&mut self, file: &str) -> Result<(), MgmtError> {
        let Some(text) = self.read(file)? else { return Ok(()) };
        let approval = match Approval::parse(&String::from_utf8_lossy(&text)) {
            Ok(approval) => approval,
            Err(error) => return self.fail(&format!("{file}: {error}\n")),
        };
        let Some(tokens) = self.read(&approval.tokens)? else { return Ok(()) };
        if tokens.len() > QUORUM_FILE_BYTES_MAX {
            return self.fail(&format!("{} is not a file of tokens\n", approval.tokens));
        }
        let mut signatures = Vec::with_capacity(approval.approvers.len());
        for (name, path) in &approval.approvers {
            let Some(signature) = self.read(path)? else { return Ok(()) };
            signatures.push((name.as_str(), signature));
        }
        for number in self.selected() {
            let Some((client, label)) = self.reach(number) else { continue };
            let mut outcome = Ok(());
            for (name, signature) in &signatures {
                outcome = outcome.and(client.approve_token(&tokens, name, signature).await);
            }
            self.tell("approveToken", &label, outcome)?;
        }
        Ok(())
    }

    pub(super) async fn list_tokens(&mut self) -> Result<(), MgmtError> {
        for number in self.selected() {
            let Some((client, label)) = self.reach(number) else { continue };
            self.print(&format!(
                "\n=====================\n    Server {label}\n=====================\n"
            ))?;
            match client.list_tokens().await {
                Ok(tokens) => self.print(&tokens_report(&tokens, number))?,
                Err(error) => {
                    self.fail(&format!("listTokens failed: {}\n", reason(&error)))?;
                }
            }
        }
        self.print("\nlistTokens success\n")
    }

    /// Reads a file that the user named, or says why it cannot.
    pub(super) fn read(&mut self, path: &str) -> Result<Option<Vec<u8>>, MgmtError> {
        let mut bytes = Vec::new();
        let read = File::open(Path::new(path))
            .and_then(|file| file.take(FILE_BYTES_MAX).read_to_end(&mut bytes));
        match read {
            Ok(_) => Ok(Some(bytes)),
            Err(error) => {
                self.fail(&format!("cannot read {path}: {error}\n"))?;
                Ok(None)
            }
        }
    }
}

fn service_of(text: &str) -> Option<QuorumService> {
    text.parse().ok().and_then(QuorumService::of_number)
}

fn token_head(id: u32, service: QuorumService, node: usize, user: &str) -> String {
    let service = service.number();
    format!("Token:\nId:{id}\nService:{service}\nNode:{node}\nKey Handle:0\nUser:{user}\n")
}

fn tokens_report(tokens: &[QuorumTokenInfo], node: usize) -> String {
    let mut text = String::new();
    for (index, token) in tokens.iter().enumerate() {
        let approvers = token.approvers.as_slice();
        text.push_str(&format!("-------- Token - {index} ----------\n"));
        text.push_str(&token_head(token.id, token.service, node, token.user.as_str()));
        text.push_str(&format!(
            "Token Validity: {} sec\nRequired num of approvers : {}\nCurrent num of approvals : {}\n",
            token.validity_seconds,
            token.required,
            approvers.len()
        ));
        for (index, name) in approvers.iter().enumerate() {
            text.push_str(&format!("Approver-{index}: {name}\n"));
        }
    }
    text.push_str(&format!("Num of tokens = {}\n", tokens.len()));
    text
}
