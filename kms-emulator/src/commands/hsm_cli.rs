//! `strongroom-kms hsm-cli`: the newer command line of a cluster.

use std::error::Error;
use std::io::{self, Write};

use strongroom_hsm::QuorumService;
use strongroom_hsm::clock::SystemClock;
use strongroom_kms::hsm_cli::{Answer, Login, Session, envelope};
use strongroom_kms::mgmt::{Configuration, MgmtError};
use zeroize::Zeroizing;

use super::mgmt::{Place, prompt_secret};

/// Options of `hsm-cli`.
#[derive(Debug, clap::Args)]
pub(crate) struct HsmCli {
    #[command(flatten)]
    place: Place,

    /// The role of the login: admin or crypto-user
    #[arg(long, env = "CLOUDHSM_ROLE", value_name = "ROLE", requires = "pin")]
    role: Option<String>,

    /// The login, USER:PASSWORD; better given by the environment
    #[arg(
        long,
        env = "CLOUDHSM_PIN",
        hide_env_values = true,
        value_name = "PIN",
        requires = "role"
    )]
    pin: Option<String>,

    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// The cluster as a whole
    #[command(subcommand)]
    Cluster(ClusterCommand),
    /// The users of the cluster
    #[command(subcommand)]
    User(UserCommand),
    /// The keys of the user who is logged in
    #[command(subcommand)]
    Key(KeyCommand),
    /// How many officers an operation needs
    #[command(subcommand)]
    Quorum(QuorumCommand),
}

#[derive(Debug, clap::Subcommand)]
enum ClusterCommand {
    /// Give the first officer a password: the cluster becomes active
    Activate(NewPassword),
    /// Show the HSMs
    HsmInfo,
}

#[derive(Debug, clap::Subcommand)]
enum UserCommand {
    /// List the users; needs no login
    List,
    /// Make a user on every HSM
    Create {
        #[command(flatten)]
        user: User,
        #[command(flatten)]
        new: NewPassword,
    },
    /// Delete a user from every HSM
    Delete {
        #[command(flatten)]
        user: User,
    },
    /// Change a user's password on every HSM
    ChangePassword {
        #[command(flatten)]
        user: User,
        #[command(flatten)]
        new: NewPassword,
    },
}

#[derive(Debug, clap::Subcommand)]
enum KeyCommand {
    /// List the keys
    List,
    /// Make an AES-256 key on every HSM
    GenerateSymmetric {
        /// The kind of key: aes
        #[arg(value_parser = ["aes"])]
        kind: String,
        /// Its label
        #[arg(long)]
        label: String,
    },
    /// Delete the keys of a label
    Delete {
        /// The label
        #[arg(long)]
        label: String,
    },
    /// Share the keys of a label with another crypto user
    Share(Sharing),
    /// Share them no more
    Unshare(Sharing),
}

#[derive(Debug, clap::Subcommand)]
enum QuorumCommand {
    /// Quorums by signed tokens
    #[command(subcommand)]
    TokenSign(TokenSignCommand),
}

#[derive(Debug, clap::Subcommand)]
enum TokenSignCommand {
    /// List how many officers each service needs
    ListQuorumValues,
    /// Set how many officers a service needs
    SetQuorumValue {
        /// The service: user or quorum
        #[arg(long, value_parser = ["user", "quorum"])]
        service: String,
        /// From 1, which is no quorum, to 8
        #[arg(long)]
        value: u8,
    },
}

#[derive(Debug, clap::Args)]
struct User {
    /// Name of the user
    #[arg(long)]
    username: String,

    /// Role of the user: admin or crypto-user
    #[arg(long = "role", id = "user_role", value_name = "ROLE", value_parser = ["admin", "crypto-user"])]
    role: String,
}

#[derive(Debug, clap::Args)]
struct NewPassword {
    /// The new password; asked for if it is not given
    #[arg(long)]
    password: Option<String>,
}

#[derive(Debug, clap::Args)]
struct Sharing {
    /// Label of the keys
    #[arg(long)]
    label: String,

    /// The other crypto user
    #[arg(long)]
    username: String,
}

impl NewPassword {
    fn read(self) -> io::Result<Zeroizing<String>> {
        match self.password {
            Some(password) => Ok(Zeroizing::new(password)),
            None => prompt_secret("Enter password:"),
        }
    }
}

impl HsmCli {
    pub(crate) fn run(self) -> Result<(), Box<dyn Error>> {
        let configuration =
            Configuration::load(&self.place.path()?)?.ok_or(MgmtError::NoServers)?;
        let login = match (&self.role, &self.pin) {
            (Some(role), Some(pin)) => Some(Login::parse(role, pin)?),
            _ => None,
        };
        let runtime = super::mgmt::runtime()?;
        let answer = runtime.block_on(async {
            let session = Session::open(&configuration, &SystemClock, login.as_ref()).await?;
            self.command.run(&session).await
        });
        let (text, is_success) = envelope(&answer);
        let mut out = io::stdout().lock();
        serde_json::to_writer_pretty(&mut out, &text)?;
        writeln!(out)?;
        match answer {
            Err(error) if !is_success => Err(error.into()),
            _ => Ok(()),
        }
    }
}

impl Command {
    async fn run(self, session: &Session) -> Answer {
        match self {
            Self::Cluster(ClusterCommand::HsmInfo) => session.hsm_info().await,
            Self::Cluster(ClusterCommand::Activate(new)) => session.activate(&read(new)?).await,
            Self::User(command) => command.run(session).await,
            Self::Key(command) => command.run(session).await,
            Self::Quorum(QuorumCommand::TokenSign(command)) => match command {
                TokenSignCommand::ListQuorumValues => session.quorum_values().await,
                TokenSignCommand::SetQuorumValue { service, value } => {
                    let service = match service.as_str() {
                        "user" => QuorumService::UserManagement,
                        _ => QuorumService::Officers,
                    };
                    session.set_quorum_value(service, value).await
                }
            },
        }
    }
}

impl UserCommand {
    async fn run(self, session: &Session) -> Answer {
        match self {
            Self::List => session.user_list().await,
            Self::Create { user, new } => {
                session.user_create(&user.username, &user.role, &read(new)?).await
            }
            Self::Delete { user } => session.user_delete(&user.username, &user.role).await,
            Self::ChangePassword { user, new } => {
                session.user_change_password(&user.username, &user.role, &read(new)?).await
            }
        }
    }
}

impl KeyCommand {
    async fn run(self, session: &Session) -> Answer {
        match self {
            Self::List => session.key_list().await,
            Self::GenerateSymmetric { kind: _, label } => session.key_generate_aes(&label).await,
            Self::Delete { label } => session.key_delete(&label).await,
            Self::Share(Sharing { label, username }) => {
                session.key_share(&label, &username, true).await
            }
            Self::Unshare(Sharing { label, username }) => {
                session.key_share(&label, &username, false).await
            }
        }
    }
}

fn read(new: NewPassword) -> Result<Zeroizing<String>, MgmtError> {
    Ok(new.read()?)
}
