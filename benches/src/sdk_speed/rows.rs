//! The table: one row for each figure, beside what it is measured against.

use std::io::Write;
use std::time::Duration;

use strongroom_sdk::message::suite::AlgorithmSuite;

use super::raw::Raw;
use super::{Bench, Outcome};

/// One figure.
#[derive(Debug, Clone)]
pub struct Row {
    /// The suite and the frame length in bytes, or what else the figure is of.
    pub of: String,
    /// What was done.
    pub what: String,
    /// GB/s of plaintext.
    pub speed: f64,
    /// What it is measured against.
    pub against: String,
    /// The part of that: 1 is as fast.
    pub part: f64,
}

/// Writes the head of a Markdown table of rows.
///
/// # Errors
/// What writing returns.
pub fn write_head(out: &mut impl Write) -> std::io::Result<()> {
    writeln!(out, "| of | what | GB/s | against | part |\n|---|---|---|---|---|")
}

/// Writes rows below the head or other rows.
///
/// # Errors
/// What writing returns.
pub fn write_rows(out: &mut impl Write, rows: &[Row]) -> std::io::Result<()> {
    for Row { of, what, speed, against, part } in rows {
        writeln!(out, "| {of} | {what} | {speed:.2} | {against} | {:.0} % |", 100.0 * part)?;
    }
    out.flush()
}

/// Measures every surface on one core, each beside the raw cipher over the same buffers; a signed suite
/// beside SHA-384 alone.
///
/// # Errors
/// What the SDK and the cipher return.
pub fn measure(
    suite: AlgorithmSuite,
    frame_length: u32,
    plaintext_bytes: usize,
    rounds: usize,
) -> Outcome<Vec<Row>> {
    let bench = Bench::new(suite, frame_length, plaintext_bytes)?;
    let mut raw = Raw::new(plaintext_bytes, frame_length as usize)?;
    let mut table =
        Table { of: format!("{suite}, {frame_length}"), plaintext_bytes, rows: Vec::new() };
    let (mut message, mut plaintext) = (Vec::new(), Vec::new());
    let mut room = vec![0; plaintext_bytes];
    let sha = best(rounds, || Ok(raw.sha_384()))?;
    let mut row = |what, raw_name, raw_time, time| match suite.signature() {
        Some(_) => table.push(what, "SHA-384 alone", sha, time),
        None => table.push(what, raw_name, raw_time, time),
    };

    let cached = best(rounds, || raw.seal_in_place())?;
    row("seal frames in place", "raw, same buffer", cached, best(rounds, || bench.seal_frames())?);
    let apart = best(rounds, || raw.seal_apart())?;
    let into = best(rounds, || bench.encrypt_bytes_into(&mut message))?;
    row("encrypt bytes, reused vector", "raw, vector to vector", apart, into);
    row(
        "encrypt bytes, fresh vector",
        "raw, reused vector",
        apart,
        best(rounds, || bench.encrypt_bytes())?,
    );
    let through = best(rounds, || raw.seal_through())?;
    row(
        "encrypt std::io",
        "raw, vector to frame",
        through,
        best(rounds, || bench.encrypt_stream())?,
    );

    let in_place = best(rounds, || raw.open_in_place())?;
    row(
        "open frames in place",
        "raw, same buffer",
        in_place,
        best(rounds, || bench.open_frames())?,
    );
    let apart = best(rounds, || raw.open_apart(&mut room))?;
    let into = best(rounds, || bench.decrypt_bytes_into(&mut plaintext))?;
    row("decrypt bytes, reused vector", "raw, vector to vector", apart, into);
    row(
        "decrypt bytes, fresh vector",
        "raw, reused vector",
        apart,
        best(rounds, || bench.decrypt_bytes())?,
    );
    let through = best(rounds, || raw.open_through())?;
    row(
        "decrypt std::io",
        "raw, vector to frame",
        through,
        best(rounds, || bench.decrypt_stream())?,
    );
    let read = best(rounds, || bench.decrypt_read())?;
    row("decrypt std::io, read", "raw, vector to frame", through, read);
    let buffered = best(rounds, || bench.decrypt_buffered())?;
    row("decrypt std::io, buffered", "raw, vector to frame", through, buffered);
    let ranges = best(rounds, || bench.read_ranges())?;
    table.push("random 1 MiB ranges", "raw, vector to frame", through, ranges);
    Ok(table.rows)
}

/// Measures the parallel byte surface on one thread and on `threads`: what the part of the first is, in
/// wall time, and what the same threads would reach if the machine had nothing else to do.
///
/// # Errors
/// What the SDK returns, and what building a pool does.
pub fn measure_cores(
    suite: AlgorithmSuite,
    frame_length: u32,
    plaintext_bytes: usize,
    rounds: usize,
    threads: usize,
) -> Outcome<Vec<Row>> {
    let bench = Bench::new(suite, frame_length, plaintext_bytes)?;
    let pools = [pool(1)?, pool(threads)?];
    let mut table =
        Table { of: format!("{suite}, {frame_length}"), plaintext_bytes, rows: Vec::new() };
    let mut buffer = Vec::new();
    let mut cores =
        |what: &str, work: &mut dyn FnMut(&rayon::ThreadPool) -> Outcome<(Duration, Duration)>| {
            let mut wall = [Duration::MAX; 2];
            let mut cpu = [Duration::MAX; 2];
            for _ in 0..rounds {
                for (index, pool) in pools.iter().enumerate() {
                    let (took, used) = work(pool)?;
                    wall[index] = wall[index].min(took);
                    cpu[index] = cpu[index].min(used);
                }
            }
            let shared = cpu[1] / u32::try_from(threads).unwrap_or(1);
            let what = format!("{what}, {threads} threads");
            table.push(&what, "1 thread, wall time", wall[0], wall[1]);
            // One thread hashes a signed message: what the others take does not divide by all.
            if suite.signature().is_none() {
                table.push(&what, "1 thread, processor time", cpu[0], shared);
            }
            Outcome::Ok(())
        };
    cores("encrypt bytes", &mut |pool| bench.encrypt_parallel(pool, &mut buffer))?;
    cores("decrypt bytes", &mut |pool| bench.decrypt_parallel(pool, &mut buffer))?;
    Ok(table.rows)
}

fn pool(threads: usize) -> Outcome<rayon::ThreadPool> {
    Ok(rayon::ThreadPoolBuilder::new().num_threads(threads).build()?)
}

struct Table {
    of: String,
    plaintext_bytes: usize,
    rows: Vec<Row>,
}

impl Table {
    fn push(&mut self, what: &str, against: &str, raw: Duration, time: Duration) {
        self.rows.push(Row {
            of: self.of.clone(),
            what: what.to_owned(),
            speed: self.plaintext_bytes as f64 / time.as_secs_f64() / 1e9,
            against: against.to_owned(),
            part: raw.as_secs_f64() / time.as_secs_f64(),
        });
    }
}

/// The fastest of `rounds`.
fn best(rounds: usize, mut work: impl FnMut() -> Outcome<Duration>) -> Outcome<Duration> {
    let mut best = Duration::MAX;
    for _ in 0..rounds {
        best = best.min(work()?);
    }
    Ok(best)
}
