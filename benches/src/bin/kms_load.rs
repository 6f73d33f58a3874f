//! Measures the KMS under load beside other emulators and a bare HTTP server, in one run.

use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, ValueEnum};
use strongroom_benches::kms_load::{Extent, Operation, measure, measure_many_keys, serve_bare};
use strongroom_benches::{BenchError, explain};

/// Measures the KMS under load, beside what `.ci/peers venv-moto local-kms` installs.
#[derive(Parser)]
struct Arguments {
    /// Seconds for each figure
    #[arg(long, default_value_t = 2.0)]
    seconds: f64,

    /// Numbers of connections
    #[arg(long, value_delimiter = ',', default_values_t = [1, 4, 16, 64])]
    connections: Vec<usize>,

    /// Operations; all by default
    #[arg(long, value_delimiter = ',', value_enum)]
    operations: Vec<Operation>,

    /// Leave the other emulators out
    #[arg(long)]
    without_peers: bool,

    /// Measure, in place of all that, start and memory with so many keys
    #[arg(long, value_name = "COUNT")]
    keys: Option<usize>,

    /// Be the bare server, on this address
    #[arg(long, hide = true, requires = "bare_reply")]
    bare: Option<SocketAddr>,

    /// What the bare server answers
    #[arg(long, hide = true)]
    bare_reply: Option<PathBuf>,
}

fn main() -> ExitCode {
    match run(Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Nobody is left to be told if standard error is closed.
            let _ = writeln!(std::io::stderr(), "kms_load: {}", explain(&error));
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: Arguments) -> Result<(), BenchError> {
    if let (Some(address), Some(reply)) = (arguments.bare, arguments.bare_reply) {
        return serve_bare(address, &reply);
    }
    let span = Duration::from_secs_f64(arguments.seconds.clamp(0.1, 60.0));
    let text = match arguments.keys {
        Some(keys) => measure_many_keys(keys, span)?,
        None => {
            let all = arguments.operations.is_empty();
            measure(&Extent {
                span,
                connections: arguments.connections,
                operations: if all {
                    Operation::value_variants().to_vec()
                } else {
                    arguments.operations
                },
                with_peers: !arguments.without_peers,
            })?
            .to_string()
        }
    };
    std::io::stdout().write_all(text.as_bytes()).map_err(BenchError::file("standard output"))
}
