//! Measures what this machine, a location's store and its KMS can do, each by itself.
//!
//! An archive cannot be faster than the slowest of them; which one that is tells what to change. What is written to
//! the store is removed again.

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::stream::{self, StreamExt, TryStreamExt};
use serde::Serialize;
use strongroom_sdk::oneshot;

use crate::control::Control;
use crate::envelope::encrypt_options;
use crate::error::{Error, Result};
use crate::id::ObjectId;
use crate::location::Location;
use crate::store::{ObjectName, Store};

/// Bytes that are compressed together, as in a pack.
const SEGMENT_BYTES: usize = 1 << 20;
/// Bytes of a small object, such as a session or a snapshot.
const SMALL_BYTES: usize = 1_024;
/// What each measurement of the machine takes at least.
const SPAN: Duration = Duration::from_millis(500);

/// How much is measured.
#[derive(Clone, Copy, Debug)]
pub struct BenchOptions {
    /// Bytes that the machine works on.
    pub bytes: usize,
    /// Bytes of a large object in the store.
    pub object_bytes: usize,
    /// Large objects that are written and read.
    pub objects: usize,
    /// Small requests of each kind, to the store and to the KMS.
    pub requests: usize,
    /// Requests in flight where a rate is measured.
    pub in_flight: usize,
}

impl Default for BenchOptions {
    fn default() -> Self {
        let (bytes, object_bytes) = (64 << 20, 16 << 20);
        Self { bytes, object_bytes, objects: 8, requests: 64, in_flight: 8 }
    }
}

/// What was measured.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Figures {
    /// This machine.
    pub machine: Machine,
    /// The store.
    pub store: StoreFigures,
    /// The KMS.
    pub kms: Kms,
}

/// Bytes a second on one thread. The data are half random, half text.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Machine {
    /// Cutting into chunks.
    pub chunking: u64,
    /// Naming chunks.
    pub hashing: u64,
    /// Compressing at the location's level.
    pub compression: u64,
    /// Encrypting in the location's suite.
    pub encryption: u64,
}

/// What the store does.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct StoreFigures {
    /// Bytes a second into the store, large objects, several in flight.
    pub write: u64,
    /// Bytes a second out of it.
    pub read: u64,
    /// Creating a small object.
    pub small_create: Latency,
    /// Reading one.
    pub small_read: Latency,
}

/// What the KMS does.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Kms {
    /// Asking for a data key, one after another.
    pub data_key: Latency,
    /// Data keys a second, several in flight: as many objects can be begun.
    pub data_keys: u64,
    /// Having a data key decrypted, one after another.
    pub decrypt: Latency,
}

/// How long requests took, in milliseconds.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Latency {
    /// Half of them took no longer.
    pub median_ms: f64,
    /// 99 of 100 took no longer.
    pub p99_ms: f64,
}

/// Measures all.
///
/// # Errors
/// Whatever the store or the KMS refuse; a KMS has to allow what a writer and a reader of data does.
pub async fn bench(
    location: &Arc<Location>,
    options: BenchOptions,
    control: &Control,
) -> Result<Figures> {
    let machine = machine(location, options).await?;
    control.check()?;
    let store = store(location.store(), options, control).await?;
    let kms = kms(location, options, control).await?;
    Ok(Figures { machine, store, kms })
}

async fn machine(location: &Arc<Location>, options: BenchOptions) -> Result<Machine> {
    let name = ObjectName::DataPack(ObjectId::random());
    let materials = location.envelope().encryption_materials(name).await?;
    let location = location.clone();
    let measured = tokio::task::spawn_blocking(move || {
        let data = half_text(options.bytes);
        let length = data.len() as u64;
        let chunker = location.chunkers().for_size(length);
        let chunking = rate(length, || {
            let mut rest = data.as_slice();
            while !rest.is_empty() {
                rest = rest.get(chunker.cut(rest).max(1)..).unwrap_or_default();
            }
            Ok(())
        })?;
        let average = chunker.parameters().bytes_average as usize;
        let hashing = rate(length, || {
            for chunk in data.chunks(average) {
                black_box(location.hasher().id(chunk));
            }
            Ok(())
        })?;
        let compression = rate(length, || {
            data.chunks(SEGMENT_BYTES).try_for_each(|segment| {
                let length = u32::try_from(segment.len()).unwrap_or(u32::MAX);
                location.codec().encode(segment, &[length]).map(|encoded| drop(black_box(encoded)))
            })
        })?;
        let started = Instant::now();
        let sealed = oneshot::seal(&data, materials, &encrypt_options());
        let encryption = per_second(length, started.elapsed());
        sealed.map_err(|source| Error::Encrypt { object: name, source: Box::new(source) })?;
        Ok(Machine { chunking, hashing, compression, encryption })
    });
    measured.await.map_err(|_| Error::StageLost { stage: "bench" })?
}

