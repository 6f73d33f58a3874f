//! Start and memory of our server with many keys.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::drive::{self, Load};
use super::operation::Operation;
use super::process::resident_bytes;
use super::signer::signed;
use super::subject::Subject;
use crate::BenchError;

/// Connections over which the keys are made.
const CREATING_CONNECTIONS: usize = 64;
/// Keys made with one signature, which a server takes for five minutes.
const KEYS_PER_SIGNATURE: usize = 12_800;
/// Connections and keys with which the server is asked afterwards.
const CONNECTIONS: usize = 16;
const USED_KEYS_MAX: usize = 4_000;
/// Keys of one page of ListKeys, whose reply has to fit what a connection reads.
const LISTED_KEYS: usize = 200;
/// Starts that are measured; the median counts.
const STARTS: usize = 5;

/// Makes at least `keys` keys, kills the server, starts it again and measures both starts and memory.
///
/// # Errors
/// As [`super::measure`].
pub fn measure(keys: usize, span: Duration) -> Result<String, BenchError> {
    let mut ours = Subject::strongroom(false)?;
    let empty = resident_bytes(ours.process)?.0;
    let creating = Instant::now();
    let mut made = 0;
    while made < keys {
        let count = KEYS_PER_SIGNATURE.min((keys - made).next_multiple_of(CREATING_CONNECTIONS));
        let requests = Arc::new([signed(ours.address, "CreateKey", "{}")?]);
        drive::count(&ours, &Load { requests, connections: CREATING_CONNECTIONS }, count)?;
        made += count;
    }
    let creating = creating.elapsed();
    let mut starts = Vec::new();
    for _ in 0..STARTS {
        let starting = Instant::now();
        ours.restart()?;
        starts.push(starting.elapsed());
    }
    starts.sort_unstable();
    let start = starts.get(STARTS / 2).copied().unwrap_or_default();
    let (started, most) = resident_bytes(ours.process)?;
    let requests = data_keys(&ours)?;
    let measured = drive::closed(&ours, &Load { requests, connections: CONNECTIONS }, span)?;
    let (used, _) = resident_bytes(ours.process)?;

    let mut text = String::from("| | |\n|---|---|\n");
    let mut line = |what: &str, figure: String| {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "| {what} | {figure} |");
    };
    #[expect(clippy::cast_precision_loss, reason = "a rate for people to read")]
    let rate = made as f64 / creating.as_secs_f64();
    line("keys made", format!("{made}, {rate:.0} a second"));
    line("start, killed before, until it answers", format!("{} ms", start.as_millis()));
    line("resident memory without keys", mebibytes(empty));
    line(
        "resident memory after the start",
        format!("{}, at most {}", mebibytes(started), mebibytes(most)),
    );
    line("resident memory after GenerateDataKey with many keys", mebibytes(used));
    line("GenerateDataKey with many keys", format!("{:.0} a second", measured.per_second));
    Ok(text)
}

/// Requests for data keys under many of the server's keys.
fn data_keys(ours: &Subject) -> Result<Arc<[Vec<u8>]>, BenchError> {
    let (mut requests, mut marker) = (Vec::new(), Value::Null);
    while requests.len() < USED_KEYS_MAX {
        let mut input = json!({"Limit": LISTED_KEYS});
        if !marker.is_null() {
            input["Marker"] = marker;
        }
        let listed = ours.call("ListKeys", &input)?;
        for key in listed["Keys"].as_array().into_iter().flatten() {
            let id = key["KeyId"].as_str().unwrap_or_default();
            let operation = Operation::GenerateDataKey;
            let body = operation.body(id, requests.len(), "").to_string();
            requests.push(signed(ours.address, operation.api_name(), &body)?);
        }
        marker = listed["NextMarker"].clone();
        if marker.is_null() {
            break;
        }
    }
    Ok(requests.into())
}

#[expect(clippy::cast_precision_loss, reason = "shown with one decimal")]
fn mebibytes(bytes: u64) -> String {
    format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20))
}
