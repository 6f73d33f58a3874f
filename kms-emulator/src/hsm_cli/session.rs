//! Connections to all HSMs of a cluster, logged in as one user.

use strongroom_hsm::clock::Clock;
use strongroom_hsm::{Client, HsmError, Password, Role};
use zeroize::Zeroizing;

use super::CliError;
use crate::mgmt::{Configuration, connect_to};

/// Who runs commands.
pub struct Login {
    pub(super) role: Role,
    name: String,
    password: Zeroizing<String>,
}

impl Login {
    /// Reads the role (`admin`, `crypto-user`) and the pin (`USER:PASSWORD`).
    ///
    /// # Errors
    ///
    /// [`CliError::Login`].
    pub fn parse(role: &str, pin: &str) -> Result<Self, CliError> {
        let role = parse_role(role)
            .ok_or(CliError::Login("CLOUDHSM_ROLE must be admin or crypto-user"))?;
        let (name, password) =
            pin.split_once(':').ok_or(CliError::Login("CLOUDHSM_PIN must be USER:PASSWORD"))?;
        let password = Zeroizing::new(password.to_owned());
        Ok(Self { role, name: name.to_owned(), password })
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
    pub(super) role: Option<Role>,
}

impl Session {
    /// Connects to every HSM of the configuration and logs in there, if a login is given. All have to
    /// answer: a change on some only is what this tool is to prevent.
    ///
    /// # Errors
    ///
    /// [`CliError::Configuration`], [`CliError::Hsm`].
    pub async fn open(
        configuration: &Configuration,
        clock: &dyn Clock,
        login: Option<&Login>,
    ) -> Result<Self, CliError> {
        let anchor = configuration.trust_anchor(clock)?;
        let mut members = Vec::with_capacity(configuration.servers.len());
        for server in &configuration.servers {
            let client = connect_to(server, &anchor).await?;
            members.push(Member { name: server.name.clone(), client });
        }
        let session = Self { members, role: login.map(|login| login.role) };
        if let Some(login) = login {
            session.log_in(login).await?;
        }
        Ok(session)
    }

    async fn log_in(&self, login: &Login) -> Result<(), CliError> {
        for member in &self.members {
            let password = Password::new(&login.password).map_err(HsmError::from);
            let logged_in = match password {
                Ok(password) => member.client.login(login.role, &login.name, password).await,
                Err(error) => Err(error),
            };
            logged_in.map_err(|source| member.failed(source))?;
        }
        Ok(())
    }

    /// Demands a login.
    pub(super) fn logged_in(&self) -> Result<(), CliError> {
        self.role.map(drop).ok_or(CliError::NotLoggedIn)
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
        CliError::Hsm { hsm: self.name.clone(), source }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_login_has_a_role_and_a_pin() {
        let login = Login::parse("admin", "admin:pass:word").unwrap();
        assert_eq!((login.role, login.name.as_str()), (Role::CryptoOfficer, "admin"));
        assert_eq!(login.password.as_str(), "pass:word");
        assert!(Login::parse("CO", "admin:password").is_err());
        assert!(Login::parse("crypto-user", "nobody").is_err());
    }
}