async fn store(
    store: &Arc<Store>,
    options: BenchOptions,
    control: &Control,
) -> Result<StoreFigures> {
    let names: Vec<ObjectName> = (0..options.objects + options.requests).map(|_| probe()).collect();
    let (large, small) = names.split_at(options.objects);
    let measured = in_store(store, large, small, options, control).await;
    // Cleaning up comes before the verdict.
    for name in &names {
        store.delete(*name).await?;
    }
    measured
}

async fn in_store(
    store: &Arc<Store>,
    large: &[ObjectName],
    small: &[ObjectName],
    options: BenchOptions,
    control: &Control,
) -> Result<StoreFigures> {
    let bytes = Bytes::from(random(options.object_bytes));
    let total = (options.object_bytes * large.len()) as u64;
    let started = Instant::now();
    let writes = large.iter().map(|name| store.create(*name, bytes.clone()));
    stream::iter(writes).buffer_unordered(options.in_flight).try_collect::<Vec<_>>().await?;
    let write = per_second(total, started.elapsed());
    control.check()?;
    let started = Instant::now();
    let reads = large.iter().map(|name| store.get(*name, bytes.len() as u64));
    stream::iter(reads).buffer_unordered(options.in_flight).try_for_each(async |_| Ok(())).await?;
    let read = per_second(total, started.elapsed());
    let content = bytes.slice(..SMALL_BYTES.min(bytes.len()));
    let small_create =
        latency(small, control, async |name| store.create(*name, content.clone()).await.map(drop));
    let small_create = small_create.await?;
    let small_read =
        latency(small, control, async |name| store.get(*name, SMALL_BYTES as u64).await.map(drop));
    Ok(StoreFigures { write, read, small_create, small_read: small_read.await? })
}

async fn kms(location: &Location, options: BenchOptions, control: &Control) -> Result<Kms> {
    let envelope = location.envelope();
    let name = || ObjectName::DataPack(ObjectId::random());
    let names: Vec<ObjectName> = (0..options.requests).map(|_| name()).collect();
    let data_key =
        latency(&names, control, async |name| envelope.encryption_materials(*name).await.map(drop));
    let data_key = data_key.await?;
    let started = Instant::now();
    let asked = names.iter().map(|name| envelope.encryption_materials(*name));
    stream::iter(asked).buffer_unordered(options.in_flight).try_for_each(async |_| Ok(())).await?;
    let data_keys = per_second(names.len() as u64, started.elapsed());
    let mut messages = Vec::with_capacity(names.len());
    for name in &names {
        messages.push((*name, envelope.seal(*name, b"").await?));
    }
    let decrypt = latency(&messages, control, async |(name, message)| {
        envelope.open(*name, message).await.map(drop)
    });
    Ok(Kms { data_key, data_keys, decrypt: decrypt.await? })
}

fn probe() -> ObjectName {
    ObjectName::Preflight(ObjectId::random())
}

/// Does `work` on `bytes` bytes until there is something to measure.
fn rate(bytes: u64, mut work: impl FnMut() -> Result<()>) -> Result<u64> {
    let (started, mut rounds) = (Instant::now(), 0);
    while started.elapsed() < SPAN {
        work()?;
        rounds += 1;
    }
    Ok(per_second(bytes * rounds, started.elapsed()))
}

async fn latency<T>(
    requests: &[T],
    control: &Control,
    request: impl AsyncFn(&T) -> Result<()>,
) -> Result<Latency> {
    let mut took = Vec::with_capacity(requests.len());
    for one in requests {
        control.check()?;
        let started = Instant::now();
        request(one).await?;
        took.push(started.elapsed());
    }
    took.sort_unstable();
    let at = |permille: usize| {
        let index = (took.len() * permille / 1000).min(took.len().saturating_sub(1));
        took.get(index).map_or(0.0, |took| took.as_secs_f64() * 1e3)
    };
    Ok(Latency { median_ms: at(500), p99_ms: at(990) })
}

fn per_second(count: u64, elapsed: Duration) -> u64 {
    let nanoseconds = elapsed.as_nanos().max(1);
    u64::try_from(u128::from(count) * 1_000_000_000 / nanoseconds).unwrap_or(u64::MAX)
}

/// Bytes that do not compress.
fn random(length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    blake3::Hasher::new().finalize_xof().fill(&mut bytes);
    bytes
}

/// Alternately random blocks, and blocks of hexadecimal digits, which compress to half.
fn half_text(length: usize) -> Vec<u8> {
    const BLOCK_BYTES: usize = 64 << 10;
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut bytes = random(length);
    for block in bytes.chunks_mut(BLOCK_BYTES).skip(1).step_by(2) {
        for byte in block {
            *byte = DIGITS[usize::from(*byte % 16)];
        }
    }
    bytes
}
