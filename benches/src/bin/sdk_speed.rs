//! Measures the SDK beside the raw cipher that it uses, in one run, and prints the ratio.
//!
//! On one core, time is processor time of the one thread that does all the work, so that a busy machine
//! changes the figures little. On several it is the wall's, beside what their processor time allows.

use std::io::Write;

use clap::Parser;
use strongroom_benches::sdk_speed::{
    Extent, Outcome, measure, measure_cores, side_by_side, write_head, write_rows,
};
use strongroom_sdk::message::suite::AlgorithmSuite;

/// Measures every surface of the SDK beside the raw cipher.
#[derive(Parser)]
struct Arguments {
    /// MiB of plaintext in a message.
    #[arg(long, default_value_t = 64)]
    mebibytes: usize,
    /// How often each figure is measured; the best counts.
    #[arg(long, default_value_t = 7)]
    rounds: usize,
    /// Frame lengths in bytes.
    #[arg(long, default_values_t = [4096, 65536])]
    frame_length: Vec<u32>,
    /// Threads of the parallel surface.
    #[arg(long, default_value_t = 2)]
    threads: usize,
    /// Measures, in place of all that, the other implementations of the AWS Encryption SDK beside ours.
    #[arg(long)]
    peers: bool,
    /// 1 KiB messages in a round beside the other implementations.
    #[arg(long, default_value_t = 500)]
    messages: u64,
}

fn main() -> Outcome<()> {
    let Arguments { mebibytes, rounds, frame_length, threads, peers, messages } =
        Arguments::parse();
    let mut out = std::io::stdout();
    if peers {
        let tables = side_by_side(Extent { mebibytes, messages, rounds, threads })?;
        return Ok(write!(out, "{tables}")?);
    }
    writeln!(out, "{mebibytes} MiB, best of {rounds}; GB/s of plaintext\n")?;
    write_head(&mut out)?;
    for frame_length in frame_length {
        for suite in [
            AlgorithmSuite::Aes256GcmHkdfSha512CommitKey,
            AlgorithmSuite::Aes256GcmHkdfSha512CommitKeyEcdsaP384,
        ] {
            let bytes = mebibytes << 20;
            write_rows(&mut out, &measure(suite, frame_length, bytes, rounds)?)?;
            write_rows(&mut out, &measure_cores(suite, frame_length, bytes, rounds, threads)?)?;
        }
    }
    Ok(())
}
