//! Connections to all HSMs of a cluster, logged in as one user.

use strongroom_hsm::clock::Clock;
use strongroom_hsm::wire::Signature;
use strongroom_hsm::{Client, HsmError, Password, Role};
use zeroize::Zeroizing;

use super::CliError;
use super::users::UserOf;
use crate::mgmt::{Configuration, connect_to};

/// Who runs commands.
pub struct Login {
    pub(super) user: UserOf,
    password: Zeroizing<String>,
}

impl Login {
    /// Of a user and a password.
    #[must_use]
    pub fn new(user: UserOf, password: Zeroizing<String>) -> Self {
        Self { user, password }
    }

    /// Reads the role (`admin`, `crypto-user`) and the pin (`USER:PASSWORD`).
    ///
    /// # Errors
    ///
    /// [`CliError::Login`].
    pub fn parse(role: &str, pin: &str) -> Result<Self, CliError> {
        let (name, password) =
            pin.split_once(':').ok_or(CliError::Login("CLOUDHSM_PIN must be USER:PASSWORD"))?;
        let user = UserOf::new(name, role)
            .map_err(|_| CliError::Login("CLOUDHSM_ROLE must be admin or crypto-user"))?;
        Ok(Self { user, password: Zeroizing::new(password.to_owned()) })
    }
}

/// The role of a name in this tool.
pub(super) fn parse_role(name: &str) -> Option<Role> {
    match name {
        "admin" => Some(Role::CryptoOfficer),
        "crypto-user" => Some(Role::CryptoUser),
        _ => None,
    }
}

/// The name of a role in this tool.
pub(super) fn role_name(role: Role) -> &'static str {
    match role {
        Role::CryptoOfficer => "admin",
        Role::CryptoUser => "crypto-user",
        Role::PrecryptoOfficer => "unactivated-admin",
        _ => "internal(APPLIANCE_USER)",
    }
}

/// One HSM.
pub(super) struct Member {
    pub(super) name: String,
    pub(super) client: Client,
}

/// The HSMs of a cluster.
pub struct Session {
    pub(super) members: Vec<Member>,
    /// Who is logged in.
    user: Option<UserOf>,
}

impl Session {
    /// Connects to every HSM of the configuration. All have to answer: a change on some only is what this
    /// tool is to prevent.
    ///
    /// # Errors
    ///
    /// [`CliError::Configuration`], [`CliError::Hsm`].
    pub async fn open(configuration: &Configuration, clock: &dyn Clock) -> Result<Self, CliError> {
        let anchor = configuration.trust_anchor(clock)?;
        let mut members = Vec::with_capacity(configuration.servers.len());
        for server in &configuration.servers {
            let client = connect_to(server, &anchor).await?;
            members.push(Member { name: server.name.clone(), client });
        }
        Ok(Self { members, user: None })
    }

    /// Logs in on every HSM, or on none.
    ///
    /// # Errors
    ///
    /// [`CliError::Hsm`].
    pub async fn log_in(&mut self, login: &Login) -> Result<(), CliError> {
        self.log_in_with(login, &[]).await
    }

    /// Logs in with a second factor's signature for each HSM.
    pub(super) async fn log_in_with(
        &mut self,
        login: &Login,
        signatures: &[Signature],
    ) -> Result<(), CliError> {
        if let Some(user) = &self.user {
            return Err(CliError::LoggedIn(user.name.clone()));
        }
        let UserOf { name, role } = &login.user;
        let role = *role;
        let mut signatures = signatures.iter();
        let mut outcome = Ok(());
        for member in &self.members {
            let signature = signatures.next().cloned();
            let logged_in = match Password::new(&login.password) {
                Ok(password) => {
                    let client = &member.client;
                    client.login_with_factor(role, name, password, signature).await
                }
                Err(refusal) => Err(HsmError::Refused(refusal)),
            };
            outcome = logged_in.map_err(|source| member.failed(source));
            if outcome.is_err() {
                break;
            }
        }
        match outcome {
            Ok(()) => self.user = Some(login.user.clone()),
            Err(_) => self.leave().await,
        }
        outcome
    }

    /// Logs out of every HSM.
    ///
    /// # Errors
    ///
    /// [`CliError::NotLoggedIn`].
    pub async fn log_out(&mut self) -> Result<(), CliError> {
        self.user()?;
        self.leave().await;
        Ok(())
    }

    async fn leave(&mut self) {
        for member in &self.members {
            // One that does not answer has ended the session with its connection.
            let _ = member.client.logout().await;
        }
        self.user = None;
    }

    /// Who is logged in.
    pub(super) fn user(&self) -> Result<&UserOf, CliError> {
        self.user.as_ref().ok_or(CliError::NotLoggedIn)
    }

    /// Does something on every HSM, until one fails.
    pub(super) async fn on_each<T>(
        &self,
        operation: impl AsyncFn(&Client) -> Result<T, HsmError>,
    ) -> Result<Vec<T>, CliError> {
        let mut results = Vec::with_capacity(self.members.len());
        for member in &self.members {
            let done = operation(&member.client).await;
            results.push(done.map_err(|source| member.failed(source))?);
        }
        Ok(results)
    }
}

impl Member {
    pub(super) fn failed(&self, source: HsmError) -> CliError {
        CliError::of_hsm(&self.name, source)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_login_has_a_role_and_a_pin() {
        let login = Login::parse("admin", "admin:pass:word").unwrap();
        assert_eq!((login.user.role, login.user.name.as_str()), (Role::CryptoOfficer, "admin"));
        assert_eq!(login.password.as_str(), "pass:word");
        assert!(Login::parse("CO", "admin:password").is_err());
        assert!(Login::parse("crypto-user", "nobody").is_err());
    }
}
