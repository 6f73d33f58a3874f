//! The command line: one file per subcommand.

mod admin;
mod audit;
mod backup;
mod hsm;
mod hsm_cli;
mod mgmt;
mod network;
mod serve;

use std::io::Write;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// AWS KMS and CloudHSM on simulated HSM hardware.
#[derive(Debug, Parser)]
#[command(name = "strongroom-kms", version, about)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve KMS, CloudHSM v2 and STS over HTTP.
    Serve(serve::Serve),
    /// Run a simulated HSM; switch those of a running server on and off
    Hsm(hsm::Hsm),
    /// Break and mend the built-in network of a running server
    Network(network::Network),
    /// Make accounts, users and roles, while the server runs or not
    Admin(admin::Admin),
    /// Read and verify the audit trail
    Audit(audit::Audit),
    /// Back a data directory up, while its server runs or not
    Backup(backup::Backup),
    /// Make a data directory from a backup
    Restore(backup::Restore),
    /// Manage the users of a cluster's HSMs, as cloudhsm_mgmt_util does
    Mgmt(mgmt::Mgmt),
    /// Manage users, keys and quorums of a cluster, as CloudHSM CLI does, in JSON
    HsmCli(hsm_cli::HsmCli),
    /// Tell the management tool which HSMs there are
    Configure(mgmt::Configure),
}

/// Runs a command; an error is one sentence on standard error and exit code 1.
pub(crate) fn run(arguments: Arguments) -> ExitCode {
    let result = match arguments.command {
        Command::Serve(serve) => serve.run(),
        Command::Hsm(hsm) => hsm.run(),
        Command::Network(network) => network.run(),
        Command::Admin(admin) => admin.run(),
        Command::Audit(audit) => audit.run(),
        Command::Backup(backup) => backup.run(),
        Command::Restore(restore) => restore.run(),
        Command::Mgmt(mgmt) => mgmt.run(),
        Command::HsmCli(cli) => cli.run(),
        Command::Configure(configure) => configure.run(),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Nobody is left to be told if standard error is closed.
            drop(writeln!(std::io::stderr(), "strongroom-kms: {error}"));
            ExitCode::FAILURE
        }
    }
}
