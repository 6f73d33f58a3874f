//! The command line: options in, one command run, one exit code out.
//!
//! Only here are terminal, environment and home touched; the library below knows none of them.
//! Each command has a file; [`exit`] alone says which failure ends in which code and hint.

mod archive;
mod bench;
mod cache;
mod cat;
mod check;
mod completions;
mod config;
mod connect;
mod diff;
mod entries;
mod exit;
mod exit_code;
mod failure;
mod find;
mod forget;
mod location;
mod ls;
mod man;
mod message;
mod output;
mod prune;
mod quantity;
mod question;
#[cfg(feature = "embedded-kms")]
mod quickstart;
mod recipients;
mod rekey;
mod repair;
mod report;
mod restore;
mod select;
mod snapshots;
mod stats;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, CommandFactory as _, FromArgMatches as _, Parser, Subcommand};

use self::exit::Failure;
use self::message::argument_file;
use self::message::failure::MessageFailure;
use self::message::mode::Mode;
use self::output::Output;

/// Archives directories to object stores, encrypted under a key that never leaves its KMS.
#[derive(Parser)]
#[command(name = "strongroom", version, propagate_version = true, max_term_width = 100)]
struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

/// What every command takes.
#[derive(Args, Clone, Debug)]
struct Global {
    /// Print the result as JSON (version 1) on standard output.
    #[arg(long, global = true)]
    json: bool,
    /// Print no progress and no summary.
    #[arg(long, short, global = true)]
    quiet: bool,
    /// Say more: once for entries left out on purpose, twice for what the libraries do.
    #[arg(long, short, global = true, action = clap::ArgAction::Count)]
    verbose: u8,
    /// The configuration file [default: $XDG_CONFIG_HOME/strongroom/config.toml].
    #[arg(long, global = true, value_name = "FILE", env = "STRONGROOM_CONFIG")]
    config: Option<PathBuf>,
}

#[derive(Subcommand)]
enum Command {
    /// Make, list, show and check archival locations.
    #[command(subcommand)]
    Location(location::Command),
    /// Archive directories and files into a new snapshot.
    Archive(archive::Arguments),
    /// List the snapshots of a location.
    Snapshots(snapshots::Arguments),
    /// List what is in a snapshot.
    Ls(ls::Arguments),
    /// Find entries by name, type, size and time, in one snapshot or in all.
    Find(find::Arguments),
    /// Show what changed between two snapshots.
    Diff(diff::Arguments),
    /// Write an archived file to standard output.
    Cat(cat::Arguments),
    /// Restore a snapshot, or parts of it, into a directory.
    Restore(restore::Arguments),
    /// Forget snapshots, by rules of retention or by name.
    Forget(forget::Arguments),
    /// Check that a location is whole, and name every object that is not.
    Check(check::Arguments),
    /// Remove what no snapshot needs any more, while archives may run.
    Prune(prune::Arguments),
    /// Exchange the keys that a location is under, while archives may run.
    Rekey(rekey::Arguments),
    /// Mend what can be mended.
    #[command(subcommand)]
    Repair(repair::Command),
    /// Encrypt files, directories or a pipe into messages of the AWS Encryption SDK.
    Encrypt(message::arguments::Encrypt),
    /// Decrypt messages of the AWS Encryption SDK.
    Decrypt(message::arguments::Decrypt),
    /// Decrypt messages, but no signed ones, which a pipe gets before they are verified.
    DecryptUnsigned(message::arguments::Decrypt),
    /// Show what a location or its snapshots hold, and what that takes in the store.
    Stats(stats::Arguments),
    /// Measure what this machine, a location's store and its KMS can do.
    Bench(bench::Arguments),
    /// Show or clear what is kept here of locations.
    #[command(subcommand)]
    Cache(cache::Command),
    /// Print what makes a shell complete commands and options.
    Completions(completions::Arguments),
    /// Print or write the manual's pages.
    Man(man::Arguments),
    /// Do the whole job once, on embedded defaults, and see it compared.
    #[cfg(feature = "embedded-kms")]
    Quickstart(quickstart::Arguments),
}

impl Command {
    const fn name(&self) -> &'static str {
        match self {
            Self::Location(command) => command.name(),
            Self::Archive(_) => "archive",
            Self::Bench(_) => "bench",
            Self::Snapshots(_) => "snapshots",
            Self::Ls(_) => "ls",
            Self::Find(_) => "find",
            Self::Diff(_) => "diff",
            Self::Cat(_) => "cat",
            Self::Restore(_) => "restore",
            Self::Forget(_) => "forget",
            Self::Check(_) => "check",
            Self::Prune(_) => "prune",
            Self::Rekey(_) => "rekey",
            Self::Repair(command) => command.name(),
            Self::Encrypt(_) => Mode::Encrypt.name(),
            Self::Decrypt(_) => Mode::Decrypt.name(),
            Self::DecryptUnsigned(_) => Mode::DecryptUnsigned.name(),
            Self::Stats(_) => "stats",
            Self::Cache(command) => command.name(),
            Self::Completions(_) => "completions",
            Self::Man(_) => "man",
            #[cfg(feature = "embedded-kms")]
            Self::Quickstart(_) => "quickstart",
        }
    }
}

