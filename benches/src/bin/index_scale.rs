//! How large an index may become: opens a location whose index has millions of chunks, and looks some of them up.
//!
//! The location is in a folder, its packs are none: index runs as a collector leaves them, of random chunk ids. Each step is
//! a process of its own, so that its memory is told apart.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::sync::Arc;
use std::time::Instant;

use clap::{Parser, ValueEnum};
use serde_json::{Value, json};
use strongroom::id::{ChunkId, ObjectId};
use strongroom::index::{IndexEntry, PackRecord, RunBuilder, SegmentRecord};
use strongroom::location::{CreateOptions, Location, OpenOptions};
use strongroom::store::connect::{StoreOptions, connect};
use strongroom::store::{Kind, Store};
use strongroom_benches::measure;
use strongroom_sdk::cmm::DefaultCmm;
use strongroom_sdk::keyring::RawAesKeyring;
use strongroom_sdk::secret::SecretBytes;

/// Chunks of a pack of 64 MiB that are 256 KiB long on average.
const CHUNKS_PER_PACK: u64 = 256;
/// Chunks of an index run as collectors merge them, of about 64 MiB.
const CHUNKS_PER_RUN: u64 = 1_350_000;
/// Bytes of a message's header with one wrapped data key.
const HEADER_BYTES: usize = 650;
/// Chunks that are looked up.
const LOOKUPS: u64 = 200_000;

/// Opens a location with an index of many chunks, with an empty cache and with a full one.
#[derive(Parser)]
struct Arguments {
    /// How many chunks.
    #[arg(long, default_value_t = 10_000_000)]
    chunks: u64,
    /// A folder for the location and its cache; needs 100 bytes for each chunk.
    #[arg(long, default_value_os_t = std::env::temp_dir())]
    work: PathBuf,
    /// The step to take, in the folder that `--work` names.
    #[arg(long, value_enum, hide = true)]
    step: Option<Step>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Step {
    Make,
    Open,
}

type Failure = Box<dyn std::error::Error>;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let done = match arguments.step {
        None => show(&arguments),
        Some(step) => take(step, &arguments),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "index_scale: {error}");
            ExitCode::FAILURE
        }
    }
}

fn show(arguments: &Arguments) -> Result<(), Failure> {
    let folder = tempfile::tempdir_in(&arguments.work)?;
    let step = |step: &str| -> Result<(Value, u64), Failure> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["--step", step, "--chunks", &arguments.chunks.to_string(), "--work"]);
        let ended = measure::run(command.arg(folder.path()))?.success()?;
        let told = serde_json::from_str(&ended.stdout).unwrap_or_default();
        Ok((told, ended.usage.peak_memory_bytes))
    };
    step("make")?;
    let mut out = std::io::stdout().lock();
    writeln!(
        out,
        "| cache | chunks | opened in ms | known per second | unknown per second | peak MB |"
    )?;
    writeln!(out, "|---|---|---|---|---|---|")?;
    for cache in ["empty", "full", "full"] {
        let (told, peak) = step("open")?;
        writeln!(
            out,
            "| {cache} | {} | {} | {} | {} | {} |",
            arguments.chunks,
            told["milliseconds"],
            told["known"],
            told["unknown"],
            peak / 1_000_000
        )?;
    }
    Ok(())
}

fn take(step: Step, arguments: &Arguments) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let told = match step {
        Step::Make => runtime.block_on(make(&arguments.work, arguments.chunks))?,
        Step::Open => runtime.block_on(open(&arguments.work, arguments.chunks))?,
    };
    writeln!(std::io::stdout(), "{told}")?;
    Ok(())
}

fn store(work: &Path) -> Result<Arc<Store>, Failure> {
    let options = StoreOptions { create_folder: true, ..StoreOptions::default() };
    Ok(connect(&format!("file://{}", work.join("store").display()), &options)?)
}

fn key() -> Result<Arc<DefaultCmm>, Failure> {
    let keyring = RawAesKeyring::new("benches", "key", SecretBytes::copy_of(&[1; 32]));
    Ok(Arc::new(DefaultCmm::new(Arc::new(keyring?))))
}

async fn make(work: &Path, chunks: u64) -> Result<Value, Failure> {
    let location = Location::create(store(work)?, key()?, &CreateOptions::default()).await?;
    let mut next = 0;
    while next < chunks {
        let end = chunks.min(next + CHUNKS_PER_RUN);
        let mut run = RunBuilder::default();
        while next < end {
            let own = next..end.min(next + CHUNKS_PER_PACK);
            run.pack(&pack(next), own.clone().map(entry));
            next = own.end;
        }
        location.index().write(1, run.serialize()).await?;
    }
    Ok(Value::Null)
}

/// The pack whose first chunk has that number.
fn pack(first: u64) -> PackRecord {
    let segment = |number: u64| SegmentRecord {
        offset: number << 20,
        stored_len: 1 << 20,
        plain_len: 1 << 20,
    };
    PackRecord {
        kind: Kind::Data,
        id: ObjectId::from_bytes(u128::from(first).to_be_bytes()),
        plain_len: 64 << 20,
        header: vec![0; HEADER_BYTES].into(),
        segments: (0..64).map(segment).collect(),
    }
}

fn entry(number: u64) -> IndexEntry {
    let place = (number % CHUNKS_PER_PACK) as u32;
    IndexEntry { id: id(number), segment: place / 4, offset: (place % 4) << 18, len: 1 << 18 }
}

/// A chunk id as random as a keyed hash, and always the same: four numbers of a generator that the chunk's number seeds.
fn id(number: u64) -> ChunkId {
    let mut random = fastrand::Rng::with_seed(number.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    let mut bytes = [0; 32];
    random.fill(&mut bytes);
    ChunkId::from_bytes(bytes)
}

async fn open(work: &Path, chunks: u64) -> Result<Value, Failure> {
    let options = OpenOptions { cache: Some(work.join("cache")) };
    let started = Instant::now();
    let location = Location::open(store(work)?, key()?, &options).await?;
    let catalog = location.catalog().await?;
    let opened = started.elapsed();
    let per_second = |numbers: &mut dyn Iterator<Item = u64>, there: bool| {
        let started = Instant::now();
        let found = numbers.filter(|number| catalog.find(Kind::Data, &id(*number)).is_some());
        let expected = if there { LOOKUPS as usize } else { 0 };
        let found = found.count();
        let seconds = started.elapsed().as_secs_f64();
        (found == expected)
            .then_some((LOOKUPS as f64 / seconds) as u64)
            .ok_or_else(|| format!("{found} of {LOOKUPS} chunks were found, not {expected}"))
    };
    let mut random = fastrand::Rng::with_seed(1);
    let known = per_second(&mut (0..LOOKUPS).map(|_| random.u64(..chunks)), true)?;
    let unknown = per_second(&mut (chunks..chunks + LOOKUPS), false)?;
    Ok(json!({ "milliseconds": opened.as_millis() as u64, "known": known, "unknown": unknown }))
}
