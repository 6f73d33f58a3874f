//! What can be typed.

use std::path::PathBuf;

use strongroom_kms::hsm_cli::{CliError, UserOf};

/// What follows `hsm-cli`.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Mode {
    /// Take commands from standard input, as `aws-cloudhsm >` does
    Interactive,
    #[command(flatten)]
    Single(Command),
}

/// A line of interactive mode.
#[derive(Debug, clap::Parser)]
#[command(
    no_binary_name = true,
    name = "",
    disable_version_flag = true,
    about = "Manage the HSMs, users and keys of a cluster"
)]
pub(super) struct Line {
    #[command(subcommand)]
    pub(super) command: Typed,
}

#[derive(Debug, clap::Subcommand)]
pub(super) enum Typed {
    /// Log in to all HSMs of the cluster
    Login {
        #[command(flatten)]
        user: User,
        #[command(flatten)]
        password: PasswordOf,
        #[command(subcommand)]
        factor: Option<Factor>,
    },
    /// Log out of all HSMs of the cluster
    Logout,
    /// End
    #[command(alias = "exit")]
    Quit,
    #[command(flatten)]
    Command(Command),
}

#[derive(Debug, clap::Subcommand)]
pub(super) enum Factor {
    /// Log in with a second factor that signs tokens
    MfaTokenSign {
        /// File to which the tokens to be signed are written
        #[arg(long)]
        token: PathBuf,
    },
}

#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// The cluster as a whole
    #[command(subcommand)]
    Cluster(ClusterCommand),
    /// The users of the cluster
    #[command(subcommand)]
    User(UserCommand),
    /// The keys of the user who is logged in
    #[command(subcommand)]
    Key(KeyCommand),
    /// How many officers an operation needs, and their approvals
    #[command(subcommand)]
    Quorum(QuorumCommand),
}

#[derive(Debug, clap::Subcommand)]
pub(super) enum ClusterCommand {
    /// Give the first officer a password: the cluster becomes active
    Activate(PasswordOf),
    /// Show the HSMs
    HsmInfo,
}

#[derive(Debug, clap::Subcommand)]
pub(super) enum UserCommand {
    /// List the users; needs no login
    List,
    /// Make a user on every HSM
    Create {
        #[command(flatten)]
        user: User,
        #[command(flatten)]
        new: PasswordOf,
        #[command(flatten)]
        approval: Approval,
    },
    /// Delete a user from every HSM
    Delete {
        #[command(flatten)]
        user: User,
        #[command(flatten)]
        approval: Approval,
    },
    /// Change a user's password on every HSM
    ChangePassword {
        #[command(flatten)]
        user: User,
        #[command(flatten)]
        new: PasswordOf,
        #[command(flatten)]
        approval: Approval,
        /// Let the user's second factor go with the old password, if there is one
        #[arg(long)]
        deregister_mfa: bool,
    },
    /// Change a user's second factor
    #[command(subcommand)]
    ChangeMfa(ChangeMfa),
    /// Change the key that approves quorum tokens
    #[command(subcommand)]
    ChangeQuorum(ChangeQuorum),
}

#[derive(Debug, clap::Subcommand)]
pub(super) enum ChangeMfa {
    /// Register or deregister the public key of a second factor that signs tokens
    TokenSign {
        #[command(flatten)]
        user: User,
        /// The user's new password; asked for if it is not given
        #[arg(long)]
        change_password: Option<String>,
        /// File to which the tokens to be signed are written
        #[arg(long, required_unless_present = "deregister", conflicts_with = "deregister")]
        token: Option<PathBuf>,
        /// Deregister the public key
        #[arg(long)]
        deregister: bool,
        /// Change the quorum key along with it, which these HSMs always do
        #[arg(long, conflicts_with = "deregister")]
        change_quorum: bool,
        #[command(flatten)]
        approval: Approval,
    },
}

#[derive(Debug, clap::Subcommand)]
pub(super) enum ChangeQuorum {
    /// By signed tokens
    #[command(subcommand)]
    TokenSign(RegisterQuorum),
}

#[derive(Debug, clap::Subcommand)]
pub(super) enum RegisterQuorum {
    /// Register the key of the officer who is logged in
    Register {
        /// File of the public key in PEM
        #[arg(long)]
        public_key: PathBuf,
        /// File of a registration token, signed
        #[arg(long)]
        signed_token: PathBuf,
    },
}

#[derive(Debug, clap::Subcommand)]
pub(super) enum KeyCommand {
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
pub(super) enum QuorumCommand {
    /// Quorums by signed tokens
    #[command(subcommand)]
    TokenSign(TokenSignCommand),
}

#[derive(Debug, clap::Subcommand)]
pub(super) enum TokenSignCommand {
    /// Write a token of each HSM to a file, to be signed
    Generate {
        /// What the token is for: user, quorum, or registration of a key
        #[arg(long, value_parser = ["user", "quorum", "registration"])]
        service: String,
        /// The file
        #[arg(long)]
        token: PathBuf,
    },
    /// List the tokens
    List,
    /// Delete tokens
    Delete {
        /// One's own (user), or everybody's (all)
        #[arg(long, value_parser = ["user", "all"])]
        scope: String,
    },
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
        #[command(flatten)]
        approval: Approval,
    },
    /// List for how many seconds tokens are good
    ListTimeouts,
    /// Set for how many seconds tokens are good
    SetTimeout {
        /// To be approved
        #[arg(long, required_unless_present = "approved")]
        generated: Option<u32>,
        /// To be used, once approved
        #[arg(long, conflicts_with = "generated")]
        approved: Option<u32>,
    },
}

#[derive(Debug, clap::Args)]
pub(super) struct User {
    /// Name of the user
    #[arg(long)]
    username: String,

    /// Role of the user: admin or crypto-user
    #[arg(long = "role", id = "user_role", value_name = "ROLE", value_parser = ["admin", "crypto-user"])]
    role: String,
}

impl User {
    pub(super) fn named(&self) -> Result<UserOf, CliError> {
        UserOf::new(&self.username, &self.role)
    }
}

#[derive(Debug, clap::Args)]
pub(super) struct PasswordOf {
    /// The password; asked for if it is not given
    #[arg(long)]
    pub(super) password: Option<String>,
}

#[derive(Debug, clap::Args)]
pub(super) struct Approval {
    /// File of a quorum token that officers have signed
    #[arg(long)]
    pub(super) approval: Option<PathBuf>,
}

#[derive(Debug, clap::Args)]
pub(super) struct Sharing {
    /// Label of the keys
    #[arg(long)]
    pub(super) label: String,

    /// The other crypto user
    #[arg(long)]
    pub(super) username: String,
}
