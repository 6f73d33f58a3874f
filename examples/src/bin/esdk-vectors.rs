//! Decrypts or encrypts the messages of a manifest of AWS Encryption SDK test vectors, each through every
//! surface of the SDK.
//!
//! ```sh
//! esdk-vectors decrypt manifest.json
//! esdk-vectors decrypt manifest.json --keys keys.json --kms-endpoint http://127.0.0.1:8080
//! esdk-vectors encrypt encrypt-manifest.json --out messages
//! ```
//! One line for each vector that failed; last how many passed, failed and were skipped, and why the last
//! were. Exit status 0 if none failed, 1 if any did, 2 if the manifest cannot be used.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use strongroom_examples::vectors::{self, Inputs, KmsAccess, Report};

/// Test vectors of the AWS Encryption SDK, through every surface of the SDK.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Decrypts every message of an `awses-decrypt` manifest, and compares.
    Decrypt(Common),
    /// Encrypts every message of an `awses-encrypt` manifest, and writes what readers need to decrypt them.
    Encrypt {
        #[command(flatten)]
        common: Common,
        /// The folder for manifest, keys, plaintexts and ciphertexts.
        #[arg(long, value_name = "FOLDER")]
        out: PathBuf,
    },
}

#[derive(Args)]
struct Common {
    /// The manifest, or the folder that it is in.
    manifest: PathBuf,
    /// The keys manifest [default: the one that the manifest names].
    #[arg(long)]
    keys: Option<PathBuf>,
    /// URL of the KMS to try vectors with KMS keys against; without it they are skipped.
    #[arg(long, value_name = "URL")]
    kms_endpoint: Option<String>,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let mut out = std::io::stdout().lock();
    match run(&arguments.command, &mut out).await {
        Ok(report) if writeln!(out, "{report}").is_ok() && report.failed() == 0 => {
            ExitCode::SUCCESS
        }
        Ok(_) => ExitCode::from(1),
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "esdk-vectors: {error}");
            ExitCode::from(2)
        }
    }
}

async fn run(command: &Command, out: &mut dyn Write) -> vectors::Result<Report> {
    let (Command::Decrypt(common) | Command::Encrypt { common, .. }) = command;
    let kms = match &common.kms_endpoint {
        Some(endpoint) => KmsAccess::at(endpoint).await,
        None => KmsAccess::none(),
    };
    let keys = common.keys.as_deref();
    let inputs = Inputs { manifest: &common.manifest, keys, kms: &kms };
    match command {
        Command::Decrypt(_) => vectors::decrypt(&inputs, out).await,
        Command::Encrypt { out: folder, .. } => vectors::encrypt(&inputs, folder, out).await,
    }
}