/// Runs the command that the process was started with.
pub(crate) fn main() -> ExitCode {
    let command = command();
    let arguments = match arguments(&command) {
        Ok(arguments) => arguments,
        Err(failure) => return ExitCode::from(exit::end_before(failure)),
    };
    let parsed = command.try_get_matches_from(arguments);
    let cli = match parsed.and_then(|matches| Cli::from_arg_matches(&matches)) {
        Ok(cli) => cli,
        Err(error) => {
            // Help is what was asked for, and a closed pipe is no reason to complain.
            let _ = error.print();
            return ExitCode::from(if error.use_stderr() { exit::USAGE } else { exit::SUCCESS });
        }
    };
    raise_open_files_limit();
    start_tracing(cli.global.verbose);
    let output = Output::new(cli.command.name(), &cli.global);
    let result = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|source| Failure::Start { source })
        .and_then(|runtime| runtime.block_on(run(cli, &output)));
    ExitCode::from(exit::end(result, &output))
}

/// The whole command line, for parsing and for whoever describes it.
fn command() -> clap::Command {
    Cli::command().after_long_help(exit::table())
}

async fn run(cli: Cli, output: &Output) -> Result<(), Failure> {
    let global = &cli.global;
    match cli.command {
        Command::Location(command) => location::run(command, global, output).await,
        Command::Archive(arguments) => archive::run(arguments, global, output).await,
        Command::Snapshots(arguments) => snapshots::run(arguments, global, output).await,
        Command::Ls(arguments) => ls::run(arguments, global, output).await,
        Command::Find(arguments) => find::run(arguments, global, output).await,
        Command::Diff(arguments) => diff::run(arguments, global, output).await,
        Command::Cat(arguments) => cat::run(arguments, global, output).await,
        Command::Restore(arguments) => restore::run(arguments, global, output).await,
        Command::Forget(arguments) => forget::run(arguments, global, output).await,
        Command::Check(arguments) => check::run(arguments, global, output).await,
        Command::Prune(arguments) => prune::run(arguments, global, output).await,
        Command::Rekey(arguments) => rekey::run(arguments, global, output).await,
        Command::Repair(command) => repair::run(command, global, output).await,
        Command::Encrypt(arguments) => message::encrypt(arguments, output).await,
        Command::Decrypt(arguments) => message::decrypt(Mode::Decrypt, arguments, output).await,
        Command::DecryptUnsigned(arguments) => {
            message::decrypt(Mode::DecryptUnsigned, arguments, output).await
        }
        Command::Bench(arguments) => bench::run(arguments, global, output).await,
        Command::Stats(arguments) => stats::run(arguments, global, output).await,
        Command::Cache(command) => cache::run(&command, output),
        Command::Completions(arguments) => completions::run(&arguments, output),
        Command::Man(arguments) => man::run(arguments, output),
        #[cfg(feature = "embedded-kms")]
        Command::Quickstart(arguments) => quickstart::run(arguments, output).await,
    }
}

/// The arguments of the process, with those from files that the commands about messages take.
fn arguments(command: &clap::Command) -> Result<Vec<OsString>, Failure> {
    let mut before: Vec<OsString> = std::env::args_os().collect();
    let name = |argument: &OsString| command.find_subcommand(argument);
    let Some(at) = before.iter().skip(1).position(|argument| name(argument).is_some()) else {
        return Ok(before);
    };
    let rest = before.split_off(at + 1);
    let modes = [Mode::Encrypt, Mode::Decrypt, Mode::DecryptUnsigned];
    if rest.first().is_some_and(|given| modes.iter().any(|mode| given == mode.name())) {
        before.extend(argument_file::expand(rest).map_err(MessageFailure::ArgumentFile)?);
    } else {
        before.extend(rest);
    }
    Ok(before)
}

/// A restore holds many files open at once; the usual soft limit of 1,024 is for programs that
/// use `select`, which this one does not.
fn raise_open_files_limit() {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    // Without it a very large restore may fail for some files, and say so.
    let _ = setrlimit(Resource::Nofile, limit);
}

fn start_tracing(verbose: u8) {
    let filter = match verbose {
        0 | 1 => return,
        2 => "strongroom=debug,warn",
        _ => "debug",
    };
    let subscriber =
        tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).finish();
    // Nobody else in this process sets one.
    let _ = tracing::subscriber::set_global_default(subscriber);
}
