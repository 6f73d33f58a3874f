//! What each command does with a session.

use strongroom_hsm::{QuorumService, TokenStage};
use strongroom_kms::hsm_cli::{Answer, CliError, Login, Session, TokenService};
use strongroom_kms::mgmt::{Console, MgmtError};
use zeroize::Zeroizing;

use super::arguments::{
    ChangeMfa, ChangeQuorum, ClusterCommand, Command, Factor, KeyCommand, PasswordOf,
    QuorumCommand, RegisterQuorum, Sharing, TokenSignCommand, User, UserCommand,
};

impl Command {
    pub(super) async fn run(self, session: &Session, console: &mut dyn Console) -> Answer {
        match self {
            Self::Cluster(ClusterCommand::HsmInfo) => session.hsm_info().await,
            Self::Cluster(ClusterCommand::Activate(new)) => {
                session.activate(&new_password(new.password, console)?).await
            }
            Self::User(command) => command.run(session, console).await,
            Self::Key(command) => command.run(session).await,
            Self::Quorum(QuorumCommand::TokenSign(command)) => command.run(session).await,
        }
    }
}

impl UserCommand {
    async fn run(self, session: &Session, console: &mut dyn Console) -> Answer {
        match self {
            Self::List => session.user_list().await,
            Self::Create { user, new, approval } => {
                let password = new_password(new.password, console)?;
                session.user_create(&user.named()?, &password, approval.approval.as_deref()).await
            }
            Self::Delete { user, approval } => {
                session.user_delete(&user.named()?, approval.approval.as_deref()).await
            }
            Self::ChangePassword { user, new, approval, deregister_mfa } => {
                let password = new_password(new.password, console)?;
                let approval = approval.approval.as_deref();
                let user = user.named()?;
                session.user_change_password(&user, &password, deregister_mfa, approval).await
            }
            Self::ChangeMfa(ChangeMfa::TokenSign {
                user,
                change_password,
                token,
                deregister: _,
                change_quorum: _,
                approval,
            }) => {
                let password = new_password(change_password, console)?;
                let (token, approval) = (token.as_deref(), approval.approval.as_deref());
                session.change_mfa(&user.named()?, &password, token, approval, console).await
            }
            Self::ChangeQuorum(ChangeQuorum::TokenSign(RegisterQuorum::Register {
                public_key,
                signed_token,
            })) => session.register_quorum_key(&public_key, &signed_token).await,
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

impl TokenSignCommand {
    async fn run(self, session: &Session) -> Answer {
        match self {
            Self::Generate { service, token } => {
                let service = match service.as_str() {
                    "registration" => TokenService::Registration,
                    other => TokenService::Quorum(service_of(other)),
                };
                session.generate_tokens(service, &token).await
            }
            Self::List => session.list_tokens().await,
            Self::Delete { scope } => session.delete_tokens(scope == "all").await,
            Self::ListQuorumValues => session.quorum_values().await,
            Self::SetQuorumValue { service, value, approval } => {
                let approval = approval.approval.as_deref();
                session.set_quorum_value(service_of(&service), value, approval).await
            }
            Self::ListTimeouts => session.token_timeouts().await,
            Self::SetTimeout { generated: Some(seconds), .. } => {
                session.set_token_timeout(TokenStage::Generated, seconds).await
            }
            Self::SetTimeout { generated: None, approved } => {
                // One of the two is there.
                let seconds = approved.unwrap_or_default();
                session.set_token_timeout(TokenStage::Approved, seconds).await
            }
        }
    }
}

/// `login` of interactive mode.
pub(super) async fn log_in(
    session: &mut Session,
    user: &User,
    password: PasswordOf,
    factor: Option<Factor>,
    console: &mut dyn Console,
) -> Answer {
    let password = match password.password {
        Some(password) => Zeroizing::new(password),
        None => secret(console, "Enter password:")?,
    };
    let token = factor.map(|Factor::MfaTokenSign { token }| token);
    session.login(&Login::new(user.named()?, password), token.as_deref(), console).await
}

/// A new password: as given, or asked for twice.
fn new_password(
    given: Option<String>,
    console: &mut dyn Console,
) -> Result<Zeroizing<String>, CliError> {
    if let Some(password) = given {
        return Ok(Zeroizing::new(password));
    }
    let password = secret(console, "Enter password:")?;
    if secret(console, "Confirm password:")? != password {
        return Err(CliError::Login("the passwords differ; nothing was changed"));
    }
    Ok(password)
}

/// Asks for a line that a terminal does not show; the end of the input is an empty one.
fn secret(console: &mut dyn Console, question: &str) -> Result<Zeroizing<String>, CliError> {
    let mut ask = || {
        console.print(question)?;
        let secret = console.secret()?.unwrap_or_default();
        console.print("\n")?;
        Ok(secret)
    };
    ask().map_err(|error| CliError::Configuration(MgmtError::Console(error)))
}

fn service_of(name: &str) -> QuorumService {
    match name {
        "user" => QuorumService::UserManagement,
        _ => QuorumService::Officers,
    }
}
