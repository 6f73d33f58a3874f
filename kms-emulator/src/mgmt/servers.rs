//! The HSMs that the tool is connected to.

use strongroom_hsm::{Client, Role, TrustAnchor};

use super::configuration::{Endpoint, connect};
use super::{Console, MgmtError};

/// One HSM.
pub(super) struct Server {
    /// Its number: the order in the configuration.
    pub(super) number: usize,
    pub(super) endpoint: Endpoint,
    /// `None` while it cannot be reached.
    pub(super) client: Option<Client>,
    pub(super) login: Option<(Role, String)>,
}

impl Server {
    /// `0(10.0.0.1)`, as the outputs name a server.
    pub(super) fn label(&self) -> String {
        format!("{}({})", self.number, self.endpoint.name)
    }

    /// The login state that `info` prints.
    pub(super) fn login_state(&self) -> String {
        match &self.login {
            Some((role, name)) => format!("Logged in as '{name}({role})'"),
            None => "Not logged in".to_owned(),
        }
    }
}

/// Connects to every configured HSM and tells about it.
pub(super) async fn connect_all(
    endpoints: &[Endpoint],
    anchor: &TrustAnchor,
    console: &mut dyn Console,
) -> Result<Vec<Server>, MgmtError> {
    console.print(
        "Connecting to the server(s), it may take time\n\
         depending on the server(s) load, please wait...\n",
    )?;
    let mut servers = Vec::with_capacity(endpoints.len());
    for (number, endpoint) in endpoints.iter().enumerate() {
        let place = format!(
            "server '{}': hostname '{}', port {}",
            endpoint.name, endpoint.hostname, endpoint.port
        );
        console.print(&format!("\nConnecting to {place}...\n"))?;
        let client = match connect(endpoint, anchor).await {
            Ok(client) => {
                console.print(&format!("Connected to {place}.\n"))?;
                Some(client)
            }
            Err(error) => {
                console.print(&format!("Failed to connect to {place}: {error}\n"))?;
                None
            }
        };
        servers.push(Server { number, endpoint: endpoint.clone(), client, login: None });
    }
    console.print("\n")?;
    Ok(servers)
}
